"""What inspect and verify say of models that are not just a directory."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from processes import wait_until
from signing_keys import make_key, save_model, write_key

import palate
from palate import errors
from palate.cli import main
from palate.locations import Location, locate, pin_location
from palate.packing import pack_model
from palate.signing import sign_model
from palate.store import STORE_VARIABLE, open_store


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this test have a store and a cache of its own."""
    monkeypatch.setenv(STORE_VARIABLE, str(tmp_path / "store"))
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def line(tmp_path: Path) -> Path:
    """A model directory."""
    return save_model(tmp_path / "line")


@pytest.fixture
def archive(line: Path, tmp_path: Path) -> Path:
    """The same model in one file."""
    return pack_model(line, tmp_path / "line.palate").path


def run(*arguments: object) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(main, list(map(str, arguments)))


def statuses(result: Result) -> dict[str, str]:
    """Return what ``palate verify --json`` found."""
    return {check["name"]: check["status"] for check in json.loads(result.stdout)["checks"]}


def note_of(archive: Path, cache: Path) -> Path:
    """Return the file in which the cache says which archive it has checked."""
    return cache / "models" / f".{hashlib.sha256(os.fsencode(archive)).hexdigest()}.seen"


def forget_nothing(archive: Path, note: Path) -> None:
    """Let the cache take the file as it is now for the one that it has checked."""
    status = archive.stat()
    known = json.loads(note.read_text())
    known["stamp"] = [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]
    note.write_text(json.dumps(known))


# -- inspect -----------------------------------------------------------------------------------------------------------


def test_what_was_asked_for_stays_beside_where_it_is(line: Path, archive: Path, tmp_path: Path) -> None:
    """``uri`` is what people know, ``path`` is the directory; name and version are of a store."""
    open_store().add("lines", line)
    for uri, name, version in ((str(line), None, None), (str(archive), None, None), ("models:/lines/1", "lines", "1")):
        info = palate.inspect_model(uri)
        assert (info.uri, info.name, info.version, info.signed) == (uri, name, version, False)
        assert (info.path / "MLmodel").is_file()
        told = json.loads(json.dumps(info.to_dict()))
        assert (told["uri"], told["name"], told["version"], told["signed"]) == (uri, name, version, False)
    saved = palate.save_model(palate.load_model(line).native, tmp_path / "again")
    assert (saved.uri, saved.path) == (str(tmp_path / "again"), tmp_path / "again")


def test_a_pin_changes_nothing_else(archive: Path) -> None:
    """The line of the identity is the same with a pin and without."""
    digest = palate.inspect_model(archive).digest
    plain, pinned = (run("inspect", uri).stdout for uri in (archive, f"{archive}@sha256:{digest}"))
    assert plain == pinned
    assert f"identity            sha256 {digest} (files match)\n" in plain


def test_a_signature_is_shown_and_not_believed(line: Path, tmp_path: Path) -> None:
    """Inspect says that there is one, wherever it is kept, and that nobody has checked it."""
    assert "\nsigned              none\n" in run("inspect", line).stdout
    private, _ = write_key(make_key(), tmp_path, "key")
    sign_model(line, private)
    archive = pack_model(line, tmp_path / "signed.palate").path
    store = open_store()
    store.add("lines", line)
    store.add("late", save_model(tmp_path / "other", slope=2.0))
    store.sign("late/1", private)
    shown = "\nsigned              present, not checked ('palate verify --key' checks it)\n"
    for uri in (line, archive, "models:/lines/1", "models:/late/1"):
        assert shown in run("inspect", uri).stdout
        assert palate.inspect_model(uri).signed
    assert "  model.sig  " in run("inspect", line).stdout
    assert "who says that these are the model's files" in run("inspect", line).stdout
    (line / "model.sig").write_bytes(b"no signature at all")
    assert palate.inspect_model(line).signed


def test_a_name_is_shown_where_there_is_one(line: Path) -> None:
    """A version in a store says which it is, whichever way it was asked for."""
    store = open_store()
    store.add("lines", line)
    store.set_alias("lines", "champion", 1)
    assert run("inspect", "models:/lines@champion").stdout.startswith("kept as             lines, version 1\n")
    assert "kept as" not in run("inspect", line).stdout


# -- verify ------------------------------------------------------------------------------------------------------------


def test_verify_takes_what_load_takes(line: Path, archive: Path) -> None:
    """A version in a store and a model in one file are verified like a directory, also behind a pin."""
    open_store().add("lines", line)
    digest = palate.inspect_model(line).digest
    for uri in ("models:/lines/1", archive, f"{archive}@sha256:{digest}", f"models:/lines/1@sha256:{digest}"):
        done = run("verify", uri, "--json")
        assert (done.exit_code, statuses(done)["files"], statuses(done)["predictions"]) == (0, "ok", "ok")
        assert str(uri).startswith(json.loads(done.stdout)["uri"])
    wrong = run("verify", f"{archive}@sha256:{'0' * 64}", "--json")
    assert (wrong.exit_code, statuses(wrong)) == (1, {"files": "failed"})


def test_verify_reads_the_file_itself(archive: Path, tmp_path: Path) -> None:
    """Though loading takes a file that was not touched since it was checked for what it was, verify does not."""
    note = note_of(archive, tmp_path / "cache")
    wait_until(lambda: run("inspect", archive).exit_code == 0 and note.exists())  # not of a file that is quite new
    assert run("verify", archive).exit_code == 0
    content = bytearray(archive.read_bytes())
    place = content.index(b"# A line of slope")
    content[place] ^= 1
    archive.write_bytes(content)
    forget_nothing(archive, note)
    assert palate.load_model(archive).flavor == "sklearn", "the copy that is unpacked is whole"
    done = run("verify", archive, "--json")
    assert (done.exit_code, statuses(done)) == (1, {"files": "failed"})
    assert "are damaged" in json.loads(done.stdout)["checks"][0]["detail"]


@pytest.mark.parametrize("keep", [0, 100, -1])
def test_a_file_that_is_cut_short_fails_the_check(archive: Path, keep: int) -> None:
    """It is a failed check, which programs can read, and no other error."""
    archive.write_bytes(archive.read_bytes()[:keep])
    done = run("verify", archive, "--json")
    assert (done.exit_code, statuses(done)) == (1, {"files": "failed"})


def test_only_directories_accept_changes(line: Path, archive: Path) -> None:
    """What is kept elsewhere stays as it was saved: in one file, in a store, in the cache of these."""
    open_store().add("lines", line)
    for uri in (archive, "models:/lines/1", f"{line}@sha256:{'0' * 64}"):
        before = palate.inspect_model("models:/lines/1").digest
        done = run("verify", "--accept", uri)
        assert done.exit_code == 2, done.output
        assert palate.inspect_model("models:/lines/1").digest == before
    with pytest.raises(errors.InvalidOption, match=r"is no directory.*Hint: unpack it"):
        palate.accept_changes(archive)
    (line / "notes" / "card.md").write_text("# Another\n")
    assert run("verify", "--accept", line).exit_code == 0


# -- locations that are kept -------------------------------------------------------------------------------------------


def test_titles(line: Path, archive: Path, tmp_path: Path) -> None:
    """A model is called as it is kept: by its name in a store, else as its directory or its file is."""
    open_store().add("lines", line)
    assert [locate(uri).title for uri in (line, archive, "models:/lines/1")] == ["line", "line", "lines"]
    unpacked = tmp_path / ("f" * 64)
    kept = {
        "https://host/a/my%20line.palate?X-Signature=a%2Fb": "my line",
        f"s3://bucket/folder/line.palate@sha256:{'0' * 64}": "line",
        "s3://bucket/.palate": "model",
    }
    for uri, title in kept.items():
        assert Location(uri=uri, path=unpacked).title == title
    assert Location(uri="latest", path=unpacked, lasting=str(tmp_path / "line.v2")).title == "line.v2"


def test_a_pinned_location_is_of_one_model(line: Path) -> None:
    """What it leads to is opened later by every function, or refused once another model has taken the place."""
    pinned = pin_location(line)
    assert (pinned.uri, pinned.digest) == (str(line), palate.inspect_model(line).digest)
    assert pin_location(pinned) is pinned
    assert palate.load_model(pinned).predict({"a": [2.0]}) == pytest.approx([2.0])
    assert palate.load_model(pinned, isolate=True).predict({"a": [2.0]}) == pytest.approx([2.0])
    assert palate.inspect_model(pinned).uri == str(line)
    palate.save_model(palate.load_native(line), line, overwrite=True)
    for opens in (palate.load_model, palate.load_native, palate.inspect_model):
        with pytest.raises(errors.WrongModel):
            opens(pinned)


def test_a_pin_that_is_wrong_is_none(line: Path) -> None:
    """A location is pinned to what it is asked to be, or not at all."""
    with pytest.raises(errors.WrongModel):
        pin_location(f"{line}@sha256:{'0' * 64}")


def test_a_damaged_copy_is_not_pinned(archive: Path) -> None:
    """The copy in the cache, if its bytes are no longer right, is made again."""
    copy = pin_location(archive).path
    (copy / "notes" / "card.md").write_text("damaged")
    pinned = pin_location(archive)
    assert pinned.path == copy
    assert (copy / "notes" / "card.md").read_text().startswith("# A line")

"""The cache of unpacked models: private, found again, mended where it is damaged, never another model."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from signing_keys import make_key, write_key
from sklearn.linear_model import LinearRegression
from unpacking import cached, make_archive, settle, start_opener, wait_for_line

import palate
from palate import packing
from palate._archive.cache import find_digest, find_unpacked, is_cached, keep_fetched, model_cache
from palate._archive.cache_notes import tidy_notes
from palate.errors import CacheFailed, InvalidArchive, InvalidOption, ModelChanged, ModelNotFound, PalateError
from palate.signing import sign_model

DATA = np.array([[0.0], [1.0]])
MODEL = LinearRegression().fit(DATA, [1.0, 3.0])
FILES = ["MANIFEST.json", "MLmodel", "model.skops", "requirements.txt"]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the cache of this test."""
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Return a small archive of any model."""
    make_archive(tmp_path / "m.palate", "x")
    return tmp_path / "m.palate"


@pytest.fixture(scope="module")
def old_archives(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return an archive of any model, and one of a real model, written so long ago that they are not read twice."""
    folder = tmp_path_factory.mktemp("old")
    make_archive(folder / "any.palate", "x")
    palate.save_model(MODEL, folder / "real.palate", input_example=DATA)
    settle()
    return folder / "any.palate", folder / "real.palate"


def notes(cache: Path, kind: str) -> list[Path]:
    """Return the notes of a kind."""
    return sorted((cache / "models").glob(f".*.{kind}"))


def files_in(folder: Path) -> list[str]:
    """Return every file and folder below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# -- whose it is -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_cache_is_its_users_alone(archive, cache, umask) -> None:
    """Whatever is usual otherwise, nobody else may look into its folders, and it is accepted the next time."""
    before = os.umask(umask)
    try:
        found = find_unpacked(archive)
        find_unpacked(archive)
    finally:
        os.umask(before)
    for folder in (cache, cache / "models", found):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert is_cached(found)
    assert not is_cached(found.parent)


@pytest.mark.parametrize("place", ["", "models"])
def test_a_cache_that_others_may_write_to_is_refused(archive, cache, place) -> None:
    """What anybody may have put there is not used, however it is asked for, with a word on what to do."""
    digest = find_unpacked(archive).name
    (cache / place).chmod(0o777)
    for use in (
        lambda: find_unpacked(archive),
        lambda: find_digest(digest),
        lambda: keep_fetched("https://models.invalid/m.palate", lambda file, tag: pytest.fail("it was asked for")),
    ):
        with pytest.raises(InvalidOption, match=r"PALATE_CACHE.*another user.*Hint: set it to a folder of your own"):
            use()
    (cache / place).chmod(0o700)
    assert find_unpacked(archive).name == digest


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder away")
def test_a_cache_of_another_user_is_refused(archive, cache) -> None:
    """Its owner may change it at any time."""
    find_unpacked(archive)
    os.chown(cache / "models", 12345, 12345)
    with pytest.raises(InvalidOption, match="another user"):
        find_unpacked(archive)


# -- where it cannot be ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", ["much", "-1", "1 XB", "nan"])
def test_a_size_that_is_none_is_refused_at_once(archive, monkeypatch, size) -> None:
    """A wrong PALATE_CACHE_SIZE is told with what it should be, also where there is nothing to do."""
    find_unpacked(archive)
    monkeypatch.setenv("PALATE_CACHE_SIZE", size)
    with pytest.raises(InvalidOption, match=r"PALATE_CACHE_SIZE.*Hint: set it to a size such as 20GiB"):
        find_unpacked(archive)


@pytest.mark.parametrize("home", ["/dev/null", "/proc/nobody"])
def test_a_home_that_cannot_have_a_cache_is_told_as_such(archive, monkeypatch, home) -> None:
    """The error names the folder, and what to do."""
    monkeypatch.delenv("PALATE_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", home)
    with pytest.raises(CacheFailed, match=rf"'{home}/\.cache/palate/models'.*Hint: .*PALATE_CACHE.*palate unpack"):
        palate.load_model(archive)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
def test_a_user_without_a_home_is_told_so(repository) -> None:
    """As in a container that runs under a number of its own."""
    script = """
import sys
from palate._archive.cache import model_cache
from palate.errors import InvalidOption
import os
os.setuid(54321)
try:
    model_cache({})
except InvalidOption as exc:
    print(exc)
"""
    environment = {name: value for name, value in os.environ.items() if name != "HOME"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert "PALATE_CACHE" in done.stdout, done.stderr
    assert "no home folder" in done.stdout
    assert "Hint: set it to a folder of your own" in done.stdout


@pytest.fixture
def read_only(cache: Path):
    """Let nothing be written to the cache, as in an image of a container."""

    def close() -> None:
        cache.mkdir(exist_ok=True, mode=0o700)
        if subprocess.run(["mount", "--bind", "-o", "ro", cache, cache], capture_output=True).returncode:
            pytest.skip("mounting is not allowed here")

    yield close
    subprocess.run(["umount", cache], capture_output=True)


def test_a_cache_that_may_only_be_read_gives_what_it_has(archive, cache, tmp_path, read_only) -> None:
    """A model that is there is used; another one is CacheFailed with the disk's reason."""
    digest = find_unpacked(archive).name
    make_archive(tmp_path / "other.palate", "y")
    read_only()
    assert find_unpacked(archive).name == digest
    with pytest.raises(CacheFailed, match=r"Read-only file system.*Hint: "):
        find_unpacked(tmp_path / "other.palate")
    with pytest.raises(CacheFailed, match="Read-only"):
        keep_fetched("https://models.invalid/m.palate", lambda file, tag: pytest.fail("it was asked for"))


# -- what is damaged in it ---------------------------------------------------------------------------------------------


def damage(file: Path, how: str) -> None:
    """Change a file, cut it short or remove it."""
    if how == "changed":
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    elif how == "cut short":
        os.truncate(file, file.stat().st_size // 2)
    else:
        file.unlink()


@pytest.mark.parametrize("how", ["changed", "cut short", "removed"])
@pytest.mark.parametrize("name", FILES)
def test_what_is_damaged_in_the_cache_is_unpacked_again(old_archives, cache, name, how) -> None:
    """Whatever befell a file of it, the next load mends the cache, and predicts as before."""
    _, path = old_archives
    digest = palate.inspect_model(path).digest
    damage(cache / "models" / str(digest) / name, how)
    assert palate.inspect_model(path).digest == digest
    loaded = palate.load_model(path)
    assert np.array_equal(loaded.predict(DATA), MODEL.predict(DATA))
    assert cached(cache) == {digest}


def test_a_foreign_file_in_the_cache_is_removed(tmp_path, cache) -> None:
    """What somebody has put into a model's directory is not loaded with it."""
    palate.save_model(MODEL, tmp_path / "m.palate")
    palate.load_model(tmp_path / "m.palate")
    (found,) = (cache / "models").glob("[0-9a-f]*")
    (found / "sitecustomize.py").write_text("raise SystemExit")
    palate.load_model(tmp_path / "m.palate")
    assert "sitecustomize.py" not in os.listdir(found)


def test_what_is_damaged_and_in_use_elsewhere_is_told(archive, cache) -> None:
    """It is neither loaded nor taken away from whoever reads it; afterwards, it is mended."""
    with start_opener(archive) as user:
        digest, _ = wait_for_line(user)
        damage(cache / "models" / digest / "MANIFEST.json", "removed")
        with pytest.raises(ModelChanged, match=r"MANIFEST.json"):
            find_unpacked(archive)
    assert find_unpacked(archive).name == digest
    assert cached(cache) == {digest}


# -- an archive that changes -------------------------------------------------------------------------------------------


def replace_in_place(path: Path, content: bytes) -> None:
    """Write other bytes to the same file, and set the times that it had."""
    before = path.stat()
    with path.open("r+b") as file:
        file.write(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size


def test_an_archive_that_was_changed_is_read_again(tmp_path) -> None:
    """Also if it has the same size and the same time of change: the time of the change of that cannot be set."""
    first = make_archive(tmp_path / "m.palate", "x")
    second = make_archive(tmp_path / "other.palate", "y")
    settle()
    assert find_unpacked(tmp_path / "m.palate").name == first
    replace_in_place(tmp_path / "m.palate", (tmp_path / "other.palate").read_bytes())
    assert find_unpacked(tmp_path / "m.palate").name == second


def test_an_archive_that_is_new_is_read_each_time(tmp_path) -> None:
    """Who writes within one tick of the clock leaves the same times; only what is older is taken for what it was."""
    size = 5 << 20
    make_archive(tmp_path / "m.palate", "x", size)

    def read() -> int:
        before = _read_so_far()
        find_unpacked(tmp_path / "m.palate")
        return _read_so_far() - before

    assert min(read(), read()) > size
    settle()
    assert read() > size
    assert read() < size // 100


def _read_so_far() -> int:
    return int(Path("/proc/self/io").read_text().partition("rchar:")[2].split()[0])


def test_with_recheck_every_byte_is_read(archive) -> None:
    """Where a disk has lost a bit without a word, verify finds it; a load takes what it has."""
    settle()
    digest = find_unpacked(archive).name
    assert find_unpacked(archive, recheck=True).name == digest
    (note,) = notes(model_cache(os.environ).parent, "seen")
    damage(archive, "changed")
    status = archive.stat()  # as if nobody had written to it
    stamp = [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]
    note.write_text(json.dumps({**json.loads(note.read_text()), "stamp": stamp}))
    assert find_unpacked(archive).name == digest
    with pytest.raises((InvalidArchive, ModelChanged)):
        find_unpacked(archive, recheck=True)


# -- one model, several archives ---------------------------------------------------------------------------------------


def test_a_signed_model_is_another_than_the_unsigned_one(tmp_path, cache) -> None:
    """Both are in the cache, and whoever demands a signature gets that which has it, whatever came first."""
    palate.save_model(MODEL, tmp_path / "m")
    packing.pack_model(tmp_path / "m", tmp_path / "plain.palate")
    private, public = write_key(make_key(), tmp_path, "key")
    sign_model(tmp_path / "m", private)
    packing.pack_model(tmp_path / "m", tmp_path / "signed.palate")
    palate.load_model(tmp_path / "plain.palate")
    palate.load_model(tmp_path / "signed.palate", signed_by=public)
    with pytest.raises(palate.errors.SignatureMissing):
        palate.load_model(tmp_path / "plain.palate", signed_by=public)
    assert len(cached(cache)) == 2
    digest = palate.inspect_model(tmp_path / "m").digest
    assert digest is not None
    assert find_digest(digest) == cache / "models" / digest


def test_a_damaged_signature_is_unpacked_again(tmp_path, cache) -> None:
    """A signature in the cache is held against what it was, like every other file."""
    palate.save_model(MODEL, tmp_path / "m")
    private, public = write_key(make_key(), tmp_path, "key")
    sign_model(tmp_path / "m", private)
    packing.pack_model(tmp_path / "m", tmp_path / "m.palate")
    palate.load_model(tmp_path / "m.palate")
    (found,) = (cache / "models").glob("[0-9a-f]*")
    (found / "model.sig").write_text("{}")
    palate.load_model(tmp_path / "m.palate", signed_by=public)


def test_the_same_files_with_and_without_a_manifest_are_two(tmp_path, cache) -> None:
    """A directory of MLflow's has no identity, not even where a model with one has the same files."""
    digest = make_archive(tmp_path / "ours.palate", "x")
    theirs = shutil.copytree(tmp_path / "ours.palate-directory", tmp_path / "theirs")
    (theirs / "MANIFEST.json").unlink()
    packing.pack_model(theirs, tmp_path / "theirs.palate")
    for _ in range(2):
        bare = find_unpacked(tmp_path / "theirs.palate")
        assert not (bare / "MANIFEST.json").exists()
        ours = find_unpacked(tmp_path / "ours.palate")
        assert ours.name == digest
        assert (ours / "MANIFEST.json").exists()
        assert bare.exists()


# -- notes -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"junk",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b"[" * 5_000,
        b'{"stamp": ' + b"9" * 5_000 + b"}",
        b"x" * 10_000_000,
        b'{"stamp": null, "name": 5}',
        b'{"stamp": null, "name": "../../../etc"}',
        "link",
        "dangling link",
        "folder",
        "fifo",
    ],
    ids=lambda content: content if isinstance(content, str) else repr(content[:20]),
)
def test_a_damaged_note_does_not_matter(old_archives, cache, content) -> None:
    """Whatever stands where a note is, the model is found as without."""
    archive, _ = old_archives
    digest = find_unpacked(archive).name
    (note,) = notes(cache, "seen")
    facts = json.loads(note.read_text())
    note.unlink()
    if isinstance(content, bytes):
        note.write_bytes(content.replace(b'"stamp": null', b'"stamp": ' + json.dumps(facts["stamp"]).encode()))
    elif content == "folder":
        note.mkdir()
    elif content == "fifo":
        os.mkfifo(note)
    else:
        note.symlink_to("/dev/zero" if content == "link" else "nowhere")
    assert find_unpacked(archive).name == digest
    assert find_unpacked(archive).name == digest


def test_notes_on_what_is_gone_are_removed(old_archives, cache, tmp_path) -> None:
    """With the next model that is unpacked, old notes on what is gone go, and what killed processes left."""
    models = cache / "models"
    find_unpacked(old_archives[0])
    (kept,) = notes(cache, "seen")
    gone, young = "0" * 64, "1" * 64
    text = json.dumps({"name": gone})
    for kind in ("seen", "fetched", "partly", "used", "lock", f"seen.12-{'a' * 16}.new"):
        for name in (gone, young):
            (models / f".{name}.{kind}").write_text(text)
        os.utime(models / f".{gone}.{kind}", (0, 0))
    os.utime(kept, (0, 0))
    (models / "mine.txt").write_text("not the cache's")
    os.utime(models / "mine.txt", (0, 0))
    make_archive(tmp_path / "n.palate", "n")
    find_unpacked(tmp_path / "n.palate")
    assert [path for path in models.iterdir() if gone in path.name] == []
    assert len([path for path in models.iterdir() if young in path.name]) == 6
    assert kept.exists()
    assert (models / "mine.txt").exists()


def test_notes_are_bounded(archive, cache) -> None:
    """However many files one model is opened from, there are a thousand notes, the latest."""
    name = find_unpacked(archive).name
    models = cache / "models"
    for number in range(1_300):
        note = models / f".{number:064x}.seen"
        note.write_text(json.dumps({"name": name}))
        os.utime(note, (number, number))
    tidy_notes(models)
    assert [path.name for path in notes(cache, "seen")] == [f".{number:064x}.seen" for number in range(300, 1_300)]


# -- what is fetched ---------------------------------------------------------------------------------------------------


def test_errors_of_what_was_fetched_name_where_it_is_from(archive, cache) -> None:
    """Not the file that it was fetched to, which is gone; and nothing that is secret in the address."""
    damage(archive, "changed")

    def fetch(file: Path, tag: str | None) -> str:
        shutil.copyfile(archive, file)
        return "tag"

    with pytest.raises((InvalidArchive, ModelChanged)) as caught:
        keep_fetched("https://me:hush@host/m.palate?signature=hush", fetch)
    assert "'https://host/m.palate?…'" in str(caught.value)
    assert "hush" not in str(caught.value)
    assert files_in(cache / "models") == []


@pytest.mark.parametrize("error", [ModelNotFound("x", reason="y"), OSError(28, "No space left on device")])
def test_what_fails_to_be_fetched_leaves_nothing(cache, error) -> None:
    """What the network says is told as it is; what the disk says is the cache's."""

    def fetch(file: Path, tag: str | None) -> str:
        file.write_bytes(b"half of it")
        raise error

    with pytest.raises(PalateError) as caught:
        keep_fetched("https://host/m.palate", fetch)
    assert isinstance(caught.value, ModelNotFound if isinstance(error, ModelNotFound) else CacheFailed)
    assert files_in(cache / "models") == []

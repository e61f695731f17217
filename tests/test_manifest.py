"""MANIFEST.json: written, read strictly, and held against the files."""

from __future__ import annotations

import hashlib
import json
import os
import random
import resource
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate._disk.manifest import accept, check_manifest, read_manifest, write_manifest
from palate._disk.manifest_document import FileDigest, Manifest
from palate.errors import InvalidModelFile, ModelChanged, SaveFailed, UnsafePath

FILES = {
    "MLmodel": b"flavors: {}\n",
    "model.skops": bytes(range(256)) * 40,
    "code/pkg/a.py": b"A = 1\n",
    "requirements.txt": b"numpy==2.0\n",
    "empty": b"",
}


@pytest.fixture
def model(tmp_path) -> Path:
    """Return a sealed model directory."""
    root = tmp_path / "model"
    for name, content in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    write_manifest(root)
    return root


def _check(root: Path):
    manifest = read_manifest(root)
    assert manifest is not None
    return check_manifest(root, manifest)


def _alter(root: Path, **changes: object) -> None:
    document = json.loads((root / "MANIFEST.json").read_text())
    (root / "MANIFEST.json").write_text(json.dumps({**document, **changes}))


# -- what is written ---------------------------------------------------------------------------------------------------


def test_an_untouched_model_passes(model) -> None:
    """A model as it was written checks clean, and the seal holds."""
    seal = _check(model)
    seal.recheck()
    assert seal.added_by_mlflow == ()
    assert [file.name for file in seal.manifest.files] == sorted(FILES)


def test_the_manifest_lists_sizes_and_hashes(model) -> None:
    """Each file stands there with its size and sha256; the manifest does not list itself."""
    document = json.loads((model / "MANIFEST.json").read_text())
    expected = [
        {"name": name, "size": len(FILES[name]), "sha256": hashlib.sha256(FILES[name]).hexdigest()}
        for name in sorted(FILES)
    ]
    assert document["files"] == expected
    assert (document["format"], document["algorithm"]) == (1, "sha256")


def test_the_digest_is_what_sha256sum_prints(model) -> None:
    """The documented shell command computes the same digest, so nobody needs Palate to check it."""
    command = r"find . -type f ! -name MANIFEST.json -printf '%P\0' | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum"
    printed = subprocess.run(["bash", "-c", command], cwd=model, capture_output=True, text=True, check=True).stdout
    assert printed.split()[0] == read_manifest(model).digest


def test_the_same_files_give_the_same_bytes(model, tmp_path) -> None:
    """Two directories with the same files have byte-identical manifests, whatever order they were written in."""
    other = tmp_path / "other"
    for name in reversed(FILES):
        (other / name).parent.mkdir(parents=True, exist_ok=True)
        (other / name).write_bytes(FILES[name])
    write_manifest(other)
    assert (other / "MANIFEST.json").read_bytes() == (model / "MANIFEST.json").read_bytes()


def test_empty_directories_do_not_matter(model) -> None:
    """An empty directory is no part of a model's identity."""
    (model / "nothing").mkdir()
    assert _check(model)


def test_an_existing_manifest_is_not_overwritten(model) -> None:
    """write_manifest seals a directory once."""
    with pytest.raises(FileExistsError):
        write_manifest(model)


def test_links_and_special_files_cannot_be_sealed(tmp_path) -> None:
    """A directory with a symbolic link or a FIFO is refused at save already."""
    (tmp_path / "link").symlink_to("/etc/passwd")
    with pytest.raises(UnsafePath):
        write_manifest(tmp_path)
    (tmp_path / "link").unlink()
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(UnsafePath):
        write_manifest(tmp_path)


ENTRIES = st.builds(
    FileDigest,
    name=st.lists(st.from_regex(r"[a-zé][a-z .-]{0,8}", fullmatch=True), min_size=1, max_size=3).map("/".join),
    size=st.integers(0, 2**63 - 1),
    sha256=st.binary(min_size=32, max_size=32).map(bytes.hex),
)


@given(st.lists(ENTRIES, unique_by=lambda entry: entry.name))
def test_every_manifest_reads_back(tmp_path_factory, entries) -> None:
    """read_manifest(to_json()) is the same manifest with the same digest."""
    root = tmp_path_factory.getbasetemp()
    manifest = Manifest(tuple(sorted(entries, key=lambda entry: entry.name)))
    (root / "MANIFEST.json").write_text(manifest.to_json(), encoding="utf-8")
    assert read_manifest(root) == manifest
    assert read_manifest(root).digest == manifest.digest


# -- what is noticed ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("name", [name for name, content in FILES.items() if content])
def test_one_flipped_bit_is_noticed(model, name, seed) -> None:
    """M01: one bit changed in any file, the size staying right (M09), names that file."""
    content = bytearray(FILES[name])
    source = random.Random(seed)
    content[source.randrange(len(content))] ^= 1 << source.randrange(8)
    (model / name).write_bytes(content)
    with pytest.raises(ModelChanged) as caught:
        _check(model)
    assert (caught.value.changed, caught.value.missing, caught.value.extra) == ((name,), (), ())


def test_missing_extra_and_changed_files_are_reported_together(model) -> None:
    """M02, M03, M04: one error lists everything that differs."""
    (model / "requirements.txt").unlink()
    (model / "model.skops").write_bytes(b"other")
    (model / "code" / "pkg" / "b.py").touch()
    (model / "extra").touch()
    with pytest.raises(ModelChanged) as caught:
        _check(model)
    assert caught.value.missing == ("requirements.txt",)
    assert caught.value.changed == ("model.skops",)
    assert sorted(caught.value.extra) == ["code/pkg/b.py", "extra"]


def test_swapped_files_are_noticed(model) -> None:
    """M05: two files that changed places are both reported."""
    (model / "MLmodel").rename(model / "x")
    (model / "model.skops").rename(model / "MLmodel")
    (model / "x").rename(model / "model.skops")
    with pytest.raises(ModelChanged) as caught:
        _check(model)
    assert sorted(caught.value.changed) == ["MLmodel", "model.skops"]


def test_a_file_replaced_by_a_link_is_refused(model, tmp_path) -> None:
    """M11: a symbolic link is refused even when it leads to the right bytes; so is one as the manifest."""
    (model / "model.skops").rename(tmp_path / "outside")
    (model / "model.skops").symlink_to(tmp_path / "outside")
    with pytest.raises(UnsafePath, match="symbolic link"):
        _check(model)
    (model / "MANIFEST.json").rename(tmp_path / "manifest")
    (model / "MANIFEST.json").symlink_to(tmp_path / "manifest")
    with pytest.raises(UnsafePath, match="symbolic link"):
        read_manifest(model)


def test_a_hard_link_counts_by_its_content(model, tmp_path) -> None:
    """M12: what a hard link to an outside file holds is what counts, now and at the end of loading."""
    os.link(model / "model.skops", tmp_path / "outside")
    seal = _check(model)
    (tmp_path / "outside").write_bytes(b"other")
    with pytest.raises(ModelChanged):
        seal.recheck()
    with pytest.raises(ModelChanged):
        _check(model)


def test_a_directory_in_place_of_a_file_is_noticed(model) -> None:
    """A directory under a listed file's name makes that file missing."""
    (model / "model.skops").unlink()
    (model / "model.skops").mkdir()
    with pytest.raises(ModelChanged) as caught:
        _check(model)
    assert caught.value.missing == ("model.skops",)


def test_a_file_of_another_size_is_not_even_read(model) -> None:
    """A file made enormous is reported at once, from its size."""
    with open(model / "model.skops", "ab") as file:
        file.truncate(2**40)  # sparse: a terabyte that takes no space
    with pytest.raises(ModelChanged) as caught:
        _check(model)
    assert caught.value.changed == ("model.skops",)


# -- between the check and the end of loading --------------------------------------------------------------------------


def _swap_back_and_forth(model: Path) -> None:
    (model / "model.skops").rename(model / "aside")
    (model / "model.skops").write_bytes(b"evil")
    (model / "model.skops").unlink()
    (model / "aside").rename(model / "model.skops")


def _swap_directory_back_and_forth(model: Path) -> None:
    (model / "code").rename(model / "aside")
    (model / "code").mkdir()
    (model / "code").rmdir()
    (model / "aside").rename(model / "code")


def _rewrite_with_old_times(model: Path) -> None:
    before = (model / "model.skops").stat()
    (model / "model.skops").write_bytes(bytes(before.st_size))
    os.utime(model / "model.skops", ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
    "attack",
    [
        _swap_back_and_forth,
        _swap_directory_back_and_forth,
        _rewrite_with_old_times,
        lambda model: shutil.copytree(model, model.with_name("copy")) and _swap_whole(model),
        lambda model: (model / "code" / "late.py").touch(),
        lambda model: (model / "requirements.txt").unlink(),
        lambda model: (model / "MANIFEST.json").write_text("{}"),
    ],
    ids=["file", "directory", "times set back", "whole directory", "added", "removed", "manifest"],
)
def test_a_swap_after_the_check_is_noticed(model, attack) -> None:
    """M13: whatever was touched between the check and the end of loading, even if put back, breaks the seal."""
    seal = _check(model)
    attack(model)
    with pytest.raises(ModelChanged, match="while it was being loaded"):
        seal.recheck()


def _swap_whole(model: Path) -> None:
    model.rename(model.with_name("aside"))
    model.with_name("copy").rename(model)


def test_reading_does_not_break_the_seal(model) -> None:
    """Loading, which only reads, leaves the seal whole."""
    seal = _check(model)
    for name in FILES:
        (model / name).read_bytes()
    list(model.rglob("*"))
    seal.recheck()


# -- what MLflow does --------------------------------------------------------------------------------------------------


def test_the_registrys_file_is_tolerated_and_reported(model) -> None:
    """A file registered_model_meta, which MLflow's registry adds, is not an intruder; a large one is."""
    (model / "registered_model_meta").write_text("model_name: churn\nmodel_version: '3'\n")
    assert _check(model).added_by_mlflow == ("registered_model_meta",)
    (model / "registered_model_meta").write_bytes(bytes(100_000))
    with pytest.raises(ModelChanged) as caught:
        _check(model)
    assert caught.value.extra == ("registered_model_meta",)


def test_byte_code_beside_a_models_code_is_tolerated(model: Path) -> None:
    """Stock MLflow leaves byte code in code/, which Palate never reads; anywhere else it is extra."""
    name = "code/shop/__pycache__/prices.cpython-311.pyc"
    for other in (name, "__pycache__/x.cpython-311.pyc", "code/shop/__pycache__/prices.py", "code/prices.pyc"):
        (model / other).parent.mkdir(parents=True, exist_ok=True)
        (model / other).write_bytes(b"x")
        if other == name:
            assert _check(model).added_by_mlflow == (name,)
            continue
        with pytest.raises(ModelChanged) as caught:
            _check(model)
        assert caught.value.extra == (other,)
        (model / other).unlink()


def test_a_rewritten_mlmodel_names_the_likely_cause(model) -> None:
    """When only MLmodel differs, the error says that MLflow rewrites it, and how to accept that."""
    (model / "MLmodel").write_text("flavors: {}\nsignature: null\n")
    with pytest.raises(ModelChanged, match=r"set_signature\(\).*registry.*palate verify --accept"):
        _check(model)
    (model / "requirements.txt").unlink()
    with pytest.raises(ModelChanged) as caught:
        _check(model)
    assert "set_signature" not in str(caught.value)


def test_accept_takes_the_present_files(model) -> None:
    """accept() rewrites the manifest for what is there now, with another digest."""
    before = read_manifest(model).digest
    (model / "MLmodel").write_text("flavors: {}\nsignature: null\n")
    (model / ".MANIFEST.json.new").write_text("left by an attempt that was killed")
    accepted = accept(model)
    assert accepted.digest != before
    assert _check(model).manifest == accepted
    assert {file.name for file in accepted.files} == set(FILES)


def test_a_failed_accept_changes_nothing(model) -> None:
    """When the disk refuses the new manifest, the old one stands and nothing is left beside it."""
    before = (model / "MANIFEST.json").read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(SaveFailed, match="File too large"):
            accept(model)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (model / "MANIFEST.json").read_bytes() == before
    assert _check(model)


# -- reading strictly --------------------------------------------------------------------------------------------------


def test_a_directory_of_mlflow_has_no_manifest(tmp_path) -> None:
    """Without a MANIFEST.json the answer is None; the caller decides what that means."""
    assert read_manifest(tmp_path) is None


ENTRY = {"name": "a", "size": 1, "sha256": "0" * 64}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "upgrade palate"),
        ({"format": "1"}, "format: must be a positive integer"),
        ({"format": True}, "format: must be a positive integer"),
        ({"format": 0}, "format: must be a positive integer"),
        ({"algorithm": "md5"}, "algorithm: must be 'sha256'"),
        ({"algorithm": None}, "algorithm: must be 'sha256'"),
        ({"digest": "0" * 64}, "digest: is not the digest of the files listed"),
        ({"digest": "xyz"}, "digest: must be a sha256 in hex"),
        ({"more": 1}, "unknown key"),
        ({"files": None}, "files: must be a list"),
        ({"files": [ENTRY, ENTRY]}, "listed twice: a"),
        ({"files": [{**ENTRY, "name": "MANIFEST.json"}]}, "cannot list itself"),
        ({"files": [{**ENTRY, "more": 1}]}, "files.0: must be a mapping of name, size and sha256"),
        ({"files": [{**ENTRY, "size": -1}]}, "files.0.size"),
        ({"files": [{**ENTRY, "size": 1.5}]}, "files.0.size"),
        ({"files": [{**ENTRY, "size": 2**63}]}, "files.0.size"),
        ({"files": [{**ENTRY, "size": True}]}, "files.0.size"),
        ({"files": [{**ENTRY, "sha256": "A" * 64}]}, "files.0.sha256"),
        *(
            ({"files": [{**ENTRY, "name": name}]}, "files.0.name")
            for name in ("../x", "a/../b", "/x", "", ".", "a//b", "./a", "a\\b", "C:x", "a\0", "\u202ea", "x" * 300, 3)
        ),
    ],
)
def test_a_malformed_manifest_is_refused(model, changes, message) -> None:
    """M07 to M10 and M20: every field is checked, and the error names the place."""
    _alter(model, **changes)
    with pytest.raises(InvalidModelFile, match=r"^MANIFEST\.json is not valid") as caught:
        read_manifest(model)
    assert message in str(caught.value)


def test_all_problems_are_listed(model) -> None:
    """One error lists everything that is wrong with the manifest."""
    _alter(model, algorithm="md5", digest=1, files=[{**ENTRY, "size": -1}, {**ENTRY, "name": ".."}])
    with pytest.raises(InvalidModelFile) as caught:
        read_manifest(model)
    assert len(caught.value.problems) == 4


@pytest.mark.parametrize(
    "text",
    [
        b"", b"[]", b"null", b"{", b'{"format": 1, "format": 1}', b'{"format": NaN}', b"\xff", b"\xef\xbb\xbf{}",
        b"[" * 100_000, b'{"a":' * 100_000, b'{"format": ' + b"9" * 10_000 + b"}", b"{} {}",
    ],
    ids=["empty", "list", "null", "cut", "equal keys", "NaN", "not UTF-8", "mark", "deep", "deeper", "digits", "two"],
)  # fmt: skip
def test_what_is_not_strict_json_is_refused(model, text) -> None:
    """M06, M08: text that is no JSON mapping, or that could be read in two ways, is refused."""
    (model / "MANIFEST.json").write_bytes(text)
    with pytest.raises(InvalidModelFile):
        read_manifest(model)


def test_every_truncation_is_refused(model) -> None:
    """M06: a manifest that was cut anywhere is refused."""
    content = (model / "MANIFEST.json").read_bytes().rstrip()
    for length in range(0, len(content), 7):
        (model / "MANIFEST.json").write_bytes(content[:length])
        with pytest.raises(InvalidModelFile):
            read_manifest(model)


def test_the_manifest_follows_the_umask(model) -> None:
    """MANIFEST.json gets the permissions that any new file would get."""
    assert stat.S_IMODE((model / "MANIFEST.json").stat().st_mode) == stat.S_IMODE((model / "MLmodel").stat().st_mode)

"""Ordinary zip files: what everyday tools write is taken apart, what could be meant in two ways is refused."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import time
import unicodedata
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hostile_archives import EVIL, VERDICTS, honest, mutants, sample, valid_members
from hypothesis import given
from hypothesis import strategies as st
from zip_writing import DATA_DESCRIPTOR, DEFLATED, UTF_8, Member, deflate, descriptor, extra_field, write_zip

import palate
from palate._archive.foreign import unpack_zip
from palate.errors import InvalidArchive, ModelChanged, ModelExists, ModelNotFound, PalateError, SaveFailed
from palate.packing import pack_model, unpack_model

STOCK = Path(__file__).parent / "data" / "mlflow_models" / "sk_default_skops_inferredreqs" / "model"
# An empty folder is no part of a model, and nobody has to unpack it.
HONEST_NEVERTHELESS = {"A13-bare", "A13-in-model"}
MUTANTS = 1500


@pytest.fixture(scope="module")
def members() -> dict[str, bytes]:
    """Return the files of a model that MLflow saved."""
    return valid_members(STOCK)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path / "cache"))


def taken_apart(archive: bytes, folder: Path) -> dict[str, bytes] | PalateError:
    """Unpack an archive; return its files, or why it was refused."""
    file, place = folder / "sample.zip", folder / "unpacked"
    file.write_bytes(archive)
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    try:
        names = unpack_zip(file, place)
    except InvalidArchive as exc:
        return exc
    files = valid_members(place)
    assert sorted(names) == sorted(files)
    return files


# -- what everyday tools write -----------------------------------------------------------------------------------------


class Pipe(io.RawIOBase):
    """Something that can be written to only from front to back."""

    def __init__(self, file: io.BufferedWriter) -> None:
        super().__init__()
        self._file = file

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        return self._file.write(data)  # type: ignore[call-overload, no-any-return]


def by_python(folder: Path, file: Path, *, pipe: bool = False, zip64: bool = False) -> None:
    """Write a zip of a folder, and the folders' own entries, with Python's zipfile."""
    with (
        file.open("wb") as raw,
        zipfile.ZipFile(Pipe(raw) if pipe else raw, "w", zipfile.ZIP_DEFLATED) as archive,  # type: ignore[arg-type]
    ):
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder.parent).as_posix()
            if path.is_dir() or not zip64:
                archive.write(path, name)
            else:
                with archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as entry:
                    entry.write(path.read_bytes())


def by_zip(*options: str) -> Callable[[Path, Path], None]:
    """Write a zip of a folder with Info-ZIP."""

    def write(folder: Path, file: Path) -> None:
        if shutil.which("zip") is None:
            pytest.skip("no zip command here")
        with file.open("wb") as out:
            subprocess.run(["zip", "-q", *options, "-", folder.name], cwd=folder.parent, check=True, stdout=out)

    return write


def by_zip_to_a_file(folder: Path, file: Path) -> None:
    """Do so without a pipe."""
    if shutil.which("zip") is None:
        pytest.skip("no zip command here")
    subprocess.run(["zip", "-qr", file, folder.name], cwd=folder.parent, check=True)


def by_git(folder: Path, file: Path) -> None:
    """Let git write it, which puts the commit into the archive's comment."""
    git = ["git", "-C", folder, "-c", "user.name=test", "-c", "user.email=test@example.org"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "model"], check=True)
    subprocess.run([*git, "archive", "--format", "zip", "--prefix", "model/", "-o", file, "HEAD"], check=True)
    shutil.rmtree(folder / ".git")


def by_macos(folder: Path, file: Path) -> None:
    """Write it as Archive Utility of macOS does: descriptors, folders, and AppleDouble files beside the others."""
    members = [Member(name=f"{folder.name}/", says={"external": 0o40755 << 16, "made": 0x315})]
    double = Member(name=f"__MACOSX/{folder.name}/._MLmodel", content=b"\0\5\x16\7attributes", says={"made": 0x315})
    for name, content in valid_members(folder).items():
        says = {"method": DEFLATED, "flags": DATA_DESCRIPTOR, "made": 0x315, "extra": extra_field(0x5855, bytes(8))}
        if not name.isascii():
            says["flags"] = DATA_DESCRIPTOR | UTF_8
        zeros = {"crc": 0, "compressed": 0, "size": 0}
        packed = deflate(content)
        after = bytearray(descriptor(content))
        after[8:12] = len(packed).to_bytes(4, "little")
        path = f"{folder.name}/{name}"
        members.append(Member(name=path, content=content, stored=packed, says=says, local=zeros, after=bytes(after)))
    file.write_bytes(write_zip([*members, double]))


def by_windows(folder: Path, file: Path) -> None:
    """Write it as the Explorer of Windows does: DOS attributes, times in NTFS's field, no Unix modes."""
    says = {"made": 20, "external": 0x20, "extra": extra_field(0x000A, bytes(32))}
    members = [Member(name=f"{folder.name}/", says={"made": 20, "external": 0x10})]
    for name, content in valid_members(folder).items():
        members.append(Member(name=f"{folder.name}/{name}", content=content, says=says))
    file.write_bytes(write_zip(members))


WRITERS: dict[str, Callable[[Path, Path], object]] = {
    "zipfile": by_python,
    "zipfile to a pipe": lambda folder, file: by_python(folder, file, pipe=True),
    "zipfile with zip64": lambda folder, file: by_python(folder, file, zip64=True),
    "make_archive": lambda folder, file: shutil.make_archive(str(file)[:-4], "zip", folder.parent, folder.name),
    "make_archive of the inside": lambda folder, file: shutil.make_archive(str(file)[:-4], "zip", folder),
    "zip -r": by_zip_to_a_file,
    "zip -r to a pipe": by_zip("-r"),
    "zip -r0": by_zip("-r", "-0"),
    "zip -r with zip64": by_zip("-r", "-fz"),
    "git archive": by_git,
    "macOS": by_macos,
    "Windows": by_windows,
}


@pytest.mark.parametrize("writer", WRITERS)
def test_what_everyday_tools_write_is_unpacked(writer, tmp_path, members) -> None:
    """A model in a zip is the model, with the same bytes and a manifest, whoever packed it and how."""
    model = tmp_path / "model"
    shutil.copytree(STOCK, model)
    (model / "data" / "deep").mkdir(parents=True)
    (model / "data" / "deep" / "weights.bin").write_bytes(os.urandom(3 << 20))
    (model / "data" / "words.txt").write_text("".join(f"{number}\n" for number in range(300_000)))
    (model / "data" / "nothing").touch()
    if not writer.startswith("zip "):  # Info-ZIP may not say in which encoding such a name is
        (model / "größe.txt").write_text("ü")
    WRITERS[writer](model, tmp_path / "m.zip")
    done = unpack_model(tmp_path / "m.zip", tmp_path / "out")
    files = valid_members(tmp_path / "out")
    del files["MANIFEST.json"]
    assert files == valid_members(model)
    assert done.files == len(files) + 1
    assert palate.inspect_model(tmp_path / "out").digest == done.digest


def test_a_model_of_palate_keeps_its_identity(tmp_path) -> None:
    """Its manifest is held against the files, and what somebody else left in the zip stays behind."""
    digest = unpack_model(STOCK, tmp_path / "m").digest
    (tmp_path / "m" / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    shutil.make_archive(str(tmp_path / "m"), "zip", tmp_path, "m")
    assert unpack_model(tmp_path / "m.zip", tmp_path / "out").digest == digest
    assert not (tmp_path / "out" / ".DS_Store").exists()
    (tmp_path / "m" / "requirements.txt").write_text("evil\n")
    shutil.make_archive(str(tmp_path / "n"), "zip", tmp_path, "m")
    with pytest.raises(ModelChanged, match=r"requirements\.txt"):
        unpack_model(tmp_path / "n.zip", tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_zip_is_asked_for_by_its_digest(tmp_path) -> None:
    """A pin behind the name of a zip says which model it must be."""
    digest = unpack_model(STOCK, tmp_path / "m").digest
    shutil.make_archive(str(tmp_path / "z"), "zip", tmp_path / "m")
    assert unpack_model(f"{tmp_path}/z.zip@sha256:{digest}", tmp_path / "out").digest == digest
    with pytest.raises(ModelChanged, match="is not the model that was asked for"):
        unpack_model(f"{tmp_path}/z.zip@sha256:{'0' * 64}", tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_an_archive_of_palate_may_be_called_a_zip(tmp_path, members) -> None:
    """What `palate pack` wrote is known by its layout, whatever its name."""
    pack_model(STOCK, tmp_path / "m.zip")
    assert unpack_model(tmp_path / "m.zip", tmp_path / "out").digest is None
    assert valid_members(tmp_path / "out") == members


def test_what_is_called_palate_is_never_taken_for_an_ordinary_zip(tmp_path) -> None:
    """A file with the suffix of Palate's archives that is laid out otherwise is refused."""
    shutil.make_archive(str(tmp_path / "m"), "zip", STOCK)
    (tmp_path / "m.zip").rename(tmp_path / "m.palate")
    with pytest.raises(InvalidArchive, match="not laid out as 'palate pack'"):
        unpack_model(tmp_path / "m.palate", tmp_path / "out")


@pytest.mark.parametrize("top", [".", "model"])
def test_opening_an_ordinary_zip_says_what_to_do(top, tmp_path) -> None:
    """To load a zip is refused, with the way there: folders in it and deflated files make no difference."""
    shutil.copytree(STOCK, tmp_path / "in" / "model")
    shutil.make_archive(str(tmp_path / "m"), "zip", tmp_path / "in" / ("model" if top == "." else ""))
    with pytest.raises(InvalidArchive, match="take it apart with 'palate unpack'"):
        palate.load_model(tmp_path / "m.zip")


def test_a_zip_must_hold_one_model(tmp_path) -> None:
    """None, or several in folders side by side, are refused with what to do instead."""
    for name in ("a", "b"):
        shutil.copytree(STOCK, tmp_path / "two" / name)
    shutil.make_archive(str(tmp_path / "two"), "zip", tmp_path / "two")
    with pytest.raises(InvalidArchive, match=r"2 models \(a, b\).*palate store import"):
        unpack_model(tmp_path / "two.zip", tmp_path / "out")
    (tmp_path / "none" / "deep" / "er").mkdir(parents=True)
    (tmp_path / "none" / "deep" / "er" / "MLmodel").touch()
    shutil.make_archive(str(tmp_path / "none"), "zip", tmp_path / "none")
    with pytest.raises(InvalidArchive, match="holds no model there"):
        unpack_model(tmp_path / "none.zip", tmp_path / "out")
    assert not (tmp_path / "out").exists()


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", VERDICTS)
def test_a_hostile_zip_is_refused_or_means_one_thing(name, tmp_path, members) -> None:
    """Every sample is refused; what is merely odd may be opened, with exactly the honest files."""
    found = taken_apart(sample(name, members), tmp_path)
    if isinstance(found, InvalidArchive):
        assert "Hint: " in str(found)
        return
    assert VERDICTS[name] != "refused" or name in HONEST_NEVERTHELESS, EVIL[name]
    if name.endswith("-bare") or VERDICTS[name] == "unlisted":  # a sound zip, of which all readers think the same
        with zipfile.ZipFile(tmp_path / "sample.zip") as other:
            assert found == {file: other.read(file) for file in other.namelist() if not file.endswith("/")}
    else:
        assert found == members


def test_the_honest_one_is_opened(tmp_path, members) -> None:
    """The control: the writer of the samples, without a lie."""
    assert taken_apart(honest(members), tmp_path) == members


@pytest.mark.slow
@pytest.mark.parametrize("writer", ["by hand", "zipfile", "zip -r to a pipe"])
def test_a_zip_with_damaged_headers_is_refused_or_the_same(writer, tmp_path, members) -> None:
    """However its headers are changed, no other bytes and no other names come out, and nothing else is raised."""
    small = {name: members[name] for name in ("MLmodel", "requirements.txt")}
    archive = honest(small)
    if writer != "by hand":
        small = {f"in/deep/{name}": content for name, content in small.items()}
        for name, content in small.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(content)
        WRITERS[writer](tmp_path / "in", tmp_path / "in.zip")
        archive = (tmp_path / "in.zip").read_bytes()
    for number, mutant in enumerate(mutants(archive, 1, MUTANTS)):
        found = taken_apart(mutant, tmp_path)
        assert isinstance(found, InvalidArchive) or found == small, number


@given(st.binary(max_size=200), st.binary(max_size=80))
def test_noise_is_refused(tmp_path_factory, before, after) -> None:
    """Whatever stands around the signatures of a zip, it is refused in one way."""
    folder = tmp_path_factory.mktemp("noise")
    for noise in (before, b"PK\3\4" + before, b"PK\3\4" + before + b"PK\5\6" + after):
        assert isinstance(taken_apart(noise, folder), InvalidArchive)


def odd(**says: object) -> bytes:
    """Return a zip with one more member that says so of itself."""
    plain = {"name": "odd.txt", "content": b"odd\n" * 9}
    return write_zip([Member(name="MLmodel", content=b"x"), Member(**{**plain, **says})])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("archive", "said"),
    [
        (odd(says={"flags": 0, "name": "größe".encode()}), "does not say in which encoding"),
        (odd(name=unicodedata.normalize("NFD", "größe")), "not in Unicode's form NFC"),
        (odd(name="a/b/../c"), "has '..'"),
        (odd(name="MLMODEL"), "another one's name but for case"),
        (odd(says={"external": 0o120777 << 16}), "is a link"),
        (odd(says={"flags": UTF_8 | 1}), "is encrypted"),
        (odd(says={"method": 12}), "packed by method 12"),
        (odd(content=bytes(1 << 20), stored=deflate(bytes(1 << 20)), says={"method": DEFLATED}), "200 times"),
    ],
    ids=["encoding", "form", "climbs", "case", "link", "encrypted", "method", "bomb"],
)
def test_the_reason_is_told(archive, said, tmp_path) -> None:
    """Whoever has an honest zip that cannot be taken learns why, and that he may unpack it himself."""
    found = taken_apart(archive, tmp_path)
    assert said in str(found)
    assert "unpack it with the tool that made it" in str(found)


def test_many_small_bombs_are_a_bomb(tmp_path) -> None:
    """Files that may be all zeros because they are small may not be so many that they fill a disk."""
    zeros = bytes(1 << 16)
    packed = deflate(zeros)
    members = [
        Member(name=f"{number:04}", content=zeros, stored=packed, says={"method": DEFLATED}, aligned=False)
        for number in range(1, 1500)
    ]
    assert "its files become more than 200 times as large" in str(taken_apart(write_zip(members), tmp_path))


def test_a_name_by_the_unicode_field_counts(tmp_path) -> None:
    """Info-ZIP's field that repeats a name in UTF-8 says its encoding; one of another name is refused."""
    raw = "größe.txt".encode()
    crc = zlib.crc32(raw).to_bytes(4, "little")
    for said, expected in ((raw, {"MLmodel": b"x", "größe.txt": b"odd\n" * 9}), (b"other.txt", None)):
        field = extra_field(0x7075, b"\1" + crc + said)
        found = taken_apart(odd(says={"flags": 0, "name": raw, "extra": field}), tmp_path)
        assert found == expected if expected else "has two names" in str(found)


# -- nothing is left ---------------------------------------------------------------------------------------------------


def test_a_refused_zip_leaves_nothing(tmp_path, members) -> None:
    """Neither a zip with one damaged byte nor one that is not there leaves anything behind, parents included."""
    with zipfile.ZipFile(tmp_path / "m.zip", "w") as stored:
        for name, content in members.items():
            stored.writestr(name, content)
    damaged = bytearray((tmp_path / "m.zip").read_bytes())
    damaged[damaged.index(members["model.skops"]) + 99] ^= 1
    (tmp_path / "m.zip").write_bytes(damaged)
    with pytest.raises(InvalidArchive, match=r"model\.skops.*damaged"):
        unpack_model(tmp_path / "m.zip", tmp_path / "new" / "out")
    with pytest.raises(ModelNotFound):
        unpack_model(tmp_path / "none.zip", tmp_path / "new" / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["m.zip"]


def test_a_taken_place_stays(tmp_path) -> None:
    """What is there is replaced only with overwrite, and only a model."""
    shutil.make_archive(str(tmp_path / "m"), "zip", STOCK)
    unpack_model(tmp_path / "m.zip", tmp_path / "out")
    with pytest.raises(ModelExists):
        unpack_model(tmp_path / "m.zip", tmp_path / "out")
    unpack_model(tmp_path / "m.zip", tmp_path / "out", overwrite=True)


LIMITED = """
import resource, signal, sys
from palate.packing import unpack_model
if sys.argv[3] == "killed":
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
try:
    unpack_model(sys.argv[1], sys.argv[2])
except Exception as exc:
    print(type(exc).__name__)
"""


@pytest.mark.parametrize("how", ["refused", "killed"])
def test_a_disk_that_refuses_or_a_killed_process_leaves_no_half_model(how, tmp_path, run_python) -> None:
    """A write that fails is SaveFailed and leaves nothing; the stage of a killed process is removed by the next one."""
    shutil.copytree(STOCK, tmp_path / "m")
    (tmp_path / "m" / "weights.bin").write_bytes(os.urandom(2 << 20))
    shutil.make_archive(str(tmp_path / "m"), "zip", tmp_path / "m")
    done = run_python(LIMITED, tmp_path / "m.zip", tmp_path / "to" / "out", how)
    if how == "refused":
        assert done.stdout.strip() == SaveFailed.__name__, done.stderr
        assert not (tmp_path / "to").exists()
        return
    assert done.returncode < 0
    assert not (tmp_path / "to" / "out").exists()
    (left,) = (tmp_path / "to").iterdir()
    os.utime(left, (time.time() - 3600,) * 2)
    unpack_model(tmp_path / "m.zip", tmp_path / "to" / "out")
    assert [path.name for path in (tmp_path / "to").iterdir()] == ["out"]


@pytest.mark.skipif(sys.platform != "linux", reason="FIFOs are made otherwise elsewhere")
def test_what_is_no_file_is_not_waited_for(tmp_path) -> None:
    """A FIFO called a zip is refused at once."""
    os.mkfifo(tmp_path / "m.zip")
    with pytest.raises(PalateError):
        unpack_model(tmp_path / "m.zip", tmp_path / "out")

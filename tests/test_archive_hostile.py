"""Archives from strangers: whatever is not, byte for byte, what `palate pack` writes is refused, and leaves nothing."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hostile_archives import EVIL, VERDICTS, honest, mutants, sample, valid_members
from sklearn.linear_model import LinearRegression

import palate
from palate import packing
from palate.errors import InvalidArchive, InvalidModelFile, ModelChanged, ModelExists, PalateError

MUTANTS = 1500


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small real model."""
    path = tmp_path_factory.mktemp("model") / "m"
    palate.save_model(LinearRegression().fit([[0.0], [1.0]], [0, 1]), path, input_example=[[0.5]])
    return path


@pytest.fixture(scope="module")
def members(model: Path) -> dict[str, bytes]:
    """Return its files."""
    return valid_members(model)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path / "cache"))


def files_in(folder: Path) -> list[str]:
    """Return every file and folder below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def unpack(file: Path, target: Path) -> PalateError | None:
    """Unpack an archive; return why it was refused, or None."""
    try:
        packing.unpack_model(file, target)
    except (InvalidArchive, ModelChanged, InvalidModelFile) as exc:
        return exc
    return None


def test_an_honest_archive_is_what_pack_writes(tmp_path, model, members) -> None:
    """The control: the same writer, without a lie, makes the very bytes that we write, and they are opened."""
    packing.pack_model(model, tmp_path / "m.palate")
    assert (tmp_path / "m.palate").read_bytes() == honest(members)
    packing.unpack_model(tmp_path / "m.palate", tmp_path / "out")
    assert valid_members(tmp_path / "out") == members


@pytest.mark.parametrize("name", VERDICTS)
def test_a_hostile_archive_is_refused(tmp_path, members, name) -> None:
    """Each sample is refused by a typed error that names the file, in time, and nothing is left behind."""
    file = tmp_path / "evil.palate"
    file.write_bytes(sample(name, members))
    before = time.monotonic()
    error = unpack(file, tmp_path / "out")
    assert time.monotonic() - before < 5
    if error is None:
        assert VERDICTS[name] == "tolerated", EVIL[name]
        assert valid_members(tmp_path / "out") == members
        return
    assert isinstance(error, InvalidArchive) or VERDICTS[name] == "unlisted", EVIL[name]
    assert str(file) in str(error)
    assert "Hint: " in str(error)
    assert files_in(tmp_path) == ["evil.palate"], EVIL[name]


@pytest.mark.parametrize("name", [name for name, verdict in VERDICTS.items() if verdict != "tolerated"][::7])
def test_loading_refuses_it_as_well(tmp_path, members, name) -> None:
    """load_model refuses what unpack refuses, and the cache is left without it."""
    file = tmp_path / "evil.palate"
    file.write_bytes(sample(name, members))
    with pytest.raises((InvalidArchive, ModelChanged)):
        palate.load_model(file)
    assert set(files_in(tmp_path)) <= {"cache", "cache/models", "evil.palate"}


@pytest.mark.parametrize("seed", range(2))
def test_a_mutated_archive_is_refused_or_the_same(tmp_path, members, seed) -> None:
    """Whatever changes in the headers: InvalidArchive, or exactly the files that were packed."""
    file, refused = tmp_path / "mutant.palate", 0
    for number, data in enumerate(mutants(honest(members), seed, MUTANTS)):
        file.write_bytes(data)
        if unpack(file, tmp_path / f"out-{number}") is None:
            assert valid_members(tmp_path / f"out-{number}") == members
        else:
            refused += 1
    assert refused > MUTANTS * 0.9


@pytest.mark.parametrize("place", range(0, 100, 7))
def test_one_flipped_bit_is_noticed_wherever_it_is(tmp_path, members, place) -> None:
    """A bit that flips in a file's own bytes is noticed, also where the model is in the cache already."""
    file, data = tmp_path / "m.palate", bytearray(honest(members))
    file.write_bytes(data)
    palate.load_model(file)
    data[len(data) * place // 100] ^= 1
    file.write_bytes(data)
    with pytest.raises((InvalidArchive, ModelChanged, InvalidModelFile)):
        palate.load_model(file)


def test_what_is_there_is_never_touched(tmp_path, members) -> None:
    """An archive is not unpacked over a file or a folder; with overwrite, over a model alone."""
    (tmp_path / "m.palate").write_bytes(honest(members))
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine").write_text("mine")
    for target in ("file", "folder"):
        for overwrite in (False, True):
            with pytest.raises(ModelExists):
                packing.unpack_model(tmp_path / "m.palate", tmp_path / target, overwrite=overwrite)
    assert (tmp_path / "folder" / "mine").read_text() == (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("kind", ["fifo", "socket", "directory without MLmodel", "dangling link", "unreadable"])
def test_what_is_no_file_is_no_archive(tmp_path, kind) -> None:
    """Special files are refused without waiting on them."""
    path = tmp_path / "m.palate"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        import socket

        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    elif kind.startswith("directory"):
        path.mkdir()
    elif kind == "unreadable":
        path.symlink_to("/proc/self/mem")
    else:
        path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(PalateError):
        palate.load_model(path)


def test_a_link_to_an_archive_is_followed(tmp_path, members) -> None:
    """A user's link such as "latest.palate" is as good as the file."""
    (tmp_path / "m.palate").write_bytes(honest(members))
    (tmp_path / "latest.palate").symlink_to("m.palate")
    assert palate.load_model(tmp_path / "latest.palate").flavor == "sklearn"

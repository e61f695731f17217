"""Models in one file: whole or absent, the same bytes for the same model, and as good as a directory."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

import palate
from palate import packing
from palate._disk.stages import STAGE_PATTERN
from palate.errors import (
    InvalidArchive,
    ModelChanged,
    ModelExists,
    ModelNotFound,
    SaveFailed,
    TrustRequired,
    UnsafePath,
)

DATA = np.array([[0.0], [1.0]])
MODEL = LinearRegression().fit(DATA, [1.0, 3.0])


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Return a saved model."""
    palate.save_model(MODEL, tmp_path / "m", input_example=DATA)
    return tmp_path / "m"


def contents(root: Path) -> dict[str, bytes]:
    """Return the files under a directory."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def stages(folder: Path) -> list[Path]:
    """Return what saves have left behind."""
    return list(folder.glob(STAGE_PATTERN))


# -- packing -----------------------------------------------------------------------------------------------------------


def test_a_model_goes_into_one_file_and_out_of_it(model, tmp_path) -> None:
    """Packed and unpacked, every file is the same, and so is the identity."""
    packed = packing.pack_model(model, tmp_path / "m.palate")
    unpacked = packing.unpack_model(tmp_path / "m.palate", tmp_path / "out")
    assert contents(tmp_path / "out") == contents(model)
    assert packed.digest == unpacked.digest == palate.inspect_model(model).digest
    assert packed.files == unpacked.files == len(contents(model))


def test_the_same_model_gives_the_same_bytes(model, tmp_path) -> None:
    """A copy of the directory, made otherwise and later, packs to the same file; unpacked and packed again, too."""
    copy = shutil.copytree(model, tmp_path / "copy", copy_function=shutil.copyfile)
    first = packing.pack_model(model, tmp_path / "1.palate")
    second = packing.pack_model(copy, tmp_path / "2.palate")
    packing.unpack_model(first.path, tmp_path / "out")
    third = packing.pack_model(tmp_path / "out", tmp_path / "3.palate")
    assert first.sha256 == second.sha256 == third.sha256


def test_what_is_not_the_models_stays_behind(model, tmp_path) -> None:
    """What MLflow or Python left beside the model is not packed; its signature is."""
    clean = packing.pack_model(model, tmp_path / "1.palate").sha256
    (model / "registered_model_meta").write_text("{}")
    assert packing.pack_model(model, tmp_path / "2.palate").sha256 == clean
    (model / "model.sig").write_text("{}")
    assert packing.pack_model(model, tmp_path / "3.palate").sha256 != clean
    packing.unpack_model(tmp_path / "3.palate", tmp_path / "out")
    assert (tmp_path / "out" / "model.sig").read_text() == "{}"


@pytest.mark.parametrize("change", ["changed", "missing", "extra link", "unreadable"])
def test_a_damaged_model_is_not_packed(model, tmp_path, change) -> None:
    """What is not what MANIFEST.json lists does not become a file."""
    file = model / "model.skops"
    if change == "changed":
        file.write_bytes(b"x" * file.stat().st_size)
    elif change == "missing":
        file.unlink()
    elif change == "extra link":
        (model / "link").symlink_to("/etc/passwd")
    else:
        file.unlink()
        file.mkdir()
    with pytest.raises((ModelChanged, UnsafePath, ModelNotFound)):
        packing.pack_model(model, tmp_path / "m.palate")
    assert not (tmp_path / "m.palate").exists()
    assert not stages(tmp_path)


@pytest.mark.parametrize("name", ["a:b", "CON", "aux.txt", "trailing.", "zero\u200bwidth", "e\u0301", "what?"])
def test_names_that_not_every_system_takes_are_refused_when_packing(tmp_path, name) -> None:
    """What could not be unpacked somewhere is refused at once, with its name, and not when it is too late."""

    class Reader(palate.PythonModel):
        def predict(self, model_input):
            return model_input

    file = tmp_path / name
    file.write_text("x")
    palate.save_model(Reader(), tmp_path / "m", artifacts={"a": file}, requirements=["numpy"])
    with pytest.raises(UnsafePath, match="A file of the model"):
        packing.pack_model(tmp_path / "m", tmp_path / "m.palate")


def test_two_names_that_differ_only_by_case_are_refused_when_packing(tmp_path) -> None:
    """On a system where these are one file, one of the two would be lost."""
    root = tmp_path / "m"
    root.mkdir()
    for name in ("MLmodel", "weights", "Weights"):
        (root / name).write_text("flavors: {x: {}}")
    with pytest.raises(UnsafePath, match="another one's name but for case"):
        packing.pack_model(root, tmp_path / "m.palate")


def test_a_directory_of_mlflows_is_packed_as_it_is(repository, tmp_path) -> None:
    """Without MANIFEST.json nothing is added: what comes out is what went in, and its identity is not known."""
    source = shutil.copytree(
        repository / "tests" / "data" / "mlflow_models" / "xgb_booster_json" / "model", tmp_path / "theirs"
    )
    packed = packing.pack_model(source, tmp_path / "m.palate")
    packing.unpack_model(tmp_path / "m.palate", tmp_path / "out")
    assert packed.digest is None
    assert contents(tmp_path / "out") == contents(source)


def test_a_taken_path_is_kept_unless_it_is_to_be_replaced(model, tmp_path) -> None:
    """Packing replaces a model in one file when it is told to, and nothing else ever."""
    target = tmp_path / "m.palate"
    packing.pack_model(model, target)
    with pytest.raises(ModelExists, match="overwrite=True"):
        packing.pack_model(model, target)
    packing.pack_model(model, target, overwrite=True)
    target.write_text("mine")
    with pytest.raises(ModelExists, match="not a model's"):
        packing.pack_model(model, target, overwrite=True)
    assert target.read_text() == "mine"


def test_without_renames_that_refuse_packing_is_still_safe(model, tmp_path) -> None:
    """Where renameat2 is not there, a hard link takes the name, which fails as well if it is taken."""
    script = f"""
import ctypes, sys
real = ctypes.CDLL
class Without:
    def __init__(self, *a, **k): pass
    renameat2 = None
ctypes.CDLL = Without
from palate import packing
packing.pack_model({str(model)!r}, sys.argv[1])
try:
    packing.pack_model({str(model)!r}, sys.argv[1])
except FileExistsError as exc:
    print(type(exc).__name__)
packing.pack_model({str(model)!r}, sys.argv[1], overwrite=True)
"""
    done = subprocess.run([sys.executable, "-c", script, tmp_path / "m.palate"], capture_output=True, text=True)
    assert done.stdout == "ModelExists\n", done.stderr
    assert palate.load_model(tmp_path / "m.palate").flavor == "sklearn"
    assert not stages(tmp_path)


# -- saving into one file ----------------------------------------------------------------------------------------------


def test_a_model_is_saved_into_one_file(tmp_path) -> None:
    """A path that ends with .palate becomes one file, with the same proof, and nothing else is left."""
    info = palate.save_model(MODEL, tmp_path / "m.palate", input_example=DATA)
    assert info.path == tmp_path / "m.palate"
    assert [path.name for path in tmp_path.iterdir()] == ["m.palate"]
    loaded = palate.load_model(tmp_path / "m.palate")
    assert np.array_equal(loaded.predict(DATA), MODEL.predict(DATA))
    assert palate.inspect_model(tmp_path / "m.palate").digest == info.digest


def test_saving_over_a_file_follows_the_rules_of_directories(tmp_path) -> None:
    """ModelExists without overwrite, replaced in one step with it, and no other file is ever replaced."""
    palate.save_model(MODEL, tmp_path / "m.palate")
    with pytest.raises(ModelExists):
        palate.save_model(MODEL, tmp_path / "m.palate")
    palate.save_model(MODEL, tmp_path / "m.palate", overwrite=True, metadata={"v": 2})
    assert palate.load_model(tmp_path / "m.palate").metadata.metadata == {"v": 2}
    (tmp_path / "other.palate").mkdir()
    with pytest.raises(ModelExists):
        palate.save_model(MODEL, tmp_path / "other.palate", overwrite=True)


def test_a_failed_save_leaves_no_file(tmp_path) -> None:
    """What cannot be saved leaves neither a file nor a folder that was made on the way."""
    with pytest.raises(palate.errors.UnsupportedModel):
        palate.save_model(object(), tmp_path / "new" / "m.palate")
    assert list(tmp_path.iterdir()) == []


# -- loading -----------------------------------------------------------------------------------------------------------


def test_everything_that_takes_a_uri_takes_the_file(model, tmp_path) -> None:
    """inspect, verify, load, load_native and a file: URI open it."""
    path = packing.pack_model(model, tmp_path / "m.palate").path
    assert palate.verify_model(path).ok
    assert palate.inspect_model(path.as_uri()).verified
    assert isinstance(palate.load_native(path), LinearRegression)
    assert np.array_equal(palate.load_model(str(path)).predict(DATA), MODEL.predict(DATA))


def test_a_loaded_model_is_pickled_as_a_reference_to_the_file(model, tmp_path) -> None:
    """Another process opens the file anew; the cache may have forgotten it."""
    path = packing.pack_model(model, tmp_path / "m.palate").path
    pickled = pickle.dumps(palate.load_model(path))
    shutil.rmtree(tmp_path / "cache")
    assert np.array_equal(pickle.loads(pickled).predict(DATA), MODEL.predict(DATA))


def test_code_in_a_file_needs_trust(tmp_path) -> None:
    """To be in one file makes no model trusted."""
    palate.save_model(lambda rows: rows, tmp_path / "m.palate", requirements=["numpy"])
    with pytest.raises(TrustRequired):
        palate.load_model(tmp_path / "m.palate")
    assert palate.load_model(tmp_path / "m.palate", trust=True).predict([1]) == [1]


def test_an_isolated_model_runs_out_of_a_file(model, tmp_path) -> None:
    """A process of its own opens the same model."""
    path = packing.pack_model(model, tmp_path / "m.palate").path
    isolated = palate.load_model(path, isolate=palate.Isolation(environment="here"))
    assert np.array_equal(isolated.predict(DATA), MODEL.predict(DATA))
    isolated.close()


# -- full disks --------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    """Return a file system of one megabyte."""
    place = tmp_path / "small"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.fixture
def large(tmp_path) -> Path:
    """Return a model of some two megabytes."""
    palate.save_model(LinearRegression().fit(np.random.default_rng(0).random((2, 250_000)), [0, 1]), tmp_path / "large")
    return tmp_path / "large"


def test_a_full_disk_refuses_to_pack_and_to_unpack_and_keeps_nothing(large, small_disk, tmp_path) -> None:
    """Each way of writing a model is SaveFailed with the disk's reason, and the disk is as empty as before."""
    packed = packing.pack_model(large, tmp_path / "large.palate").path
    for act in (
        lambda: packing.pack_model(large, small_disk / "m.palate"),
        lambda: packing.unpack_model(packed, small_disk / "m"),
        lambda: packing.unpack_model(large, small_disk / "m"),
        lambda: palate.save_model(palate.load_native(large), small_disk / "m.palate"),
    ):
        with pytest.raises(SaveFailed, match="No space left"):
            act()
        assert list(small_disk.iterdir()) == []


def test_a_cache_without_room_is_told_as_such(large, small_disk, tmp_path, monkeypatch) -> None:
    """Loading from a file needs room in the cache; the error names the cache, and the ways to do without."""
    packed = packing.pack_model(large, tmp_path / "large.palate").path
    monkeypatch.setenv("PALATE_CACHE", str(small_disk / "cache"))
    with pytest.raises(palate.errors.CacheFailed, match=r"No space left.*PALATE_CACHE.*palate unpack"):
        palate.load_model(packed)
    assert [path for path in small_disk.rglob("*") if path.is_file()] == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_told_as_such(model, tmp_path) -> None:
    """An unreadable file of the model, or an unreadable archive, is ModelNotFound with the reason."""
    packed = packing.pack_model(model, tmp_path / "m.palate").path
    packed.chmod(0)
    with pytest.raises(ModelNotFound, match="Permission denied"):
        palate.load_model(packed)
    (model / "model.skops").chmod(0)
    with pytest.raises(ModelNotFound, match="Permission denied"):
        packing.pack_model(model, tmp_path / "n.palate")


def test_an_archive_that_was_cut_is_refused_at_every_length(model, tmp_path) -> None:
    """A download that broke off anywhere is never opened."""
    path = packing.pack_model(model, tmp_path / "m.palate").path
    data = path.read_bytes()
    for length in (*range(0, 200, 13), *range(200, len(data), len(data) // 40), len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(InvalidArchive):
            palate.inspect_model(path)

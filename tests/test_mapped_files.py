"""Files that flavors map into memory: out of a directory, or out of a model in one file, which is then not unpacked."""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np
import pytest
import torch
import xgboost

import palate
from palate._disk.manifest import check_manifest, read_manifest
from palate.errors import InvalidArchive, ModelChanged
from palate.locations import locate

ROWS = np.random.default_rng(0).random((50, 3))
TREES = xgboost.XGBClassifier(n_estimators=30).fit(ROWS, ROWS[:, 0] > 0.5)


class Net(torch.nn.Module):
    """A module whose weights take some pages."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(3, 5000)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.layer(rows)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a cache of its own for each test."""
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def save_net(path: Path) -> Net:
    """Save weights as safetensors."""
    net = Net()
    palate.save_model(net, path, format="safetensors", signature=None, requirements=["torch"])
    return net


def largest(folder: Path) -> int:
    """Return the size of the largest file below a folder."""
    return max(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_trees_are_read_out_of_the_file(tmp_path, cache) -> None:
    """An XGBoost model in one file predicts, and its trees are nowhere but in that file."""
    palate.save_model(TREES, tmp_path / "m.palate", input_example=ROWS[:3])
    model = palate.load_model(tmp_path / "m.palate")
    assert np.array_equal(model.predict_proba(ROWS), TREES.predict_proba(ROWS))
    assert (model.path / "model.ubj").stat().st_size == 0
    assert largest(cache) < 10_000 < (tmp_path / "m.palate").stat().st_size


def test_weights_are_mapped_out_of_the_file(tmp_path, cache) -> None:
    """Weights are pages of the file: they are not copied, and writing to them changes no file."""
    net = save_net(tmp_path / "m.palate")
    before = (tmp_path / "m.palate").read_bytes()
    model = palate.load_model(tmp_path / "m.palate", module=Net)
    rows = np.ones((2, 3), "float32")
    assert np.array_equal(model.predict(rows), net(torch.tensor(rows)).detach().numpy())
    assert largest(cache) < 5_000
    maps = Path("/proc/self/maps").read_text().splitlines()
    [place] = [line.split() for line in maps if line.endswith("m.palate")]
    start, stop = (int(number, 16) for number in place[0].split("-"))
    assert start <= model.native.layer.weight.data_ptr() < stop
    with torch.no_grad():
        model.native.layer.weight.zero_()
    assert (tmp_path / "m.palate").read_bytes() == before


def test_a_directory_is_mapped_likewise(tmp_path) -> None:
    """The same hook serves a directory: one way to read, wherever the model is."""
    net = save_net(tmp_path / "m")
    model = palate.load_model(tmp_path / "m", module=Net)
    assert torch.equal(model.native.layer.weight, net.layer.weight)
    assert "model.safetensors" in Path("/proc/self/maps").read_text()


def test_what_needs_a_directory_still_gets_a_whole_one(tmp_path) -> None:
    """Inspecting, verifying and unpacking a model whose files have stayed in its file sees all of them."""
    palate.save_model(TREES, tmp_path / "m.palate", input_example=ROWS[:3])
    thin = palate.load_model(tmp_path / "m.palate").path
    whole = palate.inspect_model(tmp_path / "m.palate").path
    assert whole != thin
    check_manifest(whole, read_manifest(whole))
    assert palate.verify_model(tmp_path / "m.palate").ok
    palate.unpack_model(tmp_path / "m.palate", tmp_path / "out")
    assert (tmp_path / "out" / "model.ubj").stat().st_size > 10_000
    # Once it is there, there is no reason to do with less.
    assert palate.load_model(tmp_path / "m.palate").path == whole


@pytest.mark.parametrize("known", [False, True], ids=["a new file", "a file that was opened before"])
def test_a_changed_byte_is_noticed_where_it_is_mapped(tmp_path, known) -> None:
    """What stays in the file is hashed there, before the flavor sees a byte of it."""
    path = tmp_path / "m.palate"
    palate.save_model(TREES, path)
    if known:
        palate.load_model(path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises((InvalidArchive, ModelChanged)):
        palate.load_model(path)


@pytest.mark.parametrize("always", [False, True], ids=["once", "each time"])
def test_a_file_that_is_written_to_while_it_is_loaded_is_noticed(tmp_path, monkeypatch, always) -> None:
    """Whoever touches the file between the check and the end of loading makes the loader start again, or give up."""
    path = tmp_path / "m.palate"
    palate.save_model(TREES, path)
    palate.load_model(path)
    real, mapped = mmap.mmap, []

    def map_and_touch(*args, **options):
        found = real(*args, **options)
        mapped.append(1)
        if len(mapped) == 2 or (always and len(mapped) % 2 == 0):  # the odd ones are for the check
            with path.open("r+b") as file:
                file.write(b"P")
        return found

    monkeypatch.setattr("palate._archive.staying.mmap.mmap", map_and_touch)
    if always:
        with pytest.raises(ModelChanged, match="changed while it was being loaded"):
            palate.load_model(path)
    else:
        palate.load_model(path)
        assert len(mapped) == 4


def test_a_location_says_what_has_stayed(tmp_path) -> None:
    """Only whoever asks for it gets a directory with less than everything."""
    palate.save_model(TREES, tmp_path / "m.palate")
    assert locate(tmp_path / "m.palate").staying is None
    found = locate(tmp_path / "m.palate", may_stay=lambda document: ["model.ubj", "not/there"])
    assert found.staying is None  # the whole directory is in the cache by now


def test_a_flavor_that_names_what_is_not_there_is_opened_as_usual(tmp_path) -> None:
    """Names of no file of the model leave nothing in the file."""
    palate.save_model(TREES, tmp_path / "m.palate")
    assert locate(tmp_path / "m.palate", may_stay=lambda document: ["not/there", "../x"]).staying is None


def test_small_files_are_mapped_too(tmp_path) -> None:
    """A file that does not begin at a page, being smaller than one, is found at its place."""
    booster = xgboost.train({"max_depth": 1}, xgboost.DMatrix(ROWS, label=ROWS[:, 0]), 1)
    palate.save_model(booster, tmp_path / "m.palate")
    found = palate.load_model(tmp_path / "m.palate")
    assert np.array_equal(found.native.predict(xgboost.DMatrix(ROWS)), booster.predict(xgboost.DMatrix(ROWS)))

"""What of a model depends on the version of Python, told without running it."""

from __future__ import annotations

import gzip
import pickle
from collections import OrderedDict
from pathlib import Path

import cloudpickle
import pytest

from palate._environment.contents import find_contents

BY_VALUE = cloudpickle.dumps(lambda value: value * 2)
BY_NAME = pickle.dumps([OrderedDict(a=1), len])


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.pkl", BY_VALUE, "byte code"),
        ("a.pkl.gz", gzip.compress(BY_VALUE), "byte code"),
        ("a.pkl", BY_NAME, "data"),
        ("a.py", b"def predict(): ...", "source"),
        ("a.bin", b"\x00\x01", "unknown"),
        ("MLmodel", b"flavors: {}", "unknown"),
    ],
)
def test_what_a_file_holds(tmp_path: Path, name: str, content: bytes, expected: str) -> None:
    """Functions in a pickle are byte code; a pickle that only names things is data for every Python."""
    (tmp_path / name).write_bytes(content)
    assert find_contents(tmp_path, [name]) == expected


def test_the_most_telling_file_decides(tmp_path: Path) -> None:
    """Source text beside byte code runs on one version only."""
    (tmp_path / "code").mkdir()
    (tmp_path / "a.pkl").write_bytes(BY_VALUE)
    (tmp_path / "b.pkl").write_bytes(BY_NAME)
    assert find_contents(tmp_path, []) == "data"
    assert find_contents(tmp_path, ["code/"]) == "source"
    assert find_contents(tmp_path, ["b.pkl", "code/"]) == "source"
    assert find_contents(tmp_path, ["code/", "a.pkl", "b.pkl"]) == "byte code"


def test_what_cannot_be_looked_at_is_unknown(tmp_path: Path) -> None:
    """A path that leaves the directory, a file that is gone, a pickle that takes too long to read."""
    with (tmp_path / "large.pkl").open("wb") as file:
        file.write(BY_VALUE)
        file.truncate(64 << 20)
    for name in ("../a.pkl", "gone.pkl", "large.pkl"):
        assert find_contents(tmp_path, [name]) == "unknown"


def test_a_module_of_torch_is_looked_into(tmp_path: Path) -> None:
    """torch.save writes an archive with the pickle in it."""
    torch = pytest.importorskip("torch")
    torch.save(torch.nn.Linear(2, 1), tmp_path / "named.pth")
    torch.save(lambda value: value, tmp_path / "by_value.pth", pickle_module=cloudpickle)
    assert find_contents(tmp_path, ["named.pth"]) == "data"
    assert find_contents(tmp_path, ["by_value.pth"]) == "byte code"

"""What a pickle refers to, found without running it."""

from __future__ import annotations

import bz2
import collections
import decimal
import gzip
import lzma
import pickle
import xml.dom.minidom
import zipfile
from pathlib import Path

import cloudpickle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate._code.pickles import pickle_globals, pickle_modules

MODELS = Path(__file__).parent / "data" / "mlflow_models"


class Bomb:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[object, ...]:
        return open, (self.path, "w")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_globals_are_found_in_every_protocol(protocol) -> None:
    """GLOBAL of the old protocols and STACK_GLOBAL of the new ones are both read."""
    written = pickle.dumps([collections.OrderedDict(a=1), decimal.Decimal(1)], protocol=protocol)
    assert {"collections", "decimal"} <= pickle_modules(written)


def test_names_are_found_through_the_memo() -> None:
    """A module name that is pickled once and fetched again later still counts for both classes."""
    written = pickle.dumps([collections.OrderedDict(), collections.Counter(), collections.deque()], protocol=4)
    assert pickle_globals(written) == {("collections", n) for n in ("OrderedDict", "Counter", "deque")}


def test_modules_that_functions_use_are_found() -> None:
    """cloudpickle writes a module that a function uses as a call to subimport."""
    assert "xml.dom.minidom" in pickle_modules(cloudpickle.dumps(lambda text: xml.dom.minidom.parseString(text)))


def test_nothing_is_executed(tmp_path) -> None:
    """A pickle that would open a file only has its names read."""
    written = pickle.dumps(Bomb(tmp_path / "marker"))
    assert pickle_globals(written) <= {("io", "open"), ("_io", "open")}
    assert pickle_modules(written)
    assert not (tmp_path / "marker").exists()


def test_a_second_name_hidden_by_put_and_get_is_found() -> None:
    """Hand-made opcodes that fetch both names of a STACK_GLOBAL from the memo do not hide it."""
    hidden = b"\x80\x04\x8c\x02osq\x00\x8c\x06systemq\x010h\x00h\x01\x93."
    assert pickle_globals(hidden) == {("os", "system")}


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_compressed_pickles_are_read(pack, tmp_path) -> None:
    """Whatever a file is called, its first bytes tell the compression."""
    file = tmp_path / "python_model.pkl"
    file.write_bytes(pack(pickle.dumps(collections.OrderedDict())))
    assert pickle_modules(file) == {"collections"}


def test_a_truncated_compressed_pickle_gives_what_was_found(tmp_path) -> None:
    """Damage inside the compression is the end of the pickle, not an error."""
    file = tmp_path / "python_model.pkl"
    packed = gzip.compress(pickle.dumps([collections.OrderedDict(), list(range(10_000))]))
    file.write_bytes(packed[: len(packed) // 2])
    assert pickle_modules(file) <= {"collections"}


def test_pickles_of_stock_mlflow(subtests) -> None:
    """The names that MLflow's pickles are known to hold are all found."""
    expected = {
        "pyf_class_nosig": {"mlflow.pyfunc.model", "mlflow.models.signature", "cloudpickle.cloudpickle"},
        "pyf_function_with_signature": {"mlflow.pyfunc.model", "mlflow.types.schema"},
        "pyf_hint_pydantic": {"mlflow.pyfunc.utils.data_validation", "mlflow.exceptions", "pydantic.main"},
    }
    for name, modules in expected.items():
        with subtests.test(name):
            assert modules <= pickle_modules(MODELS / name / "model" / "python_model.pkl")


@given(st.binary(max_size=300))
def test_any_bytes_give_a_set(content) -> None:
    """Noise is never an error."""
    assert isinstance(pickle_modules(content), set)


@given(st.data())
def test_damaged_pickles_give_a_set(data) -> None:
    """A real pickle cut short or with one byte changed gives what was found."""
    whole = bytearray(cloudpickle.dumps(lambda text: xml.dom.minidom.parseString(text)))
    place = data.draw(st.integers(0, len(whole) - 1))
    cut = bytes(whole[:place])
    whole[place] = data.draw(st.integers(0, 255))
    assert isinstance(pickle_modules(cut), set)
    assert isinstance(pickle_modules(bytes(whole)), set)


def zipped(path: Path, **members: bytes) -> Path:
    """Write an archive as torch.save does, one folder in it."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"archive/{name.replace('_pkl', '.pkl')}", content)
    return path


def test_the_pickle_in_a_zip_of_torch_is_read(tmp_path) -> None:
    """torch.save writes a zip around its pickle; TorchScript's own archives refer to code that they bring."""
    referring = pickle.dumps(collections.OrderedDict(a=1))
    assert pickle_modules(zipped(tmp_path / "m.pth", data_pkl=referring, version=b"3")) == {"collections"}
    assert pickle_modules(zipped(tmp_path / "s.pth", data_pkl=referring, constants_pkl=referring)) == set()
    whole = (tmp_path / "m.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[:-30])
    assert pickle_modules(tmp_path / "cut.pth") == set()

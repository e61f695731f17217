"""Predictions that have no form in a container are refused, and packages that are missing are named."""

from __future__ import annotations

import subprocess
import sys
from collections import UserDict
from typing import Any, get_args

import numpy as np
import pytest

from palate._outputs.container import Container, check_container
from palate._outputs.conversion import convert_output
from palate.errors import InvalidOption, UnsupportedOutput
from palate.schema import Schema

pd = pytest.importorskip("pandas")

FRAMES = ("pandas", "polars", "arrow")


MATRIX = np.arange(6.0).reshape(3, 2)


VECTOR = np.array([0.5, 1.5, 2.5])


def convert(predictions: object, container: str, *, schema: Schema | None = None, given: object = None) -> Any:
    """Convert what a model's predict returned."""
    return convert_output(predictions, container, method="predict", schema=schema, given=given)


class Tensor:
    """An array of a package that nobody has heard of."""

    def __init__(self, array: Any) -> None:
        self.array, self.shape = array, array.shape

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.array


def test_unknown_containers_are_refused() -> None:
    """The error names the choices, which are the containers that exist."""
    for name in get_args(Container):
        check_container(name)
    choices = "pass output='pandas' or output='polars' or output='arrow' or output='numpy'"
    for wrong in ("Pandas", "", "list"):
        with pytest.raises(InvalidOption, match=rf"^output: '{wrong}' is no container. Hint: {choices}"):
            convert(VECTOR, wrong)
    with pytest.raises(InvalidOption, match="a DataFrame is no container"):
        check_container(pd.DataFrame({"a": ["seven"]}))


@pytest.mark.parametrize(
    ("predictions", "containers", "reason"),
    [
        (None, get_args(Container), "NoneType is neither an array nor a table"),
        (object(), get_args(Container), "object is neither an array nor a table"),
        ({"a": VECTOR, "b": VECTOR[:2]}, FRAMES, r"differ in their number of rows \(a: 3, b: 2\)"),
        ({"a_0": VECTOR, "a": MATRIX}, FRAMES, "several columns would be called a_0"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), get_args(Container), "several columns would be called a"),
        (np.ma.masked_array([1, 7], [0, 1]), FRAMES, "masked values"),
        (np.array([1j]), ("polars",), "polars has no type for the values of predict"),
        (np.array([1j]), ("arrow",), "arrow has no type for values like these"),
        ([1, "seven"], ("polars", "arrow"), "has no type for values like these"),
        ([2**70], ("arrow",), "has no type for values like these"),
        (np.array([1], "M8[ps]"), ("polars", "arrow"), "cannot hold exactly"),
    ],
)
def test_what_has_no_form_is_refused(predictions: Any, containers: tuple[str, ...], reason: str) -> None:
    """Nothing is dropped or forced; the error says why, tells the way out, and shows no value."""
    for container in containers:
        with pytest.raises(UnsupportedOutput, match=reason) as failure:
            convert(predictions, container)
        assert "leave output= out" in str(failure.value)
        assert "seven" not in str(failure.value)
        assert failure.value.container == container


def test_a_list_that_holds_itself_is_refused() -> None:
    """It has no end, hence no shape, wherever it stands; one that holds itself twice is refused as quickly."""
    endless: list[Any] = []
    endless += [endless, endless]
    for predictions in (endless, [1.0, endless], {"a": [endless, 1.0]}):
        for container in get_args(Container):
            with pytest.raises(UnsupportedOutput, match="holds itself"):
                convert(predictions, container)


def test_endless_cells_crash_no_package() -> None:
    """An array of objects goes out as it is to numpy and pandas; pyarrow and polars would end the process over it."""
    record: dict[str, Any] = {}
    record["a"] = record
    cells = np.empty(1, dtype=object)
    cells[0] = record
    for predictions in (cells, pd.Series(cells)):
        assert convert(predictions, "numpy")[0] is record
        for container in ("arrow", "polars"):
            with pytest.raises(UnsupportedOutput, match="holds itself"):
                convert(predictions, container)


def test_lists_that_share_a_list_are_not_endless() -> None:
    """The same row twice is two rows."""
    row = [1, 2]
    assert convert([row, row], "arrow").to_pylist() == [{"predict_0": 1, "predict_1": 2}] * 2


@pytest.mark.parametrize("container", get_args(Container))
def test_an_error_that_no_package_raised_is_not_called_its_refusal(container: str) -> None:
    """What a model's own object raises while it is read comes through as it is, a ValueError too."""

    class Broken(UserDict[str, Any]):
        def items(self) -> Any:
            raise ValueError("a bug")

    with pytest.raises(ValueError, match=r"^a bug$"):
        convert(Broken(a=VECTOR), container)


def test_a_tensor_that_numpy_does_not_know_is_refused() -> None:
    """As bfloat16 of torch."""

    class Strange(Tensor):
        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            raise TypeError("Got unsupported ScalarType BFloat16")

    with pytest.raises(UnsupportedOutput, match="numpy has no form for this Strange"):
        convert(Strange(VECTOR), "numpy")


def run_without(package: str, code: str) -> str:
    """Run *code* where a package is not installed."""
    start = f"import sys\nsys.modules[{package!r}] = None\n"
    names = "from palate._outputs.conversion import convert_output as convert\n"
    names += "options = dict(method='predict', schema=None, given=None)\n"
    done = subprocess.run([sys.executable, "-c", start + names + code], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("package", "container", "install"),
    [
        ("pandas", "pandas", "palate[pandas]"),
        ("polars", "polars", "palate[polars]"),
        ("pyarrow", "arrow", "palate[parquet]"),
    ],
)
def test_a_package_that_is_not_there_is_named(package: str, container: str, install: str) -> None:
    """The error says what to install."""
    code = f"""
from palate.errors import DependencyMissing
try:
    convert([1.0], {container!r}, **options)
except DependencyMissing as error:
    print(error)
"""
    assert run_without(package, code).endswith(f"needs {package}. Hint: pip install {install}.")


def test_polars_needs_no_pyarrow() -> None:
    """Arrays, named outputs and pandas' frames of numbers and text become polars frames without it."""
    code = """
import numpy as np, pandas as pd
for predictions in (np.ones((2, 2)), {"a": np.ones(2), "b": ["x", "y"]}, pd.DataFrame({"a": [1.5], "b": ["x"]})):
    print(convert(predictions, "polars", **options).rows())
"""
    assert run_without("pyarrow", code).split("\n") == [
        "[(1.0, 1.0), (1.0, 1.0)]",
        "[(1.0, 'x'), (1.0, 'y')]",
        "[(1.5, 'x')]",
    ]


def test_numpy_needs_nothing_else() -> None:
    """Predictions that are arrays go out as numpy without pandas."""
    assert run_without("pandas", "print(convert([1, 2], 'numpy', **options))") == "[1 2]"

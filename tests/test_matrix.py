"""A Matrix is predicted on as the table that it stands for, by every flavor, with and without a look at the table."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from xgboost import Booster, DMatrix, XGBClassifier, train

import palate
from palate.errors import InvalidInput
from palate.matrix import Matrix
from palate.schema import ColSpec, Schema, TensorSpec
from palate.signature import Signature

NAMES = ("a", "b", "c")
ROWS = np.random.default_rng(7).normal(size=(40, 3))
TABLE = pd.DataFrame(ROWS, columns=list(NAMES))
CLASSES = (ROWS[:, 0] > ROWS[:, 1]).astype(int)


# What a column may say besides its type, for which its cells, or the whole column, are looked at.
FACTS: tuple[dict[str, Any], ...] = (
    {"minimum": 0},
    {"maximum": 9},
    {"nullable": True},
    {"nullable": False},
    {"categories": (0, 1), "closed": True},
    {"categories": (0, 1), "categorical": True},
)


def mirror(model_input: Any) -> Any:
    """Give back what it is given."""
    return model_input


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., palate.PyFuncModel]:
    """Save and open a model with a signature."""

    def save_and_load(model: object, signature: Signature | None) -> palate.PyFuncModel:
        path = tmp_path_factory.mktemp("matrix") / "m"
        palate.save_model(model, path, signature=signature)
        return palate.load_model(path, trust=True)

    return save_and_load


def of_columns(*columns: ColSpec) -> Signature:
    """Return a signature with these inputs."""
    return Signature(inputs=Schema(columns))


def numbers(type: Any, names: tuple[str, ...] = NAMES) -> Signature:
    """Return a signature of columns of one type."""
    return of_columns(*(ColSpec(type=type, name=name) for name in names))


# -- what it is --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), (3,), (2, 2), (2, 4), (3, 2), (1, 3, 1)])
def test_an_array_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    """There is a name for each column and a column for each name; the message holds no cell."""
    with pytest.raises(ValueError, match="no columns for 3 names") as caught:
        Matrix(np.full(shape, 1234567.0), NAMES)
    assert "1234567" not in str(caught.value)


def test_its_table_shares_its_memory() -> None:
    """Names, order, dtype and rows are the array's own, and no cell is copied; so it is without rows."""
    for values in (ROWS, ROWS.astype("int32"), np.asfortranarray(ROWS), ROWS[::2, ::-1], ROWS[:0]):
        matrix = Matrix(values, NAMES)
        table = matrix.to_frame()
        assert tuple(table.columns) == NAMES
        assert set(table.dtypes) == {values.dtype}
        assert len(table) == len(matrix) == len(values)
        assert not values.size or np.shares_memory(table.to_numpy(), values)
        np.testing.assert_array_equal(table.to_numpy(), values)


def test_it_shows_its_size_and_no_cells() -> None:
    """A log may hold it."""
    assert repr(Matrix(ROWS, NAMES)) == "<Matrix of 40 rows and 3 columns of float64>"


def test_without_pandas_its_table_cannot_be_made(run_python: Callable[..., Any]) -> None:
    """The error says what to install."""
    script = """
import sys
sys.modules["pandas"] = None
import numpy
from palate.errors import DependencyMissing
from palate.matrix import Matrix
try:
    Matrix(numpy.zeros((1, 1)), ("a",)).to_frame()
except DependencyMissing as exc:
    print(exc)
"""
    done = run_python(script)
    assert "palate[pandas]" in done.stdout, done.stderr


# -- which models take it as it is -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type", "dtype"), [("double", "float64"), ("float", "float32"), ("long", "int64"), ("integer", "int32")]
)
def test_it_fits_columns_of_its_own_type_only(opened: Callable[..., Any], type: Any, dtype: str) -> None:
    """In their order and under their names, in the machine's byte order."""
    model = opened(mirror, numbers(type))
    values = np.zeros((2, 3), dtype=dtype)
    assert model.fits(Matrix(values, NAMES))
    for other in {"float64", "float32", "int64", "int32", "bool", "uint8", "object", ">f8", ">i4"} - {dtype}:
        assert not model.fits(Matrix(values.astype(other), NAMES)), other
    assert not model.fits(Matrix(values, NAMES[::-1]))
    assert not model.fits(Matrix(values[:, :2], NAMES[:2]))


@pytest.mark.parametrize(
    "signature",
    [
        None,
        Signature(inputs=Schema((TensorSpec(dtype="float64", shape=(-1, 3)),))),
        of_columns(*(ColSpec(type="double") for _ in NAMES)),
        of_columns(ColSpec(type="double", name="a"), ColSpec(type="long", name="b"), ColSpec(type="double", name="c")),
        numbers("boolean"),
        numbers("string"),
        numbers("datetime"),
        *(of_columns(*(ColSpec(type="long", name=name, **facts) for name in NAMES)) for facts in FACTS),
        of_columns(*(ColSpec(type="double", name=name, nullable=False) for name in NAMES)),
    ],
    ids=[
        "none",
        "tensor",
        "nameless",
        "mixed",
        "boolean",
        "string",
        "datetime",
        *map(str, FACTS),
        "double without gaps",
    ],
)
def test_it_fits_no_other_signature(opened: Callable[..., Any], signature: Signature | None) -> None:
    """Whatever asks for a look at cells, or has no names, gets the table."""
    model = opened(mirror, signature)
    for dtype in ("float64", "int64", "bool"):
        assert not model.fits(Matrix(np.zeros((2, 3), dtype=dtype), NAMES))


def test_what_fits_needs_no_enforcing(opened: Callable[..., Any]) -> None:
    """It is handed back as it is; and where it does not fit, as the table is."""
    model = opened(mirror, numbers("double"))
    fitting = Matrix(ROWS, NAMES)
    assert model.enforce(fitting)[0] is fitting
    other = Matrix(ROWS.astype("float32"), NAMES[::-1])
    pd.testing.assert_frame_equal(model.enforce(other)[0], model.enforce(other.to_frame())[0])


# -- what comes out ----------------------------------------------------------------------------------------------------


def booster() -> Booster:
    """Train one."""
    return train({"nthread": 1, "max_depth": 2}, DMatrix(TABLE, CLASSES), num_boost_round=3)


MODELS: dict[str, Callable[[], object]] = {
    "linear": lambda: LogisticRegression().fit(TABLE, CLASSES),
    "linear of arrays": lambda: LogisticRegression().fit(ROWS, CLASSES),
    "pipeline": lambda: make_pipeline(StandardScaler(), LogisticRegression()).fit(TABLE, CLASSES),
    "table between the steps": lambda: make_pipeline(
        StandardScaler().set_output(transform="pandas"), LogisticRegression()
    ).fit(TABLE, CLASSES),
    "scaler": lambda: StandardScaler().fit(TABLE),
    "table out": lambda: StandardScaler().set_output(transform="pandas").fit(TABLE),
    "forest": lambda: RandomForestRegressor(n_estimators=5, random_state=0).fit(TABLE, ROWS.sum(axis=1)),
    "histograms": lambda: HistGradientBoostingClassifier(max_iter=5).fit(TABLE, CLASSES),
    "kernel": lambda: SVC().fit(TABLE, CLASSES),
    "xgboost": lambda: XGBClassifier(n_estimators=5, n_jobs=1).fit(TABLE, CLASSES),
    "xgboost of arrays": lambda: XGBClassifier(n_estimators=5, n_jobs=1).fit(ROWS, CLASSES),
    "linear xgboost": lambda: XGBClassifier(n_estimators=5, n_jobs=1, booster="gblinear").fit(TABLE, CLASSES),
    "booster": booster,
    "function": lambda: lambda model_input: model_input.sum(axis=1),
}


def bits(answer: Any) -> object:
    """Return what is equal only for the same type and bits."""
    if isinstance(answer, np.ndarray):
        return answer.dtype.str, answer.shape, answer.tobytes()
    return type(answer), list(answer.index), bits(answer.to_numpy())


@pytest.mark.parametrize("kind", MODELS)
def test_every_method_gives_the_same_bits_as_for_the_table(opened: Callable[..., Any], kind: str) -> None:
    """One row and many, whether the flavor takes the array or not."""
    model = opened(MODELS[kind](), numbers("double"))
    for values in (ROWS[:1], ROWS, np.repeat(ROWS, 50, axis=0)):
        matrix = Matrix(values, NAMES)
        for method in model.methods:
            given, wanted = model.call(method, matrix), model.call(method, matrix.to_frame())
            assert bits(given) == bits(wanted), method
            np.testing.assert_allclose(given, model.call(method, dict(matrix.to_frame())), rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "int64", "int32"])
@pytest.mark.parametrize("kind", ["linear", "xgboost"])
def test_other_types_of_numbers_give_the_same_bits_too(opened: Callable[..., Any], kind: str, dtype: str) -> None:
    """The types of the signature are what counts, not those that the model was trained on."""
    types = {"float32": "float", "int64": "long", "int32": "integer"}
    model = opened(MODELS[kind](), numbers(types[dtype]))
    matrix = Matrix((ROWS * 4).astype(dtype), NAMES)
    assert model.fits(matrix)
    for method in model.methods:
        assert bits(model.call(method, matrix)) == bits(model.call(method, matrix.to_frame())), method


@pytest.mark.parametrize("kind", ["linear", "xgboost", "booster", "pipeline"])
def test_a_signature_in_another_order_than_the_model_fails_alike(opened: Callable[..., Any], kind: str) -> None:
    """The array is not taken where the model would find its columns by their names, or refuse them."""
    model = opened(MODELS[kind](), numbers("double", NAMES[::-1]))
    matrix = Matrix(ROWS, NAMES[::-1])
    assert model.fits(matrix)
    outcomes = []
    for data in (matrix, matrix.to_frame()):
        try:
            outcomes.append(bits(model.predict(data)))
        except Exception as exc:
            outcomes.append((type(exc), str(exc)))
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("dtype", ["float32", "int32", "int64", "bool"])
def test_what_does_not_fit_is_converted_as_its_table(opened: Callable[..., Any], dtype: str) -> None:
    """Narrower numbers, another order and more columns are what a table may have too."""
    model = opened(mirror, numbers("double"))
    matrix = Matrix(np.ones((2, 4), dtype=dtype), ("more", *NAMES[::-1]))
    if dtype == "bool":
        with pytest.raises(InvalidInput):
            model.predict(matrix)
    else:
        pd.testing.assert_frame_equal(model.predict(matrix), model.predict(matrix.to_frame()))


def test_problems_are_those_of_the_table(opened: Callable[..., Any]) -> None:
    """A missing column is named; 64 bits are not cut."""
    model = opened(mirror, numbers("long"))
    with pytest.raises(InvalidInput, match=r"inputs\.c"):
        model.predict(Matrix(np.zeros((1, 2), dtype="int64"), NAMES[:2]))
    with pytest.raises(InvalidInput, match=r"inputs\.a"):
        model.predict(Matrix(np.full((1, 3), 1.7), NAMES))


def test_a_model_without_a_signature_gets_the_table(opened: Callable[..., Any]) -> None:
    """Nothing says that the array would do."""
    pd.testing.assert_frame_equal(opened(mirror, None).predict(Matrix(ROWS, NAMES)), TABLE)


def test_every_way_to_ask_takes_it(opened: Callable[..., Any]) -> None:
    """Awaited, in batches, by name, and with the predictions in a container."""
    model = opened(MODELS["linear"](), numbers("double"))
    matrix, wanted = Matrix(ROWS, NAMES), model.predict(TABLE)
    np.testing.assert_array_equal(asyncio.run(model.apredict(matrix)), wanted)
    batches = [Matrix(ROWS[:9], NAMES), Matrix(ROWS[9:], NAMES)]
    np.testing.assert_array_equal(np.concatenate(list(model.predict_batches(batches))), wanted)
    named = model.predict(matrix, output="pandas")
    assert list(named.index) == list(range(40))
    pd.testing.assert_frame_equal(named, model.predict(TABLE, output="pandas"))
    with pytest.raises(InvalidInput, match="iterable of batches, got one Matrix"):
        model.predict_batches(matrix)


def test_a_function_that_changes_its_table_leaves_the_next_one_alone(
    opened: Callable[..., Any], tmp_path: Path
) -> None:
    """The array is the model's to change, as a table's cells are; names are made anew each time."""

    def drop(model_input: Any) -> Any:
        model_input["d"] = 0.0
        return model_input.pop("a")

    model = opened(drop, numbers("double"))
    matrix = Matrix(ROWS.copy(), NAMES)
    for _ in range(2):
        np.testing.assert_array_equal(model.predict(matrix), ROWS[:, 0])
    assert matrix.columns == NAMES

"""Checks: what a server stands on, and the way of a request through it."""

from __future__ import annotations

import importlib.util
import itertools
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from palate._containers.kinds import is_dataframe, is_ndarray, is_series
from palate._flavor import Flavor
from palate._late import LateModule
from palate._stored.snapshots import snapshot
from palate.codecs import plain
from palate.matrix import Matrix
from palate.pyfunc import PyFuncModel
from palate.testing._asgi import Response, post_json
from palate.testing._predictions import Answer, NoRows, answer_of, count_rows, take_rows, unwarned
from palate.testing._subject import Saved, Subject

if TYPE_CHECKING:
    from palate import serving
else:
    serving = LateModule("palate.serving")

__all__ = ["ServingChecks"]

# What palate[serve] brings, without which a server cannot be made.
_PACKAGES = ("uvicorn", "httptools", "starlette", "orjson", "prometheus_client")
_NUMBERS = ("float32", "float64", "int32", "int64")
# Sums over other numbers of rows are rounded in another order, and JSON has one width of numbers.
_RTOL, _ATOL = 1e-5, 1e-6


class ServingChecks(Subject):
    """A server answers as the model does."""

    def test_rows_are_independent_if_the_flavor_says_so(self, saved: Saved) -> None:
        """Where the flavor says that rows are independent, by any method a row gets the same answer alone as among
        others: a server predicts the requests of several clients in one call."""
        model = saved.loaded
        said = [method for method in model.methods if model.rows_are_independent(method)]
        if self.rows_are_independent is False:
            told = "rows_are_independent is False here, and the hook of that name says True of"
            assert not said, f"{told} {', '.join(said)}: a server would join requests"
        if not said:
            pytest.skip("the hook rows_are_independent says False: requests are not joined")
        try:
            rows = [take_rows(saved.rows(), [row]) for row in range(count_rows(saved.sample))]
        except NoRows as exc:
            pytest.skip(str(exc))
        with unwarned():
            for method in said:
                self._agree_row_by_row(saved, method, rows)

    def test_array_is_predicted_as_its_table(self, saved: Saved, activated: Flavor) -> None:
        """Where the flavor takes the array of a table, it answers with the same bits as to the table: a server makes
        no table then."""
        if "takes_array" not in activated.hooks:
            pytest.skip("the flavor has no hook takes_array, and always gets the table")
        whole = _matrix_of(saved)
        tables = (whole, Matrix(whole.values[:1], whole.columns), _repeated(whole, 300))
        for method, rows in itertools.product(saved.loaded.methods, tables):
            with unwarned():
                given, wanted = (_bits_of(saved.loaded, method, data) for data in (rows, rows.to_frame()))
            assert given == wanted, f"{method}: {len(rows)} rows differ"

    def test_server_answers_as_the_model(self, saved: Saved) -> None:
        """Posted as JSON to a server in this process, the sample gets the predictions of the model itself, by every
        method: whoever saves a model may serve it."""
        if missing := [package for package in _PACKAGES if importlib.util.find_spec(package) is None]:
            pytest.skip(f"palate[serve] is not installed: {', '.join(missing)}")
        inputs, model = _as_json(saved.rows()), saved.loaded
        app = serving.create_app(model, serving.ServingSettings(name="model", access_log="off"))
        paths = {method: f"/models/model/{quote(method, safe='')}" for method in model.methods}
        with unwarned():
            responses = post_json(app, {path: {"inputs": inputs} for path in paths.values()}, seconds=self.patience_s)
            for method, path in paths.items():
                self._agree_with_response(saved, method, responses[path])

    def _agree_with_response(self, saved: Saved, method: str, response: Response) -> None:
        """Fail unless a server answered to the sample as the model does, with an error where that raises one."""
        error = answer_of(saved.loaded, method, saved.rows()).error
        if error is not None:
            assert response.status >= 400, f"{method}: the model raises {error}, the server answered {response}"
            return
        assert response.status == 200, f"{method}: the server answered {response.status}, {response.document}"
        direct = Answer(snapshot(_comparable(saved.loaded.call(method, saved.rows()))))
        given = Answer(snapshot(response.document["predictions"]))
        self.assert_same(direct, given, **self._tolerance(), about=f"{method}: ")

    def _tolerance(self) -> dict[str, float]:
        return {"rtol": max(self.rtol, _RTOL), "atol": max(self.atol, _ATOL)}

    def _agree_row_by_row(self, saved: Saved, method: str, rows: list[Any]) -> None:
        """Fail unless each row alone gets its part of the answer to all; what is no answer by rows is never joined."""
        if answer_of(saved.loaded, method, saved.rows()).error is not None:
            return
        whole = _outputs(saved.loaded.call(method, saved.rows()))
        try:
            if count_rows(whole) != len(rows):
                return
        except NoRows:
            return
        for number, row in enumerate(rows):
            wanted = Answer(snapshot(take_rows(whole, [number])))
            alone = Answer(snapshot(_outputs(saved.loaded.call(method, row))))
            self.assert_same(wanted, alone, **self._tolerance(), about=f"{method}, row {number}: ")


def _outputs(answer: Any) -> Any:
    """Return several arrays, one for each output of a model, as a dict of them."""
    if isinstance(answer, tuple) or (isinstance(answer, list) and all(getattr(part, "ndim", 0) for part in answer)):
        return {str(number): part for number, part in enumerate(answer)}
    return answer


def _matrix_of(saved: Saved) -> Matrix:
    """Return the sample as a Matrix that the model takes as it is."""
    sample = saved.sample
    if not is_dataframe(sample) or len({str(dtype) for dtype in sample.dtypes}) != 1:
        pytest.skip("the sample is no DataFrame whose columns have one dtype")
    if str(sample.dtypes.iloc[0]) not in _NUMBERS:
        pytest.skip(f"the sample's columns are none of {', '.join(_NUMBERS)}")
    matrix = Matrix(sample.to_numpy(copy=True), tuple(sample.columns))
    if not saved.loaded.fits(matrix):
        pytest.skip("the signature asks for more than columns of numbers by name")
    return matrix


def _repeated(matrix: Matrix, times: int) -> Matrix:
    import numpy

    return Matrix(numpy.tile(matrix.values, (times, 1)), matrix.columns)


def _bits_of(model: PyFuncModel, method: str, data: object) -> object:
    """Return what a method answers in a form that is equal only for the same bits, or the type of its error."""
    try:
        answer = model.call(method, data)
    except Exception as exc:
        return type(exc)
    if is_ndarray(answer) and answer.dtype != object:
        return answer.dtype.str, answer.shape, answer.tobytes()
    return type(answer), snapshot(answer)


def _as_json(sample: Any) -> Any:
    """Return the sample as a client writes it: a table as records, an array as nested lists."""
    if is_dataframe(sample) and not all(isinstance(label, str) for label in sample.columns):
        pytest.skip("the sample's columns have other names than text, which JSON has not")
    rows = sample.to_pylist() if hasattr(sample, "to_pylist") else sample
    rows = rows.to_dicts() if hasattr(rows, "to_dicts") else rows
    if hasattr(rows, "numpy"):  # a tensor
        rows = rows.numpy()
    if not is_dataframe(sample) and any(isinstance(cell, float) and not math.isfinite(cell) for cell in _cells(rows)):
        pytest.skip("the sample holds NaN or infinite numbers, which JSON has not")
    if any(isinstance(cell, complex) for cell in _cells(rows)):
        pytest.skip("the sample holds complex numbers, which JSON has not")
    return plain(rows)


def _cells(data: Any) -> list[Any]:
    """Return the single values in lists, dicts and arrays."""
    if hasattr(data, "toarray"):
        data = data.toarray()
    if hasattr(data, "tolist"):
        data = data.tolist()
    if isinstance(data, Mapping):
        data = list(data.values())
    return [cell for part in data for cell in _cells(part)] if isinstance(data, list | tuple) else [data]


def _comparable(prediction: Any) -> Any:
    """Return a prediction as JSON has it in the server's shapes, of which that of a Series is a record for each row."""
    if is_series(prediction):
        name = "0" if prediction.name is None else str(prediction.name)
        return [{name: cell} for cell in plain(prediction.tolist())]
    for convert in ("detach", "numpy", "to_pylist", "to_dicts"):
        if hasattr(prediction, convert):
            prediction = getattr(prediction, convert)()
    return plain(prediction)

"""Checks: few rows, many rows, and rows of the wrong kind."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from palate._containers.kinds import is_dataframe
from palate._stored.snapshots import snapshot
from palate.errors import InvalidInput, InvalidSignature, UnsupportedModel
from palate.schema import Schema
from palate.testing._predictions import Answer, NoRows, answer_of, count_rows, take_rows
from palate.testing._processes import Worker
from palate.testing._subject import Saved, Subject
from palate.testing._tasks import measure_batches

__all__ = ["InputChecks"]

_MANY = 50_000
_BATCH_BYTES = 512 << 10
_BATCHES = 48
_ALLOWED_GROWTH = 8 << 20


class InputChecks(Subject):
    """A model takes what its signature says, however much of it."""

    def test_signature_is_inferred(self, saved: Saved) -> None:
        """A signature is inferred from the example, inputs and outputs: the API of the model is made from it."""
        signature = saved.loaded.signature
        assert signature is not None
        assert signature.inputs is not None, "no inputs"
        assert signature.outputs is not None, "no outputs"

    def test_wrong_input_is_refused(self, saved: Saved) -> None:
        """Input that does not fit is refused before the framework sees it, with the error that callers catch."""
        for wrong in (object(), {"no such column": [object()]}):  # text may well be what a model takes
            with pytest.raises(InvalidInput):
                saved.loaded.predict(wrong)

    def test_missing_column_is_named(self, saved: Saved) -> None:
        """A column of a DataFrame is required, and is named when it is missing: nobody finds one of 600 by
        'shape mismatch'."""
        if not is_dataframe(saved.sample) or not hasattr(saved.sample, "drop"):
            pytest.skip("the sample is no DataFrame of pandas")
        if not all(isinstance(label, str) for label in saved.sample.columns):
            pytest.skip("the sample's columns have numbers for names, or other labels")
        signature = saved.loaded.signature
        named = _required_columns(signature.inputs if signature else None)
        assert named, "the signature requires none of the columns by name"
        with pytest.raises(InvalidInput, match=re.escape(named[0])):
            saved.loaded.predict(saved.rows().drop(columns=[named[0]]))

    def test_empty_input_is_answered_alike(self, saved: Saved) -> None:
        """No rows at all are answered, or refused, as the original does it: a filter may well leave none."""
        empty = self._take(saved, [])
        method = saved.loaded.default_method
        wanted = answer_of(saved.original, method, empty)
        if not wanted.is_known:  # only loaded models predict: two of them have to agree
            wanted = answer_of(saved.load(), method, empty)
        self.assert_same(wanted, answer_of(saved.loaded, method, empty))

    def test_one_row_is_predicted_as_among_others(self, saved: Saved) -> None:
        """One row by itself gets the prediction that it gets among others: real-time and batch have to agree."""
        whole = self._whole(saved)
        first = saved.loaded.predict(self._take(saved, [0]))
        self._assert_same_rows(take_rows(whole, [0]), first)

    def test_many_rows_are_predicted_alike(self, saved: Saved) -> None:
        """Fifty thousand rows get the predictions that the few get: blocks, threads and batch sizes do not show."""
        whole = self._whole(saved)
        count = self._rows_of(whole)
        numbers = [number % count for number in range(_MANY)]
        given = saved.loaded.predict(self._take(saved, numbers))
        assert self._rows_of(given) == _MANY
        last = list(range(_MANY - count, _MANY))
        wanted = take_rows(whole, [numbers[number] for number in last])
        self._assert_same_rows(wanted, take_rows(given, last))

    def test_memory_stays_flat(self, saved: Saved, worker: Worker) -> None:
        """Batch after batch the process stays as large as it was, or a long job would end for want of memory."""
        row = self._take(saved, [0])
        rows = max(1, min(_MANY // 5, _BATCH_BYTES // max(1, _size_of(row))))
        batch = self._take(saved, [number % self._rows_of(saved.sample) for number in range(rows)])
        doing = "load the model and predict many batches"
        grown = worker.call(doing, measure_batches, saved.path, saved.options, batch, _BATCHES)
        assert grown < _ALLOWED_GROWTH, f"grew by {grown >> 20} MiB while {_BATCHES} batches were predicted"

    def test_batches_are_predicted_alike(self, saved: Saved) -> None:
        """Rows that come in batches get the predictions that they get at once, in the same order."""
        whole = self._whole(saved)
        batches = [self._take(saved, [row]) for row in range(self._rows_of(whole))]
        for row, given in enumerate(saved.load().predict_batches(iter(batches))):
            self._assert_same_rows(take_rows(whole, [row]), given)

    def test_awaited_prediction_is_the_same(self, saved: Saved) -> None:
        """Awaited in an event loop, the model predicts the same: asynchronous servers call it so."""
        given = asyncio.run(saved.loaded.apredict(saved.rows()))
        self.assert_same(saved.answer, Answer(snapshot(given)))

    def test_model_without_example_loads(self, saved: Saved, tmp_path: Path) -> None:
        """A model may be saved without an example: not everybody has one at hand, and then nothing is proved by it."""
        try:
            bare = self.save(saved.native, None, tmp_path / "model", signature=saved.loaded.signature)
        except (InvalidSignature, UnsupportedModel) as exc:
            pytest.skip(f"the flavor needs an example: {exc}")
        self.assert_predicts_the_same(saved, bare.loaded)

    def _whole(self, saved: Saved) -> Any:
        """Return the predictions for the sample, of a model that gives each row its own."""
        told = self.rows_are_independent
        if told is False or (told is None and not saved.loaded.rows_are_independent(saved.loaded.default_method)):
            pytest.skip("rows_are_independent is False: a row's prediction may depend on the others")
        whole = saved.loaded.predict(saved.rows())
        if self._rows_of(whole) != self._rows_of(saved.sample):
            pytest.skip("the model does not predict row by row")
        return whole

    def _take(self, saved: Saved, rows: list[int]) -> Any:
        try:
            return take_rows(saved.rows(), rows)
        except NoRows as exc:
            pytest.skip(str(exc))

    def _rows_of(self, data: Any) -> int:
        try:
            return count_rows(data)
        except NoRows as exc:
            pytest.skip(str(exc))

    def _assert_same_rows(self, wanted: Any, given: Any) -> None:
        # Matrix products of other sizes are summed up in another order.
        rtol, atol = max(self.rtol, 1e-5), max(self.atol, 1e-6)
        self.assert_same(Answer(snapshot(wanted)), Answer(snapshot(given)), rtol=rtol, atol=atol)


def _required_columns(inputs: Schema | None) -> list[str]:
    columns = inputs.columns if inputs is not None and inputs.is_named and not inputs.is_tensor else ()
    return [column.name for column in columns if column.required and isinstance(column.name, str)]


def _size_of(row: Any) -> int:
    """Return about how many bytes one row takes."""
    if isinstance(row, dict):
        return sum(_size_of(part) for part in row.values())
    if hasattr(row, "memory_usage"):
        usage = row.memory_usage(index=False, deep=True)
        return int(usage.sum() if hasattr(usage, "sum") else usage)
    return int(getattr(row, "nbytes", 64))

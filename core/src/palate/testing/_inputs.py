"""Checks: few rows, many rows, and rows of the wrong kind."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from palate._containers.kinds import is_dataframe
from palate._stored.differences import differences
from palate._stored.snapshots import snapshot
from palate.errors import InvalidInput, InvalidSignature, UnsupportedModel
from palate.schema import Schema
from palate.testing._predictions import Answer, NoRows, answer_of, count_rows, take_rows
from palate.testing._processes import Worker
from palate.testing._subject import Saved, Subject

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
        for wrong in (object(), {"no such column": ["x"]}, "text"):
            with pytest.raises(InvalidInput):
                saved.loaded.predict(wrong)

    def test_missing_column_is_named(self, saved: Saved) -> None:
        """A column of a DataFrame is required, and is named when it is missing: nobody finds one of 600 by
        'shape mismatch'."""
        if not is_dataframe(saved.sample) or not hasattr(saved.sample, "drop"):
            pytest.skip("the sample is no DataFrame of pandas")
        signature = saved.loaded.signature
        named = _required_columns(signature.inputs if signature else None)
        assert named, "the signature requires none of the columns by name"
        with pytest.raises(InvalidInput, match=re.escape(named[0])):
            saved.loaded.predict(saved.rows().drop(columns=[named[0]]))

    def test_empty_input_is_answered_alike(self, saved: Saved) -> None:
        """No rows at all are answered, or refused, as the original does it: a filter may well leave none."""
        empty = self._take(saved, [])
        method = saved.loaded.default_method
        original = answer_of(saved.original, method, empty)
        if original.is_known:
            self.assert_same(original, answer_of(saved.loaded, method, empty))
        else:
            answer_of(saved.loaded, method, empty)

    def test_one_row_is_predicted_as_among_others(self, saved: Saved) -> None:
        """One row by itself gets the prediction that it gets among others: real-time and batch have to agree."""
        rows = saved.rows()
        whole = saved.loaded.predict(rows)
        if self._rows_of(whole) != self._rows_of(rows):
            pytest.skip("the model does not predict row by row")
        first = saved.loaded.predict(self._take(saved, [0]))
        assert not differences(snapshot(take_rows(whole, [0])), snapshot(first), **self._row_tolerance())

    def test_many_rows_are_predicted_alike(self, saved: Saved) -> None:
        """Fifty thousand rows get the predictions that the few get: blocks, threads and batch sizes do not show."""
        rows = saved.rows()
        count = self._rows_of(rows)
        whole = saved.loaded.predict(rows)
        if self._rows_of(whole) != count:
            pytest.skip("the model does not predict row by row")
        numbers = [number % count for number in range(_MANY)]
        given = saved.loaded.predict(self._take(saved, numbers))
        assert self._rows_of(given) == _MANY
        last = list(range(_MANY - count, _MANY))
        wanted = take_rows(whole, [numbers[number] for number in last])
        assert not differences(snapshot(wanted), snapshot(take_rows(given, last)), **self._row_tolerance())

    def test_memory_stays_flat(self, saved: Saved, worker: Worker) -> None:
        """Batch after batch the process stays as large as it was, or a long job would end for want of memory."""
        row = self._take(saved, [0])
        rows = max(1, min(_MANY // 5, _BATCH_BYTES // max(1, _size_of(row))))
        batch = self._take(saved, [number % self._rows_of(saved.sample) for number in range(rows)])
        grown = worker.call("measure_batches", saved.path, saved.options, batch, _BATCHES)
        assert grown < _ALLOWED_GROWTH, f"grew by {grown >> 20} MiB while {_BATCHES} batches were predicted"

    def test_batches_are_predicted_alike(self, saved: Saved) -> None:
        """Rows that come in batches get the predictions that they get at once, in the same order."""
        whole = saved.loaded.predict(saved.rows())
        count = self._rows_of(saved.sample)
        if self._rows_of(whole) != count:
            pytest.skip("the model does not predict row by row")
        batches = [self._take(saved, [row]) for row in range(count)]
        for row, given in enumerate(saved.load().predict_batches(iter(batches))):
            assert not differences(snapshot(take_rows(whole, [row])), snapshot(given), **self._row_tolerance())

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

    def _row_tolerance(self) -> dict[str, float]:
        # Matrix products of other sizes are summed up in another order.
        return {"rtol": max(self.rtol, 1e-5), "atol": max(self.atol, 1e-6)}


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

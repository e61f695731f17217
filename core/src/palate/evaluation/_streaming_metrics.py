"""Rows that are too many to hold, summed up as they pass: sums exactly, scores and errors in fine bins.

The edges of bins come from the rows that were held before memory was used up: each bin had about as many of those, and
each value its own where there were few. Intervals come from groups of rows (``_grouped_bootstrap``).
"""

from __future__ import annotations

from typing import Final, Generic, TypeVar

import numpy as np

from palate.evaluation._binning import Bins, quantile_bins
from palate.evaluation._class_outcome import ClassOutcome, averages_of_absent, why_undefined
from palate.evaluation._grouped_bootstrap import Groups, count_in_bins, metrics_of_bins
from palate.evaluation._label_outcome import LabelOutcome, why_no_areas
from palate.evaluation._metrics import Bootstrap, MeasuredMetrics, make_metrics, shifted
from palate.evaluation._number_outcome import NumberOutcome, why_no_r2
from palate.evaluation._outcomes import Array, Outcome, Remarks, Undefined, Values, counted_as_zero
from palate.evaluation._resampling import MIN_ROWS

__all__ = ["StreamingMetrics"]

_Rows = TypeVar("_Rows", ClassOutcome, LabelOutcome, NumberOutcome)
_FINE: Final = 1 << 16
"""Bins of each curve: ROC AUC is off by some 1e-5, and both sides take 1 MiB."""
_FEWER: Final = 1 << 12
"""Bins of each curve where there are many, and of each slice: 64 KiB for both sides."""
_MANY_CURVES: Final = 20
"""More curves than this have fewer bins, and none in slices."""
_MAX_CURVES: Final = 100
"""More curves than this have no intervals: each would be counted in a thousand groups."""
_NOT_COUNTED: Final = "No value: rows were too many to hold."


class StreamingMetrics(Generic[_Rows]):
    """Rows of one task as they pass.

    Attributes:
        rows: how many there were.

    Args:
        first: some rows from which the edges of bins are taken; ``add`` is called with them too.
        bootstrap: how intervals are made.
        whole: what all rows are counted in, if these are only a part of them: scores of a part are counted in wider
            bins, and have no intervals.
    """

    def __init__(self, first: _Rows, bootstrap: Bootstrap, *, whole: StreamingMetrics[_Rows] | None = None) -> None:
        rankings, errors = first.rankings(), first.absolute_errors()
        count = len(rankings) + len(errors)
        self.rows = 0
        self._unknown: set[int] = set()
        self.score_bins: list[Bins] = []
        self.error_bins: list[Bins] = []
        self._bootstrap = bootstrap
        self._ranked = whole is None and count <= _MAX_CURVES
        self._groups = Groups(first, seed=bootstrap.seed, ranked=self._ranked)
        if whole is None:
            bins = _FINE if count <= _MANY_CURVES else _FEWER
            self.score_bins = [quantile_bins(scores, bins, 1) for _truth, scores in rankings]
            self.error_bins = [quantile_bins(values, bins, 1) for values in errors]
        elif count <= _MANY_CURVES:
            self.score_bins = [bins.wider(_FEWER) for bins in whole.score_bins]
            self.error_bins = [bins.wider(_FEWER) for bins in whole.error_bins]
        self._classes = len(first.classes) if isinstance(first, ClassOutcome) else 0
        self._greatest = np.zeros(len(errors))

    def add(self, outcome: _Rows) -> None:
        """Add rows."""
        if not len(outcome):
            return
        self.rows += len(outcome)
        if isinstance(outcome, ClassOutcome):
            self._meet_classes(outcome)
        self._groups.add(outcome, self._groups.deal(len(outcome)))
        count_in_bins(outcome, np.zeros(len(outcome), dtype=np.int64), self.score_bins, self.error_bins)
        if errors := outcome.absolute_errors():
            self._greatest = np.maximum(self._greatest, [values.max() for values in errors])

    def measure(self, form: _Rows, order: Array | None = None) -> MeasuredMetrics:
        """Return the figures of all rows.

        Args:
            form: without rows; it says how the figures follow.
            order: of classes, the code under which each one of *form* was met.
        """
        if self._groups.sums is None:
            return MeasuredMetrics(metrics=())
        if order is not None:
            self._sort_classes(order)
        total = self._groups.sums.sum(axis=0, keepdims=True)
        found = form.values(total) | metrics_of_bins(self.score_bins, self.error_bins, np.ones((1, 1)))
        values = {name: float(each[0]) for name, each in found.items()}
        if len(self._greatest):
            values["max_error"] = float(np.mean(self._greatest))
        samples, reason = self._sample(form, values)
        undefined = self._undefined(form, total[0], values)
        return make_metrics(form, values, undefined, samples, reason, self._bootstrap, _remarks(form, total[0]))

    def coarseness(self) -> list[str]:
        """Return how far bins may be off, one sentence for each kind of metric that comes from them."""
        notes = []
        if self.score_bins:
            count = max(len(bins.edges) for bins in self.score_bins)
            off = max(map(_most_misplaced, self.score_bins))
            notes.append(f"Scores were counted in {count:,} bins: ROC AUC is off by at most {off:.1g}.")
        if self.error_bins:
            width = max(map(_middle_width, self.error_bins))
            notes.append(f"The median error comes from bins: it is off by at most {width:.1g}.")
        return notes

    def _sample(self, form: _Rows, values: dict[str, float]) -> tuple[Values, str]:
        if not self._bootstrap.resamples:
            return {}, ""
        if self.rows < MIN_ROWS:
            return {}, f"No interval: there are fewer than {MIN_ROWS} rows."
        samples = self._groups.resample(form, self._bootstrap.resamples)
        reason = "" if self._ranked else "No interval: rows were too many to hold."
        return shifted(samples, self._groups.binned(), values), reason

    def _undefined(self, form: _Rows, total: Array, values: dict[str, float]) -> Undefined:
        """Return why metrics have no value: the data has none, or nothing was counted for them."""
        uncounted = {name: _NOT_COUNTED for name, _greater in form.order if name not in values}
        return uncounted | self._missing(form, total, values)

    def _missing(self, form: _Rows, total: Array, values: dict[str, float]) -> Undefined:
        if isinstance(form, ClassOutcome):
            count = len(form.classes)
            unknown = [form.classes[code] for code in sorted(self._unknown)]
            return why_undefined(form, total[:count], total[count : 2 * count], unknown)
        if isinstance(form, LabelOutcome):
            count = len(form.names)
            return why_no_areas(form.names, total[:count], float(total[-1])) if form.scores is not None else {}
        return why_no_r2(self.rows, is_constant=bool(np.isnan(values["r2"])))

    def _meet_classes(self, outcome: ClassOutcome) -> None:
        """Make room for classes that come late, and note those that the model has no score for."""
        if (count := len(outcome.classes)) > self._classes:
            if self._groups.sums is not None:
                self._groups.sums = _widened(self._groups.sums, self._classes, count)
            self._classes = count
        if outcome.scores is not None:
            self._unknown |= set(np.unique(outcome.truth).tolist()) - set(outcome.columns)

    def _sort_classes(self, order: Array) -> None:
        """Put sums, which are in the order in which classes were met, into another."""
        assert self._groups.sums is not None
        count = len(order)
        sums = _widened(self._groups.sums, self._classes, count)
        blocks: list[Array] = [sums[:, at * count : (at + 1) * count][:, order] for at in range(3)]
        self._groups.sums = np.hstack((*blocks, sums[:, 3 * count :]))
        self._unknown = set(_sorted_classes(np.array(sorted(self._unknown), dtype=np.int64), order).tolist())


def _remarks(form: Outcome, total: Array) -> Remarks:
    """Return what has to be known of averages, from the sums of all rows."""
    if isinstance(form, ClassOutcome):
        count = len(form.classes)
        return averages_of_absent(form, total[:count], total[count : 2 * count])
    if isinstance(form, LabelOutcome):
        count = len(form.names)
        every = np.ones(count, dtype=bool)
        return counted_as_zero(form.names, total[:count], total[count : 2 * count], every)
    return {}


def _sorted_classes(codes: Array, order: Array) -> Array:
    """Return codes in the order in which classes were met as places in the sorted order, *order* being its codes."""
    places = np.empty(len(order), dtype=np.int64)
    places[order] = np.arange(len(order))
    return places[codes]


def _widened(sums: Array, before: int, after: int) -> Array:
    """Return sums with room for more classes in each of their three parts."""
    room = np.zeros((len(sums), after - before))
    parts = [part for at in range(3) for part in (sums[:, at * before : (at + 1) * before], room)]
    return np.hstack((*parts, sums[:, 3 * before :]))


def _most_misplaced(bins: Bins) -> float:
    """Return how far ROC AUC would be off if all pairs in one bin stood in one order."""
    false, true = bins.counts[:, 0]
    pairs = true.sum() * false.sum()
    return float((true * false).sum() / (2 * pairs)) if pairs else 0.0


def _middle_width(bins: Bins) -> float:
    weights = bins.counts[0][0]
    at = min(int(np.searchsorted(np.cumsum(weights), weights.sum() / 2)), len(bins.edges) - 1)
    return float(bins.edges[at] - bins.edges[max(at - 1, 0)])

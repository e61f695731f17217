"""Figures of any small set of rows: ties, weights of 0, classes that are rare or missing."""

from __future__ import annotations

import numpy as np
import pytest
from evaluation_rows import class_figures, label_figures, number_figures
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.evaluation._class_outcome import ClassOutcome
from palate.evaluation._label_outcome import LabelOutcome
from palate.evaluation._metrics import Bootstrap, measure
from palate.evaluation._number_outcome import NumberOutcome
from palate.evaluation._outcomes import Outcome

PLAIN = Bootstrap(confidence=0.95, resamples=0, seed=0)
MAY_BE_UNDEFINED = {"precision", "recall", "f1", "mcc", "roc_auc", "pr_auc", "r2"}
WEIGHTS = st.integers(0, 3).map(lambda number: number / 2)


def check(outcome: Outcome, expected: dict[str, float]) -> None:
    """Hold figures against scikit-learn's; what has no value there has none here, or a note why it has none."""
    found = measure(outcome, PLAIN).metrics
    assert {metric.name for metric in found} == {name for name, _greater in outcome.order}
    sums = outcome.values(outcome.sums().total())
    for metric in found:
        if metric.value is None:
            assert metric.name in MAY_BE_UNDEFINED
            assert metric.note, metric.name
            continue
        assert metric.value == pytest.approx(expected[metric.name], rel=1e-9, abs=1e-9), metric.name
        if metric.name in sums:
            assert sums[metric.name][0] == pytest.approx(metric.value, rel=1e-7, abs=1e-9), metric.name


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 8), WEIGHTS), min_size=1, max_size=30), st.booleans())
@settings(max_examples=80, deadline=None)
def test_two_classes(rows, weighted: bool) -> None:
    """Two classes with tied probabilities, each of them certain at times."""
    truth, tied, weights = (np.array(column) for column in zip(*rows, strict=True))
    chances = np.stack((1 - tied / 8, tied / 8), axis=1)
    if weighted and not weights.any():
        weights[0] = 1
    outcome = ClassOutcome(
        truth=truth,
        predicted=chances.argmax(axis=1),
        classes=(0, 1),
        positive=1,
        scores=chances,
        columns=(0, 1),
        probable=True,
        weights=weights if weighted else None,
    )
    if len(set(truth[weights > 0] if weighted else truth)) < 2:
        assert measure(outcome, PLAIN).metrics[0].value is not None
        return
    check(outcome, class_figures(truth, outcome.predicted, chances, [0, 1], positive=1, weights=outcome.weights))


@given(
    st.lists(st.tuples(st.integers(0, 3), *[st.integers(1, 4)] * 4, WEIGHTS), min_size=4, max_size=30), st.booleans()
)
@settings(max_examples=80, deadline=None)
def test_four_classes(rows, weighted: bool) -> None:
    """Four classes, all of them there, whose columns of scores stand in another order."""
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    truth, weights = columns[0], columns[5] + 0.5
    truth[:4] = range(4)
    chances = np.stack(columns[1:5], axis=1) / np.sum(columns[1:5], axis=0)[:, None]
    order = (2, 0, 3, 1)
    outcome = ClassOutcome(
        truth=truth,
        predicted=chances.argmax(axis=1),
        classes=("a", "b", "c", "d"),
        positive=None,
        scores=chances[:, order],
        columns=order,
        probable=True,
        weights=weights if weighted else None,
    )
    check(outcome, class_figures(truth, outcome.predicted, chances, range(4), weights=outcome.weights))


@given(
    st.lists(st.tuples(*[st.booleans()] * 6, *[st.integers(0, 4)] * 3, WEIGHTS), min_size=1, max_size=25), st.booleans()
)
@settings(max_examples=80, deadline=None)
def test_labels(rows, weighted: bool) -> None:
    """Three labels, some of which no row has, or all rows."""
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    truth, predicted, scores = (np.stack(columns[at : at + 3], axis=1) for at in (0, 3, 6))
    weights = columns[9] + 0.5
    outcome = LabelOutcome(
        truth=truth,
        predicted=predicted,
        names=("a", "b", "c"),
        scores=scores / 4,
        weights=weights if weighted else None,
    )
    check(outcome, label_figures(truth, predicted, scores / 4, weights=outcome.weights))


@given(
    st.lists(st.tuples(*[st.floats(-1e6, 1e6, width=32)] * 4, WEIGHTS), min_size=1, max_size=25),
    st.booleans(),
    st.sampled_from([0, 1e9]),
)
@settings(max_examples=80, deadline=None)
def test_numbers(rows, weighted: bool, offset: float) -> None:
    """Two targets of any numbers, also far from 0, where squares would cancel."""
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    # A float near 1e9 has seven digits behind the point: what is finer is rounding, of which scikit-learn makes an R².
    truth, predicted = (np.stack(columns[at : at + 2], axis=1).round(3) + offset for at in (0, 2))
    weights = columns[4] + 0.5
    outcome = NumberOutcome(
        truth=truth, predicted=predicted, center=truth.mean(axis=0), weights=weights if weighted else None
    )
    found = {metric.name: metric for metric in measure(outcome, PLAIN).metrics}
    expected = number_figures(truth, predicted, weights=outcome.weights)
    sums = outcome.values(outcome.sums().total())
    for name, metric in found.items():
        if metric.value is None:
            assert name in MAY_BE_UNDEFINED
            assert metric.note
            continue
        assert metric.value == pytest.approx(expected[name], rel=1e-9, abs=1e-9, nan_ok=True), name
        if name in sums and np.isfinite(sums[name][0]):
            assert sums[name][0] == pytest.approx(metric.value, rel=1e-6, abs=1e-6), name

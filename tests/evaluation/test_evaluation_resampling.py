"""Bootstrap samples: the same as measuring repeated rows over and over, at a fraction of the cost."""

from __future__ import annotations

import numpy as np
import pytest
from evaluation_rows import class_figures, label_figures, number_figures

from palate.evaluation._class_outcome import ClassOutcome
from palate.evaluation._grouped_bootstrap import resample_groups
from palate.evaluation._label_outcome import LabelOutcome
from palate.evaluation._metrics import Bootstrap, measure
from palate.evaluation._number_outcome import NumberOutcome
from palate.evaluation._resampling import SampleMetrics, draw, interval, resample

ROWS, SAMPLES = 120, 8
RANDOM = np.random.default_rng(5)
COUNTS = draw(np.random.default_rng(1), ROWS, SAMPLES)
WEIGHTS = [None, RANDOM.uniform(0.1, 4, ROWS)]


def repeated(counts, *arrays):
    """Return the rows of a sample as rows."""
    rows = np.repeat(np.arange(ROWS), counts)
    return [None if array is None else np.asarray(array)[rows] for array in arrays]


def check(outcome, figures, *arrays):
    """Hold the metrics of each sample against scikit-learn's of the repeated rows."""
    found = SampleMetrics(outcome)(COUNTS)
    for at, counts in enumerate(COUNTS):
        expected = figures(*repeated(counts, *arrays, outcome.weights))
        for name, values in found.items():
            assert values[at] == pytest.approx(expected[name], rel=1e-9, abs=1e-9, nan_ok=True), name


def classes_of(count: int, weights):
    """Return rows with some ties among the chances, and a rare class."""
    chances = RANDOM.dirichlet(np.ones(count), ROWS).round(2) + 0.01
    chances /= chances.sum(axis=1, keepdims=True)
    truth = np.array([RANDOM.choice(count, p=row) for row in chances])
    return ClassOutcome(
        truth=truth,
        predicted=chances.argmax(axis=1),
        classes=tuple(range(count)),
        positive=1 if count == 2 else None,
        scores=chances,
        columns=tuple(range(count)),
        probable=True,
        weights=weights,
    )


@pytest.mark.parametrize("weights", WEIGHTS, ids=["plain", "weighted"])
@pytest.mark.parametrize("count", [2, 3, 6])
def test_classes(count: int, weights) -> None:
    """All figures of classes in a sample are scikit-learn's of the repeated rows."""
    outcome = classes_of(count, weights)

    def figures(truth, predicted, scores, given):
        return class_figures(truth, predicted, scores, range(count), positive=outcome.positive, weights=given)

    check(outcome, figures, outcome.truth, outcome.predicted, outcome.scores)


@pytest.mark.parametrize("weights", WEIGHTS, ids=["plain", "weighted"])
def test_labels(weights) -> None:
    """All figures of several labels in a sample are scikit-learn's of the repeated rows."""
    truth, predicted = RANDOM.random((ROWS, 4)) < 0.4, RANDOM.random((ROWS, 4)) < 0.4
    outcome = LabelOutcome(
        truth=truth, predicted=predicted, names=tuple("abcd"), scores=RANDOM.random((ROWS, 4)), weights=weights
    )
    check(outcome, lambda t, p, s, w: label_figures(t, p, s, weights=w), truth, predicted, outcome.scores)


@pytest.mark.parametrize("weights", WEIGHTS, ids=["plain", "weighted"])
@pytest.mark.parametrize("targets", [1, 3])
def test_numbers(targets: int, weights) -> None:
    """All figures of numbers in a sample are scikit-learn's of the repeated rows."""
    truth = RANDOM.normal(1e4, 10, (ROWS, targets))
    predicted = truth + RANDOM.normal(0, 5, (ROWS, targets))
    outcome = NumberOutcome(truth=truth, predicted=predicted, center=truth.mean(axis=0), weights=weights)
    check(outcome, lambda t, p, w: number_figures(t, p, weights=w), truth, predicted)


def test_draws_are_with_replacement() -> None:
    """Each sample has as many rows as there are, some of them several times."""
    assert (COUNTS.sum(axis=1) == ROWS).all()
    assert COUNTS.max() > 1
    assert COUNTS.min() == 0


def test_one_seed_draws_one_set_of_samples() -> None:
    """The same seed gives the same samples, another one others."""
    outcome = classes_of(2, None)
    first, again, other = (
        resample(SampleMetrics(outcome), rows=ROWS, resamples=50, seed=seed)["roc_auc"] for seed in (0, 0, 1)
    )
    assert (first == again).all()
    assert (first != other).any()


def test_interval_covers_what_it_says() -> None:
    """Of a hundred and fifty 90 % intervals of an accuracy of 0.8, about ninety in a hundred hold it."""
    random, held = np.random.default_rng(3), 0
    for _ in range(150):
        right = random.random(150) < 0.8
        truth = random.integers(0, 2, 150)
        outcome = ClassOutcome(truth=truth, predicted=np.where(right, truth, 1 - truth), classes=(0, 1), positive=1)
        found = measure(outcome, Bootstrap(confidence=0.9, resamples=300, seed=int(random.integers(1 << 30))))
        accuracy = found.metrics[0]
        assert accuracy.low is not None
        assert accuracy.high is not None
        held += accuracy.low <= 0.8 <= accuracy.high
    assert 120 <= held <= 147


@pytest.mark.parametrize("weights", [None, np.random.default_rng(2).uniform(0.5, 2, 20_000)], ids=["plain", "weighted"])
def test_groups_of_rows_spread_as_rows_do(weights) -> None:
    """Samples of groups have the spread of samples of rows, for sums, ranks and medians alike."""
    random = np.random.default_rng(4)
    score = random.normal(size=20_000)
    truth = (score + random.normal(size=20_000) > 1).astype(int)
    chance = 1 / (1 + np.exp(-score))
    classes = ClassOutcome(
        truth=truth,
        predicted=(chance > 0.5).astype(int),
        classes=(0, 1),
        positive=1,
        scores=np.stack((1 - chance, chance), axis=1),
        columns=(0, 1),
        probable=True,
        weights=weights,
    )
    numbers = NumberOutcome(
        truth=score[:, None],
        predicted=score[:, None] + random.normal(size=(20_000, 1)),
        center=np.zeros(1),
        weights=weights,
    )
    for outcome in (classes, numbers):
        rows = resample(SampleMetrics(outcome), rows=len(outcome), resamples=1000, seed=0)
        groups, binned = resample_groups(outcome, resamples=1000, seed=0, ranked=True)
        for name, values in rows.items():
            assert groups[name].std() == pytest.approx(values.std(), rel=0.15), name
            center = binned.get(name, values.mean())
            assert groups[name].mean() == pytest.approx(center, abs=values.std()), name


def test_no_interval_for_few_rows() -> None:
    """Nine rows have figures and no intervals, and the note says why."""
    outcome = classes_of(2, None).take(np.arange(9))
    accuracy = measure(outcome, Bootstrap(confidence=0.95, resamples=100, seed=0)).metrics[0]
    assert accuracy.value is not None
    assert accuracy.low is None
    assert "fewer than 10" in accuracy.note


def test_no_interval_where_samples_have_no_value() -> None:
    """A metric that many samples have no value of gets no interval."""
    low, high, note = interval(np.array([np.nan] * 20 + [0.5] * 80), 0.95)
    assert (low, high) == (None, None)
    assert "20%" in note


def test_interval_is_made_of_percentiles() -> None:
    """The ends of an interval are the percentiles of the samples, outside of which what is not covered lies."""
    values = np.random.default_rng(0).normal(size=1000)
    assert interval(values, 0.9)[:2] == pytest.approx(tuple(np.quantile(values, (0.05, 0.95))))

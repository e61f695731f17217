"""ROC AUC and average precision of any sample of rows that were sorted once."""

from __future__ import annotations

import numpy as np
import pytest
from evaluation_rows import scores_of
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.evaluation._medians import WeightedMedian
from palate.evaluation._ranking import Ranking, areas_of_bins

ROWS = st.lists(st.tuples(st.booleans(), st.integers(0, 6), st.integers(0, 5), st.integers(0, 3)), min_size=1)


def areas(truth, scores, weights):
    """Return scikit-learn's figures, NaN where they are not defined."""
    there = weights > 0
    true = truth[there]
    roc = scores_of("roc_auc_score", truth, scores, sample_weight=weights) if len(set(true)) > 1 else np.nan
    precision = scores_of("average_precision_score", truth, scores, sample_weight=weights) if true.any() else np.nan
    return roc, precision


@given(ROWS)
@settings(max_examples=200, deadline=None)
def test_ties_weights_and_multiplicities(rows) -> None:
    """Whatever ties there are, and however often rows count, both areas are scikit-learn's."""
    truth, scores, weights, counts = (np.array(column) for column in zip(*rows, strict=True))
    truth, weights = truth.astype(bool), weights / 2
    found = Ranking(truth, scores / 6, weights).areas(counts[None].astype(np.uint8))
    expected = areas(truth, scores / 6, weights * counts)
    assert [each[0] for each in found] == pytest.approx(expected, abs=1e-9, nan_ok=True)
    unweighted = Ranking(truth, scores / 6, None).areas(counts[None].astype(np.uint8))
    again = areas(np.repeat(truth, counts), np.repeat(scores / 6, counts), np.ones(counts.sum()))
    assert [each[0] for each in unweighted] == pytest.approx(again, abs=1e-9, nan_ok=True)


@given(ROWS)
@settings(max_examples=100, deadline=None)
def test_bins_with_one_value_each(rows) -> None:
    """Bins that hold one value each give the areas of the rows."""
    truth, scores, weights, _ = (np.array(column) for column in zip(*rows, strict=True))
    truth = truth.astype(bool)
    sides = [np.bincount(6 - scores[side], weights=weights[side], minlength=7)[None] for side in (truth, ~truth)]
    found = areas_of_bins(*sides, single=True)
    expected = areas(truth, scores / 6, weights)
    assert [each[0] for each in found] == pytest.approx(expected, abs=1e-9, nan_ok=True)


@given(ROWS)
@settings(max_examples=200, deadline=None)
def test_median_of_samples(rows) -> None:
    """The median of rows that count several times is scikit-learn's median of the repeated, or weighted, rows."""
    _, values, weights, counts = (np.array(column) for column in zip(*rows, strict=True))
    zeros = np.zeros(counts.sum())
    if counts.any():
        expected = scores_of("median_absolute_error", zeros, np.repeat(values, counts))
        assert WeightedMedian(values, None).medians(counts[None].astype(np.uint8))[0] == pytest.approx(
            expected, abs=1e-12
        )
    if (weights * counts).any():
        given_weights = {"sample_weight": (weights * counts).astype(float)}
        expected = scores_of("median_absolute_error", np.zeros(len(values)), values, **given_weights)
        found = WeightedMedian(values, weights.astype(float)).medians(counts[None].astype(np.uint8))[0]
        assert found == pytest.approx(expected, abs=1e-12)


def test_bins_with_many_values() -> None:
    """Bins of many scores come near the areas of the rows, though each is a tie to them."""
    random = np.random.default_rng(0)
    scores = random.normal(size=20_000)
    truth = scores + random.normal(size=20_000) > 1
    places = np.searchsorted(np.quantile(scores, np.linspace(0, 1, 30)[1:-1]), -scores)
    sides = [np.bincount(places[side], minlength=31)[None].astype(float) for side in (truth, ~truth)]
    roc, precision = areas_of_bins(*sides, single=False)
    assert roc[0] == pytest.approx(scores_of("roc_auc_score", truth, scores), abs=0.002)
    expected = scores_of("average_precision_score", truth, scores)
    assert precision[0] == pytest.approx(expected, abs=0.01)
    assert areas_of_bins(*sides, single=True)[1][0] < precision[0] < expected

"""Two models on the same rows: differences that are real are found, and those that are chance are not."""

from __future__ import annotations

from itertools import count

import numpy as np
import pandas as pd
import pytest
from evaluation_models import Chosen, Columns, Named, saved
from evaluation_rows import scores_of

from palate.errors import InvalidOption
from palate.evaluation import compare_models, evaluate_model
from palate.evaluation._significance import bootstrap_p_value, holm
from palate.evaluation.errors import TaskUnknown

QUICK = {"latency": False}
RANDOM = np.random.default_rng(0)
ROWS = 500
TRUTH = RANDOM.integers(0, 2, ROWS)
SIGNAL = TRUTH + RANDOM.normal(0, 1, ROWS)


def chances(noise: float, seed: int):
    """Return probabilities of 1 that are the worse the more noise there is."""
    scores = SIGNAL + np.random.default_rng(seed).normal(0, noise, ROWS) - 0.5
    return 1 / (1 + np.exp(-2 * scores))


@pytest.fixture(scope="module")
def compare(tmp_path_factory):
    """Return a function that compares two models, each predicting one of two columns."""
    numbers, path = count(), tmp_path_factory.mktemp("compared")

    def run(target, a, b, **options):
        frame = pd.DataFrame({"pa": a, "pb": b, "x": 0.0})
        models = [saved(Chosen(name), frame, path / f"m{next(numbers)}") for name in ("pa", "pb")]
        return compare_models(*models, frame, target=target, **{**QUICK, **options})

    return run


def test_each_side_is_its_evaluation(compare, tmp_path) -> None:
    """Both evaluations are those of the models alone, and differences are between their figures."""
    a, b = chances(0.2, 1), chances(1, 2)
    found = compare(TRUTH, a, b, resamples=200)
    frame = pd.DataFrame({"p": a, "x": 0.0})
    alone = evaluate_model(saved(Columns(), frame, tmp_path / "m"), frame, target=TRUTH, resamples=200, **QUICK)
    assert found.a.metrics == alone.metrics
    for each in found.differences:
        assert each.a == found.a.metric(each.name).value
        assert each.b == found.b.metric(each.name).value
        assert each.difference == pytest.approx(each.b - each.a)
        assert each.low <= each.difference <= each.high


def test_the_same_model_twice(compare) -> None:
    """A model does not differ from itself."""
    a = chances(0.5, 1)
    for each in compare(TRUTH, a, a, resamples=100).differences:
        assert (each.difference, each.low, each.high, each.better) == (0, 0, 0, "")
        assert each.p_value == 1


def test_a_real_difference(compare) -> None:
    """A clearly better model is said to be better in every metric, whichever way is up."""
    found = compare(TRUTH, chances(20, 1), chances(0.01, 2))
    assert {each.better for each in found.differences} == {"b"}
    assert found.difference("roc_auc").low > 0
    assert found.difference("log_loss").high < 0
    turned = compare(TRUTH, chances(0.01, 2), chances(20, 1))
    assert {each.better for each in turned.differences} == {"a"}


def test_paired_samples(compare) -> None:
    """Rows that are hard for both cancel: the interval of the difference is narrower than either model's."""
    found = compare(TRUTH, chances(0.3, 1), chances(0.35, 1))
    area = found.a.metric("roc_auc")
    difference = found.difference("roc_auc")
    assert difference.high - difference.low < (area.high - area.low) / 2


def test_interval_of_a_difference_is_that_of_repeated_rows(compare) -> None:
    """The interval is what measuring both models on the same repeated rows over and over gives, up to chance."""
    a, b = chances(0.3, 1), chances(1, 2)
    random, samples = np.random.default_rng(7), []
    for _ in range(400):
        rows = random.integers(0, ROWS, ROWS)
        both = [scores_of("roc_auc_score", TRUTH[rows], each[rows]) for each in (a, b)]
        samples.append(both[1] - both[0])
    low, high = np.quantile(samples, (0.025, 0.975))
    found = compare(TRUTH, a, b).difference("roc_auc")
    assert found.low == pytest.approx(low, abs=0.2 * (high - low))
    assert found.high == pytest.approx(high, abs=0.2 * (high - low))


def test_accuracy_is_tested_by_mcnemar(compare) -> None:
    """The p value of accuracy is statsmodels' exact McNemar test's, corrected for the number of metrics."""
    contingency_tables = pytest.importorskip("statsmodels.stats.contingency_tables")
    a, b = (chances(1.2, 1) > 0.5).astype(int), (chances(0.5, 2) > 0.5).astype(int)
    right = [each == TRUTH for each in (a, b)]
    table = [[(x & y).sum() for y in (right[1], ~right[1])] for x in (right[0], ~right[0])]
    expected = contingency_tables.mcnemar(table, exact=True).pvalue
    found = compare(TRUTH, a, b, resamples=0)
    assert found.difference("accuracy").test == "exact McNemar"
    assert found.difference("accuracy").p_value == pytest.approx(expected)
    assert [each.name for each in found.differences if each.p_value is not None] == ["accuracy"]


def test_holm_is_statsmodels() -> None:
    """The correction is the one that statsmodels makes."""
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    values = [0.001, 0.04, 0.03, 0.5, 0.01, 0.01, 1.0]
    assert holm(values) == pytest.approx(multitest.multipletests(values, method="holm")[1])
    assert holm([]) == []


def test_confidence_widens_intervals(compare) -> None:
    """A gate asks for its own confidence: the greater it is, the wider the interval."""
    a, b = chances(0.5, 1), chances(0.6, 2)
    narrow, wide = (compare(TRUTH, a, b, confidence=level).difference("f1") for level in (0.5, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high
    assert compare(TRUTH, a, b, confidence=0.5).confidence == 0.5


@pytest.mark.slow
def test_false_alarms_are_rare(compare) -> None:
    """Of models that differ by chance alone, about one in twenty is called better, in any metric; not more."""
    random, alarms, by_area = np.random.default_rng(11), 0, 0
    trials = 120
    for _ in range(trials):
        truth = random.integers(0, 2, 200)
        a, b = (1 / (1 + np.exp(-(truth - 0.5 + random.normal(0, 1, 200)))) for _ in range(2))
        found = compare(truth, a, b, resamples=300, seed=int(random.integers(1000)))
        alarms += any(each.better for each in found.differences)
        area = found.difference("roc_auc")
        by_area += not area.low <= 0 <= area.high
    assert alarms <= 0.1 * trials
    assert 1 <= by_area <= 0.11 * trials


def test_rows_with_weights(compare) -> None:
    """With weights, which McNemar's test does not take, accuracy is tested by samples like the rest."""
    found = compare(TRUTH, chances(20, 1), chances(0.01, 2), weights=np.linspace(1, 2, ROWS))
    assert {each.test for each in found.differences} == {"paired bootstrap"}
    assert found.difference("accuracy").better == "b"


@pytest.mark.parametrize("options", [{}, {"max_held_bytes": 1, "batch_rows": 100}], ids=["held", "passing"])
def test_regression(compare, options) -> None:
    """Numbers are compared too, held or not; a greatest error has no interval and no test."""
    truth = RANDOM.normal(size=ROWS)
    found = compare(truth, truth + RANDOM.normal(0, 1, ROWS), truth + RANDOM.normal(0, 0.3, ROWS), **options)
    better = {each.name for each in found.differences if each.better == "b"}
    assert better >= {"rmse", "mae", "r2", "median_absolute_error"}
    assert found.difference("max_error").p_value is None
    assert found.difference("max_error").better == ""


def test_passing_rows_are_paired(compare) -> None:
    """Rows that are not held are dealt to the same groups for both models, so that what both find hard cancels."""
    a, b = chances(0.3, 1), chances(0.35, 1)
    held = compare(TRUTH, a, b)
    passing = compare(TRUTH, a, b, max_held_bytes=1, batch_rows=100)
    for name in ("roc_auc", "log_loss", "accuracy"):
        one, other = held.difference(name), passing.difference(name)
        assert other.high - other.low == pytest.approx(one.high - one.low, rel=0.35), name


def test_multiclass(compare) -> None:
    """Models of several classes are compared by the figures that both have."""
    truth = RANDOM.integers(0, 4, ROWS)
    right = [np.where(RANDOM.random(ROWS) < share, truth, RANDOM.integers(0, 4, ROWS)) for share in (0.4, 0.8)]
    found = compare(truth, *right)
    assert found.difference("f1_macro").better == "b"
    assert found.difference("accuracy").test == "exact McNemar"


def test_models_of_two_tasks(tmp_path) -> None:
    """A classifier and a regressor are not compared, unless the task is said."""
    frame = pd.DataFrame({"p": chances(1, 1), "x": 0.0})
    other = pd.DataFrame({"q": TRUTH + 0.25, "x": 0.0})
    data = frame.assign(q=other["q"])
    models = saved(Columns(), frame, tmp_path / "a"), saved(Named(), other, tmp_path / "b")
    with pytest.raises(TaskUnknown):
        compare_models(*models, data, target=TRUTH, **QUICK)
    found = compare_models(*models, data, target=TRUTH, task="regression", resamples=50, **QUICK)
    assert found.difference("mae").difference is not None


def test_functions_of_ones_own(compare) -> None:
    """A metric that is a function has a difference, and no interval and no test."""

    def bias(y_true, y_pred):
        return float(np.mean(y_pred - y_true))

    truth = TRUTH + 0.5
    found = compare(truth, truth + 1, truth + 3, metrics=[bias], resamples=20)
    each = found.difference("bias")
    assert each.difference == pytest.approx(2)
    assert (each.low, each.p_value, each.better) == (None, None, "")


def test_positive_is_one_class(compare) -> None:
    """A class that neither model knows is refused as the one that is looked for."""
    with pytest.raises(InvalidOption, match="positive"):
        compare(TRUTH, TRUTH, TRUTH, positive="maybe")


def test_rare_p_values_come_from_the_spread() -> None:
    """Where no sample is on the other side of 0, the spread says how rare that would be; never more than is counted."""
    samples = np.random.default_rng(0).normal(8, 1, 1000)
    assert bootstrap_p_value(samples, 8.0) < 1e-9
    assert bootstrap_p_value(samples - 8, 0.01) > 0.9
    assert bootstrap_p_value(np.zeros(1000), 0.0) == 1

"""Rules against what was found: kept, broken, undecidable, and never passed for want of knowledge."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from evaluations import empty
from sklearn.linear_model import LogisticRegression
from statsmodels.stats.proportion import proportion_confint

import palate
from palate.evaluation import run_gate
from palate.evaluation.gate import GateResult, Judgement, check_gate, make_gate
from palate.evaluation.results import Comparison, Difference, Evaluation, Label, Latency, Metric, Slice


def metric(name: str, value: float | None, low: float | None = None, high: float | None = None, **more: Any) -> Metric:
    """Return a figure."""
    return Metric(name=name, value=value, low=low, high=high, **more)


def slice_of(value: Label, rows: int, accuracy: float | None, label: str | None = None) -> Slice:
    """Return a slice by region."""
    text = label or str(value)
    figures = (metric("accuracy", accuracy, None if accuracy is None else accuracy - 0.05, 1.0),)
    return Slice(column="region", value=value, label=text, rows=rows, metrics=figures)


def evaluation(**changes: Any) -> Evaluation:
    """Return what was found of a model."""
    facts: dict[str, Any] = {
        "rows": 500,
        "resamples": 1000,
        "metrics": (
            metric("accuracy", 0.9, 0.88, 0.92),
            metric("f1_macro", 0.85, 0.8, 0.9),
            metric("rmse", 2.0, 1.8, 2.3, greater_is_better=False),
            metric("roc_auc", None, note="All rows are of one class."),
        ),
        "slices": (slice_of("north", 200, 0.95), slice_of("south", 290, 0.85), slice_of(None, 10, 0.5, "(missing)")),
        "latency": Latency(rows_per_call=1, calls=100, mean_ms=1.0, p50_ms=0.9, p95_ms=2.0, p99_ms=4.0),
    }
    return empty(**{**facts, **changes})


def difference(name: str, a: float | None, b: float | None, low: float | None, high: float | None) -> Difference:
    """Return how two models differ in a figure."""
    change = None if a is None or b is None else b - a
    return Difference(
        name=name, a=a, b=b, difference=change, low=low, high=high, p_value=None, better="", greater_is_better=True,
        test="paired bootstrap",
    )  # fmt: skip


def comparison(low: float = -0.02, high: float = 0.02, *, a: float = 0.9, b: float = 0.9) -> Comparison:
    """Return a comparison in accuracy, with this interval of the difference."""
    old = evaluation(
        uri="models:/screening/2",
        metrics=(metric("accuracy", a), metric("rmse", 2.0)),
        slices=(slice_of("north", 200, 0.9), slice_of("south", 290, 0.9)),
        latency=Latency(rows_per_call=1, calls=100, mean_ms=1.0, p50_ms=0.9, p95_ms=2.0, p99_ms=3.0),
    )
    new = evaluation(metrics=(metric("accuracy", b, b - 0.02, b + 0.02), metric("rmse", 2.1)))
    return Comparison(a=old, b=new, confidence=0.95, differences=(difference("accuracy", a, b, low, high),))


def judge(rule: str, result: Evaluation | Comparison | None = None, **options: Any) -> tuple[Judgement, ...]:
    """Return what becomes of one rule."""
    return check_gate(make_gate([rule]), evaluation() if result is None else result, **options).judgements


@pytest.mark.parametrize(
    ("rule", "kept"),
    [
        ("accuracy >= 0.9", True),
        ("accuracy > 0.9", False),
        ("accuracy > 0.89", True),
        ("accuracy >= 0.9000001", False),
        ("accuracy <= 0.9", True),
        ("accuracy < 0.9", False),
        ("rmse <= 2", True),
        ("rmse <= 1.99", False),
        ("accuracy >= 0.88 with 95% confidence", True),
        ("accuracy > 0.88 with 95% confidence", False),
        ("accuracy >= 0.9 with 95% confidence", False),
        ("rmse <= 2.3 with 95% confidence", True),
        ("rmse <= 2.2 with 95% confidence", False),
        ("accuracy <= 0.92 with 95% confidence", True),
        ("p99 latency <= 4 ms", True),
        ("p99 latency < 4 ms", False),
        ("p95 latency <= 1 ms", False),
        ("mean latency <= 0.001 s", True),
        ("rows >= 500", True),
        ("rows > 500", False),
        ("accuracy >= 0.95 for region=north", True),
        ("accuracy >= 0.9 for region=south", False),
        ("accuracy >= 0.5 for region='(missing)'", True),
        ("accuracy >= 0.9 with 95% confidence for region=north", True),
        ("accuracy >= 0.91 with 95% confidence for region=north", False),
        ("rows >= 200 for region=north", True),
    ],
)
def test_a_figure_is_held_against_a_number(rule: str, kept: bool) -> None:
    """A threshold is of the figure, or of the end of its interval that is nearer to breaking it."""
    (found,) = judge(rule)
    assert found.status == ("passed" if kept else "failed")
    assert found.measured is not None
    assert found.limit is not None


@pytest.mark.parametrize(
    ("rule", "found", "kept"),
    [
        ("accuracy >= baseline", comparison(), True),
        ("accuracy > baseline", comparison(), False),
        ("accuracy >= baseline", comparison(b=0.89), False),
        ("accuracy >= baseline - 0.01", comparison(b=0.89), True),
        ("accuracy > baseline - 0.01", comparison(b=0.89), False),
        ("accuracy >= baseline - 0.01", comparison(b=0.8899), False),
        ("accuracy >= 0.99 * baseline", comparison(b=0.891), True),
        ("accuracy >= 0.99 * baseline + 0.001", comparison(b=0.891), False),
        ("accuracy >= baseline - 0.01 with 95% confidence", comparison(-0.01, 0.03), True),
        ("accuracy >= baseline - 0.01 with 95% confidence", comparison(-0.011, 0.03), False),
        ("accuracy > baseline with 95% confidence", comparison(0.001, 0.03), True),
        ("accuracy > baseline with 95% confidence", comparison(0.0, 0.03), False),
        ("accuracy <= baseline + 0.02 with 95% confidence", comparison(-0.5, 0.02), True),
        ("accuracy <= baseline + 0.01 with 95% confidence", comparison(-0.5, 0.02), False),
        ("rmse <= 1.05 * baseline", comparison(), True),
        ("rmse <= 1.04 * baseline", comparison(), False),
        ("p99 latency <= 1.5 * baseline", comparison(), True),
        ("p99 latency <= baseline + 0.5 ms", comparison(), False),
        ("accuracy >= baseline for region=north", comparison(), True),
        ("accuracy >= baseline for region=south", comparison(), False),
    ],
)  # fmt: skip
def test_a_figure_is_held_against_the_baseline(rule: str, found: Comparison, kept: bool) -> None:
    """The baseline is the first model: its figure as such, or the end of the paired interval of the difference."""
    assert [one.status for one in judge(rule, found)] == ["passed" if kept else "failed"]


@pytest.mark.parametrize(
    ("rule", "result", "told"),
    [
        ("acuracy >= 0", None, "did you mean accuracy?"),
        ("f1 >= 0", None, "did you mean f1_macro?"),
        ("quality >= 0", None, "there is accuracy, f1_macro, rmse, roc_auc"),
        ("quality >= 0", empty(), "there is none"),
        ("roc_auc >= 0", None, "roc_auc is not defined: All rows are of one class"),
        ("accuracy >= 0", evaluation(metrics=(metric("accuracy", math.nan),)), "is not defined"),
        ("accuracy >= 0 with 90% confidence", None, "the intervals are of 95"),
        ("accuracy >= 0 with 95% confidence", evaluation(metrics=(metric("accuracy", 0.9),)), "interval of accuracy"),
        ("accuracy >= 0 for each site", None, "not divided by 'site'; there are slices by region"),
        ("accuracy >= 0 for region=west", None, "no rows with region=west; there is north, south, (missing)"),
        ("accuracy >= 0 for each region of at least 1000 rows", None, "no slice has 1000 rows"),
        ("p99 latency <= 1 s", evaluation(latency=None), "leave out latency=False (CLI: --no-latency)"),
        ("accuracy >= baseline", None, "--baseline"),
        ("accuracy >= baseline - 1 with 95% confidence", None, "no baseline was named"),
        ("f1_macro >= baseline", replace(comparison(), b=evaluation()), "f1_macro of the baseline is not defined"),
        ("rmse <= baseline with 95% confidence", comparison(), "not compared in rmse"),
        ("accuracy >= baseline for region='(missing)'", comparison(), "accuracy of the baseline is not defined"),
        ("accuracy >= baseline - 1 with 90% confidence", comparison(), "the intervals are of 95"),
        ("accuracy >= 0 with 95% confidence", evaluation(resamples=199), "200 are needed (CLI: --resamples)"),
        ("accuracy >= 0 with 95% confidence", evaluation(resamples=0), "0 resamples are too few for 95"),
        ("accuracy >= 0 with 99% confidence", evaluation(resamples=999, confidence=0.99), "1,000 are needed"),
        ("accuracy >= baseline - 1 with 95% confidence", replace(comparison(), b=evaluation(resamples=2)), "200 are"),
        ("accuracy >= 0 for region=west", evaluation(rows=507), "no slice region=west, and 7 rows are in no slice"),
    ],
)
def test_what_cannot_be_decided_is_not_passed(rule: str, result: Evaluation | Comparison | None, told: str) -> None:
    """A metric, an interval, a slice or a baseline that is missing breaks the rule, and says what is missing."""
    found = check_gate(make_gate([rule]), evaluation() if result is None else result)
    (one,) = found.judgements
    assert (one.status, found.passed, found.broken) == ("undecidable", False, (one,))
    assert told in one.reason


def test_each_slice_is_judged() -> None:
    """A rule for each slice is decided in each, that of missing values too, and names it."""
    found = judge("accuracy >= 0.9 for each region")
    assert [(one.where, one.status) for one in found] == [
        ("region=north", "passed"),
        ("region=south", "failed"),
        ("region=(missing)", "failed"),
    ]
    assert found[1].title == "accuracy >= 0.9 for each region [region=south]"


def test_small_slices_can_be_passed_over() -> None:
    """With a least number of rows, smaller slices are not judged."""
    found = judge("accuracy >= 0.8 for each region of at least 11 rows")
    assert [(one.where, one.status) for one in found] == [("region=north", "passed"), ("region=south", "passed")]


def test_values_of_a_slice_are_named_as_they_are_shown() -> None:
    """Numbers, ranges and truth values of a column are asked for by what a report calls them."""
    values = (slice_of(1, 5, 0.9, "1"), slice_of(2.0, 5, 0.9, "2"), slice_of(True, 5, 0.9, "True"))
    ranges = (slice_of("(10, 20]", 5, 0.9, "10 to 20"),)
    found = evaluation(slices=values + ranges)
    for value in ("1", "2", "True", "'10 to 20'", "'(10, 20]'"):
        assert judge(f"accuracy >= 0.9 for region={value}", found)[0].status == "passed", value


def test_a_first_model_may_have_no_baseline() -> None:
    """Where the caller says that there is none yet, rules that need it are skipped, and told; others count."""
    gate = make_gate(["accuracy >= 0.8", "accuracy >= baseline"])
    found = check_gate(gate, evaluation(), allow_missing_baseline=True)
    assert found.passed
    assert [one.rule.text for one in found.skipped] == ["accuracy >= baseline"]
    assert not check_gate(
        make_gate(["accuracy >= 0.99", "accuracy >= baseline"]), evaluation(), allow_missing_baseline=True
    ).passed


def test_a_reason_tells_numbers_apart() -> None:
    """What nearly kept a rule is not told as if it had."""
    (found,) = judge("accuracy >= 0.9", evaluation(metrics=(metric("accuracy", 0.899996),)))
    assert found.reason == "accuracy is 0.899996, which is not >= 0.9"


def test_names_with_braces_are_told_as_they_are() -> None:
    """A hostile name of a metric is no format."""
    (found,) = judge("'{0.__class__}' >= 1", evaluation(metrics=(metric("{0.__class__}", 0.0),)))
    assert found.reason == "{0.__class__} is 0, which is not >= 1"


def test_the_result_is_json() -> None:
    """A result names gate, models and every rule, for a record that is kept."""
    found: GateResult = check_gate(make_gate(["accuracy >= baseline", "p99 latency <= 1 ms"]), comparison())
    document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert (document["passed"], document["baseline"], document["model"]) == (
        False, "models:/screening/2", "models:/screening/3",
    )  # fmt: skip
    assert [rule["status"] for rule in document["rules"]] == ["passed", "failed"]
    assert document["rules"][1]["measured"] == 4.0
    assert document["digest"] == found.gate.digest


@pytest.mark.parametrize(
    ("rule", "rows", "statuses"),
    [
        ("accuracy >= 0.4 for each region", 507, ["passed", "passed", "passed", "undecidable"]),
        ("accuracy >= 0.8 for each region", 507, ["passed", "passed", "failed", "undecidable"]),
        ("rows >= 1 for each region", 507, ["passed", "passed", "passed", "undecidable"]),
        ("accuracy >= 0.4 for each region of at least 7 rows", 507, ["passed", "passed", "passed", "undecidable"]),
        ("accuracy >= 0.4 for each region of at least 8 rows", 507, ["passed", "passed", "passed"]),
        ("accuracy >= 0.4 for each region", 500, ["passed", "passed", "passed"]),
        ("accuracy >= 0.4 for region=north", 507, ["passed"]),
    ],
)
def test_rows_in_no_slice_may_break_a_rule_for_each(rule: str, rows: int, statuses: list[str]) -> None:
    """A rule for each slice is not kept while rows are in none, unless they are fewer than it asks for."""
    found = judge(rule, evaluation(rows=rows))
    assert [one.status for one in found] == statuses
    if statuses[-1] == "undecidable":
        assert found[-1].reason.startswith("7 rows are in no slice")
        assert "'of at least 8 rows'" in found[-1].reason


def test_a_small_slice_beyond_the_largest_fifty_is_not_passed_over(tmp_path: Path) -> None:
    """Of 52 values two have no slice of their own: a model that is wrong on all rows of one does not pass."""
    size = 52 * 40
    rows = pd.DataFrame({"a": np.linspace(-1, 1, size), "region": [f"r{number % 52:02}" for number in range(size)]})
    rows["y"] = (rows["a"] > 0).astype(int)
    model = LogisticRegression().fit(rows[["a"]], rows["y"])
    palate.save_model(model, tmp_path / "model", input_example=rows[["a"]].iloc[:3])
    rows.loc[rows["region"] == "r51", "y"] = 1 - rows["y"]
    rows = rows.drop(index=rows.index[rows["region"] == "r51"][:1])
    gate = make_gate(["accuracy >= 0.5 for each region"], resamples=0, target=["y"])
    judged = run_gate(gate, str(tmp_path / "model"), data=rows)
    assert not judged.passed
    assert [one.reason.partition(",")[0] for one in judged.broken] == ["79 rows are in no slice"]


@pytest.mark.parametrize(
    ("rule", "value", "kept"),
    [
        ("rmse <= 1e-14", 4.8e-13, False),
        ("rmse < 1e-14", 4.8e-13, False),
        ("rmse <= 0", 4.8e-13, False),
        ("rmse > 0", 4.8e-13, True),
        ("rmse <= 4.8e-13", 4.8e-13 * (1 + 1e-15), True),
        ("rmse >= 0", 0.0, True),
        ("rmse > 0", 0.0, False),
    ],
)
def test_tiny_figures_are_told_apart(rule: str, value: float, kept: bool) -> None:
    """Two numbers are equal by their own size, however small they are."""
    (one,) = judge(rule, evaluation(metrics=(metric("rmse", value),)))
    assert one.status == ("passed" if kept else "failed")


def test_what_rounding_leaves_of_a_difference_is_nothing() -> None:
    """Of two figures near 0.9, a difference of 1e-16 is none, though 0 is the limit; of two tiny ones it is."""
    rule = "accuracy >= baseline with 95% confidence"
    assert judge(rule, comparison(-1e-16, 0.1))[0].status == "passed"
    assert judge(rule, comparison(-1e-16, 0.1, a=1e-15, b=1e-15))[0].status == "failed"
    assert judge("accuracy >= baseline - 0.9", comparison(b=1e-17))[0].status == "passed"


@pytest.mark.parametrize("value", [1.0, 0.0])
@pytest.mark.parametrize(("rows", "confidence"), [(10, 0.99), (10, 0.95), (5000, 0.95)])
def test_rows_that_all_agree_have_their_exact_interval(value: float, rows: int, confidence: float) -> None:
    """Where every row is right, or wrong, accuracy is held against the interval that statsmodels gives it."""
    found = evaluation(rows=rows, confidence=confidence, metrics=(metric("accuracy", value, value, value),))
    low, high = proportion_confint(int(value * rows), rows, alpha=1 - confidence, method="beta")
    for sign, end in ((">=", low), ("<=", high)):
        (one,) = judge(f"accuracy {sign} 0.5 with {confidence * 100:g}% confidence", found)
        assert one.measured == pytest.approx(end, abs=1e-12)


@pytest.mark.parametrize(
    "found",
    [
        evaluation(metrics=(metric("f1_macro", 1.0, 1.0, 1.0),)),
        evaluation(metrics=(metric("f1_macro", 0.8, 0.8, 0.8 * (1 + 1e-16)),)),
        evaluation(metrics=(metric("accuracy", 1.0, 1.0, 1.0),), weights="w"),
        evaluation(metrics=(metric("accuracy", 0.9, 0.9, 0.9),)),
    ],
)
def test_an_interval_without_width_decides_nothing(found: Evaluation) -> None:
    """That all resamples agree says that rows are too few, or too much alike, and not that the figure is certain."""
    (one,) = judge(f"{found.metrics[0].name} >= 0.1 with 95% confidence", found)
    assert one.status == "undecidable"
    assert "in all resamples of 500 rows, which tells no interval" in one.reason


def test_models_that_never_differed_may_yet_differ() -> None:
    """A difference without any spread decides nothing, unless accuracy bounds it or both are one model."""
    same = comparison(0.0, 0.0)
    other = replace(same, a=replace(same.a, digest="a" * 64))
    accurate, rule = "accuracy >= baseline - 0.01 with 95% confidence", "rmse <= baseline + 1 with 95% confidence"
    assert judge(accurate, other)[0].status == "passed"  # of 500 rows, none
    (few,) = judge(accurate, replace(other, b=replace(other.b, rows=10)))
    assert (few.status, few.measured) == ("failed", pytest.approx(-(1 - 0.025**0.1)))
    no_spread = (difference("rmse", 2.0, 2.0, 0.0, 0.0),)
    assert judge(rule, replace(other, differences=no_spread))[0].status == "undecidable"
    assert judge(rule, replace(same, differences=no_spread))[0].status == "passed"

"""Rows divided by the values of a column, each part measured as if it were all there is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from evaluation_models import Columns, saved

from palate.evaluation import evaluate_model
from palate.evaluation.errors import InvalidSlice

ROWS = 600
RANDOM = np.random.default_rng(0)
TRUTH = RANDOM.integers(0, 2, ROWS)
CHANCES = np.clip(TRUTH * 0.3 + RANDOM.random(ROWS) * 0.7, 0, 1)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Return a model that predicts the chances in its input."""
    frame = pd.DataFrame({"p": CHANCES, "x": 0.0})
    return saved(Columns(), frame, tmp_path_factory.mktemp("slices") / "m")


def slices(model, column, **options):
    """Return the slices by a column, and the evaluation."""
    frame = pd.DataFrame({"p": CHANCES, "x": 0.0, "y": TRUTH, "c": column})
    found = evaluate_model(model, frame, target="y", by="c", latency=False, **{"resamples": 30, **options})
    return found.slices, found, frame


def test_values(model) -> None:
    """Each value is a slice, whose figures are those of its rows evaluated alone, intervals included."""
    found, whole, frame = slices(model, np.tile(["b", "a", "c"], 200))
    assert [(part.value, part.label, part.rows) for part in found] == [
        ("a", "a", 200),
        ("b", "b", 200),
        ("c", "c", 200),
    ]
    for part in found:
        alone = evaluate_model(model, frame[frame["c"] == part.value], target="y", latency=False, resamples=30)
        assert part.metrics == alone.metrics
    assert whole.metric("accuracy").low is not None


@pytest.mark.parametrize("missing", [None, np.nan], ids=["None", "NaN"])
@pytest.mark.parametrize("kind", ["text", "few numbers", "many numbers"])
def test_missing_values(model, kind: str, missing: object) -> None:
    """Rows where the column is missing are a slice of their own, the last one."""
    values = {"text": list("ab") * 300, "few numbers": [1.0, 2.0] * 300, "many numbers": np.arange(600.0)}[kind]
    column = np.array(values, dtype=object)
    column[:30] = missing
    found, _, _ = slices(model, column)
    assert (found[-1].value, found[-1].label, found[-1].rows) == (None, "(missing)", 30)
    assert sum(part.rows for part in found) == ROWS


def test_few_numbers(model) -> None:
    """Up to ten numbers are values."""
    found, _, _ = slices(model, np.tile(np.arange(10), 60))
    assert [part.value for part in found] == list(range(10))
    assert {type(part.value) for part in found} == {int}


@pytest.mark.parametrize("whole", [True, False], ids=["integers", "floats"])
def test_many_numbers(model, whole: bool) -> None:
    """More numbers are divided into five ranges with about as many rows, which name their bounds."""
    numbers = np.arange(600) if whole else np.arange(600) / 8
    found, _, frame = slices(model, numbers)
    assert len(found) == 5
    assert all(115 <= part.rows <= 125 for part in found)
    assert found[0].label.startswith("under ")
    assert found[-1].label.endswith(" or more")
    start, _, end = found[1].label.partition(" to under ")
    assert ((frame["c"] >= float(start)) & (frame["c"] < float(end))).sum() == found[1].rows


def test_rare_values_are_counted(model) -> None:
    """The fifty most frequent values are shown; a note counts the rest."""
    column = np.concatenate(
        (np.repeat([f"often {at:02}" for at in range(50)], 10), [f"rare {at}" for at in range(100)])
    )
    found, whole, _ = slices(model, column)
    assert len(found) == 50
    assert all(part.label.startswith("often") for part in found)
    assert "100 rarer values with 100 rows" in " ".join(whole.notes)


def test_one_class_in_a_slice(model) -> None:
    """A slice of one class has no ROC AUC, and says why."""
    found, _, _ = slices(model, np.where(TRUTH == 1, "ones", np.where(np.arange(ROWS) % 2, "mixed", "mixed too")))
    ones = next(part for part in found if part.value == "ones")
    area = next(metric for metric in ones.metrics if metric.name == "roc_auc")
    assert (area.value, area.note) == (None, "All rows are of one class.")


def test_weights_in_slices(model) -> None:
    """A slice whose rows have no weight has no figures; others are weighted."""
    column = np.tile(["a", "b"], 300)
    found, _, _ = slices(model, column, weights=np.where(column == "a", 0.0, 2.0))
    assert {metric.value for metric in found[0].metrics} == {None}
    assert "weight" in found[0].metrics[0].note
    assert found[1].metrics[0].value is not None


@pytest.mark.parametrize(
    "column",
    [np.tile([True, False], 300), pd.date_range("2026-01-01", periods=3).repeat(200), pd.Categorical(["x", "y"] * 300)],
    ids=["bools", "dates", "categories"],
)
def test_other_kinds(model, column) -> None:
    """Truth values, dates and categories are values, in their order."""
    found, _, _ = slices(model, column)
    assert len(found) == len(set(column))
    assert [part.label for part in found] == sorted(part.label for part in found)


def test_too_many_values(model) -> None:
    """A column with a value for each row is no column to divide by."""
    frame = pd.DataFrame({"p": 0.5, "x": 0.0, "y": 1, "c": [f"id {at}" for at in range(10_001)]})
    with pytest.raises(InvalidSlice, match="10,001"):
        evaluate_model(model, frame, target="y", by="c", latency=False, resamples=0)


def test_lists_are_no_values(model) -> None:
    """A column of lists is no column to divide by."""
    frame = pd.DataFrame({"p": 0.5, "x": 0.0, "y": [0, 1], "c": [[1], [2]]})
    with pytest.raises(InvalidSlice, match="list"):
        evaluate_model(model, frame, target="y", by="c", latency=False, resamples=0)


def test_several_columns(model) -> None:
    """Several columns divide one after the other, not each other."""
    frame = pd.DataFrame({"p": CHANCES, "x": 0.0, "y": TRUTH, "c": "one", "d": np.tile(["u", "v"], 300)})
    found = evaluate_model(model, frame, target="y", by=["c", "d", "c"], latency=False, resamples=0)
    assert [(part.column, part.label) for part in found.slices] == [("c", "one"), ("d", "u"), ("d", "v")]

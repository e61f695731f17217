"""Mistakes of whoever evaluates: the wrong file, the wrong column, a bad row; each is named, and what to do is told."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from sklearn.linear_model import LogisticRegression

import palate
from palate.cli import main
from palate.evaluation import (
    InputsNotFound,
    LabelsDiffer,
    MetricNotFound,
    ModelFailed,
    compare_models,
    evaluate_model,
)

COLUMNS = ("age", "bmi", "score")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a model of named columns, the same one without names, and rows in several files."""
    folder = tmp_path_factory.mktemp("mistakes")
    random = np.random.default_rng(0)
    rows = pd.DataFrame(random.normal(size=(120, 3)), columns=COLUMNS).assign(age=random.integers(20, 80, 120))
    told = np.where(rows["bmi"] + random.normal(0, 0.5, 120) > 0, "ill", "well")
    named = LogisticRegression(max_iter=1000).fit(rows, told)
    palate.save_model(named, folder / "named", input_example=rows.head())
    values = rows.to_numpy(dtype=float)
    palate.save_model(LogisticRegression(max_iter=1000).fit(values, told), folder / "plain", input_example=values[:4])
    rows = rows.assign(told=told, size=np.where(rows["age"] > 50, "big", "small"), weight=1.0 + rows["age"] / 80)
    rows.to_parquet(folder / "rows.parquet")
    rows.to_csv(folder / "rows.csv", index=False)
    rows.to_csv(folder / "semicolons.csv", index=False, sep=";")
    bad = rows.astype({"bmi": float})
    bad.loc[[77, 90], "bmi"] = np.nan
    bad.to_parquet(folder / "bad.parquet")
    bad.to_csv(folder / "bad.csv", index=False)
    return folder


@pytest.fixture(autouse=True)
def in_place(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run commands beside the models."""
    monkeypatch.chdir(place)


def run(*arguments: object, code: int) -> Result:
    """Run ``palate evaluate`` and check what it exits with."""
    result = CliRunner().invoke(main, ["evaluate", *map(str, arguments)])
    assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


@pytest.mark.parametrize("file", ["bad.csv", "bad.parquet"])
@pytest.mark.parametrize("batch_rows", [50, 1000])
def test_the_row_on_which_a_model_fails_is_named(file: str, batch_rows: int) -> None:
    """The first row on which the model raises is told by its number in the file, with what it raised."""
    with pytest.raises(
        ModelFailed, match=r"'named' fails on row 77 of '.*bad\.\w+', counted from 0: ValueError: "
    ) as e:
        evaluate_model("named", file, target="told", batch_rows=batch_rows, latency=False)
    assert (e.value.row, type(e.value.__cause__)) == (77, ValueError)


def test_a_failing_model_is_told_in_one_line() -> None:
    """The command shows no traceback."""
    done = run("named", "bad.csv", "--target", "told", "--no-latency", code=1)
    assert done.stderr.count("\n") == 1
    assert "row 77 of 'bad.csv'" in done.stderr


@pytest.mark.parametrize("max_held_bytes", [1, 10**9])
def test_classes_that_do_not_meet_are_refused(max_held_bytes: int) -> None:
    """A target of which the model knows no class is an error, and no accuracy of 0."""
    with pytest.raises(LabelsDiffer, match=r"'size' holds str \('big', 'small'\).*'ill', 'well'.*no class is the same"):
        evaluate_model("named", "rows.parquet", target="size", latency=False, max_held_bytes=max_held_bytes)


def test_a_target_with_one_known_class_is_evaluated() -> None:
    """Rows of one class, of which the model knows more, are measured even if it is always wrong."""
    rows = pd.read_parquet("rows.parquet")
    wrong = rows[rows["bmi"] > 2].assign(told="well")
    found = evaluate_model("named", wrong, target="told", latency=False)
    assert found.metric("accuracy").value == 0
    assert any("No row has a class that the model predicts" in note for note in found.notes)


def test_a_wrong_file_is_told_by_its_columns() -> None:
    """Which columns of the model are missing in which file, and what there is."""
    other = pd.read_parquet("rows.parquet").drop(columns=["age", "bmi"])
    other.to_parquet("other.parquet")
    with pytest.raises(InputsNotFound) as caught:
        evaluate_model("named", "other.parquet", target="told")
    assert caught.value.missing == ("age", "bmi")
    done = run("named", "other.parquet", "--target", "told", code=1)
    for told in ("'named'", "other.parquet", "'age', 'bmi'", "There is score, told, size, weight"):
        assert told in done.stderr


def test_a_file_read_with_the_wrong_delimiter_hints_at_it() -> None:
    """One column full of semicolons is csv that was not divided."""
    done = run("named", "semicolons.csv", "--target", "told", code=2)
    assert "--delimiter ';'" in done.stderr
    run("named", "semicolons.csv", "--target", "told", "--delimiter", ";", "--no-latency", code=0)


@pytest.mark.parametrize("file", ["rows.csv", "rows.parquet"])
def test_a_model_without_names_is_given_what_is_nothing_elses(file: str) -> None:
    """Target, weights and slices are kept from it, and the result says which columns it was given."""
    arguments = {"target": "told", "weights": "weight", "by": "size", "latency": False}
    found, expected = (evaluate_model(model, file, **arguments) for model in ("plain", "named"))
    assert [each.value for each in found.metrics] == pytest.approx([each.value for each in expected.metrics], rel=1e-3)
    assert "The model names no columns: it was given age, bmi, score, in this order." in found.notes
    same = evaluate_model("plain", pd.read_csv(file) if file.endswith("csv") else file, **arguments)
    assert [each.value for each in found.metrics] == [each.value for each in same.metrics]


@pytest.mark.parametrize("models", [("plain", "named"), ("named", "plain")])
def test_models_with_and_without_names_are_compared(models: tuple[str, str]) -> None:
    """The csv is read by the names of the one that has some, whichever comes first."""
    found = compare_models(*models, "rows.csv", target="told", weights="weight", by="size", latency=False)
    assert found.a.rows == found.b.rows == 120
    done = run(*models, "rows.csv", "--target", "told", "--weights", "weight", "--by", "size", "--json", code=0)
    assert json.loads(done.stdout)["a"]["rows"] == 120


def test_which_of_two_models_does_not_fit_is_told() -> None:
    """The error names the model whose columns are missing."""
    pd.read_parquet("rows.parquet").drop(columns=["bmi"]).to_parquet("without.parquet")
    done = run("plain", "named", "without.parquet", "--target", "told", "--weights", "weight", code=1)
    assert "The model 'named' cannot be evaluated on without.parquet, which lacks 'bmi'" in done.stderr


@pytest.mark.parametrize("max_held_bytes", [1, 10**9])
def test_an_average_says_which_class_counts_as_zero(max_held_bytes: int, tmp_path: Path) -> None:
    """A class without rows, or never predicted, enters a macro average as 0, and the figure says which it is."""
    rows = pd.DataFrame({"x": np.tile([0.0, 1.0, 2.0], 40), "told": np.tile(["a", "b", "c"], 40)})
    palate.save_model(
        LogisticRegression().fit(rows[["x"]], rows["told"]), tmp_path / "m", input_example=rows[["x"]].head(3)
    )
    data = pd.DataFrame({"x": [0.0, 2.0, 1.0, 0.0] * 10, "told": ["a", "a", "b", "a"] * 10})
    found = evaluate_model(str(tmp_path / "m"), data, target="told", latency=False, max_held_bytes=max_held_bytes)
    assert found.metric("recall_macro").value == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert found.metric("recall_macro").note == "'c', of which there are no rows, counts as 0 in it."
    data = pd.DataFrame({"x": [0.0, 1.0, 1.0, 0.0] * 10, "told": ["a", "b", "c", "a"] * 10})
    found = evaluate_model(str(tmp_path / "m"), data, target="told", latency=False, max_held_bytes=max_held_bytes)
    assert found.metric("precision_macro").note == "'c', which was never predicted, counts as 0 in it."
    assert found.metric("recall_macro").note == ""


def test_a_slice_without_a_class_says_so() -> None:
    """The terminal tells, below the slices, in which of them an average has a class that counts as 0."""
    rows = pd.DataFrame({"x": np.tile([0.0, 1.0, 2.0], 40), "told": np.tile(["a", "b", "c"], 40)})
    palate.save_model(LogisticRegression().fit(rows[["x"]], rows["told"]), "four", input_example=rows[["x"]].head(3))
    told = np.where((rows.index % 7 == 0) & (rows.index >= 60), "b", rows["told"])
    told[60:] = np.where(told[60:] == "c", "b", told[60:])
    rows.assign(told=told, half=np.where(rows.index < 60, "whole", "part")).to_parquet("halves.parquet")
    done = run("four", "halves.parquet", "--target", "told", "--by", "half", "--no-latency", code=0)
    assert "note: recall_macro in half=part: 'c', of which there are no rows, counts as 0 in it." in done.stdout


def test_ranges_have_short_names() -> None:
    """The edges of ranges are told with three digits."""
    found = evaluate_model("named", "rows.parquet", target="told", by="bmi", latency=False, resamples=0)
    numbers = [number for part in found.slices for number in re.findall(r"[\d.]+", part.label)]
    assert numbers
    assert all(len(number.replace(".", "").lstrip("0")) <= 3 for number in numbers)


def test_slices_of_both_models_are_shown() -> None:
    """Each slice has a line for A and one for B; that P is corrected stands below the differences."""
    done = run("named", "plain", "rows.csv", "--target", "told", "--weights", "weight", "--by", "size", code=0)
    assert re.findall(r"^(size=\w+) +([AB]) ", done.stdout, re.MULTILINE) == [
        ("size=big", "A"), ("size=big", "B"), ("size=small", "A"), ("size=small", "B"),
    ]  # fmt: skip
    assert "corrected for the number of figures (Holm); intervals are not" in done.stdout


def test_a_gate_with_rows_takes_two_models(tmp_path: Path, place: Path) -> None:
    """Where the gate names the data, what follows the first model is the second one and no file."""
    gate = tmp_path / "gate.yaml"
    gate.write_text(f"rules: [accuracy >= 0.1]\ndata: {place}/rows.parquet\ntarget: told\n")
    document = json.loads(run("named", "named", "--gate", gate, "--json", code=0).stdout)
    assert document["a"]["uri"] == document["b"]["uri"] == "named"


def test_reasons_of_a_gate_say_what_to_do(tmp_path: Path) -> None:
    """A latency that was switched off, a function that gave NaN, a baseline that nobody named: each is the reason."""
    (tmp_path / "own.py").write_text("def odd(y_true, y_pred):\n    return float('nan')\n")
    rules = ("p99 latency <= 1 s", "odd >= 0", "accuracy >= baseline")
    given = [part for rule in rules for part in ("--require", rule)]
    common = ("named", "rows.parquet", "--target", "told")
    done = run(*common, "--no-latency", "--metric", f"{tmp_path}/own.py:odd", *given, code=1)
    latency, odd, baseline = (line for line in done.stderr.splitlines() if "not kept" in line)
    assert "--no-latency" in latency
    assert "returned NaN" in odd
    assert "--baseline" in baseline


def test_a_metric_that_there_cannot_be_is_refused_at_once() -> None:
    """The rows are not even looked for, and the message has no stray mark before its hint."""
    done = run("named", "nowhere.parquet", "--target", "told", "--require", "acuracy >= 0.9", code=2)
    assert "there is no metric 'acuracy': did you mean accuracy or subset_accuracy? Hint: " in done.stderr


def test_a_mistyped_figure_in_python_names_the_near_one() -> None:
    """An evaluation and a comparison say which figure was probably meant; a KeyError it still is."""
    found = compare_models("named", "named", "rows.parquet", target="told", latency=False, resamples=0)
    for look in (found.a.metric, found.difference):
        with pytest.raises(
            MetricNotFound, match=r"^There is no metric 'acuracy'\. Hint: did you mean accuracy\?$"
        ) as e:
            look("acuracy")
        assert isinstance(e.value, KeyError)


def children() -> set[str]:
    """Return the processes that this one has started, and that are still running."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = status.read_text().rpartition(")")[2].split()[:2]
        except OSError:  # it has ended meanwhile
            continue
        if int(parent) == os.getpid() and state != "Z":
            found.add(status.parent.name)
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="it is read from /proc, which only Linux has")
def test_models_in_processes_of_their_own_are_ended() -> None:
    """No process of a model outlives the command."""
    before = children()
    run("named", "named", "rows.parquet", "--target", "told", "--isolate", "--no-latency", code=0)
    assert children() - before == set()

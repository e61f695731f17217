"""``palate evaluate``: figures for people and for programs, and what it exits with."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from sklearn import metrics
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import palate
from palate.cli import main

OWN_METRIC = """
import beside

def cost(y_true, y_pred):
    return beside.FACTOR * float((y_true != y_pred).sum())

cost.greater_is_better = False
broken = 3
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two models, ``weak`` and ``good``, and rows that neither was trained on."""
    folder = tmp_path_factory.mktemp("evaluate")
    x, y = load_breast_cancer(return_X_y=True, as_frame=True)
    random = np.random.default_rng(0)
    x = x.iloc[:, :8] + random.normal(0, 1.0, (len(x), 8)) * x.iloc[:, :8].std().to_numpy()
    diagnosis = y.map({0: "malignant", 1: "benign"})
    train, test, train_y, test_y = train_test_split(x, diagnosis, test_size=0.5, random_state=0)
    for name, c in (("weak", 0.0005), ("good", 1.0)):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=c)).fit(train, train_y)
        palate.save_model(model, folder / name, input_example=train.iloc[:3])
    rows = test.assign(diagnosis=test_y, site=random.choice(["Aachen", "Bergen"], len(test)))
    rows.to_parquet(folder / "rows.parquet")
    rows.to_csv(folder / "rows.csv", index=False)
    rows.to_csv(folder / "rows.txt", index=False, sep=";")
    (folder / "own.py").write_text(OWN_METRIC)
    (folder / "beside.py").write_text("FACTOR = 2\n")
    return folder


@pytest.fixture(autouse=True)
def in_place(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run commands beside the models."""
    monkeypatch.chdir(place)


def run(*arguments: object, code: int = 0) -> Result:
    """Run ``palate evaluate`` and check what it exits with."""
    result = CliRunner().invoke(main, ["evaluate", *map(str, arguments)])
    assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def expected(place: Path, name: str) -> dict[str, float]:
    """Return what scikit-learn says of a model."""
    rows = pd.read_parquet(place / "rows.parquet")
    model = palate.load_native(place / name)
    inputs, true = rows.drop(columns=["diagnosis", "site"]), rows["diagnosis"]
    predicted, score = model.predict(inputs), model.predict_proba(inputs)[:, 1]
    return {
        "accuracy": float(metrics.accuracy_score(true, predicted)),
        "f1": float(metrics.f1_score(true, predicted, pos_label="malignant")),
        "roc_auc": float(metrics.roc_auc_score(true == "malignant", score)),
    }


def test_figures_are_those_of_scikit_learn(place: Path) -> None:
    """Each figure that is printed is what scikit-learn says, for people and for programs."""
    shown = run("good", "rows.parquet", "--target", "diagnosis", "--no-latency").stdout
    document = json.loads(run("good", "rows.parquet", "--target", "diagnosis", "--json", "--no-latency").stdout)
    for name, value in expected(place, "good").items():
        assert re.search(rf"^{name} +{value:.4f} ", shown, re.MULTILINE)
        (metric,) = (one for one in document["metrics"] if one["name"] == name)
        assert metric["value"] == pytest.approx(value, abs=1e-12)
        assert metric["low"] <= value <= metric["high"]
    assert document["rows"] == 285
    assert "285 rows" in shown


def test_two_models_are_compared(place: Path) -> None:
    """With two models, differences are those from the first to the second, with a verdict for each."""
    arguments = ("weak", "good", "rows.parquet", "--target", "diagnosis", "--no-latency")
    document = json.loads(run(*arguments, "--json").stdout)
    a, b = expected(place, "weak"), expected(place, "good")
    for found in document["differences"]:
        if found["name"] in a:
            assert found["difference"] == pytest.approx(b[found["name"]] - a[found["name"]], abs=1e-12)
    shown = run(*arguments).stdout
    assert re.search(r"^accuracy .* B is better$", shown, re.MULTILINE)
    assert shown == run("good", "rows.parquet", *arguments[3:], "--baseline", "weak").stdout


@pytest.mark.parametrize("data", [("rows.csv",), ("rows.txt", "--format", "csv", "--delimiter", ";"), ("rows.p*",)])
def test_other_files_give_the_same(place: Path, data: tuple[str, ...]) -> None:
    """csv, with any delimiter, and patterns are read as parquet is."""
    document = json.loads(run("good", *data, "--target", "diagnosis", "--no-latency", "--json").stdout)
    (accuracy,) = (one["value"] for one in document["metrics"] if one["name"] == "accuracy")
    assert accuracy == pytest.approx(expected(place, "good")["accuracy"], abs=1e-12)


def test_options_reach_the_evaluation() -> None:
    """Slices, intervals, latency, importance, a metric of one's own: each option changes what is found."""
    document = json.loads(
        run(
            "good", "rows.parquet", "--target", "diagnosis", "--positive", "benign", "--by", "site", "--importance",
            "--confidence", "0.9", "--resamples", "50", "--seed", "3", "--latency", "--metric", "own.py:cost", "--json",
        ).stdout
    )  # fmt: skip
    assert (document["positive"], document["confidence"], document["resamples"], document["seed"]) == (
        "benign", 0.9, 50, 3,
    )  # fmt: skip
    assert {part["label"] for part in document["slices"]} == {"Aachen", "Bergen"}
    assert document["latency"]["p99_ms"] >= document["latency"]["p50_ms"] > 0
    assert len(document["importance"]) == 8
    figures = {metric["name"]: metric for metric in document["metrics"]}
    assert figures["cost"]["value"] == pytest.approx(2 * 285 * (1 - figures["accuracy"]["value"]))
    assert figures["cost"]["greater_is_better"] is False


def test_everything_is_shown_to_people() -> None:
    """Slices, latency, importance and notes each have their table."""
    shown = run("good", "rows.parquet", "--target", "diagnosis", "--by", "site", "--importance", "--latency").stdout
    for told in ("SLICE", "site=Aachen", "LATENCY", " ms", "COLUMN", "LOSS IF SHUFFLED", "note: "):
        assert told in shown


@pytest.mark.parametrize(
    ("rules", "broken"),
    [
        (["accuracy >= 0.5"], []),
        (["accuracy >= 0.5", "roc_auc >= 0.5 with 95% confidence", "rows >= 285"], []),
        (["accuracy >= 0.999"], ["accuracy >= 0.999"]),
        (["accuracy >= 0.999", "f1 >= 0.1", "rmse >= 0.1"], ["accuracy >= 0.999", "rmse >= 0.1"]),
        (["p99 latency <= 10 s"], []),
        (["p99 latency <= 1 us"], ["p99 latency <= 1 us"]),
        (["accuracy >= 0.5 for each site"], []),
        (["accuracy >= baseline"], ["accuracy >= baseline"]),
    ],
)
def test_rules_decide_the_exit_code(rules: list[str], broken: list[str]) -> None:
    """Exit code 1 names every rule that was not kept on standard error, and no other."""
    given = [part for rule in rules for part in ("--require", rule)]
    done = run("good", "rows.parquet", "--target", "diagnosis", *given, code=1 if broken else 0)
    named = [line for line in done.stderr.splitlines() if line.startswith("palate: not kept: ")]
    assert len(named) == len(broken)
    for rule, line in zip(broken, named, strict=True):
        assert line.startswith(f"palate: not kept: {rule}: ")
    assert ("the gate passed" in done.stdout) == (not broken)


def test_a_baseline_is_compared_when_a_rule_needs_it() -> None:
    """Rules about a baseline are decided by the paired interval, on the same rows."""
    rule = "accuracy > baseline with 95% confidence"
    run("good", "rows.parquet", "--target", "diagnosis", "--baseline", "weak", "--require", rule)
    done = run("good", "weak", "rows.parquet", "--target", "diagnosis", "--require", rule, code=1)
    assert "accuracy differs from the baseline's by -" in done.stderr


def test_a_gate_alone_is_enough(place: Path, tmp_path: Path) -> None:
    """A gate's file may name rows, target and all else; options take the place of what it sets."""
    gate = tmp_path / "gate.yaml"
    gate.write_text(
        f"rules: [accuracy >= 0.5, accuracy > baseline with 90% confidence, recall >= 0.1 for each site]\n"
        f"baseline: {place}/weak\ndata: {place}/rows.parquet\ntarget: diagnosis\npositive: benign\nresamples: 100\n"
    )
    document = json.loads(run("good", "--gate", gate, "--json").stdout)
    assert document["b"]["positive"] == "benign"
    assert document["b"]["resamples"] == 100
    assert document["confidence"] == 0.9
    assert document["gate"]["passed"] is True
    assert [rule["where"] for rule in document["gate"]["rules"]] == ["", "", "site=Aachen", "site=Bergen"]
    other = json.loads(run("good", "rows.csv", "--gate", gate, "--positive", "malignant", "--json").stdout)
    assert (other["b"]["positive"], other["b"]["data"]) == ("malignant", "rows.csv")


def test_a_failed_gate_is_json_too() -> None:
    """With --json the document has each rule, and the exit code is the same."""
    done = run("good", "rows.parquet", "--target", "diagnosis", "--require", "accuracy >= 1", "--json", code=1)
    gate = json.loads(done.stdout)["gate"]
    assert gate["passed"] is False
    assert gate["rules"][0]["status"] == "failed"
    assert "palate: not kept: accuracy >= 1" in done.stderr


def test_a_missing_baseline_is_skipped_only_if_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name in a store that leads nowhere breaks the rules about it, unless the caller said that there is none yet."""
    monkeypatch.setenv("PALATE_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path / "cache"))
    CliRunner().invoke(main, ["store", "add", "screening", "good"], catch_exceptions=False)
    arguments = (
        "models:/screening/1", "rows.parquet", "--target", "diagnosis", "--baseline", "models:/screening@champion",
        "--require", "accuracy >= baseline", "--require", "accuracy >= 0.5",
    )  # fmt: skip
    done = run(*arguments, code=1)
    assert "there is no baseline at models:/screening@champion" in done.stderr
    done = run(*arguments, "--allow-missing-baseline")
    assert re.search(r"^skipped +accuracy >= baseline ", done.stdout, re.MULTILINE)
    assert "the gate passed; 1 rule skipped, for there is no baseline yet" in done.stdout


def test_a_report_is_written(tmp_path: Path) -> None:
    """The report has the pictures of a real evaluation, and what the gate said of it."""
    run(
        "weak", "good", "rows.parquet", "--target", "diagnosis", "--by", "site", "--report", tmp_path / "report.html",
        "--require", "accuracy >= 0.5",
    )  # fmt: skip
    text = (tmp_path / "report.html").read_text()
    for told in (
        "The gate passed",
        "ROC curve",
        "Calibration",
        "Confusion matrix",
        "Slices of A",
        "good compared with",
    ):
        assert told in text


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "URI DATA"),
        (("good",), "DATA: it is missing"),
        (("good", "rows.parquet"), "--target: it is missing"),
        (("a", "b", "c", "d"), "there are 4"),
        (("weak", "good", "rows.parquet", "--baseline", "weak"), "two models already"),
        (("good", "rows.parquet", "--target", "diagnosis", "--require", "accuracy"), "one of >=, <=, >, <"),
        (("good", "rows.parquet", "--target", "diagnosis", "--gate", "nowhere.yaml"), "nowhere.yaml"),
        (("good", "rows.parquet", "--target", "diagnosis", "--metric", "own.py"), "FILE.py:FUNCTION"),
        (("good", "rows.parquet", "--target", "diagnosis", "--metric", "nowhere.py:cost"), "no file of Python"),
        (("good", "rows.parquet", "--target", "diagnosis", "--metric", "own.py:broken"), "no function 'broken'"),
        (("good", "rows.parquet", "--target", "diagnosis", "--delimiter", "ab"), "not one character"),
        (("good", "--require", "accuracy >= 0.5"), "neither the gate nor the call names it"),
        (("good", "rows.parquet", "--target", "diagnosi"), "Hint: did you mean diagnosis? There is "),
        (("good", "rows.parquet", "--target", "diagnosis", "--by", "sit"), "Hint: did you mean site?"),
        (("good", "rows.parquet", "--target", "diagnosis", "--weights", "sit"), "Hint: did you mean site?"),
        (("good", "rows.parquet", "--target", "diagnosis", "--require", "acuracy >= 0.9"), "did you mean accuracy"),
        (("weak", "good"), "'good' is a model, and rows are missing"),
        (("nowhere", "rows.parquet", "--target", "diagnosis"), "No model at 'nowhere'"),
    ],
)
def test_wrong_use_is_told(arguments: tuple[str, ...], told: str) -> None:
    """Whatever was left out or mistyped is told in one line, with exit code 2."""
    done = run(*arguments, code=2)
    assert told in done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1


def test_a_report_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A folder that is not there costs the report, and says so."""
    done = run(
        "good", "rows.parquet", "--target", "diagnosis", "--no-latency", "--report", tmp_path / "no" / "a.html", code=1
    )
    assert "Nothing was saved" in done.stderr


def test_what_a_model_prints_stays_aside(tmp_path: Path) -> None:
    """Standard output is the command's: JSON stays JSON while the user's metric prints."""
    (tmp_path / "loud.py").write_text("def loud(y_true, y_pred):\n    print('noise')\n    return 1.0\n")
    done = run("good", "rows.parquet", "--target", "diagnosis", "--metric", f"{tmp_path}/loud.py:loud", "--json")
    assert json.loads(done.stdout)["rows"] == 285

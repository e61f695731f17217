"""Reports of what was really evaluated: each task from a model and its rows to the page, and through a gate."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_digits, make_classification, make_multilabel_classification
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multioutput import MultiOutputClassifier

import palate
from palate.evaluation import (
    Comparison,
    Evaluation,
    check_gate,
    compare_models,
    evaluate_model,
    make_gate,
    run_gate,
    write_report,
)

PICTURES = {
    "binary": {"ROC curve", "Precision and recall", "Calibration", "Confusion matrix"},
    "multiclass": {"ROC curve", "Precision and recall", "Calibration", "Confusion matrix"},
    "multilabel": {"ROC curve", "Precision and recall", "Calibration"},
    "regression": {"Residuals", "Predicted and true values"},
}


def make_rows(task: str) -> tuple[pd.DataFrame, Any]:
    """Return inputs and what is true of them."""
    if task == "regression":
        x, y = load_diabetes(return_X_y=True)
    elif task == "multilabel":
        x, y = make_multilabel_classification(n_samples=300, n_classes=3, random_state=0)
    elif task == "multiclass":
        x, y = load_digits(return_X_y=True)
    else:
        x, y = make_classification(n_samples=300, flip_y=0.2, random_state=0)
    names = [f"x{number}" for number in range(x.shape[1])]
    return pd.DataFrame(np.asarray(x, dtype=float), columns=names), y


@pytest.fixture(scope="module", params=PICTURES)
def evaluated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Evaluation]:
    """Return a folder with a model and its rows, and what was found, for each task."""
    task, folder = request.param, tmp_path_factory.mktemp(request.param)
    x, y = make_rows(task)
    model: Any = LinearRegression() if task == "regression" else LogisticRegression(max_iter=300)
    model = MultiOutputClassifier(model) if task == "multilabel" else model
    palate.save_model(model.fit(x[::2], y[::2]), folder / "model", input_example=x[:3])
    truth = pd.DataFrame(y).add_prefix("y")
    rows = pd.concat([x, truth], axis=1)[1::2].assign(site=np.arange(len(x))[1::2] % 3)
    rows.to_parquet(folder / "rows.parquet")
    found = evaluate_model(
        str(folder / "model"), str(folder / "rows.parquet"), target=list(truth), by="site", resamples=200
    )
    assert found.task == task
    return folder, found


def test_every_metric_has_a_title(evaluated: tuple[Path, Evaluation], tmp_path: Path) -> None:
    """People are shown what a metric is called in words, beside the name by which a rule asks for it."""
    _, found = evaluated
    write_report(found, tmp_path / "a.html")
    shown = re.findall(r'<bdi>([^<]+)</bdi> <code class="figure-name">(\w+)</code>', (tmp_path / "a.html").read_text())
    assert {name for _, name in shown} == {metric.name for metric in found.metrics}
    assert [title for title, name in shown if title == name or "_" in title] == []


def test_a_report_shows_what_was_found(evaluated: tuple[Path, Evaluation], tmp_path: Path) -> None:
    """Each figure of the evaluation stands in the report, and each picture that its task has."""
    _, found = evaluated
    write_report(found, tmp_path / "a.html")
    text = (tmp_path / "a.html").read_text()
    titles = set(re.findall(r"<figcaption><h3>([^<]+)</h3>", text))
    assert titles == PICTURES[found.task]
    for metric in found.metrics:
        assert f'<code class="figure-name">{metric.name}</code>' in text
        if metric.value is not None and 0.001 < metric.value < 1:
            assert f'<td class="number">{metric.value:.4f}<small>' in text
    assert text.count('<td class="strip-cell"') == len(found.metrics) * (1 + len(found.slices))


def test_two_models_of_one_task_are_drawn_beside_each_other(evaluated: tuple[Path, Evaluation], tmp_path: Path) -> None:
    """A comparison has each picture twice, and a row for each difference."""
    folder, found = evaluated
    uri, target = str(folder / "model"), found.target.split(",")
    both = compare_models(uri, uri, str(folder / "rows.parquet"), target=target, resamples=50, latency=False)
    write_report(both, tmp_path / "a.html")
    text = (tmp_path / "a.html").read_text()
    for title in PICTURES[found.task]:
        assert text.count(f"<h3>{title} <span") == 2
    assert "B is better in 0 and A in 0" in text
    assert text.count("may be chance</td>") == sum(one.difference is not None for one in both.differences)


def test_a_gate_judges_what_was_found(evaluated: tuple[Path, Evaluation]) -> None:
    """A model is as good as itself, by every figure that is defined, and each slice of it has figures."""
    folder, found = evaluated
    signs = {metric.name: ">=" if metric.greater_is_better else "<=" for metric in found.metrics}
    defined = [metric.name for metric in found.metrics if metric.low is not None]
    rules = [f"{name} {signs[name]} baseline with 95% confidence" for name in defined]
    rules += [f"rows >= {found.rows}", "p99 latency <= 60 s", "rows >= 1 for each site", "rows >= 1 for site=2"]
    gate = make_gate(
        rules, data=[str(folder / "rows.parquet")], target=found.target.split(","), resamples=200,
        baseline=str(folder / "model"),
    )  # fmt: skip
    judged = run_gate(gate, str(folder / "model"))
    assert [one.reason for one in judged.broken] == []
    assert isinstance(judged.result, Comparison)
    assert judged.result.b.metrics == judged.result.a.metrics  # the same model on the same rows
    assert {one.where for one in judged.judgements} == {"", "site=0", "site=1", "site=2"}


def test_a_rule_is_decided_by_the_figure_itself(evaluated: tuple[Path, Evaluation]) -> None:
    """A limit at the figure passes, one beyond it does not; likewise at the end of the interval."""
    _, found = evaluated
    for metric in found.metrics[:4]:
        if metric.value is None or metric.low is None or metric.low == metric.value:
            continue
        for rule, kept in (
            (f"{metric.name} >= {metric.value!r}", True),
            (f"{metric.name} > {metric.value!r}", False),
            (f"{metric.name} >= {metric.low!r} with 95% confidence", True),
            (f"{metric.name} >= {metric.value!r} with 95% confidence", False),
        ):
            assert check_gate(make_gate([rule]), found).passed == kept, rule

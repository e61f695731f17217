"""Two models on the same rows: which differences are real, and which may be chance."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from palate.codecs import DataFormat
from palate.errors import InvalidOption
from palate.evaluation._accumulator import Totals
from palate.evaluation._custom_metrics import CustomMetric
from palate.evaluation._data_pass import PassResult, run_pass
from palate.evaluation._evaluating import make_evaluation, open_model, require_sklearn
from palate.evaluation._metrics import Bootstrap
from palate.evaluation._outcomes import Array
from palate.evaluation._resampling import percentiles
from palate.evaluation._settings import BATCH_ROWS, MAX_HELD_BYTES, Settings, names_of
from palate.evaluation._significance import bootstrap_p_value, holm, mcnemar_p_value
from palate.evaluation.errors import TaskUnknown
from palate.evaluation.results import Comparison, Difference, Evaluation, Label, Metric, Task
from palate.pyfunc import PyFuncModel

__all__ = ["compare_models"]


def compare_models(
    a: PyFuncModel | str,
    b: PyFuncModel | str,
    data: Any,
    *,
    target: Any,
    task: Task | None = None,
    positive: Label = None,
    classes: Sequence[Label] | None = None,
    by: str | Sequence[str] = (),
    weights: Any = None,
    method: str | None = None,
    metrics: Sequence[CustomMetric] = (),
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
    latency: bool = True,
    importance: bool = False,
    trust: bool = False,
    isolate: bool = False,
    format: DataFormat | None = None,
    delimiter: str | None = None,
    batch_rows: int = BATCH_ROWS,
    max_held_bytes: int = MAX_HELD_BYTES,
) -> Comparison:
    """Evaluate two models on the same rows, and say which differences between them are real.

    Each bootstrap sample has the same rows for both, so that rows which are hard for both cancel. Accuracy is tested by
    McNemar's exact test. The p values are corrected for the number of metrics (Holm); intervals are not.

    Args:
        a: the first model, or its URI, such as the one that is in use.
        b: the second one, such as the one that shall replace it; differences are *b* - *a*.
        data, target, task, positive, classes, by, weights, method, metrics: as for ``evaluate_model``.
        confidence: of all intervals; a difference is real if its corrected p value is less than 1 - *confidence*.
        resamples, seed, latency, importance, trust, isolate, format, delimiter, batch_rows, max_held_bytes: as
            for ``evaluate_model``.

    Raises:
        EvaluationError, InvalidOption, InvalidInput, DependencyMissing: as for ``evaluate_model``.
    """
    require_sklearn()
    settings = Settings(
        task=task,
        positive=positive,
        classes=None if classes is None else tuple(classes),
        method=method,
        by=names_of(by),
        metrics=tuple(metrics),
        format=format,
        delimiter=delimiter,
        bootstrap=Bootstrap(confidence=confidence, resamples=resamples, seed=seed),
        batch_rows=batch_rows,
        max_held_bytes=max_held_bytes,
    )
    with ExitStack() as stack:
        opened = [open_model(model, stack, trust=trust, isolate=isolate) for model in (a, b)]
        read = run_pass([model for model, _ in opened], data, target=target, weights=weights, settings=settings)
        _check_tasks(read)
        evaluations = [
            make_evaluation(each, uri, weights, settings, latency=latency, importance=importance)
            for each, (_, uri) in zip(read, opened, strict=True)
        ]
    first, second = evaluations
    differences = _differences(first, second, read[0].totals, read[1].totals, confidence)
    return Comparison(a=first, b=second, confidence=confidence, differences=differences)


def _check_tasks(read: Sequence[PassResult]) -> None:
    tasks = [each.totals.spec.task for each in read]
    if tasks[0] != tasks[1]:
        reason = f"the first model was measured as {tasks[0]}, the second as {tasks[1]}"
        raise TaskUnknown(read[0].subject.target.title, reason=reason, choices=tuple(dict.fromkeys(tasks)))
    if tasks[0] == "binary":
        looked_for = [str(each.subject.labels.met[each.totals.spec.positive or 0]) for each in read]
        if looked_for[0] != looked_for[1]:
            reason = f"it is {looked_for[0]!r:.40} for the first model, and {looked_for[1]!r:.40} for the second"
            raise InvalidOption("positive", reason=reason, hint="pass positive= (CLI: --positive)")


def _differences(
    a: Evaluation, b: Evaluation, first: Totals, second: Totals, confidence: float
) -> tuple[Difference, ...]:
    """Return the difference in each metric that both have, with what is real among them."""
    pairs = [(metric, b.metric(metric.name)) for metric in a.metrics if _has(b, metric.name)]
    found = []
    for one, other in pairs:
        samples = _paired(first, second, one.name)
        mcnemar = None
        if one.name == "accuracy" and first.rows is not None and second.rows is not None:
            mcnemar = mcnemar_p_value(first.rows, second.rows)
        found.append(_difference(one, other, samples, mcnemar, confidence))
    return _judged(found, confidence)


def _has(evaluation: Evaluation, name: str) -> bool:
    return any(metric.name == name for metric in evaluation.metrics)


def _paired(first: Totals, second: Totals, name: str) -> Array | None:
    a, b = first.measured.samples.get(name), second.measured.samples.get(name)
    return None if a is None or b is None else b - a


def _difference(a: Metric, b: Metric, samples: Array | None, mcnemar: float | None, confidence: float) -> Difference:
    """Return a difference whose p value is not corrected yet."""
    value = None if a.value is None or b.value is None else b.value - a.value
    low = high = p_value = None
    if value is not None and samples is not None and a.low is not None and b.low is not None:
        there = samples[np.isfinite(samples)]
        low, high = percentiles(there, confidence)
        p_value = bootstrap_p_value(there, value)
    return Difference(
        name=a.name,
        a=a.value,
        b=b.value,
        difference=value,
        low=low,
        high=high,
        p_value=p_value if mcnemar is None else mcnemar,
        better="",
        greater_is_better=a.greater_is_better,
        test="paired bootstrap" if mcnemar is None else "exact McNemar",
    )


def _judged(differences: Sequence[Difference], confidence: float) -> tuple[Difference, ...]:
    """Return the differences with Holm's correction, and which model is better where one is."""
    p_values = [each.p_value for each in differences]
    corrected = iter(holm([value for value in p_values if value is not None]))
    found = []
    for each in differences:
        p_value = None if each.p_value is None else next(corrected)
        found.append(replace(each, p_value=p_value, better=_better(each, p_value, 1 - confidence)))
    return tuple(found)


def _better(each: Difference, p_value: float | None, alpha: float) -> Literal["a", "b", ""]:
    if p_value is None or p_value >= alpha or not each.difference or each.greater_is_better is None:
        return ""
    return "b" if (each.difference > 0) == each.greater_is_better else "a"

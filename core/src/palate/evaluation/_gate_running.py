"""A gate from its beginning: the model, and the baseline if a rule needs it, evaluated on its rows, and judged."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from palate.errors import InvalidOption, Problem, VersionNotFound
from palate.evaluation._comparing import compare_models
from palate.evaluation._custom_metrics import CustomMetric, metric_name
from palate.evaluation._evaluating import evaluate_model, open_model
from palate.evaluation._gate_file import Gate, InvalidGate
from palate.evaluation._gate_judging import GateResult, check_gate
from palate.evaluation._near_names import meant_names
from palate.evaluation._settings import METRIC_NAMES
from palate.locations import locate

__all__ = ["run_gate"]


def run_gate(
    gate: Gate,
    uri: str,
    *,
    baseline_uri: str | None = None,
    data: Any = None,
    target: Sequence[str] = (),
    allow_missing_baseline: bool = False,
    metrics: Sequence[CustomMetric] = (),
    latency: bool | None = None,
    importance: bool = False,
    trust: bool = False,
    isolate: bool = False,
) -> GateResult:
    """Evaluate a model as a gate says, and hold it against its rules.

    A baseline is evaluated too, on the same rows, if a rule compares with it. If it is named as a version in a store
    and the store has no such version, its rules are undecidable, and the gate does not pass.

    Args:
        gate: the rules, and how to evaluate.
        uri: the model.
        baseline_uri: the baseline, instead of the gate's; compared even if no rule is about it.
        data: the rows, instead of the gate's: what ``palate.datasets.open_dataset`` takes.
        target: the columns with what is true, instead of the gate's.
        allow_missing_baseline: where there is no baseline, skip the rules that compare with it, as for the first
            version of a model. Where there is one, it is used.
        metrics: functions of your own, for rules about them.
        latency: whether the time of a prediction is measured; by default if a rule is about it.
        importance: whether each input is shuffled, for the report.
        trust: as for ``palate.load_model``, of both models.
        isolate: the same.

    Raises:
        InvalidOption: neither gate nor arguments name rows and target.
        InvalidGate: a rule is about a metric that no evaluation has, or of another confidence than the gate.
        PalateError: what ``evaluate_model`` and ``compare_models`` raise.
    """
    is_compared = gate.needs_baseline or baseline_uri is not None
    gate = replace(gate, baseline=baseline_uri or gate.baseline, target=tuple(target) or gate.target)
    rows = gate.data if data is None else data
    for name, given in (("data", rows), ("target", gate.target)):
        if isinstance(given, tuple) and not given:
            raise InvalidOption(
                name, reason="neither the gate nor the call names it", hint=f"add '{name}:' to the gate"
            )
    _check_names(gate, metrics)
    _check_confidence(gate)
    with ExitStack() as stack:
        model, _ = open_model(uri, stack, trust=trust, isolate=isolate)
        options = {
            **_options(gate),
            "metrics": tuple(metrics),
            "latency": gate.needs_latency if latency is None else latency,
            "importance": importance,
        }
        if gate.baseline is None or not is_compared or not _is_there(gate.baseline):
            found = evaluate_model(model, _plain(rows), **options)
            return check_gate(gate, found, allow_missing_baseline=allow_missing_baseline)
        baseline, _ = open_model(gate.baseline, stack, trust=trust, isolate=isolate)
        return check_gate(gate, compare_models(baseline, model, _plain(rows), **options))


def _check_names(gate: Gate, functions: Sequence[CustomMetric]) -> None:
    """Raise InvalidGate for a metric that neither Palate nor a function of the user's own can give."""
    own = [metric_name(function) for function in functions]
    known = sorted({*METRIC_NAMES, *own})
    problems = []
    for number, rule in enumerate(gate.rules, 1):
        is_own = any(rule.subject == name or rule.subject.startswith(f"{name}_") for name in own)
        if rule.kind == "metric" and rule.subject not in METRIC_NAMES and not is_own:
            told = f"there is no metric {rule.subject!r:.60}: {meant_names(rule.subject, known)}"
            problems.append(Problem(("rules", number), "wrong_value", told))
    if problems:
        raise InvalidGate(gate.source, problems=problems)


def _check_confidence(gate: Gate) -> None:
    """Raise InvalidGate for a rule of another confidence than the gate was told, for it could never be kept."""
    problems = [
        Problem(("rules", number), "wrong_value", f"{rule.text!r:.200}: intervals are to be of {gate.confidence:.6g}")
        for number, rule in enumerate(gate.rules, 1)
        if None not in (rule.confidence, gate.confidence) and rule.confidence != gate.confidence
    ]
    if problems:
        raise InvalidGate(gate.source, problems=problems)


def _is_there(baseline: str) -> bool:
    """Whether a name in a store leads to a version; whatever else is wrong with it is an error."""
    try:
        locate(baseline)
    except VersionNotFound:
        return False
    return True


def _options(gate: Gate) -> dict[str, Any]:
    """Return the arguments of an evaluation that a gate sets; what it leaves open is as always."""
    given = {
        "target": gate.target[0] if len(gate.target) == 1 else list(gate.target),
        "task": gate.task,
        "positive": gate.positive,
        "classes": gate.classes,
        "by": gate.columns,
        "weights": gate.weights,
        "method": gate.method,
        "confidence": gate.confidence,
        "resamples": gate.resamples,
        "seed": gate.seed,
        "format": gate.format,
        "delimiter": gate.delimiter,
    }
    return {name: value for name, value in given.items() if value is not None}


def _plain(rows: Any) -> Any:
    return rows[0] if isinstance(rows, tuple) and len(rows) == 1 else rows

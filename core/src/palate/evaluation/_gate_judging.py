"""Rules against what an evaluation found: which are kept, which are not, and why."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from palate.evaluation._display_text import label_text
from palate.evaluation._gate_certainty import Undecidable, end_of_difference, end_of_metric
from palate.evaluation._gate_file import Gate
from palate.evaluation._gate_rules import Rule, Scope
from palate.evaluation._near_names import meant_names
from palate.evaluation.results import Comparison, Evaluation, Label, Metric, Slice
from palate.locations import shown_uri

__all__ = ["GateResult", "Judgement", "Status", "check_gate"]

Status: TypeAlias = Literal["passed", "failed", "undecidable", "skipped"]

_SIGNS: Final[dict[str, Callable[[float, float], bool]]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_ROUNDING: Final = 1e-12
"""Two figures that differ by such a share of their terms are equal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What became of a rule, or of a rule in one slice.

    Attributes:
        rule: the rule.
        where: the slice, as "region=north"; nothing where it is about all rows.
        status: whether it was kept. One that is undecidable, because something is missing or not defined, was not.
            One that was skipped is only told: it compares with a baseline, and the caller said that there is none yet.
        measured: what was held against the limit: a figure, an end of its interval, or an end of the interval of a
            difference; None where there is nothing.
        limit: the limit as a number; None where there is none.
        reason: what was found, as a sentence without its end.
    """

    rule: Rule
    where: str
    status: Status
    measured: float | None
    limit: float | None
    reason: str

    @property
    def title(self) -> str:
        """The rule, and the slice where it is about one of several."""
        return f"{self.rule.text} [{self.where}]" if self.where else self.rule.text


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """What a gate said of a model.

    Attributes:
        gate: the gate.
        judgements: of its rules, in their order; of one for each slice, several.
        result: what was judged: of two models, the second against the first, which is the baseline.
    """

    gate: Gate
    judgements: tuple[Judgement, ...]
    result: Evaluation | Comparison

    @property
    def passed(self) -> bool:
        """Whether every rule was kept, apart from skipped ones."""
        return not self.broken

    @property
    def broken(self) -> tuple[Judgement, ...]:
        """The rules that were not kept."""
        return tuple(one for one in self.judgements if one.status in ("failed", "undecidable"))

    @property
    def skipped(self) -> tuple[Judgement, ...]:
        """The rules that nothing was decided by, because there is no baseline yet."""
        return tuple(one for one in self.judgements if one.status == "skipped")

    @property
    def candidate(self) -> Evaluation:
        """The evaluation of the model that was judged."""
        return self.result.b if isinstance(self.result, Comparison) else self.result

    @property
    def baseline(self) -> Evaluation | None:
        """That of the one it was compared with."""
        return self.result.a if isinstance(self.result, Comparison) else None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON data, without the evaluation."""
        return {
            "passed": self.passed,
            "gate": self.gate.source,
            "digest": self.gate.digest,
            "model": self.candidate.uri,
            "model_digest": self.candidate.digest,
            "baseline": self.baseline.uri if self.baseline else None,
            "baseline_digest": self.baseline.digest if self.baseline else None,
            "rules": [
                {
                    "rule": one.rule.text,
                    "where": one.where,
                    "status": one.status,
                    "measured": one.measured,
                    "limit": one.limit,
                    "reason": one.reason,
                }
                for one in self.judgements
            ],
        }


def check_gate(gate: Gate, result: Evaluation | Comparison, *, allow_missing_baseline: bool = False) -> GateResult:
    """Hold every rule of a gate against what was found.

    What cannot be decided is not passed: a metric that there is not or that is not defined, a slice without rows, a
    column of which some rows are in no slice, an interval of another confidence or without any width, a baseline that
    is missing.

    Args:
        gate: the rules.
        result: an evaluation; or a comparison, in which the first model is the baseline.
        allow_missing_baseline: of an evaluation, skip the rules that compare with a baseline: there is none yet.
    """
    judge = _Judge(gate, result, skips=allow_missing_baseline)
    judgements = tuple(one for rule in gate.rules for one in judge.judge(rule))
    return GateResult(gate=gate, judgements=judgements, result=result)


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows that a rule is about: all of them, or a slice."""

    where: str
    rows: int
    metrics: tuple[Metric, ...]
    baseline: tuple[Metric, ...] | None

    def metric(self, name: str) -> Metric | None:
        return next((found for found in self.metrics if found.name == name), None)

    def of_baseline(self, name: str) -> float | None:
        return next((found.value for found in self.baseline or () if found.name == name), None)


class _Judge:
    """Holds rules against one result."""

    def __init__(self, gate: Gate, result: Evaluation | Comparison, *, skips: bool) -> None:
        self._named = gate.baseline
        self._comparison = result if isinstance(result, Comparison) else None
        self._found = result.b if isinstance(result, Comparison) else result
        self._baseline = result.a if isinstance(result, Comparison) else None
        self._skips = skips

    def judge(self, rule: Rule) -> Iterator[Judgement]:
        """Return what became of a rule: once, or for each slice."""
        if rule.needs_baseline and self._baseline is None:
            status: Status = "skipped" if self._skips else "undecidable"
            yield _judged(rule, status, self._no_baseline())
            return
        try:
            parts = list(self._parts(rule.scope))
        except Undecidable as exc:
            yield _judged(rule, "undecidable", str(exc))
            return
        for rows in parts:
            try:
                yield self._decide(rule, rows)
            except Undecidable as exc:
                yield _judged(rule, "undecidable", str(exc), where=rows.where)
        if rule.scope is not None and rule.scope.value is None and (left := self._unseen_slices(rule.scope)):
            yield _judged(rule, "undecidable", left)

    def _no_baseline(self) -> str:
        if self._skips:
            return "there is no baseline yet"
        if self._named:
            return f"there is no baseline at {shown_uri(self._named)}"
        return "no baseline was named: add 'baseline:' to the gate, or pass baseline_uri (CLI: --baseline)"

    def _parts(self, scope: Scope | None) -> Iterator[_Rows]:
        if scope is None:
            a = self._baseline
            yield _Rows("", self._found.rows, self._found.metrics, None if a is None else a.metrics)
            return
        slices = [found for found in self._found.slices if found.column == scope.column]
        if not slices:
            columns = sorted({found.column for found in self._found.slices})
            told = f"; there are slices by {', '.join(columns)}" if columns else ""
            raise Undecidable(f"rows were not divided by {scope.column!r}{told}")
        chosen = [found for found in slices if scope.value is None or _is_called(found, scope.value)]
        if not chosen:
            known = ", ".join(label_text(found.label) for found in slices[:10])
            left = self._rows_in_no_slice(scope.column)
            if left:
                told = f"there is no slice {scope.column}={scope.value}, and {left:,} rows are in no slice"
                raise Undecidable(f"{told}; there is {known}")
            raise Undecidable(f"there are no rows with {scope.column}={scope.value}; there is {known}")
        large = [found for found in chosen if found.rows >= scope.least_rows]
        if not large:
            raise Undecidable(f"no slice has {scope.least_rows} rows")
        for found in large:
            yield self._slice(found)

    def _unseen_slices(self, scope: Scope) -> str:
        """Return why a rule for each slice is not decided by those that there are; nothing if it is.

        Rare values of a column are no slices, nor are those first met when rows are already summed up. Each has at most
        all the rows that are in none.
        """
        left = self._rows_in_no_slice(scope.column)
        if left < max(scope.least_rows, 1):
            return ""
        told = f"{left:,} rows are in no slice, for their values of {scope.column!r} are rare, or were first met late"
        return f"{told}: divide by a column of fewer values, or ask for slices 'of at least {left + 1} rows'"

    def _rows_in_no_slice(self, column: str) -> int:
        return self._found.rows - sum(found.rows for found in self._found.slices if found.column == column)

    def _slice(self, found: Slice) -> _Rows:
        others = self._baseline.slices if self._baseline else ()
        same = [other for other in others if other.column == found.column and _same(other.value, found.value)]
        return _Rows(
            f"{found.column}={label_text(found.label)}", found.rows, found.metrics, same[0].metrics if same else None
        )

    def _decide(self, rule: Rule, rows: _Rows) -> Judgement:
        if rule.kind == "rows":
            return _compare(rule, rows, float(rows.rows), rule.limit.number, "the number of rows is")
        if rule.kind == "latency":
            return self._decide_latency(rule, rows)
        if rule.confidence is not None and rule.needs_baseline:
            return self._decide_difference(rule, rows)
        metric = self._metric(rule.subject, rows)
        limit, terms = rule.limit.number, 0.0
        if rule.needs_baseline:
            terms = rule.limit.factor * _defined(rows.of_baseline(rule.subject), f"{rule.subject} of the baseline")
            limit += terms
        value = _defined(metric.value, rule.subject, metric.note)
        if rule.confidence is None:
            return _compare(rule, rows, value, limit, f"{rule.subject} is", terms=terms)
        end = end_of_metric(rule, metric, rows.rows, self._found)
        return _compare(rule, rows, end, limit, f"{rule.subject} is {value:.4g}, and its interval reaches")

    def _decide_difference(self, rule: Rule, rows: _Rows) -> Judgement:
        comparison = self._comparison
        assert comparison is not None  # judge has seen to that
        self._metric(rule.subject, rows)
        found = next((one for one in comparison.differences if one.name == rule.subject), None)
        if found is None:
            raise Undecidable(f"the models were not compared in {rule.subject}")
        difference = _defined(found.difference, f"the difference in {rule.subject}")
        end = end_of_difference(rule, found, comparison)
        told = f"{rule.subject} differs from the baseline's by {difference:.4g}, and the interval reaches"
        return _compare(rule, rows, end, rule.limit.number, told, terms=max(abs(found.a or 0), abs(found.b or 0)))

    def _decide_latency(self, rule: Rule, rows: _Rows) -> Judgement:
        if self._found.latency is None:
            raise Undecidable("latencies were not measured: leave out latency=False (CLI: --no-latency)")
        value = _defined(_latency(self._found, rule.subject), f"the {rule.subject} latency")
        limit = rule.limit.number
        if rule.needs_baseline:
            assert self._baseline is not None  # judge has seen to that
            other = _latency(self._baseline, rule.subject)
            limit += rule.limit.factor * _defined(other, f"the {rule.subject} latency of the baseline")
        return _compare(rule, rows, value, limit, f"the {rule.subject} latency in ms is")

    def _metric(self, name: str, rows: _Rows) -> Metric:
        metric = rows.metric(name)
        if metric is not None:
            return metric
        known = [found.name for found in rows.metrics]
        raise Undecidable(f"there is no metric {name!r}: {meant_names(name, known)}")


def _compare(rule: Rule, rows: _Rows, value: float, limit: float, told: str, *, terms: float = 0.0) -> Judgement:
    """Hold a figure against a limit; *terms* is the size of what either was added up from."""
    # 0.9 - 0.01 and 0.89 are not the same float; to whoever wrote the rule they are. How far they are apart goes by the
    # size of the terms, and not of what is left of them.
    size = max(abs(value), abs(limit), abs(terms))
    is_equal = math.isclose(value, limit, rel_tol=0, abs_tol=_ROUNDING * size)
    kept = "=" in rule.comparator if is_equal else _SIGNS[rule.comparator](value, limit)
    shown, against = _apart(value, limit)
    told = f"{told} {shown}, which is {'' if kept else 'not '}{rule.comparator} {against}"
    return Judgement(
        rule=rule,
        where=rows.where,
        status="passed" if kept else "failed",
        measured=value,
        limit=limit,
        reason=told,
    )


def _judged(rule: Rule, status: Status, reason: str, *, where: str = "") -> Judgement:
    return Judgement(rule=rule, where=where, status=status, measured=None, limit=None, reason=reason)


def _defined(value: float | None, what: str, note: str = "") -> float:
    if value is None or math.isnan(value):
        why = f": {note.removesuffix('.')}" if note else ""
        raise Undecidable(f"{what} is not defined{why}")
    return value


def _latency(found: Evaluation, which: str) -> float | None:
    took = found.latency
    if took is None:
        return None
    return {"p50": took.p50_ms, "p95": took.p95_ms, "p99": took.p99_ms, "mean": took.mean_ms}[which]


def _is_called(found: Slice, value: str) -> bool:
    return value in (found.label, label_text(found.value))


def _same(a: Label, b: Label) -> bool:
    return a == b and isinstance(a, bool) == isinstance(b, bool)


def _apart(value: float, limit: float) -> tuple[str, str]:
    """Return two numbers with as few digits as tell them apart, and at least four."""
    for digits in range(4, 17):
        shown, against = f"{value:.{digits}g}", f"{limit:.{digits}g}"
        if shown != against:
            break
    else:
        shown, against = f"{value:.4g}", f"{limit:.4g}"
    return shown, against

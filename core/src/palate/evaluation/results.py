"""What an evaluation found: values that a report draws, a gate judges and JSON keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from palate.evaluation.errors import MetricNotFound

__all__ = [
    "Calibration",
    "Comparison",
    "Confusion",
    "Curve",
    "Difference",
    "Evaluation",
    "Importance",
    "Label",
    "Latency",
    "Metric",
    "Pictures",
    "Residuals",
    "Slice",
    "Task",
]

Task: TypeAlias = Literal["binary", "multiclass", "multilabel", "regression"]
Label: TypeAlias = str | int | float | bool | None
"""A class, or the value of a column by which rows are divided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One figure.

    Attributes:
        name: such as "accuracy", "f1_macro", "roc_auc", "rmse"; a rule of a gate asks for it by that name.
        value: None where it is not defined, as ROC AUC is not for rows of one class; *note* says why.
        low: the lower end of the confidence interval; None where there is none.
        high: its upper end.
        greater_is_better: which way is up; None where neither is, as for a function of the user's own that does not
            say.
        note: what a reader has to know, such as why there is no value.
    """

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    greater_is_better: bool | None = True
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """The rows in which a column has one value, with figures of their own.

    Attributes:
        column: its name.
        value: what it holds in these rows; None where it is missing.
        label: the same as text for people, which names a range for a column that was divided into some.
        rows: how many there are.
        metrics: the figures of the whole, of these rows alone.
    """

    column: str
    value: Label
    label: str
    rows: int
    metrics: tuple[Metric, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A curve of a binary decision, of at most some hundred points.

    Attributes:
        label: the class that it tells from the rest.
        x: false positive rate (ROC) or recall (PR).
        y: true positive rate (ROC) or precision (PR).
        area: the area under it: ROC AUC, or average precision.
    """

    label: Label
    x: tuple[float, ...]
    y: tuple[float, ...]
    area: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """How often a class came true among the rows of which a model said so with a probability.

    Attributes:
        label: the class.
        predicted: the mean probability in each bin that has rows.
        observed: the share of its rows that are of the class.
        rows: how many rows (or how much weight) each bin has.
    """

    label: Label
    predicted: tuple[float, ...]
    observed: tuple[float, ...]
    rows: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """Rows (or weight) by true class, first index, and predicted class, second index."""

    labels: tuple[Label, ...]
    counts: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Residuals:
    """How far predictions of a number are off.

    Attributes:
        edges: of the bins of ``predicted - true``; one more than *counts*.
        counts: rows (or weight) in each.
        actual: true values of a sample of rows.
        predicted: what was predicted for these.
    """

    edges: tuple[float, ...]
    counts: tuple[float, ...]
    actual: tuple[float, ...]
    predicted: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """What can be drawn of an evaluation; empty where a task has no such picture."""

    roc: tuple[Curve, ...] = ()
    pr: tuple[Curve, ...] = ()
    calibration: tuple[Calibration, ...] = ()
    confusion: Confusion | None = None
    residuals: Residuals | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """How long predictions took, in milliseconds, each call with *rows_per_call* rows."""

    rows_per_call: int
    calls: int
    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Importance:
    """How much a metric loses when a column is shuffled, mean and standard deviation over some shuffles."""

    column: str
    mean: float
    deviation: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What a model is worth on some rows.

    Attributes:
        uri: the model's, as it was given.
        digest: its identity; None for a model without a MANIFEST.json.
        name: the model's name in a store, or None.
        version: its version there, or None.
        flavor: the flavor that answered.
        task: binary, multiclass, multilabel or regression.
        target: the column (or columns, joined by commas) that holds what is true.
        data: where the rows came from.
        rows: how many were evaluated.
        skipped: how many were left out, because nobody knows what is true of them.
        classes: all classes in the data or known to the model, in sorted order; of several labels, their columns.
        positive: of a binary task, the class that is looked for.
        weights: the column of sample weights, or None.
        confidence: of the intervals, such as 0.95.
        resamples: how many bootstrap samples they are made from; 0 where there are none.
        seed: of the generator that drew these.
        exact: whether all figures are exact; False where rows were too many to hold, and some come from fine bins.
        time: when it was evaluated: ISO 8601 in UTC.
        software: versions by package.
        metrics: the figures, the most telling first.
        slices: for ``by=``.
        pictures: what a report draws.
        latency: None where it was not measured.
        importance: by column; empty where it was not asked for.
        notes: what a reader has to know, one sentence each.
    """

    uri: str
    digest: str | None
    name: str | None
    version: int | None
    flavor: str
    task: Task
    target: str
    data: str
    rows: int
    skipped: int
    classes: tuple[Label, ...]
    positive: Label
    weights: str | None
    confidence: float
    resamples: int
    seed: int
    exact: bool
    time: str
    software: Mapping[str, str]
    metrics: tuple[Metric, ...]
    slices: tuple[Slice, ...]
    pictures: Pictures
    latency: Latency | None
    importance: tuple[Importance, ...]
    notes: tuple[str, ...]

    def metric(self, name: str) -> Metric:
        """Return a figure by its name. Raises MetricNotFound."""
        for metric in self.metrics:
            if metric.name == name:
                return metric
        raise MetricNotFound(name, known=[metric.name for metric in self.metrics])

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON data."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How much two models differ in one metric, on the same rows.

    Attributes:
        name: the metric.
        a: its value for the first model.
        b: for the second.
        difference: b - a.
        low: the lower end of the confidence interval of the difference.
        high: its upper end.
        p_value: of the paired test, corrected (Holm) for the number of metrics; None where there is none.
        better: "a" or "b" where the difference is real at this confidence; "" where it may be chance.
        greater_is_better: which way is up.
        test: what tested it: "paired bootstrap", "exact McNemar".
    """

    name: str
    a: float | None
    b: float | None
    difference: float | None
    low: float | None
    high: float | None
    p_value: float | None
    better: Literal["a", "b", ""]
    greater_is_better: bool | None
    test: str

    @property
    def verdict(self) -> str:
        """Which model is better, in words."""
        if self.difference is None:
            return "cannot be told"
        return {"a": "A is better", "b": "B is better", "": "may be chance"}[self.better]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two models on the same rows."""

    a: Evaluation
    b: Evaluation
    confidence: float
    differences: tuple[Difference, ...]

    def difference(self, name: str) -> Difference:
        """Return how they differ in a metric. Raises MetricNotFound."""
        for difference in self.differences:
            if difference.name == name:
                return difference
        raise MetricNotFound(name, known=[difference.name for difference in self.differences])

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON data."""
        return asdict(self)

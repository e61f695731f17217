"""Evaluate a model: the one function that users call, and how its parts come together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib import metadata
from typing import Any, Final

from palate.codecs import DataFormat
from palate.errors import DependencyMissing
from palate.evaluation._custom_metrics import CustomMetric
from palate.evaluation._data_pass import PassResult, run_pass
from palate.evaluation._importance import measure_importance
from palate.evaluation._latency import measure_latency
from palate.evaluation._metrics import Bootstrap
from palate.evaluation._settings import BATCH_ROWS, MAX_HELD_BYTES, Settings, names_of
from palate.evaluation._task_spec import make_outcome
from palate.evaluation.results import Evaluation, Importance, Label, Task
from palate.loading import load_model
from palate.pyfunc import PyFuncModel

__all__ = ["evaluate_model", "make_evaluation", "open_model", "require_sklearn"]

_SOFTWARE: Final = ("palate", "scikit-learn", "numpy")
_IMPORTANCE_METRICS: Final = {"classes": "accuracy", "labels": "subset_accuracy", "numbers": "r2"}


def evaluate_model(
    model: PyFuncModel | str,
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
) -> Evaluation:
    """Measure what a model is worth on rows of which it is known what is true.

    Args:
        model: a loaded model, or a URI that ``palate.load_model`` opens.
        data: files, or a table or array in memory: what ``palate.datasets.open_dataset`` takes, or returns.
        target: the column that holds what is true; several columns for several labels or numbers. Or the values
            themselves, one for each row. Rows where it is missing are skipped.
        task: "binary", "multiclass", "multilabel" or "regression"; by default the target and the model tell.
        positive: of two classes, the one that is looked for; by default 1, True, or the last in order.
        classes: of the columns of scores, where the model does not tell.
        by: columns by whose values rows are divided, each part measured by itself.
        weights: the column that says how much each row counts, or the values themselves.
        method: the only method to call; by default ``predict``, and ``predict_proba`` or ``decision_function`` for
            scores.
        metrics: functions of your own, called with y_true and y_pred, and with sample_weight if they take it. Each
            returns a number, or a dict of several; an attribute ``greater_is_better`` says which way is up.
        confidence: of the intervals.
        resamples: how many bootstrap samples these are made from; 0 for none.
        seed: of the generator that draws them.
        latency: whether the time of a prediction of one row is measured.
        importance: whether each input is shuffled to see how much it matters.
        trust: as for ``palate.load_model``, if *model* is a URI.
        isolate: the same.
        format: of files, where their names do not tell.
        delimiter: between the cells of csv.
        batch_rows: how many rows are predicted at once.
        max_held_bytes: how much memory target, predictions, weights and the columns of *by* may take. From then on rows
            are summed up as they pass, and figures that need them sorted come from fine bins.

    Raises:
        EvaluationError: data, target or predictions do not fit; each class of ``palate.evaluation.errors`` is one way.
        InvalidOption: an argument has a value that does not work.
        InvalidInput: the data does not fit the model's signature.
        ModelFailed: the model raised; the row is named.
        DependencyMissing: scikit-learn or pyarrow is not installed.
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
        opened, uri = open_model(model, stack, trust=trust, isolate=isolate)
        read = run_pass([opened], data, target=target, weights=weights, settings=settings)[0]
        return make_evaluation(read, uri, weights, settings, latency=latency, importance=importance)


def open_model(model: PyFuncModel | str, stack: ExitStack, *, trust: bool, isolate: bool) -> tuple[PyFuncModel, str]:
    """Return a model, opened if need be, and the URI that it was given by; *stack* ends its process, if it has one."""
    if isinstance(model, PyFuncModel):
        return model, model.location.uri
    if isolate:
        return stack.enter_context(load_model(model, trust=trust, isolate=True)), str(model)
    return load_model(model, trust=trust), str(model)


def require_sklearn() -> None:
    """Raise DependencyMissing unless scikit-learn, which the metrics come from, is there."""
    try:
        import sklearn  # noqa: F401 - only whether it is there
    except ImportError as exc:
        raise DependencyMissing("scikit-learn", needed_for="Evaluation", install="palate[evaluate]") from exc


def make_evaluation(
    read: PassResult, uri: str, weights: Any, settings: Settings, *, latency: bool, importance: bool
) -> Evaluation:
    """Return what was found of one model."""
    subject, totals = read.subject, read.totals
    model, spec = subject.model, totals.spec
    timed = measure_latency(model, read.sample, read.names, subject.asked.first) if latency else None
    label = None if spec.positive is None else subject.labels.met[spec.positive]
    return Evaluation(
        uri=uri,
        digest=model.location.digest,
        name=model.location.name,
        version=None if model.location.version is None else int(model.location.version),
        flavor=model.flavor,
        task=spec.task,
        target=subject.target.title,
        data=read.dataset.description,
        rows=subject.rows,
        skipped=subject.skipped,
        classes=spec.classes,
        positive=label,
        weights=None if weights is None else weights if isinstance(weights, str) else "the weights given",
        confidence=settings.bootstrap.confidence,
        resamples=settings.bootstrap.resamples,
        seed=settings.bootstrap.seed,
        exact=totals.exact,
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        software=_software(),
        metrics=totals.measured.metrics,
        slices=totals.slices,
        pictures=totals.pictures,
        latency=timed,
        importance=_importance(read, settings) if importance else (),
        notes=(*subject.notes, *totals.notes),
    )


def _importance(read: PassResult, settings: Settings) -> tuple[Importance, ...]:
    """Return how much each input matters, by accuracy or R² on some of the rows."""
    subject, spec = read.subject, read.totals.spec
    assert subject.family is not None
    name = _IMPORTANCE_METRICS[subject.family]

    def score(inputs: Any, rows: int) -> float:
        part = subject.judge(inputs, [column.slice(0, rows) for column in read.cells], rows)
        outcome = make_outcome(subject, spec, part)
        return float(outcome.values(outcome.sums().total())[name][0])

    return measure_importance(read.sample, read.names, score, seed=settings.bootstrap.seed)


def _software() -> Mapping[str, str]:
    """Return the versions of what the figures depend on."""
    found = {}
    for package in _SOFTWARE:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:  # a package on the path that was never installed has no metadata
            continue
    return found

"""What the caller of an evaluation set, checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, get_args

from palate.codecs import DataFormat
from palate.errors import InvalidOption
from palate.evaluation._class_outcome import CLASS_METRICS
from palate.evaluation._custom_metrics import CustomMetric, check_metrics
from palate.evaluation._label_outcome import LABEL_METRICS
from palate.evaluation._metrics import Bootstrap
from palate.evaluation._number_outcome import NUMBER_METRICS
from palate.evaluation.results import Label, Task

__all__ = ["BATCH_ROWS", "MAX_HELD_BYTES", "METRIC_NAMES", "Settings", "names_of"]

BATCH_ROWS: Final = 65_536
MAX_HELD_BYTES: Final = 2_000_000_000
_MAX_RESAMPLES: Final = 100_000
"""Of each metric, all samples are kept in memory, 800 kB of them."""
METRIC_NAMES: Final = frozenset({*CLASS_METRICS, *LABEL_METRICS, *NUMBER_METRICS})
"""What Palate's own metrics are called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of an evaluation. Raises InvalidOption.

    Attributes:
        task: as the caller says, or None.
        positive: the class that is looked for, or None.
        classes: of the columns of scores, or None.
        method: the only method that is called, or None.
        by: the columns by which rows are divided.
        metrics: functions of the caller's own.
        format: of files, or None.
        delimiter: of csv, or None.
        bootstrap: how intervals are made.
        batch_rows: how many rows are predicted at once.
        max_held_bytes: how much memory what is true and what was predicted may take, before rows are summed up.
    """

    task: Task | None
    positive: Label
    classes: tuple[Label, ...] | None
    method: str | None
    by: tuple[str, ...]
    metrics: tuple[CustomMetric, ...]
    format: DataFormat | None
    delimiter: str | None
    bootstrap: Bootstrap
    batch_rows: int
    max_held_bytes: int

    def __post_init__(self) -> None:
        if self.task is not None and self.task not in get_args(Task):
            raise InvalidOption("task", reason=f"{self.task!r:.40} is none", hint=f"give {', '.join(get_args(Task))}")
        if self.positive is not None and self.task not in (None, "binary"):
            raise InvalidOption("positive", reason=f"it is for two classes, not for {self.task}", hint="leave it out")
        if not 0 < self.bootstrap.confidence < 1:
            raise InvalidOption("confidence", reason="it is not between 0 and 1", hint="give 0.95 for 95 %")
        if not 0 <= self.bootstrap.resamples <= _MAX_RESAMPLES or self.bootstrap.resamples == 1:
            hint = "give 1000, or 0 for no intervals"
            raise InvalidOption("resamples", reason=f"it is not from 2 to {_MAX_RESAMPLES:,}", hint=hint)
        if self.bootstrap.seed < 0:
            raise InvalidOption("seed", reason="it is negative", hint="give 0, or any whole number above")
        for name in ("batch_rows", "max_held_bytes"):
            if getattr(self, name) < 1:
                raise InvalidOption(name, reason="it is less than 1", hint="leave it out")
        check_metrics(self.metrics, taken=tuple(METRIC_NAMES))


def names_of(by: str | Sequence[str]) -> tuple[str, ...]:
    """Return the columns of ``by=``, each once."""
    return tuple(dict.fromkeys((by,) if isinstance(by, str) else by))

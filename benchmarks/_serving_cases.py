"""What serving.py measures under wrk, what Palate is held to, and the tables of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from _serving_load import Sample
from _tables import Table, milli, times

__all__ = ["BULK", "CASES", "Case", "Key", "figures", "goals"]

# The name of a server, or a form of body for bulk; and that of a case.
Key = tuple[str, str]
Results = Mapping[Key, Sample]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """So many rows in a request, over so many connections."""

    rows: int
    connections: int

    @property
    def name(self) -> str:
        """What tables and options call it."""
        return f"{self.connections}x{self.rows}"

    @property
    def least(self) -> float:
        """The seconds in which even the slowest server answers often enough to be measured."""
        return 4.0 if self.rows >= 10_000 else 1.0


CASES = tuple(
    Case(rows=rows, connections=connections) for connections, rows in ((64, 1), (8, 1), (1, 1), (8, 100), (2, 10_000))
)
# The same rows in a binary form; by the form, the server of ours that is sent it, and the JSON that it is held against.
BULK = {
    "arrow": "palate split",
    "v2 binary columns": "palate split",
    "npy": "palate inputs",
    "v2 binary": "palate inputs",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What a figure of ours is held to.

    Attributes:
        case: the name of a case.
        ours: the server.
        limit: at least that ratio of the rates; with ``latency``, at most those seconds.
        than: the server that it is held against; None for a latency.
        form: the form of the body, where it is not the server's own.
        only: the kind of model, where others take so long themselves that no server could reach it.
    """

    case: str
    limit: float
    ours: str = "palate split"
    than: str | None = None
    form: str | None = None
    only: str | None = None

    @property
    def title(self) -> str:
        """The goal in words."""
        if self.than is None:
            return f"{self.case}: {self.ours}, p99"
        return f"{self.case}: {self.form or self.ours} / {self.than}"

    def value(self, results: Results) -> float | None:
        """Return the figure; None if something that it needs was not measured."""
        ours = results.get((self.form or self.ours, self.case))
        if ours is None:
            return None
        if self.than is None:
            return ours.p99
        than = results.get((self.than, self.case))
        return ours.rate / than.rate if than else None

    def by_processor(self, results: Results) -> str:
        """Return the ratio of the processor time of a request, which others on the machine hardly disturb."""
        if self.than is None:
            return ""
        return times(results[self.than, self.case].processor / results[self.form or self.ours, self.case].processor)

    def reached(self, value: float) -> bool:
        """Whether that is good enough."""
        return value <= self.limit if self.than is None else value >= self.limit


GOALS = (
    Goal(case="64x1", than="floor split", limit=0.8),
    Goal(case="64x1", than="mlflow split", limit=150),
    Goal(case="64x1", than="mlserver v2", limit=12),
    Goal(case="64x1", limit=0.006),
    Goal(case="8x1", than="floor split", limit=0.7),
    Goal(case="8x1", ours="palate inputs", than="floor inputs", limit=0.7),
    Goal(case="8x1", ours="palate inputs", than="mlflow inputs", limit=8),
    Goal(case="1x1", than="floor split", limit=0.8),
    Goal(case="1x1", limit=0.001),
    Goal(case="8x100", than="floor split", limit=0.9),
    Goal(case="2x10000", than="floor split", limit=0.9),
    Goal(case="2x10000", than="mlflow split", limit=5),
    *(Goal(case="2x10000", ours=server, form=form, than=server, limit=10, only="lr") for form, server in BULK.items()),
)

# -- tables ------------------------------------------------------------------------------------------------------------

_FIGURES = ("requests/s", "p50 ms", "p99 ms", "longest ms", "server µs/request", "server busy", "refused, failed")


def figures(kind: str, results: Results) -> Table:
    """Return what was measured of a model."""
    rows = [
        [
            f"{case} {name}",
            f"{sample.rate:,.0f}" if sample.rate >= 100 else f"{sample.rate:.1f}",
            f"{sample.p50 * 1e3:,.2f}",
            f"{sample.p99 * 1e3:,.2f}",
            milli(sample.longest),
            f"{sample.processor * 1e6:,.0f}",
            f"{sample.busy:.0%}",
            f"{sample.refused}, {sample.failed}",
        ]
        for (name, case), sample in results.items()
    ]
    return Table(f"{kind}: connections x rows, server", ["", *_FIGURES], rows)


def goals(kind: str, results: Results) -> Table:
    """Return what was promised of a model, as far as it was measured."""
    rows = []
    for goal in GOALS:
        value = goal.value(results)
        if value is None or goal.only not in (None, kind):
            continue
        shown = f"{value * 1e3:.2f} ms" if goal.than is None else times(value)
        limit = f"≤ {goal.limit * 1e3:g} ms" if goal.than is None else f"≥ {goal.limit:g}"
        rows.append([goal.title, shown, goal.by_processor(results), limit, "yes" if goal.reached(value) else "no"])
    return Table(f"{kind}: what Palate is held to", ["", "measured", "by processor time", "goal", "reached"], rows)

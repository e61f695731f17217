"""One difference between two models, and what it means to a caller."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias, TypeVar, get_args

__all__ = ["PARTS", "Change", "ChangeKind", "Judge", "Part", "Place", "Side", "find_both_ways", "judge"]

Part: TypeAlias = Literal[
    "signature", "inputs", "outputs", "params", "methods", "trust", "flavor", "environment", "files"
]
PARTS: tuple[Part, ...] = get_args(Part)
"""The parts of a model, in the order in which their changes are told."""

ChangeKind: TypeAlias = Literal["added", "removed", "narrowed", "widened", "changed"]
Side: TypeAlias = Literal["inputs", "outputs"]
Place: TypeAlias = "tuple[str | int, ...]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference, seen from who calls the first model and may get the second.

    Attributes:
        part: what of the model differs.
        where: what leads there inside of the part, outermost first: the column; the method and the column that it
            returns; the method and the param; the file. Empty for the whole part.
        kind: "narrowed", it admits or promises less than before; "widened", more; "changed", neither, or both.
        detail: what it was and what it is, as a sentence without a full stop.
        breaks: whether calls that worked fail, or answers can no longer be read as they were promised.
    """

    part: Part
    where: Place
    kind: ChangeKind
    detail: str
    breaks: bool = False

    def __str__(self) -> str:
        """Return it as one line."""
        place = ".".join(map(str, (self.part, *self.where)))
        return f"{place} {self.kind}{' (breaking)' if self.breaks else ''}: {self.detail}"

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {**asdict(self), "where": list(self.where)}


Judge: TypeAlias = "tuple[ChangeKind, bool]"


def judge(side: Side, *, shrinks: bool, grows: bool) -> Judge:
    """Return what kind of change it is, and whether it breaks.

    Who calls must be able to send what they sent, so inputs may not shrink. Who reads must be prepared for what comes,
    so outputs may not grow.

    Args:
        side: what changes.
        shrinks: whether something that was admitted no longer is.
        grows: whether something is admitted that was not.
    """
    kind: ChangeKind = "changed" if shrinks == grows else "narrowed" if shrinks else "widened"
    return kind, shrinks if side == "inputs" else grows


Spec = TypeVar("Spec")


def find_both_ways(find: Callable[[Spec, Spec], str | None], old: Spec, new: Spec, side: Side) -> tuple[Judge, str]:
    """Return the judgement of a pair, and the reason why it breaks, if it does.

    Args:
        find: says why something that the first admits may not do for the second; None where everything does.
        old: what was declared.
        new: what is declared.
        side: what of a model it belongs to.
    """
    lost, gained = find(old, new), find(new, old)
    verdict = judge(side, shrinks=lost is not None, grows=gained is not None)
    reason = lost if side == "inputs" else gained
    return verdict, f": {reason}" if reason else ""

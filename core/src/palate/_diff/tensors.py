"""Two declarations of one tensor: its dtype and its shape."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from palate._diff.change import Change, Place, Side, find_both_ways, judge
from palate.schema import TensorSpec

__all__ = ["compare_tensors"]

_NUMBERS: Final = frozenset("iufc")
# Numbers in a list become doubles before they become any other float.
_BITS_OF_LISTS: Final = 53


def compare_tensors(old: TensorSpec, new: TensorSpec, where: Place, side: Side) -> Iterator[Change]:
    """Yield what differs between two declarations of one tensor."""
    if old.dtype != new.dtype:
        (kind, breaks), reason = find_both_ways(_find_dtype_misfit, old.dtype, new.dtype, side)
        detail = f"was {old.dtype}, is {new.dtype}{reason}"
        yield Change(part=side, where=where, kind=kind, detail=detail, breaks=breaks)
    if old.shape != new.shape:
        yield _shape_change(old.shape, new.shape, where, side)


def _find_dtype_misfit(given: str, wanted: str) -> str | None:
    """Return why values of one dtype may not do for another; numpy itself calls int64 safe to be float64."""
    import numpy as np

    if given == wanted:
        return None
    a, b = np.dtype(given), np.dtype(wanted)
    if not {a.kind, b.kind} <= _NUMBERS:
        return f"{given} is no {wanted}"
    if wanted == "float16":
        return "no sparse matrix holds float16"
    if a.kind == "f" and b.kind == "c":
        return "in a list of floats numbers may be missing or be rounded, in one of complex numbers not"
    if not np.can_cast(a, b, "safe"):
        return f"{wanted} does not hold every {given}"
    if a.kind in "iu" and b.kind in "fc":
        bits = min(int(np.finfo(b).nmant) + 1, _BITS_OF_LISTS)
        if int(np.iinfo(a).max) > 2**bits:
            return f"{wanted} takes every integer only up to 2**{bits}"
    return None


def _shape_change(old: tuple[int, ...], new: tuple[int, ...], where: Place, side: Side) -> Change:
    was, now = _shape_text(old), _shape_text(new)
    detail = f"the shape was {was}, is {now}"
    if len(old) != len(new):
        return Change(part=side, where=where, kind="changed", detail=detail, breaks=True)
    shrinks = _loses(old, new)
    if side == "inputs" and not shrinks and _unfolds(old) and not _unfolds(new):
        return Change(
            part=side,
            where=where,
            kind="changed",
            detail=f"{detail}: arrays of more sizes are taken, but no DataFrame, whose columns it was made of",
            breaks=True,
        )
    kind, breaks = judge(side, shrinks=shrinks, grows=_loses(new, old))
    return Change(part=side, where=where, kind=kind, detail=detail, breaks=breaks)


def _loses(given: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return any(size != -1 and size != have for have, size in zip(given, wanted, strict=True))


def _unfolds(shape: tuple[int, ...]) -> bool:
    """Whether the columns of a DataFrame, put side by side, make such a tensor."""
    return len(shape) == 2 and shape[0] == -1 and shape[1] != -1


def _shape_text(shape: tuple[int, ...]) -> str:
    return f"({', '.join('any' if size == -1 else str(size) for size in shape)})"

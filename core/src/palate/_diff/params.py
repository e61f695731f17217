"""The params of a method, before and after."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Sequence

from palate._diff.change import Change, Place, find_both_ways
from palate._diff.field_types import Rules, find_misfit
from palate.schema import ParamSpec, type_text

__all__ = ["compare_params"]


def compare_params(old: Sequence[ParamSpec], new: Sequence[ParamSpec], where: Place) -> Iterator[Change]:
    """Yield what differs between the params of two methods.

    One that is removed breaks its callers although nothing fails: what they set is ignored. A new one never does, since
    each has a default.
    """
    before, after = ({param.name: param for param in params} for params in (old, new))
    for name, param in before.items():
        place = (*where, name)
        if name not in after:
            detail = f"no longer there ({_type(param)}): what callers set is ignored"
            yield Change(part="params", where=place, kind="removed", detail=detail, breaks=True)
        else:
            yield from _compare(param, after[name], place)
    for name, param in after.items():
        if name not in before:
            detail = f"new ({_type(param)} = {reprlib.repr(param.default)})"
            yield Change(part="params", where=(*where, name), kind="added", detail=detail)


def _compare(old: ParamSpec, new: ParamSpec, where: Place) -> Iterator[Change]:
    if (old.type, old.shape) != (new.type, new.shape):
        (kind, breaks), reason = find_both_ways(_find_misfit, old, new, "inputs")
        detail = f"was {_type(old)}, is {_type(new)}{reason}"
        yield Change(part="params", where=where, kind=kind, detail=detail, breaks=breaks)
    if not _same(old.default, new.default):
        was, now = reprlib.repr(old.default), reprlib.repr(new.default)
        detail = f"the default was {was}, is {now}: who leaves it out may get other answers"
        yield Change(part="params", where=where, kind="changed", detail=detail)


def _find_misfit(given: ParamSpec, wanted: ParamSpec) -> str | None:
    if given.shape != wanted.shape:
        return f"{_type(given)} is no {_type(wanted)}"
    if (given.type, wanted.type) == ("integer", "double"):
        return "integers of a param may be of any size, and no double holds all of them"
    return find_misfit(given.type, wanted.type, Rules(side="inputs"))


def _type(param: ParamSpec) -> str:
    kind = type_text(param.type)
    return kind if param.shape is None else f"list of {kind}"


def _same(old: object, new: object) -> bool:
    # By their text, NaN is equal to itself, and 1 to neither 1.0 nor True.
    return (type(old) is type(new) and old == new) or repr(old) == repr(new)

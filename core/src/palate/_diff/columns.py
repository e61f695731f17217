"""Two declarations of one column, compared fact by fact."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator
from typing import Literal

from palate._diff.change import Change, Place, find_both_ways, judge
from palate._diff.field_types import EXACT_INTEGERS, Rules, find_misfit
from palate._diff.number_ranges import admitted_values, declared_range, narrowest_range
from palate.schema import INTEGERS, NUMBERS, AnyType, ColSpec, type_text

__all__ = ["compare_columns"]

_MOST_VALUES = 10


def compare_columns(old: ColSpec, new: ColSpec, where: Place, rules: Rules) -> Iterator[Change]:
    """Yield what differs between two declarations of one column; nameless ones count as required."""
    if old == new:
        return
    for found in (_type_change, _required_change, _missing_change, _values_change, _categorical_change):
        if (change := found(old, new, where, rules)) is not None:
            yield change
    for bound in ("minimum", "maximum"):
        if (change := _bound_change(bound, old, new, where, rules)) is not None:
            yield change
    if (change := _zone_change(old, new, where, rules)) is not None:
        yield change


def _type_change(old: ColSpec, new: ColSpec, where: Place, rules: Rules) -> Change | None:
    if old.type == new.type:
        return None

    def find(given: ColSpec, wanted: ColSpec) -> str | None:
        return _type_misfit(given, wanted, rules)

    (kind, breaks), reason = find_both_ways(find, old, new, rules.side)
    detail = f"was {type_text(old.type)}, is {type_text(new.type)}{reason}"
    return Change(part=rules.side, where=where, kind=kind, detail=detail, breaks=breaks)


def _type_misfit(given: ColSpec, wanted: ColSpec, rules: Rules) -> str | None:
    if given.type in INTEGERS and wanted.type in NUMBERS and not rules.from_type_hints:
        # The range that they are declared to have may do where their type would not.
        low, high = narrowest_range(given)
        kind = str(wanted.type)
        exact = EXACT_INTEGERS.get(kind)
        least, greatest = INTEGERS[kind] if exact is None else (-exact, exact)
        if least <= low and high <= greatest:
            return None
    return find_misfit(given.type, wanted.type, rules)


def _required_change(old: ColSpec, new: ColSpec, where: Place, rules: Rules) -> Change | None:
    if old.required == new.required or old.name is None:
        return None
    kind, breaks = judge(rules.side, shrinks=new.required, grows=old.required)
    was, now = ("required" if column.required else "optional" for column in (old, new))
    return Change(part=rules.side, where=where, kind=kind, detail=f"was {was}, is {now}", breaks=breaks)


# -- cells -------------------------------------------------------------------------------------------------------------


def _takes_missing(column: ColSpec) -> bool:
    if column.nullable is not None or not isinstance(column.type, str):
        return column.nullable is not False
    return column.categorical or column.type not in INTEGERS


def _missing_change(old: ColSpec, new: ColSpec, where: Place, rules: Rules) -> Change | None:
    if not isinstance(old.type, str) or not isinstance(new.type, str | AnyType):
        return None  # whether nested cells must be there is said by whether the column is required
    was, now = _takes_missing(old), _takes_missing(new)
    kind, breaks = judge(rules.side, shrinks=was and not now, grows=now and not was)
    if was == now or (old.nullable == new.nullable and not breaks):
        return None
    detail = "cells may be missing, and could not be" if now else "cells may no longer be missing"
    return Change(part=rules.side, where=where, kind=kind, detail=detail, breaks=breaks)


def _values_change(old: ColSpec, new: ColSpec, where: Place, rules: Rules) -> Change | None:
    was, now = admitted_values(old), admitted_values(new)
    if was is None and now is None:
        if old.categories == new.categories:
            return None
        detail = "other values are known of it; no value is refused for that"
        return Change(part=rules.side, where=where, kind="changed", detail=detail)
    shrinks = now is not None and (was is None or not was <= now)
    grows = was is not None and (now is None or not now <= was)
    if not shrinks and not grows:
        return None
    kind, breaks = judge(rules.side, shrinks=shrinks, grows=grows)
    detail = _values_text(was, now)
    return Change(part=rules.side, where=where, kind=kind, detail=detail, breaks=breaks)


def _values_text(was: frozenset[object] | None, now: frozenset[object] | None) -> str:
    if was is None or now is None:
        return "was any value, is one of " + _listed(now) if was is None else "is any value, was one of " + _listed(was)
    texts = [(was - now, "no longer"), (now - was, "now also")]
    return ", ".join(f"{word} {_listed(values)}" for values, word in texts if values)


def _listed(values: frozenset[object] | None) -> str:
    shown = sorted(map(reprlib.repr, values or ()))
    rest = len(shown) - _MOST_VALUES
    return ", ".join([*shown[:_MOST_VALUES], *([f"{rest} more"] if rest > 0 else [])]) or "none"


def _categorical_change(old: ColSpec, new: ColSpec, where: Place, rules: Rules) -> Change | None:
    if old.categorical == new.categorical:
        return None
    # What is sent becomes one, whatever it was; who reads one may count on its categories and codes.
    kind, breaks = judge(rules.side, shrinks=rules.side == "outputs", grows=rules.side == "outputs")
    detail = "is a pandas categorical, and was none" if new.categorical else "is no pandas categorical any more"
    return Change(part=rules.side, where=where, kind=kind, detail=detail, breaks=breaks)


def _bound_change(
    bound: Literal["minimum", "maximum"], old: ColSpec, new: ColSpec, where: Place, rules: Rules
) -> Change | None:
    was, now = getattr(old, bound), getattr(new, bound)
    if was is now is None or old.type not in NUMBERS or new.type not in NUMBERS:
        return None
    if (old.type, type(was), was) == (new.type, type(now), now):
        return None

    def shrinks(given: ColSpec, wanted: ColSpec) -> bool:
        if bound == "minimum":
            return declared_range(wanted).low > narrowest_range(given).low
        return declared_range(wanted).high < narrowest_range(given).high

    lost, gained = shrinks(old, new), shrinks(new, old)
    if was == now and not lost and not gained:
        return None
    kind, breaks = judge(rules.side, shrinks=lost, grows=gained)
    detail = f"the {bound} was {_bound_text(was)}, is {_bound_text(now)}"
    if was == now:
        detail = f"the {bound} {now}, as {new.type}, is not what it was as {old.type}"
    return Change(part=rules.side, where=where, kind=kind, detail=detail, breaks=breaks)


def _bound_text(bound: object) -> str:
    return "none" if bound is None else f"{bound!s:.40}"


def _zone_change(old: ColSpec, new: ColSpec, where: Place, rules: Rules) -> Change | None:
    if old.timezone == new.timezone or "datetime" not in (old.type, new.type) or old.type != new.type:
        return None
    # A time that is sent is the same moment in every zone; who reads times counts on theirs.
    kind, breaks = judge(rules.side, shrinks=rules.side == "outputs", grows=rules.side == "outputs")
    detail = f"the time zone was {old.timezone or 'none'}, is {new.timezone or 'none'}"
    return Change(part=rules.side, where=where, kind=kind, detail=detail, breaks=breaks)

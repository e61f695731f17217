"""Is what Palate answers what came in? Asked of every input that it accepts, also of those that MLflow refuses.

Only datetime params given as text that is not ISO 8601 are left out: numpy reads more ("2020-05", "today"), and so do
MLflow and Palate there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import numpy as np

from differential.bugs import items_of, members_of
from differential.canonical import plain
from differential.judge import cell_of

__all__ = ["changes"]

Plain = list[Any]
_LISTS = ("list", "tuple", "array")


def changes(kind: str, schema: str, ours: dict[str, Any]) -> list[str]:
    """Return where an accepted input came out with other values, in words; the conversions that keep them are none."""
    if not ours["accepted"]:
        return []
    fields = json.loads(schema)
    given, answer = ours["given"], ours["answer"]
    if kind == "params":
        return _changed_members(fields, given, answer)
    if fields[0]["type"] == "tensor":
        return _changed_tensors(fields, given, answer)
    return _changed_columns(fields, given, answer)


def _changed_members(fields: Any, given: Plain, answer: Plain) -> list[str]:
    after = {key[1]: value for key, value in members_of(answer)}
    kinds = {field["name"]: _kinds(field) for field in fields}
    pairs = [(str(key[-1]), value) for key, value in members_of(given)]
    times = {field["name"] for field in fields if field["type"] == "datetime"}
    pairs = [(name, value) for name, value in pairs if not (name in times and _holds_other_text(value))]
    return [name for name, value in pairs if name in after and not _kept(value, after[name], kinds[name])]


def _holds_other_text(value: Plain) -> bool:
    return any(item[0] == "text" and _nanoseconds(item[1]) is None for item in [value, *items_of(value)])


# -- tensors -----------------------------------------------------------------------------------------------------------


def _changed_tensors(fields: Any, given: Plain, answer: Plain) -> list[str]:
    if answer[0] != "dict":
        return [] if _holds_the_same(given, answer, fields[0]) else ["the tensor"]
    after = {key[1]: value for key, value in members_of(answer)}
    return [
        field["name"]
        for field in fields
        if not _holds_the_same(_tensor_of(given, field["name"]), after[field["name"]], field)
    ]


def _tensor_of(given: Plain, name: str) -> Plain:
    """Return what stands for a tensor with a name; a signature of one is also given without it."""
    if given[0] == "frame":
        return ["list", given[4][given[1].index(_plain_name(name))]]
    return next((value for key, value in members_of(given) if key == _plain_name(name)), given)


def _holds_the_same(before: Plain, after: Plain, field: Any) -> bool:
    came, went = list(_items(before)), [item for item, _ in _items(after)]
    shapes = [value[-2] for value in (before, after) if value[0] in ("array", "sparse")]
    return (
        len(came) == len(went)
        and shapes in (shapes[:1], shapes[:1] * 2)
        and all(
            a == b or (may_round and _rounded(a, field["tensor-spec"]["dtype"]) == b)
            for (a, may_round), b in zip(came, went, strict=True)
        )
    )


def _items(value: Plain, *, may_round: bool = True) -> Iterator[tuple[Plain, bool]]:
    """Yield all items, and whether each may be rounded: a number in a list or in the only column of a frame."""
    match value[0]:
        case "array" | "sparse":
            yield from ((item, False) for item in value[-1])
        case "frame":
            for row in zip(*value[4], strict=True):
                for cell in row:
                    yield from _items(cell, may_round=len(row) == 1)
        case "list" | "tuple" | "series":
            for item in value[-1]:
                yield from _items(item, may_round=may_round)
        case _:
            yield value, may_round


def _rounded(item: Plain, dtype: str) -> Plain | None:
    """Return the number of this float type that is nearest to a decimal, or to an integer that has a double."""
    is_finite = item[0] == "number" and item[1].lstrip("-").replace("/", "").isdigit()
    if not dtype.startswith("float") or not is_finite:
        return None
    double = float(Fraction(item[1]))
    if "/" not in item[1] and Fraction(double) != Fraction(item[1]):
        return None
    return plain(np.dtype(dtype).type(double))


# -- columns -----------------------------------------------------------------------------------------------------------


def _changed_columns(fields: Any, given: Plain, answer: Plain) -> list[str]:
    changed = []
    for place, (label, cells) in enumerate(zip(answer[1], answer[4], strict=True)):
        field, position = _field(fields, label, place)
        name = field.get("name", int(label[1]) if label[0] == "number" and label[1].isdigit() else label[-1])
        if not any(
            _all_kept(before, cells, _kinds(field)) for before in _readings(given, field, name, position, len(cells))
        ):
            changed.append(f"{label} came out as {cells}")
    return changed


def _field(fields: Any, label: Plain, place: int) -> tuple[Any, int]:
    if "name" not in fields[0]:
        return fields[place], place
    position = next(i for i, field in enumerate(fields) if _plain_name(field["name"]) == label)
    return fields[position], position


def _plain_name(name: str | int) -> Plain:
    return ["text", name] if isinstance(name, str) else ["number", str(name)]


def _readings(given: Plain, field: Any, name: Any, position: int, count: int) -> list[list[Plain]]:
    """Return the cells that a column may have had: Palate reads some dicts and lists that MLflow refuses."""
    labels = (_plain_name(name), _plain_name(str(name)))
    if given[0] == "frame" and "name" in field:
        return [given[4][given[1].index(label)] for label in labels if label in given[1]]
    if given[0] == "dict":
        values = [value for label in labels for key, value in given[1] if key == label and "name" in field]
        value = values[0] if values else given[1][position][1]
        # pandas reads a dict as a column, too: its keys are the index.
        columns = [value[3] if value[0] == "series" else items_of(value), [cell for _, cell in members_of(value)]]
        return [[value], [value] * count, *columns]
    if given[0] in _LISTS:
        rows = items_of(given)
        # In rows without names, an integer is the place.
        return [rows, [cell_of(row, name, name if isinstance(name, int) else position) for row in rows]]
    return [given[3] if given[0] == "series" else given[4][position] if given[0] == "frame" else [given]]


def _kinds(field: Any) -> str:
    """Return the text of a type, in which the names of its scalars stand."""
    return json.dumps({key: value for key, value in field.items() if key not in ("name", "default")})


def _all_kept(before: list[Plain], after: list[Plain], kinds: str) -> bool:
    return len(before) == len(after) and all(_kept(a, b, kinds) for a, b in zip(before, after, strict=True))


def _kept(before: Plain, after: Plain, kinds: str) -> bool:
    if before == after:
        return True
    match before[0], after[0]:
        case came, went if came in _LISTS and went in _LISTS:
            return _all_kept(items_of(before), items_of(after), kinds)
        case "dict", "dict":
            pairs = zip(members_of(before), members_of(after), strict=False)
            return len(before[1]) == len(after[1]) and all(a == b and _kept(v, w, kinds) for (a, v), (b, w) in pairs)
        case "instant", "instant":  # in UTC
            return '"datetime"' in kinds and before[1] == after[1]
        case "text", "instant":
            return '"datetime"' in kinds and _nanoseconds(before[1]) == after[1]
        case "text", "bytes":
            return '"binary"' in kinds and before[1] == after[1] and before[1].isascii()
        case "truth", "number":  # among numbers
            return _holds_doubles(kinds) and after[1] == str(int(before[1]))
        case "number", "number":  # a decimal, which is no whole number here
            return _holds_doubles(kinds) and "/" in before[1] and _nearest(before[1]) == after[1]
    return False


def _holds_doubles(kinds: str) -> bool:
    return '"double"' in kinds or "sparkml_vector" in kinds


def _nearest(number: str) -> str:
    return str(Fraction(float(Fraction(number))))


def _nanoseconds(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    since = moment.replace(tzinfo=moment.tzinfo or UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1_000

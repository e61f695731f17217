"""Is what Palate answers what came in? Asked of every input that it accepts, also of those that MLflow refuses."""

from __future__ import annotations

import json
from datetime import datetime
from fractions import Fraction
from typing import Any

from differential.bugs import items_of, members_of
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
        return _changed_tensors(given, answer)
    return _changed_columns(fields, given, answer)


def _changed_members(fields: Any, given: Plain, answer: Plain) -> list[str]:
    after = {key[1]: value for key, value in members_of(answer)}
    kinds = {field["name"]: _kinds(field) for field in fields}
    pairs = [(str(key[-1]), value) for key, value in members_of(given)]
    # numpy reads more text as times than ISO 8601, and so do MLflow and Palate in params.
    texts = {field["name"] for field in fields if field["type"] == "datetime"}
    pairs = [(name, value) for name, value in pairs if not (name in texts and '"text"' in json.dumps(value))]
    return [name for name, value in pairs if name in after and not _kept(value, after[name], kinds[name])]


def _changed_tensors(given: Plain, answer: Plain) -> list[str]:
    """Compare arrays with arrays; of lists and frames the decimals are rounded, which other tests look at."""
    pairs = [((), given, answer)]
    if answer[0] == "dict":
        after = {key[1]: value for key, value in members_of(answer)}
        pairs = [(key[1], value, after[key[1]]) for key, value in members_of(given) if key[1] in after]
    arrays = ("array", "sparse")
    return [str(name) for name, a, b in pairs if a[0] in arrays and b[0] == a[0] and a[-2:] != b[-2:]]


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
        since = datetime.fromisoformat(text.strip()) - datetime(1970, 1, 1)  # noqa: DTZ001 - neither has a zone
    except ValueError:
        return None
    return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1_000

"""Compare what MLflow and Palate answered to one case: by the places where they differ, each explained or not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from differential.bugs import (
    COLUMN_ZERO,
    DOUBLED,
    FRAMES,
    LABEL_TRUE,
    MISSING_OBJECTS,
    NANOSECONDS,
    ROWS,
    bug_of,
    is_declared,
    items_of,
    members_of,
)

__all__ = ["NUMPY_NAMES", "Verdict", "cell_of", "judge"]

Plain = list[Any]
Answer = dict[str, Any]
Place = tuple[Any, ...]
Difference = tuple[Place, str]
Verdict = tuple[list[str], list[str]]
"""The named bugs of MLflow that a case ran into, and the differences that nothing excuses."""

NUMPY_NAMES = {
    "boolean": "bool",
    "integer": "int32",
    "long": "int64",
    "float": "float32",
    "double": "float64",
    "datetime": "datetime64[ns]",
}
MISSING: Plain = ["missing"]
_LISTS = ("list", "tuple", "array")


def judge(kind: str, schema: str, theirs: Answer, ours: Answer) -> Verdict:
    """Judge the answers of MLflow and of Palate to one case."""
    if "crash" in ours:
        return [], [f"Palate raised {ours['crash']}"]
    if not ours["unchanged"]:
        return [], ["Palate changed the caller's data"]
    if not theirs["accepted"]:
        return [], []
    bugs, strange = [], []
    fields, given = json.loads(schema), ours["given"]
    if ours["accepted"]:
        differences = _differences(fields, theirs["answer"], ours["answer"], given)
    else:
        differences = _refusals(ours["problems"])
    for place, found in differences:
        bug = _explain(kind, fields, place, theirs["answer"], ours.get("answer"), given)
        if bug is None:
            strange.append(f"{place}: {found}")
        else:
            bugs.append(bug)
    return bugs, strange


# -- where the answers differ: `theirs` is what MLflow's model would get, `ours` what Palate's would -------------------


def _refusals(problems: list[tuple[list[Any], str, str]]) -> Iterator[Difference]:
    for where, problem, message in problems:
        yield tuple(where[1:]), f"refused, {problem}: {message}"


def _differences(fields: Any, theirs: Plain, ours: Plain, given: Plain) -> Iterator[Difference]:
    if ours[0] != theirs[0]:
        yield (), f"a {ours[0]} where MLflow gives a {theirs[0]}"
    elif ours[0] == "frame":
        yield from _frame_differences(fields, theirs, ours, given)
    elif ours[0] == "dict":
        yield from _dict_differences(theirs, ours)
    elif ours != theirs:
        yield (), "other values, dtype or shape"


def _frame_differences(fields: Any, theirs: Plain, ours: Plain, given: Plain) -> Iterator[Difference]:
    if ours[1] != theirs[1]:
        yield ("labels",), f"columns {ours[1]} where MLflow gives {theirs[1]}"
    if ours[2] != theirs[2]:
        yield ("index",), f"index {ours[2]} where MLflow gives {theirs[2]}"
    came = {str(label): dtype for label, dtype in zip(given[1], given[3], strict=True)} if given[0] == "frame" else {}
    for place, (label, dtype, cells) in enumerate(zip(theirs[1], theirs[3], theirs[4], strict=True)):
        if label not in ours[1]:
            continue
        position = ours[1].index(label)
        kind = _type_of(fields, label, place)
        # A dtype counts where it is the declared one, or where MLflow handed on text as it came.
        fixed = came.get(str(label)) if kind in ("string", "binary") else NUMPY_NAMES.get(kind)
        if not _alike(ours[4][position], cells, forms=True):
            yield (label[1],), "other values"
        elif dtype != ours[3][position] and dtype == fixed:
            yield (label[1],), f"dtype {ours[3][position]} where MLflow gives {dtype}"


def _type_of(fields: Any, label: Plain, place: int) -> str:
    """Return the name of a column's type, by its label, or by its place where the signature has no names."""
    if "name" not in fields[0]:
        return fields[place]["type"]
    return next(field["type"] for field in fields if str(field["name"]) == _key(label))


def _name(field: Any, position: int) -> str:
    return str(field.get("name", position))


def _dict_differences(theirs: Plain, ours: Plain) -> Iterator[Difference]:
    their_members, our_members = ({key[1]: value for key, value in answer[1]} for answer in (theirs, ours))
    if our_members.keys() != their_members.keys():
        yield (), f"{sorted(our_members)} where MLflow gives {sorted(their_members)}"
    for name in our_members.keys() & their_members.keys():
        if our_members[name] != their_members[name]:
            yield (name,), "other values, dtype or shape"


# -- why ---------------------------------------------------------------------------------------------------------------


def _explain(kind: str, fields: Any, place: Place, theirs: Plain, ours: Plain | None, given: Plain) -> str | None:
    """Return the bug of MLflow that a difference comes from, when its answer proves it; a refusal has no *ours*."""
    if kind == "params":
        return _explain_param(fields, place, theirs, given)
    if fields[0]["type"] == "tensor":
        return _explain_tensor(fields, place, theirs, given)
    if _loses_column_zero(fields, theirs) and place[:1] in (("labels",), (0,)):
        return COLUMN_ZERO
    if ours is not None and theirs[2] != ours[2]:
        return _explain_rows(fields, theirs, ours, given)
    if _reads_labels(theirs, given):
        return DOUBLED
    if not place:
        return None
    if ["truth", True] in _labels(given) and place == (1,):
        return LABEL_TRUE
    return _explain_column(fields, place[0], theirs, given)


def _explain_column(fields: Any, name: str | int, theirs: Plain, given: Plain) -> str | None:
    field, position = _field(fields, name)
    if field is None:
        return None
    cells = _given_cells(fields, given, field.get("name", position), position)
    columns = [at for at, label in enumerate(theirs[1]) if label[1] == str(name)]
    if "name" not in fields[0] and isinstance(name, int):
        columns = [name]
    if not columns:
        return None
    dtype, answer = theirs[3][columns[0]], theirs[4][columns[0]]
    declared = dtype == NUMPY_NAMES.get(field["type"], dtype) and is_declared(field, answer)
    return None if declared and _alike(cells, answer) else bug_of(field, cells)


def _explain_rows(fields: Any, theirs: Plain, ours: Plain, given: Plain) -> str | None:
    if (theirs[1] == [] or given[0] == "dict") and theirs[2] == [] and ours[2]:
        return ROWS
    # An empty list is no row to Palate; to MLflow it is a cell, and a missing one where numbers should be.
    empty = given[0] == "dict" and ours[2] == [] and len(theirs[2]) == 1
    return MISSING_OBJECTS if empty and any(field["type"] in ("double", "datetime") for field in fields) else None


def _reads_labels(theirs: Plain, given: Plain) -> bool:
    """Tell whether a column's cells are the labels of several columns, where a frame has those of its name twice."""
    if given[0] != "frame":
        return False
    return any(
        given[1].count(label) == len(cells) > 1 and all(cell == label for cell in cells)
        for label, cells in zip(theirs[1], theirs[4], strict=True)
    )


def _loses_column_zero(fields: Any, theirs: Plain) -> bool:
    labels = [label[1] for label in theirs[1]]
    return any(field.get("name") == 0 for field in fields[1:]) and "0" not in labels


def _field(fields: Any, key: Any) -> tuple[Any, int] | tuple[None, int]:
    for position, field in enumerate(fields):
        if _name(field, position) == str(key):
            return field, position
    return None, -1


def _explain_param(fields: Any, place: Place, theirs: Plain, given: Plain) -> str | None:
    field, _ = _field(fields, place[0])
    before = next((value for key, value in members_of(given) if _key(key) == place[0]), MISSING)
    after = next((value for key, value in members_of(theirs) if key[1] == place[0]), MISSING)
    values = [before] if field is None or field["shape"] is None else items_of(before)
    results = [after] if field is None or field["shape"] is None else items_of(after)
    if field is None or (_alike(values, results) and is_declared(_of_item(field), results)):
        return None
    if field["type"] == "datetime" and any(value[0] == "instant" and value[1] % 1_000 for value in values):
        return NANOSECONDS
    return bug_of(_of_item(field), values)


def _of_item(field: Any) -> Any:
    return {key: value for key, value in field.items() if key not in ("name", "default", "shape")}


def _key(key: Plain) -> str:
    return str(key[1]) if key[1:] else "None"


def _explain_tensor(fields: Any, place: Place, theirs: Plain, given: Plain) -> str | None:
    """A frame forced into a tensor: an item is not what it was, or the dtype is not the declared one."""
    if given[0] not in ("frame", "series"):
        return None
    field = next((f for f in fields if place and f.get("name") == place[0]), fields[0])
    answer = theirs
    if theirs[0] == "dict":
        answer = next(value for key, value in theirs[1] if key[1] == field["name"])
    cells = given[3] if given[0] == "series" else _frame_cells(given, field.get("name"))
    dtype = field["tensor-spec"]["dtype"]
    return None if _alike(_flat(cells), answer[3]) and answer[1] == dtype else FRAMES


def _frame_cells(frame: Plain, name: str | None) -> list[Plain]:
    labels = [label[1] for label in frame[1]]
    if name in labels:
        return frame[4][labels.index(name)]
    return [cell for row in zip(*frame[4], strict=True) for cell in row]


def _flat(cells: list[Plain]) -> list[Plain]:
    return [
        leaf for cell in cells for leaf in (_flat(items_of(cell)) if cell[0] in ("list", "tuple") else _leaves(cell))
    ]


def _leaves(cell: Plain) -> list[Plain]:
    return cell[3] if cell[0] == "array" else [cell]


# -- what went in ------------------------------------------------------------------------------------------------------


def _given_cells(fields: Any, given: Plain, name: Any, position: int) -> list[Plain]:
    """Return the cells that a column had in the input, as MLflow reads it."""
    tag = given[0]
    if tag == "frame":
        places = [at for at, label in enumerate(given[1]) if _key(label) == str(name)] if "name" in fields[0] else []
        return given[4][(places or [position])[0]]
    if tag == "series":
        return given[3]
    if tag == "dict":
        values = [value for key, value in given[1] if _key(key) == str(name)]
        value = values[0] if values else given[1][position][1]
        if _is_row(fields, given):
            return [value]
        return value[3] if value[0] == "series" else items_of(value)
    if tag == "array" and len(given[2]) == 1:
        return given[3]
    if tag in _LISTS:
        # In rows without names, an integer is the place.
        return [cell_of(row, name, name if isinstance(name, int) else position) for row in items_of(given)]
    return [given]


def _is_row(fields: Any, given: Plain) -> bool:
    """Tell whether a dict is one row to MLflow: lists can be cells, or all are scalars or lists of text."""
    if any(field["type"] in ("array", "object", "sparkml_vector") for field in fields):
        return True
    containers = ("list", "array", "series", "tuple", "dict")
    return all(
        value[0] not in containers or (value[0] == "list" and all(item[0] == "text" for item in value[1]))
        for _, value in given[1]
    )


def _labels(given: Plain) -> list[Plain]:
    return given[1] if given[0] == "frame" else [key for key, _ in given[1]] if given[0] == "dict" else []


def cell_of(row: Plain, name: Any, position: int) -> Plain:
    """Return the cell of a column in one row of a list: by name in a dict, by position in a list, or the row itself."""
    if row[0] not in (*_LISTS, "dict"):
        return row
    if row[0] == "dict":
        found = [
            value for key, value in row[1] if _key(key) == str(name) and (key[0] == "number") == isinstance(name, int)
        ]
        return (found or [value for key, value in row[1] if _key(key) == str(name)] or [MISSING])[0]
    items = items_of(row)
    return items[position] if position < len(items) else MISSING


def _alike(before: list[Plain], after: list[Plain], *, forms: bool = False) -> bool:
    """Tell whether cells hold the same values; *forms*: in the same kinds of lists."""
    return len(before) == len(after) and all(_same(a, b, forms=forms) for a, b in zip(before, after, strict=True))


def _same(before: Plain, after: Plain, *, forms: bool) -> bool:
    if before[0] in _LISTS and after[0] in _LISTS:
        if forms and (before[0] == "array") != (after[0] == "array"):
            return False
        # The rows of an array with two dimensions are no arrays to be told from lists.
        return _alike(items_of(before), items_of(after), forms=forms and before[0] != "array")
    if before[0] == after[0] == "dict":
        pairs = zip(before[1], after[1], strict=False)
        return len(before[1]) == len(after[1]) and all(a == b and _same(v, w, forms=forms) for (a, v), (b, w) in pairs)
    return before == after

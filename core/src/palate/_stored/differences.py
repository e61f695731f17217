"""How two predictions differ, in sentences: floats within a tolerance, everything else exactly."""

from __future__ import annotations

import json
import reprlib
from typing import Any

from palate._stored.snapshots import JSON, Document

__all__ = ["differences"]

_MAX_SENTENCES = 5
_MAX_NAMES = 5
_NUMBERS = ("numbers", "complex numbers")
_SCALARS = {
    "numbers": "a number",
    "complex numbers": "a complex number",
    "datetimes": "a datetime64",
    "durations": "a timedelta64",
}
_EXACT = ("integers", "booleans", "text", "bytes", "datetimes", "durations")
_PLAIN: dict[type, str] = {  # bool before int, which it is a subclass of
    type(None): "None",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    str: "text",
    list: "a list",
}


def differences(expected: JSON, given: JSON, *, rtol: float, atol: float) -> list[str]:
    """Return how the snapshot *given* differs from *expected*, at most five sentences; empty when it does not.

    A float may be off by ``atol + rtol * abs(expected)``; NaN equals NaN.

    Raises:
        ValueError: *expected*, which comes from a file, is no snapshot.
    """
    comparison = _Comparison(rtol, atol)
    try:
        comparison.compare(expected, given, "the prediction")
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as exc:
        # A snapshot that was just taken has every part, so what is missing or of another type is missing in the file.
        raise ValueError(f"the prediction is malformed ({type(exc).__name__})") from exc
    return comparison.found[:_MAX_SENTENCES]


class _Comparison:
    def __init__(self, rtol: float, atol: float) -> None:
        self.rtol, self.atol = rtol, atol
        self.found: list[str] = []

    def report(self, place: str, message: str) -> None:
        self.found.append(f"{place} {message}")

    def compare(self, expected: JSON, given: JSON, place: str) -> None:
        if len(self.found) >= _MAX_SENTENCES:
            return
        was, now = _word(expected), _word(given)
        if was != now:
            self.report(place, f"was {was}, is {now}")
        elif isinstance(given, list):
            self.sequences(expected, given, place)
        elif not isinstance(given, dict) or given["kind"] == "scalar" or "value" in given:
            self.scalars(expected, given, place)
        elif given["kind"] == "tuple":
            self.sequences(expected["items"], given["items"], place)
        elif given["kind"] == "dict":
            self.mappings(expected["items"], given["items"], place)
        elif "columns" in given:
            self.frames(expected, given, place)
        else:
            self.arrays(expected, given, place)

    def scalars(self, expected: JSON, given: JSON, place: str) -> None:
        was, now = _scalar(expected), _scalar(given)
        if _word(given) in ("a number", "a complex number"):
            old, new = _floats([was]), _floats([now])
            equal, was, now = bool(self.close(old, new)[0]), old[0].item(), new[0].item()
        else:
            equal = was == now
        if not equal:
            self.report(place, f"was {reprlib.repr(was)}, is {reprlib.repr(now)}")

    def mappings(self, expected: list[list[JSON]], given: list[list[JSON]], place: str) -> None:
        self.names([key for key, _ in expected], [key for key, _ in given], place, "key")
        now = {_hashable(key): value for key, value in given}
        for key, value in expected:
            if _hashable(key) in now:
                self.compare(value, now[_hashable(key)], f"{place}[{key!r:.60}]")

    def names(self, expected: list[JSON], given: list[JSON], place: str, word: str) -> bool:
        """Report what is missing and what is new; return whether nothing is."""
        before, after = ({_hashable(name): name for name in names} for names in (expected, given))
        missing = [name for text, name in before.items() if text not in after]
        new = [name for text, name in after.items() if text not in before]
        for what, names in (("lacks", missing), ("has a new", new)):
            if names:
                shown = ", ".join(f"{name!r:.60}" for name in names[:_MAX_NAMES])
                rest = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
                self.report(place, f"{what} {word} {shown}{rest}")
        return not missing and not new

    def sequences(self, expected: list[JSON], given: list[JSON], place: str) -> None:
        if len(expected) != len(given):
            self.report(place, f"had {len(expected)} items, has {len(given)}")
        elif given and all(type(item) is float for item in (*expected, *given)):
            self.numbers(expected, given, place, [len(given)])
        else:
            for position, (was, now) in enumerate(zip(expected, given, strict=True)):
                self.compare(was, now, f"{place}[{position}]")

    def arrays(self, expected: Document, given: Document, place: str) -> None:
        was, now = tuple(expected["shape"]), tuple(given["shape"])
        if was != now:
            self.report(place, f"had the shape {was!s:.60}, has {now}")
        elif given["kind"] != "sparse matrix":
            self.blocks(expected, given, place, given["shape"])
        elif expected["places"] != given["places"]:
            counts = f"(had {len(expected['data'])}, has {len(given['data'])})"
            self.report(place, f"has its non-zero values at other places {counts}")
        else:
            self.blocks(expected, given, place, [len(given["data"])])

    def frames(self, expected: Document, given: Document, place: str) -> None:
        old, new = ([column["name"] for column in side["columns"]] for side in (expected, given))
        if not self.names(old, new, place, "column"):
            return
        if old != new:
            self.report(place, "has its columns in another order")
            return
        if expected["rows"] != given["rows"]:
            self.report(place, f"had {expected['rows']!r:.20} rows, has {given['rows']}")
            return
        if expected["index"] != given["index"]:
            self.report(place, "has another row index")
        for name, was, now in zip(new, expected["columns"], given["columns"], strict=True):
            where = place if name is None else f"{place}, column {name!r:.60},"
            if len(self.found) < _MAX_SENTENCES:
                self.blocks(was, now, where, [given["rows"]])

    # -- blocks of items ---------------------------------------------------------------------------------------------

    def blocks(self, expected: Document, given: Document, place: str, shape: list[int]) -> None:
        old, new, holds = expected["data"], given["data"], given["holds"]
        gaps = sum((was is None) != (now is None) for was, now in zip(old, new, strict=True))
        was, now = _contents(expected), _contents(given)
        if was != now and any(item is not None for item in old):
            self.report(place, f"held {was:.60}, holds {now}")
        elif gaps and holds != "objects":
            self.report(place, f"has missing values in other places than before ({gaps} places differ)")
        elif holds in _NUMBERS:
            self.numbers(old, new, place, shape)
        elif holds in _EXACT:
            wrong = [position for position, item in enumerate(old) if item != new[position]]
            self.values(wrong, old, new, place, shape)
        else:
            for position, item in enumerate(old):
                self.compare(item, new[position], f"{place}[{_position(position, shape)}]")

    def numbers(self, expected: list[Any], given: list[Any], place: str, shape: list[int]) -> None:
        old, new = _floats(expected), _floats(given)
        self.values((~self.close(old, new)).nonzero()[0].tolist(), old.tolist(), new.tolist(), place, shape)

    def close(self, old: Any, new: Any) -> Any:
        import numpy

        with numpy.errstate(invalid="ignore", over="ignore"):  # infinities, which == settles
            near = numpy.abs(new - old) <= self.atol + self.rtol * numpy.abs(old)
        near &= numpy.isfinite(old)
        return near | (old == new) | (numpy.isnan(old) & numpy.isnan(new))

    def values(self, wrong: list[int], expected: list[Any], given: list[Any], place: str, shape: list[int]) -> None:
        if wrong:
            where = f", first at [{_position(wrong[0], shape)}]" if shape else ""
            shown = f"(was {reprlib.repr(expected[wrong[0]])}, is {reprlib.repr(given[wrong[0]])})"
            self.report(place, f"differs in {len(wrong)} of {len(given)} values{where} {shown}")


def _word(document: JSON) -> str:
    """Return what a value is, in words that compare equal when only its class differs."""
    if not isinstance(document, dict):
        return _PLAIN[type(document)]
    kind = document["kind"]
    if kind == "scalar":
        return _SCALARS[document["holds"]]
    return f"{'an' if kind[:1] in tuple('aA') else 'a'} {kind:.60}"


def _hashable(name: JSON) -> str:
    return json.dumps(name, sort_keys=True)


def _scalar(document: JSON) -> Any:
    if not isinstance(document, dict):
        return document
    return document["data"][0] if "data" in document else document["value"]


def _contents(block: Document) -> str:
    return "categories" if block.get("categories") else block["holds"]


def _floats(items: list[Any]) -> Any:
    """Return numbers as an array, complex ones from their pairs; missing ones are NaN."""
    import numpy

    if any(isinstance(item, list) for item in items):
        items = [[numpy.nan] * 2 if item is None else item for item in items]
    array = numpy.array(items, dtype=float)
    return array.view(complex).reshape(-1) if array.ndim == 2 else array


def _position(flat: int, shape: list[int]) -> str:
    import numpy

    return ", ".join(str(int(step)) for step in numpy.unravel_index(flat, shape)) if shape else "0"

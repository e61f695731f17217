"""Classes: read from cells, counted in codes, and the same on both sides where target and model write them apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any, Final, TypeAlias

import numpy as np

from palate.evaluation.errors import InvalidTarget, LabelsDiffer, TooManyClasses
from palate.evaluation.results import Label

__all__ = ["Labels", "Vocabulary", "label_order"]

_MAX_CLASSES: Final = 1000
"""A column with more of them is no class, but a number, an identifier or free text."""
_HINT: Final = "pass task='regression' if it is a number; else give classes as text, whole numbers or truth values"
_TRUTHS: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_Convert: TypeAlias = Callable[[Label], Label]


def _plain_label(value: object) -> Label:
    """Return a cell as a label: a whole number as int, NaN and None as None.

    Raises:
        ValueError: it is a fraction, or of a type that no class is of.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float | Decimal):
        if value != value:
            return None
        if value == value // 1:
            return int(value)
        raise ValueError("a number with a fraction is no class")
    raise ValueError(f"a {type(value).__name__} is no class")


def _distinct(cells: Any) -> tuple[np.ndarray[Any, Any], list[object]]:
    """Return the code of each cell of an Arrow array, -1 where it is missing, and the values by code."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(cells, pa.ChunkedArray):
        cells = cells.combine_chunks()
    if pa.types.is_dictionary(cells.type):
        cells = cells.cast(cells.type.value_type)
    encoded = pc.dictionary_encode(cells)
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return codes.astype(np.int32, copy=False), encoded.dictionary.to_pylist()


def _recoded(codes: np.ndarray[Any, Any], mapping: Sequence[int]) -> np.ndarray[Any, Any]:
    """Return for each code the one that it is mapped to; -1 stays, as the last place of the table."""
    table = np.array([*mapping, -1], dtype=np.int32)
    found: np.ndarray[Any, Any] = table[codes]
    return found


def label_order(label: Label) -> tuple[bool, Any]:
    """Return what sorts labels: numbers by size, text by its letters."""
    return isinstance(label, str), label


class Vocabulary:
    """Labels in the order in which they were met, each with a code.

    Attributes:
        labels: by code.
    """

    def __init__(self, limit: int, refuse: Callable[[int], Exception]) -> None:
        self.labels: list[Label] = []
        self._codes: dict[Label, int] = {}
        self._limit, self._refuse = limit, refuse

    def add(self, label: Label) -> int:
        """Return the code of a label, -1 for None. What *refuse* returns is raised where there are too many."""
        if label is None:
            return -1
        code = self._codes.setdefault(label, len(self.labels))
        if code == len(self.labels):
            if code >= self._limit:
                raise self._refuse(code + 1)
            self.labels.append(label)
        return code

    def rename(self, label: Label, to: Label) -> None:
        """Write a label that was met in another way, under the same code."""
        code = self._codes.pop(label)
        self._codes[to], self.labels[code] = code, to

    def encode(self, cells: Any, convert: Callable[[object], Label]) -> np.ndarray[Any, Any]:
        """Return the code of each cell of an Arrow array, -1 where it is missing."""
        codes, values = _distinct(cells)
        return _recoded(codes, [self.add(convert(value)) for value in values])


class Labels:
    """The classes of an evaluation. What is true of all rows tells how those of the model become those of the target.

    A class that the model names before the target does is written as the target does from the row on that has it.
    """

    def __init__(self, target: str) -> None:
        self._target = target
        self._convert: _Convert | None = None
        self._true: dict[Label, None] = {}
        self._predicted: dict[Label, Label] = {}
        self._columns: dict[Label, Label] = {}
        self._known = Vocabulary(
            _MAX_CLASSES, lambda found: TooManyClasses(self._target, found=found, limit=_MAX_CLASSES)
        )

    @property
    def met(self) -> Sequence[Label]:
        """All labels, by code."""
        return self._known.labels

    @property
    def true(self) -> list[Label]:
        """Those that the target has."""
        return list(self._true)

    @property
    def modelled(self) -> list[Label]:
        """Those that the model has predicted, or names, as the target writes them."""
        return list(dict.fromkeys([*self._predicted.values(), *self._columns.values()]))

    def add(self, label: Label) -> int:
        """Return the code of a label that is written as the target writes them."""
        return self._known.add(label)

    def encode_true(self, cells: Any) -> np.ndarray[Any, Any]:
        """Return the codes of what is true. Raises InvalidTarget, TooManyClasses."""
        self._check_type(cells)
        return self._known.encode(cells, self._read_true)

    def encode_predicted(self, cells: Any) -> np.ndarray[Any, Any]:
        """Return the codes of what was predicted. Raises LabelsDiffer, InvalidTarget, TooManyClasses."""
        self._check_type(cells)
        codes, values = _distinct(cells)
        found = self._read_each(values)
        self._predicted |= {given: label for given, label in found if label is not None}
        if len(set(self._predicted.values())) < len(self._predicted):  # "1" and "1.0" would become one class
            raise self._differ(list(self._predicted))
        return _recoded(codes, [self._known.add(label) for _given, label in found])

    def codes(self, labels: Iterable[object]) -> list[int]:
        """Return the code of each of the model's own labels. Raises LabelsDiffer, InvalidTarget, TooManyClasses."""
        found = self._read_each(labels)
        self._columns |= {given: label for given, label in found if label is not None}
        return [self._known.add(label) for _given, label in found]

    def read(self, labels: Iterable[object]) -> list[Label]:
        """Return the model's own labels as the target writes them. Raises LabelsDiffer, InvalidTarget."""
        return [label for _given, label in self._read_each(labels)]

    def read_alone(self, label: Label) -> Label:
        """Return a label of any kind as the target writes it. Raises ValueError where it cannot be."""
        return _conversion(self.true, [label])(label)

    def _read_each(self, labels: Iterable[object]) -> list[tuple[Label, Label]]:
        """Return each of the model's own labels, and beside it what the target writes."""
        try:
            plain = [_plain_label(label) for label in labels]
        except ValueError as exc:
            raise InvalidTarget(self._target, reason=f"the model predicts what is no class: {exc}", hint=_HINT) from exc
        return list(zip(plain, self._reconcile(plain), strict=True))

    def _check_type(self, cells: Any) -> None:
        import pyarrow as pa

        if pa.types.is_nested(cells.type):
            raise InvalidTarget(self._target, reason=f"cells of the type {cells.type} are no classes", hint=_HINT)

    def _read_true(self, value: object) -> Label:
        try:
            label = _plain_label(value)
        except ValueError as exc:
            raise InvalidTarget(self._target, reason=str(exc), hint=_HINT) from exc
        if label is not None:
            if self._true and isinstance(label, str) != isinstance(next(iter(self._true)), str):
                raise InvalidTarget(self._target, reason="it holds both text and numbers", hint="give one kind")
            if label not in self._true:
                self._true[label] = None
                self._spell_again()
        return label

    def _spell_again(self) -> None:
        """Write the model's labels in the way of a class that the target brings only now. Raises LabelsDiffer."""
        self._convert = None
        before = {**self._columns, **self._predicted}
        if not before:
            return
        try:
            convert = _conversion(self.true, list(before))
            after = {given: convert(given) for given in before}
        except ValueError as exc:
            raise self._differ(list(before)) from exc
        for label, to in dict.fromkeys((before[given], after[given]) for given in before):
            if label == to:
                continue
            if label in self._true or to in self._known.labels:
                raise self._differ(list(before))
            self._known.rename(label, to)
        self._columns = {given: after[given] for given in self._columns}
        self._predicted = {given: after[given] for given in self._predicted}

    def _differ(self, given: Sequence[Label]) -> LabelsDiffer:
        return LabelsDiffer(self._target, true=self.true[:5], predicted=given)

    def _reconcile(self, labels: Sequence[Label]) -> list[Label]:
        given = [label for label in labels if label is not None]
        try:
            if self._convert is None and given and self._true:
                self._convert = _conversion(self.true, given)
            convert = self._convert or (lambda label: label)
            converted = [None if label is None else convert(label) for label in labels]
        except ValueError as exc:
            raise self._differ(given) from exc
        if len(set(converted)) < len(set(labels)):
            raise self._differ(given)
        return converted


def _conversion(true: Sequence[Label], predicted: Sequence[Label]) -> _Convert:
    """Return how a label of the model becomes one of the target; it raises ValueError where it does not."""
    if isinstance(true[0], str):
        if isinstance(predicted[0], str):
            return _same_text
        texts: dict[Label, str] = {_number(text): str(text) for text in true}
        if len(texts) < len(true):
            raise ValueError("a number is written in several ways")
        return lambda label: texts.get(_not_text(label), str(label))
    if all(isinstance(label, bool) for label in true):
        return lambda label: bool(_zero_or_one(_number(label)))
    if all(label in (0, 1) for label in true):
        return lambda label: int(_number(label))
    return lambda label: _not_truth(_number(label))


def _same_text(label: Label) -> Label:
    if not isinstance(label, str):
        raise ValueError("a number among text")  # noqa: TRY004 - as for any label that cannot be read
    return label


def _not_text(label: Label) -> Label:
    if isinstance(label, str):
        raise ValueError("text among numbers")  # noqa: TRY004 - the same
    return label


def _zero_or_one(number: int) -> int:
    if number not in (0, 1):
        raise ValueError(f"{number} is no truth value")
    return number


def _not_truth(number: int) -> int:
    if isinstance(number, bool):
        raise ValueError("a truth value among numbers")  # noqa: TRY004 - the same
    return number


def _number(label: Label) -> int:
    """Return a label as a number, where there is only one way to read it. Raises ValueError."""
    if not isinstance(label, str):
        return label if isinstance(label, bool) else int(label or 0)
    if label in _TRUTHS:
        return _TRUTHS[label]
    value = float(label)
    if not value.is_integer() or label not in (str(int(value)), str(value)):
        raise ValueError(f"{label!r:.40} is no whole number as Python writes it")
    return int(value)

"""Trees that are read side by side: the same as one by one, and nothing is taken for a tree that is none."""

from __future__ import annotations

import json
import struct
import time
from typing import Any

import pytest
import xgboost as xgb

from xgboost_flavor._columns import read_rows
from xgboost_flavor._document import Broken, Packed, Rows
from xgboost_flavor._persistence import _check
from xgboost_flavor._ubjson import read_ubjson


def text(value: str) -> bytes:
    """Return a length and a text."""
    data = value.encode()
    return b"L" + struct.pack(">q", len(data)) + data


def array(kind: str, size: int, *values: bytes) -> bytes:
    """Return an array of numbers of *size* bytes."""
    return b"[$" + kind.encode() + b"#L" + struct.pack(">q", len(b"".join(values)) // size) + b"".join(values)


def an_object(number: bytes, label: str, numbers: bytes) -> bytes:
    """Return an object of an array, an integer, and a text in an object of its own."""
    inner = b"{" + text("label") + b"S" + text(label) + b"}"
    return b"{" + text("array") + array("l", 4, numbers) + text("id") + number + text("inner") + inner + b"}"


def read(*objects: bytes, count: int | None = None, after: bytes = b"") -> tuple[Rows, int] | None:
    """Read objects like the first of them."""
    data = b"".join(objects) + after
    first = {"array": Packed("l", 0, 0), "id": 0, "inner": {"label": ""}}
    return read_rows(bytearray(data), first, 0, len(objects) if count is None else count)


def test_integers_of_every_size():
    """Integers have the size that they need, as xgboost numbers its trees; arrays and texts any length."""
    numbers = [
        b"i\x7f",
        b"I" + struct.pack(">h", 300),
        b"l" + struct.pack(">i", -70_000),
        b"L" + struct.pack(">q", 2**40),
    ]
    objects = [an_object(number, "é" * place, bytes(4 * place)) for place, number in enumerate(numbers)]
    found = read(*objects, after=b"}rest")
    assert found is not None
    rows, end = found
    assert end == len(b"".join(objects))
    assert rows.columns["id"] == [127, 300, -70_000, 2**40]
    assert [row["inner"] for row in rows] == [{"label": "é" * place} for place in range(4)]
    assert [row["array"].length for row in rows] == [0, 1, 2, 3]


PLAIN = an_object(b"i\0", "x", bytes(8))
OTHER: dict[str, tuple[bytes, ...]] = {
    "too few": (PLAIN[:-1],),
    "another member": (PLAIN, PLAIN.replace(b"label", b"lobel")),
    "something between": (PLAIN, b"Z" + PLAIN),
    "a beginning inside of an array": (an_object(b"i\0", "x", bytes(4) + PLAIN[:24]), PLAIN),
    "a beginning inside of a text": (an_object(b"i\0", PLAIN[:24].decode(), b""), PLAIN),
    "another type of number": (PLAIN, PLAIN.replace(b"idi\0", b"idd\0\0\0\0")),
    "a negative count": (PLAIN, PLAIN.replace(b"$l#L\0\0\0\0\0\0\0\2", b"$l#L\xff\xff\xff\xff\xff\xff\xff\xfe")),
    "a count of 2^62": (PLAIN, PLAIN.replace(b"$l#L\0\0\0\0\0\0\0\2", b"$l#L\x40\0\0\0\0\0\0\0")),
    "a text beyond the end": (PLAIN, PLAIN.replace(b"SL\0\0\0\0\0\0\0\1", b"SL\0\0\0\0\0\0\1\0")),
    "cut in an integer": (PLAIN, PLAIN[: PLAIN.index(b"idi") + 3]),
    "cut in a count": (PLAIN, PLAIN[: PLAIN.index(b"$l#L") + 6]),
}


@pytest.mark.parametrize("name", OTHER)
def test_what_is_not_alike(name):
    """Objects that are not alike to the last byte are left to the reader that takes them one by one."""
    assert read(*OTHER[name], count=2) is None


@pytest.mark.parametrize("first", [None, 5, {}, {"a": 1.5}, {"a": []}, {"a": {}}, {"a": {"b": None}}])
def test_members_that_trees_do_not_have(first):
    """Objects with other values than trees have are not read side by side."""
    assert read_rows(b"{}{}", first, 0, 2) is None


def test_text_that_is_not_utf8():
    """A text is UTF-8 in each of the objects, not only in the first."""
    data = b"{" + text("trees") + b"[#L" + struct.pack(">q", 2) + PLAIN + PLAIN.replace(b"\1x}", b"\1\xff}") + b"}"
    with pytest.raises(Broken, match="not UTF-8"):
        read_ubjson(data)


def test_texts_that_overlap_are_not_read():
    """Texts that each claim the rest of the file take no time by its square."""
    claim = struct.pack(">q", 1_000_000)
    objects = [PLAIN.replace(b"SL\0\0\0\0\0\0\0\1", b"SL" + claim) for _ in range(20_000)]
    started = time.perf_counter()
    assert read(PLAIN, *objects, after=bytes(1_000_000)) is None
    assert time.perf_counter() - started < 5


def test_arrays_called_trees_are_tried_once(encode):
    """Beginnings are looked for once in a file, so that many arrays of that name take no time by its square."""
    pair = b"{" + text("trees") + b"[#L" + struct.pack(">q", 2) + PLAIN + b"{}" + b"}"
    data = b"{" + text("a") + b"[#L" + struct.pack(">q", 20_000) + pair * 20_000 + b"}"
    started = time.perf_counter()
    read_ubjson(data)
    assert time.perf_counter() - started < 5


def document_of(model: Any) -> Any:
    """Return a model as plain data."""
    return json.loads(bytes(model.save_raw("json")))


def trees_of(document: Any) -> Any:
    """Return the array of trees."""
    return document["learner"]["gradient_booster"]["model"]["trees"]


@pytest.mark.parametrize("name", ["tree booster", "category booster", "array booster", "pruned booster"])
def test_real_trees(name, models):
    """xgboost's own trees are read side by side, and have what the same file as JSON has."""
    booster, _ = models[name]
    data = booster.save_raw("ubj")
    trees = trees_of(read_ubjson(data).root)
    assert isinstance(trees, Rows)
    for found, expected in zip(trees, trees_of(document_of(booster)), strict=True):
        assert found["tree_param"] == expected["tree_param"]
        assert found["id"] == expected["id"]
        assert {key: value.length for key, value in found.items() if isinstance(value, Packed)} == {
            key: len(value) for key, value in expected.items() if isinstance(value, list)
        }


def test_trees_of_several_kinds(models, encode):
    """Trees with and without categories in one file are accepted, and each is still checked, by its own number."""
    document = document_of(models["tree booster"][0])
    trees = trees_of(document)
    for number in (1, 3):
        for name in [name for name in trees[number] if name.startswith("categor") or name == "split_type"]:
            del trees[number][name]
    for data in (encode(document), json.dumps(document).encode()):
        _check(bytearray(data))
        xgb.Booster().load_model(bytearray(data))
    trees[3]["left_children"][0] = 2**30
    for data in (encode(document), json.dumps(document).encode()):
        with pytest.raises(Broken, match="tree 3, node 0: its children are outside"):
            _check(bytearray(data))

"""Steps of other frameworks inside a .skops file: only what that framework's flavor vouches for, and checked by it."""

from __future__ import annotations

import copy
import io
import json
import subprocess
import sys
import textwrap
import time
import zipfile
from collections.abc import Mapping
from typing import Any

import pytest

from palate.errors import UnsafeModel
from palate.hookspecs import EmbeddedType
from sklearn_flavor._archive import SkopsArchive
from sklearn_flavor._audit import Contents, audit_archive


def node(loader: str, name: str, **rest: object) -> dict[str, Any]:
    """Return a node as skops writes it."""
    module, _, kind = name.rpartition(".")
    return {"__loader__": loader, "__module__": module, "__class__": kind, **rest}


def plain(value: object) -> dict[str, Any]:
    """Return the node of a number, a text or None."""
    return node("JsonNode", "builtins.str", content=json.dumps(value), is_json=True)


def mapping(items: Mapping[str, Any]) -> dict[str, Any]:
    """Return the node of a dict with text keys."""
    keys = [node("TypeNode", "builtins.str") for _ in items]
    return node(
        "DictNode", "builtins.dict", content=dict(items), key_types=node("ListNode", "builtins.list", content=keys)
    )


def binary(file: str, **rest: object) -> dict[str, Any]:
    """Return the node of a bytearray in a member of the archive."""
    return node("BytearrayNode", "builtins.bytearray", file=file, **rest)


def thing(**attributes: dict[str, Any]) -> dict[str, Any]:
    """Return the node of an object of another framework's."""
    return node("ObjectNode", "somelib.Thing", content=mapping(attributes))


def audit(root: dict[str, Any], members: Mapping[str, bytes], check: Any = None) -> Contents:
    """Audit a file of that document; *check* is what the flavor of somelib says."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("schema.json", json.dumps({**root, "protocol": 2, "_skops_version": "0.16.0"}))
        for name, content in members.items():
            archive.writestr(name, content)
    kind = EmbeddedType(name="somelib.Thing", check=check) if check else None
    embedded = {"somelib.Thing": kind}.get
    return audit_archive(SkopsArchive.read(stream, "model.skops"), embedded=embedded)


def test_the_flavor_sees_the_attributes() -> None:
    """Bytes, numbers, lists and dicts arrive as they will be built; other objects as an ellipsis."""
    seen: list[Mapping[str, object]] = []
    attributes = {
        "raw": binary("1.bin"),
        "count": plain(3),
        "nothing": plain(None),
        "names": node("ListNode", "builtins.list", content=[plain("a"), thing()]),
        "map": mapping({"k": plain(1.5)}),
    }
    found = audit(thing(**attributes), {"1.bin": b"\x00abc"}, lambda given: seen.append(given))
    assert seen[-1] == {"raw": b"\x00abc", "count": 3, "nothing": None, "names": ["a", ...], "map": {"k": 1.5}}
    assert (found.unknown, found.named) == ({}, {"somelib.Thing", *found.named})


def test_the_flavor_refuses() -> None:
    """The rule that the flavor names is the error's, with the type it is about."""
    with pytest.raises(UnsafeModel, match=r"model\.skops was refused: its somelib\.Thing: too odd"):
        audit(thing(count=plain(3)), {}, lambda given: "too odd" if given["count"] == 3 else None)


def test_nobody_vouches() -> None:
    """Without a flavor that knows it the type is as unknown as any."""
    assert audit(thing(), {}).unknown == {"somelib.Thing": "a class"}


def test_only_as_an_object() -> None:
    """A type that may be built from checked attributes may not be called, nor built through another node."""
    call = node("ConstructorFromReduceNode", "somelib.Thing", content=node("TupleNode", "builtins.tuple", content=[]))
    assert audit(call, {}, lambda given: None).unknown == {"somelib.Thing": "a class to call"}


def test_bytes_of_one_id_are_one() -> None:
    """Skops builds the first node of an __id__ for all; a second content under it is refused, or it would go unread."""
    both = node("ListNode", "builtins.list", content=[binary("1.bin", __id__=7), thing(raw=binary("2.bin", __id__=7))])
    with pytest.raises(UnsafeModel, match="two different objects"):
        audit(both, {"1.bin": b"hostile", "2.bin": b"harmless"}, lambda given: None)
    assert audit(copy.deepcopy(both), {"1.bin": b"same", "2.bin": b"same"}, lambda given: None).unknown == {}


def test_a_member_is_one_object() -> None:
    """A member that several objects name would be read for each of them: a small file, a large model."""
    for identities in ({}, {}), ({"__id__": 1}, {"__id__": 2}), ({"__id__": 1}, {}):
        several = node("ListNode", "builtins.list", content=[binary("1.bin", **rest) for rest in identities])
        with pytest.raises(UnsafeModel, match=r"two objects of its schema name the member 1\.bin"):
            audit(several, {"1.bin": b"x"})


def test_many_members_are_audited_once() -> None:
    """The time of an audit grows with the file: thousands of members, and one object in a thousand places."""
    started = time.perf_counter()
    members = {f"{number}.bin": b"x" * 100 for number in range(3000)}
    parts = [binary(name, __id__=number) for number, name in enumerate(members, 10)]
    audit(node("ListNode", "builtins.list", content=parts), members)
    calls: list[object] = []
    content = binary("0.bin", __id__=1)
    places = [node("ObjectNode", "somelib.Thing", content=mapping({"raw": content}), __id__=2) for _ in range(1000)]
    audit(node("ListNode", "builtins.list", content=places), {"0.bin": b"x"}, lambda given: calls.append(given))
    assert len(calls) == 1
    assert time.perf_counter() - started < 5


def test_malformed_values_are_refused() -> None:
    """A text that is no JSON, or attributes that are no dict, never reach the flavor."""
    broken = node("JsonNode", "builtins.str", content="nope", is_json=True)
    with pytest.raises(UnsafeModel, match="holds no JSON"):
        audit(thing(count=broken), {}, lambda given: None)
    with pytest.raises(UnsafeModel, match="are not a dict"):
        audit(node("ObjectNode", "somelib.Thing", content=plain(1)), {}, lambda given: None)


def test_skops_comes_without_torch() -> None:
    """Opening an estimator imports no torch where it is installed, and leaves scikit-learn able to use it."""
    pytest.importorskip("torch")
    script = """
        import sys
        from sklearn_flavor._skops import import_skops
        import_skops()
        assert not {"torch", "dask", "cupy"} & set(sys.modules), "a framework came along"
        import sklearn.externals.array_api_compat.torch
        assert "torch" in sys.modules
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr

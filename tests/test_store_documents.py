"""The documents of a store: what was damaged by hand is refused by name, and nothing that is written is lost."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import palate
from palate.errors import InvalidStore, PalateError
from palate.store import AliasMove, Deletion, Store, open_store
from palate.store._documents import AliasHistory, Notes, Policy, VersionRecord, dump, load, now_after

MOVED: dict[str, Any] = {"version": 1, "digest": None, "time": "2026-01-01T00:00:00+00:00", "by": "x"}
ASKS: dict[str, list[Callable[[Store], object]]] = {
    "store.json": [
        lambda store: open_store().models(),
        lambda store: open_store().version("iris/1"),
        lambda store: palate.inspect_model("models:/iris/1"),
        lambda store: open_store().demand_signatures([]),
        lambda store: open_store().set_alias("iris", "champion", 1),
    ],
    "iris/1/version.json": [
        lambda store: store.versions("iris"),
        lambda store: store.version("iris/1"),
        lambda store: palate.inspect_model("models:/iris/1"),
        lambda store: store.set_alias("iris", "other", 1),
        lambda store: store.delete("iris/1"),
    ],
    "iris/1/notes.json": [
        lambda store: store.version("iris/1"),
        lambda store: store.annotate("iris/1", description="new"),
    ],
    "iris/notes.json": [
        lambda store: store.models(),
        lambda store: store.model("iris"),
        lambda store: store.annotate("iris", description="new"),
    ],
    "iris/2/deleted.json": [
        lambda store: store.versions("iris"),
        lambda store: palate.inspect_model("models:/iris/2"),
        lambda store: store.set_alias("iris", "other", 2),
        lambda store: store.collect(),
    ],
    "iris/aliases/champion.json": [
        lambda store: palate.inspect_model("models:/iris@champion"),
        lambda store: store.models(),
        lambda store: store.history("iris", "champion"),
        lambda store: store.alias_at("iris", "champion", datetime.now(UTC)),
        lambda store: store.set_alias("iris", "champion", 1),
        lambda store: store.remove_alias("iris", "champion"),
        lambda store: store.delete("iris/1"),
    ],
}
# What lists the aliases passes over a folder among them.
UNAWARE = [ASKS["iris/aliases/champion.json"][at] for at in (1, 6)]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store with every kind of document, which nobody changes."""
    root = tmp_path_factory.mktemp("base")
    (root / "m").mkdir()
    (root / "m" / "MLmodel").write_text("flavors:\n  python_function:\n    loader_module: x\n")
    store = open_store(root / "store", by="tester")
    for _ in range(2):
        store.add("iris", root / "m", description="as added", tags={"a": "b"})
    store.set_alias("iris", "champion", 1)
    store.annotate("iris", description="flowers", tags={"x": "y"})
    store.annotate("iris/1", description="the first")
    store.delete("iris/2", reason="old")
    return root / "store"


@pytest.fixture
def store(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Return a copy of it, which models: means."""
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PALATE_STORE", str(tmp_path / "store"))
    shutil.copytree(base, tmp_path / "store")
    return open_store(by="tester")


def refuse_all(store: Store, key: str, told: str = "") -> None:
    """Check that whoever needs a document refuses it by name, and changes nothing."""
    before = sorted(Path(store.uri).rglob("*"))
    for ask in ASKS[key]:
        with pytest.raises(InvalidStore) as caught:
            ask(store)
        assert f"{key}' cannot be used: " in str(caught.value)
        assert told in str(caught.value)
    assert [path for path in sorted(Path(store.uri).rglob("*")) if path.name != ".lock"] == [
        path for path in before if path.name != ".lock"
    ]


# -- what is no document -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ASKS)
def test_what_is_no_document(store, key) -> None:
    """No JSON, no object, no number, two keys, too deep, too long, a newer format: each is refused by name."""
    texts = {
        b"": "not JSON",
        b"\0": "not JSON",
        b"{": "not JSON",
        b"\xff\xfe": "not JSON",
        b'{"format": 1, "format": 1}': "twice",
        b'{"format": NaN}': "NaN",
        b"[" * 100_000: "not JSON",
        b'{"format": 1, "x": ' + b"[" * 99_000: "nested too deeply",
        b'{"format": 1, "x": ' + b"1" * 5_000 + b"}": "not JSON",
        b" " * (16 << 20) + b"{}": "longer than",
        b"[]": "a mapping",
        b"null": "a mapping",
        b'"x"': "a mapping",
        b"{}": "no format number",
        b'{"format": "1"}': "no format number",
        b'{"format": true}': "no format number",
        b'{"format": 0}': "no format number",
        b'{"format": 3}': "from a newer Palate. Hint: upgrade palate",
    }
    if key != "store.json":
        texts[b'{"format": 2}'] = "from a newer Palate. Hint: upgrade palate"
    for text, told in texts.items():
        (Path(store.uri) / key).write_bytes(text)
        refuse_all(store, key, told)


@pytest.mark.parametrize("key", ASKS)
@pytest.mark.parametrize("kind", ["link", "link to nothing", "FIFO", "directory", "socket"])
def test_what_is_no_file(store, key, kind, monkeypatch) -> None:
    """It is neither followed nor waited for."""
    place = Path(store.uri) / key
    place.rename(place.with_suffix(".was"))
    if kind == "link":
        place.symlink_to(place.with_suffix(".was"))
    elif kind == "link to nothing":
        place.symlink_to("nothing")
    elif kind == "FIFO":
        os.mkfifo(place)
    elif kind == "directory":
        place.mkdir()
    else:
        monkeypatch.chdir(place.parent)  # the path of a socket may not be long
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(place.name)
    for ask in ASKS[key]:
        if kind == "directory" and ask in UNAWARE:
            continue
        with pytest.raises(InvalidStore, match="no ordinary file") as caught:
            ask(store)
        assert key in str(caught.value)


FIELDS = [
    *(("store.json", (), name) for name in ("keys", "gates")),
    *(("iris/1/version.json", (), name) for name in ("id", "digest", "size", "files", "added", "by", "source")),
    *(("iris/1/version.json", (), name) for name in ("model", "description", "tags")),
    *((f"iris/{key}notes.json", (), name) for key in ("1/", "") for name in ("description", "tags")),
    *(("iris/2/deleted.json", (), name) for name in ("time", "by", "reason", "state", "id")),
    ("iris/aliases/champion.json", (), "moves"),
    *(
        ("iris/aliases/champion.json", ("moves", 0), name)
        for name in ("version", "digest", "time", "by", "reason", "gate")
    ),
]
OPTIONAL = {"keys", "gates", "gate", "description", "tags", "reason", "state", "id"}
WRONG: dict[str, list[Any]] = {
    "text": [3, True, ["x"], {"x": "y"}, 1.5],
    "size": ["3", True, -1, 1.5, 2**70, None, []],
    "digest": ["", "x", "A" * 64, "0" * 63, "0" * 65, "0" * 64 + "\n", 3],
    "time": ["", "now", "2026-01-01", "2026-01-01T00:00:00", "2026-13-01T00:00:00+00:00", 3, "\0"],
    "tags": [[], "x", {"x": 1}, {"x": None}, 3, None],
    "keys": ["x", {}, [1], [None], 3, None],
    "moves": [[], {}, "x", [3], [{}], [[]], None, [None]],
    "version": ["1", True, 0, -1, 2**70, 1.5, [], {}],
    "state": ["", "gone", "DONE", 3, None, [], {}],
}
WRONG["gates"] = [*WRONG["tags"], *({"champion": wrong} for wrong in WRONG["digest"])]
WRONG["gates"] += [{wrong: "0" * 64} for wrong in ("", "latest", "a b", "a@", "@a", "a@b@c", "../a", "iris/1", "\0")]
WRONG |= {"gate": WRONG["digest"], "files": WRONG["size"], "added": WRONG["time"]}


@pytest.mark.parametrize(("key", "where", "name"), FIELDS)
def test_each_field_of_each_document(store, key, where, name) -> None:
    """A value that Palate does not write there, or none where there must be one, is refused by name."""
    place = Path(store.uri) / key
    original = json.loads(place.read_text())
    for wrong in [*WRONG.get(name, WRONG["text"]), ...]:
        if wrong is ... and name in OPTIONAL and not (name == "id" and "version" in key):
            continue
        document = json.loads(json.dumps(original))
        target = document
        for step in where:
            target = target[step]
        if wrong is ...:
            del target[name]
        else:
            target[name] = wrong
        place.write_text(json.dumps(document))
        refuse_all(store, key, name if name != "moves" else "")


@pytest.mark.parametrize("model", ["", "..", "../1/model", "/etc", "archives/x", "model/", "MODEL"])
def test_a_version_names_no_other_place(store, model) -> None:
    """Where its files are is not for the document to say."""
    place = Path(store.uri) / "iris/1/version.json"
    place.write_text(json.dumps({**json.loads(place.read_text()), "model": model}))
    with pytest.raises(InvalidStore, match=r"version\.json' cannot be used: 'model' is"):
        palate.inspect_model("models:/iris/1")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_edit_makes_anything_but_an_error_of_palate(store, base, data) -> None:
    """Whatever stands in the place of whatever, every question is answered, or refused by Palate."""
    key = data.draw(st.sampled_from(list(ASKS)))
    ask = data.draw(st.sampled_from(ASKS[key]))
    document = json.loads((base / key).read_text())
    target = document["moves"][0] if "moves" in document and data.draw(st.booleans()) else document
    name = data.draw(st.sampled_from(sorted(target)) | st.text(max_size=6))
    target[name] = data.draw(JSON)
    shutil.rmtree(store.uri)
    shutil.copytree(base, store.uri)
    (Path(store.uri) / key).write_text(json.dumps(document))
    try:
        ask(open_store(by="tester"))
    except PalateError as exc:
        assert "Hint: " in str(exc)  # noqa: PT017


# -- what is written ---------------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(), max_size=20)  # lone surrogates too
TIME = st.datetimes(timezones=st.timezones() | st.just(UTC)).map(datetime.isoformat)
DIGEST = st.text("0123456789abcdef", min_size=64, max_size=64)
TAGS = st.dictionaries(TEXT, TEXT, max_size=3)
EXTRA = st.dictionaries(TEXT.map(lambda name: f"x-{name}"), JSON, max_size=2)
MOVES = st.builds(
    AliasMove,
    extra=EXTRA,
    version=st.none() | st.integers(1, 999_999_999),
    digest=st.none() | DIGEST,
    time=TIME,
    by=TEXT,
    reason=st.none() | TEXT,
    gate=st.none() | DIGEST,
)
ALIASES = st.from_regex(r"([a-z]{1,8}@)?c[a-z]{1,8}", fullmatch=True).filter(lambda text: "con" not in text)
DOCUMENTS = st.one_of(
    st.builds(
        Policy,
        extra=EXTRA,
        keys=st.lists(TEXT, max_size=2),
        gates=st.dictionaries(ALIASES, DIGEST, max_size=3),
    ),
    st.builds(Notes, extra=EXTRA, description=TEXT, tags=TAGS),
    st.builds(
        Deletion,
        extra=EXTRA,
        time=TIME,
        by=TEXT,
        reason=st.none() | TEXT,
        state=st.sampled_from(["begun", "withdrawn", "done"]),
        id=TEXT,
    ),
    st.builds(
        VersionRecord,
        extra=EXTRA,
        id=TEXT,
        digest=DIGEST,
        size=st.integers(0, 2**60),
        files=st.integers(0, 10_000),
        added=TIME,
        by=TEXT,
        source=TEXT,
        model=TEXT,
        description=TEXT,
        tags=TAGS,
    ),
    st.builds(AliasHistory, extra=EXTRA, moves=st.lists(MOVES, min_size=1, max_size=3).map(tuple)),
)


@settings(deadline=None)
@given(document=DOCUMENTS)
def test_what_is_written_is_read_again(document) -> None:
    """Every document, with whatever a newer Palate has added to it, is read back as it was written."""
    text = dump(document)
    found = load(type(document), text, source="x")
    assert found == document
    assert found.extra == document.extra
    assert dump(found) == text


@settings(deadline=None)
@given(earlier=st.none() | TIME)
def test_time_goes_on(earlier) -> None:
    """The time that is written is never before the one before, nor before now."""
    begun = datetime.now(UTC)
    time = datetime.fromisoformat(now_after(earlier))
    assert time >= begun
    assert earlier is None or time >= datetime.fromisoformat(earlier)


def test_what_a_newer_palate_has_added_stays(store) -> None:
    """Keys that this one does not know survive every change of a document."""
    changes: dict[str, Callable[[], object]] = {
        "store.json": lambda: store.demand_signatures([]),
        "iris/notes.json": lambda: store.annotate("iris", description="new"),
        "iris/1/notes.json": lambda: store.annotate("iris/1", tags={"new": "new"}),
        "iris/aliases/champion.json": lambda: store.set_alias("iris", "champion", 1),
    }
    for key, change in changes.items():
        place = Path(store.uri) / key
        document = json.loads(place.read_text())
        document["later"] = {"a": [1]}
        if "moves" in document:
            document["moves"][0]["later"] = "b"
        place.write_text(json.dumps(document))
        change()
        after = json.loads(place.read_text())
        assert after != document or key == "store.json"
        assert after["later"] == {"a": [1]}
        assert "moves" not in after or after["moves"][0]["later"] == "b"


def test_notes(store) -> None:
    """A version's notes begin with what was said when it was added; tags are set and removed one by one."""
    assert store.version("iris/1").tags == {"a": "b"}
    assert store.version("iris/1").description == "the first"
    store.annotate("iris/1", tags={"a": None, "c": "d", "": None})
    assert (store.version("iris/1").description, store.version("iris/1").tags) == ("the first", {"c": "d"})
    store.annotate("iris@champion", description="")
    assert store.version("iris/1").description == ""
    assert store.model("iris").description == "flowers"

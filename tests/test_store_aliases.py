"""Aliases: where they lead, how they move and who is kept from moving them, and the history that they leave."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

import palate
from palate.errors import AliasMoved, BreakingChange, InvalidOption, InvalidStore, VersionInUse, VersionNotFound
from palate.store import AliasMove, Store, open_store

FUTURE = "2999-01-01T00:00:00.000000+00:00"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return two models; the second takes two columns more than the first."""
    folder = tmp_path_factory.mktemp("models")
    for name, width in (("narrow", 1), ("wide", 3)):
        data = np.arange(2.0 * width).reshape(2, width)
        palate.save_model(LinearRegression().fit(data, [0, 1]), folder / name, input_example=data)
    return folder / "narrow", folder / "wide"


@pytest.fixture
def store(models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Return the store that models: means, with three versions, of which the third takes other input."""
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PALATE_STORE", str(tmp_path / "store"))
    store = open_store(by="tester")
    for model in (models[0], models[0], models[1]):
        store.add("iris", model)
    return store


def document(store: Store, name: str) -> Path:
    """Return the file of an alias."""
    return Path(store.uri) / "iris" / "aliases" / f"{name}.json"


def write_moves(store: Store, name: str, *moves: tuple[object, str]) -> None:
    """Write the history of an alias by hand: versions and times."""
    entries = [{"version": version, "digest": None, "time": time, "by": "hand"} for version, time in moves]
    document(store, name).parent.mkdir(exist_ok=True)
    document(store, name).write_text(json.dumps({"format": 1, "moves": entries}))


def opened(uri: str) -> str | None:
    """Return the number of the version that a URI opens."""
    return palate.inspect_model(uri).version


# -- moving ------------------------------------------------------------------------------------------------------------


def test_an_alias_leads_to_its_last_version(store) -> None:
    """It is moved as often as one likes, back too; other aliases, and other models, do not notice."""
    store.set_alias("iris", "second", 2)
    for number in (1, 2, "1"):
        move = store.set_alias("iris", "champion", number, reason="because")
        assert (move.version, move.by, move.reason) == (int(number), "tester", "because")
        assert move.digest == store.version(f"iris/{number}").digest
        assert opened("models:/iris@champion") == str(number)
    assert store.model("iris").aliases == {"champion": 1, "second": 2}
    assert store.version("iris/1").aliases == ("champion",)
    assert [move.version for move in store.history("iris", "champion")] == [1, 2, 1]


def test_a_move_may_depend_on_where_it_leads(store) -> None:
    """With expected, who comes second is refused, and told where it leads; nothing is moved."""
    store.set_alias("iris", "champion", 1, expected=None)
    store.set_alias("iris", "champion", 2, expected=1)
    for expected in (1, "1", None, 3):
        with pytest.raises(AliasMoved, match="leads to version 2"):
            store.set_alias("iris", "champion", 1, expected=expected)
    assert len(store.history("iris", "champion")) == 2
    store.remove_alias("iris", "champion")
    with pytest.raises(AliasMoved, match="leads nowhere"):
        store.set_alias("iris", "champion", 1, expected=2)
    store.set_alias("iris", "champion", 1, expected=None)


def test_a_version_that_breaks_callers_is_refused(store) -> None:
    """The error says what would break; it is moved if that is allowed, and a new alias has no callers."""
    store.set_alias("iris", "champion", 1)
    store.set_alias("iris", "champion", 2)
    with pytest.raises(BreakingChange, match=r"from version 2 to 3(.|\n)*the shape was") as caught:
        store.set_alias("iris", "champion", 3)
    assert (caught.value.old, caught.value.new) == (2, 3)
    assert opened("models:/iris@champion") == "2"
    store.set_alias("iris", "challenger", 3)
    assert store.set_alias("iris", "champion", 3, allow_breaking=True).version == 3
    with pytest.raises(BreakingChange):
        store.set_alias("iris", "champion", 2)
    store.set_alias("iris", "champion", 3, reason="the same one")


def test_a_removed_alias_leads_nowhere(store) -> None:
    """Its history stays, and it can lead somewhere again, wherever that is: nobody uses it."""
    store.set_alias("iris", "champion", 1)
    assert store.remove_alias("iris", "champion", reason="over").version is None
    with pytest.raises(VersionNotFound, match="no such alias"):
        opened("models:/iris@champion")
    with pytest.raises(VersionNotFound):
        store.remove_alias("iris", "champion")
    assert store.model("iris").aliases == {}
    store.set_alias("iris", "champion", 3)
    assert [move.version for move in store.history("iris", "champion")] == [1, None, 3]


@pytest.mark.parametrize(
    "alias",
    [
        *("3", "03", "v3", "V12", "latest", "LATEST", "sha256", "", ".", "..", "a/b", "a@b", "-a", "a.", "a b"),
        *("a" * 65, "e\u0301", "a\u202e", "a\0", "con", 3, None),
    ],
)
def test_what_is_no_alias(store, alias) -> None:
    """M23: what could be taken for a version, or has other characters, is refused wherever an alias is named."""
    asks = (
        lambda: store.set_alias("iris", alias, 1),
        lambda: store.remove_alias("iris", alias),
        lambda: store.history("iris", alias),
        lambda: store.alias_at("iris", alias, datetime.now(UTC)),
    )
    for ask in asks:
        with pytest.raises(InvalidOption):
            ask()
    assert not document(store, "x").parent.exists()


@pytest.mark.parametrize("alias", ["a", "_", "Champion", "v3a", "prod.eu-1", "a" * 64])
def test_what_is_an_alias(store, alias) -> None:
    """Everything else of letters, digits and marks is one."""
    store.set_alias("iris", alias, 2)
    assert opened(f"models:/iris@{alias}") == "2"


@pytest.mark.parametrize("target", ["champion", "@other", "1", 0, -1, 2**70, 1.5, True, [1], {}])
def test_an_alias_that_was_edited_to_lead_astray(store, target) -> None:
    """M22: an alias leads to the number of a version and to nothing else, so there are no loops."""
    write_moves(store, "champion", (target, FUTURE))
    for ask in (
        lambda: opened("models:/iris@champion"),
        lambda: store.history("iris", "champion"),
        lambda: store.set_alias("iris", "champion", 1),
        lambda: store.delete("iris/1"),
    ):
        with pytest.raises(InvalidStore, match=r"aliases/champion\.json' cannot be used: 'version'"):
            ask()


def test_an_alias_of_a_version_that_never_was(store) -> None:
    """It can be moved to one that is there, as its callers have nothing to lose."""
    write_moves(store, "champion", (9, FUTURE))
    with pytest.raises(VersionNotFound, match="iris/9"):
        opened("models:/iris@champion")
    store.set_alias("iris", "champion", 1, allow_breaking=True)
    assert opened("models:/iris@champion") == "1"


# -- history -----------------------------------------------------------------------------------------------------------


def test_where_an_alias_led_at_a_time(store) -> None:
    """The move that counted then, whatever zone the time is in; None before the first."""
    times = ["2026-03-01T10:00:00+00:00", "2026-03-01T10:00:00+00:00", "2026-06-01T12:30:00.5+00:00"]
    write_moves(store, "champion", *zip((1, 2, None), times, strict=True))
    at = {
        "2026-03-01T09:59:59.999999+00:00": "none yet",
        "2026-03-01T10:00:00+00:00": 2,
        "2026-03-01T12:00:00+02:00": 2,
        "2026-03-01T10:30:00+02:00": "none yet",
        "2026-06-01T12:30:00.499+00:00": 2,
        "2026-06-01T12:30:00.5+00:00": None,
        "0001-01-01T00:00:00+23:59": "none yet",
        "9999-12-31T23:59:59-23:59": None,
    }
    for time, version in at.items():
        move = store.alias_at("iris", "champion", datetime.fromisoformat(time))
        assert (move.version if move else "none yet") == version, time
    with pytest.raises(InvalidOption, match="has no time zone"):
        store.alias_at("iris", "champion", datetime(2026, 3, 1))  # noqa: DTZ001
    for ask in (lambda: store.history("iris", "nobody"), lambda: store.alias_at("iris", "nobody", datetime.now(UTC))):
        with pytest.raises(VersionNotFound, match="never had such an alias"):
            ask()


def test_times_never_go_back(store) -> None:
    """A clock that was set back does not bring the moves out of order, in whatever zone somebody wrote a time."""
    store.set_alias("iris", "champion", 1)
    before = store.history("iris", "champion")[-1]
    zoned = (datetime.now(UTC) + timedelta(hours=1)).astimezone(timezone(timedelta(hours=-9))).isoformat()
    for last in (FUTURE, zoned):
        write_moves(store, "champion", (1, before.time), (2, last))
        assert store.set_alias("iris", "champion", 1).time == last
        times = [datetime.fromisoformat(move.time) for move in store.history("iris", "champion")]
        assert times == sorted(times)
        assert store.alias_at("iris", "champion", datetime.fromisoformat(last)).version == 1
    assert datetime.fromisoformat(before.time) - datetime.now(UTC) < timedelta(seconds=1)


def test_versions_are_ordered_by_their_numbers(store) -> None:
    """The latest one has the highest number, whatever the clock said when it was added."""
    record = Path(store.uri) / "iris" / "1" / "version.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "added": FUTURE}))
    assert opened("models:/iris/latest") == "3"
    assert [version.number for version in store.versions("iris")] == [1, 2, 3]
    deleted = store.delete("iris/1").deleted
    assert deleted is not None
    assert deleted.time == FUTURE, "not before it was added"


def test_a_move_has_all_its_facts(store) -> None:
    """The history is read back as it was said, by whoever opens the store."""
    moves = tuple(open_store(by=name).set_alias("iris", "champion", 1, reason=name) for name in ("ann", "bob"))
    assert store.history("iris", "champion") == moves
    assert [(move.by, move.reason) for move in moves] == [("ann", "ann"), ("bob", "bob")]
    assert isinstance(moves[0], AliasMove)


# -- deletions at the same time ----------------------------------------------------------------------------------------


def mark(store: Store, number: int, state: str) -> Path:
    """Write by hand that a version is deleted, or about to be; return the file."""
    place = Path(store.uri) / "iris" / str(number) / "deleted.json"
    place.write_text(json.dumps({"format": 1, "time": FUTURE, "by": "hand", "state": state, "id": "x"}))
    return place


@pytest.mark.parametrize("state", ["begun", "withdrawn"])
def test_a_deletion_that_is_not_done_is_none(store, state) -> None:
    """Somebody who was killed at it has changed nothing: the version is opened, moved to, and can be deleted."""
    place = mark(store, 2, state)
    assert opened("models:/iris/2") == "2"
    assert store.version("iris/2").deleted is None
    store.set_alias("iris", "champion", 2)
    assert json.loads(place.read_text())["state"] == "withdrawn", "whoever was still at it must notice"
    with pytest.raises(VersionInUse):
        store.delete("iris/2")
    store.remove_alias("iris", "champion")
    mark(store, 2, state)
    deleted = store.delete("iris/2").deleted
    assert deleted is not None
    assert (deleted.by, deleted.state) == ("tester", "done")


def test_a_move_to_a_version_that_was_deleted_then_does_not_count(store) -> None:
    """Whoever moved it was killed before taking that back: it leads where it led, and collect says so."""
    write_moves(store, "champion", (1, "2026-01-01T00:00:00+00:00"), (2, "2026-02-01T00:00:00+00:00"))
    mark(store, 2, "done")
    shutil.rmtree(Path(store.uri) / "iris" / "2" / "model")
    assert opened("models:/iris@champion") == "1"
    assert store.model("iris").aliases == {"champion": 1}
    with pytest.raises(VersionInUse):
        store.delete("iris/1")
    with pytest.raises(AliasMoved):
        store.set_alias("iris", "champion", 3, expected=2)
    assert store.collect() == ["the last move of iris@champion"]
    assert store.collect() == []
    last = store.history("iris", "champion")[-1]
    assert (last.version, last.reason) == (1, "version 2 was deleted at the same time")
    assert opened("models:/iris@champion") == "1"


def test_where_a_deletion_may_lead_an_alias_is_not_deleted(store) -> None:
    """While the version that it leads to may be deleted at any moment, the one before must stay."""
    write_moves(store, "champion", (1, "2026-01-01T00:00:00+00:00"), (2, "2026-02-01T00:00:00+00:00"))
    place = mark(store, 2, "begun")
    with pytest.raises(VersionInUse):
        store.delete("iris/1")
    place.unlink()
    store.delete("iris/1")

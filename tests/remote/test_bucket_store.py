"""A store in a bucket: all that a folder's offers, for many at once, and nothing half after whatever fails."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from processes import wait_until
from relay import Answer, Asked, relay, site
from signing_keys import make_key, write_key
from sklearn.linear_model import LinearRegression
from store_workers import start_workers

import palate
from palate import packing
from palate.errors import (
    AliasMoved,
    CacheFailed,
    InvalidArchive,
    ModelNotFound,
    RemoteFailed,
    SignatureMissing,
    UnsupportedModel,
    VersionInUse,
    VersionNotFound,
)
from palate.remote import Bucket
from palate.store import Store, open_store
from palate.store._bucket import BucketPlace

DATA = np.array([[0.0], [1.0]])
MODEL = LinearRegression().fit(DATA, [1.0, 3.0])
LAYOUT = re.compile(
    r"store\.json|iris/notes\.json|iris/[1-9]/(version|notes|deleted)\.json|iris/[1-9]/model\.sig"
    r"|iris/aliases/\w+\.json|iris/archives/[0-9a-f]{16}-[0-9a-f]{32}\.palate"
)

Ask = Callable[[Asked], Answer]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the cache of this test."""
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a saved model."""
    path = tmp_path_factory.mktemp("model") / "m"
    palate.save_model(MODEL, path, input_example=DATA)
    return path


@pytest.fixture
def go_to(monkeypatch: pytest.MonkeyPatch, folder: str) -> Callable[[str], Store]:
    """Open the store of this test on a server, which ``models:`` means as well."""

    def go(endpoint: str) -> Store:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        monkeypatch.setenv("PALATE_STORE", folder)
        return open_store(folder, by="tester")

    return go


@pytest.fixture
def store(go_to: Callable[[str], Store], endpoint: str) -> Store:
    """Return an empty store on each server."""
    return go_to(endpoint)


@pytest.fixture
def moto_store(go_to: Callable[[str], Store], moto: str) -> Store:
    """Return an empty store on the fast one."""
    return go_to(moto)


def keys(store: Store) -> list[str]:
    """Return what is in the bucket."""
    return sorted(entry.key for entry in Bucket(store.uri).entries())


def left_in(cache: Path) -> list[str]:
    """Return what is in the cache besides whole models and what it knows of them."""
    known = re.compile(r"[0-9a-f]{64}|\.[0-9a-f]{64}\.(used|seen|fetched)")
    return [path.name for path in cache.glob("models/*") if not known.fullmatch(path.name)]


# -- what it offers ----------------------------------------------------------------------------------------------------


def test_versions_are_added_and_opened(store, model, cache) -> None:
    """A model is added by its path, and saved straight into the store; both are opened by models: URIs."""
    first = store.add("iris", model, description="the first", tags={"a": "1"})
    second = store.save_model("iris", MODEL, metadata={"v": 2})
    assert (first.number, first.description, first.tags, first.by) == (1, "the first", {"a": "1"}, "tester")
    assert first.digest == palate.inspect_model(model).digest
    assert [version.number for version in store.versions("iris")] == [1, 2]
    assert [(summary.name, summary.latest) for summary in store.models()] == [("iris", 2)]
    for uri in ("models:/iris/1", "models:/iris/latest", f"models:/iris@sha256:{first.digest}"):
        assert np.array_equal(palate.load_model(uri).predict(DATA), MODEL.predict(DATA))
    assert palate.load_model(second.uri).metadata.metadata == {"v": 2}
    assert left_in(cache) == []


def test_aliases_move_with_their_history(store, model) -> None:
    """An alias leads where its last move led, under the conditions of whoever moves it, and every move is known."""
    for _ in range(2):
        store.add("iris", model)
    store.set_alias("iris", "champion", 1, expected=None, reason="it is the first")
    store.set_alias("iris", "champion", 2, expected=1)
    with pytest.raises(AliasMoved):
        store.set_alias("iris", "champion", 1, expected=1)
    assert store.version("iris@champion").number == 2
    assert palate.load_model("models:/iris@champion").flavor == "sklearn"
    store.remove_alias("iris", "champion")
    assert [move.version for move in store.history("iris", "champion")] == [1, 2, None]
    with pytest.raises(VersionNotFound):
        store.version("iris@champion")


def test_notes_and_deletions(store, model, cache) -> None:
    """What people say of models is kept; a deleted version is gone for good, and its number with it."""
    store.add("iris", model)
    store.set_alias("iris", "champion", 1)
    store.annotate("iris", description="flowers")
    store.annotate("iris/1", tags={"stage": "old"})
    assert store.model("iris").description == "flowers"
    assert store.version("iris/1").tags == {"stage": "old"}
    with pytest.raises(VersionInUse):
        store.delete("iris/1")
    store.remove_alias("iris", "champion")
    palate.load_model("models:/iris/1")
    assert store.delete("iris/1", reason="too old").deleted is not None
    assert not [key for key in keys(store) if "archives" in key]
    with pytest.raises(VersionNotFound, match="too old"):
        palate.load_model("models:/iris/1")
    assert store.add("iris", model).number == 2
    assert store.collect() == []


def test_signatures(store, model, tmp_path) -> None:
    """A version is signed in its place; a store that demands a key's signature opens and takes nothing without."""
    private, public = write_key(make_key(), tmp_path, "key")
    store.add("iris", model)
    store.add("iris", model)
    store.sign("iris/1", private)
    store.demand_signatures([public])
    assert palate.load_model("models:/iris/1").flavor == "sklearn"
    with pytest.raises(SignatureMissing):
        palate.load_model("models:/iris/2")
    with pytest.raises(SignatureMissing):
        store.add("iris", model)
    store.demand_signatures([])
    assert store.add("iris", model).number == 3


def test_the_bucket_is_laid_out_as_it_is_told(moto_store, model, tmp_path) -> None:
    """Every object is one of those that the module's documentation names, and each kind of those is there."""
    for _ in range(2):
        moto_store.add("iris", model)
    moto_store.set_alias("iris", "champion", 2)
    moto_store.annotate("iris", description="x")
    moto_store.annotate("iris/2", description="x")
    moto_store.sign("iris/2", write_key(make_key(), tmp_path, "key")[0])
    moto_store.delete("iris/1")
    found = keys(moto_store)
    assert [key for key in found if not LAYOUT.fullmatch(key)] == []
    assert len(found) == 9  # with two records, and one archive


def test_an_archive_is_opened_by_its_own_address(store, model) -> None:
    """What is in the bucket is what palate pack writes; it opens without the store, and does not come twice."""
    store.add("iris", model)
    (key,) = (key for key in keys(store) if "archives" in key)
    palate.load_model("models:/iris/1")
    asked: list[Asked] = []

    def watch(request: Asked, ask: Ask) -> Answer:
        asked.append(request)
        return ask(request)

    with site(relay(os.environ["AWS_ENDPOINT_URL"], watch)) as between:
        os.environ["AWS_ENDPOINT_URL"] = between.url  # put back with the fixture that has set it
        # A relay is another host than the one that a request was signed for; servers here look at neither.
        loaded = palate.load_model(f"{store.uri}/{key}")
    assert np.array_equal(loaded.predict(DATA), MODEL.predict(DATA))
    assert [one.method for one in asked] == ["GET"]
    assert "if-none-match" in asked[0].headers


# -- many at once ------------------------------------------------------------------------------------------------------


def check_versions(store: Store, model: Path, adds: int) -> None:
    """Let eight processes add to an empty store at once; every number is given once, and leads to the model."""
    with start_workers(store.uri, 8) as workers:
        for worker in workers:
            worker.ask("add", "iris", str(model), adds)
        numbers = [worker.result() for worker in workers]
    total = 8 * adds
    assert sorted(number for several in numbers for number in several) == list(range(1, total + 1))
    assert [version.number for version in store.versions("iris")] == list(range(1, total + 1))
    named = Counter(BucketPlace(store.uri)._named("iris"))
    assert named == Counter(key for key in keys(store) if "archives" in key)
    assert set(named.values()) == {1}


def test_versions_are_contiguous(store, model) -> None:
    """Eight processes that add at once, to a store that none has used before, have numbers without a gap."""
    check_versions(store, model, 3)


@pytest.mark.slow
def test_versions_are_contiguous_among_many(store, model) -> None:
    """The same with fifty each."""
    check_versions(store, model, 50)


def test_no_move_is_lost(store, model) -> None:
    """Every move of one alias by four processes is in its history, in the order of its times, and every tag is set."""
    for _ in range(4):
        store.add("iris", model)
    with start_workers(store.uri, 4) as workers:
        for number, worker in enumerate(workers, 1):
            worker.ask("move", "iris", "champion", number, 5)
            worker.ask("tag", "iris", [f"{number}.{count}" for count in range(3)])
        for worker in workers * 2:
            worker.result()
    moves = store.history("iris", "champion")
    assert Counter(move.version for move in moves) == dict.fromkeys(range(1, 5), 5)
    assert [move.time for move in moves] == sorted(move.time for move in moves)
    assert len(store.model("iris").tags) == 12


def test_of_a_move_and_a_deletion_one_wins(moto_store, model) -> None:
    """A version is moved to and deleted at once, often: no alias is left without files."""
    rounds = 12
    for _ in range(rounds + 1):
        moto_store.add("iris", model)
    won: Counter[str] = Counter()
    with start_workers(moto_store.uri, 2) as (mover, deleter):
        for number in range(1, rounds + 1):
            alias = f"a{number}-"
            moto_store.set_alias("iris", alias, rounds + 1)
            mover.ask("move", "iris", alias, number)
            deleter.ask("delete", "iris", number)
            moved, deleted = ("error" not in worker.answer() for worker in (mover, deleter))
            assert moved != deleted
            leads = moto_store.version(f"iris@{alias}").number
            assert leads == (number if moved else rounds + 1)
            assert palate.inspect_model(f"models:/iris@{alias}").digest
            won["move" if moved else "deletion"] += 1
    assert sum(won.values()) == rounds


# -- what is killed ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model that goes up in several parts."""
    path = tmp_path_factory.mktemp("large") / "m"
    palate.save_model(LinearRegression().fit(np.random.default_rng(0).random((2, 3_000_000)), [0, 1]), path)
    return path


def kill_while_adding(
    store: Store, source: Path, monkeypatch: pytest.MonkeyPatch, is_when: Callable[[Asked], bool]
) -> None:
    """Let a process add a model, and kill it when it makes a request of some kind, which then comes to nothing."""
    come: list[Asked] = []

    def stop(request: Asked, ask: Ask) -> Answer:
        if not is_when(request):
            return ask(request)
        come.append(request)
        time.sleep(2)
        return Answer(status=None)

    with site(relay(os.environ["AWS_ENDPOINT_URL"], stop)) as between, monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", between.url)
        with start_workers(store.uri, 1) as (worker,):
            worker.ask("add", "iris", str(source), 1)
            wait_until(lambda: come, 60)
            worker.process.kill()
            worker.process.wait()


@pytest.mark.parametrize("when", ["in the middle of an upload", "before it has a number"])
def test_what_is_killed_while_it_is_added_is_seen_by_nobody(moto_store, model, large, monkeypatch, when) -> None:
    """Killed at once, a process leaves no version; an archive without one is removed when it is old, and no other."""
    moto_store.add("iris", model)
    before = keys(moto_store)
    if when.startswith("in"):
        kill_while_adding(moto_store, large, monkeypatch, lambda one: "partNumber=3" in one.path)
    else:
        kill_while_adding(moto_store, large, monkeypatch, lambda one: one.path.endswith("/iris/2/version.json"))
    assert [version.number for version in moto_store.versions("iris")] == [1]
    orphans = [f"{moto_store.uri}/{key}" for key in keys(moto_store) if key not in before]
    assert len(orphans) == (0 if when.startswith("in") else 1)
    assert moto_store.collect() == []
    assert BucketPlace(moto_store.uri, unfinished=timedelta(0)).collect("iris") == orphans
    assert keys(moto_store) == before
    assert moto_store.add("iris", model).number == 2
    assert palate.load_model("models:/iris/1").flavor == "sklearn"


def test_what_a_killed_probe_has_left_is_passed_over(moto_store, model) -> None:
    """An object that was to show what the server can do does not make the bucket a place that is taken."""
    Bucket(moto_store.uri).create(".palate-probe-0123", b"1")
    assert moto_store.add("iris", model).number == 1


# -- what fails --------------------------------------------------------------------------------------------------------


def test_a_server_that_passes_over_conditions_is_refused(go_to, moto, model, cache) -> None:
    """Where two could have one number, nothing is added, and nothing is left."""

    def strip(request: Asked, ask: Ask) -> Answer:
        kept = {name: value for name, value in request.headers.items() if name not in ("if-match", "if-none-match")}
        return ask(Asked(method=request.method, path=request.path, headers=kept, body=request.body))

    with site(relay(moto, strip)) as careless:
        store = go_to(careless.url)
        with pytest.raises(RemoteFailed, match=r"replaces what is there.*Hint: use a server that"):
            store.add("iris", model)
        assert keys(store) == []
    assert left_in(cache) == []


@pytest.mark.parametrize(
    "act",
    [
        lambda store, model: store.models(),
        lambda store, model: store.add("iris", model),
        lambda store, model: store.save_model("iris", MODEL),
        lambda store, model: store.set_alias("iris", "champion", 1),
        lambda store, model: store.delete("iris/1"),
        lambda store, model: store.collect(),
        lambda store, model: palate.load_model("models:/iris/1"),
    ],
    ids=["models", "add", "save_model", "set_alias", "delete", "collect", "load_model"],
)
def test_a_server_that_is_gone_is_told_as_such(go_to, model, cache, act) -> None:
    """Whatever is asked for, the error says that nobody answers, and nothing is left in the cache."""
    store = go_to("http://127.0.0.1:9")
    with pytest.raises(RemoteFailed, match=r"nobody listens there.*Hint: "):
        act(store, model)
    assert left_in(cache) == []


def test_an_upload_that_is_refused_leaves_nothing(go_to, moto, model, cache) -> None:
    """An error while an archive goes up is told, and neither the bucket nor the cache has more than before."""

    def refuse(request: Asked, ask: Ask) -> Answer:
        return Answer(status=403) if request.method == "PUT" and "/archives/" in request.path else ask(request)

    with site(relay(moto, refuse)) as strict:
        store = go_to(strict.url)
        for add in (lambda: store.add("iris", model), lambda: store.save_model("iris", MODEL)):
            with pytest.raises(RemoteFailed, match="403"):
                add()
        assert keys(store) == ["store.json"]
    assert left_in(cache) == []


def test_an_upload_whose_answer_is_lost_leaves_nothing(go_to, moto, model) -> None:
    """An archive that came, though nobody could tell, is taken back."""
    stored: list[str] = []

    def lose(request: Asked, ask: Ask) -> Answer:
        if request.method == "HEAD" and "/archives/" in request.path:
            return Answer(status=403)  # which asks whether all of it has come
        if request.method == "PUT" and "/archives/" in request.path:
            stored.append(request.path)
        return ask(request)

    with site(relay(moto, lose)) as forgetful:
        store = go_to(forgetful.url)
        with pytest.raises(RemoteFailed):
            store.add("iris", model)
        assert stored
        assert keys(store) == ["store.json"]


def test_without_credentials_it_says_which_to_set(moto_store, model, cache, monkeypatch) -> None:
    """The error names the variables."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(RemoteFailed, match=r"no credentials were found.*Hint: set AWS_ACCESS_KEY_ID"):
        open_store(moto_store.uri).add("iris", model)
    assert left_in(cache) == []


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (lambda store: store.save_model("iris", object()), UnsupportedModel),
        (lambda store: store.add("iris", "/nowhere"), ModelNotFound),
    ],
    ids=["no model", "nothing"],
)
def test_what_cannot_be_saved_is_told_as_elsewhere(moto_store, cache, act: Any, error) -> None:
    """What is wrong with the model is not taken for a failure of the store, and nothing is left of it."""
    with pytest.raises(error):
        act(moto_store)
    assert set(keys(moto_store)) <= {"store.json"}
    assert left_in(cache) == []


@pytest.fixture
def small_cache(cache: Path) -> Iterator[None]:
    """Let the cache be a file system of one megabyte."""
    cache.mkdir(mode=0o700)
    options = ["-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs"]
    if subprocess.run(["mount", *options, cache], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    yield
    subprocess.run(["umount", cache], check=True)


@pytest.mark.usefixtures("small_cache")
@pytest.mark.parametrize("how", ["add", "save_model"])
def test_a_cache_without_room_is_told_as_such(moto_store, cache, tmp_path, how) -> None:
    """Where there is no room to prepare an upload, the error says so, and nothing is left of it."""
    wide = LinearRegression().fit(np.random.default_rng(0).random((2, 250_000)), [0, 1])
    palate.save_model(wide, tmp_path / "wide")
    given = tmp_path / "wide" if how == "add" else wide
    with pytest.raises(CacheFailed, match=rf"'{re.escape(str(cache))}/models'.*No space left.*Hint: .*PALATE_CACHE"):
        getattr(moto_store, how)("iris", given)
    assert keys(moto_store) == ["store.json"]
    assert left_in(cache) == []


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_the_cache_stays_private(moto_store, model, cache, umask) -> None:
    """To add a model makes the cache for the user alone, whatever is usual otherwise."""
    before = os.umask(umask)
    try:
        moto_store.add("iris", model)
    finally:
        os.umask(before)
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in (cache, cache / "models")] == [0o700] * 2
    moto_store.add("iris", model)


# -- what somebody has done to the bucket ------------------------------------------------------------------------------


def test_an_archive_that_is_gone_is_gone_for_everybody(moto_store, model, cache) -> None:
    """Also for who has it in the cache."""
    moto_store.add("iris", model)
    palate.load_model("models:/iris/1")
    (key,) = (key for key in keys(moto_store) if "archives" in key)
    Bucket(moto_store.uri).remove(key)
    with pytest.raises(VersionNotFound, match="its files are gone"):
        palate.load_model("models:/iris/1")


def test_an_archive_that_goes_while_it_is_asked_for_is_gone(go_to, moto, model, cache) -> None:
    """A version that is deleted just as it is fetched is told as deleted, and not as a failure of the server."""
    direct = Bucket(go_to(moto).uri)

    def remove(request: Asked, ask: Ask) -> Answer:
        if request.method == "GET" and "/archives/" in request.path:
            direct.remove("iris/archives/" + request.path.rpartition("/")[2])
        return ask(request)

    with site(relay(moto, remove)) as between:
        go_to(between.url).add("iris", model)
        with pytest.raises(VersionNotFound, match="its files are gone"):
            palate.load_model("models:/iris/1")
    assert left_in(cache) == []


@pytest.mark.parametrize("other", ["junk", "another model"])
def test_an_archive_that_was_replaced_is_refused(moto_store, model, tmp_path, cache, other) -> None:
    """What is not the model that was added is not opened, whoever has put it there, and the error names the object."""
    moto_store.add("iris", model)
    palate.load_model("models:/iris/1")
    (key,) = (key for key in keys(moto_store) if "archives" in key)
    (tmp_path / "junk").write_bytes(b"junk" * 100)
    palate.save_model(LinearRegression().fit(DATA, [5, 6]), tmp_path / "another model")
    packing.pack_model(tmp_path / "another model", tmp_path / "other.palate")
    Bucket(moto_store.uri).upload(key, tmp_path / ("junk" if other == "junk" else "other.palate"))
    error = InvalidArchive if other == "junk" else palate.errors.WrongModel
    with pytest.raises(error, match=re.escape(key) if other == "junk" else "models:/iris/1"):
        palate.load_model("models:/iris/1")
    assert left_in(cache) == []


def test_what_a_killed_deletion_has_left_is_removed(moto_store, model, cache) -> None:
    """The archive of a version that is deleted goes with collect, which does not fetch it first."""
    moto_store.add("iris", model)
    (key,) = (key for key in keys(moto_store) if "archives" in key)
    moto_store.delete("iris/1")
    Bucket(moto_store.uri).create(key, b"what is no archive any more")
    assert moto_store.collect() == ["the files of iris/1"]
    assert not [key for key in keys(moto_store) if "archives" in key]
    assert moto_store.collect() == []

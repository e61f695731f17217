"""Many processes at one store: no version is lost or half, no move overwritten, no alias left without its files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sklearn.linear_model import LinearRegression

import palate
from palate._disk.manifest import check_manifest, read_manifest
from palate._disk.stages import STAGE_PATTERN
from palate.errors import StoreFailed, VersionNotFound
from palate.locations import locate
from palate.store import Store, open_store
from palate.store._directory import DirectoryPlace

WORKER = Path(__file__).parent / "data" / "store_worker.py"
HOLD_LOCK = """
import fcntl, os, sys, time
descriptor = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(descriptor, fcntl.LOCK_EX)
print("locked", flush=True)
time.sleep(600)
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where the store is, which models: means as well."""
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PALATE_STORE", str(tmp_path / "store"))
    return tmp_path / "store"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Return a model."""
    palate.save_model(LinearRegression().fit([[0.0], [1.0]], [0, 1]), tmp_path / "m")
    return tmp_path / "m"


class Worker:
    """A process that works at a store."""

    def __init__(self, stack: ExitStack) -> None:
        command = [sys.executable, str(WORKER)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
        self._process = stack.enter_context(subprocess.Popen(command, **pipes))
        stack.callback(self._process.kill)

    def ask(self, what: str, *arguments: Any) -> None:
        """Let it begin with something."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([what, *arguments]) + "\n")

    def answer(self) -> Any:
        """Return what came of it."""
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def result(self) -> Any:
        """Return what came of it, which must not be an error."""
        answer = self.answer()
        assert "error" not in answer, answer
        return answer["result"]


@pytest.fixture(scope="module")
def crowd() -> Iterator[list[Worker]]:
    """Start eight workers."""
    with ExitStack() as stack:
        found = [Worker(stack) for _ in range(8)]
        assert [worker.answer() for worker in found] == ["ready"] * 8
        yield found


@pytest.fixture
def workers(root: Path, crowd: list[Worker]) -> list[Worker]:
    """Return eight workers that work at the store."""
    for worker in crowd:
        worker.ask("work_at", str(root))
        worker.result()
    return crowd


def files_of(store: Store, uri: str) -> bool:
    """Whether a version is there, whole; False where it is said to be deleted."""
    try:
        path = locate(uri).path
    except VersionNotFound:
        return False
    manifest = read_manifest(path)
    assert manifest is not None
    check_manifest(path, manifest)
    return True


@pytest.mark.slow
def test_versions_are_contiguous_and_whole(root, model, workers) -> None:
    """Eight processes that add fifty times each, to a store that none has used before, make versions 1 to 400."""
    for worker in workers:
        worker.ask("add", "iris", str(model), 50)
    numbers = [worker.result() for worker in workers]
    assert sorted(number for several in numbers for number in several) == list(range(1, 401))
    assert all(several == sorted(several) for several in numbers)
    store = open_store(root)
    assert [version.number for version in store.versions("iris")] == list(range(1, 401))
    assert all(files_of(store, f"models:/iris/{number}") for number in range(1, 401))
    assert not list(root.rglob(STAGE_PATTERN))


def test_nothing_that_is_said_at_once_is_lost(root, model, workers) -> None:
    """Every move of one alias is in its history, in the order of its times, and every tag in the notes."""
    store = open_store(root)
    for _ in range(4):
        store.add("iris", model)
    for number, worker in enumerate(workers[:4], 1):
        worker.ask("move", "iris", "champion", number, 15)
        worker.ask("tag", "iris", [f"{number}.{count}" for count in range(10)])
    for worker in workers[:4] * 2:
        worker.result()
    moves = store.history("iris", "champion")
    assert Counter(move.version for move in moves) == dict.fromkeys(range(1, 5), 15)
    assert [move.time for move in moves] == sorted(move.time for move in moves)
    assert len(store.model("iris").tags) == 40


@pytest.mark.parametrize("how", ["delete", "delete_carelessly"])
def test_of_a_move_and_a_deletion_one_wins(root, model, workers, how) -> None:
    """A version is moved to and deleted at once, often: never both, and no alias is left without files.

    Who looks at the aliases first, and deletes then, is found out: so the test can see what it looks for.
    """
    store, rounds = open_store(root), 40
    for _ in range(rounds + 1):
        store.add("iris", model)
    mover, deleter, other, *_ = workers
    won: Counter[str] = Counter()
    for number in range(1, rounds + 1):
        store.set_alias("iris", f"a{number}-", rounds + 1)
        mover.ask("move", "iris", f"a{number}-", number)
        deleter.ask(how, "iris", number)
        other.ask(how, "iris", number)
        moved, *deleted = ("error" not in worker.answer() for worker in (mover, deleter, other))
        leads = store.model("iris").aliases[f"a{number}-"]
        there = files_of(store, f"models:/iris/{number}")
        fine = files_of(store, f"models:/iris@a{number}-")
        fine &= there == (leads == number) == moved != any(deleted)
        won["both or neither" if not fine else "move" if moved else "deletion"] += 1
    if how == "delete":
        assert won["both or neither"] == 0, won
        assert won["move"]
        assert won["deletion"]
    else:
        assert won["both or neither"], won


@pytest.mark.slow
def test_an_alias_always_leads_to_files(root, model, workers) -> None:
    """While versions are added, deleted and moved to by eight processes, a reader of the alias never fails."""
    store, seconds = open_store(root), 6.0
    for _ in range(6):
        store.add("iris", model)
    store.set_alias("iris", "champion", 1)
    readers, movers, deleters, adders = (workers[at : at + 2] for at in range(0, 8, 2))
    for seed in range(2):
        readers[seed].ask("read_about", "models:/iris@champion", seconds)
        movers[seed].ask("move_about", "iris", "champion", seed, seconds)
        deleters[seed].ask("delete_about", "iris", 4, seed, seconds)
        adders[seed].ask("add_about", "iris", str(model), seconds)
    counts = [worker.result() for worker in (*readers, *movers, *adders)]
    gone = [number for worker in deleters for number in worker.result()]
    assert min(counts) > 5, counts
    assert len(gone) > 5
    assert len(gone) == len(set(gone)), "two were told that they had deleted it"
    versions = store.versions("iris", deleted=True)
    assert sorted(gone) == [version.number for version in versions if version.deleted]
    assert files_of(store, "models:/iris@champion")


def test_a_stopped_process_with_the_lock_does_not_stop_others_for_ever(root, model) -> None:
    """Who cannot have the lock gives up after a while, says so and has changed nothing; when it is free, it works."""
    open_store(root).add("iris", model)
    open_store(root).set_alias("iris", "champion", 1)
    lock = root / "iris" / "aliases" / ".lock"
    with subprocess.Popen([sys.executable, "-c", HOLD_LOCK, str(lock)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"locked\n"
        holder.send_signal(signal.SIGSTOP)
        impatient = Store(DirectoryPlace(root, lock_seconds=0.2))
        begun = time.monotonic()
        with pytest.raises(StoreFailed, match=r"has had the lock '.*' for 0.2 seconds"):
            impatient.set_alias("iris", "champion", 1)
        assert time.monotonic() - begun < 5
        assert open_store(root).model("iris").aliases == {"champion": 1}
        assert impatient.add("iris", model).number == 2, "only what is replaced needs the lock"
        holder.kill()
    assert len(open_store(root).history("iris", "champion")) == 1
    impatient.set_alias("iris", "champion", 2)


def test_what_somebody_is_still_at_is_not_swept(root, model, workers) -> None:
    """However old a stage looks, as after the clock was set, collect leaves it alone while its maker lives."""
    store = open_store(root)
    store.add("iris", model)
    collector = workers[0]
    with DirectoryPlace(root).scratch("iris") as stage:
        os.utime(stage, (0, 0))
        collector.ask("collect")
        assert collector.result() == []
        assert stage.exists()
    left = root / "iris" / f".version.palate-stage-1-{'0' * 16}"
    left.mkdir()
    os.utime(left, (0, 0))
    collector.ask("collect")
    assert collector.result() == [str(left)]
    assert not left.exists()

"""The directories of the cache among processes and threads: made once, held while they are used, then taken away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from unpacking import cached, make_archive, start_opener, wait_for_line

from palate._archive import shelf
from palate._archive.cache import find_unpacked

SIZE = 100_000


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the cache of this test."""
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def archives(tmp_path: Path) -> dict[str, Path]:
    """Return three archives by their digests."""
    files = {make_archive(tmp_path / f"{seed}.palate", seed, SIZE): tmp_path / f"{seed}.palate" for seed in "abc"}
    assert len(files) == 3
    return files


def open_in_passing(archive: Path, limit: int | None = None) -> None:
    """Open an archive in a process that ends then."""
    with start_opener(archive, environment={"PALATE_CACHE_SIZE": str(limit)} if limit is not None else None) as one:
        wait_for_line(one)


# -- at once -----------------------------------------------------------------------------------------------------------


def test_eight_processes_unpack_an_archive_once(tmp_path, cache) -> None:
    """Of eight that open it at the same moment one writes the files, and all have the whole model."""
    size = 30 << 20
    digest = make_archive(tmp_path / "m.palate", "large", size)
    start = tmp_path / "start"
    with ExitStack() as stack:
        running = [stack.enter_context(start_opener(tmp_path / "m.palate", start=start)) for _ in range(8)]
        start.touch()
        answers = [wait_for_line(one) for one in running]
    assert {name for name, _ in answers} == {digest} == cached(cache)
    assert size <= sum(int(written) for _, written in answers) < 2 * size
    assert not [path.name for path in (cache / "models").iterdir() if path.suffix == ".lock"]


def test_one_that_is_stopped_keeps_nobody_waiting_for_ever(tmp_path, cache, monkeypatch) -> None:
    """Whoever has waited long for another to unpack does it himself."""
    monkeypatch.setattr(shelf, "_TURN_SECONDS", 0.2)
    digest = make_archive(tmp_path / "m.palate", "x")
    (cache / "models").mkdir(parents=True, mode=0o700)
    cache.chmod(0o700)
    with shelf.turn(cache / "models" / f".{digest}.lock"):
        before = time.monotonic()
        assert find_unpacked(tmp_path / "m.palate").name == digest
        assert time.monotonic() - before >= 0.2


def test_twenty_threads_open_one_archive(tmp_path, cache) -> None:
    """All have the same directory, which is held by one descriptor."""
    digest = make_archive(tmp_path / "m.palate", "x", SIZE)
    before = len(os.listdir("/proc/self/fd"))
    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(lambda _: find_unpacked(tmp_path / "m.palate"), range(60)))
    assert {path.name for path in found} == {digest} == cached(cache)
    assert len(os.listdir("/proc/self/fd")) == before + 1


def test_what_is_unpacked_again_and_again_is_always_whole(archives, tmp_path, cache) -> None:
    """With room for no model, processes take each other's away all the time, and none finds half of one, or nothing."""
    start = tmp_path / "start"
    nothing = {"PALATE_CACHE_SIZE": "0"}
    with ExitStack() as stack:
        running = [
            stack.enter_context(start_opener(archive, start=start, again=5, environment=nothing))
            for archive in list(archives.values()) * 2
        ]
        start.touch()
        for one in running:
            wait_for_line(one)
            one.kill()
    cached(cache)


# -- the bound ---------------------------------------------------------------------------------------------------------


def test_what_was_used_longest_ago_goes_first(archives, cache) -> None:
    """With room for two models, the third one takes the place of the one whose last use is the oldest."""
    first, second, third = archives
    open_in_passing(archives[first])
    open_in_passing(archives[second])
    open_in_passing(archives[first])
    open_in_passing(archives[third], 2 * SIZE + SIZE // 2)
    assert cached(cache) == {first, third}
    assert {path.name for path in (cache / "models").glob("*.used")} == {f".{first}.used", f".{third}.used"}


def test_without_a_bound_in_the_way_everything_stays(archives, cache) -> None:
    """The control: with room for three, three stay."""
    for archive in archives.values():
        open_in_passing(archive, 4 * SIZE)
    assert cached(cache) == set(archives)


def test_a_model_in_use_stays_until_its_process_ends(archives, cache) -> None:
    """A model that a living process has opened is not taken away; killed, that process holds nothing."""
    first, second, third = archives
    with start_opener(archives[first]) as user:
        wait_for_line(user)
        open_in_passing(archives[second], 0)
        assert cached(cache) == {first, second}
    open_in_passing(archives[third], 0)
    assert cached(cache) == {third}


def test_a_model_that_this_process_uses_stays(archives, cache, monkeypatch) -> None:
    """Nor does one's own next model take away the one before."""
    monkeypatch.setenv("PALATE_CACHE_SIZE", "0")
    for archive in archives.values():
        find_unpacked(archive)
    assert cached(cache) == set(archives)


def test_a_fork_holds_what_was_open_before_it(archives, cache) -> None:
    """A process that was forked after a load keeps the model, also when its parent has ended."""
    first, second, third = archives
    script = """
import os, sys, time
from pathlib import Path
from palate._archive.cache import find_unpacked
find_unpacked(Path(sys.argv[1]))
child = os.fork()
if child:
    print(child, flush=True)
    os._exit(0)
time.sleep(60)
"""
    command = [sys.executable, "-c", script, str(archives[first])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        (child,) = map(int, wait_for_first_line(parent))
        try:
            assert parent.wait() == 0
            open_in_passing(archives[second], 0)
            assert cached(cache) == {first, second}
        finally:
            os.kill(child, signal.SIGKILL)
    open_in_passing(archives[third], 0)
    assert cached(cache) == {third}


def wait_for_first_line(process: subprocess.Popen[str]) -> list[str]:
    """Return the words of the line that a process writes first."""
    assert process.stdout is not None
    return process.stdout.readline().split()


def test_what_was_killed_while_it_was_taken_away_is_removed_later(archives, cache) -> None:
    """A stage that nobody is at any more goes with the next model that is unpacked."""
    first, second, _ = archives
    open_in_passing(archives[first])
    models = cache / "models"
    left = models / ".removed.palate-stage-1-0123456789abcdef"
    left.mkdir()
    (models / first).rename(left / "model")
    os.utime(left, (0, 0))
    open_in_passing(archives[second])
    assert cached(cache) == {second}
    assert not left.exists()


# -- taking away what is damaged ---------------------------------------------------------------------------------------


def test_what_another_process_uses_is_not_discarded(archives, cache) -> None:
    """Not even if it is damaged: that process reads it. When it has ended, it goes."""
    first, *_ = archives
    with start_opener(archives[first]) as user:
        wait_for_line(user)
        found = find_unpacked(archives[first])
        assert not shelf.discard(found)
        assert cached(cache) == {first}
    assert shelf.discard(found)
    assert cached(cache) == set()


def test_where_nothing_can_be_locked_models_are_used_and_stay(archives, cache, monkeypatch) -> None:
    """On a file system without locks the cache works, and takes nothing away that somebody might use."""

    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(shelf.fcntl, "flock", refuse)
    monkeypatch.setenv("PALATE_CACHE_SIZE", "0")
    for archive in archives.values():
        find_unpacked(archive)
    assert cached(cache) == set(archives)

"""Power cuts: a command is stopped after each of its system calls, and its disk forgets what was not forced there.

The disk is an ext4 file system in a file. Its ioctl for emergencies ends it as a power cut does; mounted again, it
replays its journal, and shows what would have been left.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import shutil
import signal
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Final

from crash_harness import Point, Scenario, list_points, strace_problem, traced
from processes import children_of

__all__ = ["Cut", "power_cut_problem", "run_power_cuts"]

_BYTES: Final = 16 * 2**20
_SHUTDOWN: Final = 0x8004587D  # EXT4_IOC_SHUTDOWN
_JOURNAL_WRITTEN: Final = 1  # its flags
_JOURNAL_LOST: Final = 2
# Nothing reaches the disk by chance: no commit by the clock, no flush because a file replaces another.
_OPTIONS: Final = "loop,commit=300,noauto_da_alloc"
_STOPPED: Final = "--- stopped by SIGSTOP ---"


@dataclass(frozen=True, slots=True)
class Cut:
    """When the power goes, and what of the disk's own memory is lost with it.

    Attributes:
        after: the call that is the last one; None for the end, after the command has reported success.
        journal: whether the journal was written just before. Then every name is there, of which the content may not
            be; otherwise all is gone that was not synced.
    """

    after: Point | None
    journal: bool

    def __str__(self) -> str:
        when = f"after {self.after.name} {self.after.count}" if self.after else "at the end"
        return f"{when}, {'names written' if self.journal else 'nothing written'}"


def run_power_cuts(
    scenario: Scenario,
    directory: Path,
    check: Callable[[bool, Path], object],
    *,
    only_at_the_end: bool = False,
) -> list[str]:
    """Run the scenario once for every cut, and return what *check* did not like, each in a line.

    Args:
        scenario: what to run; its places are directories on the disk that loses power.
        directory: where the disks are kept while it runs.
        check: raises if what it finds after the cut is wrong; given whether the command had reported success.
        only_at_the_end: whether to cut only then, which shows soonest that something was not forced to disk.
    """
    with contextlib.ExitStack() as stack:
        disks: SimpleQueue[_Disk] = SimpleQueue()
        first = stack.enter_context(_Disk.made(directory / "disk-0", scenario))
        points = first.list_points(scenario)
        assert len(points) > 10, "the command was not traced"
        disks.put(first)
        disks.put(stack.enter_context(_Disk.made(directory / "disk-1", scenario)))
        moments = [None] if only_at_the_end else [*(point for point in points if point.changes), None]

        def run_one(cut: Cut) -> str | None:
            disk = disks.get()
            try:
                return disk.run(scenario, cut, check)
            finally:
                disks.put(disk)

        cuts = [Cut(moment, journal) for moment in moments for journal in (False, True)]
        with ThreadPoolExecutor(disks.qsize()) as pool:
            return [found for found in pool.map(run_one, cuts) if found]


@functools.cache
def power_cut_problem() -> str | None:
    """Return why power cannot be cut here, or None if it can."""
    if os.geteuid():
        return "only root may mount file systems"
    if missing := [tool for tool in ("mkfs.ext4", "mount", "umount") if shutil.which(tool) is None]:
        return f"{missing[0]} is not installed"
    with tempfile.TemporaryDirectory() as directory:
        try:
            with _Disk.made(Path(directory, "disk"), Scenario(command=lambda _: ["true"])) as disk, disk.mounted():
                disk.cut(journal=False)
        except subprocess.CalledProcessError as exc:
            return f"mounting is not allowed here: {exc.stderr.partition(chr(10))[0]}"
        except OSError as exc:
            return f"the file system cannot be shut down here: {exc}"
    return strace_problem()


# -- the disk ----------------------------------------------------------------------------------------------------------


class _Disk:
    """A disk in a file, with a copy of what it held when the scenario was prepared."""

    def __init__(self, directory: Path) -> None:
        self._image, self._base = directory / "image", directory / "base"
        self._root = directory / "root"

    @classmethod
    @contextlib.contextmanager
    def made(cls, directory: Path, scenario: Scenario) -> Iterator[_Disk]:
        """Make one, and prepare the scenario on it."""
        disk = cls(directory)
        disk._root.mkdir(parents=True)
        with disk._image.open("wb") as image:
            image.truncate(_BYTES)
        _run("mkfs.ext4", "-q", "-F", "-b", "4096", disk._image)
        with disk.mounted() as place:
            place.mkdir()
            scenario.prepare(place)
        shutil.copyfile(disk._image, disk._base)
        yield disk
        shutil.rmtree(directory)

    @contextlib.contextmanager
    def mounted(self) -> Iterator[Path]:
        """Mount it, and return the scenario's place on it."""
        _run("mount", "-o", _OPTIONS, self._image, self._root)
        try:
            yield self._root / "place"
        finally:
            self._unmount()

    def cut(self, *, journal: bool) -> None:
        """Let it lose power; what is written from now on fails."""
        descriptor = os.open(self._root, os.O_RDONLY)
        try:
            flag = _JOURNAL_WRITTEN if journal else _JOURNAL_LOST
            fcntl.ioctl(descriptor, _SHUTDOWN, struct.pack("I", flag))
        finally:
            os.close(descriptor)

    def list_points(self, scenario: Scenario) -> list[Point]:
        """Return the calls of the scenario, run on this disk."""
        with self._fresh() as place:
            return list_points(scenario, place)

    def run(self, scenario: Scenario, cut: Cut, check: Callable[[bool, Path], object]) -> str | None:
        """Run the scenario until the power goes, then look at what is left; return what is wrong."""
        with self._fresh() as place, _running_until(cut.after, scenario, place):
            self.cut(journal=cut.journal)
        with self.mounted() as place:
            try:
                check(cut.after is None, place)
            except Exception as exc:
                return f"{cut}: {type(exc).__name__} {exc}"
        return None

    @contextlib.contextmanager
    def _fresh(self) -> Iterator[Path]:
        shutil.copyfile(self._base, self._image)
        with self.mounted() as place:
            yield place

    def _unmount(self) -> None:
        # What a killed process held open is let go a moment later.
        for _ in range(100):
            if subprocess.run(["umount", self._root], capture_output=True).returncode == 0:
                return
            time.sleep(0.02)
        _run("umount", "--lazy", self._root)
        raise AssertionError("somebody keeps files open on a disk without power")


@contextlib.contextmanager
def _running_until(point: Point | None, scenario: Scenario, place: Path) -> Iterator[None]:
    """Run the scenario's command up to a point, where it stands still; to its end if that is None."""
    if point is None:
        subprocess.run(traced(scenario, place), check=True, capture_output=True)
        yield
        return
    # A signal is delivered on the way back from the call: that one has still been made.
    command = traced(scenario, place, f"{point.name}:signal=STOP:when={point.count}", log=None)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert any(_STOPPED in line for line in process.stderr), "the command went past the point"
        try:
            yield
        finally:
            for child in children_of(process.pid):
                os.kill(child, signal.SIGKILL)


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)

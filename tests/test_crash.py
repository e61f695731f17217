"""Saving is all or nothing: the saver is killed, and its disk made to fail, at every system call that matters.

The saver (``data/crash_saver.py``) runs under strace. A first run lists its calls; then, for each call, one run is
killed there and others are told that the call failed. After each, a reader looks at what stands at the target.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

import palate
from palate._disk.manifest import check_manifest, read_manifest, write_manifest
from palate._disk.staging import stage
from palate.errors import ModelExists, SaveFailed

SAVER = Path(__file__).parent / "data" / "crash_saver.py"
PACKAGE = Path(palate.__file__).parent
CHANGES = {"write", "fsync", "rename", "renameat2", "mkdir", "unlinkat", "rmdir"}
TRACED = ",".join(sorted(CHANGES | {"openat", "flock", "getdents64", "newfstatat", "stat"}))
NO_EXCHANGE = ("renameat2:error=ENOSYS",)


_needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")


def _strace(injection: str) -> list[str]:
    return [
        "strace",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        f"trace={injection.partition(':')[0]}",
        "-e",
        f"inject={injection}",
    ]


@dataclass(frozen=True)
class Saver:
    """Runs the saver in a process of its own."""

    cache: Path
    options: tuple[str, ...] = ()

    def command(self, target: Path, seed: str, mode: str) -> list[str]:
        """Return the command line; compiled modules are kept aside so that every run makes the same calls."""
        python = [sys.executable, "-S", "-E", "-X", f"pycache_prefix={self.cache}"]
        return [*python, str(SAVER), str(target), seed, mode, str(PACKAGE), *self.options]

    def run(self, target: Path, seed: str, mode: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(target, seed, mode), capture_output=True, text=True)

    def trace(self, target: Path, mode: str, *injections: str, log: str = "/dev/null") -> int:
        """Run under strace, with calls made to fail, and return the exit code."""
        faults = [part for injection in injections for part in ("-e", f"inject={injection}")]
        strace = ["strace", "-qq", "-o", log, "-e", f"trace={TRACED}", *faults]
        return subprocess.run([*strace, *self.command(target, "new", mode)], capture_output=True).returncode


@pytest.fixture(scope="module")
def saver(tmp_path_factory: pytest.TempPathFactory) -> Saver:
    """Return a saver whose modules are compiled."""
    if subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"], capture_output=True).returncode:
        pytest.skip("strace may not trace processes here")
    directory = tmp_path_factory.mktemp("saver")
    saver = Saver(directory / "cache")
    assert saver.run(directory / "warm-up", "old", "fresh").returncode == 0
    return saver


def _state(target: Path) -> str | None:
    """Return the seed of the model at *target*, after checking that it is whole; None if nothing is there."""
    if not target.exists():
        return None
    manifest = read_manifest(target)
    assert manifest is not None, "a directory without a manifest is visible"
    check_manifest(target, manifest)
    return "new" if "new" in (target / "MLmodel").read_text() else "old"


def _stages(directory: Path) -> list[Path]:
    return [path for path in directory.iterdir() if ".palate-stage-" in path.name]


def _save_here(target: Path) -> None:
    with stage(target, overwrite=True) as staging:
        (staging.path / "MLmodel").write_text("flavors: {seed: later new}\n")
        write_manifest(staging.path)
        staging.publish()


@dataclass(frozen=True)
class Point:
    """The *count*-th call of *name*, and whether it changes the disk."""

    name: str
    count: int
    changes: bool

    def faults(self) -> list[str]:
        """Return what to inject there, one after the other."""
        kinds = ["signal=KILL", "error=EIO"] if self.changes else ["error=EIO"]
        grows = self.changes and not self.name.startswith(("unlink", "rmdir"))
        return [f"{self.name}:{kind}:when={self.count}" for kind in [*kinds, *(["error=ENOSPC"] if grows else [])]]


def _list_points(log: Path) -> list[Point]:
    points: list[Point] = []
    counts: dict[str, int] = {}
    started = False
    for line in log.read_text().splitlines():
        call = re.match(r"(\w+)\(", line)
        name = call[1] if call else ""
        counts[name] = counts.get(name, 0) + 1
        if "PALATE-MARK-BEGIN" in line:
            started = True
        elif "PALATE-MARK-END" in line:
            return points
        elif started and name in {*CHANGES, "openat", "flock"}:
            points.append(Point(name, counts[name], name in CHANGES or "O_CREAT" in line))
    raise AssertionError("the saver did not finish")


@pytest.fixture
def scene(saver: Saver, tmp_path: Path) -> Callable[[str], Path]:
    """Return what makes a directory with (or without) an old model at ``m`` in it."""
    base = tmp_path / "base"
    assert saver.run(base, "old", "fresh").returncode == 0

    def make(name: str, mode: str) -> Path:
        target = tmp_path / name / "m"
        target.parent.mkdir()
        if mode == "overwrite":
            shutil.copytree(base, target)
        return target

    return make


def _run_all(
    saver: Saver, scene: Callable[[str, str], Path], mode: str, check: Callable[[str, int, Path], None], *always: str
) -> list[str]:
    """Run one save per fault and check what it left; return what was found wrong."""
    log = scene("dry", mode).parent / "log"
    assert saver.trace(log.parent / "m", mode, *always, log=str(log)) == 0
    faults = [fault for point in _list_points(log) for fault in point.faults()]
    assert len(faults) > 30, "the saver was not traced"

    def run_one(numbered: tuple[int, str]) -> str | None:
        number, fault = numbered
        target = scene(f"run-{number}", mode)
        code = saver.trace(target, mode, *_but(always, fault), fault)
        try:
            check(fault, code, target)
        except Exception as exc:
            return f"{fault} (exit {code}): {type(exc).__name__} {exc}"
        shutil.rmtree(target.parent)
        return None

    with ThreadPoolExecutor(4) as pool:
        return [found for found in pool.map(run_one, enumerate(faults)) if found]


def _but(always: tuple[str, ...], fault: str) -> list[str]:
    """strace takes one injection per call name; the fault at hand goes first."""
    return [injection for injection in always if injection.partition(":")[0] != fault.partition(":")[0]]


def _check_outcome(fault: str, code: int, target: Path, before: str | None) -> None:
    found = _state(target)
    if "signal=KILL" in fault:
        assert code != 0
        assert found in (before, "new")
    elif code == 0:
        assert found == "new", "reported success"
    else:
        assert code == 3, "an error other than Palate's"
        assert found == before, "reported failure, but something changed"
    if "signal=KILL" not in fault:
        assert not _stages(target.parent), "a stage was left behind"
    _save_here(target)
    assert _state(target) == "new"


@_needs_strace
@pytest.mark.slow
@pytest.mark.parametrize(("mode", "before"), [("fresh", None), ("overwrite", "old")])
def test_a_save_is_whole_or_absent_whatever_fails(saver, scene, mode, before) -> None:
    """Killed or refused by the disk at any call: the old state or the new, whole; errors are reported and clean."""
    bad = _run_all(saver, scene, mode, lambda fault, code, target: _check_outcome(fault, code, target, before))
    assert bad == []


@_needs_strace
@pytest.mark.slow
def test_without_exchange_the_old_model_survives_every_failure(saver, scene) -> None:
    """Where names cannot be exchanged, a kill may hide the old model, but never loses it."""

    def check(fault: str, code: int, target: Path) -> None:
        if target.exists() or "signal=KILL" not in fault:
            _check_outcome(fault, code, target, "old")
            return
        (left,) = _stages(target.parent)
        assert _state(left / "old") == "old"
        os.utime(left, (0, 0))  # as if the saver had been killed long ago
        with pytest.raises(ModelExists):
            _save_large(target)
        assert _state(target) == "old"
        assert not _stages(target.parent)

    assert _run_all(saver, scene, "overwrite", check, *NO_EXCHANGE) == []


@_needs_strace
def test_the_harness_finds_a_saver_that_writes_in_place(saver, scene) -> None:
    """The same harness catches a saver that writes in place, so it can see what it is looking for."""
    in_place = Saver(saver.cache, ("in-place",))
    log = scene("dry", "fresh").parent / "log"
    assert in_place.trace(log.parent / "m", "fresh", log=str(log)) == 0
    bad = 0
    for number, point in enumerate(point for point in _list_points(log) if point.changes):
        target = scene(f"run-{number}", "fresh")
        in_place.trace(target, "fresh", f"{point.name}:signal=KILL:when={point.count}")
        try:
            _state(target)
        except Exception:
            bad += 1
    assert bad >= 5


@_needs_strace
@pytest.mark.parametrize("mode", ["fresh", "overwrite"])
def test_everything_is_on_disk_before_it_is_visible(saver, scene, mode) -> None:
    """Each file is synced after its last write, each directory after its files, then comes the rename, then the parent.

    This order is what makes a power cut harmless: the rename never reaches the disk before what it shows.
    """
    target = scene("dry", mode)
    log = target.parent / "log"
    strace = ["strace", "-qq", "-y", "-o", str(log), "-e", "trace=write,fsync,rename,renameat2"]
    subprocess.run([*strace, *saver.command(target, "new", mode)], check=True, capture_output=True)
    lines = [line for line in log.read_text().splitlines() if " = -1 " not in line]
    calls = [(line.partition("(")[0], line) for line in lines]
    synced = [re.search(r"<(.*?)>", line)[1] for name, line in calls if name == "fsync"]
    (rename,) = [index for index, (name, _) in enumerate(calls) if name.startswith("rename")]
    synced_before = [re.search(r"<(.*?)>", line)[1] for name, line in calls[:rename] if name == "fsync"]
    inside = [path.partition("/model")[2] for path in synced_before]
    assert inside[:3] == ["/MLmodel", "/data/model.bin", "/MANIFEST.json"]
    assert inside[3:] == ["/data", ""]
    assert synced[len(synced_before) :] == [str(target.parent)]
    for file in ("MLmodel", "model.bin", "MANIFEST.json"):
        writes = [index for index, (name, line) in enumerate(calls) if name == "write" and f"/{file}>" in line]
        (sync,) = [index for index, (name, line) in enumerate(calls) if name == "fsync" and f"/{file}>" in line]
        assert writes
        assert max(writes) < sync < rename


# -- other ways for a disk to refuse -----------------------------------------------------------------------------------


@contextlib.contextmanager
def _mounted(*arguments: str | Path) -> Iterator[None]:
    command = ["mount", *map(str, arguments)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(arguments[-1])], check=True)


def _save_large(target: Path) -> None:
    with stage(target) as staging:
        (staging.path / "MLmodel").write_text("flavors: {}\n")
        (staging.path / "weights").write_bytes(bytes(300_000))
        write_manifest(staging.path)
        staging.publish()


def test_a_full_disk_leaves_whole_models_and_no_debris(tmp_path) -> None:
    """On a full file system the next save fails as SaveFailed, the models before it are whole, and nothing is left."""
    with _mounted("-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path):
        for saved in range(3):
            _save_large(tmp_path / f"m{saved}")
        with pytest.raises(SaveFailed, match="No space left"):
            _save_large(tmp_path / "m3")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["m0", "m1", "m2"]
        for number in range(3):
            assert _state(tmp_path / f"m{number}") == "old"


@pytest.mark.parametrize("option", ["code_paths", "artifacts", "one artifact"])
def test_a_copy_that_the_disk_has_no_room_for_is_reported(tmp_path, option) -> None:
    """A copied file or folder fails like a written one: SaveFailed with the reason, and nothing is left."""
    folder, place = tmp_path / "folder", tmp_path / "place"
    for directory in (folder, place):
        directory.mkdir()
    for name in ("a.py", "b.py"):
        (folder / name).write_bytes(b"#" * 2_000_000)
    artifact = folder if option == "artifacts" else folder / "a.py"
    given = {"code_paths": [folder]} if option == "code_paths" else {"artifacts": {"x": artifact}}
    with _mounted("-t", "tmpfs", "-o", "size=1m", "tmpfs", place):
        with pytest.raises(SaveFailed, match="No space left"):
            palate.save_model(len, place / "m", **given)
        assert list(place.iterdir()) == []


def test_a_read_only_place_is_reported(tmp_path) -> None:
    """Saving where nothing may be written raises SaveFailed naming the path."""
    place = tmp_path / "place"
    place.mkdir()
    if os.geteuid():
        place.chmod(0o555)
        context: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
    else:
        context = _mounted("--bind", "-o", "ro", place, place)
    with context, pytest.raises(SaveFailed, match=re.escape(str(place / "m"))):
        _save_large(place / "m")


def test_a_file_size_limit_is_reported_and_cleaned_up(tmp_path) -> None:
    """RLIMIT_FSIZE makes the save fail as SaveFailed, with nothing left."""
    saver = Saver(tmp_path / "cache")
    place = tmp_path / "place"
    place.mkdir()
    assert saver.run(tmp_path / "warm-up", "old", "fresh").returncode == 0
    limited = ["sh", "-c", 'ulimit -f 8 && exec "$@"', "sh", *saver.command(place / "m", "old", "fresh")]
    done = subprocess.run(limited, capture_output=True, text=True)
    assert done.returncode == 3
    assert "SaveFailed" in done.stderr
    assert "File too large" in done.stderr
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("kind", ["tmpfs", "overlay"])
def test_saving_works_on_other_file_systems(tmp_path, kind) -> None:
    """Fresh and replacing saves work on tmpfs and on overlayfs, the file system of containers."""
    place = tmp_path / "place"
    parts = [tmp_path / name for name in ("lower", "upper", "work")]
    for directory in (place, *parts):
        directory.mkdir()
    layers = f"lowerdir={parts[0]},upperdir={parts[1]},workdir={parts[2]}"
    arguments = ("-t", "tmpfs", "tmpfs") if kind == "tmpfs" else ("-t", "overlay", "-o", layers, "overlay")
    with _mounted(*arguments, place):
        _save_large(place / "m")
        _save_here(place / "m")
        assert _state(place / "m") == "new"
        assert _stages(place) == []


# -- several savers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "wrapper"),
    [
        pytest.param("fresh", [], id="fresh"),
        pytest.param("overwrite", [], id="exchanged"),
        pytest.param("overwrite", _strace(*NO_EXCHANGE), id="in two steps", marks=_needs_strace),
    ],
)
def test_savers_of_one_path_do_not_mix(tmp_path, mode, wrapper) -> None:
    """Of eight processes saving to one free path one wins and seven get ModelExists; replacing, the last one stands."""
    saver = Saver(tmp_path / "cache")
    place = tmp_path / "place"
    target = place / "m"
    assert saver.run(target if mode == "overwrite" else tmp_path / "warm-up", "old", "fresh").returncode == 0
    pipe = {"stderr": subprocess.PIPE, "text": True}
    for _ in range(3):
        commands = [[*wrapper, *saver.command(target, f"new{n}", mode)] for n in range(8)]
        running = [subprocess.Popen(command, **pipe) for command in commands]
        errors = [process.communicate()[1] for process in running]
        codes = sorted(process.returncode for process in running)
        assert codes == ([0] * 8 if mode == "overwrite" else [0] + [3] * 7), errors
        assert sum("ModelExists" in error for error in errors) == codes.count(3)
        assert _state(target) == "new"
        assert list(place.iterdir()) == [target]
        if mode == "fresh":
            shutil.rmtree(target)


@_needs_strace
def test_a_model_that_is_being_removed_is_not_taken_for_other_files(tmp_path) -> None:
    """A saver that lists the target just as another one takes the replaced model apart still sees a model."""
    saver = Saver(tmp_path / "cache")
    target = tmp_path / "place" / "m"

    def save_many_files() -> None:
        with stage(target, overwrite=True) as staging:
            for name in ("MLmodel", *map(str, range(500))):
                (staging.path / name).touch()
            staging.publish()

    save_many_files()
    slow = [*_strace("getdents64:delay_enter=10000"), *saver.command(target, "new", "overwrite")]
    for _ in range(10):
        with subprocess.Popen(slow, stderr=subprocess.PIPE, text=True) as process:
            while process.poll() is None:
                save_many_files()
            assert process.returncode == 0, process.stderr.read()

"""Saving is all or nothing: the saver is killed, and its disk made to fail, at every system call that matters.

The saver (``data/crash_saver.py``) runs under strace (``crash_harness``), once for each way in which a call can fail.
After each, a reader looks at what stands at the target. Power cuts: test_power_cut.py.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from crash_harness import Fault, Scenario, python_command, run_faults, strace, strace_problem
from saved_state import saved_state

import palate
from palate._disk.manifest import write_manifest
from palate._disk.staging import stage
from palate.errors import ModelExists, SaveFailed

SAVER = Path(__file__).parent / "data" / "crash_saver.py"
PACKAGE = Path(palate.__file__).parent
NO_EXCHANGE = ("renameat2:error=ENOSYS",)


_needs_strace = pytest.mark.skipif(strace_problem() is not None, reason=str(strace_problem()))


@dataclass(frozen=True)
class Saver:
    """Runs the saver in a process of its own."""

    cache: Path
    options: tuple[str, ...] = ()

    def command(self, target: Path, seed: str, mode: str) -> list[str]:
        """Return the command line."""
        return python_command(self.cache, SAVER, target, seed, mode, PACKAGE, *self.options)

    def run(self, target: Path, seed: str, mode: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(target, seed, mode), capture_output=True, text=True)


@pytest.fixture(scope="module")
def saver(tmp_path_factory: pytest.TempPathFactory) -> Saver:
    """Return a saver whose modules are compiled."""
    directory = tmp_path_factory.mktemp("saver")
    saver = Saver(directory / "cache")
    assert saver.run(directory / "warm-up", "old", "fresh").returncode == 0
    return saver


def _stages(directory: Path) -> list[Path]:
    return [path for path in directory.iterdir() if ".palate-stage-" in path.name]


def _save_here(target: Path) -> None:
    with stage(target, overwrite=True) as staging:
        (staging.path / "MLmodel").write_text("flavors: {seed: later new}\n")
        write_manifest(staging.path)
        staging.publish()


@pytest.fixture
def scenario(saver: Saver, tmp_path: Path) -> Callable[..., Scenario]:
    """Return what makes the scenario of a save to ``m``, where an old model stands if that is to be replaced."""
    base = tmp_path / "base"
    assert saver.run(base, "old", "fresh").returncode == 0

    def make(mode: str, *always: str, saver: Saver = saver) -> Scenario:
        return Scenario(
            command=lambda place: saver.command(place / "m", "new", mode),
            prepare=lambda place: shutil.copytree(base, place / "m") if mode == "overwrite" else None,
            always=always,
        )

    return make


def _check_outcome(fault: Fault, code: int, target: Path, before: str | None) -> None:
    found = saved_state(target)
    if fault.kills:
        assert code != 0
        assert found in (before, "new")
    elif code == 0:
        assert found == "new", "reported success"
    else:
        assert code == 3, "an error other than Palate's"
        assert found == before, "reported failure, but something changed"
    if not fault.kills:
        assert not _stages(target.parent), "a stage was left behind"
    _save_here(target)
    assert saved_state(target) == "new"


@_needs_strace
@pytest.mark.slow
@pytest.mark.parametrize(("mode", "before"), [("fresh", None), ("overwrite", "old")])
def test_a_save_is_whole_or_absent_whatever_fails(scenario, tmp_path, mode, before) -> None:
    """Killed or refused by the disk at any call: the old state or the new, whole; errors are reported and clean."""
    tried: list[Fault] = []

    def check(fault: Fault, code: int, place: Path) -> None:
        tried.append(fault)
        _check_outcome(fault, code, place / "m", before)

    assert run_faults(scenario(mode), tmp_path, check) == []
    assert len(tried) > 30


@_needs_strace
@pytest.mark.slow
def test_without_exchange_the_old_model_survives_every_failure(scenario, tmp_path) -> None:
    """Where names cannot be exchanged, a kill may hide the old model, but never loses it."""
    tried: list[Fault] = []

    def check(fault: Fault, code: int, place: Path) -> None:
        tried.append(fault)
        target = place / "m"
        if target.exists() or not fault.kills:
            _check_outcome(fault, code, target, "old")
            return
        (left,) = _stages(place)
        assert saved_state(left / "old") == "old"
        os.utime(left, (0, 0))  # as if the saver had been killed long ago
        with pytest.raises(ModelExists):
            _save_large(target)
        assert saved_state(target) == "old"
        assert not _stages(place)

    assert run_faults(scenario("overwrite", *NO_EXCHANGE), tmp_path, check) == []
    assert len(tried) > 30


@_needs_strace
def test_the_harness_finds_a_saver_that_writes_in_place(saver, scenario, tmp_path) -> None:
    """The same harness catches a saver that writes in place, so it can see what it is looking for."""

    def check(fault: Fault, code: int, place: Path) -> None:
        saved_state(place / "m")

    in_place = scenario("fresh", saver=Saver(saver.cache, ("in-place",)))
    bad = run_faults(in_place, tmp_path, check, chosen=lambda fault: fault.kills)
    assert len(bad) >= 5


@_needs_strace
@pytest.mark.parametrize("mode", ["fresh", "overwrite"])
def test_everything_is_on_disk_before_it_is_visible(scenario, tmp_path, mode) -> None:
    """Each file is synced after its last write, each directory after its files, then comes the rename, then the parent.

    This order is what makes a power cut harmless: the rename never reaches the disk before what it shows.
    """
    place, log = tmp_path / "place", tmp_path / "log"
    place.mkdir()
    save = scenario(mode)
    save.prepare(place)
    watch = [*strace(["write", "fsync", "rename", "renameat2"], log=log), "-y"]
    subprocess.run([*watch, *save.command(place)], check=True, capture_output=True)
    lines = [line for line in log.read_text().splitlines() if " = -1 " not in line]
    calls = [(line.partition("(")[0], line) for line in lines]
    synced = [re.search(r"<(.*?)>", line)[1] for name, line in calls if name == "fsync"]
    (rename,) = [index for index, (name, _) in enumerate(calls) if name.startswith("rename")]
    synced_before = [re.search(r"<(.*?)>", line)[1] for name, line in calls[:rename] if name == "fsync"]
    inside = [path.partition("/model")[2] for path in synced_before]
    assert inside[:3] == ["/MLmodel", "/data/model.bin", "/MANIFEST.json"]
    assert inside[3:] == ["/data", ""]
    assert synced[len(synced_before) :] == [str(place)]
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
            assert saved_state(tmp_path / f"m{number}") == "old"


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
        assert saved_state(place / "m") == "new"
        assert _stages(place) == []


# -- several savers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "wrapper"),
    [
        pytest.param("fresh", [], id="fresh"),
        pytest.param("overwrite", [], id="exchanged"),
        pytest.param("overwrite", strace(["renameat2"], *NO_EXCHANGE), id="in two steps", marks=_needs_strace),
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
        assert saved_state(target) == "new"
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
    slow = [*strace(["getdents64"], "getdents64:delay_enter=10000"), *saver.command(target, "new", "overwrite")]
    for _ in range(10):
        with subprocess.Popen(slow, stderr=subprocess.PIPE, text=True) as process:
            while process.poll() is None:
                save_many_files()
            assert process.returncode == 0, process.stderr.read()

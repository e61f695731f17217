"""What is done to a store is done or not, whatever fails: killed or refused by the disk at every system call.

What is done (``data/crash_store.py``) runs under strace (``crash_harness``), once for each way in which a call fails;
after each, a reader looks at what is there. Power cuts, on a disk of their own (``power_cut``), come last.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from crash_harness import Fault, Scenario, python_command, run_faults, strace_problem
from power_cut import power_cut_problem, run_power_cuts

import palate
from palate._disk.manifest import check_manifest, read_manifest, write_manifest
from palate._disk.stages import STAGE_PATTERN
from palate.errors import PalateError, VersionInUse, VersionNotFound
from palate.locations import locate
from palate.packing import pack_model
from palate.store import Store, open_store
from palate.store._names import parse_reference

SCRIPT = Path(__file__).parent / "data" / "crash_store.py"
PACKAGE = Path(palate.__file__).parent
DEEDS = ["add", "save", "alias", "annotate", "delete", "pack", "unpack"]
STARTS = {"add": ["new"], "save": ["old"], "alias": ["old", "new"], "delete": ["old"], "pack": ["old"]}
CASES = [(deed, start) for deed in DEEDS for start in STARTS.get(deed, ["new"])]

_needs_strace = pytest.mark.skipif(strace_problem() is not None, reason=str(strace_problem()))


@pytest.fixture(autouse=True)
def _own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PALATE_STORE", str(tmp_path / "nowhere"))


class Deed:
    """Something that is done to a store, from a start where what it makes is there already (old) or not (new)."""

    def __init__(self, directory: Path, deed: str, start: str, *options: str) -> None:
        self._directory, self._deed, self._options = directory, deed, options
        self._base = directory / "base"
        _make_base(self._base, deed, start)
        self.before = see(self._base)
        done = shutil.copytree(self._base, directory / "done", symlinks=True)
        for _ in range(2):  # the first one compiles the modules
            shutil.rmtree(done)
            shutil.copytree(self._base, done)
            subprocess.run(self.command(done), check=True)
        self.after = see(done)
        assert self.after != self.before

    def command(self, place: Path) -> list[str]:
        """Return the command line that does it in a folder."""
        return python_command(self._directory / "pycache", SCRIPT, PACKAGE, self._deed, place, *self._options)

    def scenario(self, *always: str) -> Scenario:
        """Return the scenario of it."""

        def prepare(place: Path) -> None:
            shutil.copytree(self._base, place, dirs_exist_ok=True)

        return Scenario(command=self.command, prepare=prepare, always=always)


def _make_base(base: Path, deed: str, start: str) -> None:
    for name, content in (("m", b"model"), ("other", b"other")):
        (base / name / "data").mkdir(parents=True)
        (base / name / "data" / "model.bin").write_bytes(content * 5000)
        (base / name / "MLmodel").write_text("flavors: {}\n")
        write_manifest(base / name)
    pack_model(base / "m", base / "m.palate")
    if deed == "pack" and start == "old":
        pack_model(base / "other", base / "packed.palate")
    store = open_store(base / "store", by="tester")
    if deed in ("add", "save") and start == "new":
        return
    for _ in range(2):
        store.add("iris", base / "other")
    if deed == "alias" and start == "old":
        store.set_alias("iris", "champion", 1)
    if deed == "annotate" and start == "old":
        store.annotate("iris", description="old", tags={"b": "old"})
    if deed == "delete" and start == "old":  # moved away from it, so that its history names it
        store.set_alias("iris", "champion", 1)
        store.set_alias("iris", "champion", 2, allow_breaking=True)


def see(place: Path) -> dict[str, Any]:
    """Return what a reader sees in a folder, after checking that every model there is whole."""
    seen = {name: _identity(place / name) for name in ("unpacked",)}
    packed = place / "packed.palate"
    seen["packed"] = _identity(locate(packed, recheck=True).path) if packed.exists() else None
    store = open_store(place / "store")
    for model in store.models():
        versions = store.versions(model.name, deleted=True)
        found = [(v.number, v.digest, v.deleted is None and _version_identity(store, v.uri)) for v in versions]
        moves = {alias: [move.version for move in store.history(model.name, alias)] for alias in model.aliases}
        seen[model.name] = (found, model.aliases, moves, model.description, model.tags)
    return seen


def _version_identity(store: Store, uri: str) -> str | None:
    return _identity(store.find(parse_reference(uri), uri=uri).path)


def _identity(model: Path) -> str | None:
    if not model.exists():
        return None
    manifest = read_manifest(model)
    assert manifest is not None, "a directory without a manifest is visible"
    check_manifest(model, manifest)
    return manifest.digest


def _stages(place: Path) -> list[Path]:
    return list(place.rglob(STAGE_PATTERN))


def _go_on(place: Path) -> None:
    """Do all kinds of things to what is left."""
    store = open_store(place / "store")
    number = store.add("iris", place / "m").number
    store.set_alias("iris", "champion", number, allow_breaking=True)
    store.annotate("iris", description="later")
    with suppress(VersionNotFound, VersionInUse):  # it may be deleted already, or the one that was added just now
        store.delete("iris/1")
    for stage in _stages(place):
        os.utime(stage, (0, 0))  # as if its maker had been killed long ago
    store.collect()
    assert not _stages(place / "store"), "a stage was not swept"
    for version in store.versions("iris", deleted=True):
        files = place / "store" / "iris" / str(version.number) / "model"
        assert files.exists() == (version.deleted is None), "the files of a deleted version were not collected"


def _shows_more(fault: Fault, deed: str) -> bool:
    """Leave out what other faults show as well: of what refuses one is enough, but where a store's own files change."""
    if fault.point.name == "openat":
        return fault.kind != "error=ENOSPC" and (fault.point.changes or deed in ("alias", "delete"))
    return fault.kind != "error=EIO" or deed in ("add", "alias", "delete")


@_needs_strace
@pytest.mark.slow
@pytest.mark.parametrize(("deed", "start"), CASES)
def test_whatever_fails_it_is_done_or_not(tmp_path, deed, start) -> None:
    """Old or new, whole; errors are Palate's, change nothing and leave nothing; and all kinds of things work later."""
    done = Deed(tmp_path, deed, start)
    tried: list[Fault] = []

    def check(fault: Fault, code: int, place: Path) -> None:
        tried.append(fault)
        seen = see(place)
        if fault.kills:
            assert code not in (0, 3)
            assert seen in (done.before, done.after)
        else:
            assert (code, seen) in ((0, done.after), (3, done.before)), (code, seen)
            assert not _stages(place), "a stage was left behind"
        if deed not in ("pack", "unpack"):
            _go_on(place)

    chosen = partial(_shows_more, deed=deed)
    assert run_faults(done.scenario(), tmp_path / "runs", check, chosen=chosen) == []
    assert len(tried) > 10


@_needs_strace
@pytest.mark.parametrize("deed", DEEDS)
def test_the_harness_finds_who_works_in_place(tmp_path, deed) -> None:
    """The same harness catches each of these done in place, so it can see what it is looking for."""
    done = Deed(tmp_path, deed, "new" if deed == "pack" else "old", "in-place")

    def check(fault: Fault, code: int, place: Path) -> None:
        assert see(place) in (done.before, done.after)

    chosen = partial(_shows_more, deed="alias") if deed == "pack" else lambda fault: fault.kills
    assert run_faults(done.scenario(), tmp_path / "runs", check, chosen=chosen)


# -- power cuts --------------------------------------------------------------------------------------------------------

NOTHING_SYNCED = "fsync:retval=0"  # as if the program had not called it


@pytest.fixture
def _power() -> None:
    if reason := power_cut_problem():
        pytest.skip(reason)


@pytest.mark.slow
@pytest.mark.usefixtures("_power")
@pytest.mark.parametrize(
    ("deed", "start", "only_at_the_end"),
    [("add", "old", False), ("alias", "old", False), ("delete", "old", False), ("add", "new", True)],
)
def test_a_power_cut_leaves_it_done_or_not(tmp_path, deed, start, only_at_the_end) -> None:
    """After every call, with the journal written or not: old or new, whole; new if success was reported."""
    done = Deed(tmp_path / "deed", deed, start)
    outcomes: set[tuple[bool, bool]] = set()

    def check(reported: bool, place: Path) -> None:
        seen = see(place)
        assert seen == done.after if reported else seen in (done.before, done.after)
        outcomes.add((reported, seen == done.after))

    assert run_power_cuts(done.scenario(), tmp_path / "disks", check, only_at_the_end=only_at_the_end) == []
    assert outcomes == ({(True, True)} if only_at_the_end else {(False, False), (False, True), (True, True)})


@pytest.mark.usefixtures("_power")
@pytest.mark.parametrize(("deed", "start"), [("add", "new"), ("alias", "old"), ("delete", "old")])
def test_the_harness_finds_who_does_not_sync(tmp_path, deed, start) -> None:
    """If nothing is forced to disk, the same cuts show that what was reported is lost, or has names and no content."""
    done = Deed(tmp_path / "deed", deed, start)
    found: set[str] = set()

    def check(reported: bool, place: Path) -> None:
        try:
            found.add("whole" if see(place) == done.after else "lost")
        except PalateError:
            found.add("broken")
        assert found == {"whole"}

    assert run_power_cuts(done.scenario(NOTHING_SYNCED), tmp_path / "disks", check, only_at_the_end=True)
    assert found & {"lost", "broken"}

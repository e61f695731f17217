"""Filling the cache is all or nothing: whatever fails on the way, no half model is seen, and the next load has it."""

from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path

import pytest
from crash_harness import Fault, Scenario, python_command, run_faults, strace_problem
from unpacking import cached, make_archive, settle

import palate
from palate._archive.cache_notes import tidy_notes
from palate._disk.stages import sweep_stages

FILLER = Path(__file__).parent / "data" / "crash_cache.py"
PACKAGE = Path(palate.__file__).parent
REMOVALS = {"rmdir", "unlink", "unlinkat"}

pytestmark = pytest.mark.skipif(strace_problem() is not None, reason=str(strace_problem()))


class Filler:
    """Fills a cache from one archive, in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.archive, self._modules = folder / "m.palate", folder / "modules"
        self.digest = make_archive(self.archive, "x", 100_000)
        settle()  # so that a note is written, too
        assert self.run(folder / "warm-up") == 0

    def command(self, cache: Path, *options: str) -> list[str]:
        """Return the command line."""
        yaml = sysconfig.get_path("platlib")
        return python_command(self._modules, FILLER, self.archive, cache, PACKAGE, yaml, *options)

    def run(self, cache: Path) -> int:
        return subprocess.run(self.command(cache), capture_output=True).returncode


@pytest.fixture(scope="module")
def filler(tmp_path_factory: pytest.TempPathFactory) -> Filler:
    """Return what fills caches, with its modules compiled."""
    return Filler(tmp_path_factory.mktemp("filler"))


def names(cache: Path) -> list[str]:
    """Return everything in the folder of models that is not one of them."""
    models = cache / "models"
    return sorted(path.name for path in models.iterdir() if path.name.startswith(".")) if models.exists() else []


def age(folder: Path) -> None:
    """Let everything look as if it was long ago."""
    for path in folder.iterdir():
        subprocess.run(["touch", "-h", "-d", "2020-01-01", path], check=True)


@pytest.mark.slow
def test_the_cache_is_filled_or_not_whatever_fails(filler, tmp_path) -> None:
    """Killed or refused by the disk at any call: nothing or the whole model; errors are Palate's, and leave nothing."""
    tried: list[Fault] = []

    def check(fault: Fault, code: int, place: Path) -> None:
        tried.append(fault)
        cache = place / "cache"
        found = cached(cache)
        assert found <= {filler.digest}
        if fault.kills:
            assert code != 0
        else:
            assert code in (0, 3), "an error other than Palate's"
            assert found == ({filler.digest} if code == 0 else set())
            left = [name for name in names(cache) if not name.endswith((".seen", ".used"))]
            assert not left or fault.point.name in REMOVALS, left
        assert filler.run(cache) == 0
        assert cached(cache) == {filler.digest}
        age(cache / "models")
        sweep_stages(cache / "models")
        tidy_notes(cache / "models")
        assert {name.rpartition(".")[2] for name in names(cache)} <= {"seen", "used"}

    scenario = Scenario(command=lambda place: filler.command(place / "cache"))
    assert run_faults(scenario, tmp_path, check) == []
    assert len(tried) > 30


def test_the_harness_finds_a_cache_that_is_filled_in_place(filler, tmp_path) -> None:
    """The same harness catches one that unpacks under the final name, so it can see what it is looking for."""
    in_place = Scenario(command=lambda place: filler.command(place / "cache", "in-place"))
    bad = run_faults(in_place, tmp_path, lambda fault, code, place: cached(place / "cache"))
    assert len(bad) >= 3

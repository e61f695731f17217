"""Saving survives power cuts: whenever the power goes, the disk then holds the old state or the new one, whole.

The saver is that of test_crash.py, on a disk of its own (``power_cut``).
"""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from crash_harness import Scenario, python_command
from power_cut import power_cut_problem, run_power_cuts
from saved_state import saved_state

import palate
from palate.errors import PalateError

SAVER = Path(__file__).parent / "data" / "crash_saver.py"
PACKAGE = Path(palate.__file__).parent
NOTHING_SYNCED = "fsync:retval=0"  # as if the program had not called it
FILES_NOT_SYNCED = "fsync:retval=0:when=1..3"
PARENT_NOT_SYNCED = "fsync:retval=0:when=6"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def power() -> None:
    """Skip where power cannot be cut."""
    if reason := power_cut_problem():
        pytest.skip(reason)


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Scenario]:
    """Return what makes the scenario of a save to ``m``, where an old model stands if that is to be replaced."""
    directory = tmp_path_factory.mktemp("saver")
    base = directory / "base"

    def save(target: Path, seed: str, mode: str) -> list[str]:
        return python_command(directory / "cache", SAVER, target, seed, mode, PACKAGE)

    subprocess.run(save(base, "old", "fresh"), check=True)  # which compiles the modules besides

    def make(mode: str, *always: str) -> Scenario:
        return Scenario(
            command=lambda place: save(place / "m", "new", mode),
            prepare=lambda place: shutil.copytree(base, place / "m") if mode == "overwrite" else None,
            always=always,
        )

    return make


@pytest.mark.parametrize(("mode", "before"), [("fresh", None), ("overwrite", "old")])
def test_a_save_survives_a_power_cut_at_any_moment(scenario, tmp_path, mode, before) -> None:
    """After every call, with the journal written or not, old or new stands there, whole; new after success."""
    found: Counter[tuple[bool, str | None]] = Counter()

    def check(reported: bool, place: Path) -> None:
        seen = saved_state(place / "m")
        assert seen == "new" if reported else seen in (before, "new")
        found[reported, seen] += 1

    assert run_power_cuts(scenario(mode), tmp_path, check) == []
    assert found[False, before] > 10
    assert found[False, "new"] > 1
    assert found[True, "new"] == 2


@pytest.mark.parametrize(
    ("left_out", "wrong"),
    [
        pytest.param(NOTHING_SYNCED, {"lost", "broken"}, id="nothing"),
        pytest.param(FILES_NOT_SYNCED, {"broken"}, id="the files"),
        pytest.param(PARENT_NOT_SYNCED, {"lost"}, id="the parent"),
    ],
)
def test_the_harness_finds_a_saver_that_does_not_sync(scenario, tmp_path, left_out, wrong) -> None:
    """Of a saver that leaves out a sync, the same cuts show a model that is lost, or has names and no content."""
    found: set[str] = set()

    def check(reported: bool, place: Path) -> None:
        try:
            outcome = "lost" if saved_state(place / "m") is None else "whole"
        except (AssertionError, PalateError):
            outcome = "broken"
        found.add(outcome)
        assert outcome == "whole"

    bad = run_power_cuts(scenario("fresh", left_out), tmp_path, check, only_at_the_end=True)
    assert bad
    assert found >= wrong

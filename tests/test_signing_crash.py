"""A signature is there whole or not at all, and the model beside it stays one, whatever fails while it is written."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from crash_harness import Fault, Scenario, python_command, run_faults, strace_problem

import palate
from palate._disk.manifest import check_manifest, read_manifest, write_manifest

SIGNER = Path(__file__).parent / "data" / "crash_signer.py"
PACKAGE = Path(palate.__file__).parent
WHOLE = {b"old" * 10_000: "old", b"new" * 10_000: "new"}

pytestmark = pytest.mark.skipif(strace_problem() is not None, reason=str(strace_problem()))


@pytest.fixture
def scenario(tmp_path: Path) -> Callable[..., Scenario]:
    """Return what makes the scenario of signing the model ``m``, which is signed already if that is to be replaced."""
    cache = tmp_path / "cache"

    def command(model: Path, mode: str, *options: str) -> list[str]:
        return python_command(cache, SIGNER, model, "new", mode, PACKAGE, *options)

    def prepare(place: Path, mode: str) -> None:
        model = place / "m"
        model.mkdir()
        (model / "MLmodel").write_text("flavors: {}\n")
        write_manifest(model)
        if mode == "overwrite":
            (model / "model.sig").write_bytes(b"old" * 10_000)

    def make(mode: str, *options: str, always: tuple[str, ...] = ()) -> Scenario:
        warm_up = tmp_path / f"warm-up-{mode}"
        warm_up.mkdir()
        prepare(warm_up, mode)
        subprocess.run(command(warm_up / "m", mode, *options), check=True)
        return Scenario(
            command=lambda place: command(place / "m", mode, *options),
            prepare=lambda place: prepare(place, mode),
            always=always,
        )

    return make


def _state(model: Path) -> str | None:
    """Return which signature is there, after checking that the model is whole."""
    manifest = read_manifest(model)
    assert manifest is not None
    check_manifest(model, manifest)
    signature = model / "model.sig"
    return WHOLE[signature.read_bytes()] if signature.exists() else None


@pytest.mark.parametrize(("mode", "before"), [("fresh", None), ("overwrite", "old")])
@pytest.mark.parametrize("always", [(), ("linkat:error=EPERM", "link:error=EPERM")], ids=["links", "no links"])
def test_a_signature_is_whole_or_absent_whatever_fails(scenario, tmp_path, mode, before, always) -> None:
    """Killed or refused by the disk at any call: the old state or the new, and the model passes its manifest."""
    tried: list[Fault] = []

    def check(fault: Fault, code: int, place: Path) -> None:
        tried.append(fault)
        found = _state(place / "m")
        if fault.kills:
            assert code != 0
            assert found in (before, "new")
            return
        assert [path.name for path in place.iterdir()] == ["m"], "something was left behind"
        assert (code, found) in ((0, "new"), (3, before)) or (always and mode == "overwrite" and code == 3)

    assert run_faults(scenario(mode, always=always), tmp_path, check) == []
    assert len(tried) > 15


def test_the_harness_finds_a_signer_that_writes_in_place(scenario, tmp_path) -> None:
    """The same harness catches one that writes in place, so it can see what it is looking for."""
    in_place = scenario("overwrite", "in-place")
    bad = run_faults(in_place, tmp_path, lambda fault, code, place: _state(place / "m"))
    assert bad

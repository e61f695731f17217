"""Plugins as third parties write them: each a distribution of its own, built, installed and tested as a stranger's.

They are not installed beside the other tests: an observer would run around every hook there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted(path.parent for path in Path(__file__).resolve().parents[1].glob("examples/*/pyproject.toml"))


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_example_passes_its_own_tests(example: Path, tmp_path: Path) -> None:
    """Copied away from this checkout, built and installed by pip, its own tests pass; the kit is among a flavor's."""
    project = Path(shutil.copytree(example, tmp_path / example.name))
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*pip, "--target", site, project], check=True)
    environment = {**os.environ, "PYTHONPATH": str(site)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rs"]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    if os.environ.get("CI"):  # where all is there that a test could ask for
        assert not find_own_skips(done.stdout)


def find_own_skips(written: str) -> list[str]:
    """Return what pytest wrote of tests that an example itself skips; the kit skips what it has nothing to ask of."""
    lines = [line for line in written.splitlines() if line.startswith("SKIPPED ")]
    return [line for line in lines if "palate/testing/_" not in line.partition(": ")[0]]


def test_own_skips_are_told_from_those_of_the_kit() -> None:
    """A test that looked for a package and found none is seen; a check without a question is none of it."""
    kit = "SKIPPED [1] ../../core/src/palate/testing/_inputs.py:49: the sample is no DataFrame of pandas"
    own = "SKIPPED [2] tests/test_x.py:7: could not import 'skops': see palate/testing/_x"
    assert find_own_skips(f"..s\n{kit}\n{own}\n2 passed, 3 skipped in 1s\n") == [own]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_example_uses_public_names_only(example: Path) -> None:
    """Neither code nor tests of an example name a private module of Palate's."""
    private = [
        f"{file.relative_to(example)}: {line.strip()}"
        for file in sorted(example.rglob("*.py"))
        for line in file.read_text(encoding="utf-8").splitlines()
        if "palate._" in line or "from palate import _" in line
    ]
    assert not private


def test_flavors_of_the_examples_run_the_kit() -> None:
    """Each example that is a flavor proves it by the conformance kit."""
    flavors = [path for path in EXAMPLES if "palate.flavors" in (path / "pyproject.toml").read_text(encoding="utf-8")]
    assert len(flavors) >= 2
    for path in flavors:
        tests = "".join(file.read_text(encoding="utf-8") for file in (path / "tests").glob("test_*.py"))
        assert "FlavorContract" in tests, path.name

"""What builds environments: what tools say, which wheels fit, which Pythons there are, which flavors a model needs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from environment_models import rewrite, save_line
from installed_site import write_wheel
from packaging.requirements import Requirement

from palate._environment.dependencies import name_of
from palate._rebuilding.commands import last_lines, run_tool
from palate._rebuilding.interpreters import find_interpreter
from palate._rebuilding.palates import find_palates
from palate._rebuilding.planning import open_wanted
from palate._rebuilding.resolving import choose_wheels
from palate.errors import EnvironmentFailed, InvalidOption, PythonNotFound

MARKERS = {"sys_platform": "linux", "platform_machine": "aarch64"}


def make_wheel(folder: Path, name: str, version: str, *requires: str) -> Path:
    """Write a wheel that requires others."""
    return write_wheel(folder, name, version, {}, requires)


def choose(folder: Path, *roots: str) -> tuple[list[str], list[str]]:
    """Return the names of the wheels that are chosen, and what is missing."""
    chosen, missing = choose_wheels(folder.glob("*.whl"), list(map(Requirement, roots)), MARKERS)
    return [path.name.removesuffix("-py3-none-any.whl") for path in chosen], missing


def test_what_wheels_lead_to_is_followed(tmp_path) -> None:
    """By the markers of the other machine, and by the extras that are asked for."""
    make_wheel(
        tmp_path, "a", "1", "b>=2; platform_machine == 'aarch64'", "c; sys_platform == 'win32'", "d; extra == 'x'"
    )
    make_wheel(tmp_path, "b", "2.1")
    assert choose(tmp_path, "a") == (["a-1", "b-2.1"], [])
    assert choose(tmp_path, "a[x]") == (["a-1", "b-2.1"], ["d"])
    assert choose(tmp_path, "b<2") == ([], ["b<2"])


def test_of_several_versions_the_newest_that_fits_is_chosen(tmp_path) -> None:
    """Whatever order they come in; a bound that is met late counts as well."""
    for version in ("1", "2", "3"):
        make_wheel(tmp_path, "b", version)
    make_wheel(tmp_path, "a", "1", "b<3")
    assert choose(tmp_path, "b") == (["b-3"], [])
    assert choose(tmp_path, "b==1") == (["b-1"], [])
    for roots in (("a", "b>=2"), ("b>=2", "a")):
        assert choose(tmp_path, *roots) == (["a-1", "b-2"], [])
    assert choose(tmp_path, "a", "b>=3")[1] != []


def test_a_damaged_wheel_is_told(tmp_path) -> None:
    """It is named, with what to do."""
    (tmp_path / "a-1-py3-none-any.whl").write_bytes(b"no zip file")
    with pytest.raises(EnvironmentFailed, match=r"(?s)a-1-py3-none-any\.whl is no wheel.*Hint: "):
        choose(tmp_path, "a")


def test_what_a_tool_said_last_is_fit_for_a_message() -> None:
    """No colours, no passwords, no traceback, no warnings beside errors, not long."""
    said = "\x1b[31merror\x1b[0m: https://user:p@ss@index.example/simple\nWARNING: pip is old\n\n"
    assert last_lines(said) == ["error: https://***@index.example/simple"]
    assert last_lines("", "WARNING: only this") == ["WARNING: only this"]
    trace = 'Traceback (most recent call last):\n  File "x", line 1, in <module>\n    fail()\nOSError: disk full\n'
    assert last_lines(trace) == ["OSError: disk full"]
    many = last_lines("\n".join(f"{number} {'x' * 1000}" for number in range(100)))
    assert (len(many), len(many[0]), many[-1][:3]) == (15, 500, "99 ")


def test_a_tool_that_fails_or_is_not_there_is_told(tmp_path) -> None:
    """With its own words, else with how it ended; nothing is said of what is left, which the tool does not know."""
    for code, words in (("print('no room'); raise SystemExit(3)", "no room"), ("raise SystemExit(3)", "ended with 3")):
        with pytest.raises(EnvironmentFailed, match=words) as caught:
            run_tool([sys.executable, "-I", "-c", code], step="try", folder=tmp_path, hint="look")
        assert "left behind" not in str(caught.value)
        assert "left behind" in str(caught.value.after_removal())
    with pytest.raises(EnvironmentFailed, match="No such file"):
        run_tool([tmp_path / "nothing"], step="try", folder=tmp_path, hint="look")


def test_each_candidate_is_run_before_it_is_believed(tmp_path, monkeypatch) -> None:
    """What fails, or prints nonsense, is passed over; pyenv's are looked through from the newest on."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    versions = {"3.47.1": "exit 127", "3.47.2": "echo nonsense", "3.47.9": "echo '[]'", "3.47.10": "cat"}
    for version, what in versions.items():
        shim = tmp_path / "versions" / version / "bin" / "python3"
        shim.parent.mkdir(parents=True)
        shim.write_text(f"#!/bin/sh\necho {version} >> {tmp_path}/run\n{what}\n")
        shim.chmod(0o755)
    with pytest.raises(PythonNotFound):
        find_interpreter("3.47", asked=None, uv=None)
    assert (tmp_path / "run").read_text().split()[:4] == ["3.47.10", "3.47.9", "3.47.2", "3.47.1"]
    with pytest.raises(InvalidOption, match="neither a version nor an interpreter"):
        find_interpreter(None, asked=str(tmp_path / "versions" / "3.47.9" / "bin" / "python3"), uv=None)
    assert find_interpreter(None, asked=None, uv=None).version == sys.version.split()[0]


def test_a_framework_in_the_requirements_brings_its_flavor(tmp_path, toy_flavor) -> None:
    """By the name that requirements call it, which is not the one that it is imported by."""
    line = save_line(tmp_path / "line", toy_flavor)
    rewrite(line, "requirements.txt", "scikit-learn\n")
    palates = find_palates(open_wanted(line)[1])
    assert [name_of(home) for home in palates.distributions] == ["palate", "palate-toy", "palate-sklearn"]


def test_markers_that_make_no_sense_do_not_hold(tmp_path) -> None:
    """Wheels come from an index, and what they say is nobody's promise."""
    make_wheel(tmp_path, "a", "1", "b; python_version ~= 'x'", "c; python_version > 'z.z'", "d; os_name == 'posix'")
    make_wheel(tmp_path, "d", "1")
    assert choose(tmp_path, "a") == (["a-1", "d-1"], [])

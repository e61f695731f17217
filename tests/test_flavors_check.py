"""``palate flavors check``: the kit on an installed flavor, which may do what it likes to its own process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from palate.errors import FlavorNotFound, InvalidOption
from palate.testing import check_flavor

TOY = Path(__file__).parent / "toy_plugin" / "src" / "palate_toy" / "__init__.py"
Check = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def check(toy_flavor: str, run_python: Check) -> Check:
    """Run the command on a local flavor: the toy, with something in it replaced."""

    def runner(tmp_path: Path, *replaced: tuple[str, str], options: tuple[str, ...] = ()) -> object:
        source = TOY.read_text(encoding="utf-8").replace('NATIVE_PACKAGES = ("toy_framework",)', "NATIVE_PACKAGES = ()")
        for old, new in replaced:
            assert old in source
            source = source.replace(old, new)
        (tmp_path / "checked.py").write_text(source, encoding="utf-8")
        script = "import sys; from palate.cli import main; sys.argv[0] = 'palate'; main()"
        environment = {"PALATE_PLUGINS": str(tmp_path / "checked.py")}
        return run_python(script, "flavors", "check", "checked", *options, env=environment, timeout=600)

    return runner


def failed(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """Return the checks that failed, with what there is to say of them."""
    [case] = json.loads(done.stdout)["cases"]
    return {result["check"]: result["detail"] for result in case["checks"] if result["outcome"] == "failed"}


def test_a_good_flavor_passes(check, tmp_path) -> None:
    """Exit code 0, a case for each sample, every check of the kit in it; the report goes to a file, too."""
    done = check(tmp_path, options=("--report", str(tmp_path / "report.md")))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("spring (checked, format json): ")
    assert "failed" not in done.stdout
    assert "spring" in (tmp_path / "report.md").read_text(encoding="utf-8")


PREDICTED = "return getattr(model, method)(data, **params)"


def test_a_hook_that_ends_the_process_is_one_failure(check, tmp_path) -> None:
    """A segfault for an empty input is that check's failure, by the signal's name; all others are made."""
    crash = f"if len(data) == 0:\n        import ctypes\n        ctypes.string_at(0)\n    {PREDICTED}"
    done = check(tmp_path, (PREDICTED, crash), options=("--json",))
    assert done.returncode == 1
    assert failed(done) == {"test_empty_input_is_answered_alike": "the process was ended by SIGSEGV"}
    [case] = json.loads(done.stdout)["cases"]
    assert "not run" not in {result["outcome"] for result in case["checks"]}


def test_a_check_that_does_not_end_is_ended(check, tmp_path) -> None:
    """A hook that hangs is a failure after the time that was given, and the other checks are made."""
    hang = f"if len(data) == 0:\n        import time\n        time.sleep(600)\n    {PREDICTED}"
    done = check(tmp_path, (PREDICTED, hang), options=("--patience", "15", "--json"))
    assert failed(done) == {"test_empty_input_is_answered_alike": "it did not end within 15 seconds"}


def test_a_flavor_without_samples_is_told_what_to_do(check, tmp_path) -> None:
    """There is nothing to check, and the message names the hook and the class."""
    done = check(tmp_path, ("@hookimpl\ndef sample_models", "def sample_models"))
    assert done.returncode == 2
    assert "implement the hook sample_models" in done.stderr


@pytest.mark.parametrize(
    ("training", "told"),
    [
        ("raise OSError('no data here')", "no data here"),
        ("import ctypes; ctypes.string_at(0)", "SIGSEGV"),
        ("import os; os._exit(7)", "exited with 7"),
    ],
    ids=["raises", "crashes", "exits"],
)
def test_samples_that_cannot_be_had_are_the_flavors_fault(check, tmp_path, training, told) -> None:
    """What happens while the samples are trained is told as the flavor's, and ends nobody else's process."""
    done = check(tmp_path, ("    import numpy\n    from toy_framework import Line\n", f"    {training}\n"))
    assert done.returncode == 2
    assert "The flavor 'checked'" in done.stderr
    assert told in done.stderr


def test_wrong_use_is_told_before_anything_runs(toy_flavor) -> None:
    """A flavor, or a format, that does not exist is refused by name."""
    with pytest.raises(FlavorNotFound, match="nonsense"):
        check_flavor("nonsense")
    with pytest.raises(InvalidOption, match=r"no format 'pickle'.*json"):
        check_flavor(toy_flavor, formats=["pickle"])


def test_report_that_the_disk_refuses_costs_nothing_but_the_report(check, tmp_path) -> None:
    """What was found is printed before, and the command has not succeeded."""
    done = check(tmp_path, options=("--report", "/dev/full"))
    assert done.returncode == 1
    assert done.stdout.startswith("spring (checked, format json): ")
    assert "Could not save to '/dev/full': No space left on device" in done.stderr


@pytest.mark.parametrize("target", ["no such folder/report.json", "."])
def test_report_that_cannot_be_written_is_refused_first(check, tmp_path, monkeypatch, target) -> None:
    """Nobody runs the checks for minutes and then has no report; the option is named in words."""
    monkeypatch.chdir(tmp_path)
    flavor = '@hookimpl\ndef sample_models():\n    raise SystemExit("the flavor is run")\n\n\ndef unused'
    done = check(tmp_path, ("@hookimpl\ndef sample_models", flavor), options=("--report", target))
    assert done.returncode == 2
    assert "report: no report can be written there: " in done.stderr
    assert "the flavor is run" not in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_of_the_callers_has_a_say(toy_flavor, tmp_path, monkeypatch) -> None:
    """Neither a conftest.py, nor options, nor a pytest.ini where it is called from change what is checked."""
    (tmp_path / "conftest.py").write_text("raise SystemExit('of the caller')")
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --collect-only\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTEST_ADDOPTS", "-k nothing")
    [case] = check_flavor(toy_flavor)
    assert case.conforms, case.summary


@pytest.mark.parametrize(
    "script",
    [
        "import sys; from palate.cli import main; sys.argv[1:] = ['flavors', 'check', 'toy']; main()",
        "import palate.testing; palate.testing.check_flavor('toy')",
    ],
    ids=["command", "function"],
)
def test_without_pytest_it_says_what_to_install(run_python, script) -> None:
    """Where the extra is not installed, the message names it."""
    done = run_python(f"import sys; sys.modules['pytest'] = None; {script}")
    assert done.returncode != 0
    assert "The conformance kit needs pytest. Hint: pip install 'palate[testing]'." in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT], ids=lambda number: number.name)
def test_whoever_ends_the_command_ends_what_it_started(toy_flavor, tmp_path, number) -> None:
    """A cancelled job, or a closed terminal, leaves no process and no file behind."""
    begun = tmp_path / "begun"
    waits = f"    import os, time\n    open({str(begun)!r}, 'w').write(str(os.getpid()))\n    time.sleep(600)\n"
    source = TOY.read_text(encoding="utf-8").replace("    import numpy\n    from toy_framework import Line\n", waits)
    (tmp_path / "waiting.py").write_text(source, encoding="utf-8")
    environment = {**os.environ, "PALATE_PLUGINS": str(tmp_path / "waiting.py"), "TMPDIR": str(tmp_path)}
    command = subprocess.Popen([sys.executable, "-m", "palate", "flavors", "check", "waiting"], env=environment)
    try:
        _wait_for(lambda: begun.exists() and begun.read_text())
        command.send_signal(number)
        assert command.wait(60) != 0
    finally:
        command.kill()
    _wait_for(lambda: not Path(f"/proc/{begun.read_text()}").exists())
    assert not list(tmp_path.glob("palate-check-*"))


def _wait_for(reached: Callable[[], object]) -> None:
    until = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < until
        time.sleep(0.05)

"""What a flavor does to the process that it is checked in ends that process, and not the session."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap

import pytest
from kit_session import HEAD, KIT, run_kit
from processes import is_running, wait_until

from palate.testing._processes import describe_exit

ENDS = {
    "segfault": ("import ctypes\nctypes.string_at(0)", "the process was ended by SIGSEGV while it was to load"),
    "abort": ("import os\nos.abort()", "the process was ended by SIGABRT while it was to load"),
    "os._exit": ("import os\nos._exit(3)", "the process exited with 3 while it was to load"),
    "sys.exit": ("import sys\nsys.exit(3)", "raised SystemExit: 3, which would have ended the process"),
    "interrupt": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "hang": ("import time\ntime.sleep(60)", "the process did not answer within 3 seconds while it was to load"),
    "closed pipes": ("import os\nos.closerange(3, 100)\nimport time\ntime.sleep(60)", "the process closed its files"),
    "flood": (
        "import sys\nfor _ in range(300):\n    sys.stdout.write('x' * (1 << 20))\nraise ValueError('flood')",
        "flood",
    ),
    "last words": ("import os\nprint('the last words', flush=True)\nos._exit(1)", "; it wrote: the last words"),
}
# The first load in the other process fails; what is asked after that is answered.
ONCE = """
@hookimpl
def load_model(path, config, options):
    import sys
    from pathlib import Path
    mark = Path(r"{mark}")
    if sys.argv[0].endswith("_worker.py") and not mark.exists():
        mark.touch()
{body}
    return read_line(path, config, options)
"""


@pytest.mark.parametrize("kind", ENDS)
def test_end_of_the_process_is_one_failure(tmp_path, kind) -> None:
    """The failure names the signal, or what else it was, and what was being done; the next check has a new process."""
    body, message = ENDS[kind]
    flavor = tmp_path / "unruly.py"
    text = ONCE.format(mark=tmp_path / "mark", body=textwrap.indent(body, " " * 8))
    flavor.write_text((KIT / "line.py").read_text() + text)
    module = f"{HEAD}\n\nclass TestUnruly(OnLine):\n    flavor = 'unruly'\n    patience_s = 3\n"
    chosen = [f"test_kit.py::TestUnruly::test_{name}" for name in (
        "fresh_process_predicts_the_same", "pickled_model_opens_its_directory")]  # fmt: skip
    done = run_kit(tmp_path, module, *chosen, plugins=[flavor])
    assert dict(done.outcomes) == {
        "TestUnruly::test_fresh_process_predicts_the_same": "failed",
        "TestUnruly::test_pickled_model_opens_its_directory": "passed",
    }, done.text[-3000:]
    [failure] = done.messages.values()
    assert message in failure
    assert len(failure) < 20_000


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (-signal.SIGSEGV, "was ended by SIGSEGV"),
        (-(signal.SIGRTMIN + 1), f"was ended by signal {signal.SIGRTMIN + 1}"),
        (3, "exited with 3"),
    ],
)
def test_end_is_told_in_words(code, said) -> None:
    """A signal has its name, one that has none its number."""
    assert describe_exit(code) == said


def test_sample_that_cannot_be_sent_says_so(tmp_path) -> None:
    """A sample that cannot be pickled fails the checks that need another process, in words."""
    module = f"""{HEAD}
class Rows(list):
    def __reduce__(self):
        raise TypeError("rows stay here")

    def __deepcopy__(self, memo):
        return Rows(self)


class TestLine(OnLine):
    flavor = "line"

    @pytest.fixture
    def sample(self):
        return Rows([[1.0, 2.0], [3.0, 4.0]])
"""
    done = run_kit(tmp_path, module, "-k", "fresh_process or methods_survive")
    assert done.outcomes["TestLine::test_methods_survive"] == "passed", done.text
    assert done.outcomes["TestLine::test_fresh_process_predicts_the_same"] == "failed"
    said = "the sample, or an option, cannot be sent to another process: TypeError: rows stay here"
    assert said in done.messages["TestLine::test_fresh_process_predicts_the_same"]


HANGS = """
@hookimpl
def load_model(path, config, options):
    import os, subprocess, sys, time
    from pathlib import Path
    if sys.argv[0].endswith("_worker.py"):
        child = subprocess.Popen(["sleep", "300"])
        Path(r"{pids}").write_text(f"{{os.getpid()}} {{child.pid}}\\n")
        time.sleep(300)
    return read_line(path, config, options)
"""


@pytest.mark.parametrize(("number", "whole"), [(signal.SIGINT, True), (signal.SIGKILL, False)])
def test_session_that_is_ended_leaves_no_process(tmp_path, number, whole) -> None:
    """Ctrl-C ends the process of the checks and what it started; after a kill the kernel ends at least the process."""
    pids, flavor = tmp_path / "pids", tmp_path / "slow.py"
    flavor.write_text((KIT / "line.py").read_text() + HANGS.format(pids=pids))
    (tmp_path / "test_slow.py").write_text(f"{HEAD}\n\nclass TestSlow(OnLine):\n    flavor = 'slow'\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    session = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-k", "fresh_process"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(KIT / "site"), "PALATE_PLUGINS": str(flavor)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: pids.exists() and pids.read_text().endswith("\n"), 60)
    worker, child = map(int, pids.read_text().split())
    try:
        session.send_signal(number)
        assert session.wait(60) == (pytest.ExitCode.INTERRUPTED if whole else -number)
        wait_until(lambda: not is_running(worker), 60)
        if whole:
            wait_until(lambda: not is_running(child), 60)
    finally:
        if is_running(child):
            os.kill(child, signal.SIGKILL)

"""A model in a process of its own: it ends with whoever holds it."""

from __future__ import annotations

import multiprocessing
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from isolated import HERE
from processes import is_running, wait_until

import palate
from palate import IsolatedModel, errors


def test_close_ends_the_process(moody_path: Path) -> None:
    """A closed model has no process, and says so when it is asked."""
    model = palate.load_model(moody_path, trust=True, isolate=HERE)
    before = model.pid or 0
    model.close()
    model.close()
    assert not is_running(before)
    with pytest.raises(errors.ModelCrashed, match="it was closed"):
        model.predict([1])


def test_close_from_another_thread(moody_path: Path) -> None:
    """Closing amid a call ends the call."""
    model = palate.load_model(moody_path, trust=True, isolate=HERE)
    threading.Timer(0.3, model.close).start()
    begin = time.monotonic()
    with pytest.raises(errors.ModelCrashed):
        model.predict(["sleep", 20])
    assert time.monotonic() - begin < 10


@pytest.mark.parametrize("delay", [0.001 * number for number in range(1, 13)])
def test_close_while_the_next_process_starts(moody_path: Path, delay: float) -> None:
    """Where a thread closes a model just as another one replaces its process, the new one ends as well."""
    model = palate.load_model(moody_path, trust=True, isolate=HERE)

    def crash() -> None:
        with pytest.raises(errors.ModelCrashed):
            model.predict(["end", 3])

    asking = threading.Thread(target=crash)
    asking.start()
    time.sleep(delay)
    model.close()
    asking.join()
    assert model.pid is None


def test_forgotten_model_ends_its_process(moody_path: Path) -> None:
    """A model that nobody holds any more leaves no process."""
    model = palate.load_model(moody_path, trust=True, isolate=HERE)
    before = model.pid or 0
    del model
    wait_until(lambda: not is_running(before))


PROGRAM = """
import os, palate, sys, time
model = palate.load_model({path!r}, trust=True, isolate=palate.Isolation(environment="here"))
print(*model.predict(["parent"]), flush=True)
{end}
"""


@pytest.mark.parametrize(
    ("end", "by"),
    [
        ("", None),
        ("sys.exit(0)", None),
        ("os._exit(0)", None),
        ("raise SystemError", None),
        ("time.sleep(60)", signal.SIGKILL),
        ("time.sleep(60)", signal.SIGTERM),
        ("model.predict(['hold'])", signal.SIGKILL),
    ],
)
def test_no_orphans(moody_path: Path, end: str, by: signal.Signals | None) -> None:
    """However the program ends, the model's process and what that has started end too."""
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(path=str(moody_path), end=end)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert program.stdout is not None
    pids = [int(word) for word in program.stdout.readline().split()]
    assert len(pids) == 2
    if by is not None:
        time.sleep(0.2)
        program.send_signal(by)
    program.wait(20)
    program.stdout.close()
    wait_until(lambda: not any(map(is_running, pids)), 5)


def _ask_for_pid(model: IsolatedModel, answers: object) -> None:
    answers.put(model.predict(["pid"]))  # type: ignore[attr-defined]


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_forked_child_has_a_process_of_its_own(model: IsolatedModel) -> None:
    """A fork does not share a process with its parent, whose goes on."""
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    child = context.Process(target=_ask_for_pid, args=(model, answers))
    child.start()
    theirs = answers.get(timeout=30)
    child.join(30)
    assert theirs != model.predict(["pid"]) == model.pid
    wait_until(lambda: not is_running(theirs))


def test_host_imports_nothing_of_the_model(regression: Path) -> None:
    """The program needs none of the model's framework."""
    code = f"""
import sys, palate
model = palate.load_model({str(regression)!r}, isolate=palate.Isolation(environment="here"))
model.predict([{{column.name: 1.0 for column in model.signature.inputs.columns}}])
print("sklearn" in sys.modules, "skops" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"

"""A model in a process of its own: what becomes of calls that raise, crash, hang or eat memory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from processes import children_of, is_running, wait_until

import palate
from palate import IsolatedModel, Isolation, errors


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [("ValueError", ["no"]), ("KeyError", ["a"]), ("ZeroDivisionError", []), ("FileNotFoundError", [2, "gone"])],
)
def test_builtin_exceptions_come_back(shared_model: IsolatedModel, kind: str, arguments: list[object]) -> None:
    """An exception of Python's own is raised here with its arguments, and with where it came from."""
    with pytest.raises((ValueError, LookupError, ArithmeticError, OSError)) as caught:
        shared_model.predict(["fail", kind, *arguments])
    assert type(caught.value).__name__ == kind
    assert list(caught.value.args) == arguments
    assert "moody.py" in str(caught.value.__cause__)


def test_strange_exceptions_come_back_as_their_base(shared_model: IsolatedModel) -> None:
    """Of a class that only the model knows, the nearest one of Python's own is raised, with its name."""
    with pytest.raises(KeyError, match="NotHappy: 'today'"):
        shared_model.predict(["fail_strangely"])


def test_exit_ends_a_call_only(shared_model: IsolatedModel) -> None:
    """sys.exit() in a model is an error of the call."""
    before = shared_model.pid
    with pytest.raises(errors.PalateError, match="SystemExit"):
        shared_model.predict(["leave"])
    assert shared_model.predict([1]) == [2]
    assert shared_model.pid == before


def test_what_cannot_cross(shared_model: IsolatedModel) -> None:
    """A type that does not cross is named, whichever way it went, and costs the call alone."""
    before = shared_model.pid
    with pytest.raises(errors.NotTransferable, match=r"_thread\.lock"):
        shared_model.predict([threading.Lock()])
    with pytest.raises(errors.NotTransferable, match=r"Moody.*in the predictions"):
        shared_model.predict(["strange"])
    assert shared_model.predict([1]) == [2]
    assert shared_model.pid == before


@pytest.mark.parametrize(("order", "words"), [(["segfault"], "signal SIGSEGV"), (["end", 7], "exit code 7")])
def test_crash_costs_one_call(model: IsolatedModel, order: list[object], words: str) -> None:
    """A process that ends is an error that says how; the next call finds a new one."""
    before = model.pid
    with pytest.raises(errors.ModelCrashed, match=words):
        model.predict(order)
    assert model.predict([1]) == [2]
    assert model.pid != before
    assert not is_running(before or 0)


def test_crash_is_seen_though_children_live_on(model: IsolatedModel) -> None:
    """What the model has started may hold what it likes: that the process has ended is seen at once."""
    begin = time.monotonic()
    with pytest.raises(errors.ModelCrashed, match="SIGSEGV"):
        model.predict(["fork_and_end", 20])
    assert time.monotonic() - begin < 5
    assert model.predict([1]) == [2]


def test_child_of_the_model_answers_nobody(model: IsolatedModel) -> None:
    """A model that forks comes back twice, and one of the two is heard."""
    assert [model.predict(["fork"]), model.predict([1]), model.predict([2])] == ["parent", [2], [3]]


def test_signal_handler_cannot_ask(model: IsolatedModel) -> None:
    """A handler that asks amid a call of its own thread is refused, and both know whose answer it is."""
    told: list[object] = []

    def ask(*_: object) -> None:
        try:
            told.append(model.predict([1]))
        except RuntimeError as exc:
            told.append(str(exc))

    before = signal.signal(signal.SIGALRM, ask)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        assert model.predict(["sleep", 0.6]) == "awake"
    finally:
        signal.signal(signal.SIGALRM, before)
    assert len(told) == 1
    assert "this thread waits" in str(told[0])
    assert model.predict([5]) == [6]


def test_working_directory_is_not_imported_from(moody_path: Path, tmp_path: Path) -> None:
    """A file of a module's name beside the data is no module of the worker's."""
    (tmp_path / "json.py").write_text("open('ran', 'w').close()\nraise SystemExit(9)\n")
    command = [sys.executable, "-P", "-m", "palate", "predict", str(moody_path), "--trust", "--environment", "here"]
    done = subprocess.run([*command, "--format", "json"], cwd=tmp_path, input="[1]", capture_output=True, text=True)
    assert (done.returncode, (tmp_path / "ran").exists()) == (0, False), done.stderr


def test_next_process_starts_at_once(model: IsolatedModel) -> None:
    """After a crash the model is loaded again before anybody asks for it."""
    with pytest.raises(errors.ModelCrashed):
        model.predict(["segfault"])
    after = model.pid
    assert after is not None
    assert model.predict(["pid"]) == after


@pytest.mark.parametrize("order", [["sleep", 60], ["hold"]])
def test_time_limit(moody_path: Path, order: list[object]) -> None:
    """A call that takes too long ends with its process, also when the model holds the interpreter's lock."""
    with palate.load_model(moody_path, trust=True, isolate=Isolation(environment="here", timeout=0.5)) as model:
        before = model.pid
        begin = time.monotonic()
        with pytest.raises(errors.ModelTimeout, match=r"0\.5 s to predict") as caught:
            model.predict(order)
        assert time.monotonic() - begin < 3
        assert isinstance(caught.value, TimeoutError)
        assert not is_running(before or 0)
        assert model.predict([1]) == [2]


def test_time_to_start_is_limited(moody_path: Path) -> None:
    """A model that does not load in time is an error, and its process is gone."""
    isolation = Isolation(environment="here", start_timeout=0.05)
    before = set(children_of(os.getpid()))
    with pytest.raises(errors.ModelTimeout, match="to load"):
        palate.load_model(moody_path, trust=True, isolate=isolation)
    wait_until(lambda: set(children_of(os.getpid())) <= before)


def test_memory_limit(moody_path: Path) -> None:
    """A call that needs more than its limit is a MemoryError; the next one finds a process with all of it."""
    limited = Isolation(environment="here", memory_limit=1 << 30)
    with palate.load_model(moody_path, trust=True, isolate=limited) as model:
        before = model.pid
        assert model.predict(["eat", 100 << 20]) == 100 << 20
        with pytest.raises(errors.ModelOutOfMemory, match="1,073,741,824 bytes") as caught:
            model.predict(["eat", 2 << 30])
        assert isinstance(caught.value, MemoryError)
        assert model.predict([1]) == [2]
        assert model.pid != before


def test_answer_that_there_is_no_memory_to_send(model: IsolatedModel) -> None:
    """It costs a call as a model that needs more does, and is not blamed on its type."""
    with pytest.raises(errors.ModelOutOfMemory):
        model.predict(["hungry"])
    assert model.predict([1]) == [2]


def test_memory_limit_of_the_command_line(moody_path: Path) -> None:
    """``palate predict`` takes a size for it, and tells in one line that the model needed more."""
    words = ["predict", moody_path, "--trust", "--format", "json", "--isolate", "--environment", "here", "--json"]
    command = [sys.executable, "-m", "palate", *map(str, words)]
    limited = [*command, "--memory-limit", "1GiB"]
    done = subprocess.run(limited, input='["eat", 1000]', capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["predictions"] == 1000
    done = subprocess.run(limited, input=f'["eat", {2 << 30}]', capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "1,073,741,824 bytes" in done.stderr.splitlines()[-1]


def test_interrupt_leaves_no_half_answer(model: IsolatedModel) -> None:
    """Ctrl-C amid a call ends its process, so that the next answer is not the last one's."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts with & ignores it
    try:
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            model.predict(["sleep", 5])
    finally:
        signal.signal(signal.SIGINT, before)
    assert model.predict([1]) == [2]

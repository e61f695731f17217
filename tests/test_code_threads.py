"""Models that bring code, in several threads and in forked children: none waits for ever, and nothing is mixed up."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
import time
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder
from types import ModuleType

import pytest
from carried_code import two_models, write

from palate._code.model_code import ModelCode
from palate.testing._threads import at_once


@pytest.fixture
def two(tmp_path):
    """Two models whose code has the same module names."""
    return two_models(tmp_path)


def test_two_models_in_threads(two) -> None:
    """Loading and importing at the same time mixes nothing up."""

    def work(number: int) -> tuple[str, str]:
        module = two[number % 2].import_module("entry")
        return module.now(), module.late()

    words = [("first", "first-first"), ("second", "second-second")]
    assert at_once(work, 8) == [words[number % 2] for number in range(8)]


def test_a_model_may_import_from_threads_of_its_own(two) -> None:
    """A load that waits for a thread which imports the model's modules does not wait for ever."""
    code, found = two[0], []
    with code.activated():
        thread = threading.Thread(target=lambda: found.append(code.import_module("entry").late()), daemon=True)
        thread.start()
        thread.join(20)
    assert found == ["first-first"]


def test_predictions_do_not_wait_for_another_model_that_loads(two) -> None:
    """Ordinary imports inside functions go on while another model is on stage."""
    module, done = two[0].import_module("entry"), []
    module.late()
    with two[1].activated():
        thread = threading.Thread(target=lambda: done.append(module.late()), daemon=True)
        thread.start()
        thread.join(20)
    assert done == ["first-first"]


def test_loads_in_two_threads_do_not_wait_for_each_other(tmp_path) -> None:
    """One runs code that opens another model while the other one waits for the stage: both end."""
    started, nested = threading.Event(), ModelCode(write(tmp_path / "nested", part="x = 1"))
    first, second = (ModelCode(write(tmp_path / name, **{f"of_{name}": "x = 1"})) for name in ("first", "second"))
    file = write(tmp_path / "run", entry="import steps").joinpath("entry.py")
    file.write_text("import hooks_of_the_test\nhooks_of_the_test.open_another()")

    def open_another() -> None:
        started.set()
        time.sleep(0.3)  # the other thread now holds the lock and waits for the stage
        with nested.activated():
            pass

    hooks = ModuleType("hooks_of_the_test")
    hooks.open_another = open_another  # type: ignore[attr-defined]
    sys.modules["hooks_of_the_test"] = hooks
    try:
        runner = threading.Thread(target=first.run_file, args=[file], daemon=True)
        runner.start()
        assert started.wait(30)
        other = threading.Thread(target=lambda: second.activated().__enter__(), daemon=True)
        other.start()
        runner.join(30)
        other.join(30)
        assert not runner.is_alive()
        assert not other.is_alive()
    finally:
        del sys.modules["hooks_of_the_test"]


@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")  # from Python 3.12 on
def test_a_forked_child_can_load_while_a_thread_of_its_parent_is_loading(two) -> None:
    """What the thread had on stage, and the locks it held, are gone in the child, where nobody will let go of them."""
    first, second = two
    loading, forked = threading.Event(), threading.Event()

    def load() -> None:
        with first.activated():
            first.import_module("entry")
            loading.set()
            forked.wait(60)

    thread = threading.Thread(target=load)
    thread.start()
    assert loading.wait(60)
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        with second.activated():
            works = second.import_module("entry").late() == "second-second"
        os._exit(0 if works and "entry" not in sys.modules else 1)
    forked.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


class Waiting(MetaPathFinder):
    """Finds nothing, and takes its time over one module."""

    def __init__(self, name: str) -> None:
        self.name, self.asked, self.go_on = name, threading.Event(), threading.Event()

    def find_spec(self, name: str, *_: object) -> None:
        """Wait, if it is the module."""
        if name == self.name:
            self.asked.set()
            self.go_on.wait(20)


def test_an_import_that_is_under_way_asks_every_finder(two, tmp_path, monkeypatch) -> None:
    """A module of the host's is found, though a model is loaded meanwhile and its code is put away again."""
    monkeypatch.syspath_prepend(str(write(tmp_path / "site", of_the_host="x = 1")))
    finder, found = Waiting("of_the_host"), []
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    sys.meta_path.insert(sys.meta_path.index(PathFinder), finder)
    thread = threading.Thread(target=lambda: found.append(importlib.import_module("of_the_host").x), daemon=True)
    with two[0].activated():
        thread.start()
        assert finder.asked.wait(20)
    finder.go_on.set()
    thread.join(20)
    sys.modules.pop("of_the_host", None)
    assert found == [1]

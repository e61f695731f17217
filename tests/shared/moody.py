"""A model that does what its input says: for tests of what may go wrong in a process."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

import palate


class Moody(palate.PythonModel):
    """Adds one to numbers; a text is something else to do."""

    def load_context(self, context: Any) -> None:
        """Fail where the configuration says so."""
        if (context.model_config or {}).get("at_load"):
            self.predict(None, [context.model_config["at_load"]])

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        """Do what the first of a list says."""
        order = model_input[0] if isinstance(model_input, list) and model_input else None
        if isinstance(order, str):
            return getattr(self, order)(*model_input[1:])
        return [value + 1 for value in model_input] if isinstance(model_input, list) else model_input

    def segfault(self) -> None:
        """End as native code does that reads what is not there."""
        os.kill(os.getpid(), signal.SIGSEGV)

    def end(self, code: int) -> None:
        """End without a word."""
        os._exit(code)

    def leave(self) -> None:
        """Call what would end a program."""
        sys.exit(3)

    def sleep(self, seconds: float) -> str:
        """Take long."""
        time.sleep(seconds)
        return "awake"

    def hold(self) -> None:
        """Take for ever, with the interpreter's lock in hand."""
        import re

        re.match(r"(a+)+$", "a" * 60 + "b")

    def eat(self, count: int) -> int:
        """Take that many bytes of memory."""
        return len(bytearray(count))

    def fail(self, kind: str, *arguments: Any) -> None:
        """Raise a builtin exception."""
        raise getattr(__import__("builtins"), kind)(*arguments)

    def fail_strangely(self) -> None:
        """Raise an exception of a class that only this model knows."""

        class NotHappy(KeyError):
            pass

        raise NotHappy("today")

    def count(self, to: int) -> Any:
        """Answer one by one."""
        yield from range(to)

    def strange(self) -> object:
        """Answer with what cannot cross."""
        return self

    def hungry(self) -> object:
        """Answer with what there is no memory to send."""

        class Hungry(list):
            def __iter__(self) -> Any:
                raise MemoryError

        return Hungry([1])

    def speak(self, words: str) -> str:
        """Print."""
        print(words, flush=True)
        return words

    def fork_and_end(self, seconds: float) -> None:
        """Leave a child behind that lives on, and end."""
        if os.fork() == 0:
            time.sleep(seconds)
            os._exit(0)
        os.system(f"sleep {seconds} &")
        os.kill(os.getpid(), signal.SIGSEGV)

    def fork(self) -> str:
        """Fork, and come back twice."""
        return "child" if os.fork() == 0 else "parent"

    def pid(self) -> int:
        """Tell which process this is."""
        return os.getpid()

    def parent(self) -> tuple[int, int]:
        """Tell the process's number, and that of one that it has started."""
        import subprocess

        return os.getpid(), subprocess.Popen(["sleep", "60"]).pid


palate.set_model(Moody())

"""Starting the process of a model, in this environment or another one, and ending it."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO

from palate._isolation.channel import Channel

__all__ = ["ModelProcess", "here"]

# The worker of this environment sees what this process sees, a path that was added by hand included.
_BOOT = "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1)); from palate._isolation.worker import main; "
_BOOT += "main(sys.argv[1:])"
# What tells an interpreter of another environment where this one's modules are.
_OURS = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "__PYVENV_LAUNCHER__", "VIRTUAL_ENV")
_PATIENCE = 2.0  # seconds for a process to end by itself
_LAST_WORDS = 2000


def here() -> list[str]:
    """Return the command that starts a worker in the environment of this process."""
    # Safe path (-P): what lies in the working directory is not imported before the path is set.
    return [sys.executable, "-P", "-c", _BOOT, json.dumps([str(Path(entry).absolute()) for entry in sys.path])]


class ModelProcess:
    """A process that was started for a model, and the channel to it.

    Attributes:
        channel: to talk to it.
        pid: its number, which is its process group's too.

    Args:
        command: what starts a worker; the numbers of descriptors are added.
        foreign: whether it is another environment's interpreter, which shall see nothing of this one's modules.

    Raises:
        OSError: the command cannot be started.
    """

    def __init__(self, command: Sequence[str], *, foreign: bool) -> None:
        with ExitStack() as kept, ExitStack() as passing:
            self._words: IO[bytes] = kept.enter_context(tempfile.TemporaryFile())
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
            kept.callback(ours.close)
            passing.callback(theirs.close)
            watched, self._lifeline = os.pipe()
            kept.callback(os.close, self._lifeline)
            passing.callback(os.close, watched)
            shown = _standard_error()
            passing.callback(os.close, shown)
            passed = (theirs.fileno(), watched, shown)
            self._process = subprocess.Popen(  # noqa: S603 -- an argument list, of interpreters that the caller chose
                [*command, *map(str, passed)],
                stdin=subprocess.DEVNULL,
                stdout=self._words,
                stderr=self._words,
                pass_fds=passed,
                env={name: value for name, value in os.environ.items() if not foreign or name not in _OURS},
                # A terminal's Ctrl-C is for the program, which then ends this; and its children end with it.
                start_new_session=True,
            )
            self.pid = self._process.pid
            kept.callback(self._process.wait)
            kept.callback(self.signal_group)
            self._ended = os.pidfd_open(self.pid)
            kept.callback(os.close, self._ended)
            self.channel = Channel(ours, self._ended)
            kept.pop_all()  # from here on it ends by a method

    def read_last_words(self) -> str:
        """Return the end of what it wrote before its model was open, in one line."""
        size = self._words.seek(0, os.SEEK_END)
        self._words.seek(max(0, size - _LAST_WORDS))
        return " ".join(self._words.read().decode("utf-8", "replace").split())

    def wait(self) -> str:
        """Wait until it has ended, which it is about to, and return how: "signal SIGSEGV", "exit code 1"."""
        if not self._ends_within(_PATIENCE):
            return "it hung up and did not end"
        found = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        assert found is not None
        if found.si_code == os.CLD_EXITED:
            return f"exit code {found.si_status}"
        name = _signal_name(found.si_status)
        return f"signal {name}" + (", as the system sends it when memory runs out" if name == "SIGKILL" else "")

    def stop(self) -> None:
        """Hang up, so that it ends by itself; kill it if it does not."""
        self.channel.close()
        self._ends_within(_PATIENCE)
        self.kill()

    def kill(self) -> None:
        """End it now, with what it started."""
        self.channel.close()
        self.signal_group()
        self._process.wait()
        self._let_go()

    def signal_group(self) -> None:
        """Send it and what it started the signal that ends them; whoever talks to it notices."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def _ends_within(self, seconds: float) -> bool:
        """Wait for its end, without taking notice of it: its number is not given to another process meanwhile."""
        poll = select.poll()
        poll.register(self._ended, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def disown(self) -> None:
        """Forget it, in a forked child: it is the parent's, whom it would outlive if the child held its lifeline."""
        self._let_go()
        self._process.returncode = 0  # or its destructor would warn of a child that is not this process's
        self.channel.close()

    def _let_go(self) -> None:
        if self._lifeline >= 0:
            os.close(self._lifeline)
            os.close(self._ended)
            self._lifeline = self._ended = -1
        self._words.close()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # one of those for programs' own use
        return str(number)


def _standard_error() -> int:
    """Return a descriptor of standard error, or of nothing in a process that has none."""
    try:
        return os.dup(2)
    except OSError:
        return os.open(os.devnull, os.O_WRONLY)

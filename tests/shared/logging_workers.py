"""Workers that log to one standard output, in a process of its own; what they write is what the test looks at."""

from __future__ import annotations

import asyncio
import fcntl
import os
import resource
import signal
import sys
import termios
import time

from palate.serving._watching.access_log import AccessLog
from palate.serving._watching.log_writer import LogWriter

__all__ = ["EACH", "WORKERS"]

WORKERS = 3
EACH = 2000


def log_lines(log: AccessLog, writer: LogWriter, client: str, count: int) -> None:
    """Log that many requests, from the event loop as a server does."""

    async def run() -> None:
        for number in range(count):
            log.add(f"{client}-{number:06d}", client, b"POST", b"/" + b"x" * (number % 300), 200, 0.001, 1, 2)

    asyncio.run(run())
    log.flush()
    writer.close(20)


def together(log: AccessLog, writer: LogWriter) -> None:
    """Several workers log at the same time, in more bytes than a pipe takes in one piece."""
    processes = []
    for worker in range(WORKERS):
        process = os.fork()
        if process == 0:
            log_lines(log, writer, f"w{worker}", EACH)
            os._exit(0 if log.lost == 0 else 1)
        processes.append(process)
    codes = [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in processes]
    sys.exit(any(codes))


def killed(log: AccessLog, writer: LogWriter) -> None:
    """A worker is killed while it waits for the pipe's reader, in the midst of writing; another one goes on."""
    process = os.fork()
    if process == 0:
        log_lines(log, writer, "first", EACH)
        os._exit(0)
    # What it writes at once is more than the pipe holds.
    room = fcntl.fcntl(sys.stdout, fcntl.F_GETPIPE_SZ)
    while held() < room:
        time.sleep(0.01)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    print("killed", file=sys.stderr, flush=True)
    log_lines(log, writer, "second", 10)


def held() -> int:
    """Return how many bytes wait in the pipe that is our standard output."""
    return int.from_bytes(fcntl.ioctl(sys.stdout, termios.FIONREAD, bytes(4)), sys.byteorder)


def torn(log: AccessLog, writer: LogWriter) -> None:
    """The disk takes a part of a line, then nothing, then all again."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
    log_lines(log, writer, "first", 5)
    log_lines(log, writer, "second", 5)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    log_lines(log, writer, "third", 5)
    print(log.lost, file=sys.stderr)


if __name__ == "__main__":
    made = LogWriter()
    {"together": together, "killed": killed, "torn": torn}[sys.argv[1]](AccessLog(made), made)

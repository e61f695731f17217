"""A job in a process that kills itself at the n-th thing that it does to its disk. Usage: see the test beside it.

Things done to the disk are opening, making, renaming, removing and syncing of anything in this folder.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import palate.batch._parts
from palate.batch import predict_files
from palate.errors import PalateError

_PLACE = os.getcwd()
_EVENTS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "fsync"}


def main(model: str, output: str, kill_at: int, options: dict[str, Any]) -> None:
    """Run the job; print how many things were done, or why not."""
    palate.batch._parts._PART_BYTES = 1
    opened = palate.load_model(model, trust=True)
    count, counting, begun = 0, threading.Lock(), True

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if begun and event in _EVENTS and (event == "fsync" or _is_ours(arguments)):
            with counting:
                count += 1
                if count == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)

    fsync = os.fsync

    def watched_fsync(descriptor: int) -> None:
        watch("fsync", ())
        fsync(descriptor)

    os.fsync = watched_fsync
    sys.addaudithook(watch)
    try:
        predict_files(opened, "in.parquet", output, keys=["id"], **options)
    except PalateError as exc:
        print(type(exc).__name__, exc, file=sys.stderr)
        raise SystemExit(3) from exc
    finally:
        begun = False
        Path("count").write_text(str(count))


def _is_ours(arguments: tuple[Any, ...]) -> bool:
    path = arguments[0] if arguments else None
    return isinstance(path, str) and os.path.abspath(path).startswith(f"{_PLACE}/") and not path.endswith("in.parquet")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4]))

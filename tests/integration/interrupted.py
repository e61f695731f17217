"""Interrupts a prediction wherever Palate's own Python can be interrupted. argv: an empty folder.

The prediction is a model's first, which imports modules of its own: what an interrupt leaves of a lock, or of the
modules on stage, is seen by the next prediction, and by another model in another thread. Prints how many places there
were.
"""

from __future__ import annotations

import dis
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from zoo import answer, as_bytes, calls, save_coded

import palate
from palate.testing._threads import at_once

FOLDER = Path(sys.argv[1])
SOURCES = str(Path(palate.__file__).parent)


class Interrupter:
    """Raises KeyboardInterrupt at the place of that number.

    Python looks for signals when a function begins, after a call, and when a loop turns back; so never between taking a
    lock of its own in a ``with`` statement and the block, nor between the block and giving it back.
    """

    def __init__(self, number: int) -> None:
        self.left = number
        self.place = ""
        self._last: dict[FrameType, str] = {}

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(SOURCES):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            before = self._last.get(frame, "")
            self._last[frame] = dis.opname[frame.f_code.co_code[frame.f_lasti]]
            if before.startswith(("CALL", "RESUME", "JUMP_BACKWARD")):
                self._count(frame)
        return self

    def _count(self, frame: FrameType) -> None:
        self.left -= 1
        if self.left == 0:
            self.place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
            raise KeyboardInterrupt


def interrupt(model: Any, call: Any, number: int) -> str:
    """Ask *model*, and interrupt it at that place; return which one it was, or nothing if the answer came before."""
    interrupter = Interrupter(number)
    sys.settrace(interrupter)
    try:
        answer(model, call)
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(None)
    return interrupter.place


def ask_both(model: Any, call: Any) -> list[bytes]:
    """Ask *model*, and one that has to be loaded for it."""
    return [as_bytes(answer(asked, call)) for asked in (model, palate.load_model(FOLDER / "second", trust=True))]


def main() -> None:
    """Interrupt at one place after the other, each time with a model that nobody has asked before."""
    for name in ("first", "second"):
        save_coded(FOLDER / name, word=name, pause=0)
    call, before = calls("coded")[0], set(sys.modules)
    wanted = as_bytes(answer(palate.load_model(FOLDER / "first", trust=True), call))
    number = 0
    while True:
        number += 1
        model = palate.load_model(FOLDER / "first", trust=True)
        place = interrupt(model, call, number)
        try:
            found = at_once(lambda _, interrupted=model: ask_both(interrupted, call), 2)
        except TimeoutError:
            raise TimeoutError(f"stuck after an interrupt at {place}") from None
        assert found == [[wanted, wanted]] * 2, place
        assert not any(name.split(".")[0] == "shop" for name in set(sys.modules) - before), place
        if not place:
            break
    print(number)


if __name__ == "__main__":
    main()

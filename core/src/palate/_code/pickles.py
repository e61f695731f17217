"""What a pickle refers to, read from its opcodes; nothing in it is executed or imported."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import pickletools  # a millisecond that only saving and inspecting need

__all__ = ["COMPRESSIONS", "has_byte_code", "open_pickle", "pickle_globals", "pickle_modules"]

# MLflow's names for the compressions of a pickle, with the suffix of each and the bytes it starts with.
COMPRESSIONS: dict[str, tuple[str, bytes]] = {
    "gzip": (".gz", b"\x1f\x8b"),
    "bzip2": (".bz2", b"BZh"),
    "lzma": (".xz", b"\xfd7zXZ"),
}
_ZIP = b"PK\x03\x04"
_MAX_STRING = 1000  # a longer one names no module
_MAX_ITEMS = 8  # of a tuple: the calls that matter here take one argument


def open_pickle(path: Path, compression: str | None) -> IO[bytes]:
    """Open a pickle for reading; *compression* is a key of COMPRESSIONS, or None."""
    if compression is None:
        return path.open("rb")
    import bz2
    import gzip
    import lzma

    openers: dict[str, Callable[..., Any]] = {"gzip": gzip.open, "bzip2": bz2.open, "lzma": lzma.open}
    return cast("IO[bytes]", openers[compression](path, "rb"))


def pickle_modules(source: Path | bytes) -> set[str]:
    """Return the modules that a pickle names, also those that cloudpickle's functions need imported.

    A damaged or hostile pickle gives what was found up to the fault.
    """
    return {reference.module for reference in _references(source)}


def pickle_globals(source: Path | bytes) -> set[tuple[str, str]]:
    """Return the (module, name) pairs that a pickle looks up; damage is treated as in ``pickle_modules``."""
    return {(ref.module, ref.name) for ref in _references(source) if ref.name}


def has_byte_code(source: Path | bytes) -> bool:
    """Return whether a pickle holds a function itself, as cloudpickle writes it: byte code of one version of Python."""
    return any(ref.name == "_make_function" and ref.module.startswith("cloudpickle.") for ref in _references(source))


@dataclass(frozen=True, slots=True)
class _Reference:
    """A module, and the name looked up in it; no name when the module itself is wanted."""

    module: str
    name: str = ""


_MARK = object()  # what MARK leaves on the stack
_CHANGES_TO_MARK = ("APPENDS", "SETITEMS", "ADDITEMS")  # they take their items and leave the container where it is


class _Machine:
    """Follows a pickle's stack and memo symbolically: only text, tuples and references are kept, the rest is None."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def step(self, opcode: pickletools.OpcodeInfo, arg: Any) -> _Reference | None:
        """Apply one opcode and return the reference that it makes, if any."""
        name = opcode.name
        if name in ("MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT"):
            self.memo[len(self.memo) if name == "MEMOIZE" else int(arg)] = self.stack[-1] if self.stack else None
            return None
        if name == "MARK":
            self.stack.append(_MARK)
            return None
        before = [part.name for part in opcode.stack_before]
        taken = self._take_to_mark() if "mark" in before else self._take(len(before))
        made, reference = self._effect(name, arg, taken)
        if name not in _CHANGES_TO_MARK:
            self.stack.extend([made] * len(opcode.stack_after))
        return reference

    def _take(self, count: int) -> list[Any]:
        at = max(len(self.stack) - count, 0)
        taken = self.stack[at:]
        del self.stack[at:]
        return [None] * (count - len(taken)) + taken

    def _take_to_mark(self) -> list[Any]:
        at = next((i for i in range(len(self.stack) - 1, -1, -1) if self.stack[i] is _MARK), 0)
        taken = self.stack[at + 1 : at + 1 + _MAX_ITEMS]
        del self.stack[at:]
        return taken

    def _effect(self, name: str, arg: Any, taken: list[Any]) -> tuple[Any, _Reference | None]:
        """Return what an opcode pushes, and the reference that it makes."""
        if name in ("GET", "BINGET", "LONG_BINGET"):
            return self.memo.get(int(arg)), None
        if name in ("GLOBAL", "INST"):
            module, _, attribute = str(arg).partition(" ")
            reference = _Reference(module, attribute)
            return (reference if name == "GLOBAL" else None), reference
        if name == "STACK_GLOBAL":
            found = _Reference(*taken) if all(isinstance(part, str) for part in taken) else None
            return found, found
        if name.startswith("TUPLE"):
            return tuple(taken), None
        if name == "REDUCE":
            return None, _subimport(*taken)
        if name == "DUP":
            return taken[0], None
        if isinstance(arg, str) and len(arg) <= _MAX_STRING and name.endswith(_TEXT):
            return arg, None
        return None, None


_TEXT = ("STRING", "UNICODE", "UNICODE8")


def _subimport(called: Any, arguments: Any) -> _Reference | None:
    """Return the module that cloudpickle's ``subimport`` is called for."""
    if not isinstance(called, _Reference) or called.name != "subimport" or not isinstance(arguments, tuple):
        return None
    return _Reference(arguments[0]) if len(arguments) == 1 and isinstance(arguments[0], str) else None


def _references(source: Path | bytes) -> Iterator[_Reference]:
    if isinstance(source, bytes):
        yield from _read_references(BytesIO(source))
        return
    with source.open("rb") as file:
        start = file.read(8)
    if start.startswith(_ZIP):
        yield from _zipped_references(source)
        return
    packed = next((name for name, (_, magic) in COMPRESSIONS.items() if start.startswith(magic)), None)
    with open_pickle(source, packed) as file:
        yield from _read_references(file)


def _zipped_references(source: Path) -> Iterator[_Reference]:
    """Read the pickle in the archive that torch.save writes; TorchScript's archives bring their own code."""
    import zipfile

    try:
        with zipfile.ZipFile(source) as archive:
            members = {name.partition("/")[2]: name for name in archive.namelist()}
            if "data.pkl" in members and "constants.pkl" not in members:
                with archive.open(members["data.pkl"]) as file:
                    yield from _read_references(file)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, ValueError):
        return  # damaged, compressed or encrypted as torch never writes it


def _read_references(file: IO[bytes]) -> Iterator[_Reference]:
    import pickletools

    machine = _Machine()
    try:
        for opcode, arg, _ in pickletools.genops(file):
            reference = machine.step(opcode, arg)
            if reference is not None:
                yield reference
    except (ValueError, ArithmeticError, EOFError, OSError, MemoryError, LookupError):
        return  # a pickle ends where its faults begin
    except Exception as exc:
        if type(exc).__module__ not in ("zlib", "_lzma"):  # the errors of a damaged compressed file
            raise

"""Paths: which directory a URI means, and which files a model directory may name.

``confine`` is the one door for path-valued fields of a model; MLflow follows whatever its MLmodel says, absolute paths
and ``..`` included.
"""

from __future__ import annotations

import errno
import mmap
import os
import re
import stat
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from palate.errors import InvalidModelFile, InvalidOption, ModelChanged, ModelNotFound, Problem, UnsafePath

__all__ = [
    "MODEL_FILE",
    "check_model_directory",
    "confine",
    "list_files",
    "map_plain",
    "name_problem",
    "open_member",
    "open_plain",
    "read_small",
    "resolve_path",
    "scheme_of",
]

MODEL_FILE: Final = "MLmodel"
_MAX_FILES: Final = 100_000
_MAX_DEPTH: Final = 64
_MAX_PART_BYTES: Final = 255  # NAME_MAX of every file system that Linux knows
_DRIVE: Final = re.compile(r"[A-Za-z]:")
# Behind a scheme stands a path, or a whole URI that it hands on, such as mlflow:models:/iris/3.
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(?:/|[A-Za-z][A-Za-z0-9+.-]+:/)")
# These reorder the text around them, so that a name reads as another: "model\u202Elkp.pt" shows as "modeltp.pkl".
_BIDI: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def name_problem(name: str) -> str | None:
    """Return why *name* is not a safe relative POSIX path, or None if it is."""
    if name.startswith("/"):
        return "which is an absolute path"
    if "\\" in name:
        return "which has a backslash"
    if _DRIVE.match(name):
        return "which starts with a drive letter"
    if not name.isprintable() and any(map(_is_control, name)):
        return "which has control characters"
    parts = name.split("/")
    if ".." in parts:
        return "which has '..'"
    if any(len(part.encode()) > _MAX_PART_BYTES for part in parts):
        return f"which has a part longer than {_MAX_PART_BYTES} bytes"
    if len(parts) > _MAX_DEPTH:
        return f"which is more than {_MAX_DEPTH} directories deep"
    return None


def _is_control(character: str) -> bool:
    return character in _BIDI or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")


def confine(root: Path, relative: object, *, field: str, allow_root: bool = False) -> Path:
    """Return the ordinary file or directory inside *root* that *relative* names.

    *field* names where the path came from, such as ``flavors.sklearn.pickled_model``. With *allow_root* an empty path
    or "." means *root* itself. Links are refused at every step, wherever they lead.

    Raises:
        UnsafePath: if the path leaves *root*, or could, or is no ordinary file there.
        ModelChanged: if nothing is there.
    """
    if not isinstance(relative, str):
        raise UnsafePath(f"{relative!r:.60}", field=field, reason=f"which is a {type(relative).__name__}, not text")
    if reason := name_problem(relative):
        raise UnsafePath(relative, field=field, reason=reason)
    parts = [part for part in relative.split("/") if part not in ("", ".")]
    if not parts and not allow_root:
        raise UnsafePath(relative, field=field, reason="which names the model directory itself, not a file in it")
    place = root
    for number, part in enumerate(parts, 1):
        place = place / part
        mode = _mode(place, root, relative, field)
        if stat.S_ISLNK(mode):
            raise UnsafePath(relative, field=field, reason="which goes through a symbolic link")
        if number < len(parts) and not stat.S_ISDIR(mode):
            raise ModelChanged(str(root), missing=[relative], cause=f"It is named by {field}.")
        if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
            raise UnsafePath(relative, field=field, reason=f"which is a {_kind(mode)}")
    return place


def _mode(place: Path, root: Path, relative: str, field: str) -> int:
    try:
        return os.lstat(place).st_mode
    except (FileNotFoundError, NotADirectoryError) as exc:
        raise ModelChanged(str(root), missing=[relative], cause=f"It is named by {field}.") from exc
    except OSError as exc:
        raise ModelNotFound(str(root), reason=f"'{relative}' cannot be looked at ({exc.strerror})") from exc


def _kind(mode: int) -> str:
    kinds = {
        stat.S_IFLNK: "symbolic link",
        stat.S_IFIFO: "FIFO",
        stat.S_IFSOCK: "socket",
        stat.S_IFBLK: "device",
        stat.S_IFCHR: "device",
        stat.S_IFDIR: "directory",
    }
    return kinds.get(stat.S_IFMT(mode), "special file")


def list_files(root: Path) -> list[str]:
    """Return every file under *root* as a sorted list of relative POSIX paths.

    Raises:
        UnsafePath: for links, special files, unsafe names, and more than 100,000 entries.
        ModelNotFound: if a directory cannot be listed.
    """
    found: list[str] = []
    seen = 0
    waiting = [""]
    while waiting:
        directory = waiting.pop()
        for name, mode in _scan(root, directory):
            seen += 1
            if seen > _MAX_FILES:
                raise UnsafePath(str(root), field="The model", reason=f"which holds more than {_MAX_FILES} entries")
            if reason := name_problem(name):
                raise UnsafePath(name, field="A file of the model", reason=reason)
            if stat.S_ISDIR(mode):
                waiting.append(f"{name}/")
            elif stat.S_ISREG(mode):
                found.append(name)
            else:
                raise UnsafePath(name, field="A file of the model", reason=f"which is a {_kind(mode)}")
    return sorted(found)


def _scan(root: Path, directory: str) -> Iterator[tuple[str, int]]:
    try:
        with os.scandir(root / directory) as entries:
            for entry in entries:
                yield directory + entry.name, entry.stat(follow_symlinks=False).st_mode
    except OSError as exc:
        raise ModelNotFound(str(root), reason=f"'{directory or '.'}' cannot be listed ({exc.strerror})") from exc


def open_plain(path: Path, *, follow_links: bool = False) -> int:
    """Open an ordinary file for reading and return its descriptor; never follow a link, never wait on a FIFO.

    With *follow_links*, for a path that the user names himself, a link to an ordinary file is as good as the file.

    Raises:
        UnsafePath: if *path* is a link or anything but an ordinary file.
        OSError: as ``os.open`` does otherwise.
    """
    no_links = 0 if follow_links else os.O_NOFOLLOW
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | no_links)
    except OSError as exc:
        if exc.errno in (errno.ELOOP, errno.ENXIO):  # a link; a socket
            reason = "which is a symbolic link" if exc.errno == errno.ELOOP else "which is a socket"
            raise UnsafePath(path.name, field="A file of the model", reason=reason) from exc
        raise
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise UnsafePath(path.name, field="A file of the model", reason=f"which is a {_kind(mode)}")
    return descriptor


def map_plain(path: Path) -> memoryview:
    """Return the bytes of an ordinary file: private pages of memory, which whoever has them may write to.

    Raises:
        UnsafePath, OSError: see ``open_plain``.
    """
    descriptor = open_plain(path)
    try:
        size = os.fstat(descriptor).st_size
        return memoryview(mmap.mmap(descriptor, size, access=mmap.ACCESS_COPY) if size else bytearray())
    finally:
        os.close(descriptor)


def open_member(root: Path, name: str) -> int:
    """Open a file of the model at *root* for reading, as ``open_plain`` does.

    Raises:
        UnsafePath: if it is a link or anything but an ordinary file.
        ModelNotFound: if it cannot be opened.
    """
    try:
        return open_plain(root / name)
    except OSError as exc:
        raise ModelNotFound(str(root), reason=f"'{name}' cannot be opened ({exc.strerror})") from exc


def read_small(path: Path, limit: int) -> bytes:
    """Return the content of an ordinary file of at most *limit* bytes.

    Raises:
        InvalidModelFile: if it is larger.
        ModelChanged: if it is not there.
        ModelNotFound: if it cannot be read.
        UnsafePath: if it is a link or anything but an ordinary file.
    """
    try:
        with open(open_plain(path), "rb") as file:
            content = file.read(limit + 1)
    except FileNotFoundError as exc:
        raise ModelChanged(str(path.parent), missing=[path.name]) from exc
    except UnsafePath:
        raise
    except OSError as exc:
        raise ModelNotFound(str(path.parent), reason=f"{path.name} cannot be read ({exc.strerror})") from exc
    if len(content) > limit:
        problem = Problem((), "wrong_value", f"is larger than {limit} bytes")
        raise InvalidModelFile([problem], source=path.name)
    return content


def resolve_path(uri: str | os.PathLike[str]) -> Path:
    """Return what a path or ``file://`` URI leads to, with all links on the way resolved.

    Raises:
        ModelNotFound: if nothing is there, with the reason.
    """
    path = _local_path(uri)
    try:
        # A link such as "latest" may be set anew while we read; from here on one directory is meant.
        return path.resolve(strict=True)
    except FileNotFoundError as exc:
        raise ModelNotFound(str(uri), reason="nothing is there") from exc
    except (OSError, ValueError, RuntimeError) as exc:
        reason = getattr(exc, "strerror", None) or str(exc)
        raise ModelNotFound(str(uri), reason=f"the path cannot be followed ({reason})") from exc


def check_model_directory(path: Path, uri: str) -> None:
    """Raise unless *path* is a directory with a MLmodel file in it.

    Raises:
        ModelNotFound: naming the *uri*, with the reason.
        UnsafePath: if its MLmodel is a link or a special file.
    """
    try:
        mode = os.lstat(path).st_mode
        if not stat.S_ISDIR(mode):
            raise ModelNotFound(uri, reason=f"it is a {_kind(mode)}")
        mode = os.lstat(path / MODEL_FILE).st_mode
    except FileNotFoundError as exc:
        raise ModelNotFound(uri, reason=f"the directory holds no {MODEL_FILE} file") from exc
    except ModelNotFound:
        raise
    except OSError as exc:
        raise ModelNotFound(uri, reason=f"the directory cannot be read ({exc.strerror})") from exc
    if not stat.S_ISREG(mode):
        raise UnsafePath(MODEL_FILE, field="The model directory", reason=f"which is a {_kind(mode)}")


def scheme_of(uri: object) -> str | None:
    """Return the scheme of a URI, in small letters; None of a path, and of anything that is no text."""
    scheme = _SCHEME.match(uri) if isinstance(uri, str) else None
    return scheme[1].lower() if scheme else None


def _local_path(uri: str | os.PathLike[str]) -> Path:
    text = os.fspath(uri) if isinstance(uri, str | os.PathLike) else uri
    if not isinstance(text, str):
        raise InvalidOption("uri", reason=f"is {type(text).__name__}", hint="give a path or a URI as text")
    if not text:
        raise ModelNotFound(text, reason="the path is empty")
    if scheme_of(uri) is None:
        return Path(text)
    try:
        parsed = urlsplit(text)
        path = unquote(parsed.path, errors="strict")
    except ValueError as exc:
        raise ModelNotFound(text, reason=f"it is not a URI ({exc})") from exc
    if parsed.netloc not in ("", "localhost") or parsed.query or parsed.fragment:
        raise ModelNotFound(text, reason="a file:// URI holds just a local, absolute path")
    return Path(path)

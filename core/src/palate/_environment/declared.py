"""What the caller of ``save_model`` declares that a model needs: a list of lines, or a requirements file of his own.

A caller's file may do more than a model's: name further files, constraints and indexes. Here that is taken apart, so
that a model directory gets plain lines, bounds of its own, and addresses that are only shown.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit, urlunsplit

from palate._environment.requirements import (
    LIST_OR_FILE,
    check_line_count,
    line_text,
    parse_constraints,
    parse_requirement,
    read_lines,
    redact,
    refuse_conflicts,
)
from palate.errors import InvalidOption, InvalidRequirement

if TYPE_CHECKING:
    from packaging.requirements import Requirement

__all__ = ["Declaration", "IndexOptions", "read_declaration"]

_MAX_FILES = 100
_OPTION = re.compile(
    r"(?:(?P<long>--(?:requirement|constraint|index-url|extra-index-url|find-links))(?:\s+|\s*=\s*)"
    r"|(?P<short>-[rcif])\s+)(?P<value>\S.*)"
)
_LONG = {"-r": "--requirement", "-c": "--constraint", "-i": "--index-url", "-f": "--find-links"}


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexOptions:
    """Where the caller's requirements were fetched from: addresses without credentials."""

    index_url: str | None = None
    extra_index_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """Return what MLmodel records; empty when there is nothing."""
        found: dict[str, object] = {"index_url": self.index_url} if self.index_url else {}
        lists = {"extra_index_urls": self.extra_index_urls, "find_links": self.find_links}
        return found | {key: list(addresses) for key, addresses in lists.items() if addresses}


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """What a caller declares, taken apart.

    Attributes:
        requirements: one plain requirement each, as the caller wrote them.
        constraints: bounds on packages that these bring along.
        index_options: where they were fetched from.
        warnings: what of it is not kept, in sentences.
    """

    requirements: tuple[Requirement, ...] = ()
    constraints: tuple[Requirement, ...] = ()
    index_options: IndexOptions = field(default_factory=IndexOptions)
    warnings: tuple[str, ...] = ()


def read_declaration(*sources: Sequence[str] | str | os.PathLike[str]) -> Declaration:
    """Read what the caller declares: each source is a list of lines, or the path of a requirements file.

    A file may name others by ``-r``; a list may not. Both may name constraints (``-c``) and indexes (``-i``,
    ``--extra-index-url``, ``--find-links``). Paths count from the folder of the file that they stand in.

    Raises:
        InvalidRequirement: a line is none of these, or two contradict each other.
        InvalidOption: a file cannot be read, or a line is not text.
    """
    reader = _Reader()
    for source in sources:
        # A str is a sequence of str too, and a dict of names and versions one of names; nobody means these.
        if isinstance(source, str | os.PathLike):
            reader.read_file(Path(source))
        elif isinstance(source, Iterable) and not isinstance(source, Mapping):
            reader.read(source, Path())
        else:
            raise InvalidOption("requirements", reason=f"it is {type(source).__name__}", hint=LIST_OR_FILE)
    return reader.declaration()


class _Reader:
    """Collects the lines of a caller's lists and files."""

    def __init__(self) -> None:
        self._requirements: list[Requirement] = []
        self._constraints: list[Requirement] = []
        self._addresses: dict[str, list[str]] = {"--index-url": [], "--extra-index-url": [], "--find-links": []}
        self._reading: list[Path] = []  # the file that is being read, after those that led to it
        self._files = 0
        self._lines = 0
        self._had_credentials = False
        self._had_folders = False

    def declaration(self) -> Declaration:
        refuse_conflicts(self._requirements)
        index, extra, links = (tuple(dict.fromkeys(found)) for found in self._addresses.values())
        return Declaration(
            requirements=tuple(self._requirements),
            constraints=tuple(self._constraints),
            index_options=IndexOptions(index_url=index[0] if index else None, extra_index_urls=extra, find_links=links),
            warnings=tuple(self._warnings()),
        )

    def _warnings(self) -> Iterable[str]:
        if self._had_credentials:
            yield (
                "The addresses of the indexes are recorded in the model without the credentials that were in them. "
                "Hint: keep credentials in pip's own configuration, or in ~/.netrc."
            )
        if self._had_folders:
            yield (
                "A folder of this machine, given by --find-links, is not recorded in the model. Hint: install the "
                "wheel by its path before saving, and it is copied into the model."
            )

    def read(self, lines: Iterable[object], folder: Path) -> None:
        """Take in *lines*, whose paths count from *folder*."""
        for line in lines:
            self._lines += 1
            check_line_count(self._lines)
            found = _OPTION.fullmatch(line_text(line))
            if found:
                self._take_option(found["long"] or _LONG[found["short"]], found["value"], folder, str(line))
            elif requirement := parse_requirement(line):
                self._requirements.append(requirement)

    def read_file(self, path: Path) -> None:
        """Take in the file at *path*."""
        lines = read_lines(path)  # first, since it has an error of ours for a path that nobody can resolve
        place = path.resolve()
        self._files += 1
        if place in self._reading:
            raise InvalidRequirement(
                f"-r {path.name}",
                reason="that file is being read, so it would never end",
                hint="take the line out that leads back to it",
            )
        if self._files > _MAX_FILES:
            raise InvalidRequirement(
                f"-r {path.name}", reason=f"there are more than {_MAX_FILES} files", hint="put their lines into one"
            )
        self._reading.append(place)
        self.read(lines, path.parent)
        self._reading.pop()

    def _take_option(self, option: str, value: str, folder: Path, line: str) -> None:
        if option in self._addresses:
            self._take_address(option, value, line)
            return
        if "://" in value or "$" in value:
            raise InvalidRequirement(
                redact(line), reason="only a file of this machine can be named here", hint="fetch it, and name its path"
            )
        if option == "--constraint":
            self._constraints += parse_constraints(read_lines(folder / value))
        elif self._reading:
            self.read_file(folder / value)
        else:
            raise InvalidRequirement(
                redact(line),
                reason="only a requirements file can name another one",
                hint="give the path in place of the list",
            )

    def _take_address(self, option: str, value: str, line: str) -> None:
        if option == "--find-links" and _is_local(value):
            self._had_folders = True
            return
        address = self._public_address(value, line)
        found = self._addresses[option]
        if option == "--index-url" and found and found != [address]:
            raise InvalidRequirement(
                redact(line),
                reason=f"another line says that the index is {found[0]}",
                hint="keep one as --index-url, and make the other --extra-index-url",
            )
        found.append(address)

    def _public_address(self, value: str, line: str) -> str:
        """Return an address without what could be a password."""
        parts = _split_address(value)
        if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidRequirement(
                redact(line),
                reason="an index is named by an http:// or https:// address",
                hint="write it as in --index-url https://packages.example.com/simple",
            )
        host = parts.netloc.rpartition("@")[2]
        self._had_credentials |= bool(host != parts.netloc or parts.query or parts.fragment)
        address = urlunsplit((parts.scheme, host, parts.path, "", ""))
        if "$" in address or re.search(r"\s", address):
            raise InvalidRequirement(
                redact(line),
                reason="environment variables are not expanded, and no space is kept",
                hint="write the address without them, and keep credentials in pip's own configuration, or in ~/.netrc",
            )
        return address


def _split_address(value: str) -> SplitResult | None:
    try:
        parts = urlsplit(value)
        return parts if parts.port is None or parts.port else None
    except ValueError:  # a port that is no number
        return None


def _is_local(value: str) -> bool:
    return "://" not in value or value.startswith("file:")

"""``pylock.toml`` (PEP 751), written and read.

What names an address of a file is passed over, and so never written anywhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from palate._environment.lock import (
    CREATED_BY,
    LARGEST_SIZE,
    LOCK_FILE,
    WHEELS_FOLDER,
    GitSource,
    Lock,
    LockedFile,
    LockedPackage,
)
from palate._environment.requirements import (
    MAX_LINES,
    is_name,
    line_text,
    normalise_name,
    parse_requirement,
    redact,
)
from palate.errors import InvalidModelFile, InvalidRequirement, Problem, ProblemKind

__all__ = ["LARGEST_LOCK", "parse_toml", "read_pylock", "write_pylock"]

LARGEST_LOCK: Final = 4 << 20  # bytes
_MAX_DOTS: Final = 16
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
# What wheels and sdists are called; anything else would be a path, an option or a trick.
_FILE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]*\.(?:whl|zip|tar\.(?:gz|bz2|xz))")
_LOCK_VERSION: Final = re.compile(r"1\.\d+")
# Both far shorter than the thousands of digits that Python makes no number of; packaging finds that out only when it
# compares. It also takes off spaces, which pip would be given.
_VERSION: Final = re.compile(r"[A-Za-z0-9._+!-]{1,200}")
_LONGEST_RANGE: Final = 500


# -- writing -------------------------------------------------------------------------------------------------------


def write_pylock(lock: Lock) -> str:
    """Return the text of ``pylock.toml``: the same lock, the same text."""
    head = ['lock-version = "1.0"']
    if lock.requires_python:
        head.append(f"requires-python = {_quote(lock.requires_python)}")
    head.append(CREATED_BY)
    # Without any package the key must be there nevertheless.
    tables = "\n".join("\n".join(_package_lines(package)) for package in lock.in_order()) or "packages = []"
    return "\n".join(head) + "\n\n" + tables.rstrip("\n") + "\n"


def _package_lines(package: LockedPackage) -> Iterator[str]:
    yield "[[packages]]"
    yield f"name = {_quote(normalise_name(package.name))}"
    if package.version is not None:
        yield f"version = {_quote(package.version)}"
    if package.marker:
        yield f"marker = {_quote(package.marker)}"
    if package.git is not None:
        yield from _git_table(package.git)
    files = sorted(package.files, key=lambda file: file.name)
    wheels = [file for file in files if file.name.endswith(".whl")]
    for file in [file for file in files if file not in wheels][:1]:  # the format has room for one sdist
        yield f"sdist = {_file_table(file)}"
    if wheels:
        yield "wheels = ["
        yield from (f"    {_file_table(file)}," for file in wheels)
        yield "]"
    yield ""


def _git_table(git: GitSource) -> Iterator[str]:
    folder = f", subdirectory = {_quote(git.subdirectory)}" if git.subdirectory else ""
    yield f'vcs = {{type = "git", url = {_quote(git.url)}, commit-id = {_quote(git.commit)}{folder}}}'


def _file_table(file: LockedFile) -> str:
    size = f", size = {file.size}" if file.size is not None else ""
    path = _quote(f"{WHEELS_FOLDER}/{file.name}")
    return f"{{name = {_quote(file.name)}, path = {path}{size}, hashes = {{sha256 = {_quote(file.sha256)}}}}}"


def _quote(text: str) -> str:
    # JSON's strings are TOML's, except that TOML has DEL escaped and no surrogates.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


# -- reading -------------------------------------------------------------------------------------------------------


def read_pylock(content: bytes) -> Lock:
    """Return the lock that a ``pylock.toml`` describes.

    What does not lead to an installed file (``dependencies``, ``tool``, ``environments``, ``index``) and every address
    of a file is passed over.

    Raises:
        InvalidModelFile: it is no lock, a package's file has no SHA-256, a path leads elsewhere than to ``wheels/``, or
            a package comes from an archive, a folder or an unnamed commit. All problems are listed.
    """
    reader = _Reader()
    lock = reader.lock(parse_toml(content, source=LOCK_FILE))
    if reader.problems:
        raise InvalidModelFile(reader.problems, source=LOCK_FILE)
    return lock


def parse_toml(content: bytes, *, source: str, limit: int = LARGEST_LOCK) -> Mapping[str, Any]:
    """Narrow a stranger's bytes to the table that they are in TOML.

    Raises:
        InvalidModelFile: they are none, or would take a parser for ever.
    """
    import tomllib

    def refuse(message: str) -> InvalidModelFile:
        return InvalidModelFile([Problem((), "wrong_value", message)], source=source)

    if len(content) > limit:
        raise refuse(f"is larger than {limit >> 20} MiB")
    # To tomllib, the time for a key of many parts grows as their square.
    if any(piece.count(b".") > _MAX_DOTS for line in content.splitlines() for piece in line.split(b"=")):
        raise refuse(f"has a key of more than {_MAX_DOTS} parts")
    try:
        return tomllib.loads(content.decode("utf-8"))
    except RecursionError as exc:
        raise refuse("is nested too deeply") from exc
    except ValueError as exc:
        raise refuse(f"is not TOML ({exc!s:.200})") from exc


class _Reader:
    """Narrows the tables of a lock, and notes what is wrong in them."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def lock(self, document: Mapping[str, Any]) -> Lock:
        version = document.get("lock-version")
        if not isinstance(version, str) or not _LOCK_VERSION.fullmatch(version):
            self._note(("lock-version",), "wrong_value", f"is {version!r:.40}, and this Palate reads 1.x")
        tables = list(self._tables(document, "packages", (), required=True))
        if len(tables) > MAX_LINES:
            self._note(("packages",), "wrong_value", f"has more than {MAX_LINES} packages")
            tables = []
        packages = [found for where, table in tables if (found := self._package(table, where))]
        return Lock(packages=tuple(packages), requires_python=self._requires_python(document))

    def _note(self, where: tuple[str | int, ...], kind: ProblemKind, message: str) -> None:
        self.problems.append(Problem(where, kind, message))

    def _text(self, table: Mapping[str, Any], key: str, where: tuple[str | int, ...]) -> str | None:
        value = table.get(key)
        if value is None or isinstance(value, str):
            return value
        self._note((*where, key), "wrong_type", f"is {type(value).__name__}, not text")
        return None

    def _fitting(
        self, table: Mapping[str, Any], key: str, where: tuple[str | int, ...], fits: Callable[[str], bool], noun: str
    ) -> str | None:
        """Return a text that has to be a *noun*, which *fits* judges."""
        value = self._text(table, key, where)
        if value is None or fits(value):
            return value
        self._note((*where, key), "wrong_value", f"{value!r:.80} is no {noun}")
        return None

    def _table(self, table: Mapping[str, Any], key: str, where: tuple[str | int, ...]) -> Mapping[str, Any] | None:
        value = table.get(key)
        if value is None or isinstance(value, dict):
            return value
        self._note((*where, key), "wrong_type", f"is {type(value).__name__}, not a table")
        return None

    def _tables(
        self, table: Mapping[str, Any], key: str, where: tuple[str | int, ...], *, required: bool = False
    ) -> Iterator[tuple[tuple[str | int, ...], Mapping[str, Any]]]:
        if key not in table and not required:
            return
        value = table.get(key)
        if not isinstance(value, list):
            self._note((*where, key), "missing" if value is None else "wrong_type", "has to be a list of tables")
            return
        for number, entry in enumerate(value):
            if isinstance(entry, dict):
                yield (*where, key, number), entry
            else:
                self._note((*where, key, number), "wrong_type", f"is {type(entry).__name__}, not a table")

    def _requires_python(self, document: Mapping[str, Any]) -> str | None:
        from packaging.specifiers import InvalidSpecifier, SpecifierSet

        text = self._text(document, "requires-python", ()) or ""
        with suppress(InvalidSpecifier):
            if len(text) <= _LONGEST_RANGE:
                return str(SpecifierSet(text)) or None
        self._note(("requires-python",), "wrong_value", "is not a range of versions")
        return None

    def _package(self, table: Mapping[str, Any], where: tuple[str | int, ...]) -> LockedPackage | None:
        before = len(self.problems)
        name = self._fitting(table, "name", where, is_name, "name of a package")
        version = self._fitting(table, "version", where, _is_version, "version")
        marker = self._text(table, "marker", where)
        for origin in ("archive", "directory"):
            if origin in table:
                self._note((*where, origin), "wrong_value", "installs what lies there, whatever it is")
        files = tuple(self._files(table, normalise_name(name or ""), where))
        vcs = self._table(table, "vcs", where)
        git = self._git(vcs, (*where, "vcs")) if vcs is not None else None
        if not files and git is None and len(self.problems) == before:
            self._note(where, "missing", f"{name!r:.80} has no file with a SHA-256")
        if files and git is not None:
            self._note(where, "wrong_value", "comes both from files and from a commit")
        if len(self.problems) > before:
            return None
        package = LockedPackage(name=name or "", version=version, files=files, git=git, marker=marker)
        return package if self._installs(package, where) else None

    def _installs(self, package: LockedPackage, where: tuple[str | int, ...]) -> bool:
        """Hold the line that an installer gets against the policy for requirements."""
        try:
            _parse_whole(package.requirement)
        except InvalidRequirement as exc:
            self._note(where, "wrong_value", f"was refused as the requirement {exc.line!r}: {exc.reason}")
            return False
        return True

    def _git(self, table: Mapping[str, Any], where: tuple[str | int, ...]) -> GitSource | None:
        kind, url, commit = (self._text(table, key, where) for key in ("type", "url", "commit-id"))
        if kind != "git" or not url or not commit:
            self._note(where, "wrong_value", "has to name the url and the commit-id of a git repository")
            return None
        return GitSource(url=url, commit=commit, subdirectory=self._text(table, "subdirectory", where))

    def _files(self, table: Mapping[str, Any], package: str, where: tuple[str | int, ...]) -> Iterator[LockedFile]:
        listed = list(self._tables(table, "wheels", where))
        sdist = self._table(table, "sdist", where)
        if sdist is not None:
            listed.append(((*where, "sdist"), sdist))
        for place, entry in listed:
            name, digest = self._file_name(entry, place), self._sha256(entry, place)
            if name and name.endswith(".whl") and normalise_name(name.partition("-")[0]) != package:
                self._note(place, "wrong_value", f"{name!r:.80} is a wheel of another package")
            elif name and digest:
                yield LockedFile(name=name, sha256=digest, size=self._size(entry, place))

    def _file_name(self, table: Mapping[str, Any], where: tuple[str | int, ...]) -> str | None:
        path, url = self._text(table, "path", where), self._text(table, "url", where)
        name = self._text(table, "name", where) or _last_part(url if path is None else path)
        if not _FILE_NAME.fullmatch(name):
            self._note((*where, "name"), "wrong_value", f"{name!r:.80} is not the name of a wheel or sdist")
        elif path is not None and path != f"{WHEELS_FOLDER}/{name}":
            self._note((*where, "path"), "wrong_value", f"{path!r:.80} is not '{WHEELS_FOLDER}/{name}'")
        else:
            return name
        return None

    def _sha256(self, table: Mapping[str, Any], where: tuple[str | int, ...]) -> str | None:
        digest = (self._table(table, "hashes", where) or {}).get("sha256")
        if isinstance(digest, str) and _SHA256.fullmatch(digest):
            return digest
        self._note((*where, "hashes"), "missing" if digest is None else "wrong_value", "has to have a SHA-256")
        return None

    def _size(self, table: Mapping[str, Any], where: tuple[str | int, ...]) -> int | None:
        size = table.get("size")
        if size is None or (isinstance(size, int) and not isinstance(size, bool) and 0 <= size < LARGEST_SIZE):
            return size
        self._note((*where, "size"), "wrong_value", "is not a number of bytes")
        return None


def _is_version(text: str) -> bool:
    from packaging.version import InvalidVersion, Version

    try:
        return bool(_VERSION.fullmatch(text) and Version(text))
    except InvalidVersion:
        return False


def _parse_whole(line: str) -> None:
    """Raise InvalidRequirement for a line that is not one plain requirement from its beginning to its end."""
    # What a file of the caller may have would here hide the hashes, which follow, from the installer.
    if line_text(line) != line.strip():
        raise InvalidRequirement(redact(line), reason="a part of it is a comment", hint="take the comment out")
    parse_requirement(line)


def _last_part(address: str | None) -> str:
    try:
        return unquote(urlsplit(address or "").path).rpartition("/")[2]
    except ValueError:
        return ""

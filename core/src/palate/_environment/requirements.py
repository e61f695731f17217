"""The policy for requirement lines: what pip may be given on behalf of a model.

A requirements file is a program for pip: its options fetch from other indexes, read other files and build from
arbitrary places. So a line that is not one plain PEP 508 requirement never enters a model directory, and never reaches
pip from one. The one exception is the line that names the model's own constraints.txt.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from palate._disk.paths import open_plain
from palate._environment.admission import pinned_version
from palate.errors import InvalidOption, InvalidRequirement, UnsafePath

if TYPE_CHECKING:
    from packaging.markers import Marker
    from packaging.requirements import Requirement

__all__ = [
    "CONSTRAINTS_FILE",
    "CONSTRAINTS_LINE",
    "LIST_OR_FILE",
    "MAX_LINES",
    "REQUIREMENTS_FILE",
    "applies",
    "check_line_count",
    "hide_credentials",
    "is_name",
    "line_text",
    "marker_holds",
    "merge_requirements",
    "names_in",
    "normalise_name",
    "parse_constraint",
    "parse_constraints",
    "parse_requirement",
    "parse_requirements",
    "read_lines",
    "redact",
    "refuse_conflicts",
]

REQUIREMENTS_FILE: Final = "requirements.txt"
CONSTRAINTS_FILE: Final = "constraints.txt"
# As MLflow writes it, in the last line of a model's requirements.txt.
CONSTRAINTS_LINE: Final = f"-c {CONSTRAINTS_FILE}"
LIST_OR_FILE: Final = "give a list like ['numpy==2.1.0'], or the path of a requirements file"
MAX_LINES: Final = 1000  # no environment has so many packages, and each costs time to look for

_ONE_PER_LINE = "write one 'name==version' per line"
_NO_OPTIONS = (
    "name packages and versions; of options only -r, -c and the addresses of indexes are taken, each on a line of its "
    "own, and code that is in no index can come along as code_paths=[...]"
)
_WHEEL_BY_NAME = "install the file and write name==version: a wheel that was installed by its path comes along"
_MAX_LINE_LENGTH = 4_000  # of which most is a marker, as the locks of projects have them
_MAX_FILE_BYTES = 1 << 20
_MOST_PARENTHESES = 200  # packaging reads nested ones by recursion

_COMMENT = re.compile(r"(?:^|\s)#.*")  # as pip sees it: '#' inside a word, as in a URL's fragment, is no comment
_CREDENTIALS = re.compile(r"(?<=://)[^/\s]*@")
_NAME = re.compile(r"[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9._-]*[A-Za-z0-9]")  # PEP 508; packaging also takes "foo_"
_ARBITRARY_VERSION = re.compile(r"[A-Za-z0-9._+!-]+")
# pip takes any line that ends like this, extras and marker apart, for a file in the current directory.
_ARCHIVE = re.compile(r"\.(zip|whl|tgz|tbz|txz|tlz|tar(\.(gz|bz2|xz|lz|lzma))?)$", re.IGNORECASE)
# A host may not start with '-': ssh would take it for an option.
_GIT_URL = re.compile(
    r"git\+(?:https://|ssh://git@)[A-Za-z0-9][A-Za-z0-9.-]*(?::\d{1,5})?(?:/[\w.~+-]+)+@[0-9a-f]{40}"
    r"(?:#subdirectory=[\w.+-]+(?:/[\w.+-]+)*)?",
    re.ASCII,
)


def normalise_name(name: str) -> str:
    """Return a distribution's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def names_in(lines: Iterable[str]) -> frozenset[str]:
    """Return the normalised names of the packages that *lines* are of; nobody has checked what these say besides."""
    heads = (re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", line) for line in lines)
    return frozenset(normalise_name(head[0]) for head in heads if head)


def is_name(text: str) -> bool:
    """Whether *text* may be the name of a distribution (PEP 508)."""
    return bool(_NAME.fullmatch(text))


def hide_credentials(text: str) -> str:
    """Return *text* without the names and passwords in its addresses."""
    return _CREDENTIALS.sub("***@", text)


def redact(line: str) -> str:
    """Return *line* fit for an error message: short, and without what could be a password."""
    shown = hide_credentials(line)
    return shown if len(shown) <= 120 else shown[:117] + "..."


class _LineProblem(NamedTuple):
    """Why a line is refused, and what to write instead."""

    reason: str
    hint: str

    def error(self, line: str) -> InvalidRequirement:
        return InvalidRequirement(redact(line), reason=self.reason, hint=self.hint)


def _characters_problem(line: str) -> _LineProblem | None:
    # pip splits a file at every line boundary Unicode knows (\r, \x0b, U+2028, ...), so one line could become two.
    if any(unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp") and char != "\t" for char in line):
        return _LineProblem(
            "it holds an invisible control character", "type the line anew, or save the file as plain text"
        )
    if len(line) > _MAX_LINE_LENGTH:
        return _LineProblem(f"it is longer than {_MAX_LINE_LENGTH} characters", _ONE_PER_LINE)
    return None


def _text_problem(text: str) -> _LineProblem | None:
    if not text.isascii():
        return _LineProblem(
            "it holds letters outside ASCII, which package names cannot have", "check how its name is spelt"
        )
    if text.startswith("-") or re.search(r"\s--?[A-Za-z]", text):
        return _LineProblem("pip options are not requirements", _NO_OPTIONS)
    if "$" in text:
        return _LineProblem("environment variables are not expanded", "write what the variable stands for")
    if "\\" in text:
        return _LineProblem(
            "a line cannot be continued, and a path is not a requirement", "write the whole requirement on one line"
        )
    if text.count("(") > _MOST_PARENTHESES:
        return _LineProblem("its marker is nested deeper than anybody's", "write the marker with fewer parentheses")
    return None


def _meaning_problem(requirement: Requirement) -> _LineProblem | None:
    url = requirement.url
    if url is not None and (not _GIT_URL.fullmatch(url) or ".." in url):
        return _LineProblem(
            "a URL must be git+https:// or git+ssh://git@, without a password, and end in @ and a full commit hash",
            _WHEEL_BY_NAME if url.startswith("file:") else "name the commit, or a version that an index has",
        )
    if not is_name(requirement.name):
        return _LineProblem("its name does not begin and end with a letter or digit", "check how its name is spelt")
    if any(map(_ARCHIVE.search, (requirement.name, str(requirement).partition(";")[0].strip()))):
        return _LineProblem("pip would take it for a file", _WHEEL_BY_NAME)
    arbitrary = [s.version for s in requirement.specifier if s.operator == "==="]
    if not all(map(_ARBITRARY_VERSION.fullmatch, arbitrary)):
        return _LineProblem("the version after '===' holds characters that no version has", "write '==' and a version")
    if requirement.marker is not None and _evaluate(requirement.marker, {}) is None:
        return _LineProblem(
            "its marker cannot be evaluated", "compare one of PEP 508's variables, as in python_version < '3.13'"
        )
    return None


def applies(requirement: Requirement, environment: Mapping[str, str] | None = None) -> bool:
    """Tell whether the marker of *requirement* holds; one that makes no sense does not.

    Args:
        requirement: which may come from a package, whose markers nobody has checked.
        environment: PEP 508's variables where they are not those of this Python, ``extra`` among them.
    """
    return requirement.marker is None or bool(_evaluate(requirement.marker, environment or {}))


def marker_holds(marker: str, environment: Mapping[str, str] | None = None) -> bool:
    """Tell whether a marker holds by itself, as ``applies`` does of a requirement's."""
    from packaging.markers import Marker

    return bool(_evaluate(Marker(marker), environment or {}))


def _evaluate(marker: Marker, environment: Mapping[str, str]) -> bool | None:
    """Return whether *marker* holds; None of one that makes no sense."""
    from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
    from packaging.version import InvalidVersion

    try:
        return marker.evaluate(dict(environment))
    except (UndefinedComparison, UndefinedEnvironmentName, InvalidVersion):
        return None


def line_text(line: object) -> str:
    """Return what a line says: without its comment and the space around it.

    Raises:
        InvalidRequirement: it is more than one line, or holds what nobody sees.
        InvalidOption: it is not text.
    """
    if not isinstance(line, str):
        raise InvalidOption(
            "requirements",
            reason=f"each requirement must be text, not {type(line).__name__}",
            hint=LIST_OR_FILE,
        )
    if problem := _characters_problem(line):
        raise problem.error(line)
    return _COMMENT.sub("", line).strip()


def parse_requirement(line: object) -> Requirement | None:
    """Narrow one line to a requirement; None for a blank line or a comment.

    Raises:
        InvalidRequirement: it is not one plain PEP 508 requirement.
        InvalidOption: it is not text.
    """
    # Loading packaging takes as long as the rest of `import palate`, and only saving needs it.
    from packaging.requirements import InvalidRequirement as MalformedRequirement
    from packaging.requirements import Requirement

    text = line_text(line)
    if not text:
        return None
    if problem := _text_problem(text):
        raise problem.error(text)
    try:
        requirement = Requirement(text)
    except MalformedRequirement as exc:
        reason = redact(str(exc).splitlines()[0])
        is_path = _ARCHIVE.search(text) is not None and "://" not in text
        hint = _WHEEL_BY_NAME if is_path else _ONE_PER_LINE
        raise _LineProblem(f"it is not a PEP 508 requirement ({reason})", hint).error(text) from exc
    if problem := _meaning_problem(requirement):
        raise problem.error(text)
    return requirement


def parse_constraint(line: object) -> Requirement | None:
    """Narrow one line to a bound on a package's version; None for a blank line or a comment.

    Raises:
        InvalidRequirement: it is not one plain requirement, or one with a URL or extras, which only installs can have.
        InvalidOption: it is not text.
    """
    requirement = parse_requirement(line)
    if requirement is not None and (requirement.url or requirement.extras):
        raise InvalidRequirement(
            redact(str(requirement)),
            reason="a constraint has neither a URL nor extras",
            hint="give it as a requirement, or write the name and its versions alone",
        )
    return requirement


def parse_requirements(lines: Iterable[object]) -> tuple[Requirement, ...]:
    """Narrow lines to requirements; blank lines and comments are left out.

    Raises:
        InvalidRequirement: a line is not one plain requirement, two lines pin one package differently, or there are
            more lines than any environment has.
        InvalidOption: a line is not text.
    """
    return _parse_all(lines, parse_requirement)


def parse_constraints(lines: Iterable[object]) -> tuple[Requirement, ...]:
    """Narrow lines to constraints, as ``parse_requirements`` does to requirements."""
    return _parse_all(lines, parse_constraint)


def _parse_all(lines: Iterable[object], parse: Callable[[object], Requirement | None]) -> tuple[Requirement, ...]:
    found: list[Requirement] = []
    for number, line in enumerate(lines, start=1):
        check_line_count(number)
        requirement = parse(line)
        if requirement is not None and requirement not in found[-1:]:
            found.append(requirement)
    refuse_conflicts(found)
    return tuple(found)


def check_line_count(count: int) -> None:
    """Raise InvalidRequirement for more lines than any environment has."""
    if count > MAX_LINES:
        raise InvalidRequirement(
            "...",
            reason=f"there are more than {MAX_LINES} lines",
            hint="name what the model needs directly; what that requires is found when it is installed",
        )


def read_lines(path: Path) -> list[str]:
    """Return the lines of a requirements file as they are.

    Raises:
        InvalidOption: it cannot be read, is no ordinary file or no text, or is far larger than any requirements file.
    """
    try:
        with open(open_plain(path, follow_links=True), "rb") as file:
            content = file.read(_MAX_FILE_BYTES + 1)
        if len(content) > _MAX_FILE_BYTES:
            reason = f"{path.name} is larger than {_MAX_FILE_BYTES >> 20} MiB"
            raise InvalidOption("requirements", reason=reason, hint="give the requirements of one environment")
        # Only \n and \r\n end a line here; what else pip would take for a line's end is refused in the line.
        return content.decode("utf-8-sig").replace("\r\n", "\n").split("\n")
    except (OSError, ValueError) as exc:
        raise InvalidOption(
            "requirements",
            reason=f"the file {str(path)!r} cannot be read: {_reading_problem(exc)}",
            hint=LIST_OR_FILE,
        ) from exc


def _reading_problem(failure: OSError | ValueError) -> str:
    if isinstance(failure, OSError):
        return failure.strerror or str(failure)
    if isinstance(failure, UnsafePath):
        return "it is no ordinary file"
    return "it is not UTF-8 text" if isinstance(failure, UnicodeDecodeError) else "that is no path"


def refuse_conflicts(requirements: Iterable[Requirement]) -> None:
    """Raise InvalidRequirement when two requirements pin one package to different versions under one marker."""
    pins: dict[tuple[str, str], str] = {}
    for requirement in requirements:
        pin = requirement.url or pinned_version(requirement)
        if pin is None:
            continue
        key = (normalise_name(requirement.name), str(requirement.marker or ""))
        if pins.setdefault(key, pin) != pin:
            other = redact(pins[key])
            raise InvalidRequirement(
                redact(str(requirement)),
                reason=f"another line pins {requirement.name} to {other}",
                hint="keep one of the two",
            )


def merge_requirements(base: Iterable[Requirement], later: Iterable[Requirement]) -> tuple[Requirement, ...]:
    """Return both, in order of name; a package that *later* asks for here is taken from there alone."""
    final = tuple(later)
    replaced = {normalise_name(r.name) for r in final if applies(r)}
    kept = [r for r in base if normalise_name(r.name) not in replaced]
    unique = {str(r): r for r in (*kept, *final)}
    return tuple(sorted(unique.values(), key=lambda r: (normalise_name(r.name), str(r))))

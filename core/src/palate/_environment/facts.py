"""What the ``palate:`` section of an MLmodel says of the model's environment, narrowed: the one place that reads it.

Whoever explains something uses what can be read. Whoever hands it on to an installer refuses the rest, which *problems*
lists.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final

from palate._environment.declared import IndexOptions
from palate._environment.lock import WHEELS_FOLDER
from palate._environment.requirements import normalise_name, redact
from palate.errors import Problem

__all__ = ["RecordedFacts", "read_facts"]

_WHEEL: Final = re.compile(rf"{WHEELS_FOLDER}/[A-Za-z0-9][A-Za-z0-9._+!-]*\.whl")
# Without a space or quote, so that it stays one argument, and one line of a file, wherever it is given to a program.
_ADDRESS: Final = re.compile(r"https?://[A-Za-z0-9\[][!#-;=?-~]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedFacts:
    """What an MLmodel records of its environment besides the environment files.

    Attributes:
        index_options: where the packages were fetched from; to be shown, and used only if the caller says so.
        local_labels: the local labels of installed versions, such as ``cpu``, by normalised name.
        wheels: the paths in the model directory of wheels that come with it, by normalised name.
        unresolved: imported modules that no installed distribution provided.
        unpublished: distributions whose version is recorded, though an index may not have it.
        problems: what could not be read, and is left out above.
    """

    index_options: IndexOptions = field(default_factory=IndexOptions)
    local_labels: Mapping[str, str] = field(default_factory=dict)
    wheels: Mapping[str, str] = field(default_factory=dict)
    unresolved: tuple[str, ...] = ()
    unpublished: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


def read_facts(palate: Mapping[str, Any]) -> RecordedFacts:
    """Return what the ``palate:`` section of a parsed MLmodel records; nothing is raised for odd values."""
    reader = _Reader()
    # That these are mappings, and lists of text, has been seen to when MLmodel was parsed.
    section = palate.get("environment") or {}
    return RecordedFacts(
        index_options=reader.index_options(section.get("index_options") or {}),
        local_labels=dict(reader.labels(section.get("local_labels") or {})),
        wheels=dict(reader.wheels(section.get("wheels") or {})),
        unresolved=tuple(palate.get("unresolved_modules") or ()),
        unpublished=tuple(palate.get("unpublished_packages") or ()),
        problems=tuple(reader.problems),
    )


class _Reader:
    """Narrows what a stranger may have written, and notes what is wrong in it."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def _note(self, *where: str, message: str) -> None:
        self.problems.append(Problem(("palate", "environment", *where), "wrong_value", message))

    def labels(self, section: Mapping[Any, Any]) -> Iterator[tuple[str, str]]:
        for name, label in section.items():
            if isinstance(name, str) and isinstance(label, str):
                yield normalise_name(name), label
            else:
                self._note("local_labels", message=f"{name!r:.80} has to be text, and its label as well")

    def wheels(self, section: Mapping[Any, Any]) -> Iterator[tuple[str, str]]:
        for name, path in section.items():
            named = normalise_name(str(name))
            if not isinstance(path, str) or not _WHEEL.fullmatch(path):
                self._note("wheels", message=f"{path!r:.80} is not the name of a wheel in '{WHEELS_FOLDER}/'")
            elif normalise_name(PurePosixPath(path).name.partition("-")[0]) != named:
                self._note("wheels", message=f"{path!r:.80} is a wheel of another package than {named!r:.80}")
            else:
                yield named, path

    def index_options(self, section: Mapping[Any, Any]) -> IndexOptions:
        index = section.get("index_url")
        chosen = tuple(self._addresses("index_url", [index] if index is not None else []))
        return IndexOptions(
            index_url=chosen[0] if chosen else None,
            extra_index_urls=tuple(self._addresses("extra_index_urls", section.get("extra_index_urls"))),
            find_links=tuple(self._addresses("find_links", section.get("find_links"))),
        )

    def _addresses(self, key: str, given: object) -> Iterator[str]:
        if given is not None and not isinstance(given, list):
            self._note("index_options", key, message="has to be a list of addresses")
            return
        for address in given or ():
            if isinstance(address, str) and _ADDRESS.fullmatch(address):
                yield address
            else:
                shown = redact(str(address))
                self._note("index_options", key, message=f"{shown!r} is no http:// or https:// address")

"""Where plugins come from: installed distributions, single files that the host names, objects that it registers.

Each is a candidate, which knows its name and where it is from without being imported.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from email import message_from_string
from email.message import Message
from functools import cached_property
from importlib import metadata
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Literal, Protocol, TypeAlias, cast

from palate._plugin_failures import describe_failure, type_name
from palate.hookspecs import ENTRY_POINT_GROUP, PLUGIN_GROUP

__all__ = [
    "ALIASES",
    "FILES_VARIABLE",
    "Candidate",
    "GivenPlugin",
    "InstalledPlugin",
    "Kind",
    "LocalFile",
    "find_plugins",
    "name_problem",
]

FILES_VARIABLE = "PALATE_PLUGINS"
GIVEN = "register_flavor"
# What people type for a flavor whose name is MLflow's.
ALIASES = {"torch": "pytorch", "tf": "tensorflow"}

_MAX_NAME = 100
_NAME = re.compile(rf"[A-Za-z0-9_][A-Za-z0-9_.-]{{0,{_MAX_NAME - 1}}}")

# What is said of a distribution that does not say it: its name, its version.
_UNKNOWN = ("(unknown)", "?")

# The files that were run to their end; in sys.modules there may also be one that a fork cut short.
_loaded: dict[str, ModuleType] = {}

Kind: TypeAlias = Literal["flavor", "observer"]


class Candidate(Protocol):
    """A plugin that was found, and need not have been imported.

    Attributes:
        name: what it is called: for a flavor, the key under ``flavors:`` in MLmodel.
        kind: whether it is one flavor, or runs around all of them.
        distribution: who provides it: a distribution, the path of a file, or ``register_flavor``.
        version: the distribution's; empty for a plugin that is none.
        is_hosts_own: whether the host named it itself, rather than found it installed.
        package: the top-level package of its modules; empty where that is not known.
    """

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> Kind: ...
    @property
    def distribution(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def is_hosts_own(self) -> bool: ...
    @property
    def package(self) -> str: ...

    def load(self) -> object:
        """Import and return the plugin. Raises whatever the plugin raises."""


class InstalledPlugin:
    """An entry point of an installed distribution, which is asked for its name when it matters."""

    is_hosts_own = False

    def __init__(self, entry_point: metadata.EntryPoint) -> None:
        self.entry_point = entry_point
        self.name = entry_point.name
        self.kind: Kind = "flavor" if entry_point.group == ENTRY_POINT_GROUP else "observer"
        self.package = entry_point.value.partition(":")[0].partition(".")[0].strip()

    @cached_property
    def _described(self) -> tuple[str, str]:
        return _name_and_version(self.entry_point.dist) if self.entry_point.dist else _UNKNOWN

    @property
    def distribution(self) -> str:
        return self._described[0]

    @property
    def version(self) -> str:
        return self._described[1]

    def load(self) -> object:
        if self.entry_point.pattern.match(self.entry_point.value) is None:
            raise ImportError(f"its entry point names no module: {self.entry_point.value!r:.80}")
        loaded: object = self.entry_point.load()
        return loaded


class DamagedDistribution:
    """An installed distribution whose list of entry points has plugins in it, and cannot be read.

    What those are called is not known, so it has the name of the distribution.
    """

    kind: Kind = "flavor"
    is_hosts_own = False
    package = ""

    def __init__(self, distribution: metadata.Distribution, failure: Exception) -> None:
        self.distribution, self.version = _name_and_version(distribution)
        self.name = self.distribution
        self.failure = failure

    def load(self) -> object:
        raise ImportError(f"its entry_points.txt cannot be read: {describe_failure(self.failure)}")


class LocalFile:
    """A flavor in one Python file, called like the file.

    It is imported under a name of its own, which no other module has, so that it hides none of them; classes that it
    defines are found again by pickles in this process.

    Args:
        path: the file; a leading ``~`` is the home directory.
    """

    kind: Kind = "flavor"
    is_hosts_own = True
    version = ""

    def __init__(self, path: str) -> None:
        self.path = Path(os.path.expanduser(path))
        # Where the working directory has been removed, there is no absolute path, and no such file either.
        with suppress(OSError):
            self.path = self.path.absolute()
        self.name = self.path.stem
        self.distribution = str(self.path)

    @cached_property
    def package(self) -> str:
        """The name of the file's module."""
        digest = hashlib.sha256(os.fsencode(self.path)).hexdigest()
        return f"_palate_local_{digest[:12]}_{re.sub(r'[^0-9A-Za-z_]', '_', self.name)}"

    def load(self) -> object:
        module = self.package
        if module in _loaded:
            return _loaded[module]
        spec = spec_from_file_location(module, self.path)
        if spec is None or spec.loader is None:
            raise ImportError("it is not a Python file: its name must end in .py")
        if self.path.exists() and not self.path.is_file():  # to read a pipe may take for ever
            raise ImportError("it is not a regular file")
        loaded = sys.modules[module] = module_from_spec(spec)
        try:
            spec.loader.exec_module(loaded)
        except BaseException:
            sys.modules.pop(module, None)  # the file may have taken itself out
            raise
        _loaded[module] = loaded
        return loaded


class GivenPlugin:
    """A module, class or object that the host registered in this process."""

    kind: Kind = "flavor"
    is_hosts_own = True
    distribution = GIVEN
    version = ""
    package = ""

    def __init__(self, plugin: object, name: str) -> None:
        self.plugin = plugin
        self.name = name

    @property
    def origin(self) -> str:
        """The module or class that it is, or is made of, for people to tell two of them apart."""
        if type(self.plugin) is ModuleType:
            return str(vars(self.plugin).get("__name__"))
        kind = self.plugin if type(self.plugin) is type else type(self.plugin)
        return f"{kind.__module__}.{type_name(kind)}"

    def load(self) -> object:
        return self.plugin


def find_plugins(environ: Mapping[str, str]) -> list[Candidate]:
    """Return what is installed, then the files that ``PALATE_PLUGINS`` names; nothing is imported."""
    files = environ.get(FILES_VARIABLE, "").split(os.pathsep)
    return [*_find_installed(), *(LocalFile(path) for path in files if path)]


def _find_installed() -> Iterable[Candidate]:
    try:
        return _plugins_among(metadata.entry_points().select)
    except Exception:  # one distribution that cannot be read, of whatever kind, ends the search among them all
        return _find_one_by_one()


def _find_one_by_one() -> Iterator[Candidate]:
    for distribution in metadata.distributions():
        try:
            yield from _plugins_among(distribution.entry_points.select)
        except Exception as exc:
            if _names_plugins(distribution):
                yield DamagedDistribution(distribution, exc)


def _plugins_among(select: Callable[..., Iterable[metadata.EntryPoint]]) -> list[InstalledPlugin]:
    return [*map(InstalledPlugin, select(group=ENTRY_POINT_GROUP)), *map(InstalledPlugin, select(group=PLUGIN_GROUP))]


def _names_plugins(distribution: metadata.Distribution) -> bool:
    try:
        listed = distribution.read_text("entry_points.txt") or ""
    except UnicodeDecodeError as exc:
        listed = exc.object.decode("utf-8", "replace")
    except Exception:  # it cannot be read at all: somebody else's, as far as is known
        return False
    return ENTRY_POINT_GROUP in listed or PLUGIN_GROUP in listed


def _name_and_version(distribution: metadata.Distribution) -> tuple[str, str]:
    """Return what a distribution calls itself; its metadata may be damaged where that says nothing."""
    try:
        described = cast("Message", distribution.metadata)  # parsed anew at each access
    except UnicodeDecodeError as exc:
        described = message_from_string(exc.object.decode("utf-8", "replace"))
    except Exception:
        return _UNKNOWN
    return str(described["Name"] or _UNKNOWN[0]), str(described["Version"] or _UNKNOWN[1])


def name_problem(name: str) -> str | None:
    """Return why no flavor can be called *name*, or None: it is typed, printed, and a key in MLmodel."""
    if not _NAME.fullmatch(name):
        rule = "a name is of a to z, A to Z, 0 to 9, '_', '-' and '.', not with one of the last two first"
        return f"a flavor cannot be called {name!r:.60}: {rule}, and of at most {_MAX_NAME} characters"
    if name in ALIASES:
        return f"a flavor cannot be called '{name}', which is another word for '{ALIASES[name]}'"
    return None

"""Where plugins come from: installed distributions, single files that the host names, objects that it registers.

Each is a candidate, which knows its name and where it is from without being imported.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Mapping
from functools import cached_property
from importlib import metadata
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Literal, Protocol, TypeAlias

from palate.hookspecs import ENTRY_POINT_GROUP, PLUGIN_GROUP

__all__ = [
    "ALIASES",
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

    def load(self) -> object:
        """Import and return the plugin. Raises whatever the plugin raises."""


class InstalledPlugin:
    """An entry point of an installed distribution, which is asked for its name when it matters."""

    is_hosts_own = False

    def __init__(self, entry_point: metadata.EntryPoint) -> None:
        self.entry_point = entry_point
        self.name = entry_point.name
        self.kind: Kind = "flavor" if entry_point.group == ENTRY_POINT_GROUP else "observer"

    @cached_property
    def _described(self) -> tuple[str, str]:
        if self.entry_point.dist is None:
            return "(unknown)", "?"
        described = self.entry_point.dist.metadata  # parsed anew at each access
        return described["Name"] or "(unknown)", described["Version"] or "?"

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
        self.path = Path(os.path.expanduser(path)).absolute()
        self.name = self.path.stem
        self.distribution = str(self.path)

    def load(self) -> object:
        digest = hashlib.sha256(os.fsencode(self.path)).hexdigest()
        module = f"_palate_local_{digest[:12]}_{re.sub(r'[^0-9A-Za-z_]', '_', self.name)}"
        if module in _loaded:
            return _loaded[module]
        spec = spec_from_file_location(module, self.path)
        if spec is None or spec.loader is None:
            raise ImportError("it is not a Python file: its name must end in .py")
        loaded = sys.modules[module] = module_from_spec(spec)
        try:
            spec.loader.exec_module(loaded)
        except BaseException:
            del sys.modules[module]
            raise
        _loaded[module] = loaded
        return loaded


class GivenPlugin:
    """A module, class or object that the host registered in this process."""

    kind: Kind = "flavor"
    is_hosts_own = True
    distribution = GIVEN
    version = ""

    def __init__(self, plugin: object, name: str) -> None:
        self.plugin = plugin
        self.name = name

    def load(self) -> object:
        return self.plugin


def find_plugins(environ: Mapping[str, str]) -> list[Candidate]:
    """Return what is installed, then the files that ``PALATE_PLUGINS`` names; nothing is imported."""
    found = metadata.entry_points()
    points = [*found.select(group=ENTRY_POINT_GROUP), *found.select(group=PLUGIN_GROUP)]
    files = environ.get(FILES_VARIABLE, "").split(os.pathsep)
    return [*map(InstalledPlugin, points), *(LocalFile(path) for path in files if path)]


def name_problem(name: str) -> str | None:
    """Return why no flavor can be called *name*, or None."""
    if not name or ":" in name:
        return f"a flavor cannot be called {name!r}: a name is not empty and has no ':'"
    if name in ALIASES:
        return f"a flavor cannot be called '{name}', which is another word for '{ALIASES[name]}'"
    return None

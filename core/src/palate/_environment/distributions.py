"""From the modules that code imports to the installed distributions that provide them.

``importlib.metadata.packages_distributions()`` reads and parses the file list of everything installed (189 ms for a
hundred distributions). Here the import system says where a module lies, and only the distributions of that folder are
asked, by one search in the text of their file lists. Nothing is imported.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING

from palate._environment.dependencies import find_distribution, is_whole, metadata_field
from palate._environment.installed import Package, describe_distribution, public_version, source_folder

if TYPE_CHECKING:
    from importlib.metadata import Distribution

__all__ = ["InstalledFiles", "find_providers", "installed_version", "pin_installed"]

# What follows a module's name in a list of files: a package's folder, a source file, an extension module.
_MODULE_END = re.compile(rb"/|\r?\n|\.pyc?,|\.(?:[^/,\n]+\.)?(?:so|pyd),")


def installed_version(name: str) -> str | None:
    """Return the version of the distribution *name* that is installed here, or None."""
    distribution = find_distribution(name)
    return None if distribution is None else metadata_field(distribution, "Version")


def pin_installed(name: str) -> str:
    """Return ``name==version`` for the installed distribution *name*, or *name* alone when there is none."""
    version = installed_version(name)
    return name if version is None else f"{name}{public_version(version)}"


# -- which distribution a module belongs to ------------------------------------------------------------------------


def _places(module: str) -> list[str]:
    """Return the folders that the top-level *module* would be imported from; none if no folder has it."""
    try:
        spec = PathFinder.find_spec(module)
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    files = list(spec.submodule_search_locations or []) or ([spec.origin] if spec.has_location and spec.origin else [])
    return [str(Path(file).parent) for file in files]


class InstalledFiles:
    """The distributions of some folders, their file lists read at most once."""

    def __init__(self) -> None:
        self._by_folder: dict[str, list[Distribution]] = {}
        self._contents: dict[Distribution, bytes] = {}
        self._providing: dict[str, list[Distribution]] = {}

    def under(self, folder: str) -> list[Distribution]:
        """Return the distributions installed in *folder*."""
        from importlib import metadata

        if folder not in self._by_folder:
            self._by_folder[folder] = list(metadata.distributions(path=[folder]))
        return self._by_folder[folder]

    def contents(self, distribution: Distribution) -> bytes:
        """Return the modules and files of *distribution*, each after a line's end."""
        if distribution not in self._contents:
            # Eggs and some system packages have no RECORD, wheels need not have a top_level.txt.
            parts = (_read(distribution, "top_level.txt"), _read(distribution, "RECORD"))
            self._contents[distribution] = b"\n".join((b"", *parts, b""))
        return self._contents[distribution]

    def named(self, name: str, folders: Iterable[str]) -> list[Distribution]:
        """Return the distributions called *name*, which the import system finds without listing all others."""
        from importlib import metadata

        return list(metadata.distributions(name=name, path=list(folders)))

    def holds(self, distribution: Distribution, module: str) -> bool:
        """Tell whether *distribution* holds *module*, a dotted name."""
        contents, start = self.contents(distribution), b"\n" + module.replace(".", "/").encode()
        at = contents.find(start)
        while at >= 0:  # a regular expression over the whole text takes thirty times as long
            if _MODULE_END.match(contents, at + len(start)):
                return is_whole(distribution)
            at = contents.find(start, at + 1)
        return False

    def providing(self, top: str) -> list[Distribution]:
        """Return the distributions that hold the top-level module *top*, or were installed in place with it."""
        if top not in self._providing:
            self._providing[top] = self._look_for(top)
        return self._providing[top]

    def _look_for(self, top: str) -> list[Distribution]:
        places = _places(top)
        # Nowhere on sys.path: an import hook, such as setuptools' editable installs, provides it.
        folders = places or sys.path
        if same_name := [d for d in self.named(top, folders) if self.holds(d, top)]:
            return same_name[:1]
        found = [d for folder in folders for d in self.under(folder) if self.holds(d, top)]
        return found or self.editable(places)

    def editable(self, places: Iterable[str]) -> list[Distribution]:
        """Return the distributions installed in place whose source folder holds one of *places*."""
        resolved = [Path(place).resolve() for place in places]
        homes = {home for place in resolved for home in (place, *place.parents)}
        everything = (d for folder in sys.path for d in self.under(folder)) if homes else ()
        return [d for d in everything if source_folder(d) in homes and is_whole(d)]


def _read(distribution: Distribution, name: str) -> bytes:
    # To decode the file lists of a hundred distributions takes three times as long as to read and search them.
    folder = getattr(distribution, "_path", None)
    if isinstance(folder, Path):
        try:
            return (folder / name).read_bytes()
        except OSError:
            return b""
    return (distribution.read_text(name) or "").encode()


def _narrow(found: list[Distribution], module: str, installed: InstalledFiles) -> list[Distribution]:
    """Choose among several distributions that share a top-level package: those that hold the most of *module*."""
    steps = module.split(".")
    while len(steps) > 1:
        if nearest := [d for d in found if installed.holds(d, ".".join(steps))]:
            return nearest
        steps.pop()
    return found


def _lookup(module: str, installed: InstalledFiles) -> list[Distribution]:
    found = installed.providing(module.partition(".")[0])
    return _narrow(found, module, installed) if len(found) > 1 else found


def _is_supplied(module: str) -> bool:
    """Tell whether *module* comes with Python, or is nothing that pip could install."""
    top = module.partition(".")[0]
    return top in sys.stdlib_module_names or top in ("__main__", "__mp_main__", "") or module.startswith("palate._")


def find_providers(
    modules: Iterable[str], own_modules: Iterable[str] = (), *, files: InstalledFiles | None = None
) -> tuple[list[Package], list[str]]:
    """Return the distributions that provide *modules*, and the modules that none provides.

    Args:
        modules: names as imported, dotted or top-level alone; the standard library's are passed over.
        own_modules: top-level names that the model's own code brings along.
        files: what another call has read already.
    """
    installed, own = files or InstalledFiles(), frozenset(own_modules)
    providers: dict[Distribution, None] = {}
    unresolved: set[str] = set()
    for module in sorted(set(modules)):
        if _is_supplied(module) or module.partition(".")[0] in own:
            continue
        found = _lookup(module, installed)
        providers.update(dict.fromkeys(found))
        if not found:
            unresolved.add(module.partition(".")[0])
    packages = {package.name: package for package in map(describe_distribution, providers)}
    return [packages[name] for name in sorted(packages)], sorted(unresolved)

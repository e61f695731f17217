"""From the modules that code imports to the installed distributions that provide them.

``importlib.metadata.packages_distributions()`` reads and parses the file list of everything installed (189 ms for a
hundred distributions). Here the import system says where a module lies, and only the distributions of that folder are
asked, by one search in the text of their file lists. Nothing is imported.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from palate._environment.requirements import normalise_name, parse_requirement
from palate.errors import InvalidRequirement

if TYPE_CHECKING:
    from importlib.metadata import Distribution

__all__ = ["Provider", "find_providers", "installed_version", "pin_installed"]

# What follows a module's name in a list of files: a package's folder, a source file, an extension module.
_MODULE_END = re.compile(r"/|\n|\.pyc?,|\.(?:[^/,\n]+\.)?(?:so|pyd),")


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """An installed distribution that provides a module.

    Attributes:
        name: its normalised name.
        requirement: what to give pip to get it again.
        published: whether *requirement* names something that other machines can fetch; false for editable installs
            and local files, whose version alone is written.
    """

    name: str
    requirement: str
    published: bool


# -- what one distribution says of itself --------------------------------------------------------------------------


def _direct_url(distribution: Distribution) -> Mapping[str, Any]:
    """Return PEP 610's record of where a distribution came from; empty for one from an index."""
    try:
        record = json.loads(distribution.read_text("direct_url.json") or "{}")
        urlsplit(str(record["url"]))
    except (ValueError, TypeError, KeyError):
        return {}
    return record if isinstance(record, dict) else {}


def _git_requirement(name: str, origin: Mapping[str, Any]) -> str | None:
    """Return ``name @ git+https://…@commit`` when another machine could fetch it, else None."""
    vcs = origin.get("vcs_info")
    if not isinstance(vcs, dict) or vcs.get("vcs") != "git":
        return None
    url = urlsplit(str(origin.get("url")))
    # Whoever installs it has their own credentials; ssh needs a user, and every host calls it git.
    user = "git@" if url.scheme == "ssh" else ""
    place = url.netloc.rpartition("@")[2]
    folder = f"#subdirectory={origin['subdirectory']}" if origin.get("subdirectory") else ""
    line = f"{name} @ git+{url.scheme}://{user}{place}{url.path}@{vcs.get('commit_id')}{folder}"
    try:
        return str(parse_requirement(line))
    except InvalidRequirement:
        return None  # a folder of this machine, an abbreviated commit: nothing that others could fetch


def _public_version(version: str) -> str:
    from packaging.version import InvalidVersion, Version

    try:
        # A local label (2.13.0+cpu) names a build that the index does not have.
        return f"=={Version(version).public}"
    except InvalidVersion:
        return f"==={version}"


def _has_metadata(distribution: Distribution) -> bool:
    # An interrupted uninstall leaves directories behind that look like a distribution and say nothing.
    text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
    return all(re.search(rf"^{field}: *\S", text, re.MULTILINE) for field in ("Name", "Version"))


def _describe(distribution: Distribution) -> Provider:
    metadata = distribution.metadata  # parsed anew at each access
    name = normalise_name(metadata["Name"])
    origin = _direct_url(distribution)
    fetched = _git_requirement(name, origin)
    requirement = fetched or f"{name}{_public_version(metadata['Version'])}"
    return Provider(name=name, requirement=requirement, published=bool(fetched) or not origin)


def installed_version(name: str) -> str | None:
    """Return the version of the distribution *name* that is installed here, or None."""
    # With its email parser, importlib.metadata takes as long to load as the rest of `import palate`.
    from importlib import metadata

    try:
        distribution = metadata.distribution(name)
    except (metadata.PackageNotFoundError, ValueError):
        return None
    return distribution.version if _has_metadata(distribution) else None


def pin_installed(name: str) -> str:
    """Return ``name==version`` for the installed distribution *name*, or *name* alone when there is none."""
    version = installed_version(name)
    return name if version is None else f"{name}{_public_version(version)}"


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


class _Installed:
    """The distributions of some folders, their file lists read at most once."""

    def __init__(self) -> None:
        self._by_folder: dict[str, list[Distribution]] = {}
        self._contents: dict[Distribution, str] = {}

    def under(self, folder: str) -> list[Distribution]:
        """Return the distributions installed in *folder*."""
        from importlib import metadata

        if folder not in self._by_folder:
            self._by_folder[folder] = list(metadata.distributions(path=[folder]))
        return self._by_folder[folder]

    def contents(self, distribution: Distribution) -> str:
        """Return the modules and files of *distribution*, each after a line's end."""
        if distribution not in self._contents:
            # Eggs and some system packages have no RECORD, wheels need not have a top_level.txt.
            parts = (distribution.read_text("top_level.txt"), distribution.read_text("RECORD"))
            self._contents[distribution] = "\n".join(("", *filter(None, parts), ""))
        return self._contents[distribution]

    def named(self, name: str, folders: Iterable[str]) -> list[Distribution]:
        """Return the distributions called *name*, which the import system finds without listing all others."""
        from importlib import metadata

        return list(metadata.distributions(name=name, path=list(folders)))

    def holds(self, distribution: Distribution, module: str) -> bool:
        """Tell whether *distribution* holds *module*, a dotted name."""
        contents, start = self.contents(distribution), "\n" + module.replace(".", "/")
        at = contents.find(start)
        while at >= 0:  # a regular expression over the whole text takes thirty times as long
            if _MODULE_END.match(contents, at + len(start)):
                return _has_metadata(distribution)
            at = contents.find(start, at + 1)
        return False

    def providing(self, module: str, folders: Iterable[str]) -> list[Distribution]:
        """Return the distributions in *folders* that hold *module*."""
        return [d for folder in folders for d in self.under(folder) if self.holds(d, module)]

    def editable(self, places: Iterable[str]) -> list[Distribution]:
        """Return the distributions installed in place whose source folder holds one of *places*."""
        resolved = [Path(place).resolve() for place in places]
        homes = {home for place in resolved for home in (place, *place.parents)}
        everything = (d for folder in sys.path for d in self.under(folder)) if homes else ()
        return [d for d in everything if _source_folder(d) in homes and _has_metadata(d)]


def _source_folder(distribution: Distribution) -> Path | None:
    origin = _direct_url(distribution)
    url = urlsplit(str(origin.get("url")))
    return Path(unquote(url.path)).resolve() if "dir_info" in origin and url.scheme == "file" else None


def _narrow(found: list[Distribution], module: str, installed: _Installed) -> list[Distribution]:
    """Choose among several distributions that share a top-level package: those that hold the most of *module*."""
    steps = module.split(".")
    while len(steps) > 1:
        if nearest := [d for d in found if installed.holds(d, ".".join(steps))]:
            return nearest
        steps.pop()
    return found


def _lookup(module: str, installed: _Installed) -> list[Distribution]:
    top = module.partition(".")[0]
    places = _places(top)
    # Nowhere on sys.path: an import hook, such as setuptools' editable installs, provides it.
    folders = places or sys.path
    if same_name := [d for d in installed.named(top, folders) if installed.holds(d, top)]:
        return same_name[:1]
    found = installed.providing(top, folders)
    return _narrow(found, module, installed) if len(found) > 1 else found or installed.editable(places)


def _is_supplied(module: str) -> bool:
    """Tell whether *module* comes with Python, or is nothing that pip could install."""
    top = module.partition(".")[0]
    return top in sys.stdlib_module_names or top in ("__main__", "__mp_main__", "") or module.startswith("palate._")


def find_providers(modules: Iterable[str], own_modules: Iterable[str] = ()) -> tuple[list[Provider], list[str]]:
    """Return the distributions that provide *modules*, and the modules that none provides.

    Args:
        modules: names as imported, dotted or top-level alone; the standard library's are passed over.
        own_modules: top-level names that the model's own code brings along.
    """
    installed, own = _Installed(), frozenset(own_modules)
    providers: dict[str, Provider] = {}
    unresolved: set[str] = set()
    for module in sorted(set(modules)):
        if _is_supplied(module) or module.partition(".")[0] in own:
            continue
        found = _lookup(module, installed)
        providers.update((p.name, p) for p in map(_describe, found))
        if not found:
            unresolved.add(module.partition(".")[0])
    return [providers[name] for name in sorted(providers)], sorted(unresolved)

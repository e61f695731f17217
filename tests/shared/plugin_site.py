"""Distributions with one plugin each, as pip would leave them in a folder, and the registry of only these."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

from palate._plugin_sources import InstalledPlugin
from palate._registry import FlavorRegistry

GOOD = """
from palate.hookspecs import hookimpl

HOOK_API = 1
NATIVE_PACKAGES = ("{package}",)
FORMATS = ("text",)

@hookimpl
def save_model(model, path):
    (path / "model.txt").write_text("saved")
    return {{"data": "model.txt"}}

@hookimpl
def load_model(path, config):
    return (path / config["data"]).read_text()

@hookimpl
def predict(model, data, method):
    return [model, data, method]

@hookimpl
def methods(model):
    return ("predict",)

@hookimpl
def requirements(model):
    return ()

@hookimpl
def executes_code(path, config):
    return ()
"""

OBSERVER = """
from palate.hookspecs import hookimpl
seen = []

@hookimpl(wrapper=True)
def predict(flavor, method):
    seen.append((flavor, method))
    return (yield)
"""


class PluginSite:
    """A folder of installed distributions.

    Args:
        folder: where they are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(
        self, dist: str, name: str, source: str, *, group: str = "palate.flavors", module: str | None = None
    ) -> None:
        """Write a distribution, version 1.2, with one plugin module."""
        module = module or f"plug_{dist.replace('-', '_')}"
        (self.folder / f"{module}.py").write_text(textwrap.dedent(source))
        info = self.folder / f"{dist.replace('-', '_')}-1.2.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {module}\n")

    def entry_points(self) -> list[metadata.EntryPoint]:
        """Return what all of them name."""
        return [point for dist in metadata.distributions(path=[str(self.folder)]) for point in dist.entry_points]

    def registry(self) -> FlavorRegistry:
        """Return a registry of only these distributions."""
        return FlavorRegistry(map(InstalledPlugin, self.entry_points()))


@contextmanager
def plugin_site(folder: Path) -> Iterator[PluginSite]:
    """Make a site in *folder*, on ``sys.path`` as long as the block runs; its modules are forgotten afterwards."""
    folder.mkdir()
    sys.path.insert(0, str(folder))
    before = set(sys.modules)
    try:
        yield PluginSite(folder)
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - before:
            if name.startswith("plug_"):
                del sys.modules[name]

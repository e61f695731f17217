"""The two programs that make virtual environments and install into them: uv where there is one, else pip."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal, TypeAlias

from palate._rebuilding.commands import run_tool
from palate._rebuilding.interpreters import Interpreter
from palate._rebuilding.places import interpreter_of
from palate.errors import InvalidOption

__all__ = [
    "INSTALLERS",
    "NO_PROJECT",
    "Installer",
    "InstallerName",
    "Order",
    "Pip",
    "Sources",
    "Uv",
    "choose_installer",
    "find_uv",
]

InstallerName: TypeAlias = Literal["uv", "pip"]
INSTALLERS: Final = ("auto", "uv", "pip")

_MAKE: Final = "make a virtual environment"
_CHECK: Final = "find everything that what was installed requires"
_NO_VENV: Final = "see what the disk and that Python say, or build with the other tool: installer= (CLI: --installer)"
# uv obeys the uv.toml and pyproject.toml of the folder that it runs in and of all above: of a stranger's project, too.
NO_PROJECT: Final = Path("/")
_NO_PIP: Final = "install uv (pip install uv), or the system's package of Python's venv and ensurepip modules"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where packages come from, besides what the operator has configured for the installer.

    Attributes:
        index_url: the index, instead of the configured one.
        extra_index_urls: further indexes.
        find_links: folders, or pages, of files.
        no_index: nothing but *find_links*.
        offline: no network; uv has its cache besides.
    """

    index_url: str | None = None
    extra_index_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    no_index: bool = False
    offline: bool = False

    def options(self, *, index: str = "--index-url", extra_index: str = "--extra-index-url") -> Iterator[str]:
        """Yield the options that say it. A value never stands alone, where it could be an option itself."""
        if self.no_index:
            yield "--no-index"
        if self.index_url is not None:
            yield f"{index}={self.index_url}"
        yield from (f"{extra_index}={url}" for url in self.extra_index_urls)
        yield from (f"--find-links={place}" for place in self.find_links)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One run of an installer.

    Attributes:
        what: what it gets, in words that follow "install".
        requirements: the file of what to install.
        hint: what to do when it fails.
        constraints: a file of bounds, or None.
        hashed: whether each file must have a hash that *requirements* lists.
        alone: whether what these require in turn is left out.
        builds: whether packages may be built from source, which runs their code.
    """

    what: str
    requirements: Path
    hint: str
    constraints: Path | None = None
    hashed: bool = False
    alone: bool = False
    builds: bool = False

    def lines(self) -> list[str]:
        """Return what is to be installed."""
        return [line for line in self.requirements.read_text(encoding="utf-8").splitlines() if line]

    def options(self) -> Iterator[str]:
        """Yield the options that uv and pip share."""
        if self.constraints is not None:
            yield f"--constraint={self.constraints}"
        if self.hashed:
            yield "--require-hashes"
        if self.alone:
            yield "--no-deps"
        if not self.builds:
            yield "--only-binary=:all:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Uv:
    """uv, by its executable."""

    executable: Path
    name: InstallerName = "uv"

    def make(self, directory: Path, interpreter: Interpreter, *, lock: int | None = None) -> Path:
        """Make an environment in *directory*, which may exist; return its Python."""
        command: list[str | Path] = [self.executable, "venv", "--quiet", "--no-project", "--allow-existing"]
        command += ["--python", interpreter.path, directory]
        run_tool(command, step=_MAKE, folder=NO_PROJECT, hint=_NO_VENV, lock=lock)
        return interpreter_of(directory)

    def install(self, python: Path, order: Order, sources: Sources, *, lock: int | None = None) -> None:
        """Install into the environment of *python*."""
        command: list[str | Path] = [self.executable, "pip", "install", "--quiet", "--python", python]
        command += [*self.options(order, sources), "-r", order.requirements]
        step = f"install {order.what}"
        run_tool(command, step=step, folder=NO_PROJECT, hint=order.hint, lock=lock)

    def check(self, python: Path, *, hint: str) -> None:
        """Raise EnvironmentFailed if packages there lack what they require."""
        command: list[str | Path] = [self.executable, "pip", "check", "--python", python]
        run_tool(command, step=_CHECK, folder=NO_PROJECT, hint=hint)

    @staticmethod
    def options(order: Order, sources: Sources) -> Iterator[str]:
        """Yield what uv is told of an order."""
        yield from order.options()
        # With pip's names for them, the variables UV_DEFAULT_INDEX and UV_INDEX would come first.
        yield from sources.options(index="--default-index", extra_index="--index")
        if sources.offline:
            yield "--offline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pip:
    """Python's own venv, with the pip that comes with it."""

    name: InstallerName = "pip"

    def make(self, directory: Path, interpreter: Interpreter, *, lock: int | None = None) -> Path:
        """Make an environment in *directory*, which may exist; return its Python."""
        python = interpreter_of(directory)
        command: list[str | Path] = [interpreter.path, "-I", "-m", "venv", "--without-pip", directory]
        run_tool(command, step=_MAKE, folder=directory, hint=_NO_VENV, lock=lock)
        # As venv does it, but venv keeps to itself what goes wrong in this.
        command = [python, "-I", "-m", "ensurepip", "--upgrade", "--default-pip"]
        run_tool(command, step=_MAKE, folder=directory, hint=_NO_PIP, lock=lock)
        return python

    def install(self, python: Path, order: Order, sources: Sources, *, lock: int | None = None) -> None:
        """Install into the environment of *python*."""
        command: list[str | Path] = [python, "-I", "-m", "pip", "install", "--quiet", "--no-warn-script-location"]
        command += [*self.options(order, sources), "-r", order.requirements]
        step = f"install {order.what}"
        run_tool(command, step=step, folder=order.requirements.parent, hint=order.hint, lock=lock)

    def check(self, python: Path, *, hint: str) -> None:
        """Raise EnvironmentFailed if packages there lack what they require."""
        run_tool([python, "-I", "-m", "pip", "check"], step=_CHECK, folder=NO_PROJECT, hint=hint)

    @staticmethod
    def options(order: Order, sources: Sources) -> Iterator[str]:
        """Yield what pip is told of an order."""
        yield from order.options()
        yield from sources.options()
        if sources.offline and not sources.no_index:
            yield "--no-index"


Installer: TypeAlias = Uv | Pip


def find_uv() -> Path | None:
    """Return uv's executable: on PATH, beside this Python, or in the package ``uv``."""
    beside = Path(sys.executable).parent / "uv"
    if found := shutil.which("uv") or shutil.which(beside):
        return Path(found)
    if find_spec("uv") is None:
        return None
    from uv import find_uv_bin

    try:
        return Path(find_uv_bin())
    except FileNotFoundError:
        return None


def choose_installer(asked: str, uv: Path | None) -> Installer:
    """Return the installer to use.

    Raises:
        InvalidOption: *asked* is none of INSTALLERS, or uv is asked for and not here.
    """
    if asked not in INSTALLERS:
        raise InvalidOption("installer", reason=f"there is none called {asked!r:.40}", hint=f"give {INSTALLERS}")
    if asked == "uv" and uv is None:
        raise InvalidOption("installer", reason="uv was not found", hint="pip install uv, or installer='pip'")
    return Pip() if asked == "pip" or uv is None else Uv(executable=uv)

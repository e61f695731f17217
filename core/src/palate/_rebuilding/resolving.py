"""What uv or pip find for a list of requirements: as exact lines, as a lock, or as files; and whether those are all."""

from __future__ import annotations

import hashlib
import json
import platform
import re
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import unquote, urlsplit

from palate._environment.lock import GitSource, Lock, LockedFile, LockedPackage
from palate._environment.requirements import applies, names_in, normalise_name
from palate._rebuilding.commands import run_tool
from palate._rebuilding.installers import NO_PROJECT, Installer, Order, Pip, Sources, Uv
from palate._rebuilding.interpreters import Interpreter, minor_version
from palate._rebuilding.places import write_lines
from palate._rebuilding.targets import Target
from palate.errors import EnvironmentFailed

if TYPE_CHECKING:
    from packaging.requirements import Requirement
    from packaging.version import Version

__all__ = [
    "choose_wheels",
    "download",
    "pin_for_machine",
    "pin_order",
    "pip_of",
    "resolve",
    "wheel_name",
]

Command = list[str | Path]
_Read = TypeVar("_Read")
_MAX_METADATA: Final = 4 << 20


@contextmanager
def pip_of(interpreter: Interpreter, folder: Path) -> Iterator[Command]:
    """Yield the command of a pip that runs in that Python: this environment's, or one made for it in *folder*."""
    if interpreter.minor == minor_version(platform.python_version()) and find_spec("pip") is not None:
        yield [sys.executable, "-I", "-m", "pip"]
        return
    place = folder / "pip"
    place.mkdir()
    yield [Pip().make(place, interpreter, lock=None), "-I", "-m", "pip"]


def resolve(pip: Command, order: Order, sources: Sources) -> Lock:
    """Return the files that pip would install.

    Raises:
        EnvironmentFailed: they cannot be found, or the index does not say the hash of one.
    """
    step = f"lock {order.what}"
    return Lock(packages=_read_report(pip, order, sources, lambda entry: _locked(entry, step), step=step))


def pin_order(installer: Installer, python: Path, order: Order, sources: Sources) -> Order:
    """Return an order for exactly what *order* comes to now, so that nothing is left to choose; nothing of it runs.

    Raises:
        EnvironmentFailed: it cannot be resolved.
    """
    if isinstance(installer, Uv):
        return _pin_by_uv(installer.executable, order, sources, "--python", python, step=f"resolve {order.what}")
    pip: Command = [python, "-I", "-m", "pip"]
    found = _read_report(pip, order, sources, _name_and_version, step=f"resolve {order.what}")
    given = [line for line in order.lines() if " @ " in line]  # by their addresses, such as Palate's own wheels
    addressed = names_in(given)
    return _exact(order, [*given, *(f"{name}=={version}" for name, version in found if name not in addressed)])


def pin_for_machine(uv: Path, order: Order, sources: Sources, *, target: Target, python: str) -> Order:
    """Return an order for the exact packages that are needed on another machine, which uv resolves for, unlike pip.

    pip reads the markers of packages as if they were for this machine.
    """
    where = (f"--python-version={minor_version(python)}", f"--python-platform={target.uv}")
    return _pin_by_uv(uv, order, sources, *where, step=f"fetch {order.what}")


def _pin_by_uv(uv: Path, order: Order, sources: Sources, *where: str | Path, step: str) -> Order:
    command: Command = [uv, "pip", "compile", "--quiet", "--no-header", "--no-annotate", *where]
    command += [*Uv.options(order, sources), order.requirements]
    printed = run_tool(command, step=step, folder=NO_PROJECT, hint=order.hint)
    return _exact(order, printed.splitlines())


def _exact(order: Order, lines: Sequence[str]) -> Order:
    pinned = write_lines(order.requirements.with_suffix(".pinned.txt"), lines)
    return replace(order, requirements=pinned, constraints=None, alone=True)


def _read_report(
    pip: Command, order: Order, sources: Sources, read: Callable[[Mapping[str, Any]], _Read], *, step: str
) -> tuple[_Read, ...]:
    """Return what *read* makes of each package that pip reports it would install."""
    report = order.requirements.with_suffix(".json")
    command: Command = [*pip, "install", "--dry-run", "--ignore-installed", "--quiet", f"--report={report}"]
    command += [*Pip.options(order, sources), "-r", order.requirements]
    run_tool(command, step=step, folder=order.requirements.parent, hint=order.hint)
    try:
        return tuple(read(entry) for entry in json.loads(report.read_bytes())["install"])
    except (OSError, ValueError, LookupError, TypeError) as exc:
        output = [f"pip's report cannot be read ({exc!r:.200})"]
        raise EnvironmentFailed(step, output=output, hint="install another version of pip here") from exc


def _name_and_version(entry: Mapping[str, Any]) -> tuple[str, str]:
    return normalise_name(entry["metadata"]["name"]), str(entry["metadata"]["version"])


def _locked(entry: Mapping[str, Any], step: str) -> LockedPackage:
    name, version = _name_and_version(entry)
    origin = entry["download_info"]
    if "vcs_info" in origin:
        git = GitSource(
            url=origin["url"], commit=origin["vcs_info"]["commit_id"], subdirectory=origin.get("subdirectory")
        )
        return LockedPackage(name=name, version=version, git=git)
    address = urlsplit(origin["url"])
    path = Path(unquote(address.path))
    digest = origin["archive_info"].get("hashes", {}).get("sha256")
    if digest is None and address.scheme == "file":
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest is None:
        output = [f"the index does not say the SHA-256 of {path.name}"]
        raise EnvironmentFailed(step, output=output, hint="name one that does, by index_url= (CLI: --index-url)")
    return LockedPackage(name=name, version=version, files=(LockedFile(name=path.name, sha256=digest),))


def download(pip: Command, order: Order, sources: Sources, folder: Path, *, target: Target | None, python: str) -> None:
    """Put the files that *order* takes into *folder*, as wheels.

    Args:
        pip: the command to run.
        order: what is needed.
        sources: where it comes from.
        folder: where it goes.
        target: the machine that it is for; None for this one.
        python: the version of Python that it is for.

    Raises:
        EnvironmentFailed: a file cannot be had.
    """
    if order.builds:
        command: Command = [*pip, "wheel", "--quiet", f"--wheel-dir={folder}"]
    else:
        command = [*pip, "download", "--quiet", f"--dest={folder}"]
    if target is not None:
        command += ["--implementation=cp", f"--python-version={minor_version(python)}"]
        command += [*(f"--platform={tag}" for tag in target.tags)]
    command += [*Pip.options(order, sources), "-r", order.requirements]
    run_tool(command, step=f"fetch {order.what}", folder=order.requirements.parent, hint=order.hint)


# -- is it all there? ----------------------------------------------------------------------------------------------


def choose_wheels(
    wheels: Iterable[Path], roots: Sequence[Requirement], markers: Mapping[str, str]
) -> tuple[list[Path], list[str]]:
    """Return those of *wheels* that *roots* lead to, one of a package, and the requirements that none fulfils.

    Of several versions of a package, the newest that fulfils all of its requirements is chosen.

    Raises:
        EnvironmentFailed: a wheel cannot be read.
    """
    versions = _newest_first(wheels)
    bounds: dict[str, dict[str, Requirement]] = {}
    while True:
        chosen: dict[str, Path] = {}
        missing: dict[str, None] = {}
        seen: set[tuple[str, str]] = set()
        waiting, known = list(roots), sum(map(len, bounds.values()))
        while waiting:
            requirement = waiting.pop()
            name = normalise_name(requirement.name)
            bounds.setdefault(name, {})[str(requirement)] = requirement
            path = _first_within(bounds[name].values(), versions.get(name, ()))
            if path is None:
                missing[str(requirement)] = None
                continue
            chosen[name] = path
            for extra in ("", *map(normalise_name, requirement.extras)):
                if (name, extra) not in seen:
                    seen.add((name, extra))
                    waiting += _required(path, {**markers, "extra": extra})
        # A bound that was met late may mean another choice for what came before it.
        if known == sum(map(len, bounds.values())):
            return sorted(chosen.values()), sorted(missing)


def wheel_name(path: Path) -> str:
    """Return the normalised name of the package that a wheel is of."""
    return normalise_name(path.name.partition("-")[0])


def _newest_first(wheels: Iterable[Path]) -> dict[str, list[tuple[Version, Path]]]:
    from packaging.utils import parse_wheel_filename

    found: dict[str, list[tuple[Version, Path]]] = {}
    for path in wheels:
        found.setdefault(wheel_name(path), []).append((parse_wheel_filename(path.name)[1], path))
    for versions in found.values():
        versions.sort(reverse=True)
    return found


def _first_within(bounds: Iterable[Requirement], versions: Iterable[tuple[Version, Path]]) -> Path | None:
    specifiers = [requirement.specifier for requirement in bounds if not requirement.url]
    fitting = (p for version, p in versions if all(s.contains(version, prereleases=True) for s in specifiers))
    return next(fitting, None)


def _required(wheel: Path, markers: Mapping[str, str]) -> Iterator[Requirement]:
    from packaging.requirements import InvalidRequirement, Requirement

    for line in re.findall(r"^Requires-Dist:\s*(.*?)\s*$", _metadata(wheel), re.MULTILINE):
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        if applies(requirement, markers):
            requirement.marker = None
            yield requirement


def _metadata(wheel: Path) -> str:
    try:
        with zipfile.ZipFile(wheel) as archive:
            name = next(name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name))
            with archive.open(name) as file:
                text = file.read(_MAX_METADATA).decode("utf-8", "replace")
    except (OSError, zipfile.BadZipFile, StopIteration) as exc:
        hint = "the index, or what is between, gave a damaged file: name another one by index_url= (CLI: --index-url)"
        output = [f"{wheel.name} is no wheel"]
        raise EnvironmentFailed("read the wheels that were fetched", output=output, hint=hint) from exc
    return text.replace("\r\n", "\n").partition("\n\n")[0]

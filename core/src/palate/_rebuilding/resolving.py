"""What pip finds for a list of requirements: as a lock, or as files; and whether those files are all that is needed."""

from __future__ import annotations

import hashlib
import json
import platform
import re
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from palate._environment.lock import GitSource, Lock, LockedFile, LockedPackage
from palate._environment.requirements import normalise_name
from palate._rebuilding.commands import run_tool
from palate._rebuilding.installers import Order, Pip, Sources
from palate._rebuilding.interpreters import Interpreter, minor_version
from palate._rebuilding.targets import Target
from palate.errors import EnvironmentFailed

if TYPE_CHECKING:
    from packaging.requirements import Requirement

__all__ = ["download", "find_missing", "narrow_for_uv", "pip_of", "resolve"]

Command = list[str | Path]
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


def _options(order: Order, sources: Sources) -> list[str | Path]:
    offline = ["--no-index"] if sources.offline and not sources.no_index else []
    return [*order.options(), *sources.options(), *offline, "-r", order.requirements]


def resolve(pip: Command, order: Order, sources: Sources) -> Lock:
    """Return the files that pip would install.

    Raises:
        EnvironmentFailed: they cannot be found, or the index does not say the hash of one.
    """
    report = order.requirements.with_suffix(".json")
    command: Command = [*pip, "install", "--dry-run", "--ignore-installed", "--quiet", f"--report={report}"]
    run_tool([*command, *_options(order, sources)], step=order.step, folder=order.requirements.parent)
    try:
        found = json.loads(report.read_bytes())["install"]
        return Lock(packages=tuple(_locked(entry, order.step) for entry in found))
    except (OSError, ValueError, LookupError, TypeError) as exc:
        raise EnvironmentFailed(order.step, output=[f"pip's report cannot be read ({exc!r:.200})"]) from exc


def _locked(entry: Mapping[str, Any], step: str) -> LockedPackage:
    name, version = normalise_name(entry["metadata"]["name"]), str(entry["metadata"]["version"])
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
        raise EnvironmentFailed(step, output=[f"the index does not say the SHA-256 of {path.name}"])
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
    if order.builds and target is None:
        command: Command = [*pip, "wheel", "--quiet", f"--wheel-dir={folder}"]
    else:
        command = [*pip, "download", "--quiet", f"--dest={folder}"]
    if target is not None:
        command += ["--implementation=cp", f"--python-version={minor_version(python)}"]
        command += [*(f"--platform={tag}" for tag in target.tags)]
    run_tool([*command, *_options(order, sources)], step=order.step, folder=order.requirements.parent)


def narrow_for_uv(uv: Path, order: Order, sources: Sources, *, target: Target, python: str) -> Order:
    """Return an order for the exact packages that are needed on another machine, which uv resolves for, unlike pip.

    pip reads the markers of packages as if they were for this machine.
    """
    command: Command = [uv, "pip", "compile", "--quiet", "--no-header", "--no-annotate"]
    command += [f"--python-version={minor_version(python)}", f"--python-platform={target.uv}"]
    command += [*order.options(), *sources.options(), *(["--offline"] if sources.offline else []), order.requirements]
    pinned = order.requirements.with_suffix(".pinned.txt")
    pinned.write_text(run_tool(command, step=order.step, folder=order.requirements.parent), encoding="utf-8")
    return Order(step=order.step, requirements=pinned, alone=True)


# -- is it all there? ----------------------------------------------------------------------------------------------


def find_missing(wheels: Iterable[Path], roots: Sequence[Requirement], markers: Mapping[str, str]) -> list[str]:
    """Return the requirements, of *roots* and of what they lead to, that none of *wheels* fulfils.

    Raises:
        EnvironmentFailed: a wheel cannot be read.
    """
    from packaging.utils import parse_wheel_filename

    files = {
        normalise_name(name): (path, version)
        for path in wheels
        for name, version, *_ in [parse_wheel_filename(path.name)]
    }
    missing: dict[str, None] = {}
    seen: set[tuple[str, str]] = set()
    waiting = list(roots)
    while waiting:
        requirement = waiting.pop()
        found = files.get(normalise_name(requirement.name))
        if found is None or not (requirement.url or requirement.specifier.contains(found[1], prereleases=True)):
            missing[str(requirement)] = None
            continue
        for extra in ("", *map(normalise_name, requirement.extras)):
            if (requirement.name, extra) not in seen:
                seen.add((requirement.name, extra))
                waiting += _required(found[0], {**markers, "extra": extra})
    return sorted(missing)


def _required(wheel: Path, markers: Mapping[str, str]) -> Iterator[Requirement]:
    from packaging.requirements import InvalidRequirement, Requirement

    for line in re.findall(r"^Requires-Dist:\s*(.*?)\s*$", _metadata(wheel), re.MULTILINE):
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        if requirement.marker is None or requirement.marker.evaluate(dict(markers)):
            requirement.marker = None
            yield requirement


def _metadata(wheel: Path) -> str:
    try:
        with zipfile.ZipFile(wheel) as archive:
            name = next(name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name))
            with archive.open(name) as file:
                text = file.read(_MAX_METADATA).decode("utf-8", "replace")
    except (OSError, zipfile.BadZipFile, StopIteration) as exc:
        raise EnvironmentFailed("read the wheels of the bundle", output=[f"{wheel.name} is no wheel"]) from exc
    return text.replace("\r\n", "\n").partition("\n\n")[0]

"""A bundle: every file that a model's environment needs, in one folder, for hosts that have no network."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, Final

from palate._disk.durable import sync_directory
from palate._disk.staging import Staging, stage
from palate._environment.lock import LOCK_FILE, WHEELS_FOLDER, Lock, LockedFile, LockedPackage, hashed_lines
from palate._environment.pylock import write_pylock
from palate._environment.requirements import REQUIREMENTS_FILE, normalise_name
from palate._rebuilding.bundle_notes import bundle_notes
from palate._rebuilding.installers import Order, Sources, find_uv
from palate._rebuilding.interpreters import minor_version
from palate._rebuilding.places import NOTES_FOLDER, write_lines
from palate._rebuilding.planning import Asked, Say, make_plan, open_wanted, say_nothing
from palate._rebuilding.plans import Plan
from palate._rebuilding.resolving import choose_wheels, download, pin_for_machine, pip_of, wheel_name
from palate._rebuilding.targets import Target, find_targets
from palate._rebuilding.wanted import Wanted
from palate.errors import EnvironmentFailed

__all__ = ["Bundle", "bundle_environment"]

_ROUNDS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A folder that a model's environment can be installed from, with no network.

    Attributes:
        directory: the folder.
        python_version: the minor version of Python that it is for.
        platforms: the machines that it is for; empty for machines like this one.
        wheels: the names of the files in ``wheels/``.
        size: their size in bytes.
    """

    directory: Path
    python_version: str
    platforms: tuple[str, ...]
    wheels: tuple[str, ...]
    size: int

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON data."""
        return {**asdict(self), "directory": str(self.directory)}


def bundle_environment(
    uri: str | PathLike[str],
    directory: str | PathLike[str],
    *,
    platforms: Sequence[str] = (),
    python: str | PathLike[str] | None = None,
    locked: bool | None = None,
    trust: bool = False,
    extra_requirements: Sequence[str] | str | PathLike[str] = (),
    index_url: str | None = None,
    extra_index_urls: Sequence[str] = (),
    use_recorded_index: bool = False,
    offline: bool = False,
    progress: Say | None = None,
) -> Bundle:
    """Download what the model at *uri* needs into *directory*, as wheels with their hashes, Palate's own included.

    Nothing of the model and nothing that is downloaded is run, unless *trust* allows to build packages that have no
    wheel, for this kind of machine.

    Args:
        uri: the model.
        directory: the bundle; nothing may be there.
        platforms: the machines that it is for, such as "linux-aarch64" or "manylinux2014_aarch64"; this one by default.
        python: a version, or an interpreter, instead of the version that the model asks for.
        locked: whether to take the files that the model's pylock.toml lists; by default if it has one.
        trust: allow source builds.
        extra_requirements, index_url, extra_index_urls, use_recorded_index, offline: see ``create_environment``.
        progress: is told what is being done.

    Raises:
        EnvironmentFailed: a package has no wheel for that machine, or pip failed; its own words are in the message.
        ModelExists: something is at *directory*.
        SaveFailed: the disk refused. In every case, nothing is left.
        TrustRequired, PythonNotFound, FlavorNotFound, DependencyMissing, InvalidOption, InvalidRequirement: see
            ``create_environment``.
    """
    asked = Asked(
        python=python,
        installer="pip",
        locked=locked,
        trust=trust,
        extra_requirements=extra_requirements,
        index_url=index_url,
        extra_index_urls=extra_index_urls,
        use_recorded_index=use_recorded_index,
        offline=offline,
        targets=find_targets(platforms),
    )
    _, wanted = open_wanted(uri)
    plan = make_plan(wanted, asked, task="fetch")
    targets = asked.targets
    try:
        with stage(Path(directory)) as staging:
            work = staging.path.parent / "work"
            work.mkdir()
            fetching = _Fetching(plan, work, progress or say_nothing)
            folders = {target: fetching.fetch(target) for target in targets or (None,)}
            lock = _collect(folders, plan.python)
            _write(staging, folders.values(), lock, wanted, targets)
            staging.publish()
    except EnvironmentFailed as exc:
        raise exc.after_removal() from exc
    files = [file for package in lock.packages for file in package.files]
    return Bundle(
        directory=staging.target,
        python_version=minor_version(plan.python),
        platforms=tuple(target.short_name for target in targets),
        wheels=tuple(sorted(file.name for file in files)),
        size=sum(file.size or 0 for file in files),
    )


class _Fetching:
    """Fetching the files for one or several machines."""

    def __init__(self, plan: Plan, work: Path, say: Say) -> None:
        self._plan, self._work, self._say = plan, work, say

    def fetch(self, target: Target | None) -> Path:
        """Return a folder with all files for *target*."""
        name = target.short_name if target else "this machine"
        place = self._work / (target.short_name if target else "here")
        (place / NOTES_FOLDER).mkdir(parents=True)
        folder = place / WHEELS_FOLDER
        folder.mkdir()
        plan = self._plan.for_machine(target) if target else self._plan
        with pip_of(plan.interpreter, place) as pip:
            for order, sources in plan.orders(place):
                self._say(f"fetching {order.what} for {name}")
                if target is not None and order.requirements.name == REQUIREMENTS_FILE:
                    _fetch_resolved(pip, order, sources, folder, target, plan.python)
                else:
                    download(pip, order, sources, folder, target=target, python=plan.python)
        for wheel in plan.packed:
            (folder / wheel.file_name).write_bytes(wheel.content)
        _hold_to_lock(folder, plan.lock)
        return folder


def _fetch_resolved(
    pip: list[str | Path], order: Order, sources: Sources, folder: Path, target: Target, python: str
) -> None:
    """Fetch what is needed on another machine: resolved by uv, or by pip and then looked through."""
    from packaging.requirements import Requirement

    uv = find_uv()
    again = order
    if uv is not None and target.uv is not None:
        again = pin_for_machine(uv, order, sources, target=target, python=python)
    roots = [Requirement(line) for line in order.lines()]
    for number in range(_ROUNDS):
        download(pip, again, sources, folder, target=target, python=python)
        chosen, missing = choose_wheels(folder.glob("*.whl"), roots, target.markers(python))
        if not missing:
            for path in set(folder.glob("*.whl")) - set(chosen):
                if wheel_name(path) in set(map(wheel_name, chosen)):
                    path.unlink()  # another version, which pip took before it was told all bounds
            return
        more = write_lines(order.requirements.with_name(f"missing-{number}.txt"), missing)
        again = replace(order, requirements=more)
    output = [f"nothing was found for {line}" for line in missing]
    raise EnvironmentFailed(f"fetch {order.what}", output=output, hint=order.hint)


def _hold_to_lock(folder: Path, lock: Lock | None) -> None:
    """Raise EnvironmentFailed if a file is not the one that the lock lists for its package."""
    listed = {(package.name, file.sha256) for package in (lock.packages if lock else ()) for file in package.files}
    names = {name for name, _ in listed}
    for package in _packages(folder):
        for file in package.files:
            if package.name in names and (package.name, file.sha256) not in listed:
                output = [f"{file.name} is none of the files that the model's {LOCK_FILE} lists"]
                hint = "name the index that it was locked with, or go without: locked=False (CLI: --not-locked)"
                raise EnvironmentFailed("fetch the locked packages", output=output, hint=hint)


def _packages(folder: Path) -> list[LockedPackage]:
    from packaging.utils import parse_wheel_filename

    found = []
    for path in sorted(folder.iterdir()):
        name, version, _, _ = parse_wheel_filename(path.name)
        with path.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        file = LockedFile(name=path.name, sha256=digest, size=path.stat().st_size)
        found.append(LockedPackage(name=normalise_name(name), version=str(version), files=(file,)))
    return found


def _collect(folders: Mapping[Target | None, Path], python: str) -> Lock:
    """Return one lock of the files for all machines; what only some of them need has a marker."""
    files: dict[tuple[str, str | None], dict[str, LockedFile]] = {}
    homes: dict[tuple[str, str | None], set[Target | None]] = {}
    for target, folder in folders.items():
        for package in _packages(folder):
            key = (package.name, package.version)
            files.setdefault(key, {}).update((file.name, file) for file in package.files)
            homes.setdefault(key, set()).add(target)
    packages = [
        LockedPackage(
            name=name,
            version=version,
            files=tuple(found.values()),
            marker=None if len(homes[name, version]) == len(folders) else _marker(homes[name, version]),
        )
        for (name, version), found in files.items()
    ]
    # Wheels are tied to the minor version of Python.
    return Lock(packages=tuple(packages), requires_python=f"=={minor_version(python)}.*")


def _marker(targets: Iterable[Target | None]) -> str:
    facts = [target.markers("3") for target in targets if target is not None]
    terms = {f"sys_platform == '{f['sys_platform']}' and platform_machine == '{f['platform_machine']}'" for f in facts}
    return " or ".join(sorted(terms))


def _write(staging: Staging, folders: Iterable[Path], lock: Lock, wanted: Wanted, targets: Sequence[Target]) -> None:
    wheels = staging.path / WHEELS_FOLDER
    wheels.mkdir()
    for folder in folders:
        for path in folder.iterdir():
            os.replace(path, wheels / path.name)
    texts = {
        REQUIREMENTS_FILE: "".join(f"{line}\n" for line in hashed_lines(lock)),
        LOCK_FILE: write_pylock(lock),
        "README.md": bundle_notes(wanted, lock, [target.short_name for target in targets]),
    }
    for name, text in texts.items():
        (staging.path / name).write_text(text, encoding="utf-8", newline="\n")
    for path in staging.path.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    sync_directory(wheels)
    shutil.rmtree(staging.path.parent / "work")

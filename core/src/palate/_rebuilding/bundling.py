"""A bundle: every file that a model's environment needs, in one folder, for hosts that have no network."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from palate._disk.manifest import sync_directory
from palate._disk.staging import Staging, stage
from palate._environment.lock import (
    LOCK_FILE,
    WHEELS_FOLDER,
    Lock,
    LockedFile,
    LockedPackage,
    hashed_lines,
    write_pylock,
)
from palate._environment.requirements import REQUIREMENTS_FILE, normalise_name
from palate._rebuilding.bundle_notes import bundle_notes
from palate._rebuilding.installers import Order, Pip, Sources, find_uv
from palate._rebuilding.interpreters import Interpreter, find_interpreter, minor_version
from palate._rebuilding.palates import find_palates
from palate._rebuilding.places import NOTES_FOLDER
from palate._rebuilding.planning import Asked, choose_lock, choose_sources, open_wanted, palate_extras
from palate._rebuilding.plans import Plan, check_lock
from palate._rebuilding.policy import refuse_commits
from palate._rebuilding.repacking import PackedWheel, pack_distribution
from palate._rebuilding.resolving import download, find_missing, narrow_for_uv, pip_of
from palate._rebuilding.targets import Target, find_targets
from palate._rebuilding.wanted import Wanted
from palate.errors import EnvironmentFailed, PythonNotFound

if TYPE_CHECKING:
    from packaging.requirements import Requirement

__all__ = ["Bundle", "bundle_environment"]

Say = Callable[[str], None]
_ROUNDS: Final = 4


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
    python_version: str | None = None,
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
        python_version: instead of the version that the model asks for.
        locked: whether to take the files that the model's pylock.toml lists; by default if it has one.
        trust: allow source builds.
        extra_requirements, index_url, extra_index_urls, use_recorded_index, offline: see ``create_environment``.
        progress: is told what is being done.

    Raises:
        EnvironmentFailed: a package has no wheel for that machine, or pip failed; its own words are in the message.
        ModelExists: something is at *directory*.
        SaveFailed: the disk refused. In every case, nothing is left.
        TrustRequired, PythonNotFound, InvalidOption, InvalidRequirement: see ``create_environment``.
    """
    asked = Asked(
        python=python_version,
        installer="pip",
        locked=locked,
        trust=trust,
        extra_requirements=extra_requirements,
        index_url=index_url,
        extra_index_urls=extra_index_urls,
        use_recorded_index=use_recorded_index,
        offline=offline,
        bundle=None,
    )
    targets = find_targets(platforms)
    _, wanted = open_wanted(uri)
    if not trust:
        refuse_commits(wanted)
    interpreter, version = _find_python(wanted, python_version, cross=bool(targets))
    with stage(Path(directory)) as staging:
        work = staging.path.parent / "work"
        work.mkdir()
        job = _Job(wanted, asked, interpreter, version, work, progress or (lambda _: None))
        folders = {target: job.fetch(target) for target in targets or (None,)}
        lock = _collect(folders, version)
        _write(staging, folders.values(), lock, wanted, targets)
        names = sorted(file.name for package in lock.packages for file in package.files)
        size = sum(file.size or 0 for package in lock.packages for file in package.files)
        staging.publish()
    return Bundle(
        directory=staging.target,
        python_version=minor_version(version),
        platforms=tuple(f"{target.system}-{target.word}" for target in targets),
        wheels=tuple(names),
        size=size,
    )


def _find_python(wanted: Wanted, asked: str | None, *, cross: bool) -> tuple[Interpreter, str]:
    """Return the Python whose pip looks for files, and the version that they are for."""
    version = asked or wanted.python or platform.python_version()
    try:
        found = find_interpreter(wanted.python, asked=asked, uv=find_uv())
        return found, found.version if asked is None or not cross else version
    except PythonNotFound:
        if not cross:
            raise
        # For another machine, pip need not run in the Python that the files are for.
        return find_interpreter(platform.python_version(), asked=None, uv=None), version


class _Job:
    """Fetching the files for one or several machines."""

    def __init__(
        self, wanted: Wanted, asked: Asked, interpreter: Interpreter, version: str, work: Path, say: Say
    ) -> None:
        self._wanted, self._asked, self._interpreter = wanted, asked, interpreter
        self._version, self._work, self._say = version, work, say
        palates = find_palates(wanted)
        self._packed: tuple[PackedWheel, ...] = tuple(map(pack_distribution, palates.distributions))
        self._missing = palates.missing
        self._lock = choose_lock(wanted, asked.locked)
        self._extra = asked.extra()
        self._sources = choose_sources(wanted, asked, self._extra)
        if self._lock is not None:
            check_lock(self._lock, interpreter)

    def fetch(self, target: Target | None) -> Path:
        """Return a folder with all files for *target*."""
        name = f"{target.system}-{target.machine}" if target else "here"
        place = self._work / name
        (place / NOTES_FOLDER).mkdir(parents=True)
        folder = place / WHEELS_FOLDER
        folder.mkdir()
        plan = self._plan(target)
        with pip_of(self._interpreter, place) as pip:
            for order, sources in plan.orders(place):
                self._say(f"{order.step.replace('install', 'fetching', 1)} for {name}")
                if target is not None and order.requirements.name == REQUIREMENTS_FILE:
                    self._fetch_resolved(pip, order, sources, folder, target)
                else:
                    download(pip, order, sources, folder, target=target, python=self._version)
        for wheel in self._packed:
            (folder / wheel.file_name).write_bytes(wheel.content)
        _hold_to_lock(folder, plan.lock)
        return folder

    def _plan(self, target: Target | None) -> Plan:
        markers = target.markers(self._version) if target else None
        narrowed = replace(
            self._wanted,
            requirements=_narrow(self._wanted.requirements, markers),
            constraints=_narrow(self._wanted.constraints, markers),
        )
        return Plan(
            wanted=narrowed,
            interpreter=self._interpreter,
            installer=Pip(),
            packed=self._packed,
            extras=palate_extras(self._wanted),
            missing=self._missing,
            extra=self._extra,
            lock=_narrow_lock(self._lock, markers),
            is_bundle=False,
            sources=self._sources,
            builds=self._asked.trust and target is None,
        )

    def _fetch_resolved(
        self, pip: list[str | Path], order: Order, sources: Sources, folder: Path, target: Target
    ) -> None:
        """Fetch what is needed on another machine: resolved by uv, or by pip and then looked through."""
        uv = find_uv()
        first = order
        if uv is not None and target.uv is not None:
            first = narrow_for_uv(uv, order, sources, target=target, python=self._version)
        download(pip, first, sources, folder, target=target, python=self._version)
        roots = _roots(order.requirements)
        missing: list[str] = []
        for number in range(_ROUNDS):
            missing = find_missing(folder.glob("*.whl"), roots, target.markers(self._version))
            if not missing:
                return
            more = order.requirements.with_name(f"missing-{number}.txt")
            more.write_text("".join(f"{line}\n" for line in missing), encoding="utf-8")
            again = replace(order, requirements=more)
            download(pip, again, sources, folder, target=target, python=self._version)
        raise EnvironmentFailed(order.step, output=[f"nothing was found for {line}" for line in missing])


def _roots(file: Path) -> list[Requirement]:
    from packaging.requirements import Requirement

    return [Requirement(line) for line in file.read_text(encoding="utf-8").splitlines() if line]


def _narrow(requirements: Iterable[Requirement], markers: Mapping[str, str] | None) -> tuple[Requirement, ...]:
    """Return the requirements that count on another machine, without their markers, which pip would judge by this."""
    from packaging.requirements import Requirement

    if markers is None:
        return tuple(requirements)
    kept = []
    for requirement in requirements:
        if requirement.marker is None or requirement.marker.evaluate(dict(markers)):
            plain = Requirement(str(requirement))
            plain.marker = None
            kept.append(plain)
    return tuple(kept)


def _narrow_lock(lock: Lock | None, markers: Mapping[str, str] | None) -> Lock | None:
    from packaging.markers import Marker

    if lock is None or markers is None:
        return lock
    counting = [p for p in lock.packages if p.marker is None or Marker(p.marker).evaluate(dict(markers))]
    return replace(lock, packages=tuple(replace(package, marker=None) for package in counting))


def _hold_to_lock(folder: Path, lock: Lock | None) -> None:
    """Raise EnvironmentFailed if a file is not the one that the lock lists for its package."""
    listed = {(package.name, file.sha256) for package in (lock.packages if lock else ()) for file in package.files}
    names = {name for name, _ in listed}
    for package in _packages(folder):
        for file in package.files:
            if package.name in names and (package.name, file.sha256) not in listed:
                output = [f"{file.name} is none of the files that the model's {LOCK_FILE} lists"]
                raise EnvironmentFailed("bundle the locked packages", output=output)


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
        "README.md": bundle_notes(wanted, lock, [f"{target.system}-{target.word}" for target in targets]),
    }
    for name, text in texts.items():
        (staging.path / name).write_text(text, encoding="utf-8", newline="\n")
    for path in staging.path.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    sync_directory(wheels)
    shutil.rmtree(staging.path.parent / "work")

"""What two models ask of whoever opens them: packages, a flavor, trust. None of it is noticed by who only calls."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from palate._diff.change import Change, ChangeKind, Part
from palate._environment.lock import Lock
from palate._environment.recorded import RecordedEnvironment, RefusedLine, read_recorded_lock
from palate._environment.requirements import normalise_name
from palate._opened import OpenedModel
from palate.inspection import ModelInfo

if TYPE_CHECKING:
    from packaging.requirements import Requirement

__all__ = ["compare_environments", "compare_flavors", "compare_trust"]

_SHOWN = reprlib.Repr()
_SHOWN.maxstring = _SHOWN.maxother = 60


def _compare_values(part: Part, place: str, old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Change]:
    """Yield what is new, gone or other among named values."""
    for name in sorted(old.keys() | new.keys()):
        was, now = old.get(name), new.get(name)
        if was == now:
            continue
        kind: ChangeKind = "added" if was is None else "removed" if now is None else "changed"
        detail = f"was {was}, is {now}" if was is not None and now is not None else str(was if now is None else now)
        yield Change(part=part, where=(place, name), kind=kind, detail=detail)


# -- environments ------------------------------------------------------------------------------------------------------


def compare_environments(old: OpenedModel, new: OpenedModel) -> Iterator[Change]:
    """Yield how the environments that two models ask for differ, package by package."""
    was, now = old.read_environment(), new.read_environment()
    if was.python != now.python:
        detail = f"was {was.python or 'not said'}, is {now.python or 'not said'}"
        yield Change(part="environment", where=("python",), kind="changed", detail=detail)
    yield from _compare_values("environment", "requirements", _by_name(was.requirements), _by_name(now.requirements))
    yield from _compare_values("environment", "constraints", _by_name(was.constraints), _by_name(now.constraints))
    locks = [_locked(read_recorded_lock(opened.path)) for opened in (old, new)]
    yield from _compare_values("environment", "lock", *locks)
    yield from _compare_values("environment", "unreadable", _refused(was), _refused(now))


def _by_name(requirements: Iterable[Requirement]) -> dict[str, str]:
    """Return what is asked of each package, which may be several lines, each for another machine."""
    lines: dict[str, list[str]] = {}
    for requirement in requirements:
        lines.setdefault(normalise_name(requirement.name), []).append(str(requirement))
    return {name: " and ".join(sorted(asked)) for name, asked in lines.items()}


def _locked(lock: Lock | RefusedLine | None) -> dict[str, str]:
    if not isinstance(lock, Lock):
        return {} if lock is None else {lock.file: f"cannot be used: {lock.reason}"}
    lines: dict[str, list[str]] = {}
    for package in lock.packages:
        lines.setdefault(normalise_name(package.name), []).append(package.requirement)
    return {name: " and ".join(sorted(pins)) for name, pins in lines.items()}


def _refused(recorded: RecordedEnvironment) -> dict[str, str]:
    return {f"{line.file}: {line.line or 'all of it'}"[:200]: line.reason for line in recorded.refused}


# -- flavors -----------------------------------------------------------------------------------------------------------


def compare_flavors(old: OpenedModel, new: OpenedModel) -> Iterator[Change]:
    """Yield how the flavors that open two models differ, and what each flavor's section of MLmodel says."""
    was, now = old.flavor_name(), new.flavor_name()
    if was != now:
        yield Change(part="flavor", where=(), kind="changed", detail=f"was {was}, is {now}")
    before, after = old.model_file.flavors, new.model_file.flavors
    for name in sorted(before.keys() | after.keys()):
        if name in before and name in after:
            yield from _compare_values("flavor", name, _texts(before[name]), _texts(after[name]))
        else:
            kind: ChangeKind = "added" if name in after else "removed"
            yield Change(part="flavor", where=(name,), kind=kind, detail="one of the flavors that MLmodel names")


def _texts(section: Mapping[str, Any]) -> dict[str, str]:
    return {key: value if isinstance(value, str) else _SHOWN.repr(value) for key, value in section.items()}


# -- trust -------------------------------------------------------------------------------------------------------------


def compare_trust(old: ModelInfo, new: ModelInfo) -> Iterator[Change]:
    """Yield whether code of the model's own runs, where it did not, and what its flavor guarantees without."""
    for name, info in (("A", old), ("B", new)):
        if info.plugin_problem is not None:
            detail = f"whether {name} needs trust cannot be told here: {info.plugin_problem}"
            yield Change(part="trust", where=(), kind="changed", detail=detail)
            return
    was, now = (sorted(map(str, info.reasons)) for info in (old, new))
    if now and not was:
        detail = f"it opens only with trust, since it runs code: {'; '.join(now)}"
        yield Change(part="trust", where=(), kind="narrowed", detail=detail, breaks=True)
    elif was and not now:
        yield Change(part="trust", where=(), kind="widened", detail="it opens without trust, and runs no code any more")
    elif was != now:
        yield Change(part="trust", where=(), kind="changed", detail=f"the code that it runs is {'; '.join(now)}")
    elif old.guarantees is not None and new.guarantees is not None:
        for promise in ("no_code", "memory_safe", "bounded"):
            before, after = getattr(old.guarantees, promise), getattr(new.guarantees, promise)
            if before != after:
                word = "guaranteed" if after else "not guaranteed any more"
                yield Change(part="trust", where=(promise,), kind="widened" if after else "narrowed", detail=word)

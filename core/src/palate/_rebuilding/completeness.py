"""Whether what was asked for is there, once an installer says that it is done.

The configuration of uv or pip, which is the user's own and not left out because it says where packages come from, may
also send them to another folder (``target``, ``prefix``) or leave out what they require (``no-deps``).
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path

from palate._environment.requirements import normalise_name
from palate._rebuilding.plans import Plan
from palate.errors import EnvironmentFailed

__all__ = ["check_installed"]


def check_installed(plan: Plan, directory: Path, python: Path) -> None:
    """Raise EnvironmentFailed if something that *plan* installs is not in the environment at *directory*."""
    hint = f"see whether {plan.installer.name}'s configuration has target, prefix, root or no-deps, and do without"
    places = list(map(str, directory.glob("lib/python3*/site-packages")))
    missing = [name for name in _names(plan) if next(iter(distributions(name=name, path=places)), None) is None]
    if missing:
        output = [f"{plan.installer.name} put none of these there: {', '.join(missing)}"]
        raise EnvironmentFailed(f"find in '{directory}' what was installed", output=output, hint=hint)
    # A project may lock what its packages' own requirements would not admit.
    if plan.lock is None or plan.is_bundle:
        plan.installer.check(python, hint=hint)


def _names(plan: Plan) -> Iterator[str]:
    yield from (normalise_name(wheel.name) for wheel in plan.packed)
    yield from plan.missing
    yield from (normalise_name(line.name) for line in (*plan.wanted.requirements, *plan.extra.requirements))
    yield from (normalise_name(package.name) for package in (plan.lock.packages if plan.lock else ()))

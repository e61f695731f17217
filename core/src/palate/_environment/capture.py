"""The environment of a model that is being saved, from evidence; nothing is imported, started or fetched to find it.

Evidence is what the flavor says, the distributions of the modules that user code imports or that a pickle names, and
those of the modules that the model's code was seen to import while it predicted on its example. What the caller
declares counts before all of it.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from palate._environment.admission import admits_but_for_label, admits_version, pinned_version
from palate._environment.builds import find_build
from palate._environment.declared import Declaration, read_declaration
from palate._environment.dependencies import InstalledGraph, extras_of, metadata_field, name_of
from palate._environment.distributions import InstalledFiles, find_providers, pin_installed
from palate._environment.environment import BUILD_TOOLS, Environment
from palate._environment.installed import Package, describe_distribution
from palate._environment.local_wheels import LocalWheel, find_wheel
from palate._environment.recorded import is_mlflow
from palate._environment.requirements import applies, merge_requirements, normalise_name, parse_requirements, redact
from palate._environment.source import find_lock
from palate._late import LateModule
from palate.errors import InvalidRequirement

if TYPE_CHECKING:
    from importlib.metadata import Distribution

    from packaging.requirements import Requirement

    from palate._environment import project_lock
else:
    project_lock = LateModule("palate._environment.project_lock")

__all__ = ["Evidence", "capture_environment"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of a model's needs without asking its caller.

    Attributes:
        flavor_requirements: what the flavor says that loading needs.
        modules: modules that user code imports or pickles name; dotted names tell namespace packages apart.
        observed: modules that were imported when the model predicted on its example.
        own_modules: top-level modules that the model's own code brings along.
    """

    flavor_requirements: Sequence[str] = ()
    modules: frozenset[str] = frozenset()
    observed: frozenset[str] = frozenset()
    own_modules: frozenset[str] = frozenset()


def capture_environment(
    evidence: Evidence,
    *,
    requirements: Sequence[str] | str | os.PathLike[str] | None = None,
    extra_requirements: Sequence[str] | str | os.PathLike[str] | None = None,
    project: Path | None = None,
) -> Environment:
    """Return the environment of a model that is being saved by this Python.

    Args:
        evidence: what the model is seen to need.
        requirements: replaces all evidence: a list of requirements, or the path of a requirements file.
        extra_requirements: is added; for a package named twice, the requirement given here counts.
        project: a file or folder of the project that the model is saved in, whose lock is taken over if it fits.

    Raises:
        InvalidRequirement: a line is none that a model may have, or two of the caller's contradict each other.
        InvalidOption: a requirements file cannot be read.
    """
    declared = read_declaration(*(source for source in (requirements, extra_requirements) if source is not None))
    graph = InstalledGraph()
    findings = _Findings(declared=declared, graph=graph)
    if requirements is None:
        findings.add_evidence(evidence)
    else:
        findings.requirements = merge_requirements((), declared.requirements)
    findings.check_constraints()
    findings.check_declared()
    if requirements is not None:
        findings.check_completeness(evidence.flavor_requirements)
    findings.look_at_origins(with_dependencies=requirements is None)
    lock = findings.take_lock(project)
    return Environment(
        python=platform.python_version(),
        requirements=tuple(map(str, findings.requirements)),
        constraints=tuple(map(str, merge_requirements((), declared.constraints))),
        index_options=declared.index_options,
        build_tools=tuple(map(pin_installed, BUILD_TOOLS)),
        local_labels=findings.local_labels() if requirements is None else {},
        wheels=tuple(findings.wheels),
        lock=lock,
        unresolved=tuple(findings.unresolved),
        unpublished=tuple(sorted(findings.unpublished)),
        warnings=(*declared.warnings, *findings.warnings),
    )


@dataclass(slots=True, kw_only=True)
class _Findings:
    """What is found out step by step."""

    declared: Declaration
    graph: InstalledGraph
    requirements: tuple[Requirement, ...] = ()
    unresolved: list[str] = field(default_factory=list)
    unpublished: list[str] = field(default_factory=list)
    wheels: list[LocalWheel] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def add_evidence(self, evidence: Evidence) -> None:
        """Join what the flavor says, what modules show, and what the caller adds."""
        files = InstalledFiles()
        providers, self.unresolved = find_providers(evidence.modules, evidence.own_modules, files=files)
        seen = merge_requirements(_requirements_for(providers), parse_requirements(evidence.flavor_requirements))
        known = merge_requirements(seen, self.declared.requirements)
        observed, missing = find_providers(evidence.observed, evidence.own_modules, files=files)
        self.unresolved = sorted({*self.unresolved, *missing})
        self.requirements = merge_requirements(known, self._unexplained(known, observed))

    def _unexplained(self, known: tuple[Requirement, ...], observed: list[Package]) -> tuple[Requirement, ...]:
        """Return what was imported and is no dependency of anything else that the model needs."""
        left = {package.name: package for package in observed if package.name not in self.graph.closure(known)}
        for name in sorted(left):
            others = _requirements_for([package for package in left.values() if package.name != name])
            if name in self.graph.closure((*known, *others)):
                del left[name]
        return _requirements_for(left.values())

    def check_constraints(self) -> None:
        """Refuse a constraint that rules out a version which the model is pinned to.

        Raises:
            InvalidRequirement: there is one.
        """
        pins = {normalise_name(r.name): r for r in self.requirements if r.marker is None}
        for constraint in self.declared.constraints:
            pinned = pins.get(normalise_name(constraint.name))
            version = pinned_version(pinned) if pinned else None
            if version and constraint.marker is None and not admits_version(constraint, version):
                raise InvalidRequirement(
                    redact(str(constraint)),
                    reason=f"as a constraint it rules out {pinned}",
                    hint="loosen it, or install what it allows and save the model with that",
                )

    def check_declared(self) -> None:
        """Warn of requirements of the caller's that what is installed here does not bear out."""
        declared = merge_requirements((), self.declared.requirements)
        doubts = dict.fromkeys(filter(None, map(self._doubt, filter(applies, declared))))
        if doubts:
            self.warnings.append(
                f"The model will open in an environment that it was never tried in: {'; '.join(doubts)}. Hint: ask for "
                "what is installed, or save the model where what it asks for is."
            )

    def _doubt(self, requirement: Requirement) -> str | None:
        """Return why *requirement* may be wrong; None of what is installed, and of a commit, which nobody misspells."""
        name = requirement.name
        if requirement.url:
            return None
        distribution = self.graph.find(normalise_name(name)) or find_build(name)
        if distribution is None:
            # A model gets the line for MLflow's own servers, and is mostly saved where MLflow is not.
            known = is_mlflow(requirement)
            return None if known else f"{name} is not installed here, so nothing shows that this is its name"
        version = metadata_field(distribution, "Version")
        if not admits_but_for_label(requirement, version):
            return f"requirements ask for {name}{requirement.specifier}, and {version} is installed"
        if name_of(distribution) != normalise_name(name):  # another build, whose extras are its own
            return None
        unknown = sorted(set(map(normalise_name, requirement.extras)) - extras_of(distribution))
        return f"{name} {version} has no extra {', '.join(map(repr, unknown))}" if unknown else None

    def check_completeness(self, needed: Sequence[str]) -> None:
        """Warn when the caller's requirements, which replace all evidence, lead to none of what loading needs.

        An empty list is no slip. What Palate itself requires is in every environment that opens the model with it.
        """
        if not self.requirements:
            return
        led_to = self.graph.closure((*self.requirements, *parse_requirements(["palate"])))
        named = {*led_to, *(normalise_name(requirement.name) for requirement in self.requirements)}
        missing = [r for r in parse_requirements(needed) if applies(r) and normalise_name(r.name) not in named]
        if missing:
            names, lines = " and no ".join(r.name for r in missing), ", ".join(repr(str(r)) for r in missing)
            self.warnings.append(
                f"The requirements lead to no {names}, which the flavor needs to load the model. Hint: add {lines}, or "
                "give what you list as extra_requirements=[...], which adds to what Palate finds by itself."
            )

    def look_at_origins(self, *, with_dependencies: bool) -> None:
        """Take care of what no index has to have: of everything that is required, or only of what is named.

        A caller who lists the requirements has said all that there is to say of them, and is not contradicted.
        """
        closure = self.graph.closure(self.requirements)
        named = {normalise_name(requirement.name): requirement for requirement in self.requirements}
        looked_at = [d for name, d in closure.items() if with_dependencies or name in named]
        described = sorted(((describe_distribution(d), d) for d in looked_at), key=lambda pair: pair[0].name)
        packages = [(package, d) for package, d in described if package.origin != "index"]
        if with_dependencies:
            lines = _requirements_for(package for package, d in packages if not _is_palates(d))
            self.requirements = merge_requirements(
                merge_requirements(self.requirements, lines), self.declared.requirements
            )
        for package, distribution in packages:
            if package.origin == "wheel" and _admits(named.get(package.name), package):
                self._carry(package, distribution)
        if with_dependencies:
            self._note_unpublished(packages)

    def _carry(self, package: Package, distribution: Distribution) -> None:
        found = find_wheel(package, distribution)
        if isinstance(found, LocalWheel):
            self.wheels.append(found)
            return
        self.warnings.append(
            f"{package.name} {package.version} was installed from a wheel file {found}, so the model does not bring it "
            "along, and no index has to have it. Hint: install it from the file again before saving, or from an index."
        )

    def _note_unpublished(self, packages: Iterable[tuple[Package, Distribution]]) -> None:
        carried = {wheel.name for wheel in self.wheels}
        left = [(p, d) for p, d in packages if not p.published and p.name not in carried]
        self.unpublished = [package.name for package, _ in left]
        editable = [package.name for package, d in left if package.origin == "editable" and not _is_palates(d)]
        if editable:
            self.warnings.append(
                f"The model's environment is not reproducible: {', '.join(editable)} {_was_were(editable)} installed "
                "in place (editable), so only name and version are recorded of files that may change. Hint: build a "
                "wheel and install that before saving, or pass the code as code_paths=[...]."
            )

    def local_labels(self) -> dict[str, str]:
        """Return the labels of installed versions that the requirements go without."""
        declared = {normalise_name(requirement.name) for requirement in self.declared.requirements}
        names = [name for r in self.requirements if (name := normalise_name(r.name)) not in declared and not r.url]
        installed = ((name, self.graph.find(name)) for name in names)
        return {name: label for name, d in installed if d is not None and (label := describe_distribution(d).label)}

    def take_lock(self, project: Path | None) -> project_lock.ProjectLock | None:
        """Take over the project's lock, if there is one and it is what is installed."""
        path = find_lock(project) if project is not None else None
        if path is None:
            return None
        hashes = [wheel.sha256 for wheel in self.wheels]
        found = project_lock.take_lock(path, self.requirements, self.declared.constraints, self.graph, hashes)
        if isinstance(found, project_lock.ProjectLock):
            return found
        self.warnings.append(found)
        return None


def _requirements_for(packages: Iterable[Package]) -> tuple[Requirement, ...]:
    return parse_requirements(package.requirement for package in packages)


def _is_palates(distribution: Distribution) -> bool:
    """Tell whether it is Palate or a plugin of it, which are not fetched to rebuild an environment."""
    name = name_of(distribution)
    return name == "palate" or "[palate." in (distribution.read_text("entry_points.txt") or "")


def _admits(requirement: Requirement | None, package: Package) -> bool:
    return requirement is None or (not requirement.url and admits_version(requirement, package.version))


def _was_were(names: Sequence[str]) -> str:
    return "was" if len(names) == 1 else "were"

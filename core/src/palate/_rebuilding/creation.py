"""Building a model's environment, or finding it built."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from palate._disk.cache_folder import check_private
from palate._environment.requirements import names_in
from palate._opened import OpenedModel
from palate._rebuilding.completeness import check_installed
from palate._rebuilding.installers import InstallerName
from palate._rebuilding.places import (
    cache_folder,
    describe_environment,
    held,
    interpreter_of,
    prepare_place,
    read_description,
    remove_place,
)
from palate._rebuilding.planning import Asked, Say, make_plan, open_wanted, say_nothing
from palate._rebuilding.plans import Plan
from palate._rebuilding.policy import refuse_foreign
from palate._rebuilding.replay import PredictionState, Replay, replay_in
from palate._rebuilding.resolving import pin_order
from palate.errors import EnvironmentFailed

__all__ = ["BuiltEnvironment", "create_environment"]

_NAME_LENGTH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltEnvironment:
    """An environment that a model can be opened in.

    Attributes:
        directory: its folder.
        python: its interpreter, which can import Palate.
        python_version: the interpreter's version.
        installer: what built it: "uv" or "pip".
        reused: whether it was there already.
        digest: the SHA-256 of everything that decides what it holds.
        predictions: "ok" if the model predicts in it what it predicted when it was saved; "skipped" if that was not
            asked for or cannot be told, for the reason in *detail*.
        detail: what there is to say of the predictions.
        left_out: the model's lines for MLflow itself, which Palate does without.
    """

    directory: Path
    python: Path
    python_version: str
    installer: InstallerName
    reused: bool
    digest: str
    predictions: PredictionState
    detail: str
    left_out: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON data."""
        return {**asdict(self), "directory": str(self.directory), "python": str(self.python)}


def create_environment(
    uri: str | PathLike[str],
    *,
    directory: str | PathLike[str] | None = None,
    python: str | PathLike[str] | None = None,
    installer: str = "auto",
    locked: bool | None = None,
    trust: bool = False,
    extra_requirements: Sequence[str] | str | PathLike[str] = (),
    index_url: str | None = None,
    extra_index_urls: Sequence[str] = (),
    use_recorded_index: bool = False,
    offline: bool = False,
    bundle: str | PathLike[str] | None = None,
    replay: bool = True,
    progress: Say | None = None,
) -> BuiltEnvironment:
    """Build a virtual environment in which the model at *uri* can be opened, or return the one that is there.

    What the model requires is installed beside the very Palate, and the flavor's plugin, that are installed here. The
    same content is built once. If anything fails, nothing is left.

    Args:
        uri: the model.
        directory: where to build; a folder that is missing or empty. By default the cache: ``$PALATE_CACHE``,
            ``$XDG_CACHE_HOME/palate`` or ``~/.cache/palate``.
        python: a version such as "3.12", or an interpreter, instead of the version that the model asks for.
        installer: "uv", "pip", or "auto": uv where it is installed.
        locked: whether to install the files that the model's pylock.toml lists, by hash; by default if it has one.
        trust: allow packages that Palate itself does not require, source builds, and the model's own code.
        extra_requirements: more to install: lines, or the path of a requirements file; neither names an index.
        index_url: the package index, instead of the one that uv or pip are configured for.
        extra_index_urls: further indexes.
        use_recorded_index: use the addresses that the model was saved with.
        offline: without a network.
        bundle: a folder that ``bundle_environment`` made; everything is installed from it, without a network. What
            it has besides the packages that Palate itself requires needs *trust*.
        replay: replay the model's golden predictions in the environment.
        progress: is told what is being done.

    Raises:
        ModelNotFound, ModelChanged, InvalidModelFile, UnsafePath: see ``load_model``.
        InvalidRequirement: a requirement is no plain one.
        TrustRequired: to build it would run code that nobody has trusted.
        PythonNotFound: the version of Python is not installed.
        FlavorNotFound: the model's flavor is not installed, and nobody knows which distribution it is of.
        DependencyMissing: Palate itself is not installed here, but only on the path.
        EnvironmentFailed: a tool failed, or the disk refused; its own words are in the message.
        PredictionChanged: the model predicts something else there.
        InvalidOption: an argument has a value that does not work.
    """
    asked = Asked(
        python=python,
        installer=installer,
        locked=locked,
        trust=trust,
        extra_requirements=extra_requirements,
        index_url=index_url,
        extra_index_urls=extra_index_urls,
        use_recorded_index=use_recorded_index,
        offline=offline,
        bundle=None if bundle is None else Path(bundle).absolute(),
    )
    opened, wanted = open_wanted(uri)
    target = None if directory is None else Path(os.path.realpath(directory))
    plan = make_plan(wanted, asked, task="install")
    return _build(plan, opened, target, trust=trust, replay=replay, say=progress or say_nothing)


def _build(
    plan: Plan, opened: OpenedModel, target: Path | None, *, trust: bool, replay: bool, say: Say
) -> BuiltEnvironment:
    cache = cache_folder(os.environ)
    if target is None:
        check_private(cache)
    directory = target or cache / plan.digest[:_NAME_LENGTH]

    def prove() -> Replay:
        return _replay(opened, directory, trust=trust, replay=replay, say=say)

    if target is None and _is_built(plan, directory):  # asked before the lock: an image's cache may be read-only
        return _describe_built(plan, directory, prove(), reused=True)
    with held(directory, wait=lambda: say("another process is building it; waiting")) as lock:
        if target is None and _is_built(plan, directory):  # by whoever had the lock
            return _describe_built(plan, directory, prove(), reused=True)
        if target is None and read_description(directory) is not None:
            remove_place(directory)  # its interpreter is gone
        prepare_place(directory)
        try:
            _install(plan, directory, lock, say)
            found = prove()
            describe_environment(directory, _describe(plan))
        except BaseException as exc:
            if _is_removed(directory) and isinstance(exc, EnvironmentFailed):
                raise exc.after_removal() from exc
            raise
    return _describe_built(plan, directory, found, reused=False)


def _is_built(plan: Plan, directory: Path) -> bool:
    return (read_description(directory) or {}).get("digest") == plan.digest and interpreter_of(directory).exists()


def _describe_built(plan: Plan, directory: Path, found: Replay, *, reused: bool) -> BuiltEnvironment:
    return BuiltEnvironment(
        directory=directory,
        python=interpreter_of(directory),
        python_version=plan.interpreter.version,
        installer=plan.installer.name,
        reused=reused,
        digest=plan.digest,
        predictions=found.state,
        detail=found.detail,
        left_out=plan.wanted.left_out,
    )


def _is_removed(directory: Path) -> bool:
    """Remove what was begun, and tell whether nothing of it is left: what went wrong before is the error to tell."""
    with suppress(EnvironmentFailed):
        remove_place(directory)
        return True
    return False


def _install(plan: Plan, directory: Path, lock: int, say: Say) -> None:
    say(f"making an environment of Python {plan.interpreter.version} with {plan.installer.name}")
    python = plan.installer.make(directory, plan.interpreter, lock=lock)
    known = None if plan.known is None else plan.known | _names_of_extra(plan, python, directory)
    for order, sources in plan.orders(directory):
        chosen = order
        if known is not None and not order.hashed:
            # What it asks for is known; what that asks for in turn, in the very releases that it names, may not be.
            chosen = pin_order(plan.installer, python, order, sources)
            refuse_foreign(plan.wanted, names_in(chosen.lines()), known)
        say(f"installing {order.what}")
        plan.installer.install(python, chosen, sources, lock=lock)
    check_installed(plan, directory, python)


def _names_of_extra(plan: Plan, python: Path, directory: Path) -> frozenset[str]:
    """Return the names that the caller's own requirements lead to, which nobody else's can be told by."""
    if not plan.extra.requirements:
        return frozenset()
    return names_in(pin_order(plan.installer, python, plan.extra_order(directory), plan.sources).lines())


def _replay(opened: OpenedModel, directory: Path, *, trust: bool, replay: bool, say: Say) -> Replay:
    if not replay:
        return Replay(state="skipped", detail="it was not asked for")
    say("replaying the golden predictions")
    return replay_in(interpreter_of(directory), opened, trust=trust, folder=directory)


def _describe(plan: Plan) -> dict[str, Any]:
    return {
        "digest": plan.digest,
        "python": plan.interpreter.version,
        "installer": plan.installer.name,
        "model": plan.wanted.place,
        "requirements": list(map(str, plan.wanted.requirements)),
    }

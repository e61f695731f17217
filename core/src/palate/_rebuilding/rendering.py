"""A model's environment in the form of other tools: pip, conda, PEP 751, a Dockerfile. Nothing of the model is run."""

from __future__ import annotations

import json
import platform
import re
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args

from palate._disk.paths import read_small
from palate._disk.strict_yaml import read_yaml, write_yaml
from palate._environment.dependencies import metadata_field, name_of
from palate._environment.environment import ENVIRONMENT_FILES
from palate._environment.lock import WHEELS_FOLDER, Lock
from palate._environment.pylock import write_pylock
from palate._environment.requirements import CONSTRAINTS_FILE, normalise_name
from palate._rebuilding.palates import find_palates
from palate._rebuilding.places import NOTES_FOLDER
from palate._rebuilding.planning import Asked, choose_lock, make_plan, open_wanted, palate_extras
from palate._rebuilding.resolving import pip_of, resolve
from palate._rebuilding.wanted import Wanted
from palate.errors import InvalidModelFile, InvalidOption, Problem

__all__ = ["EXPORT_FORMATS", "ExportFormat", "export_environment"]

ExportFormat: TypeAlias = Literal["conda", "dockerfile", "pip", "pylock"]
EXPORT_FORMATS: Final[tuple[str, ...]] = get_args(ExportFormat)

_MAX_CONDA_BYTES: Final = 1 << 18
_CHANNEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*(?:/label/[A-Za-z0-9_.-]+)?")
_CONDA_PACKAGE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?: ?[=<>!~]{1,2}[A-Za-z0-9_.*+!=<>,|-]+)?")


def export_environment(
    uri: str | PathLike[str],
    format: str = "pip",
    *,
    python: str | PathLike[str] | None = None,
    locked: bool | None = None,
    trust: bool = False,
    index_url: str | None = None,
    extra_index_urls: Sequence[str] = (),
    use_recorded_index: bool = False,
    offline: bool = False,
) -> str:
    """Return a file that describes the environment of the model at *uri* to another tool.

    Args:
        uri: the model.
        format: "pip", a requirements file; "conda", an environment.yml; "pylock", the lock of PEP 751, which pip
            resolves for this kind of machine if the model has none; "dockerfile", an image that serves the model.
        python: see ``create_environment``; for a lock that has to be resolved.
        locked: whether to take the model's own lock; by default if it has one.
        trust: allow what a lock is resolved from to be built, which runs its code.
        index_url, extra_index_urls, use_recorded_index, offline: see ``create_environment``. None of them is in
            the text that is returned.

    Raises:
        EnvironmentFailed: pip could not resolve a lock; its own words are in the message.
        InvalidModelFile, InvalidRequirement: a file of the model is not what it should be.
        InvalidOption: there is no such format.
    """
    if format not in EXPORT_FORMATS:
        raise InvalidOption("format", reason=f"there is none called {format!r:.40}", hint=f"give {EXPORT_FORMATS}")
    asked = Asked(
        python=python,
        installer="pip",
        locked=locked,
        trust=trust,
        extra_requirements=(),
        index_url=index_url,
        extra_index_urls=extra_index_urls,
        use_recorded_index=use_recorded_index,
        offline=offline,
    )
    if format != "pylock":
        _refuse_ignored(asked, reason=f"{format!r} looks for no packages", hint="leave it out, or export a 'pylock'")
    _, wanted = open_wanted(uri)
    match format:
        case "pip":
            return _pip_text(wanted)
        case "conda":
            return _conda_text(wanted)
        case "dockerfile":
            return _dockerfile_text(wanted)
    lock = choose_lock(wanted, locked)
    if lock is not None:
        hint = "leave it out, or have another lock made: locked=False (CLI: --not-locked)"
        _refuse_ignored(replace(asked, locked=None, offline=False), reason="the model has a lock of its own", hint=hint)
    return write_pylock(lock or _resolve(wanted, asked))


def _refuse_ignored(asked: Asked, *, reason: str, hint: str) -> None:
    """Raise InvalidOption for an option that would mean nothing."""
    given = [
        *(["python"] if asked.python is not None else []),
        *asked.chosen(),
        *(["offline"] if asked.offline else []),
    ]
    if given:
        raise InvalidOption(given[0], reason=f"it means nothing here, because {reason}", hint=hint)


def _pip_text(wanted: Wanted) -> str:
    lines = [*wanted.left_out, *map(str, wanted.requirements)]
    if wanted.carried:
        names = ", ".join(wheel.name for wheel in wanted.carried)
        lines.insert(0, f"# from {WHEELS_FOLDER}/ of the model, so add --find-links MODEL/{WHEELS_FOLDER}: {names}")
    if wanted.constraints:
        lines += ["", "# Bounds on what else gets installed: put them into a file, and add -c FILE."]
        lines += [f"# {constraint}" for constraint in wanted.constraints]
    return "".join(f"{line}\n" for line in lines)


# -- conda ---------------------------------------------------------------------------------------------------------


def _conda_text(wanted: Wanted) -> str:
    """Return the model's conda.yaml, its pip part made of the lines that were checked."""
    channels, packages = _conda_parts(wanted.path / ENVIRONMENT_FILES["conda"])
    version = wanted.python or platform.python_version()
    dependencies: list[Any] = packages or [f"python={version}", "pip"]
    if lines := [*wanted.left_out, *map(str, wanted.requirements)]:
        dependencies.append({"pip": lines})
    document = {"name": "palate-env", "channels": channels or ["conda-forge"], "dependencies": dependencies}
    return write_yaml(document)


def _conda_parts(path: Path) -> tuple[list[str], list[str]]:
    """Return the channels and the packages that conda itself gets."""
    if not path.exists():
        return [], []
    document = read_yaml(read_small(path, _MAX_CONDA_BYTES), source=path.name)
    channels = document.get("channels", []) if isinstance(document, dict) else None
    parts = document.get("dependencies", []) if isinstance(document, dict) else None
    if not isinstance(channels, list) or not isinstance(parts, list):
        raise InvalidModelFile(
            [Problem((), "wrong_type", "has no lists of channels and dependencies")], source=path.name
        )
    packages = [part for part in parts if not isinstance(part, dict)]
    problems = [
        Problem((key, number), "wrong_value", f"{text!r:.80} is {what}")
        for key, texts, form, what in (
            ("channels", channels, _CHANNEL, "no plain name of a channel"),
            ("dependencies", packages, _CONDA_PACKAGE, "no plain package and version"),
        )
        for number, text in enumerate(texts)
        if not isinstance(text, str) or not form.fullmatch(text)
    ]
    if problems:
        raise InvalidModelFile(problems, source=path.name)
    return channels, packages


# -- PEP 751 -------------------------------------------------------------------------------------------------------


def _resolve(wanted: Wanted, asked: Asked) -> Lock:
    plan = make_plan(wanted, asked, task="lock")
    with tempfile.TemporaryDirectory(prefix="palate-lock-") as folder, pip_of(plan.interpreter, Path(folder)) as pip:
        Path(folder, NOTES_FOLDER).mkdir()
        found = [resolve(pip, order, sources) for order, sources in plan.orders(Path(folder))]
    # What is not locked yet takes one order, or none.
    return found[0] if found else Lock(packages=())


# -- Docker --------------------------------------------------------------------------------------------------------

_DOCKERFILE: Final = """\
# Serves the model that lies beside this file as ./{model}:  docker build -t {tag} . && docker run -p 8080:8080 {tag}
FROM python:{python}-slim
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONUNBUFFERED=1
{wheels}RUN {install}
RUN ["useradd", "--uid", "10001", "--no-create-home", "--shell", "/usr/sbin/nologin", "palate"]
COPY {copied}
USER 10001
EXPOSE 8080
# Whoever reaches the port can predict: there is no authentication.
CMD ["palate", "serve", "/model", "--host", "0.0.0.0", "--port", "8080", "--allow-public"]
"""


def _dockerfile_text(wanted: Wanted) -> str:
    palates = find_palates(wanted)
    extras = ",".join(sorted({"serve", *palate_extras(wanted)}))
    own = [
        f"{name_of(home)}{f'[{extras}]' if name_of(home) == 'palate' else ''}=={metadata_field(home, 'Version')}"
        for home in palates.distributions
    ]
    names = {name_of(home) for home in palates.distributions}
    lines = [line for line in wanted.requirements if normalise_name(line.name) not in names]
    bounds = list(map(str, wanted.constraints))
    # A list of arguments, which no shell reads.
    command = ["python", "-m", "pip", "install", *(["--find-links", "/wheels"] if wanted.carried else [])]
    if bounds:
        command += ["--constraint", f"/{CONSTRAINTS_FILE}"]
    name = wanted.title
    copies = [(f"{name}/{WHEELS_FOLDER}", "/wheels")] if wanted.carried else []
    copies += [(f"{name}/{CONSTRAINTS_FILE}", f"/{CONSTRAINTS_FILE}")] if bounds else []
    return _DOCKERFILE.format(
        model=_one_word(name),
        tag="palate-model",
        python=_docker_version(wanted.python or platform.python_version()),
        wheels="".join(f"COPY {json.dumps(list(copy))}\n" for copy in copies),
        install=json.dumps([*command, *own, *palates.missing, *map(str, lines)]),
        copied=json.dumps([name, "/model"]),
    )


def _one_word(name: str) -> str:
    if not name.isprintable():
        raise InvalidOption("uri", reason="the model's folder has a name that cannot be printed", hint="rename it")
    return name


def _docker_version(version: str) -> str:
    return version.removesuffix("+")

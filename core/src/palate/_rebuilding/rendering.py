"""A model's environment in the form of other tools: pip, conda, PEP 751, a Dockerfile. Nothing of the model is run."""

from __future__ import annotations

import json
import platform
import re
import tempfile
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args

from palate._disk.paths import read_small
from palate._disk.strict_yaml import read_yaml, write_yaml
from palate._environment.dependencies import metadata_field
from palate._environment.environment import ENVIRONMENT_FILES
from palate._environment.lock import WHEELS_FOLDER, Lock, write_pylock
from palate._environment.requirements import normalise_name
from palate._rebuilding.installers import Order, find_uv
from palate._rebuilding.interpreters import find_interpreter
from palate._rebuilding.palates import find_palates, name_of
from palate._rebuilding.planning import Asked, choose_lock, choose_sources, open_wanted, palate_extras
from palate._rebuilding.plans import requirement_lines
from palate._rebuilding.policy import refuse_commits
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
    _, wanted = open_wanted(uri)
    match format:
        case "pip":
            return _pip_text(wanted)
        case "conda":
            return _conda_text(wanted)
        case "dockerfile":
            return _dockerfile_text(wanted)
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
        bundle=None,
    )
    return write_pylock(choose_lock(wanted, locked) or _resolve(wanted, asked))


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
    if not asked.trust:
        refuse_commits(wanted)
    interpreter = find_interpreter(wanted.python, asked=asked.python, uv=find_uv())
    carried = [(wheel.name, wheel.path.as_uri()) for wheel in wanted.carried]
    lines = requirement_lines(wanted.requirements, carried=carried, packed=(), extras=())
    if not lines:
        return Lock(packages=())
    with tempfile.TemporaryDirectory(prefix="palate-lock-") as folder, pip_of(interpreter, Path(folder)) as pip:
        requirements, constraints = Path(folder, "requirements.txt"), Path(folder, "constraints.txt")
        requirements.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        constraints.write_text("".join(f"{line}\n" for line in wanted.constraints), encoding="utf-8")
        order = Order(
            step="lock what the model requires",
            requirements=requirements,
            constraints=constraints if wanted.constraints else None,
            builds=asked.trust,
        )
        return resolve(pip, order, choose_sources(wanted, asked, asked.extra()))


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
CMD ["palate", "serve", "/model", "--host", "0.0.0.0", "--port", "8080"]
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
        command += ["--constraint", "/constraints.txt"]
    name = wanted.path.name
    copies = [(f"{name}/{WHEELS_FOLDER}", "/wheels")] if wanted.carried else []
    copies += [(f"{name}/constraints.txt", "/constraints.txt")] if bounds else []
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

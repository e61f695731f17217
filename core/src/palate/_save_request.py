"""What the caller of ``save_model`` asked for, checked before anything is written."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import EllipsisType
from typing import Any

from palate._disk.paths import scheme_of
from palate._environment.source import active_run_id, check_run_id
from palate._flavor import Flavor
from palate._registry import FlavorRegistry
from palate.errors import InvalidOption, UnsupportedModel
from palate.hookspecs import SaveOptions
from palate.model_file import PYFUNC, plain_problems
from palate.signature import Signature

__all__ = ["SaveRequest", "check_path", "check_request"]

# What save_model takes for every flavor, and what the same is called in MLflow.
SHARED_OPTIONS = (
    *("flavor", "signature", "input_example", "params", "code_paths", "requirements", "extra_requirements"),
    *("metadata", "run_id", "format", "overwrite"),
)
MLFLOW_NAMES = {
    "pip_requirements": "requirements",
    "extra_pip_requirements": "extra_requirements",
    "conda_env": "requirements",
    "serialization_format": "format",
    "code_path": "code_paths",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveRequest:
    """One save, checked as far as it can be without looking into the model."""

    model: object
    flavor: Flavor
    options: SaveOptions
    signature: Signature | EllipsisType | None
    example: object
    params: Mapping[str, object] | None
    code_paths: tuple[Path, ...]
    requirements: Sequence[str] | str | os.PathLike[str] | None
    extra_requirements: Sequence[str] | str | os.PathLike[str] | None
    metadata: Mapping[str, Any] | None
    run_id: str | None


def check_request(
    model: object,
    registry: FlavorRegistry,
    *,
    flavor: str | None,
    signature: Signature | EllipsisType | None,
    example: object,
    params: Mapping[str, object] | None,
    code_paths: Sequence[str | os.PathLike[str]] | None,
    requirements: Sequence[str] | str | os.PathLike[str] | None,
    extra_requirements: Sequence[str] | str | os.PathLike[str] | None,
    metadata: Mapping[str, Any] | None,
    run_id: str | None,
    format_name: str | None,
    options: Mapping[str, Any],
) -> SaveRequest:
    """Narrow the arguments of ``save_model``.

    Raises:
        InvalidOption: an argument has the wrong type, or is none that the flavor takes.
        FlavorNotFound, FlavorBroken, FlavorConflict: the flavor asked for cannot be used.
        UnsupportedModel: no installed flavor owns the model.
    """
    _check_signature(signature, params)
    chosen = registry.get(flavor) if flavor is not None else registry.owner_of(model)
    _check_model(model, chosen)
    return SaveRequest(
        model=model,
        flavor=chosen,
        options=_check_options(chosen, format_name, options, registry),
        signature=signature,
        example=example,
        params=params,
        code_paths=_check_code_paths(code_paths),
        requirements=requirements,
        extra_requirements=extra_requirements,
        metadata=_check_metadata(metadata),
        run_id=check_run_id(run_id) if run_id is not None else active_run_id(os.environ),
    )


def check_path(name: str, path: object) -> Path:
    """Return the argument *name* as an absolute path."""
    if not isinstance(path, str | os.PathLike):
        raise InvalidOption(name, reason=f"it is {type(path).__name__}", hint="give a path as text or a pathlib.Path")
    if scheme_of(path) is not None:
        reason = f"{path!r:.100} is a URI, not a path"
        raise InvalidOption(name, reason=reason, hint="give a path; palate.store saves into a store")
    if not os.fspath(path):
        raise InvalidOption(name, reason="it is empty", hint="give the path of a file or directory")
    return Path(path).absolute()


def _check_signature(signature: object, params: object) -> None:
    if signature is None or isinstance(signature, EllipsisType):
        return
    if not isinstance(signature, Signature):
        raise InvalidOption(
            "signature",
            reason=f"it is {type(signature).__name__}",
            hint="give a palate.Signature, such as palate.infer_signature returns, None for none, or leave it out",
        )
    if params is not None and signature.params:
        raise InvalidOption(
            "params", reason="both signature= and params= declare params", hint="put them into the signature"
        )


def _check_model(model: object, flavor: Flavor) -> None:
    """Refuse an object that is none of the framework whose flavor was asked for."""
    claimed = (*flavor.packages, *flavor.types)
    if flavor.name == PYFUNC or not claimed:
        return  # these judge by what an object answers to
    if not any(map(flavor.claims, type(model).__mro__)):
        raise UnsupportedModel(
            type(model).__qualname__,
            reason=f"the flavor '{flavor.name}' saves objects of {', '.join(claimed)}",
            hint="load what is at that path with the framework, and pass the model itself"
            if isinstance(model, str)
            else "leave out flavor= to have its own found, or wrap it in a function or a palate.PythonModel subclass",
        )


def _check_options(
    flavor: Flavor, format_name: object, given: Mapping[str, Any], registry: FlavorRegistry
) -> SaveOptions:
    chosen = flavor.formats[0] if format_name is None else format_name
    if not isinstance(chosen, str) or chosen not in flavor.formats:
        raise InvalidOption(
            "format",
            reason=f"the flavor '{flavor.name}' has no format {chosen!r:.60}",
            hint=f"choose one of {', '.join(flavor.formats)}",
        )
    for name in given:
        if name not in flavor.save_options:
            raise InvalidOption(
                name, reason=f"the flavor '{flavor.name}' takes no such option at save", hint=_suggest(name, flavor)
            )
    return SaveOptions(format=chosen, extra=given, embedded=registry.embedded_type)


def _suggest(name: str, flavor: Flavor) -> str:
    known = [*SHARED_OPTIONS, *flavor.save_options]
    close = MLFLOW_NAMES.get(name) or next(iter(get_close_matches(name, known, n=1)), None)
    if close:
        return f"did you mean '{close}'?"
    own = ", ".join(sorted(flavor.save_options)) or "none"
    return f"options of its own: {own}; every flavor takes {', '.join(SHARED_OPTIONS)}"


def _check_code_paths(code_paths: object) -> tuple[Path, ...]:
    if code_paths is None:
        return ()
    # A str is a sequence of str too; nobody means its letters.
    if isinstance(code_paths, str | os.PathLike) or not isinstance(code_paths, Sequence):
        raise InvalidOption(
            "code_paths", reason=f"it is {type(code_paths).__name__}", hint="give a list of files and folders"
        )
    return tuple(check_path("code_paths", path) for path in code_paths)


def _check_metadata(metadata: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    if metadata is None:
        return None
    problems = plain_problems(metadata, ("metadata",)) if isinstance(metadata, dict) else ["it is not a dict"]
    if problems:
        hint = "use dicts with text keys, lists, text, finite numbers, True, False and None"
        raise InvalidOption("metadata", reason="; ".join(map(str, problems)), hint=hint)
    return metadata

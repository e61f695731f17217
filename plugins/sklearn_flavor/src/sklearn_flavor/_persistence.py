"""Writes and reads the file that holds an estimator."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from palate.errors import InvalidOption, UnsafeModel, UnsupportedModel
from palate.hookspecs import PARSING
from sklearn_flavor._archive import SkopsArchive
from sklearn_flavor._audit import Contents, audit_archive
from sklearn_flavor._canonical import rewrite_archive
from sklearn_flavor._refusals import explain_dump_error, explain_unknown, missing_flavor
from sklearn_flavor._skops import import_skops
from sklearn_flavor._validators import check_structure, find_problem

if TYPE_CHECKING:
    from palate.hookspecs import EmbeddedType, LoadOptions

__all__ = ["FILE_NAMES", "allowed_names", "read_model", "write_model"]

Embedded = Callable[[str], "EmbeddedType | None"]

FILE_NAMES: Mapping[str, str] = {"skops": "model.skops", "pickle": "model.pkl", "cloudpickle": "model.pkl"}


def allowed_names(extra: Mapping[str, Any]) -> frozenset[str]:
    """Return the names given as ``allow=``: types of the caller's own that a .skops file may build."""
    names = extra.get("allow") or ()
    listed: list[Any] = list(names) if isinstance(names, Iterable) and not isinstance(names, str) else [None]
    if not all(isinstance(name, str) and _is_importable(name) for name in listed):
        hint = (
            'give a list such as ["mypackage.steps.Clipper"]; a class of the main script has to move to a module first'
        )
        raise InvalidOption("allow", reason="it must list classes or functions that can be imported", hint=hint)
    return frozenset(listed)


def _is_importable(name: str) -> bool:
    parts = name.split(".")
    return len(parts) > 1 and parts[0] != "__main__" and all(part.isidentifier() for part in parts)


# -- writing ------------------------------------------------------------------------------------------------------


def write_model(
    model: object, target: Path, format_: str, allow: frozenset[str], embedded: Embedded
) -> list[str] | None:
    """Write *model* to *target*; return the types that stock MLflow must be told to trust, if any.

    Raises:
        UnsupportedModel: when the format cannot hold the model, naming what in it is in the way.
    """
    if format_ == "skops":
        return _write_skops(model, target, allow, embedded)
    with target.open("wb") as stream:
        if format_ == "pickle":
            _dump(pickle, model, stream)
        else:
            import cloudpickle

            _dump(cloudpickle, model, stream)
    return None


def _dump(module: Any, model: object, stream: IO[bytes]) -> None:
    try:
        module.dump(model, stream)
    except (pickle.PicklingError, TypeError, AttributeError, RecursionError) as exc:
        name = module.__name__
        other = "cloudpickle" if name == "pickle" else "skops"
        raise UnsupportedModel(
            type(model).__name__,
            reason=f"{name} cannot hold it ({exc})",
            hint=f"try format='{other}', or remove that object from the model",
        ) from exc


def _write_skops(model: object, target: Path, allow: frozenset[str], embedded: Embedded) -> list[str] | None:
    if problem := find_problem(model):
        raise UnsupportedModel(
            type(model).__name__,
            reason=f"its arrays do not fit together, so it could not be opened safely: {problem[0]}: {problem[1]}",
            hint="fit the model again, or use format='cloudpickle', which loads with trust=True",
        )
    draft = target.with_name(target.name + ".draft")
    try:
        _dump_skops(model, draft)
        untrusted: list[str] = import_skops().get_untrusted_types(file=draft)
        with draft.open("rb") as stream:
            _audit_own(model, stream, allow, embedded, untrusted)
            stream.seek(0)
            rewrite_archive(stream, target)
    finally:
        draft.unlink(missing_ok=True)
    return untrusted or None


def _dump_skops(model: object, draft: Path) -> None:
    skops_io = import_skops()
    try:
        skops_io.dump(model, draft)
    except OSError:
        raise
    except Exception as exc:  # skops, and the __reduce__ of any object in the model, raise anything
        raise explain_dump_error(model, exc) from exc


def _audit_own(
    model: object, stream: IO[bytes], allow: frozenset[str], embedded: Embedded, untrusted: list[str]
) -> None:
    """Refuse what has just been written when a reader without trust would refuse it."""
    try:
        contents = audit_archive(SkopsArchive.read(stream, "model.skops"), embedded=embedded, allow=allow)
    except UnsafeModel as exc:
        raise UnsupportedModel(
            type(model).__name__,
            reason=f"skops wrote a file that could not be opened safely: {exc.rule}",
            hint="use format='cloudpickle', which loads with trust=True",
        ) from exc
    # What is left to skops has to pass there; and an allowed name has to lead somewhere, as that of a function inside
    # a function does not.
    refused = set(contents.unknown) | set(untrusted) - contents.named
    lost = {name for name in contents.named & allow if not _leads_somewhere(name)}
    if refused | lost:
        raise explain_unknown(model, sorted(refused | lost))
    if contents.lossy:
        raise UnsupportedModel(
            type(model).__name__,
            reason=f"skops does not read back dict keys of type {', '.join(sorted(contents.lossy))}",
            hint="use numbers or text as keys (such as class_weight={0: 1, 1: 5}), or format='cloudpickle'",
        )


def _leads_somewhere(name: str) -> bool:
    module, _, attribute = name.rpartition(".")
    return hasattr(sys.modules.get(module), attribute)


# -- reading ------------------------------------------------------------------------------------------------------


def read_model(file: Path, name: str, format_: str, options: LoadOptions) -> object:
    """Return the estimator in *file*, which the model calls *name*.

    Raises:
        UnsafeModel: when opening it would run code and the caller did not trust it, or when it breaks a rule.
    """
    if format_ == "skops":
        return _read_skops(file, name, options)
    if format_ not in FILE_NAMES:
        raise UnsafeModel(
            name,
            rule=f"its serialization_format is {format_!r:.60}, and this version knows {', '.join(FILE_NAMES)}",
            hint="upgrade palate-sklearn",
        )
    if not options.trust:
        raise UnsafeModel(
            name,
            rule="it is a pickle, which can run any code",
            hint="pass trust=True if you trust where it came from, or save the model again with format='skops'",
        )
    return options.code.load_pickle(file)


def _read_skops(file: Path, name: str, options: LoadOptions) -> object:
    # One open file from the audit to the end: the bytes that were audited are the bytes that are read.
    with file.open("rb") as stream:
        with PARSING.held:  # numpy reads the header of each array as an expression of Python
            contents = _audit(stream, name, options)
        stream.seek(0)
        if contents.unknown:
            # Without the lock: code that comes with the model may wait for another thread that loads.
            with options.code.activated():
                model = _build(stream, name, contents)
        else:
            with PARSING.held:
                model = _build(stream, name, contents)
    check_structure(model, name)
    return model


def _audit(stream: IO[bytes], name: str, options: LoadOptions) -> Contents:
    archive = SkopsArchive.read(stream, name)
    allow = allowed_names(options.extra)
    contents = audit_archive(archive, embedded=options.embedded, allow=allow, trust=options.trust)
    if contents.unknown and not options.trust:
        listing = ", ".join(f"{unknown} ({use})" for unknown, use in list(contents.unknown.items())[:5])
        more = "" if len(contents.unknown) <= 5 else f" and {len(contents.unknown) - 5} more"
        raise UnsafeModel(
            name,
            rule=f"it names {listing}{more}, which is not on the list of types that are safe to open",
            hint=f"pip install {distribution}, whose flavor knows how to open it safely"
            if (distribution := missing_flavor(contents.unknown))
            else "pass allow=[...] with the names that are yours, or trust=True if you trust where it came from",
        )
    return contents


def _build(stream: IO[bytes], name: str, contents: Contents) -> object:
    skops_io = import_skops()
    from skops.io.exceptions import UntrustedTypesFoundException

    try:
        return cast(object, skops_io.load(stream, trusted=sorted(contents.named)))
    except UntrustedTypesFoundException as exc:
        raise UnsafeModel(
            name,
            rule=f"it names a type that the installed scikit-learn does not count among its estimators ({exc!s:.300})",
            hint="compare sklearn_version in MLmodel with the installed one",
        ) from exc
    except OSError as exc:
        if exc.errno is not None:
            raise
        raise UnsafeModel(name, rule=f"it cannot be read ({exc!s:.200})") from exc
    except MemoryError:
        raise
    except Exception as exc:  # a malformed document makes skops, numpy and constructors raise anything
        raise UnsafeModel(
            name,
            rule=f"its objects cannot be built ({type(exc).__name__}: {exc!s:.200})",
            hint="compare the installed packages with the model's requirements.txt",
        ) from exc

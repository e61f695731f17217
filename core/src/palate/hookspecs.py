"""The contract of a flavor: what a third party reads to support a framework.

A flavor is a module (or object) named by an entry point in the group ``palate.flavors``; the entry point's name is the
flavor's name, the key under ``flavors:`` in MLmodel, and the ``flavor=`` argument: one string. It imports its framework
inside the hooks, never at module level, and declares besides its hooks these constants, of which FORMATS is required:

``HOOK_API: int``                     the version of this file that it was written for (``palate.hookspecs.HOOK_API``)
``NATIVE_PACKAGES: tuple[str, ...]``  top-level packages whose classes this flavor owns, such as ``("xgboost",)``
``NATIVE_TYPES: tuple[str, ...]``     single classes by full name, such as ``("functools.partial",)``
``FORMATS: tuple[str, ...]``          the values it takes for ``format=``; the first is the default and should be safe
``FORMATS_NEEDING_TRUST``             those of FORMATS whose directories only ``trust=True`` opens
``SAVE_OPTIONS``, ``LOAD_OPTIONS``    names of keyword arguments of its own
``FORK_AFTER_LOAD: bool``             False where a process must not fork once a model is open, as with TensorFlow
``VERSION_PROMISES``                  which releases read a format's files: ``{"json": {"xgboost": "newer"}}``

Hooks are called with keywords and may take fewer arguments than listed here: they gain arguments and never lose any.
Required: save_model, load_model, predict, methods, requirements, executes_code. The rest is optional.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

from palate._disk.paths import confine
from palate._disk.strict_json import parse_json
from palate._process_lock import PARSING, ForkLock

from palate.hook_values import (  # isort: skip
    CarriedCode, EmbeddedType, Guarantees, LoadOptions, ModelSource, SampleModel, SaveOptions, pin_installed,
)  # fmt: skip

if TYPE_CHECKING:
    from palate.errors import CodeReason
    from palate.schema import Schema
    from palate.signature import Signature

__all__ = [
    "ENTRY_POINT_GROUP", "HOOK_API", "PARSING", "PLUGIN_GROUP", "CarriedCode", "EmbeddedType", "ForkLock", "Guarantees",
    "LoadOptions", "ModelSource", "SampleModel", "SaveOptions", "confine", "hookimpl", "parse_json", "pin_installed",
]  # fmt: skip

HOOK_API = 1
ENTRY_POINT_GROUP = "palate.flavors"
PLUGIN_GROUP = "palate.plugins"  # of cross-cutting plugins, which have the same hooks with @hookimpl(wrapper=True)
hookspec = pluggy.HookspecMarker("palate")
hookimpl = pluggy.HookimplMarker("palate")


@hookspec(firstresult=True)
def save_model(flavor: str, model: object, path: Path, options: SaveOptions) -> dict[str, Any]:  # type: ignore[empty-body]
    """Write *model* under *path*, an existing directory, and return this flavor's section of MLmodel.

    The section must be plain YAML data (dict, list, str, int, float, bool, None) with paths relative to *path*; it is
    handed back verbatim as *config*. Raise ``errors.UnsupportedModel`` for a model that this format cannot hold.
    """


@hookspec(firstresult=True)
def load_model(flavor: str, path: Path, config: Mapping[str, Any], options: LoadOptions) -> object:
    """Return the native model at *path*; unless ``options.trust``, run no code from there: ``errors.UnsafeModel``."""


@hookspec(firstresult=True)
def predict(
    flavor: str, model: object, data: Any, method: str, params: Mapping[str, Any], enforced: bool,
    source: ModelSource | None,
) -> object:  # fmt: skip
    """Call *method* (one that ``methods`` lists) of the native *model*, or of what ``prepare`` made of it, on *data*.

    *enforced* says whether *data* was made to fit a signature that names its columns; *source*, which model it is,
    or None while a save or ``verify_model`` tries one out. A save calls it for the object being saved too, or for what
    ``prepare`` made of that; return NotImplemented if only a loaded model can predict.
    """


@hookspec(firstresult=True)
def prepare(model: object, path: Path, config: Mapping[str, Any], options: LoadOptions) -> object:
    """Return what ``predict`` is to be given for *model*, made once: the runtime's session for a graph, say.

    A save calls it for the object being saved too, with trust; what it raises then becomes ``UnsupportedModel``.
    """


@hookspec(firstresult=True)
def methods(model: object) -> Sequence[str]:  # type: ignore[empty-body]
    """Return the names that *model* answers to, the default one first: ``("predict", "predict_proba")``."""


@hookspec(firstresult=True)
def rows_are_independent(model: object, method: str) -> bool:  # type: ignore[empty-body]
    """Return whether a row's answer depends on that row alone, as servers that join requests need; without it, yes."""


@hookspec(firstresult=True)
def takes_array(model: object, method: str, columns: Sequence[str | int]) -> bool:  # type: ignore[empty-body]
    """Return whether *method* gives the same bits for the array of a table with these *columns*, of one numeric dtype.

    If so, ``predict`` is given the array, with *enforced*; without this hook, the table. Asked before each prediction.
    """


@hookspec(firstresult=True)
def requirements(model: object, options: SaveOptions) -> Sequence[str]:  # type: ignore[empty-body]
    """Return the pip requirements that loading *model*, saved so, needs, pinned: ``("xgboost==3.2.0",)``."""


@hookspec(firstresult=True)
def executes_code(path: Path, config: Mapping[str, Any]) -> Sequence[CodeReason]:  # type: ignore[empty-body]
    """Return why opening this directory would run code that it carries; empty means safe. Import nothing."""


@hookspec(firstresult=True)
def infer_input_schema(model: object) -> Schema | Signature | None:
    """Return what *model* itself knows of its inputs (names, specs, categories), or None.

    A column of a type that it does not know is ``any``, and adds to what an example shows; a Signature has outputs too.
    """


@hookspec(firstresult=True)
def pyfunc_section(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the keys with which stock MLflow's ``mlflow.pyfunc.load_model`` opens the directory; None: it does not.

    Without ``loader_module``, or without this hook, a loader of Palate's is named, which needs Palate there.
    """


@hookspec(firstresult=True)
def guarantees(path: Path, config: Mapping[str, Any]) -> Guarantees:  # type: ignore[empty-body]
    """Return what holds for this directory, opened without trust; ``inspect`` shows it. Import nothing."""


@hookspec(firstresult=True)
def mapped_files(config: Mapping[str, Any]) -> Sequence[str]:  # type: ignore[empty-body]
    """Return the files that load_model opens by ``options.map_file`` alone: an archive is opened with them in it."""


@hookspec(firstresult=True)
def embedded_types() -> Sequence[EmbeddedType]:  # type: ignore[empty-body]
    """Return the classes of this framework that other flavors may open inside their own files."""


@hookspec(firstresult=True)
def sample_models() -> Mapping[str, SampleModel]:  # type: ignore[empty-body]
    """Train and return small models by name, on real data that ships with the framework."""

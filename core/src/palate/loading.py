"""Loading a model: inspect first, then construct; nothing of it is run unless the caller passes ``trust=True``."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, overload

from palate._isolation.options import Isolation, check_isolation
from palate._late import LateModule
from palate._opening import load
from palate.pyfunc import PyFuncModel

if TYPE_CHECKING:
    from palate._isolation import model as isolated
    from palate._isolation.model import IsolatedModel
else:
    isolated = LateModule("palate._isolation.model")

__all__ = ["load_model", "load_native"]


@overload
def load_model(
    uri: str | PathLike[str],
    *,
    trust: bool = False,
    flavor: str | None = None,
    verify: bool = True,
    isolate: Literal[True] | Isolation,
    **flavor_options: Any,
) -> IsolatedModel: ...


@overload
def load_model(
    uri: str | PathLike[str],
    *,
    trust: bool = False,
    flavor: str | None = None,
    verify: bool = True,
    isolate: bool | Isolation = False,
    **flavor_options: Any,
) -> PyFuncModel: ...


def load_model(
    uri: str | PathLike[str],
    *,
    trust: bool = False,
    flavor: str | None = None,
    verify: bool = True,
    isolate: bool | Isolation = False,
    **flavor_options: Any,
) -> PyFuncModel:
    """Load the model at *uri* behind the framework-neutral adapter.

    Args:
        uri: a model directory, as a path or ``file:`` URI.
        trust: allow code that comes with the model to run (pickles, ``code/``, loader modules).
        flavor: open it with this flavor instead of the one that the directory names.
        verify: check every file against MANIFEST.json first; False skips that for huge models that you trust.
        isolate: run it in a process of its own, in an environment of its own if it needs one: True, or an ``Isolation``
            that says where, and with how much memory and time. The result is an ``IsolatedModel``, a PyFuncModel too.
        **flavor_options: what the flavor takes besides, such as ``model_config=`` for python_function.

    Raises:
        TrustRequired: opening it would run code and ``trust`` is false; nothing was run.
        UnsafeModel: a file breaks a rule of its safe format.
        FlavorNotFound, FlavorBroken: the plugin is not installed, or does not work.
        InvalidOption: the model has no flavor of that name, or the flavor takes no such option.
        ModelNotFound: there is no model directory.
        ModelChanged: the files are not those that MANIFEST.json lists.
        InvalidModelFile: MLmodel or MANIFEST.json is malformed.
        LoadFailed: the framework could not read its file.
        ModelCrashed, ModelTimeout, ModelOutOfMemory: the process of an isolated model did not get so far.
        PythonNotFound, EnvironmentFailed: its environment could not be built.
    """
    isolation = check_isolation(isolate)
    if isolation is not None:
        return isolated.load_isolated(uri, isolation, trust=trust, flavor=flavor, verify=verify, options=flavor_options)
    return load(uri, trust=trust, flavor=flavor, verify=verify, options=flavor_options)


def load_native(
    uri: str | PathLike[str],
    *,
    trust: bool = False,
    flavor: str | None = None,
    verify: bool = True,
    **flavor_options: Any,
) -> object:
    """Load the framework's own object (an estimator, a Booster, an nn.Module); the rest is as for ``load_model``."""
    return load(uri, trust=trust, flavor=flavor, verify=verify, options=flavor_options, to_predict=False).native

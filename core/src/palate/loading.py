"""Loading a model: inspect first, then construct; nothing of it is run unless the caller passes ``trust=True``."""

from __future__ import annotations

from os import PathLike
from typing import Any

from palate._code.standins import answer_load_model
from palate._disk.replaced import read_one_model
from palate._opening import LOADER_FLAVORS, OpenedModel, construct, open_model
from palate._registry import default_registry
from palate.pyfunc import PyFuncModel

__all__ = ["load_model", "load_native"]


def load_model(
    uri: str | PathLike[str],
    *,
    trust: bool = False,
    flavor: str | None = None,
    verify: bool = True,
    **flavor_options: Any,
) -> PyFuncModel:
    """Load the model at *uri* behind the framework-neutral adapter.

    Args:
        uri: a model directory, as a path or ``file:`` URI.
        trust: allow code that comes with the model to run (pickles, ``code/``, loader modules).
        flavor: open it with this flavor instead of the one that the directory names.
        verify: check every file against MANIFEST.json first; False skips that for huge models that you trust.
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
    """

    def read() -> tuple[OpenedModel, PyFuncModel]:
        opened = open_model(uri, verify=verify)
        registry = default_registry()
        return opened, construct(opened, trust=trust, asked=flavor, registry=registry, options=flavor_options)

    return read_one_model(uri, read, is_whole=lambda result: result[0].seal is not None)[1]


def load_native(
    uri: str | PathLike[str], *, trust: bool = False, flavor: str | None = None, verify: bool = True
) -> object:
    """Load the framework's own object (an estimator, a Booster, an nn.Module); the rest is as for ``load_model``."""
    return load_model(uri, trust=trust, flavor=flavor, verify=verify).native


def _open_for_model(model_uri: str, **_: Any) -> PyFuncModel:
    return load_model(model_uri, trust=True)


def _open_native_for_model(model_uri: str, **_: Any) -> object:
    return load_native(model_uri, trust=True)


# A trusted model's code may open further models by MLflow's names, where MLflow is not installed.
answer_load_model("mlflow.pyfunc", _open_for_model)
for _loader in LOADER_FLAVORS:
    answer_load_model(_loader, _open_native_for_model)

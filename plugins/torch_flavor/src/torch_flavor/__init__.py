"""The PyTorch flavor of Palate: modules saved as checked graphs, in directories that stock MLflow opens too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palate.errors import CodeReason
from palate.hookspecs import Guarantees, hookimpl, pin_installed
from torch_flavor._directory import DATA, FILE_NAMES, LOADER, find_file

if TYPE_CHECKING:
    from palate.hookspecs import LoadOptions, SampleModel, SaveOptions
    from palate.signature import Signature

__all__ = [
    "FORMATS",
    "FORMATS_NEEDING_TRUST",
    "HOOK_API",
    "LOAD_OPTIONS",
    "NATIVE_PACKAGES",
    "SAVE_OPTIONS",
    "VERSION_PROMISES",
    "executes_code",
    "guarantees",
    "infer_input_schema",
    "load_model",
    "methods",
    "predict",
    "pyfunc_section",
    "requirements",
    "rows_are_independent",
    "sample_models",
    "save_model",
]

HOOK_API = 1
NATIVE_PACKAGES = ("torch",)
FORMATS = ("pt2", "safetensors", "pickle")
FORMATS_NEEDING_TRUST = ("pickle",)
SAVE_OPTIONS = ("dynamic_batch", "dynamic_shapes", "example_inputs", "module")
LOAD_OPTIONS = ("device", "module")
# torch.export.save warns that its files may not be usable in newer versions; a pickled module names classes of torch
# with their attributes. A safetensors file holds numbers by name, of which torch's version is no part.
VERSION_PROMISES = {
    "pt2": {"torch": "patch"},
    "safetensors": {"torch": "newer"},
    "pickle": {"torch": "patch", "cloudpickle": "patch"},
}

_OPERATORS = (
    "time and memory are bounded while loading, not while predicting: a graph may ask for a tensor of any size, so run "
    "a stranger's with limits",
    "memory is safe while loading; while predicting, operators that were found to read past their arguments are "
    "checked, and the others rest on PyTorch's own checks",
)


@hookimpl
def save_model(model: Any, path: Path, options: SaveOptions) -> dict[str, Any]:
    """Write *model* into ``data/``, with the section that MLflow writes."""
    from torch_flavor._saving import write_model

    return write_model(model, path, options)


@hookimpl
def load_model(path: Path, config: Mapping[str, Any], options: LoadOptions) -> object:
    """Return the module, ready to predict: from a checked graph, from weights, or from a pickle with trust."""
    from torch_flavor._forks import use_one_thread_if_forked
    from torch_flavor._loading import read_model

    use_one_thread_if_forked()
    return read_model(find_file(path, config), config, options)


@hookimpl
def mapped_files(config: Mapping[str, Any]) -> Sequence[str]:
    """Return the file of the weights, wherever MLflow's layout may have it; other formats are read as files."""
    if config.get("serialization_format") != "safetensors":
        return ()
    data = str(config.get("model_data") or config.get("data") or DATA)
    return (data, f"{data.rstrip('/')}/{FILE_NAMES['safetensors']}")


@hookimpl
def executes_code(path: Path, config: Mapping[str, Any]) -> Sequence[CodeReason]:
    """Return a reason for a pickle; what is inside of the other files is judged when they are opened."""
    file = find_file(path, config)
    return (CodeReason(file.name, "a pickle can run any code"),) if file.format == "pickle" else ()


@hookimpl
def predict(model: Any, data: Any, params: Mapping[str, Any]) -> object:
    """Call ``forward`` in evaluation mode, without gradients; return an array or a dict of arrays."""
    from torch_flavor._calling import predict as call
    from torch_flavor._forks import use_one_thread_if_forked

    use_one_thread_if_forked()
    return call(model, data, params)


@hookimpl
def methods() -> Sequence[str]:
    """Return ``predict``, and the name that it has in torch."""
    return ("predict", "forward")


@hookimpl
def rows_are_independent(model: object) -> bool:
    """Return whether the graph of a program shows that it looks at each row by itself; of other modules, False."""
    from torch_flavor._row_mixing import mixes_rows

    return not mixes_rows(model)


@hookimpl
def infer_input_schema(model: object) -> Signature | None:
    """Return what an exported program knows of its inputs and outputs; other modules know nothing."""
    from torch_flavor._signatures import program_signature

    return program_signature(model)


@hookimpl
def requirements(options: SaveOptions) -> Sequence[str]:
    """Return torch, and what else reads the file."""
    reader = ("cloudpickle",) if options.format == "pickle" else ()
    return tuple(map(pin_installed, ("numpy", "torch", *reader)))


@hookimpl
def pyfunc_section(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return MLflow's loader, or the one that comes along in ``code/``; None for weights, which need a module."""
    if config.get("serialization_format") == "safetensors":
        return None
    common = {"data": DATA, "config": {"device": None}}
    if config.get("loader_module") == LOADER:
        return {**common, "loader_module": LOADER, "code": "code"}
    if config.get("serialization_format") == "pickle":
        common["pickle_module_name"] = "mlflow.pytorch.pickle_module"
    return {**common, "loader_module": "mlflow.pytorch"}


@hookimpl
def guarantees(path: Path, config: Mapping[str, Any]) -> Guarantees:
    """Return what holds for each format."""
    found = find_file(path, config).format
    if found == "pickle":
        return Guarantees(no_code=False, memory_safe=False, bounded=False)
    if found == "safetensors":
        return Guarantees(
            no_code=True,
            memory_safe=True,
            bounded=True,
            exceptions=("the module that the weights are loaded into is the caller's own",),
        )
    return Guarantees(no_code=True, memory_safe=False, bounded=False, exceptions=_OPERATORS)


@hookimpl
def sample_models() -> Mapping[str, SampleModel]:
    """Train a small classifier on measurements of irises."""
    from torch_flavor._samples import train_samples

    return train_samples()

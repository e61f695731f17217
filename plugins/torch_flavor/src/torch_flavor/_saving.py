"""Writes the files of a PyTorch model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from palate.errors import InvalidOption, UnsafeModel, UnsupportedModel
from palate.hookspecs import SaveOptions
from torch_flavor import _calling
from torch_flavor._calling import open_program, plan_of
from torch_flavor._directory import DATA, FILE_NAMES, LOADER, PICKLE_INFO
from torch_flavor._export import export_module
from torch_flavor._export_errors import OTHERWISE, explain_refusal
from torch_flavor._pt2 import check_archive
from torch_flavor._safetensors import write_tensors
from torch_flavor._sinks import open_sink

__all__ = ["write_model"]

# MLflow's own, which is pickle with cloudpickle's pickler.
_MLFLOW_PICKLE = "mlflow.pytorch.pickle_module"


def write_model(model: Any, root: Path, options: SaveOptions) -> dict[str, Any]:
    """Write *model* under *root* and return its section."""
    if not isinstance(model, torch.nn.Module | torch.export.ExportedProgram):
        raise UnsupportedModel(
            type(model).__name__,
            reason="it is neither a torch.nn.Module nor an exported program",
            hint="pass the module that the weights belong to",
        )
    if options.format != "pickle" and isinstance(model, torch.nn.Module):
        _check_made(model)
    folder = root / DATA
    folder.mkdir()
    own_loader = _WRITERS[options.format](model, folder / FILE_NAMES[options.format], options)
    section = {
        "code": None,
        "model_data": DATA,
        "pytorch_version": str(torch.__version__),
        "serialization_format": options.format,
        "model_class": f"{type(model).__module__}.{type(model).__qualname__}",
    }
    if own_loader:
        _write_loader(root / "code")
        section["loader_module"] = LOADER
    return section


def _check_made(model: torch.nn.Module) -> None:
    if any(map(torch.nn.parameter.is_lazy, (*model.parameters(), *model.buffers()))):
        raise UnsupportedModel(
            type(model).__name__,
            reason="it has parameters or buffers that are only made when it is called for the first time",
            hint="call it once on an example before you save it",
        )


def _write_program(model: Any, target: Path, options: SaveOptions) -> bool:
    program = export_module(model, options)
    with open_sink(target) as file:
        torch.export.save(program, file)
    try:
        with target.open("r+b") as file:
            check_archive(file, target.name).write_back(file)
    except UnsafeModel as exc:
        raise explain_refusal(model, exc.rule) from exc
    return not _is_plain(program)


def _is_plain(program: Any) -> bool:
    """Whether MLflow's wrapper can call a program: one tensor in, one out, of types that numpy has."""
    plan = plan_of(open_program(program))
    outputs = program.graph_signature.user_outputs
    return (
        len(plan.positional) == 1
        and not plan.by_name
        and not plan.casts
        and program.call_spec.in_spec.num_leaves == 1
        and len(outputs) == 1
        and program.call_spec.out_spec.is_leaf()
        and not _is_widened(program, outputs[0])
    )


def _is_widened(program: Any, output: str) -> bool:
    values = {node.name: node.meta.get("val") for node in program.graph.nodes}
    return getattr(values.get(output), "dtype", None) is torch.bfloat16


def _write_weights(model: Any, target: Path, options: SaveOptions) -> bool:
    given = options.extra.get("module")
    if isinstance(model, torch.export.ExportedProgram):
        hint = "use format='pt2', which holds it whole"
        raise UnsupportedModel(type(model).__name__, reason="its weights alone have no module to go into", hint=hint)
    if options.example is not None and (given is None or given is model):
        raise InvalidOption(
            "module",
            reason="with an input example, the weights are loaded back to prove them, and there is "
            + ("no module to load them into" if given is None else "only the model itself to load them into"),
            hint=f"pass module={type(model).__name__}, or a function without arguments that makes the module anew, "
            "here as when loading",
        )
    states = model.state_dict()
    foreign = [name for name, value in states.items() if not isinstance(value, torch.Tensor)]
    if foreign:
        raise UnsupportedModel(
            type(model).__name__,
            reason=f"its state holds what is no tensor: {', '.join(foreign[:5])}",
            hint="format='pickle' holds it, and loads with trust=True",
        )
    write_tensors(states, target)
    return False


def _write_pickle(model: Any, target: Path, options: SaveOptions) -> bool:
    if isinstance(model, torch.export.ExportedProgram):
        hint = "use format='pt2', which holds it without a pickle"
        raise UnsupportedModel(type(model).__name__, reason="an exported program cannot be pickled", hint=hint)
    if isinstance(model, torch.jit.ScriptModule):
        with open_sink(target) as file:
            torch.jit.save(model, file)
    else:
        import cloudpickle

        try:
            with open_sink(target) as file:
                # By default torch writes a protocol of Python 2, under whose names no package is found today.
                torch.save(model, file, pickle_module=cloudpickle, pickle_protocol=4)
        except OSError:
            raise
        except Exception as exc:  # whatever a __reduce__ raises
            raise UnsupportedModel(
                type(model).__name__,
                reason=f"it cannot be pickled ({type(exc).__name__}: {exc!s:.200})",
                hint=OTHERWISE.partition(";")[0],
            ) from exc
    # MLflow imports what stands here, as it stands: a line end would be part of the name.
    target.with_name(PICKLE_INFO).write_text(_MLFLOW_PICKLE, encoding="ascii")
    return _needs_loader(model, options)


def _needs_loader(model: Any, options: SaveOptions) -> bool:
    """Whether the example shows that MLflow's wrapper could not call the module."""
    if options.example is None:
        return len(plan_of(model).required) > 1
    from torch_flavor._calling import predict

    if isinstance(options.example, dict):
        return True
    return isinstance(predict(model, options.example), dict)


def _write_loader(folder: Path) -> None:
    """Put the loader for stock MLflow beside the user's own code."""
    target = folder / f"{LOADER}.py"
    if target.exists():
        raise InvalidOption(
            "code_paths", reason=f"{target.name} is the name of Palate's own loader", hint="rename that file"
        )
    folder.mkdir(exist_ok=True)
    target.write_bytes(Path(_calling.__file__).read_bytes())


_WRITERS: dict[str, Callable[[Any, Path, SaveOptions], bool]] = {
    "pt2": _write_program,
    "safetensors": _write_weights,
    "pickle": _write_pickle,
}

"""Reads a PyTorch model: a checked graph, weights for a module of the caller's, or, with trust, a pickle."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from typing import Any

import torch

from palate.errors import InvalidModelFile, InvalidOption, Problem, UnsafeModel
from palate.hookspecs import ForkLock, LoadOptions
from torch_flavor._calling import open_program
from torch_flavor._directory import ModelFile
from torch_flavor._guarded_operators import find_scalar_operator, guard_operators
from torch_flavor._pt2 import check_archive
from torch_flavor._safetensors import read_tensors

__all__ = ["read_model"]

_MAX_LISTED = 10

# torch reads one program at a time: what reads it is a global of the process, with which no child shall begin.
_reading = ForkLock()


def read_model(file: ModelFile, config: Mapping[str, Any], options: LoadOptions) -> torch.nn.Module:
    """Return the module, in evaluation mode, on the device asked for."""
    device = _device(options.extra.get("device", "cpu"))
    if file.format == "safetensors":
        return _read_weights(file, config, options).to(device)
    if options.extra.get("module") is not None:
        raise InvalidOption(
            "module", reason=f"{file.name} holds its module itself", hint="leave it out; only weights need a module"
        )
    if file.format == "pt2":
        return _read_program(file, device)
    if not options.trust:
        raise UnsafeModel(file.name, rule="a pickle can run any code", hint="pass trust=True if you trust its source")
    return _read_pickle(file, device, options)


def _device(asked: object) -> torch.device:
    try:
        device = torch.device(asked)
        torch.zeros(1, device=device).item()  # the device "meta" exists, and holds nothing
    except (RuntimeError, TypeError, AssertionError, NotImplementedError) as exc:
        names = ", ".join(map(repr, _devices()))
        raise InvalidOption("device", reason=f"{asked!r:.60} cannot be used here", hint=f"there is {names}") from exc
    return device


def _devices() -> list[str]:
    found = torch.accelerator.current_accelerator(check_available=True)
    count = torch.accelerator.device_count() if found else 0
    return ["cpu", *(f"{found}:{number}" for number in range(count))]


def _read_program(file: ModelFile, device: torch.device) -> torch.nn.Module:
    with file.path.open("rb") as source:
        archive = check_archive(source, file.name)
        with _reading.held:
            program = torch.export.load(archive.stitched(source))
    if device.type != "cpu":
        from torch.export.passes import move_to_device_pass

        program = move_to_device_pass(program, device)
    module = open_program(program)
    if operator := find_scalar_operator(module):
        raise UnsafeModel(file.name, rule=f"its graph calls {operator:.120}, which is no operator on tensors")
    guard_operators(module)
    return module


# -- weights ---------------------------------------------------------------------------------------------------------


def _read_weights(file: ModelFile, config: Mapping[str, Any], options: LoadOptions) -> torch.nn.Module:
    module = _given_module(file, config, options.extra.get("module"))
    tensors = read_tensors(options.map_file(file.name), file.name)
    _check_fit(module, tensors)
    # The module takes the mapped tensors as its own: nothing is copied.
    module.load_state_dict(tensors, strict=True, assign=True)
    return module.eval()


def _given_module(file: ModelFile, config: Mapping[str, Any], given: Any) -> torch.nn.Module:
    recorded = config.get("model_class")
    of = f" of a {recorded!r:.120}" if isinstance(recorded, str) else ""
    if given is None:
        name = recorded.rpartition(".")[2] if isinstance(recorded, str) else "Net"
        raise InvalidOption(
            "module",
            reason=f"{file.name} holds the weights{of} and no code",
            hint=f"pass module={name:.60}, or a function without arguments that makes the module",
        )
    module = given
    if not isinstance(given, torch.nn.Module) and callable(given):
        try:
            # What initial weights draw is thrown away, and must not shift what the caller draws next.
            with torch.random.fork_rng(devices=[]):
                module = given()
        except TypeError as exc:
            hint = "pass a module, or a function without arguments, such as lambda: Net(hidden=8)"
            raise InvalidOption("module", reason=f"it could not be called ({exc})", hint=hint) from exc
    if not isinstance(module, torch.nn.Module):
        raise InvalidOption(
            "module",
            reason=f"it is, or makes, a {type(module).__name__}, not a torch.nn.Module",
            hint=f"pass a module{of}, or a function without arguments that makes one",
        )
    return module


def _check_fit(module: torch.nn.Module, tensors: Mapping[str, torch.Tensor]) -> None:
    """Refuse a module whose state has other names, shapes or data types, telling all the differences."""
    state = module.state_dict()
    found = [f"{name} is not in the file" for name in state if name not in tensors]
    found += [f"{name} is not in the module" for name in tensors if name not in state]
    for name in state.keys() & tensors.keys():
        wanted, stored = _form(state[name]), _form(tensors[name])
        if wanted != stored:
            found.append(f"{name} is {wanted} in the module, and {stored} in the file")
    if found:
        shown = "; ".join(sorted(found)[:_MAX_LISTED])
        rest = f"; and {len(found) - _MAX_LISTED} more" if len(found) > _MAX_LISTED else ""
        raise InvalidOption(
            "module",
            reason=f"{type(module).__name__} does not fit the saved weights: {shown}{rest}",
            hint="pass a module made with the same arguments as the saved one",
        )


def _form(tensor: torch.Tensor) -> str:
    return f"{str(tensor.dtype).partition('.')[2]} of shape {list(tensor.shape)}"


# -- pickles, with trust ---------------------------------------------------------------------------------------------


def _read_pickle(file: ModelFile, device: torch.device, options: LoadOptions) -> torch.nn.Module:
    with options.code.activated():
        if _is_torchscript(file):
            model = torch.jit.load(file.path, map_location=device)
        else:
            model = torch.load(
                file.path, map_location=device, weights_only=False, pickle_module=options.code.pickle_module()
            )
    if not isinstance(model, torch.nn.Module):
        message = f"holds a {type(model).__name__}, not a module"
        raise InvalidModelFile([Problem((), "wrong_type", message)], source=file.name)
    return model.to(device).eval()


def _is_torchscript(file: ModelFile) -> bool:
    if not zipfile.is_zipfile(file.path):
        return False
    with zipfile.ZipFile(file.path) as archive:
        names = {name.partition("/")[2] for name in archive.namelist()}
    return "constants.pkl" in names and "data.pkl" in names

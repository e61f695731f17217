"""Calls a PyTorch model with arrays: data to tensors, ``forward``, and what it returns to arrays.

This one file is the way that predictions go in Palate, and, copied into the ``code`` folder of a model directory as
``palate_torch_loader.py``, also in stock MLflow, for models that MLflow's own wrapper cannot call: several inputs, or
outputs with names. So it needs torch and numpy and nothing else. Palate never runs the copy.
"""

from __future__ import annotations

import inspect
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, fields, is_dataclass
from types import FunctionType
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch.utils import _pytree as pytree

__all__ = [
    "CallPlan",
    "arguments",
    "evaluating",
    "flatten_outputs",
    "is_frame",
    "named_parts",
    "open_program",
    "plan_of",
    "predict",
    "unwrapped",
]

# Where the module made of a program keeps how it is called.
_PLAN = "palate_call_plan"
# How methods are called, by the functions behind them: reading a signature takes longer than many a small model.
_plans: WeakKeyDictionary[FunctionType, CallPlan] = WeakKeyDictionary()
# Data types that numpy has not.
_WIDENED = {torch.bfloat16: torch.float32}


@dataclass(frozen=True)
class CallPlan:
    """How a model is called.

    Attributes:
        positional: names of the inputs that are given by position.
        by_name: names of those that are given by name.
        required: names of those that have no default.
        casts: the data types of inputs that no array can have.
        fixed: whether the inputs are just these, as in an exported program.
    """

    positional: tuple[str, ...]
    by_name: tuple[str, ...] = ()
    required: frozenset[str] = frozenset()
    casts: Mapping[str, torch.dtype] | None = None
    fixed: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """All inputs."""
        return self.positional + self.by_name


# -- what is called ------------------------------------------------------------------------------------------------


def unwrapped(model: Any) -> Any:
    """Return the module that ``torch.compile`` wraps; any other model as it is."""
    parts = getattr(model, "_modules", None)  # to ask a module for an attribute that it has not takes it microseconds
    return parts.get("_orig_mod", model) if isinstance(parts, dict) else model


def open_program(program: Any) -> torch.nn.Module:
    """Return the module of an exported program, with its plan."""
    module: Any = program.module()
    module.meta[_PLAN] = _plan_of_program(program, module)
    return module


def plan_of(model: Any) -> CallPlan:
    """Return how a module is called."""
    known = vars(model).get("meta")
    if isinstance(known, dict) and isinstance(known.get(_PLAN), CallPlan):
        plan: CallPlan = known[_PLAN]
        return plan
    if isinstance(model, torch.jit.ScriptModule):
        names = [argument.name for argument in model.forward.schema.arguments[1:]]
        defaults = [argument.has_default_value() for argument in model.forward.schema.arguments[1:]]
        return CallPlan(tuple(names), required=frozenset(n for n, d in zip(names, defaults, strict=True) if not d))
    function = getattr(model.forward, "__func__", None)  # a method is made anew each time it is asked for
    if not isinstance(function, FunctionType):
        return _plan_of_function(model.forward)
    if function not in _plans:
        _plans[function] = _plan_of_function(model.forward)
    return _plans[function]


def _plan_of_function(function: Callable[..., Any]) -> CallPlan:
    parameters = inspect.signature(function).parameters.values()
    named = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    return CallPlan(
        positional=tuple(p.name for p in named if p.kind is not p.KEYWORD_ONLY),
        by_name=tuple(p.name for p in named if p.kind is p.KEYWORD_ONLY),
        required=frozenset(p.name for p in named if p.default is p.empty),
    )


def _plan_of_program(program: Any, module: Any) -> CallPlan:
    spec = program.call_spec.in_spec
    # The structure of the call, with the number of each tensor in its place.
    args, kwargs = pytree.tree_unflatten(list(range(spec.num_leaves)), spec)
    given = program.module_call_graph[0].signature.forward_arg_names
    names = list(given or inspect.signature(module.forward).parameters)
    positional, by_name = tuple(names[: len(args)]), tuple(kwargs)
    types = _input_types(program)
    places = {**dict(zip(positional, args, strict=True)), **kwargs}
    casts = {name: types[n] for name, n in places.items() if isinstance(n, int) and types.get(n) in _WIDENED}
    return CallPlan(positional, by_name, frozenset(positional + by_name), casts, fixed=True)


def _input_types(program: Any) -> dict[int, torch.dtype]:
    """Return the data types of a program's inputs by their numbers."""
    values = {node.name: node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder"}
    found = (values.get(name) for name in program.graph_signature.user_inputs)
    return {n: value.dtype for n, value in enumerate(found) if isinstance(value, torch.Tensor)}


# -- data in -------------------------------------------------------------------------------------------------------


def predict(model: Any, data: Any, params: Mapping[str, Any] | None = None) -> Any:
    """Call *model*, in evaluation mode and without gradients; return an array, or a dict of arrays."""
    model = unwrapped(model)
    module = model if isinstance(model, torch.nn.Module) else open_program(model)
    plan = plan_of(module)
    # A graph was made in evaluation mode, and knows no other.
    with nullcontext() if plan.fixed else evaluating(module), torch.inference_mode():
        args, kwargs = arguments(module, data, params or {}, plan)
        return to_arrays(module(*args, **kwargs))


@dataclass
class _Evaluation:
    """How many calls of a module last, and the parts that go back into training mode after the last of them."""

    calls: int = 0
    training: list[torch.nn.Module] = field(default_factory=list)


@contextmanager
def evaluating(module: torch.nn.Module) -> Iterator[None]:
    """Put every part into evaluation mode, and back into the mode it was in when the last thread has done so.

    The flags are set and no ``eval()`` is called: some modules fold weights in there, and could not go back.
    """
    evaluation = _begin(module)
    try:
        yield
    finally:
        if evaluation is not None:
            _end(module, evaluation)


_evaluations: dict[int, _Evaluation] = {}
_mode_lock = threading.Lock()


def _renew_lock() -> None:
    global _mode_lock
    _mode_lock = threading.Lock()


# A thread that has it when another forks will never give it back in the child.
os.register_at_fork(after_in_child=_renew_lock)


def _begin(module: torch.nn.Module) -> _Evaluation | None:
    """Note that a call of *module* begins, unless every part of it is in evaluation mode anyway."""
    with _mode_lock:
        training = [part for part in module.modules() if part.training]
        if not training and id(module) not in _evaluations:
            return None
        evaluation = _evaluations.setdefault(id(module), _Evaluation())
        evaluation.calls += 1
        evaluation.training += training
        for part in training:
            part.training = False
        return evaluation


def _end(module: torch.nn.Module, evaluation: _Evaluation) -> None:
    with _mode_lock:
        evaluation.calls -= 1
        if not evaluation.calls:
            del _evaluations[id(module)]
            for part in evaluation.training:
                part.training = True


def arguments(
    module: torch.nn.Module, data: Any, params: Mapping[str, Any], plan: CallPlan | None = None
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of ``forward`` that *data* and *params* make, by its *plan* if that is known."""
    plan = plan or plan_of(module)
    device, float_type = _home(module)
    given = _by_input(plan, data)
    values = {
        name: _to_tensors(value, device, (plan.casts or {}).get(name, float_type)) for name, value in given.items()
    }
    if not plan.fixed:
        values.update({name: value for name, value in params.items() if name in plan.names and name not in values})
    args: list[Any] = []
    for name in plan.positional:
        if name not in values:
            break  # what follows has defaults, or is given by name
        args.append(values.pop(name))
    return tuple(args), values


def _home(module: torch.nn.Module) -> tuple[torch.device, torch.dtype | None]:
    """Return where a module's tensors are, and their data type if no array can have it."""
    first = _first(part._parameters for part in module.modules())
    if first is None:
        first = _first(part._buffers for part in module.modules())
    if first is None:
        return torch.device("cpu"), None
    return first.device, first.dtype if first.dtype in _WIDENED else None


def _first(members: Iterable[Any]) -> torch.Tensor | None:
    # module.parameters() tells each from the others first, at several times the cost.
    return next((tensor for part in members for tensor in part.values() if tensor is not None), None)


def _by_input(plan: CallPlan, data: Any) -> dict[str, Any]:
    names, required = plan.names, plan.required or frozenset(plan.names[:1])
    if isinstance(data, np.ndarray):
        return _only(names, required, data)
    if is_frame(data):
        columns = list(data.columns)
        if len(required) < 2 or not required <= set(columns) <= set(names):
            # A gap in a column of integers is NaN, as in one of floats.
            return _only(names, required, data.to_numpy(dtype=np.float32, na_value=np.nan))
        return {name: data[name].to_numpy() for name in columns}
    if isinstance(data, Mapping):
        if required <= set(data) <= set(names):
            return dict(data)
        if len(required) == 1:
            return _only(names, required, data)  # forward takes a dict
        wanted = ", ".join(name if name in required else f"{name} (optional)" for name in names)
        raise ValueError(f"the model takes the inputs {wanted}; given were {', '.join(map(str, data))}")
    if isinstance(data, list | tuple) and data and all(isinstance(item, np.ndarray | torch.Tensor) for item in data):
        return (
            dict(zip(plan.positional, data, strict=False))
            if len(data) <= len(plan.positional)
            else _only(names, required, data)
        )
    return _only(names, required, data)


def _only(names: Sequence[str], required: frozenset[str], data: Any) -> dict[str, Any]:
    if not names:
        raise ValueError("the model's forward names no inputs")
    if len(required) > 1:
        raise ValueError(f"the model takes {len(required)} inputs: give a dict with {', '.join(sorted(required))}")
    return {next(iter(required)): data}


def is_frame(data: Any) -> bool:
    """Tell whether *data* is a DataFrame."""
    # Whoever holds one has imported pandas.
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(data, pandas.DataFrame)


def _to_tensors(data: Any, device: torch.device, float_type: torch.dtype | None) -> Any:
    if not isinstance(data, np.ndarray) and isinstance(data, Mapping):
        return {name: _to_tensors(value, device, float_type) for name, value in data.items()}
    if isinstance(data, list | tuple) and any(isinstance(item, np.ndarray | torch.Tensor) for item in data):
        return type(data)(_to_tensors(item, device, float_type) for item in data)
    tensor = _to_tensor(data)
    if float_type is not None and tensor.dtype == _WIDENED[float_type]:
        tensor = tensor.to(float_type)
    return tensor.to(device)


def _to_tensor(data: Any) -> torch.Tensor:
    if isinstance(data, torch.Tensor):
        return data.clone()  # forward may write into it
    if not hasattr(data, "__array__"):
        return torch.tensor(data)
    data = np.asarray(data)
    if data.dtype.kind not in "biufc":
        raise ValueError(f"a tensor holds numbers, not {data.dtype}")
    # torch knows neither the other byte order nor arrays that run backwards; forward may write into it.
    native = None if data.dtype.isnative else data.dtype.newbyteorder("=")
    return torch.from_numpy(np.array(data, dtype=native, order="C"))


# -- outputs -------------------------------------------------------------------------------------------------------


def to_arrays(result: Any) -> Any:
    """Return a tensor as an array; anything that holds several as a dict of arrays."""
    if isinstance(result, torch.Tensor):
        return _to_array(result)
    return {name: _to_array(value) for name, value in flatten_outputs(result).items()}


def flatten_outputs(result: Any) -> dict[str, Any]:
    """Return the values in *result* by name.

    A dict and a named tuple have names; values of a tuple are called output_0, output_1, and so on, or, further down,
    after what they are in: hidden_0, hidden_1. What is None is left out.
    """
    flat: dict[str, Any] = {}
    for path, value in _leaves(result, ""):
        name = path or "output"
        if name in flat:
            raise ValueError(f"two of the model's outputs would be called {name!r}")
        flat[name] = value
    return flat


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if value is None:
        return
    parts = named_parts(value)
    if parts is None:
        yield path, value
        return
    for name, part in parts.items():
        prefix = path or ("output" if isinstance(name, int) else "")
        yield from _leaves(part, f"{prefix}_{name}" if prefix else str(name))


def named_parts(value: Any) -> Mapping[Any, Any] | None:
    """Return what *value* is made of, by name, or by number for a list; None for a value of its own."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, list | tuple):
        # A named tuple has fields; what topk() and its like return matches by names.
        kind: Any = type(value)
        known = hasattr(kind, "_fields") or hasattr(kind, "n_sequence_fields")
        names = kind.__match_args__ if known else range(len(value))
        return dict(zip(names, value, strict=True))
    if is_dataclass(value) and not isinstance(value, type):
        return {part.name: getattr(value, part.name) for part in fields(value)}
    return None


def _to_array(value: Any) -> Any:
    if not isinstance(value, torch.Tensor):
        if isinstance(value, bool | int | float | complex):
            return np.asarray(value)
        raise ValueError(f"the model returns a {type(value).__name__}, which is no tensor")
    if value.layout is not torch.strided:
        value = value.to_dense()
    if value.is_quantized:
        value = value.dequantize()
    if value.dtype in _WIDENED:
        value = value.to(_WIDENED[value.dtype])
    return value.numpy(force=True)  # detached, and copied from where it is


# -- stock MLflow --------------------------------------------------------------------------------------------------


def _load_pyfunc(path: str, model_config: Mapping[str, Any] | None = None) -> _Wrapper:
    """Open the model's data for ``mlflow.pyfunc.load_model``."""
    device = (model_config or {}).get("device") or "cpu"
    file = os.path.join(path, "model.pth")
    if os.path.exists(file):
        return _Wrapper(torch.load(file, map_location=device, weights_only=False).to(device).eval())
    program = torch.export.load(os.path.join(path, "model.pt2"))
    if device != "cpu":
        from torch.export.passes import move_to_device_pass

        program = move_to_device_pass(program, device)
    return _Wrapper(open_program(program))


class _Wrapper:
    """What ``mlflow.pyfunc`` calls."""

    def __init__(self, module: torch.nn.Module) -> None:
        self.module = module

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        return predict(self.module, data, params)

    def get_raw_model(self) -> torch.nn.Module:
        return self.module

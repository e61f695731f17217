"""The tensors that a module is exported with, and which of their sizes may change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from palate.errors import InvalidOption, UnsupportedModel
from palate.schema import TensorSpec
from palate.signature import Signature
from torch_flavor._calling import arguments, plan_of

__all__ = ["ExampleCall", "example_call"]

# For sizes that a signature leaves open, when there is no example to take them from.
_SIZE_BY_SIGNATURE = 8
# torch takes the sizes 0 and 1 for special, and would hold on to them.
_MIN_BATCH = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleCall:
    """One call of a module.

    Attributes:
        args: the arguments given by position.
        kwargs: those given by name.
        names: the inputs' names, those of *args* first.
        free: the dimensions that may have any size, by the path of each tensor.
        batched: which dimension of a tensor counts the rows, by its path.
        rows: how many rows the example has.
    """

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    names: tuple[str, ...]
    free: Mapping[str, frozenset[int]]
    batched: Mapping[str, int]
    rows: int

    def with_rows(self, count: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments for a batch of *count* rows: those of the example, over and over."""

        def resized(path: str, tensor: torch.Tensor) -> torch.Tensor:
            if path not in self.batched:
                return tensor.clone()
            again = torch.arange(count, device=tensor.device) % self.rows
            return tensor.index_select(self.batched[path], again)

        values = self._mapped(resized, lambda value: value)
        return tuple(values[: len(self.args)]), dict(zip(self.kwargs, values[len(self.args) :], strict=True))

    def dynamic_shapes(self) -> dict[str, Any]:
        """Return the free dimensions as ``torch.export.export`` wants them."""

        def free(path: str, _: torch.Tensor) -> Any:
            return dict.fromkeys(sorted(self.free[path]), torch.export.Dim.AUTO)

        return dict(zip(self.names, self._mapped(free, lambda _: None), strict=True))

    def _mapped(self, change: Callable[[str, torch.Tensor], Any], change_other: Callable[[Any], Any]) -> list[Any]:
        values = (*self.args, *self.kwargs.values())
        return [_changed(name, value, change, change_other) for name, value in zip(self.names, values, strict=True)]


def _changed(
    path: str, value: Any, change: Callable[[str, torch.Tensor], Any], change_other: Callable[[Any], Any]
) -> Any:
    """Return *value* with each tensor changed in its place, and each number or text by *change_other*."""
    if isinstance(value, torch.Tensor):
        return change(path, value)
    if isinstance(value, Mapping):
        return {name: _changed(f"{path}.{name}", part, change, change_other) for name, part in value.items()}
    if isinstance(value, list | tuple):
        parts = (_changed(f"{path}.{number}", part, change, change_other) for number, part in enumerate(value))
        return type(value)(parts)
    return change_other(value)


def _tensors(path: str, value: Any) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        yield path, value
    elif isinstance(value, Mapping):
        for name, part in value.items():
            yield from _tensors(f"{path}.{name}", part)
    elif isinstance(value, list | tuple):
        for number, part in enumerate(value):
            yield from _tensors(f"{path}.{number}", part)


def example_call(
    module: torch.nn.Module, example: object, signature: Signature | None, given: object, *, dynamic: bool
) -> ExampleCall:
    """Return the call to export *module* with.

    Args:
        module: what is exported.
        example: the input example, or None.
        signature: what is declared of the inputs, or None.
        given: the option ``example_inputs``, which goes before the example, or None.
        dynamic: whether sizes may change at all.
    """
    specs = signature.inputs.tensors if signature is not None and signature.inputs is not None else ()
    data = given if given is not None else example
    if data is None:
        data = _zeros(module, specs)
    try:
        args, kwargs = arguments(module, data, {})
    except (ValueError, TypeError) as exc:
        name = "example_inputs" if given is not None else "input_example"
        raise InvalidOption(name, reason=str(exc), hint="give an array, or a dict of arrays by input") from exc
    names = (*plan_of(module).positional[: len(args)], *kwargs)
    tensors = dict(
        pair for name, value in zip(names, (*args, *kwargs.values()), strict=True) for pair in _tensors(name, value)
    )
    free = {path: _free_dimensions(path, tensor, specs) if dynamic else frozenset() for path, tensor in tensors.items()}
    batched, rows = _batch(tensors, free)
    call = ExampleCall(args=args, kwargs=kwargs, names=names, free=free, batched=batched, rows=rows)
    if not batched or rows >= _MIN_BATCH:
        return call
    args, kwargs = call.with_rows(_MIN_BATCH)
    return replace(call, args=args, kwargs=kwargs, rows=_MIN_BATCH)


def _batch(tensors: Mapping[str, torch.Tensor], free: Mapping[str, frozenset[int]]) -> tuple[Mapping[str, int], int]:
    """Return which dimension of which tensor counts the rows, and how many there are: the first that is free."""
    first = {path: min(dimensions) for path, dimensions in free.items() if dimensions}
    sizes = {path: tensors[path].shape[dimension] for path, dimension in first.items()}
    rows = next(iter(sizes.values()), 0)
    if sizes and not rows:
        raise InvalidOption("input_example", reason="it has no rows", hint="give an example of at least one row")
    return {path: first[path] for path, size in sizes.items() if size == rows}, rows


def _free_dimensions(path: str, tensor: torch.Tensor, specs: tuple[TensorSpec, ...]) -> frozenset[int]:
    """Return the dimensions that the signature leaves open; where it says nothing, the first."""
    named = {spec.name: spec for spec in specs}
    spec = named.get(path) or (specs[0] if len(specs) == 1 and specs[0].name is None and "." not in path else None)
    if spec is None or len(spec.shape) != tensor.dim():
        return frozenset({0}) if tensor.dim() else frozenset()
    return frozenset(number for number, size in enumerate(spec.shape) if size == -1)


def _zeros(module: torch.nn.Module, specs: tuple[TensorSpec, ...]) -> Any:
    import numpy as np

    if not specs:
        raise UnsupportedModel(
            type(module).__name__,
            reason="to write its graph, Palate has to call it once, and there is nothing to call it with",
            hint="pass input_example=..., or a signature of tensors, or example_inputs=...; "
            "format='safetensors' and format='pickle' need none",
        )
    arrays = {}
    for spec in specs:
        opened = [
            size if size != -1 else _MIN_BATCH if number == 0 else _SIZE_BY_SIGNATURE + number
            for number, size in enumerate(spec.shape)
        ]
        arrays[spec.name] = np.zeros(opened, dtype=spec.dtype)
    return arrays if specs[0].name is not None else arrays[None]

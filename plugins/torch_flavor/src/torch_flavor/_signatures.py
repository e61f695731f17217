"""What an exported program knows of its inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch.utils import _pytree as pytree

from palate.schema import Schema, TensorSpec
from palate.signature import Signature
from torch_flavor._calling import flatten_outputs

__all__ = ["input_values", "is_fixed", "program_signature", "shape_of", "signature_source"]

# Data types that numpy has not; predictions come as the type beside.
_NUMPY = {torch.bfloat16: "float32"}


def program_signature(model: object) -> Signature | None:
    """Return the signature of an exported program; None if its inputs are no plain tensors."""
    if not isinstance(model, torch.export.ExportedProgram):
        return None
    inputs = input_values(model)
    if not inputs or not all(_has_array(value) for value in inputs.values()):
        return None
    outputs = _output_values(model)
    tensors = all(_has_array(value) for value in outputs.values())
    single = len(outputs) == 1 and "output" in outputs
    return Signature(
        inputs=_schema(inputs, named=len(inputs) > 1),
        outputs=_schema(outputs, named=not single) if outputs and tensors else None,
    )


def signature_source(signature: Signature) -> str:
    """Return Python that makes the inputs of *signature*."""
    assert signature.inputs is not None  # a program without known inputs has no signature
    specs = [
        f"palate.TensorSpec(dtype={spec.dtype!r}, shape={spec.shape!r}{f', name={spec.name!r}' if spec.name else ''})"
        for spec in signature.inputs.tensors
    ]
    return f"palate.Signature(inputs=palate.Schema(({', '.join(specs)},)))"


def _schema(values: Mapping[str, Any], *, named: bool) -> Schema:
    return Schema(
        tuple(
            TensorSpec(dtype=_dtype(value), shape=shape_of(value), name=name if named else None)
            for name, value in values.items()
        )
    )


def shape_of(value: torch.Tensor) -> tuple[int, ...]:
    """Return a shape whose symbolic sizes are -1."""
    return tuple(int(size) if is_fixed(size) else -1 for size in value.shape)


def is_fixed(size: Any) -> bool:
    """Whether a size is a number, also where it is one in the shape of a symbol."""
    return isinstance(size, int) or bool(size.node.expr.is_number)


def _has_array(value: object) -> bool:
    """Whether *value* is a tensor that numpy has a form for."""
    # The data types of one byte are bool, two integers, and floats of eight bits, which numpy has not.
    return isinstance(value, torch.Tensor) and not (value.dtype.itemsize == 1 and value.dtype.is_floating_point)


def _dtype(value: torch.Tensor) -> str:
    return _NUMPY.get(value.dtype) or str(torch.empty(0, dtype=value.dtype).numpy().dtype)


def input_values(program: Any) -> dict[str, Any] | None:
    """Return the tensors (without content) that the inputs are, by name; None if some are nested."""
    spec = program.call_spec.in_spec
    values = {node.name: node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder"}
    # A constant that was given in the place of a tensor has no name in the graph.
    flat = [values.get(name) if isinstance(name, str) else None for name in program.graph_signature.user_inputs]
    if len(flat) != spec.num_leaves:
        return None
    args, kwargs = pytree.tree_unflatten(flat, spec)
    names = list(program.module_call_graph[0].signature.forward_arg_names or ())
    if len(names) < len(args):
        names = [f"input_{number}" for number in range(len(args))]
    named = {**dict(zip(names, args, strict=False)), **kwargs}
    return None if any(isinstance(value, dict | list | tuple) for value in named.values()) else named


def _output_values(program: Any) -> dict[str, Any]:
    values = {node.name: node.meta.get("val") for node in program.graph.nodes}
    flat = [values.get(name) if isinstance(name, str) else name for name in program.graph_signature.user_outputs]
    return flatten_outputs(pytree.tree_unflatten(flat, program.call_spec.out_spec))

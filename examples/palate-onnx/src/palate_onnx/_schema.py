"""What a graph says of its inputs and outputs, in the types of a signature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from palate.schema import AnyType, ColSpec, Schema, TensorSpec, is_tensor_dtype
from palate.signature import Signature
from palate_onnx._frameworks import import_onnx

__all__ = ["find_rounded", "read_signature"]


def read_signature(model: Any) -> Schema | Signature | None:
    """Return what a graph says of its inputs; None when an input is no tensor of a type and shape that are known.

    A schema of tensors, which gives way to what an input example shows: columns of a DataFrame, a dict. One input is a
    tensor without a name, so that it takes arrays and tables; several have their names. Where an output is no tensor
    (the probabilities of skl2onnx's ZipMap are dicts with integers for keys, which no signature can name), it is a
    signature that leaves nothing to be learnt from predictions.

    Args:
        model: an ``onnx.ModelProto``; None is known of anything else.
    """
    if not isinstance(model, import_onnx().ModelProto):
        return None
    values = _inputs_of(model)
    inputs = _tensors_of(values, named=len(values) > 1)
    if inputs is None or all(value.type.HasField("tensor_type") for value in model.graph.output):
        return inputs
    anything = tuple(ColSpec(name=value.name, type=AnyType()) for value in model.graph.output)
    return Signature(inputs=inputs, outputs=Schema(anything))


def find_rounded(graph: Any, signature: Signature | None) -> list[str]:
    """Return the columns that a signature declares as double and the graph takes as float32."""
    if signature is None or signature.inputs is None:
        return []
    short = {
        value.name: value.type.tensor_type.elem_type == import_onnx().TensorProto.FLOAT for value in _inputs_of(graph)
    }
    # The only input takes all columns; of several, each takes the one of its name.
    every = len(short) == 1 and all(short.values())
    return [
        str(column.name)
        for column in signature.inputs.columns
        if column.type == "double" and (every or short.get(str(column.name)))
    ]


def _inputs_of(graph: Any) -> list[Any]:
    given = {tensor.name for tensor in graph.graph.initializer}
    return [value for value in graph.graph.input if value.name not in given]


def _tensors_of(values: Sequence[Any], *, named: bool) -> Schema | None:
    specs = [_spec_of(value, named=named) for value in values]
    known = tuple(spec for spec in specs if spec is not None)
    return Schema(known) if known and len(known) == len(specs) else None


def _spec_of(value: Any, *, named: bool) -> TensorSpec | None:
    tensor, types = value.type.tensor_type, import_onnx().TensorProto.DataType
    if not tensor.HasField("shape") or tensor.elem_type not in types.values():
        return None
    name = types.Name(tensor.elem_type)
    dtype = {"FLOAT": "float32", "DOUBLE": "float64", "STRING": "str"}.get(name, name.lower())
    if not is_tensor_dtype(dtype):
        return None
    shape = tuple(size.dim_value if size.HasField("dim_value") else -1 for size in tensor.shape.dim)
    return TensorSpec(name=value.name if named else None, dtype=dtype, shape=shape)

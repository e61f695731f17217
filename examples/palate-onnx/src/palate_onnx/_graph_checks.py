"""What a graph must be before native code sees it: no code from elsewhere, and no number without its data."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from palate_onnx._frameworks import import_onnx
from palate_onnx._tree_checks import OPERATORS, find_broken_tree

__all__ = ["count_bytes", "find_broken_rule", "messages_of", "tensors_of"]

# What onnxruntime itself implements. Any other operator would have to come from a library that the caller registers.
_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
# It reads compiled code for an accelerator out of a file that the model names.
_REFUSED_OPERATORS = frozenset({("com.microsoft", "EPContext")})
# A sparse tensor becomes a dense one, which a few bytes can make as large as they like.
_MOST_DENSE_ELEMENTS = 2**24

# Bits of one element of a tensor, and the field that holds it where it is not kept as raw bytes.
_ELEMENTS = {
    "FLOAT": (32, "float_data"),
    "DOUBLE": (64, "double_data"),
    "COMPLEX64": (64, "float_data"),
    "COMPLEX128": (128, "double_data"),
    "INT64": (64, "int64_data"),
    "UINT64": (64, "uint64_data"),
    "UINT32": (32, "uint64_data"),
    "INT32": (32, "int32_data"),
    "INT16": (16, "int32_data"),
    "UINT16": (16, "int32_data"),
    "FLOAT16": (16, "int32_data"),
    "BFLOAT16": (16, "int32_data"),
    "INT8": (8, "int32_data"),
    "UINT8": (8, "int32_data"),
    "BOOL": (8, "int32_data"),
    "FLOAT8E4M3FN": (8, "int32_data"),
    "FLOAT8E4M3FNUZ": (8, "int32_data"),
    "FLOAT8E5M2": (8, "int32_data"),
    "FLOAT8E5M2FNUZ": (8, "int32_data"),
    "FLOAT8E8M0": (8, "int32_data"),
    "INT4": (4, "int32_data"),
    "UINT4": (4, "int32_data"),
    "FLOAT4E2M1": (4, "int32_data"),
    "INT2": (2, "int32_data"),
    "UINT2": (2, "int32_data"),
    "STRING": (0, "string_data"),
}


def find_broken_rule(model: Any) -> str | None:
    """Return the rule that an ``onnx.ModelProto`` breaks, or None. Files of external data are not looked at."""
    from google.protobuf.unknown_fields import UnknownFieldSet

    if model.functions and (rule := _find_bad_functions(model)):
        return rule
    own = {(function.domain, function.name) for function in model.functions}
    for message in messages_of(model):
        kind = message.DESCRIPTOR.name
        # Another reader may know them, and nobody has checked them.
        rule = "it has fields that the installed onnx does not know" if len(UnknownFieldSet(message)) else None
        if rule is None and kind == "NodeProto":
            rule = _find_foreign_operator(message, own)
            if rule is None and message.op_type in OPERATORS:
                rule = find_broken_tree(message)
        elif rule is None and kind == "TensorProto":
            rule = _find_wrong_size(message)
        elif kind == "SparseTensorProto" and math.prod(message.dims) > _MOST_DENSE_ELEMENTS:
            rule = f"a sparse tensor may have at most {_MOST_DENSE_ELEMENTS} elements when it is dense"
        if rule:
            return rule
    return None


def messages_of(message: Any) -> Iterator[Any]:
    """Yield a protobuf message and all messages inside of it."""
    yield message
    if message.DESCRIPTOR.name == "TensorProto":  # to list its fields would be to copy its data
        yield from (*message.external_data, *message.metadata_props, message.segment)
        return
    for _, value in message.ListFields():
        if hasattr(value, "ListFields"):
            yield from messages_of(value)
        elif hasattr(value, "add"):  # a repeated field of messages; one of scalars can only append
            for item in value:
                yield from messages_of(item)


def tensors_of(model: Any) -> Iterator[Any]:
    """Yield every tensor of a model: initializers, constants in attributes, also those of nested graphs."""
    return (message for message in messages_of(model) if message.DESCRIPTOR.name == "TensorProto")


def count_bytes(tensor: Any) -> int | None:
    """Return how many raw bytes a tensor of its type and shape has; None for text and for unknown types."""
    bits, _ = _ELEMENTS.get(_type_name(tensor), (0, ""))
    return (_count_elements(tensor) * bits + 7) // 8 if bits else None


def _count_elements(tensor: Any) -> int:
    return int(math.prod(tensor.dims))


def _find_bad_functions(model: Any) -> str | None:
    if any(function.domain in _DOMAINS for function in model.functions):
        return "a function of the model must not stand in a domain that onnxruntime implements"
    return None


def _find_foreign_operator(node: Any, own: set[tuple[str, str]]) -> str | None:
    operator = (node.domain, node.op_type)
    if operator in own or (node.domain in _DOMAINS and operator not in _REFUSED_OPERATORS):
        return None
    return f"the operator {node.op_type!r:.60} of the domain {node.domain!r:.60} is not one of onnxruntime's own"


def _type_name(tensor: Any) -> str:
    types = import_onnx().TensorProto.DataType
    return str(types.Name(tensor.data_type)) if tensor.data_type in types.values() else ""


def _find_wrong_size(tensor: Any) -> str | None:
    name = f"the tensor {tensor.name!r:.60}"
    if (kind := _type_name(tensor)) not in _ELEMENTS:
        return f"{name} has an element type that this version of the plugin does not know"
    if any(size < 0 for size in tensor.dims):
        return f"{name} has a negative size"
    if tensor.data_location == tensor.EXTERNAL:
        return f"{name} is text, which cannot stand in another file" if kind == "STRING" else None
    bits, field = _ELEMENTS[kind]
    if tensor.HasField("raw_data"):
        right = count_bytes(tensor) == len(tensor.raw_data)
    else:
        right = _count_values(tensor, kind, bits) == len(getattr(tensor, field))
    return None if right else f"{name} has not as much data as its shape says"


def _count_values(tensor: Any, kind: str, bits: int) -> int:
    """Return how many numbers or texts the typed field of a tensor must have."""
    count = _count_elements(tensor)
    if kind.startswith("COMPLEX"):
        return 2 * count
    return (count * bits + 7) // 8 if 0 < bits < 8 else count

"""What models know of their own inputs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from palate.schema import Schema, TensorSpec
from tf_flavor._saved_model_calling import default_inputs, is_keras_model

__all__ = ["schema_of"]

# Types of which numpy, and so a signature, has no name.
_UNNAMED = ("bfloat16", "float8_e4m3fn", "float8_e5m2", "int4", "uint4")


def schema_of(model: Any) -> Schema | None:
    """Return the inputs of *model*, or None for one that takes what its code takes."""
    if not is_keras_model(model):
        return _tensor_schema(default_inputs(model) or ())
    specs = getattr(model, "inputs", None)
    if not isinstance(specs, list) or not specs:
        return None
    return _tensor_schema((spec.name, tuple(spec.shape), str(spec.dtype)) for spec in specs)


def _tensor_schema(inputs: Iterable[tuple[str, tuple[int | None, ...], str]]) -> Schema | None:
    """Return a schema of tensors: named if there are several, as MLflow has it."""
    listed = list(inputs)
    if not listed or any(dtype in _UNNAMED for _, _, dtype in listed):
        return None
    return Schema(
        tuple(
            TensorSpec(
                dtype="str" if dtype == "string" else dtype,
                shape=tuple(-1 if size is None else size for size in shape),
                name=name if len(listed) > 1 else None,
            )
            for name, shape, dtype in listed
        )
    )

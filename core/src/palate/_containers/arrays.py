"""Arrays of other packages, and any objects, as numpy's arrays."""

from __future__ import annotations

from typing import Any

from palate._containers.unfit import Unfit

__all__ = ["object_array", "tensor_array"]


def tensor_array(tensor: Any) -> Any:
    """Return an array of torch, TensorFlow, JAX or any other package as an ndarray, of the same memory where it can be.

    By TypeError, RuntimeError, ValueError or BufferError a package says that there is none; other errors are its own.

    Raises:
        Unfit: numpy has no such type, or the array lies on another device and its package does not fetch it.
    """
    import numpy as np

    try:
        # torch refuses numpy() while a gradient is tracked or the tensor is on another device.
        detached = tensor.detach().cpu() if hasattr(tensor, "detach") else tensor
        return np.asarray(detached) if hasattr(detached, "__array__") else np.from_dlpack(detached)
    except (TypeError, RuntimeError, ValueError, BufferError) as exc:
        hint = "bring it to the CPU, make it dense, and float32 if numpy does not know its type"
        raise Unfit("wrong_type", f"numpy has no form for this {type(tensor).__name__}", hint=hint) from exc


def object_array(items: list[Any]) -> Any:
    """Return an array of shape (n,) with each of *items* as one object: lists and arrays are not unfolded."""
    import numpy as np

    return np.fromiter(items, dtype=object, count=len(items))

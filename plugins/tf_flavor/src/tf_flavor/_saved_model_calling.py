"""Predicting with TensorFlow's own objects: modules before they are saved, and what SavedModels come back as."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from palate.errors import InvalidInput, Problem
from tf_flavor._arrays import as_arrays, name_outputs
from tf_flavor._imports import import_tensorflow

__all__ = ["DEFAULT_SIGNATURE", "default_inputs", "is_keras_model", "is_single", "method_names", "predict_saved_model"]

DEFAULT_SIGNATURE = "serving_default"
_INIT = "__saved_model_init_op"
# What Keras' export calls the function that predicts.
_ENDPOINT = "serve"


def is_keras_model(model: Any) -> bool:
    """Whether *model* is a Keras model, rather than an object of TensorFlow."""
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(model, keras.Model)


def method_names(model: Any) -> tuple[str, ...]:
    """Return ``predict``, if there is what it could call, and the names of the signatures besides the default one."""
    signatures = _signatures(model)
    further = sorted(name for name in signatures if name not in (DEFAULT_SIGNATURE, _ENDPOINT, _INIT, "predict"))
    can_predict = bool(signatures) or callable(model) or callable(getattr(model, _ENDPOINT, None))
    return ("predict", *further) if can_predict else tuple(further)


def _signatures(model: Any) -> Mapping[str, Any]:
    found = getattr(model, "signatures", None)
    return found if isinstance(found, Mapping) else {}


def predict_saved_model(model: Any, data: Any, method: str) -> Any:
    """Call *model*, or one of its signatures, with *data*: an array, or a dict of arrays by input name."""
    function = _signatures(model)[method] if method != "predict" else _default_function(model)
    structures = _structures(function)
    known = _leaves(structures[0]) if len(structures) == 1 else []
    given = as_arrays(data, {leaf.name: (_sizes(leaf), leaf.dtype.name) for leaf in known})
    args, kwargs = _arguments(given, structures)
    tensorflow = import_tensorflow()
    return name_outputs(tensorflow.nest.map_structure(_numbers, function(*args, **kwargs)), ())


def is_single(model: Any) -> bool:
    """Whether *model* is called with one tensor, and returns one, as MLflow's own loader has it."""
    if not callable(model):
        return False
    tensorflow, function = import_tensorflow(), model.__call__
    if getattr(function, "input_signature", None) is not None:
        traced = [function.get_concrete_function()]
    else:
        traced = list(getattr(function, "concrete_functions", ())) or [model.traced]
    return all(
        len(_leaves(concrete.structured_input_signature)) == 1
        and isinstance(concrete.structured_outputs, tensorflow.TensorSpec | tensorflow.Tensor)
        for concrete in traced
    )


def default_inputs(model: Any) -> list[tuple[str, tuple[int | None, ...], str]] | None:
    """Return name, shape and dtype of the inputs of what ``predict`` calls, if there is one answer."""
    if not method_names(model):
        return None
    structures = _structures(_default_function(model))
    if len(structures) != 1 or any(leaf.shape.rank is None for leaf in _leaves(structures[0])):
        return None
    return [(leaf.name, _sizes(leaf), leaf.dtype.name) for leaf in _leaves(structures[0])]


def _default_function(model: Any) -> Callable[..., Any]:
    signatures = _signatures(model)
    chosen = getattr(model, "palate_signature", None)
    if chosen is None and callable(getattr(model, _ENDPOINT, None)):
        return getattr(model, _ENDPOINT)  # type: ignore[no-any-return]
    if chosen is None and callable(model):
        return model.__call__  # type: ignore[no-any-return]
    name = chosen or (DEFAULT_SIGNATURE if DEFAULT_SIGNATURE in signatures else min(signatures))
    return signatures[name]  # type: ignore[no-any-return]


def _structures(function: Any) -> list[Any]:
    """Return what each traced form of *function* takes; none for a function of Python that nobody has traced."""
    if hasattr(function, "structured_input_signature"):
        return [function.structured_input_signature]
    if hasattr(function, "concrete_functions"):
        return [concrete.structured_input_signature for concrete in function.concrete_functions]
    if getattr(function, "input_signature", None) is not None:
        return [function.get_concrete_function().structured_input_signature]
    return []


def _leaves(structure: Any) -> list[Any]:
    tensorflow = import_tensorflow()
    return [leaf for leaf in tensorflow.nest.flatten(structure) if isinstance(leaf, tensorflow.TensorSpec)]


def _sizes(leaf: Any) -> tuple[int | None, ...]:
    return () if leaf.shape.rank is None else tuple(leaf.shape.as_list())


def _arguments(given: Any, structures: Sequence[Any]) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """Return the arguments of a call, in the types that one of its traced forms takes."""
    arrays: Any = given if isinstance(given, Mapping | list | tuple) else [given]
    for structure in structures:
        leaves = _leaves(structure)
        values = arrays
        if isinstance(arrays, Mapping):
            values = [arrays[leaf.name] for leaf in leaves if leaf.name in arrays]
        if len(values) != len(leaves) or not all(map(_has_rank, values, leaves)):
            continue
        tensors = [_tensor(value, leaf.dtype) for value, leaf in zip(values, leaves, strict=True)]
        return _filled(structure, tensors)
    if structures:
        raise InvalidInput([_mismatch(structure) for structure in structures[:10]])
    if isinstance(arrays, Mapping):
        return (), {name: _tensor(value, None) for name, value in arrays.items()}
    return [_tensor(value, None) for value in arrays], {}


def _filled(structure: Any, tensors: Sequence[Any]) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """Return positional and named arguments as in *structure*, with a tensor in the place of each of its specs."""
    tensorflow = import_tensorflow()
    remaining = iter(tensors)
    args, kwargs = structure
    if all(isinstance(place, tensorflow.TensorSpec) for place in (*args, *kwargs.values())):
        # Nothing is nested, and TensorFlow's walk over what may be costs more than the rest of this module.
        return [next(remaining) for _ in args], {name: next(remaining) for name in sorted(kwargs)}
    args, kwargs = tensorflow.nest.map_structure(
        lambda leaf: next(remaining) if isinstance(leaf, tensorflow.TensorSpec) else leaf, structure
    )
    return args, kwargs


def _has_rank(value: Any, leaf: Any) -> bool:
    return leaf.shape.rank is None or getattr(value, "ndim", leaf.shape.rank) == leaf.shape.rank


def _mismatch(structure: Any) -> Problem:
    wanted = ", ".join(f"{leaf.name}: {leaf.dtype.name} of shape {_sizes(leaf)}" for leaf in _leaves(structure))
    return Problem(("inputs",), "wrong_type", f"the model takes {wanted}")


def _tensor(value: Any, dtype: Any) -> Any:
    """Return *value* as a tensor; numbers are converted to the type that the graph is made for."""
    tensorflow = import_tensorflow()
    if hasattr(value, "dtype") and getattr(value.dtype, "kind", "") in "biufc" and dtype is not None:
        return tensorflow.constant(value.astype(dtype.as_numpy_dtype, copy=False), dtype=dtype)
    return tensorflow.convert_to_tensor(value, dtype=dtype)


def _numbers(value: Any) -> Any:
    return value.numpy() if isinstance(value, import_tensorflow().Tensor) else value

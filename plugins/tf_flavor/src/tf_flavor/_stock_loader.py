"""Opens a SavedModel in MLflow without Palate: arrays by input name in, arrays by output name out.

Palate writes this file into directories whose model takes or returns several arrays, which MLflow's own loaders do not
call. It needs TensorFlow and numpy only, and Palate never runs it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

__all__: list[str] = []  # MLflow looks for _load_pyfunc


def _load_pyfunc(path: str) -> _Predictor:
    return _Predictor(tf.saved_model.load(path))


class _Predictor:
    def __init__(self, model: Any) -> None:
        self._model = model  # its variables live as long as it does
        self._function = (
            next((getattr(model, name) for name in ("serve", "__call__") if hasattr(model, name)), None)
            or model.signatures["serving_default"]
        )
        traced = getattr(self._function, "concrete_functions", [self._function])[0]
        self._structure = traced.structured_input_signature

    def predict(self, data: Any) -> Any:
        specs = [spec for spec in tf.nest.flatten(self._structure) if isinstance(spec, tf.TensorSpec)]
        if hasattr(data, "to_dict"):  # a DataFrame
            data = {name: data[name].to_numpy() for name in data}
        if not isinstance(data, dict):
            data = {specs[0].name: np.asarray(data)}
        tensors = iter([tf.cast(data[spec.name], spec.dtype) for spec in specs])
        args, kwargs = tf.nest.map_structure(
            lambda spec: next(tensors) if isinstance(spec, tf.TensorSpec) else spec, self._structure
        )
        outputs = tf.nest.map_structure(lambda tensor: tensor.numpy(), self._function(*args, **kwargs))
        if isinstance(outputs, list | tuple):
            outputs = {f"output_{place}": value for place, value in enumerate(outputs)}
        return outputs

"""The file that lets stock MLflow open a SavedModel of several inputs or outputs; its own loader takes one array.

It stands in such a directory as ``code/palate_tf_saved_model_loader.py``, and needs TensorFlow and numpy only. Palate
never runs it.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["LOADER_MODULE", "write_loader"]

LOADER_MODULE = "palate_tf_saved_model_loader"

_SOURCE = '''\
"""Opens this model in MLflow without Palate: arrays by input name in, arrays by output name out."""

import numpy as np
import tensorflow as tf


def _load_pyfunc(path):
    return _Predictor(tf.saved_model.load(path))


class _Predictor:
    def __init__(self, model):
        self.model = model
        for name in ("serve", "__call__"):
            if hasattr(model, name):
                self.function = getattr(model, name)
                break
        else:
            self.function = model.signatures["serving_default"]
        traced = getattr(self.function, "concrete_functions", [self.function])[0]
        self.structure = traced.structured_input_signature

    def predict(self, data, params=None):
        specs = [spec for spec in tf.nest.flatten(self.structure) if isinstance(spec, tf.TensorSpec)]
        if hasattr(data, "to_dict"):
            data = {name: data[name].to_numpy() for name in data}
        if not isinstance(data, dict):
            data = {specs[0].name: np.asarray(data)}
        tensors = iter([tf.cast(data[spec.name], spec.dtype) for spec in specs])
        args, kwargs = tf.nest.map_structure(
            lambda spec: next(tensors) if isinstance(spec, tf.TensorSpec) else spec, self.structure
        )
        outputs = tf.nest.map_structure(lambda tensor: tensor.numpy(), self.function(*args, **kwargs))
        if isinstance(outputs, (list, tuple)):
            outputs = {f"output_{place}": value for place, value in enumerate(outputs)}
        return outputs
'''


def write_loader(path: Path) -> None:
    """Put the loader into the code folder of the model directory *path*, beside whatever the user put there."""
    folder = path / "code"
    folder.mkdir(exist_ok=True)
    (folder / f"{LOADER_MODULE}.py").write_text(_SOURCE, encoding="utf-8")

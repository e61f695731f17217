"""A small model of real data: how far a car rolls until it stands."""

from __future__ import annotations

from collections.abc import Mapping

import numpy

from palate.hookspecs import SampleModel
from palate_onnx._frameworks import import_onnx

__all__ = ["make_samples"]

# Cars of the 1920s: speed in miles per hour, distance until they stood in feet (M. Ezekiel, 1930).
_SPEEDS = (
    "4 4 7 7 8 9 10 10 10 11 11 12 12 12 12 13 13 13 13 14 14 14 14 15 15 "
    "15 16 16 17 17 17 18 18 18 18 19 19 19 20 20 20 20 20 22 23 24 24 24 24 25"
)
_DISTANCES = (
    "2 10 4 22 16 10 18 26 34 17 28 14 20 24 28 26 34 34 46 26 36 60 80 20 26 "
    "54 32 40 32 40 50 42 56 76 84 36 46 68 32 48 52 56 64 66 54 70 92 93 120 85"
)
# Versions that every onnxruntime that the plugin admits reads.
_OPSET, _IR_VERSION = 17, 8


def make_samples() -> Mapping[str, SampleModel]:
    """Return a graph of two operators, fitted by least squares."""
    onnx = import_onnx()
    speeds, distances = (numpy.array(text.split(), dtype="float32").reshape(-1, 1) for text in (_SPEEDS, _DISTANCES))
    powers = numpy.hstack([speeds, speeds**2])
    weights = numpy.linalg.lstsq(powers, distances, rcond=None)[0].astype("float32")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [
        helper.make_node("Mul", ["speed", "speed"], ["square"]),
        helper.make_node("Concat", ["speed", "square"], ["powers"], axis=1),
        helper.make_node("MatMul", ["powers", "weights"], ["distance"]),
    ]
    ends = [helper.make_tensor_value_info(name, kind, ["cars", 1]) for name in ("speed", "distance")]
    graph = helper.make_graph(nodes, "stopping", ends[:1], ends[1:], [onnx.numpy_helper.from_array(weights, "weights")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
    description = "the distance in which a car of the 1920s stops, by its speed"
    return {"stopping": SampleModel(model=model, sample=speeds[:5], description=description)}

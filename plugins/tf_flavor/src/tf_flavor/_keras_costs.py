"""What a description makes Keras do while it builds a model, besides making the variables that its file fills.

Keras calls layers on symbols, which have a shape and no values, so most sizes cost nothing yet. What costs: a call
without a symbol is carried out at once, some loops run in Python, and some tables are made besides the variables.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["elements_of", "is_symbolic_call", "loops_over_time", "spread_axes", "steps_of"]

# Settings that say how often a loop in Python goes round, while Keras traces what a layer or operation does.
_STEPS = {
    "AugMix": ("num_chains", "chain_depth"),
    "Diff": ("n",),
    "Equalization": ("bins",),
    "Fold": ("kernel_size", "kernel_size"),
    "RandAugment": ("num_ops",),
    "Rot90": ("k",),
    "SpectralNormalization": ("power_iterations",),
    **dict.fromkeys(("Split", "ArraySplit", "Hsplit", "Vsplit", "Dsplit"), ("indices_or_sections",)),
}
# Settings that say how large a table is, or a list in Python.
_ELEMENTS = {
    "MelSpectrogram": ("fft_length", "num_mel_bins"),
    "TextVectorization": ("ngrams",),
    **dict.fromkeys(("StringLookup", "IntegerLookup"), ("num_oov_indices",)),
    **dict.fromkeys(("MeanIoU", "IoU", "OneHotIoU", "OneHotMeanIoU"), ("num_classes", "num_classes")),
    "AUC": ("num_thresholds",),
    **dict.fromkeys(("PrecisionAtRecall", "RecallAtPrecision"), ("num_thresholds",)),
    **dict.fromkeys(("SensitivityAtSpecificity", "SpecificityAtSensitivity"), ("num_thresholds",)),
}


def steps_of(node: Mapping[str, Any]) -> int:
    """Return how many rounds the loops of a class come to, each about as long as the call of a layer."""
    return _product(node, _STEPS)


def elements_of(node: Mapping[str, Any]) -> int:
    """Return how many elements the tables of a class have."""
    return _product(node, _ELEMENTS)


def _product(node: Mapping[str, Any], settings: Mapping[str, tuple[str, ...]]) -> int:
    config = node.get("config")
    keys = settings.get(node["class_name"])
    if keys is None or not isinstance(config, dict):
        return 0
    return math.prod(max(map(abs, _integers(config.get(key))), default=1) for key in keys)


def spread_axes(node: Mapping[str, Any]) -> int:
    """Return along how many axes a Normalization writes out the mean that it is given, before there are data."""
    config = node.get("config")
    if node["class_name"] != "Normalization" or not isinstance(config, dict) or config.get("mean") is None:
        return 0
    axes = config.get("axis", -1)
    return len(axes) if isinstance(axes, list) else int(axes is not None)


def loops_over_time(node: Mapping[str, Any]) -> bool:
    """Whether a layer is traced once for each step in time, where their number is known."""
    config = node.get("config")
    return node["class_name"] == "TimeDistributed" or (isinstance(config, dict) and bool(config.get("unroll")))


def is_symbolic_call(call: Any) -> bool:
    """Whether a place in the graph takes what another layer returns, which Keras does not carry out at once."""
    if isinstance(call, list):  # as Keras 2 has it: the layers by name
        return bool(call) and all(isinstance(item, list) and item and isinstance(item[0], str) for item in call)
    return isinstance(call, dict) and any(map(_holds_symbol, (call.get("args"), call.get("kwargs"))))


def _holds_symbol(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_holds_symbol, value))
    if not isinstance(value, dict):
        return False
    if "class_name" in value:
        return bool(value["class_name"] == "__keras_tensor__")
    return any(map(_holds_symbol, value.values()))


def _integers(node: Any) -> Iterator[int]:
    """Yield every integer in a value."""
    if isinstance(node, int):
        yield node
    elif isinstance(node, dict | list):
        for value in node.values() if isinstance(node, dict) else node:
            yield from _integers(value)

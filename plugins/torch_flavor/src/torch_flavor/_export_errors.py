"""Says in the user's terms why a module has no graph that can be saved, and where in its code."""

from __future__ import annotations

import traceback
from pathlib import Path

import torch

from palate.errors import UnsupportedModel

__all__ = ["OTHERWISE", "explain_export", "explain_forward", "explain_refusal"]

OTHERWISE = (
    "format='safetensors' keeps the weights, to be loaded with module=; "
    "format='pickle' keeps the whole module, and loads with trust=True"
)
_TORCH = str(Path(torch.__file__).parent)
_OURS = str(Path(__file__).parent)
_MAX_MESSAGE = 300


def explain_export(model: object, cause: BaseException) -> UnsupportedModel:
    """Return the error for a module that torch could not export."""
    name, text = type(cause).__name__, str(cause)
    if "DataDependent" in name or "data-dependent" in text.lower() or "tensor_converter" in text:
        reason = "its forward decides by the values of a tensor which way to go, which a graph cannot"
        way_on = "use torch.where, or torch.cond, in its place"
    elif "ConstraintViolation" in name or "Constraints violated" in text:
        reason = f"a size that was declared free is fixed by its code ({_first_line(text)})"
        way_on = "take sizes from x.shape in forward, or declare that size in the signature"
    elif "Tracing through optional input" in text or "pytree" in text or "register_dataclass" in text:
        reason = f"it takes or returns objects that are no tensors, or containers of them ({_first_line(text)})"
        way_on = "return a dict or a tuple of tensors"
    else:
        reason = f"torch.export cannot follow its forward ({name}: {_first_line(text)})"
        way_on = "see torch.export's notes on what a graph can hold"
    return UnsupportedModel(type(model).__name__, reason=reason + _place(cause), hint=f"{way_on}; or else {OTHERWISE}")


def explain_forward(model: object, cause: BaseException, *, framed: bool) -> UnsupportedModel:
    """Return the error for a module that fails when it is called with the example, a DataFrame where *framed*."""
    text = str(cause)
    if "same dtype" in text or "expected scalar type" in text:
        reason = f"the example is of another data type than its weights ({_first_line(text)})"
        way_on = "convert the example, as by x.astype('float32')"
    else:
        reason = f"its forward fails on the example ({type(cause).__name__}: {_first_line(text)})"
        way_on = "give an example that the module can be called with"
    if framed:
        way_on = "a DataFrame becomes a matrix of float32; give an array if the module takes something else"
    return UnsupportedModel(type(model).__name__, reason=reason + _place(cause), hint=way_on)


def explain_refusal(model: object, rule: str) -> UnsupportedModel:
    """Return the error for a graph that no reader of ours would open."""
    return UnsupportedModel(
        type(model).__name__, reason=f"its graph could not be opened without trust: {rule}", hint=OTHERWISE
    )


def _first_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return (lines[0] if lines else "no message")[:_MAX_MESSAGE]


def _place(cause: BaseException) -> str:
    """Return the last line of the user's own code that was being run."""
    frames = traceback.extract_tb(cause.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith((_TORCH, _OURS, "<"))]
    inside = next((n for n, frame in enumerate(frames) if frame.filename.startswith(_TORCH)), len(frames))
    later = [frame for frame in own if frame in frames[inside:]]
    if not later:
        return ""
    frame = later[-1]
    code = f": {frame.line}" if frame.line else ""
    return f", in {Path(frame.filename).name}, line {frame.lineno}, in {frame.name}{code}"

"""Arrays of the type that a graph takes, with the same values or not at all."""

from __future__ import annotations

from typing import Any

import numpy

__all__ = ["TYPES", "cast"]

# numpy's types for those that onnxruntime names; text is held as Python objects.
TYPES: dict[str, Any] = {
    f"tensor({name})": numpy.dtype(kind)
    for name, kind in {
        "float": "float32",
        "double": "float64",
        "float16": "float16",
        **{kind: kind for kind in "int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool".split()},
        "string": "object",
    }.items()
}

_Finding = tuple[Any, str]


def cast(values: Any, wanted: Any, *, rounding: bool) -> tuple[Any, _Finding | None]:
    """Return an array of the type *wanted*, or what keeps *values* from being one.

    Args:
        values: an array, or a DataFrame whose columns become those of a matrix, each cast by itself.
        wanted: a dtype of numpy.
        rounding: whether floats may be rounded to shorter ones; values too large for those are refused all the same.
    """
    if not hasattr(values, "dtypes"):
        return _cast_array(values, wanted, rounding=rounding)
    if all(dtype == wanted for dtype in values.dtypes) and wanted.kind != "O":
        return values.to_numpy(), None
    columns = []
    for position in range(values.shape[1]):
        column, finding = _cast_array(values.iloc[:, position].to_numpy(), wanted, rounding=rounding)
        if finding:
            return column, finding
        columns.append(column)
    return numpy.stack(columns, axis=1) if columns else numpy.empty(values.shape, wanted), None


def _cast_array(array: Any, wanted: Any, *, rounding: bool) -> tuple[Any, _Finding | None]:
    if wanted.kind == "O":
        return _cast_text(array)
    if array.dtype == wanted:
        return array, None
    if array.dtype.kind not in "iuf" or wanted.kind not in "iuf":
        return array, ("wrong_type", f"the graph takes {wanted}; it is {array.dtype}")
    with numpy.errstate(all="ignore"):
        result = array.astype(wanted)
    if rounding and array.dtype.kind == wanted.kind == "f":
        if (numpy.isinf(result) == numpy.isinf(array)).all():
            return result, None
        return array, ("wrong_value", f"some values are too large for the graph's {wanted}")
    if _is_exact(array, result):
        return result, None
    hint = f"convert with .astype({str(wanted)!r}) if they may be rounded"
    return array, ("wrong_value", f"some values of {array.dtype} are not exact in the graph's {wanted}. Hint: {hint}")


def _cast_text(array: Any) -> tuple[Any, _Finding | None]:
    texts = array.astype(object)
    if all(isinstance(text, str | bytes) for text in texts.flat):
        return texts, None
    return array, ("wrong_type", "the graph takes text; some values are not")


def _is_exact(array: Any, result: Any) -> bool:
    """Tell whether two numeric arrays hold the same numbers. NaN is the same as NaN."""
    with numpy.errstate(all="ignore"):
        back = result.astype(array.dtype)
        same = back == array
        if array.dtype.kind == "f":
            same |= numpy.isnan(array) & numpy.isnan(back)
        if array.dtype.kind != result.dtype.kind:
            # An integer type's edge, 2**63 say, comes back as it was from processors that stop at the edge.
            integers, floats = (result, array) if array.dtype.kind == "f" else (array, result)
            if floats.dtype.kind == "f":
                limits = numpy.iinfo(integers.dtype)
                same &= (floats >= float(limits.min)) & (floats < float(limits.max + 1))
            else:
                same &= (integers >= 0) & (floats >= 0)
    return bool(same.all())

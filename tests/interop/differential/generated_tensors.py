"""Random tensors: signatures with and without names; arrays, sparse matrices, frames, lists and dicts for them."""

from __future__ import annotations

import json
import random
from typing import Any

from differential.pools import ARRAY_DTYPES
from differential.schemas import tensor

__all__ = ["tensor_case"]

SPEC_DTYPES = tuple(name for name in ARRAY_DTYPES if name != "datetime64[D]")
NUMBERS = ("0", "1", "2.5", "0.1", "1e300", "True", "'1.5'", "None", "2**53 + 1", "float('nan')")


def tensor_case(rng: random.Random) -> tuple[str, str]:
    """Return a signature of one to three tensors, and an input for it."""
    count = rng.choice((0, 0, 1, 2, 3))
    specs = [_spec(rng) for _ in range(max(count, 1))]
    if not count:
        return json.dumps([tensor(*specs[0])]), _single(rng, *specs[0])
    names = [f"t{index}" for index in range(count)]
    schema = json.dumps([tensor(*spec, name=name) for spec, name in zip(specs, names, strict=True)])
    return schema, _several(rng, specs, names)


def _spec(rng: random.Random) -> tuple[str, tuple[int, ...]]:
    dtype = rng.choice(("float32", "float64", "int64")) if rng.random() < 0.5 else rng.choice(SPEC_DTYPES)
    rank = rng.choice((0, 1, 1, 2, 2, 2, 3, 4))
    sizes = [rng.choice((-1, 1, 2, 3)) if rng.random() < 0.3 else rng.choice((1, 2, 3)) for _ in range(rank)]
    if sizes and rng.random() < 0.85:
        sizes[0] = -1
    return dtype, tuple(sizes)


def _single(rng: random.Random, dtype: str, shape: tuple[int, ...]) -> str:
    form = rng.choice(("array", "array", "array", "sparse", "frame", "cells", "series", "list", "other"))
    match form:
        case "array":
            return _array(rng, dtype, shape)
        case "sparse":
            layout = rng.choice(("csr_matrix", "csr_matrix", "csc_matrix", "csr_array", "csc_array", "coo_matrix"))
            return f"sp.{layout}(np.eye({rng.choice((1, 2, 3))}, dtype='{_number_dtype(rng, dtype)}'))"
        case "frame":
            columns = shape[1] if len(shape) == 2 and shape[1] > 0 and rng.random() < 0.8 else rng.choice((1, 2, 3))
            return _frame(rng, dtype, columns)
        case "cells":
            return f"pd.DataFrame({{'t': {_cells(rng, dtype, shape)}}})"
        case "series":
            return f"pd.Series({_cells(rng, dtype, shape)})"
        case "list":
            return f"{_array(rng, dtype, shape)}.tolist()"
        case _:
            return rng.choice(("None", "3", "0.5", "'a'", "{}", "[]", "np.float32(1)", "pd.DataFrame()"))


def _several(rng: random.Random, specs: list[tuple[str, tuple[int, ...]]], names: list[str]) -> str:
    if rng.random() < 0.1:
        return _single(rng, *specs[0])
    given = dict(zip(names, specs, strict=True))
    if rng.random() < 0.05:
        given.pop(rng.choice(names))
    if rng.random() < 0.15:
        given["extra"] = ("float64", (-1,))
    labels = rng.sample(list(given), len(given))
    if rng.random() < 0.65:
        form = ".tolist()" if rng.random() < 0.1 else ""
        return "{" + ", ".join(f"{label!r}: {_array(rng, *given[label])}{form}" for label in labels) + "}"
    frame = "pd.DataFrame({" + ", ".join(f"{label!r}: {_cells(rng, *given[label])}" for label in labels) + "})"
    return frame if rng.random() < 0.85 else f"{frame}.set_axis([7, 5], axis=0)"


def _number_dtype(rng: random.Random, dtype: str) -> str:
    numbers = ("float32", "float64", "int32", "int64", "bool", "complex64")
    return dtype if dtype in numbers and rng.random() < 0.7 else rng.choice(numbers)


def _array(rng: random.Random, dtype: str, shape: tuple[int, ...]) -> str:
    sizes = [rng.choice((0, 1, 2, 3)) if size == -1 else size for size in shape]
    if rng.random() < 0.15:
        change = rng.choice(("grow", "drop", "resize"))
        if change == "grow":
            sizes.append(rng.choice((1, 2)))
        elif sizes and change == "drop":
            sizes.pop()
        elif sizes:
            sizes[rng.randrange(len(sizes))] += 1
    given = dtype if rng.random() < 0.65 else rng.choice(ARRAY_DTYPES)
    if given == "object" and rng.random() < 0.3:
        return "np.array([np.ones(2), np.ones(3)], dtype=object)"
    text = _filled(rng, given, sizes)
    odd = rng.random()
    if odd < 0.05:
        return f"np.asfortranarray({text})"
    if odd < 0.1 and sizes:
        return f"{text}[::-1]"
    if odd < 0.14 and given.startswith(("float", "int")):
        return f"{text}.astype(np.dtype('{given}').newbyteorder('>'))"
    if odd < 0.16:
        return f"np.ma.masked_array({text})"
    return text


def _filled(rng: random.Random, dtype: str, sizes: list[int]) -> str:
    if dtype.startswith("datetime"):
        return f"np.full({sizes}, np.datetime64('2020-01-02'), dtype='{dtype}')"
    if dtype in ("str", "bytes"):
        return f"np.full({sizes}, {'b' if dtype == 'bytes' else ''}'ab')"
    fill = (
        rng.choice(("1", "0", "100")) if dtype.startswith(("int", "uint", "time")) else rng.choice(("1", "0.5", "0.1"))
    )
    return f"np.full({sizes}, {fill}, dtype='{dtype}')"


def _frame(rng: random.Random, dtype: str, columns: int) -> str:
    given = dtype if rng.random() < 0.6 else rng.choice(("float64", "float32", "int64", "bool", "object"))
    frame = f"pd.DataFrame({_filled(rng, given, [rng.choice((0, 1, 2)), columns])})"
    return frame + rng.choice(("", "", ".assign(z=1)", f".set_axis(list('pqrst')[:{columns}], axis=1)"))


def _cells(rng: random.Random, dtype: str, shape: tuple[int, ...]) -> str:
    """Return a list of two cells of a column: numbers, lists or arrays."""
    size = 1
    for length in shape[1:]:
        size *= max(length, 1)
    form: Any = rng.choice(("numbers", "lists", "lists", "arrays", "arrays")) if len(shape) != 1 else "numbers"
    if form == "numbers":
        return f"[{', '.join(rng.choices(NUMBERS[:5] if rng.random() < 0.8 else NUMBERS, k=2))}]"
    if form == "lists":
        row = rng.choices(NUMBERS[:4] if rng.random() < 0.8 else NUMBERS, k=size)
        return f"[[{', '.join(row)}], [{', '.join(rng.sample(row, size))}]]"
    array = _array(rng, dtype, shape[1:])
    return f"[{array}, {array}]"

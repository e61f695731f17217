"""Where one way becomes quicker than another: the sizes that the core decides by, each measured on both sides.

Run: python benchmarks/thresholds.py [--repeat N]. Every figure is a ratio of medians of calls that ran in turn in this
run. A threshold is where it should be if the way of large sizes takes longer than that of small ones before it (a ratio
above 1), and less beyond it; near it either is as good.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from _tables import Table, times
from _timing import Measure, call_timer, in_turn, medians

from palate._containers import exactness, frames
from palate._enforcement import blocks, routes
from palate._enforcement.plan import compile_inputs
from palate._outputs import columns
from palate._outputs.conversion import convert_output
from palate.schema import ColSpec, Schema

Call = Callable[[Any], object]
NEVER = 10**15


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """A size from which on another way is taken.

    Attributes:
        module: where the constant stands.
        name: the constant.
        what: what the sizes count.
        cases: a size, the data and the call, from small to large.
    """

    module: ModuleType
    name: str
    what: str
    cases: Callable[[], Iterator[tuple[int, Any, Call]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Portion:
    """How much is done at once, in a constant that only the speed depends on."""

    module: ModuleType
    name: str
    others: Sequence[int]
    case: Callable[[], tuple[Any, Call]]


def with_value(module: ModuleType, name: str, value: int, call: Call, data: Any) -> Measure:
    """Return what times *call* while a constant has another value."""
    timer, own = call_timer(call, lambda: data), getattr(module, name)

    def measure() -> float:
        setattr(module, name, value)
        try:
            return timer()
        finally:
            setattr(module, name, own)

    return measure


def plan_for(frame: Any) -> Call:
    """Return what makes doubles of all columns of a frame."""
    return compile_inputs(Schema(tuple(ColSpec(type="double", name=name) for name in frame.columns))).enforce


def grown(width: int, rows: int) -> Any:
    """Return a frame of integers that grew column by column: each is a block."""
    return pd.concat([pd.Series(np.arange(rows), name=f"c{number}") for number in range(width)], axis=1)


def grown_frames() -> Iterator[tuple[int, Any, Call]]:
    """Yield frames of 30 blocks by their rows."""
    for rows in (500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000):
        yield rows, (frame := grown(30, rows)), plan_for(frame)


def many_blocks() -> Iterator[tuple[int, Any, Call]]:
    """Yield frames of 500 rows by their blocks."""
    for width in (2, 4, 8, 16, 32, 64):
        yield width, (frame := grown(width, 500)), plan_for(frame)


def many_dtypes() -> Iterator[tuple[int, Any, Call]]:
    """Yield frames in which there is nothing to join, by their dtypes."""
    kinds = ("int64", "float32", "int16", "uint8", "int32", "float16", "int8", "uint32")
    for width in (2, 4, 6, 8):
        frame = pd.DataFrame({f"{kind} {number}": np.ones(500, kind) for kind in kinds[:width] for number in range(3)})
        yield width, frame, plan_for(frame)


def one_to_cast() -> Iterator[tuple[int, Any, Call]]:
    """Yield frames with one column to convert, by the cells of those that stay."""
    for rows in (100, 200, 400, 800, 1_600, 3_200, 6_400):
        frame = pd.DataFrame(np.ones((rows, 30)), columns=[f"c{number}" for number in range(30)])
        frame["c3"] = np.arange(rows)
        yield rows * 29, frame, plan_for(frame)


def matrices() -> Iterator[tuple[int, Any, Call]]:
    """Yield arrays of ten columns by their bytes, for unnamed columns."""
    schema = Schema(tuple(ColSpec(type="double") for _ in range(10)))
    for rows in (125, 312, 625, 1_250, 2_500, 5_000, 12_500):
        yield rows * 80, np.ones((rows, 10)), compile_inputs(schema).enforce


def tables() -> Iterator[tuple[int, Any, Call]]:
    """Yield Arrow tables of 30 columns by the bytes of a column."""
    for rows in (500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000):
        table = pa.table({f"c{number}": np.ones(rows) for number in range(30)})
        schema = Schema(tuple(ColSpec(type="double", name=name) for name in table.column_names))
        yield rows * 8, table, compile_inputs(schema).enforce


def large_matrix() -> tuple[Any, Call]:
    """Return a matrix of predictions that becomes the columns of an Arrow table."""
    return np.ones((300_000, 10)), lambda data: convert_output(data, "arrow", method="predict", schema=None, given=None)


def large_array() -> tuple[Any, Call]:
    """Return an array of doubles that floats hold exactly."""
    return np.ones(4_000_000), lambda data: exactness.cast_array(data, np.dtype("float32"))


THRESHOLDS = (
    Threshold(module=blocks, name="_FEW_ROWS", what="rows of 30 blocks", cases=grown_frames),
    Threshold(module=blocks, name="_MANY_BLOCKS", what="blocks of 500 rows", cases=many_blocks),
    Threshold(module=blocks, name="_MANY_BLOCKS", what="dtypes, a block each", cases=many_dtypes),
    Threshold(module=routes, name="_CELLS_PER_COLUMN", what="cells that stay", cases=one_to_cast),
    Threshold(module=frames, name="_SHARE_FROM", what="bytes of an array", cases=matrices),
    Threshold(module=frames, name="_SHARE_FROM", what="bytes of a column of 30", cases=tables),
)
PORTIONS = (
    Portion(module=columns, name="_ROWS", others=(256, 1_024, 16_384, 65_536, NEVER), case=large_matrix),
    Portion(module=exactness, name="_PIECE", others=(2**13, 2**15, 2**19, 2**21, NEVER), case=large_array),
)


def measure_threshold(threshold: Threshold, repeat: int) -> Table:
    """Return for each size how long the way of large sizes takes, to the way of small ones."""
    module, name = threshold.module, threshold.name
    rows = []
    for size, data, call in threshold.cases():
        ways = {"small": NEVER, "large": 0}
        measures = {way: with_value(module, name, value, call, data) for way, value in ways.items()}
        taken = medians(in_turn(measures, repeat, warm_up=3))
        rows.append([f"{size:,}", times(taken["large"] / taken["small"])])
    title = f"{module.__name__}.{name} = {getattr(module, name):,}"
    return Table(title, [threshold.what, "as large / as small"], rows)


def measure_portion(portion: Portion, repeat: int) -> Table:
    """Return for each other size how long it takes, to the one that is chosen."""
    module, name = portion.module, portion.name
    data, call = portion.case()
    chosen = getattr(module, name)
    measures = {value: with_value(module, name, value, call, data) for value in (chosen, *portion.others)}
    taken = medians(in_turn({str(value): measure for value, measure in measures.items()}, max(3, repeat // 20)))
    rows = [
        ["all" if value == NEVER else f"{value:,}", times(taken[str(value)] / taken[str(chosen)])] for value in measures
    ]
    return Table(f"{module.__name__}.{name} = {chosen:,}", ["at once", "x the chosen"], rows)


def main() -> None:
    """Print a table for each constant."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=200)
    options = parser.parse_args()
    for threshold in THRESHOLDS:
        print(measure_threshold(threshold, options.repeat).text(), end="\n\n", flush=True)
    for portion in PORTIONS:
        print(measure_portion(portion, options.repeat).text(), end="\n\n", flush=True)


if __name__ == "__main__":
    main()

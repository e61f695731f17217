"""Frames taken apart and put together by the blocks that pandas keeps columns of one dtype in.

A block is an array of shape (columns, rows), or of shape (rows,) for dtypes that pandas gives a block for each column.
Work on blocks costs the same for 600 columns as for one. Of pandas' internals four are read, ``get_dtypes`` and
``blocks`` of a frame's manager and ``values`` and ``mgr_locs`` of a block, with the public way beside each.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

from palate._containers.sharing import shares_safely

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "Block",
    "build_frame",
    "dtypes_of",
    "group_columns",
    "join_columns",
    "read_blocks",
    "set_columns",
    "split",
    "take_columns",
]

Positions: TypeAlias = "np.ndarray[Any, np.dtype[np.intp]]"
Block: TypeAlias = "tuple[Any, Positions]"
"""Values, and the positions of their columns in the frame."""

# A frame that grew column by column has a block for each, others one for each dtype: more than these, of so few rows,
# are joined, which costs less than going through them: benchmarks/thresholds.py.
_MANY_BLOCKS = 4
_FEW_ROWS = 4_000


def dtypes_of(frame: Any) -> list[Any]:
    """Return the dtypes of a frame's columns, without the Series that ``frame.dtypes`` builds first."""
    read = getattr(getattr(frame, "_mgr", None), "get_dtypes", None)
    return list((frame.dtypes if read is None else read()).tolist())


def read_blocks(frame: Any) -> list[Block]:
    """Return the blocks of a frame, mostly uncopied: they are not to be written to, nor to become another frame's."""
    blocks = _read_internals(frame)
    if blocks is None:
        return group_columns(frame)
    return _join_blocks(blocks) if len(blocks) > _MANY_BLOCKS and len(frame) < _FEW_ROWS else blocks


def _read_internals(frame: Any) -> list[Block] | None:
    """Return the blocks as pandas keeps them; None in a pandas that calls its internals otherwise."""
    try:
        return [(block.values, block.mgr_locs.as_array) for block in frame._mgr.blocks]
    except AttributeError:
        return None


def _join_blocks(blocks: list[Block]) -> list[Block]:
    import numpy as np

    groups: dict[Any, tuple[list[Any], list[Any]]] = {}
    others: list[Block] = []
    for values, positions in blocks:
        if isinstance(values, np.ndarray):
            arrays, places = groups.setdefault(values.dtype, ([], []))
            arrays.append(values)
            places.append(positions)
        else:
            others.append((values, positions))
    joined = [(_join(arrays), _join(places)) for arrays, places in groups.values()]
    return joined + others


def _join(arrays: list[Any]) -> Any:
    import numpy as np

    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def group_columns(frame: Any) -> list[Block]:
    """Return the blocks of a frame as far as pandas' public names tell, its columns copied together by dtype."""
    import numpy as np

    groups: dict[Any, list[int]] = {}
    single: list[int] = []
    for position, dtype in enumerate(frame.dtypes.tolist()):
        if isinstance(dtype, np.dtype):
            groups.setdefault(dtype, []).append(position)
        else:
            single.append(position)
    blocks = [(frame.iloc[:, positions].to_numpy().T, np.array(positions)) for positions in groups.values()]
    return blocks + [(frame.iloc[:, position].array, np.array([position])) for position in single]


def split(block: Block, codes: Positions, places: Positions) -> Iterator[tuple[int, Any, Positions]]:
    """Split a block by what becomes of its columns.

    Args:
        block: the block.
        codes: a code for each column of the frame.
        places: the position that each column is to have in another frame.

    Yields:
        A code; which rows of the block have it, in the order of their places, for ``values[rows]``: a slice where that
        is their own order and nothing lies between them, else their numbers; the places, rising.
    """
    import numpy as np

    values, positions = block
    found = codes[positions]
    if values.ndim == 1:
        yield int(found[0]), slice(None), places[positions]
    elif (found == found[0]).all():
        yield int(found[0]), *_put_in_order(np.arange(len(found)), places[positions])
    else:
        for code in np.unique(found).tolist():
            rows = np.flatnonzero(found == code)
            yield code, *_put_in_order(rows, places[positions[rows]])


def _put_in_order(rows: Positions, places: Positions) -> tuple[Any, Positions]:
    # pandas takes it for granted that the rows of a frame's only block are in the order of the columns.
    if (places[1:] < places[:-1]).any():
        order = places.argsort()
        return rows[order], places[order]
    first, last = int(rows[0]), int(rows[-1])
    return (slice(first, last + 1) if last - first + 1 == len(rows) else rows), places


def build_frame(blocks: list[Block], index: Any, columns: Any) -> Any:
    """Return a frame made of blocks, which become its own.

    Args:
        blocks: together one column for each label, each with its positions rising.
        index: the labels of the rows.
        columns: the labels of the columns.
    """
    import pandas as pd

    create = getattr(getattr(pd.api, "internals", None), "create_dataframe_from_blocks", None)  # since pandas 3
    if create is None:
        return join_columns(blocks, index, columns)
    return create(blocks, index=index, columns=columns)


def join_columns(blocks: list[Block], index: Any, columns: Any) -> Any:
    """Do the same on every pandas, with copies."""
    import numpy as np
    import pandas as pd

    frames = [_as_frame(values, positions, index) for values, positions in blocks]
    order = np.concatenate([positions for _, positions in blocks])
    joined = frames[0] if len(frames) == 1 else pd.concat(frames, axis=1)
    if (order[1:] < order[:-1]).any():
        joined = take_columns(joined, np.argsort(order))
    joined.columns = columns
    return joined


def _as_frame(values: Any, positions: Any, index: Any) -> Any:
    import numpy as np
    import pandas as pd

    if isinstance(values, np.ndarray):
        # Without the dtype, pandas looks for text and times among objects.
        return pd.DataFrame(values.T, index=index, columns=positions, dtype=values.dtype, copy=False)
    rows = values if values.ndim == 2 else [values]
    return pd.DataFrame(dict(zip(positions.tolist(), rows, strict=True)), index=index)


def take_columns(frame: Any, positions: slice | Positions) -> Any:
    """Return a frame of the columns at these positions, which may share their memory with *frame*."""
    import numpy as np
    import pandas as pd

    if not _is_stuck(frame):
        return frame.iloc[:, positions]
    places = np.arange(len(frame.columns))[positions].tolist()
    taken = pd.DataFrame({place: frame.iloc[:, place] for place in places}, index=frame.index)
    taken.columns = frame.columns[positions]
    return taken


def _is_stuck(frame: Any) -> bool:
    """Tell whether columns are in another machine's byte order: before 3, pandas takes none out of a block of those."""
    import numpy as np

    if shares_safely():
        return False
    return any(isinstance(dtype, np.dtype) and not dtype.isnative for dtype in dtypes_of(frame))


def set_columns(frame: Any, converted: dict[int, Any]) -> Any:
    """Return a frame with other columns at some positions, which shares the rest with *frame*.

    Args:
        frame: any frame; it stays as it is.
        converted: a Series or an array of shape (rows,) for each position.
    """
    import pandas as pd

    result = frame.copy(deep=False)
    for position, values in converted.items():
        # Of a Series pandas takes the array as it is, of an array a copy.
        column = values if isinstance(values, pd.Series) else pd.Series(values, index=frame.index, copy=False)
        result.isetitem(position, column)
    return result

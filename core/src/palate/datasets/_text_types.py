"""Which values texts are, where nothing but they tell: the narrowest type in which none of them loses anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["are_written_as", "from_texts", "possible_types"]

# 007 is a number to nobody who wrote it, 12345678901234567890 none that a double holds, and 2E5 may be a code: programs
# write exponents with a sign.
_WRITTEN: Final = {
    "int64": r"^(0|-?[1-9][0-9]{0,17})$",
    "double": r"^[-+]?((0|[1-9][0-9]{0,14})(\.[0-9]*)?|\.[0-9]+)([eE][-+][0-9]{1,3})?$",
    "bool": r"^([Tt]rue|TRUE|[Ff]alse|FALSE)$",
}


def possible_types(texts: pa.ChunkedArray, among: tuple[str, ...] = tuple(_WRITTEN)) -> tuple[str, ...]:
    """Return the types, the narrowest first, that all texts may have; missing ones may be of every type."""
    return tuple(kind for kind in among if are_written_as(texts, kind))


def are_written_as(texts: pa.ChunkedArray, kind: str) -> bool:
    """Tell whether all texts that are there are written as values of a type are."""
    import pyarrow.compute as pc

    pattern = _WRITTEN.get(kind)
    # An empty column has no answer, and nothing in it is written otherwise.
    return pattern is None or pc.all(pc.match_substring_regex(texts, pattern)).as_py() is not False


def from_texts(texts: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Return texts as values of a type. Raises ArrowException where one of them would lose something, as 007 would."""
    import pyarrow as pa

    if not are_written_as(texts, str(kind)):
        raise pa.ArrowInvalid(f"no {kind}")
    return texts.cast(kind)

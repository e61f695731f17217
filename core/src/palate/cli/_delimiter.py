"""``--delimiter``: what separates the cells of a csv file, as it is written on a command line."""

from __future__ import annotations

from palate.errors import InvalidOption

__all__ = ["read_delimiter"]


def read_delimiter(delimiter: str | None) -> str | None:
    """Return the character that *delimiter* names; 'tab', for which a shell needs quoting, is one.

    Raises:
        InvalidOption: it is not one character, or one that ends a line or quotes a cell.
    """
    if delimiter is None:
        return None
    character = {"tab": "\t", r"\t": "\t"}.get(delimiter, delimiter)
    if len(character) != 1 or character in '\r\n"':
        raise InvalidOption("--delimiter", reason=f"'{delimiter}' is not one character", hint="give one, or 'tab'")
    return character

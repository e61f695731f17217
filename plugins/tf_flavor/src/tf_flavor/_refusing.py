"""How a file of a stranger is refused."""

from __future__ import annotations

from typing import NoReturn

from palate.errors import UnsafeModel

__all__ = ["FETCH_AGAIN", "refuse"]

FETCH_AGAIN = "fetch the model again from where it came"


def refuse(file: str, rule: str, hint: str = FETCH_AGAIN) -> NoReturn:
    """Raise the error that names *file* and the *rule* it breaks."""
    raise UnsafeModel(file, rule=rule, hint=hint)

"""The containers that predictions can be asked for in."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

from palate.errors import InvalidOption

__all__ = ["Container", "check_container"]

Container: TypeAlias = Literal["pandas", "polars", "arrow", "numpy"]


def check_container(container: object) -> None:
    """Raise InvalidOption for what is none of the containers."""
    if not isinstance(container, str) or container not in get_args(Container):
        choices = " or ".join(f"output='{name}'" for name in get_args(Container))
        given = f"'{container:.60}'" if isinstance(container, str) else f"a {type(container).__name__}"
        raise InvalidOption("output", reason=f"{given} is no container", hint=f"pass {choices}")

"""What drivers of all engines note of errors."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["errors_of"]


def errors_of(**attempts: Callable[[], object]) -> dict[str, str]:
    """Return what each attempt raises, its class first."""
    errors = {}
    for name, attempt in attempts.items():
        try:
            attempt()
        except Exception as exc:
            errors[name] = f"{type(exc).__name__}: {exc}"
        else:
            errors[name] = "nothing"
    return errors

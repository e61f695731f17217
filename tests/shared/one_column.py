"""One column called a, enforced: what the tests of facts and of time zones ask alike."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from palate._enforcement.plan import compile_inputs
from palate.errors import InvalidInput
from palate.schema import ColSpec, Schema

__all__ = ["enforce", "enforce_any", "problems"]


def enforce(series: Any, kind: Any, **facts: Any) -> Any:
    """Enforce one column called a, and see that the caller's frame stays what it was."""
    frame = pd.DataFrame({"a": series})
    before = frame.copy(deep=True)
    try:
        return enforce_any(frame, kind, **facts)
    finally:
        pd.testing.assert_frame_equal(frame, before)


def enforce_any(data: Any, kind: Any, **facts: Any) -> Any:
    """Enforce any container for one column called a."""
    return compile_inputs(Schema((ColSpec(type=kind, name="a", **facts),))).enforce(data)["a"]  # type: ignore[index]


def problems(series: Any, kind: Any, **facts: Any) -> list[tuple[str, str]]:
    """Return the kinds and messages of what is wrong with one column."""
    with pytest.raises(InvalidInput) as failure:
        enforce(series, kind, **facts)
    assert {problem.where for problem in failure.value.problems} == {("inputs", "a")}
    return [(problem.kind, problem.message) for problem in failure.value.problems]

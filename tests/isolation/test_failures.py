"""What is raised in another process is raised here, if it is an ordinary exception."""

from __future__ import annotations

import pytest
from isolated import cross

from palate import errors
from palate._isolation.failures import RemoteTraceback, describe_exception, rebuild_exception

RAISED = [
    errors.InvalidInput([errors.Problem(("inputs", "a"), "missing", "this column is missing")]),
    errors.TrustRequired("m", reasons=[errors.CodeReason("a.pkl", "a pickle")], safe_format="skops"),
    errors.MethodNotFound("transform", available=["predict"]),
    errors.SaveFailed("x", cause=OSError(28, "No space left on device")),
    errors.ModelChanged("m", changed=["a"]),
    ValueError("no"),
    KeyError("a", 1),
    FileNotFoundError(2, "gone"),
    FileNotFoundError(2, "gone", "a file"),
    UnicodeDecodeError("utf-8", b"x", 0, 1, "why"),
    StopIteration(3),
    ExceptionGroup("two", [ValueError(1)]),
]


@pytest.mark.parametrize("raised", RAISED, ids=lambda raised: type(raised).__name__)
def test_exception_arrives_as_it_went(raised: Exception) -> None:
    """Errors of Palate keep their facts, Python's own their arguments, and each tells where it came from."""
    try:
        raise raised
    except Exception as exc:
        told = cross(describe_exception(exc))
    found = rebuild_exception(told)
    if not isinstance(raised, ExceptionGroup):
        assert type(found) is type(raised)
        assert str(found) == str(raised)
    assert getattr(found, "problems", None) == getattr(raised, "problems", None)
    assert getattr(found, "reasons", None) == getattr(raised, "reasons", None)
    assert getattr(found, "errno", None) == getattr(raised, "errno", None)
    if not isinstance(raised, errors.InvalidInput):
        assert isinstance(found.__cause__, RemoteTraceback)
        assert "raise raised" in str(found.__cause__)


@pytest.mark.parametrize(
    "kinds",
    [
        ["builtins.SystemExit", "builtins.BaseException"],
        ["builtins.KeyboardInterrupt"],
        ["builtins.exec"],
        ["palate.errors.Problem"],
        ["palate.errors.annotations"],
        ["os.system"],
        [],
    ],
)
def test_only_exceptions_are_raised(kinds: list[str]) -> None:
    """The other side names a class; only an ordinary exception of Python's or Palate's own is taken for one."""
    told = {"kinds": kinds, "quoted": "q", "args": [], "errno": None, "facts": {}, "files": None}
    told |= {"notes": [], "traceback": ""}
    assert type(rebuild_exception(told)) is RuntimeError


class Odd(ValueError):
    """An exception whose parts cannot be read."""

    args = property(lambda self: 1 / 0)  # type: ignore[assignment]


def noted(note: object) -> Exception:
    """Return an exception with something for its notes."""
    exc = ValueError("told")
    exc.__notes__ = note  # type: ignore[assignment]
    return exc


@pytest.mark.parametrize("raised", [Odd("told"), noted(5), noted([Odd()])], ids=["args", "number", "note"])
def test_exception_with_odd_parts_is_told_without_them(raised: Exception) -> None:
    """Whatever stands in it, or its class computes, the model's process tells of it and lives on."""
    told = cross(describe_exception(raised))
    assert isinstance(rebuild_exception(told), ValueError)

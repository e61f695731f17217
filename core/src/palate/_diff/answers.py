"""What a model answers to stored input examples, its own and another's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from palate._opened import OpenedModel
from palate._opening import construct
from palate._random_state import keep_random_state
from palate._registry import default_registry
from palate._stored.examples import read_example
from palate._stored.snapshots import JSON, snapshot
from palate.errors import (
    DependencyMissing,
    FlavorBlocked,
    FlavorBroken,
    FlavorConflict,
    FlavorNotFound,
    InvalidInput,
    InvalidOption,
    PalateError,
    TrustRequired,
)
from palate.golden import run_example
from palate.pyfunc import PyFuncModel

__all__ = ["Answer", "Unopened", "ask_model", "has_example"]

# What is no fault of the model: this machine, or whoever asks, does not have what it takes to open it.
_NOT_HERE = (
    DependencyMissing,
    FlavorBlocked,
    FlavorBroken,
    FlavorConflict,
    FlavorNotFound,
    InvalidOption,
    TrustRequired,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of one example.

    Attributes:
        predictions: a snapshot of them; None where there are none, or none that can be compared.
        problem: why there are none, or None.
        gave: whether the model answered, with something that has no plain form.
    """

    predictions: JSON = None
    problem: str | None = None
    gave: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Unopened:
    """Why a model could not be opened, and whether that is the model's own fault."""

    reason: str
    failed: bool


def has_example(opened: OpenedModel) -> bool:
    """Whether an input example is stored with the model."""
    return opened.model_file.saved_input_example_info is not None


def ask_model(opened: OpenedModel, owners: Sequence[OpenedModel], *, trust: bool) -> list[Answer] | Unopened:
    """Open a model and return its answers to the examples of *owners*, in their order; nothing of it is kept open.

    Raises:
        InvalidOption: *trust* is neither True nor False.
    """
    try:
        with keep_random_state():
            model = construct(opened, trust=trust, registry=default_registry())
    except _NOT_HERE as exc:
        if isinstance(exc, InvalidOption) and exc.name == "trust":
            raise  # the caller's own mistake, and no option that the flavor misses
        return Unopened(reason=str(exc), failed=False)
    except PalateError as exc:
        return Unopened(reason=str(exc), failed=True)
    return [_ask(model, owner) for owner in owners]


def _ask(model: PyFuncModel, owner: OpenedModel) -> Answer:
    try:
        # All models find the generators of random numbers as they are now.
        with keep_random_state():
            predicted = run_example(model, _read(model, owner))
    except InvalidInput as exc:
        return Answer(problem=f"refuses it: {exc}")
    except PalateError as exc:
        return Answer(problem=str(exc))
    try:
        return Answer(predictions=snapshot(predicted), gave=True)
    except PalateError as exc:
        return Answer(problem=str(exc), gave=True)


def _read(model: PyFuncModel, owner: OpenedModel) -> tuple[object, dict[str, object] | None] | None:
    """Return an example anew, since a model may change what it is given; without params that the model does not have.

    Those are told of where the signatures are compared.
    """
    signature = owner.model_file.signature
    info = owner.model_file.saved_input_example_info or {}
    example = read_example(owner.path, info, signature.inputs if signature else None)
    if example is None:
        return None
    data, params = example
    if params is None:
        return data, None
    declared = model.signatures.get(model.default_method)
    known = {param.name for param in declared.params} if declared else set()
    return data, {name: value for name, value in params.items() if name in known}

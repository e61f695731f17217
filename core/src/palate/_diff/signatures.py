"""Two signatures: what their inputs, methods, outputs and params mean to somebody who calls them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from palate._diff.change import Change
from palate._diff.field_types import Rules
from palate._diff.params import compare_params
from palate._diff.schemas import compare_schemas
from palate.signature import Signature

__all__ = ["compare_signatures"]

_UNDECLARED = Signature()
_MOST_NAMES = 10


def compare_signatures(
    old: Signature | None,
    new: Signature | None,
    *,
    default_methods: tuple[str, str] = ("predict", "predict"),
    features: tuple[Sequence[str], Sequence[str]] = ((), ()),
) -> tuple[Change, ...]:
    """Return how two signatures differ, and what of it breaks somebody who calls by the old one.

    No model has to be there. A renamed column is one that is removed and one that is added.

    Args:
        old: the signature that callers go by, or None.
        new: the signature of what would take its place, or None.
        default_methods: the method that ``predict`` calls, of each.
        features: the names of the features behind a nameless table of inputs, as far as each model knows them.
    """
    return tuple(_compare(old, new, default_methods, features))


def _compare(
    old: Signature | None,
    new: Signature | None,
    default_methods: tuple[str, str],
    features: tuple[Sequence[str], Sequence[str]],
) -> Iterator[Change]:
    if new is None and old is not None:
        detail = "none any more: inputs are passed on unchecked, and nothing is promised"
        yield Change(part="signature", where=(), kind="removed", detail=detail)
    elif new is not None:
        if old is None:
            yield Change(part="signature", where=(), kind="added", detail="there was none")
        yield from _compare_inputs(old or _UNDECLARED, new)
        yield from _compare_methods(old or _UNDECLARED, new, *default_methods)
    if not any(signature and signature.inputs and signature.inputs.is_named for signature in (old, new)):
        yield from _compare_features(*features)


def _compare_inputs(old: Signature, new: Signature) -> Iterator[Change]:
    if old.inputs and new.inputs and old.from_type_hints != new.from_type_hints:
        givens = ("a plain list, by its type hints", "a table")
        now, was = givens if new.from_type_hints else givens[::-1]
        detail = f"the model was given {was}, and gets {now}"
        yield Change(part="inputs", where=(), kind="changed", detail=detail, breaks=True)
    rules = Rules(side="inputs", from_type_hints=old.from_type_hints or new.from_type_hints)
    yield from compare_schemas(old.inputs, new.inputs, (), rules)


def _compare_methods(old: Signature, new: Signature, old_default: str, new_default: str) -> Iterator[Change]:
    if old_default != new_default:
        detail = f"predict() called {old_default!r:.60}, and calls {new_default!r:.60}"
        yield Change(part="methods", where=("predict",), kind="changed", detail=detail, breaks=True)
    before, after = [old_default, *old.methods], [new_default, *new.methods]
    for method in dict.fromkeys([*before, *after]):
        if method in before and method in after:
            was, now = old.of(method, default=old_default), new.of(method, default=new_default)
            yield from compare_schemas(was.outputs, now.outputs, (method,), Rules(side="outputs"))
            # Methods without params of their own have those of the default one, where they have been told of.
            is_default = method in (old_default, new_default)
            if is_default or _has_own_params(old, method) or _has_own_params(new, method):
                yield from compare_params(was.params, now.params, (method,))
        elif method in before and method != old_default:  # another default one has been told of
            detail = "the signature no longer has it"
            yield Change(part="methods", where=(method,), kind="removed", detail=detail, breaks=True)
        elif method in after and method != new_default:
            yield Change(part="methods", where=(method,), kind="added", detail="the signature had none of that name")


def _has_own_params(signature: Signature, method: str) -> bool:
    return method in signature.methods and signature.methods[method].params is not None


def _compare_features(old: Sequence[str], new: Sequence[str]) -> Iterator[Change]:
    """Yield what differs between the names by which frames are arranged for a table without names."""
    was, now = list(old), list(new)
    if was == now:
        return
    if not was or not now:
        before, after = ("name" if names else "position" for names in (was, now))
        detail = f"the columns of a frame were taken by {before}, and are taken by {after}"
    elif set(was) == set(now):
        detail = "the features stand in another order: the columns of an array mean others"
    else:
        gone, came = _names(set(was).difference(now)), _names(set(now).difference(was))
        detail = f"other features are asked for (no longer: {gone}; now: {came})"
    yield Change(part="inputs", where=("features",), kind="changed", detail=detail, breaks=True)


def _names(features: set[str]) -> str:
    shown = [f"{name!r:.60}" for name in sorted(features)[:_MOST_NAMES]]
    return ", ".join([*shown, *(["…"] if len(features) > _MOST_NAMES else [])]) or "none"

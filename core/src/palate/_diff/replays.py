"""The predictions of two models on the input examples that are stored with them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from palate._diff.answers import Answer, Unopened, ask_model, has_example
from palate._diff.contents import Contents
from palate._opened import OpenedModel
from palate._stored.differences import differences
from palate._stored.snapshots import JSON, Document, tolerance_of
from palate.golden import Golden

__all__ = ["Replay", "replay_examples"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What two models predict on one example.

    Attributes:
        example: whose it is; "both" where both models store the same.
        status: "equal", but for rounding; "differs"; "refused", by one of the models, which may also have failed on it;
            "skipped", so that nothing is known.
        detail: what there is to say of it.
        differences: how the second model's predictions differ from the first one's, at most five sentences.
        largest: the largest difference between two numbers at the same place, where there are such.
        breaks: whether the first model answers and the second does not.
    """

    example: Literal["a", "b", "both"]
    status: Literal["equal", "differs", "refused", "skipped"]
    detail: str
    differences: tuple[str, ...] = ()
    largest: float | None = None
    breaks: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {**asdict(self), "differences": list(self.differences)}


def replay_examples(
    old: OpenedModel, new: OpenedModel, contents: tuple[Contents, Contents], *, trust: bool
) -> Iterator[Replay]:
    """Yield what both models predict on the example of each, or on the one that they share.

    One model is open at a time. Whoever cannot be opened here, without trust above all, is passed over and told of.

    Args:
        old: the first model.
        new: the second.
        contents: the files of both.
        trust: whether code that they carry may run.
    """
    owners = [opened for opened in (old, new) if has_example(opened)]
    shared = len(owners) > 1 and _have_same_example(owners, contents)
    owners = owners[:1] if shared else owners
    if not owners:
        yield Replay(example="both", status="skipped", detail="neither model has an input example")
        return
    names: list[Literal["a", "b", "both"]] = ["both"] if shared else ["a" if owner is old else "b" for owner in owners]
    was = ask_model(old, owners, trust=trust)
    if isinstance(was, Unopened):
        yield from (Replay(example=name, status="skipped", detail=f"A does not open: {was.reason}") for name in names)
        return
    now = ask_model(new, owners, trust=trust)
    for position, (name, owner) in enumerate(zip(names, owners, strict=True)):
        if isinstance(now, Unopened):
            yield Replay(
                example=name,
                status="refused" if now.failed else "skipped",
                detail=f"B does not open: {now.reason}",
                breaks=now.failed and was[position].gave,
            )
        else:
            yield _compare(name, was[position], now[position], owner)


def _have_same_example(owners: list[OpenedModel], contents: tuple[Contents, Contents]) -> bool:
    infos = [owner.model_file.saved_input_example_info or {} for owner in owners]
    if infos[0] != infos[1]:
        return False
    file = str(infos[0].get("artifact_path"))
    before, after = (side.get(file) for side in contents)
    return before is not None and before == after


def _compare(name: Literal["a", "b", "both"], was: Answer, now: Answer, owner: OpenedModel) -> Replay:
    if not was.gave or not now.gave:
        told = [f"{model} {answer.problem}" for model, answer in (("A", was), ("B", now)) if not answer.gave]
        return Replay(example=name, status="refused", detail="; ".join(told), breaks=was.gave)
    if was.problem is not None or now.problem is not None:
        return Replay(example=name, status="skipped", detail=f"cannot be compared: {was.problem or now.problem}")
    rtol, atol = _tolerance(owner, was.predictions)
    found = differences(was.predictions, now.predictions, rtol=rtol, atol=atol)
    if not found:
        return Replay(example=name, status="equal", detail="both predict the same")
    gaps = [gap for gap in _gaps(was.predictions, now.predictions) if math.isfinite(gap)]
    return Replay(
        example=name,
        status="differs",
        detail="; ".join(found),
        differences=tuple(found),
        largest=max(gaps, default=None),
    )


def _tolerance(owner: OpenedModel, predictions: JSON) -> tuple[float, float]:
    golden = Golden.of(owner.model_file)
    if golden is None or golden.predictions is None:
        return tolerance_of(predictions)
    return golden.rtol, golden.atol


def _gaps(was: JSON, now: JSON) -> Iterator[float]:
    """Yield the differences between the numbers of two snapshots, as far as both have the same form."""
    if isinstance(was, dict) and isinstance(now, dict):
        if _form(was) == _form(now):
            for part in _HOLDING:
                yield from _gaps(was.get(part), now.get(part))
    elif isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        for before, after in zip(was, now, strict=True):
            yield from _gaps(before, after)
    elif type(was) in (int, float) and type(now) in (int, float):
        yield abs(float(now) - float(was))


_HOLDING = ("data", "items", "columns", "value")


def _form(document: Document) -> dict[str, JSON]:
    """Return what a snapshot says besides what it holds: shape, kind, names; of a dict, its keys."""
    form = {name: value for name, value in document.items() if name not in (*_HOLDING, "bytes")}
    if document.get("kind") == "dict":
        form["keys"] = [key for key, _ in document["items"]]
    return form

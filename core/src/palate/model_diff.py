"""Comparing two models: what somebody who calls the one would notice if the other took its place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from typing import Any, Literal, TypeAlias

from palate._diff.change import PARTS, Change, ChangeKind, Part
from palate._diff.contents import Contents, compare_contents, read_contents
from palate._diff.needs import compare_environments, compare_flavors, compare_trust
from palate._diff.replays import Replay, replay_examples
from palate._diff.signatures import compare_signatures
from palate._opened import OpenedModel, open_model
from palate._registry import default_registry
from palate.inspection import describe
from palate.locations import Location, read_one_model
from palate.model_file import ModelFile

__all__ = [
    "PARTS",
    "Change",
    "ChangeKind",
    "ModelDiff",
    "Part",
    "Replay",
    "Verdict",
    "compare_calls",
    "compare_model_files",
    "compare_signatures",
    "diff_models",
]

Verdict: TypeAlias = Literal["identical", "compatible", "breaking"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDiff:
    """The result of ``diff_models``.

    Attributes:
        a: the model that callers have.
        b: the model that would take its place.
        digests: the identity of each; None for a directory without MANIFEST.json, as MLflow writes them.
        identical: whether all files are the same, so that nothing else was looked at.
        changes: what differs, part by part.
        replays: what both predict on the stored examples; empty where that was not asked for.
    """

    a: str
    b: str
    digests: tuple[str | None, str | None]
    identical: bool
    changes: tuple[Change, ...] = ()
    replays: tuple[Replay, ...] = ()

    @property
    def breaking(self) -> tuple[Change | Replay, ...]:
        """What breaks callers of the first model."""
        found: tuple[Change | Replay, ...] = (*self.changes, *self.replays)
        return tuple(difference for difference in found if difference.breaks)

    @property
    def verdict(self) -> Verdict:
        """Whether the second model can take the place of the first."""
        if self.identical:
            return "identical"
        return "breaking" if self.breaking else "compatible"

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON data."""
        return {
            "a": {"uri": self.a, "digest": self.digests[0]},
            "b": {"uri": self.b, "digest": self.digests[1]},
            "verdict": self.verdict,
            "changes": [change.to_dict() for change in self.changes],
            "replays": [replay.to_dict() for replay in self.replays],
        }


def diff_models(
    a: str | PathLike[str], b: str | PathLike[str], *, trust: bool = False, replay: bool = True
) -> ModelDiff:
    """Tell what a caller of the model at *a* would notice if the model at *b* took its place.

    Args:
        a: the model that callers have.
        b: the model that would take its place.
        trust: allow code that comes with the models to run, for the replay; the rest runs nothing.
        replay: load both models, one after the other, and let both predict on the stored examples. A model that cannot
            be loaded here without trust, or without a plugin, has its replay skipped, with the reason.

    Raises:
        ModelNotFound: there is no model directory.
        ModelChanged: the files of one are not those that its MANIFEST.json lists.
        InvalidModelFile: the MLmodel or the MANIFEST.json of one is malformed.
        InvalidOption: *trust* is neither True nor False.
    """

    def read(first: Location, second: Location) -> ModelDiff:
        return _diff(open_model(first), open_model(second), trust=trust, replay=replay)

    return read_one_model(
        a,
        lambda first: read_one_model(b, lambda second: read(first, second), is_whole=lambda _: False),
        is_whole=lambda _: False,
    )


def compare_calls(a: Location, b: Location) -> tuple[Change, ...]:
    """Return how the models at two places differ for their callers, by their MLmodel files alone.

    Raises:
        ModelChanged, InvalidModelFile: one of these files is not what was saved, or is malformed.
    """
    old, new = (open_model(location, document_only=True).model_file for location in (a, b))
    return compare_model_files(old, new)


def compare_model_files(old: ModelFile, new: ModelFile) -> tuple[Change, ...]:
    """Return how what two MLmodel files say of calls differs: inputs, outputs, methods, params.

    No other file of the models is read, and nothing of them is loaded.
    """
    return compare_signatures(
        old.signature,
        new.signature,
        default_methods=(old.default_method, new.default_method),
        features=(old.features, new.features),
    )


def _diff(old: OpenedModel, new: OpenedModel, *, trust: bool, replay: bool) -> ModelDiff:
    contents = read_contents(old), read_contents(new)
    identical = contents[0] == contents[1]
    return ModelDiff(
        a=old.uri,
        b=new.uri,
        digests=(old.digest, new.digest),
        identical=identical,
        changes=() if identical else tuple(_find_changes(old, new, contents)),
        replays=() if identical or not replay else tuple(replay_examples(old, new, contents, trust=trust)),
    )


def _find_changes(old: OpenedModel, new: OpenedModel, contents: tuple[Contents, Contents]) -> Iterator[Change]:
    registry = default_registry()
    yield from compare_model_files(old.model_file, new.model_file)
    yield from compare_trust(describe(old, registry), describe(new, registry))
    yield from compare_flavors(old, new)
    yield from compare_environments(old, new)
    yield from compare_contents(*contents)

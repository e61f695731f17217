"""What the other process does when it is asked: each function takes and returns plain data."""

from __future__ import annotations

import copy
import resource
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import palate
from palate.errors import FlavorBroken, PalateError
from palate.testing._predictions import Answer, answer_of

__all__ = ["measure_batches", "open_and_answer", "open_damaged"]


def open_and_answer(path: Path, options: Mapping[str, Any], sample: object) -> dict[str, Answer]:
    """Load a model and return what each of its methods answers."""
    model = palate.load_model(path, **options)
    return {method: answer_of(model, method, sample) for method in model.methods}


def open_damaged(path: Path, options: Mapping[str, Any], sample: object) -> Answer | None:
    """Load a directory that somebody damaged; return what the model answers, or None if it was refused in words.

    Raises:
        FlavorBroken: the flavor would have ended the process.
        Exception: whatever else load_model raises that is no error of ``palate.errors``.
    """
    try:
        model = palate.load_model(path, verify=False, **options)
    except FlavorBroken:
        raise
    except PalateError:
        return None
    return answer_of(model, model.default_method, sample) if model.methods else Answer()


def measure_batches(path: Path, options: Mapping[str, Any], batch: object, count: int) -> int:
    """Predict on the same batch *count* times; return by how many bytes the process grew after the first quarter.

    The least of the last sizes is held against the largest of the first ones, as memory goes up and down by itself.
    """
    model = palate.load_model(path, **options)
    sizes = list(_sizes(model, batch, count))
    early = sizes[count // 8 : count // 4]
    return min(sizes[-len(early) :]) - max(early)


def _sizes(model: palate.PyFuncModel, batch: object, count: int) -> Iterator[int]:
    for _ in model.predict_batches(copy.deepcopy(batch) for _ in range(count)):
        yield _resident_bytes()


def _resident_bytes() -> int:
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * resource.getpagesize()

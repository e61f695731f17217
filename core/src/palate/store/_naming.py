"""What models that were found in a folder are called in a store: as their folders, each by a name of its own."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Final

from palate.errors import InvalidOption
from palate.packing import ARCHIVE_SUFFIX
from palate.store._finding import ARTIFACTS, Found
from palate.store._names import check_name

__all__ = ["allowed_name", "choose_names"]

_NOT_ALLOWED: Final = re.compile(r"[^A-Za-z0-9._-]+")
_DOTS: Final = re.compile(r"\.{2,}")
_MAX_LENGTH: Final = 128
_MARK: Final = 8  # hex digits, which tell two names apart that nothing else does


def choose_names(found: Sequence[Found], *, outside: str) -> list[str]:
    """Return the name of each model, in the same order.

    What MLflow's registry has under one name has one name here. Of all others that would have the same, or one that
    differs by case alone, each gets as much of its place in front as tells it apart.

    Args:
        found: the models.
        outside: what the folder is called, for a model that is the folder itself.
    """
    subjects = {_subject(model): _attempts(model, outside) for model in found}
    levels = dict.fromkeys(subjects, 0)
    while True:
        names = {subject: attempts[min(levels[subject], len(attempts) - 1)] for subject, attempts in subjects.items()}
        counts = Counter(name.casefold() for name in names.values())
        clashing = [subject for subject, name in names.items() if counts[name.casefold()] > 1]
        # What the registry calls so keeps its name, if others can take another one.
        moving = [subject for subject in clashing if not _is_registered(subject)] or clashing
        moving = [subject for subject in moving if levels[subject] < len(subjects[subject]) - 1]
        if not moving:
            return [names[_subject(model)] for model in found]
        for subject in moving:
            levels[subject] += 1


def allowed_name(text: str) -> str:
    """Return *text* as a name that a store takes: other characters become ``-``, and accents are left out."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    name = _DOTS.sub(".", _NOT_ALLOWED.sub("-", plain)).lstrip("-.")[:_MAX_LENGTH].rstrip(".-")
    try:
        return check_name(name)
    except InvalidOption:  # nothing is left, or what Windows calls a device
        return check_name(f"model-{name}".rstrip("-")[:_MAX_LENGTH].rstrip("."))


def _subject(model: Found) -> tuple[str, str]:
    return ("registered", model.registered) if model.registered is not None else ("place", model.place)


def _is_registered(subject: tuple[str, str]) -> bool:
    return subject[0] == "registered"


def _attempts(model: Found, outside: str) -> list[str]:
    """Return the names that a model may have, the best one first; the last one is that of no other."""
    parts = [part for part in PurePosixPath(model.place).parts if part != ARTIFACTS] or [outside]
    parts[-1] = parts[-1].removesuffix(ARCHIVE_SUFFIX)
    if model.registered is not None:
        tries = [model.registered]
    elif model.logged is not None:
        tries = [model.logged, f"{model.logged}-{parts[-1]}"]
    else:
        tries = ["-".join(parts[-count:]) for count in range(1, len(parts) + 1)]
    mark = hashlib.sha256("\0".join(_subject(model)).encode("utf-8", "surrogateescape")).hexdigest()[:_MARK]
    first = allowed_name(tries[0])
    return [*map(allowed_name, tries), f"{first[: _MAX_LENGTH - _MARK - 1]}-{mark}"]

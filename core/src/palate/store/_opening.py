"""Which store is meant, and what a ``models:`` URI leads to in it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Final

from palate.errors import InvalidOption, PalateWarning
from palate.locations import Location, scheme_of
from palate.storage import user_folder
from palate.store._bucket import BucketPlace
from palate.store._directory import DirectoryPlace
from palate.store._names import parse_reference
from palate.store._place import Place
from palate.store._store import Store

_PLACES: Final = "give a folder, or s3://bucket/folder"

__all__ = ["STORE_VARIABLE", "default_place", "open_store", "resolve"]

STORE_VARIABLE: Final = "PALATE_STORE"


def open_store(place: str | PathLike[str] | None = None, *, by: str | None = None) -> Store:
    """Open a store; a new one is made when something is added to it first.

    Args:
        place: a folder, or a bucket as ``s3://bucket/folder``; by default ``$PALATE_STORE``, else
            ``~/.local/share/palate/store``.
        by: whose changes it records; by default the user's name.

    Raises:
        InvalidOption: it is neither a path nor the URI of a bucket.
        DependencyMissing: buckets need the extra ``palate[remote]``.
    """
    return Store(_open_place(default_place(os.environ) if place is None else place), by=by)


def default_place(environ: Mapping[str, str]) -> str:
    """Return where the store is if nobody says otherwise.

    Raises:
        InvalidOption: there is no home to have it in.
    """
    own = environ.get(STORE_VARIABLE)
    return own or str(user_folder(environ, "XDG_DATA_HOME", "~/.local/share", instead=STORE_VARIABLE) / "store")


def resolve(uri: str, digest: str | None) -> Location:
    """Return where ``models:/iris/3``, ``models:/iris@champion`` or ``models:/iris/latest`` leads: a Resolver."""
    return open_store().find(parse_reference(uri, digest), uri=uri)


def _open_place(place: str | PathLike[str]) -> Place:
    scheme = scheme_of(place)
    if scheme is None:
        folder = DirectoryPlace(_checked_path(place))
        if folder.is_open_to_all:
            told = f"anybody on this machine may change the store '{folder.uri}': take that right away (chmod o-w)"
            warnings.warn(told, PalateWarning, stacklevel=3)
        return folder
    if scheme == "s3":
        return BucketPlace(str(place))
    raise InvalidOption("store", reason=f"'{scheme}:' is not known", hint=_PLACES)


def _checked_path(place: object) -> Path:
    text = os.fspath(place) if isinstance(place, str | PathLike) else place
    if not isinstance(text, str) or not text or "\0" in text:
        raise InvalidOption("store", reason=f"{text!r:.100} is no path", hint=_PLACES)
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError as exc:  # of a user who is not there
        raise InvalidOption("store", reason=str(exc), hint=_PLACES) from exc

"""Archives that were taken apart: kept in the user's cache under a name made of what they hold.

An archive whose file has not been touched since it was checked is not checked again; what is loaded is the unpacked
directory, and its files are held against their manifest as those of any other. Without a manifest, as MLflow saves
models, nobody notices if a file of it is damaged later. How directories are held and taken away: ``shelf``.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from palate._archive.cache_notes import note_path, read_note, tidy_notes, write_note
from palate._archive.reading import Archive, open_archive
from palate._archive.shelf import cached_models, discard, is_name, put, shrink, turn, use
from palate._archive.staying import StayingFiles
from palate._archive.unpacking import check_archive, read_listing, unpack_into
from palate._disk.cache_folder import check_private, user_cache
from palate._disk.manifest import MAX_SIGNATURE_BYTES, SIGNATURE_FILE, read_manifest
from palate._disk.manifest_document import MANIFEST_FILE, Manifest
from palate._disk.model_copies import copy_model
from palate._disk.paths import MODEL_FILE, read_small
from palate._disk.stages import open_stage
from palate._disk.stamps import stamp_of
from palate._disk.strict_yaml import MAX_BYTES
from palate._remote_errors import shown_uri
from palate.amounts import read_size
from palate.errors import CacheFailed, InvalidArchive, InvalidOption, ModelChanged, PalateError, SaveFailed

__all__ = [
    "cache_limit",
    "cached_models",
    "discard",
    "find_digest",
    "find_partly_unpacked",
    "find_unpacked",
    "is_cached",
    "keep_directory",
    "keep_fetched",
    "model_cache",
    "stage_in_cache",
]

SIZE_VARIABLE: Final = "PALATE_CACHE_SIZE"
_DEFAULT_SIZE: Final = 20 << 30
# The coarsest clock of a file system. Who writes within one tick of it leaves the same times.
_TICK_NS: Final = 2_000_000_000
_PUT_THERE_AGAIN: Final = "let it be put there again, as 'palate pack' wrote it"
_OWN_FOLDER: Final = "set it to a folder of your own"


def model_cache(environ: Mapping[str, str]) -> Path:
    """Return the folder of the models that are kept unpacked.

    Raises:
        InvalidOption: there is no home to have it in; or see ``user_cache``.
    """
    return user_cache(environ) / "models"


@contextmanager
def stage_in_cache(label: str) -> Iterator[Path]:
    """Yield a hidden folder in the cache, for what is made in passing; it is removed afterwards.

    Raises:
        CacheFailed: the disk refused, also what was done in the block.
        InvalidOption: others may write to the cache, or a variable that sets it is wrong.
    """
    folder, _ = _open_cache()
    with _telling(folder):
        _make(folder)
        with open_stage(folder, label) as home:
            yield home


def find_unpacked(path: Path, *, recheck: bool = False) -> Path:
    """Return the directory in the cache that holds what the archive at *path* does; unpack it if there is none.

    With *recheck*, every byte of the archive is read, even if its file was not touched since it was checked.

    Raises:
        InvalidArchive, ModelChanged, InvalidModelFile: it is not a whole archive of a model.
        ModelNotFound: it cannot be read.
        CacheFailed: the disk refused.
        InvalidOption: others may write to the cache, or a variable that sets it is wrong.
    """
    folder, limit = _open_cache()
    note = note_path(folder, os.fsencode(path), "seen")
    with open_archive(path) as archive, _telling(folder):
        stamp, known = _stamp(archive.descriptor), read_note(note)
        if not recheck and known.get("stamp") == stamp and (found := _recall(folder, known)):
            return found
        contents = _read_contents(archive)
        found = _unpack(archive, contents, folder)
        _note_stamp(note, stamp, contents)
    _tidy(folder, limit, keep=found)
    return found


def find_partly_unpacked(path: Path, may_stay: Callable[[bytes], Collection[str]]) -> tuple[Path, StayingFiles] | None:
    """Return a directory in the cache with all but some files of the archive at *path*, and those; None if it has none.

    Args:
        path: the archive.
        may_stay: is given its MLmodel, and returns the files that need not be unpacked.

    Raises:
        PalateError: see ``find_unpacked``.
    """
    folder, limit = _open_cache()
    note = note_path(folder, os.fsencode(path), "partly")
    with open_archive(path) as archive:
        document, contents = archive.read(MODEL_FILE, MAX_BYTES), _read_contents(archive)
        if document is None or contents.manifest is None:
            return None  # without a manifest nobody would look at the files that stay
        names = {file.name for file in contents.manifest.files}.intersection(may_stay(document))
        with _telling(folder):
            if not names or _find(folder, contents.name, contents.whole):
                return None
            part, stamp, known = contents.without(names), _stamp(archive.descriptor), read_note(note)
            is_known = (known.get("stamp"), known.get("name")) == (stamp, part.name)
            found = _recall(folder, known) if is_known else None
            if found is None:
                found = _unpack(archive, part, folder)
                _note_stamp(note, stamp, part)
        staying = StayingFiles(archive, names)
    _tidy(folder, limit, keep=found)
    return found, staying


def keep_fetched(source: str, fetch: Callable[[Path, str | None], str | None], *, digest: str | None = None) -> Path:
    """Return the directory in the cache that holds what the archive at *source*, somewhere else, does.

    Args:
        source: what the archive is called.
        fetch: is given a file to write it to, and the tag of what is in the cache already, or None; returns the tag of
            what it has fetched, or None if that is still the same.
        digest: the identity that the model must have; if what was fetched from there has it, nobody is asked.

    Raises:
        PalateError: what ``find_unpacked`` raises, and what *fetch* does.
    """
    folder, limit = _open_cache()
    note = note_path(folder, source.encode(), "fetched")
    with _telling(folder):
        found = _recall(folder, read_note(note))
        if found is not None and digest is not None and _manifest_of(found) == digest:
            return found
        _make(folder)
        with nullcontext() if found is not None else turn(note.with_suffix(".lock")):
            found = _renew(note, source, fetch)
    _tidy(folder, limit, keep=found)
    return found


def keep_directory(fetch: Callable[[Path], Path]) -> Path:
    """Return the directory in the cache with the model that *fetch* brings, checked against its manifest, or given one.

    Args:
        fetch: is given an empty directory, and returns that of the model in it.

    Raises:
        PalateError: what ``copy_model`` and ``find_unpacked`` raise, and what *fetch* does.
    """
    folder, limit = _open_cache()
    with _telling(folder):
        _make(folder)
        with open_stage(folder, "fetch") as home:
            brought, model = home / "brought", home / "model"
            brought.mkdir()
            model.mkdir()
            copy_model(fetch(brought), model)
            name = _seal(model)
            assert name is not None, "a copy has a manifest"
            found = _find(folder, name, name) or put(folder, name, lambda root: os.rename(model, root))
    _tidy(folder, limit, keep=found)
    return found


def find_digest(digest: str) -> Path | None:
    """Return the directory in the cache with the model of that identity, if it is there and not signed.

    Raises:
        CacheFailed: it cannot be opened.
        InvalidOption: others may write to the cache.
    """
    folder, _ = _open_cache()
    with _telling(folder):
        return _find(folder, digest, digest)


def is_cached(path: Path) -> bool:
    """Return whether a directory is one of the cache's."""
    return path.parent == model_cache(os.environ) and is_name(path.name)


# -- what it is called -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Contents:
    """What an archive holds.

    Attributes:
        manifest: its manifest, if there is one.
        name: what its directory is called.
        whole: what tells its manifest and signature from all others; None without a manifest.
        staying: the files that are not unpacked.
    """

    manifest: Manifest | None
    name: str
    whole: str | None
    staying: frozenset[str] = frozenset()

    def without(self, names: Collection[str]) -> _Contents:
        """Return the same, of which some files are not unpacked."""
        name = _hash("\n".join([self.name, *sorted(names)]))
        return _Contents(manifest=self.manifest, name=name, whole=self.whole, staying=frozenset(names))

    def facts(self) -> dict[str, Any]:
        """Return what a note says of it."""
        return {"name": self.name, "whole": self.whole}


def _read_contents(archive: Archive) -> _Contents:
    manifest = read_listing(archive)
    if manifest is not None:
        name = _signed(manifest.digest, archive.read(SIGNATURE_FILE, MAX_SIGNATURE_BYTES))
        return _Contents(manifest=manifest, name=name, whole=name)
    digest = Manifest(check_archive(archive, None)).digest
    # The same files with a manifest are called by the digest itself.
    return _Contents(manifest=None, name=_hash(f"{digest} without a manifest"), whole=None)


def _signed(digest: str, signature: bytes | None) -> str:
    return digest if signature is None else _hash(f"{digest} {hashlib.sha256(signature).hexdigest()}")


def _seal(directory: Path) -> str | None:
    """Return what tells the manifest and the signature in a directory from all others; None without a manifest."""
    digest = _manifest_of(directory)
    if digest is None:
        return None
    signature = directory / SIGNATURE_FILE
    return _signed(digest, read_small(signature, MAX_SIGNATURE_BYTES) if os.path.lexists(signature) else None)


def _manifest_of(directory: Path) -> str | None:
    manifest = read_manifest(directory)
    return manifest.digest if manifest else None


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


# -- finding, unpacking ------------------------------------------------------------------------------------------------


def _find(folder: Path, name: object, whole: object) -> Path | None:
    """Return a directory of the cache, held, if its manifest and signature are as they were; else take it away.

    Raises:
        ModelChanged: it is damaged, and another process uses it.
    """
    found = use(folder, name)
    if found is None:
        return None
    try:
        if _seal(found) == whole:
            return found
    except PalateError:
        pass
    if not discard(found):
        raise ModelChanged(str(found), changed=[MANIFEST_FILE])
    return None


def _recall(folder: Path, note: Mapping[str, Any]) -> Path | None:
    """Return the directory that a note is on, if it is there."""
    return _find(folder, note.get("name"), note.get("whole"))


def _unpack(archive: Archive, contents: _Contents, folder: Path) -> Path:
    """Return the directory with the files of an archive, each of which was read."""
    unpacked = False

    def fill(root: Path) -> None:
        nonlocal unpacked
        unpack_into(archive, root, contents.manifest, staying=contents.staying)
        unpacked = True

    found = _find(folder, contents.name, contents.whole)
    if found is None:
        _make(folder)
        found = put(folder, contents.name, fill)
    if not unpacked:
        check_archive(archive, contents.manifest)
    return found


def _renew(note: Path, source: str, fetch: Callable[[Path, str | None], str | None]) -> Path:
    folder, known = note.parent, read_note(note)
    found, tag = _recall(folder, known), known.get("tag")
    with open_stage(folder, "fetch") as home:
        new = fetch(home / "archive", tag if found is not None and isinstance(tag, str) else None)
        if new is None and found is not None:
            return found
        with _naming(source), open_archive(home / "archive") as archive:
            contents = _read_contents(archive)
            found = _unpack(archive, contents, folder)
    write_note(note, {"tag": new, **contents.facts()})
    return found


def _stamp(descriptor: int) -> list[int]:
    """Return a file's stamp as a note keeps it."""
    return list(stamp_of(os.fstat(descriptor)))


def _note_stamp(note: Path, stamp: list[int], contents: _Contents) -> None:
    """Write down that a file was checked, unless it is so new that a change might not be seen by its times."""
    if time.time_ns() - max(stamp[-2:]) > _TICK_NS:
        write_note(note, {"stamp": stamp, **contents.facts()})


# -- the folder --------------------------------------------------------------------------------------------------------


def _open_cache() -> tuple[Path, int]:
    """Return the folder and its limit, if nobody else may write there."""
    folder, limit = model_cache(os.environ), _size_limit(os.environ)
    check_private(folder)
    return folder, limit


def _make(folder: Path) -> None:
    """Make the folder, and those around it that are missing, for the user alone."""
    for place in reversed((folder, *folder.parents)):
        if not os.path.lexists(place):
            place.mkdir(mode=0o700, exist_ok=True)


def _tidy(folder: Path, limit: int, *, keep: Path) -> None:
    shrink(folder, limit, keep=keep)
    tidy_notes(folder)


def cache_limit() -> int:
    """Return how many bytes of models are kept.

    Raises:
        InvalidOption: the variable that says so is wrong.
    """
    return _size_limit(os.environ)


def _size_limit(environ: Mapping[str, str]) -> int:
    given = environ.get(SIZE_VARIABLE)
    if not given:
        return _DEFAULT_SIZE
    try:
        return read_size(given)
    except ValueError as exc:
        raise InvalidOption(SIZE_VARIABLE, reason=str(exc), hint="set it to a size such as 20GiB, or unset it") from exc


@contextmanager
def _telling(folder: Path) -> Iterator[None]:
    """Turn the disk's refusals into CacheFailed."""
    try:
        yield
    except PalateError as exc:
        if not isinstance(exc, SaveFailed):
            raise
        cause = exc.__cause__
        raise CacheFailed(str(folder), reason=getattr(cause, "strerror", None) or str(cause)) from exc
    except OSError as exc:
        raise CacheFailed(str(folder), reason=exc.strerror or str(exc)) from exc


@contextmanager
def _naming(source: str) -> Iterator[None]:
    """Let errors of an archive name where it is from, and not the file that it was fetched to."""
    try:
        yield
    except InvalidArchive as exc:
        raise InvalidArchive(shown_uri(source), rule=exc.rule, hint=_PUT_THERE_AGAIN) from exc
    except ModelChanged as exc:
        shown = shown_uri(source)
        raise ModelChanged(shown, changed=exc.changed, missing=exc.missing, extra=exc.extra) from exc

"""Archives that were taken apart: kept in the user's cache under a name made of what they hold.

An archive whose file has not been touched since it was checked is not checked again; what is loaded is the unpacked
directory, and its files are held against their manifest as those of any other. Beside each directory stands a file
that says when it was used last. Whoever uses a directory holds a lock on it, so that it is not taken away.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from palate._archive.reading import Archive, open_archive
from palate._archive.staying import StayingFiles
from palate._archive.unpacking import check_archive, read_listing, unpack_into
from palate._disk.cache_folder import check_private, user_cache
from palate._disk.durable import replace_file
from palate._disk.manifest import MAX_SIGNATURE_BYTES, SIGNATURE_FILE
from palate._disk.manifest_document import MANIFEST_FILE, Manifest
from palate._disk.model_copies import copy_model
from palate._disk.paths import MODEL_FILE, read_small
from palate._disk.stages import open_stage, remove_tree, sweep_stages
from palate._disk.staging import stage
from palate._disk.strict_yaml import MAX_BYTES
from palate.amounts import read_size
from palate.errors import CacheFailed, InvalidOption, ModelExists, PalateError, SaveFailed

__all__ = [
    "cached_models",
    "discard",
    "find_digest",
    "find_partly_unpacked",
    "find_unpacked",
    "is_cached",
    "keep_directory",
    "keep_fetched",
    "model_cache",
]

SIZE_VARIABLE: Final = "PALATE_CACHE_SIZE"
_DEFAULT_SIZE: Final = 20 << 30
_NAME: Final = re.compile(r"[0-9a-f]{64}")
_MAX_NOTE: Final = 4096
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

# The locks of this process, which it keeps as long as it lives: a model that is open may read its files at any time.
_held: dict[tuple[int, int], int] = {}


def model_cache(environ: Mapping[str, str]) -> Path:
    """Return the folder of the models that are kept unpacked.

    Raises:
        InvalidOption: see ``user_cache``.
    """
    return user_cache(environ) / "models"


def find_unpacked(path: Path, *, recheck: bool = False) -> Path:
    """Return the directory in the cache that holds what the archive at *path* does; unpack it if there is none.

    With *recheck*, every byte of the archive is read, even if its file was not touched since it was checked.

    Raises:
        InvalidArchive, ModelChanged, InvalidModelFile: it is not a whole archive of a model.
        ModelNotFound: it cannot be read.
        CacheFailed: the disk refused.
        InvalidOption: others may write to the cache, or a variable that sets it is wrong.
    """
    folder = model_cache(os.environ)
    limit = _size_limit(os.environ)
    check_private(folder)
    with open_archive(path) as archive:
        stamp = _stamp(archive.descriptor)
        note = folder / f".{_hash(os.fsencode(path))}.seen"
        known = _read_note(note)
        if not recheck and known.get("stamp") == stamp and (found := _use(folder, known.get("name"))):
            return found
        try:
            found = _unpack(archive, folder)
            replace_file(note, _note({"stamp": stamp, "name": found.name}), temporary=_aside(note))
        except (SaveFailed, OSError) as exc:
            raise _failure(folder, exc) from exc
    _shrink(folder, limit, keep=found)
    return found


def find_partly_unpacked(path: Path, may_stay: Callable[[bytes], Collection[str]]) -> tuple[Path, StayingFiles] | None:
    """Return a directory in the cache with all but some files of the archive at *path*, and those; None if it has none.

    Args:
        path: the archive.
        may_stay: is given its MLmodel, and returns the files that need not be unpacked.

    Raises:
        PalateError: see ``find_unpacked``.
    """
    folder = model_cache(os.environ)
    limit = _size_limit(os.environ)
    check_private(folder)
    with open_archive(path) as archive:
        document, manifest = archive.read(MODEL_FILE, MAX_BYTES), read_listing(archive)
        if document is None or manifest is None:
            return None  # without a manifest nobody would look at the files that stay
        names = {file.name for file in manifest.files}.intersection(may_stay(document))
        whole = _name(archive, manifest)
        if not names or _use(folder, whole):
            return None
        name = hashlib.sha256("\n".join([whole, *sorted(names)]).encode()).hexdigest()
        note, stamp = folder / f".{_hash(os.fsencode(path))}.partly", _stamp(archive.descriptor)
        found = _use(folder, name) if _read_note(note) == {"stamp": stamp, "name": name} else None
        try:
            if found is None:
                found = _unpack(archive, folder, name, staying=names)
                replace_file(note, _note({"stamp": stamp, "name": name}), temporary=_aside(note))
        except (SaveFailed, OSError) as exc:
            raise _failure(folder, exc) from exc
        staying = StayingFiles(archive, names)
    _shrink(folder, limit, keep=found)
    return found, staying


def keep_fetched(source: str, fetch: Callable[[Path, str | None], str | None]) -> Path:
    """Return the directory in the cache that holds what the archive at *source*, somewhere else, does.

    Args:
        source: what the archive is called.
        fetch: is given a file to write it to, and the tag of what is in the cache already, or None; returns the tag of
            what it has fetched, or None if that is still the same.

    Raises:
        PalateError: what ``find_unpacked`` raises, and what *fetch* does.
    """
    folder = model_cache(os.environ)
    limit = _size_limit(os.environ)
    check_private(folder)
    note = folder / f".{_hash(source.encode())}.fetched"
    known = _read_note(note)
    found = _use(folder, known.get("name"))
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open_stage(folder, "fetch") as home:
            tag = fetch(home / "archive", str(known.get("tag")) if found else None)
            if tag is None and found is not None:
                return found
            with open_archive(home / "archive") as archive:
                found = _unpack(archive, folder)
        replace_file(note, _note({"tag": tag, "name": found.name}), temporary=_aside(note))
    except (SaveFailed, OSError) as exc:
        if isinstance(exc, PalateError) and not isinstance(exc, SaveFailed):
            raise  # what fetch says of the network, say
        raise _failure(folder, exc) from exc
    _shrink(folder, limit, keep=found)
    return found


def keep_directory(fetch: Callable[[Path], Path]) -> Path:
    """Return the directory in the cache with the model that *fetch* brings, checked against its manifest, or given one.

    Args:
        fetch: is given an empty directory, and returns that of the model in it.

    Raises:
        ModelChanged, InvalidModelFile, UnsafePath: what was brought is not whole, or no ordinary files.
        PalateError: what *fetch* raises.
        CacheFailed: the disk refused.
        InvalidOption: others may write to the cache, or a variable that sets it is wrong.
    """
    folder = model_cache(os.environ)
    limit = _size_limit(os.environ)
    check_private(folder)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open_stage(folder, "fetch") as home:
            brought, model = home / "brought", home / "model"
            brought.mkdir()
            model.mkdir(mode=0o700)
            found = _keep(fetch(brought), model, folder)
    except PalateError as exc:
        if isinstance(exc, SaveFailed):
            raise _failure(folder, exc) from exc
        raise
    except OSError as exc:
        raise _failure(folder, exc) from exc
    _shrink(folder, limit, keep=found)
    return found


def find_digest(digest: str) -> Path | None:
    """Return the directory in the cache with the model of that identity, if it is there and not signed."""
    return _use(model_cache(os.environ), digest)


def is_cached(path: Path) -> bool:
    """Return whether a directory is one of the cache's."""
    return path.parent == model_cache(os.environ) and _NAME.fullmatch(path.name) is not None


def cached_models(folder: Path) -> list[Path]:
    """Return the directories in the cache, the one that was used last at the end."""
    try:
        found = [path for path in folder.iterdir() if _NAME.fullmatch(path.name)]
    except OSError:
        return []
    return sorted(found, key=_used_at)


def discard(path: Path) -> bool:
    """Remove a directory from the cache, unless a process uses it; return whether it is gone."""
    key = _identity(path)
    if key is not None and (own := _held.pop(key, None)) is not None:
        os.close(own)
    lock = _lock(path, fcntl.LOCK_EX)
    if lock is None:
        return not os.path.lexists(path)
    try:
        aside = _aside(path)
        os.rename(path, aside)  # nobody finds it half removed
        remove_tree(aside)
        _used_file(path).unlink(missing_ok=True)
    except OSError:
        return False
    finally:
        os.close(lock)
    return True


def _failure(folder: Path, exc: OSError) -> CacheFailed:
    cause = exc.__cause__ if isinstance(exc, SaveFailed) else exc
    return CacheFailed(str(folder), reason=getattr(cause, "strerror", None) or str(exc))


# -- unpacking ---------------------------------------------------------------------------------------------------------


def _unpack(archive: Archive, folder: Path, name: str | None = None, *, staying: Collection[str] = ()) -> Path:
    """Unpack an archive, but for what is *staying* there, to a directory of that name; by default that of all of it."""
    manifest = read_listing(archive)
    name = name or _name(archive, manifest)
    if found := _use(folder, name):
        check_archive(archive, manifest)
        return found
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(ModelExists), stage(folder / name) as staging:
        unpack_into(archive, staging.path, manifest, staying=staying)
        os.chmod(staging.path, 0o700)
        staging.publish()
    found = _use(folder, name)
    assert found is not None, "it was published a moment ago"
    return found


def _keep(brought: Path, model: Path, folder: Path) -> Path:
    """Copy a model that was brought to the empty directory *model*, and let that become one of the cache's."""
    manifest = copy_model(brought, model)
    signed = os.path.lexists(model / SIGNATURE_FILE)
    name = _signed_name(manifest, read_small(model / SIGNATURE_FILE, MAX_SIGNATURE_BYTES) if signed else None)
    if found := _use(folder, name):
        return found
    with suppress(ModelExists), stage(folder / name) as staging:
        os.rename(model, staging.path)
        staging.publish()
    found = _use(folder, name)
    assert found is not None, "it was published a moment ago"
    return found


def _name(archive: Archive, manifest: Manifest | None) -> str:
    """Return a sha256 of all that an archive holds: the model's digest, unless there is a signature, or no manifest."""
    if manifest is None:
        files = check_archive(archive, None)
        return Manifest(tuple(file for file in files if file.name != MANIFEST_FILE)).digest
    return _signed_name(manifest, archive.read(SIGNATURE_FILE, MAX_SIGNATURE_BYTES))


def _signed_name(manifest: Manifest, signature: bytes | None) -> str:
    if signature is None:
        return manifest.digest
    return hashlib.sha256(f"{manifest.digest} {hashlib.sha256(signature).hexdigest()}".encode()).hexdigest()


def _hash(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def _stamp(descriptor: int) -> list[int]:
    status = os.fstat(descriptor)
    return [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _read_note(path: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError, RecursionError), path.open("rb") as file:
        found = json.loads(file.read(_MAX_NOTE))
        return found if isinstance(found, dict) else {}
    return {}


def _note(facts: Mapping[str, Any]) -> bytes:
    return json.dumps(facts).encode()


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name.lstrip('.')}.{os.getpid()}-{os.urandom(8).hex()}.new")


# -- use ---------------------------------------------------------------------------------------------------------------


def _use(folder: Path, name: object) -> Path | None:
    """Return the directory of that name, locked and marked as used now; None if there is none."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return None
    path = folder / name
    key = _identity(path)
    if key is None or (key not in _held and not _hold(path)):
        return None
    with suppress(OSError):
        _used_file(path).touch(mode=0o600)
    return path


def _hold(path: Path) -> bool:
    lock = _lock(path, fcntl.LOCK_SH)
    if lock is None:
        return False
    status = os.fstat(lock)
    if _held.setdefault((status.st_dev, status.st_ino), lock) != lock:
        os.close(lock)  # another thread was faster
    return True


def _lock(path: Path, kind: int) -> int | None:
    """Lock a directory of the cache, if it is still there and the lock is free; return the descriptor that holds it."""
    try:
        descriptor = os.open(path, _DIRECTORY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), os.lstat(path)):
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _used_file(path: Path) -> Path:
    # Not the directory's own time: that is part of what a loader looks at, to see that nobody touched it.
    return path.with_name(f".{path.name}.used")


def _used_at(path: Path) -> float:
    try:
        return _used_file(path).stat().st_mtime
    except OSError:
        return 0.0


# -- the bound ---------------------------------------------------------------------------------------------------------


def _size_limit(environ: Mapping[str, str]) -> int:
    given = environ.get(SIZE_VARIABLE)
    if not given:
        return _DEFAULT_SIZE
    try:
        return read_size(given)
    except ValueError as exc:
        raise InvalidOption(SIZE_VARIABLE, reason=str(exc), hint="set it to a size such as 20GiB, or unset it") from exc


def _shrink(folder: Path, limit: int, *, keep: Path) -> None:
    """Remove what was used longest ago until the rest keeps to the limit; what is in use stays."""
    sweep_stages(folder)
    models = cached_models(folder)
    sizes = {path: _size(path) for path in models}
    total = sum(sizes.values())
    for path in models:
        if total <= limit:
            return
        if path != keep and _identity(path) not in _held and discard(path):
            total -= sizes[path]


def _size(directory: Path) -> int:
    total = 0
    for place, _, files in os.walk(directory):
        for file in files:
            with suppress(OSError):  # removed just now
                total += os.lstat(os.path.join(place, file)).st_size
    return total

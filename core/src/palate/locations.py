"""Where a URI leads: to a directory on this machine, whatever it names.

Paths, ``file:`` URIs and models in one file are found here. Every other scheme is a plugin's: an entry point in the
group ``palate.schemes`` whose name is the scheme, and which names a function ``resolve(uri, digest)`` that returns a
Location. The store (``models:``) and object storage (``https:``, ``s3:``) come in through that door.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import metadata
from os import PathLike
from pathlib import Path
from typing import Final, Protocol, TypeVar
from urllib.parse import unquote, urlsplit

from palate._disk.manifest import check_manifest, read_manifest
from palate._disk.paths import check_model_directory, resolve_path, scheme_of
from palate._late import LateModule
from palate._plugin_failures import describe_failure
from palate._remote_errors import shown_uri
from palate.errors import InvalidOption, ModelChanged, ModelNotFound, PalateError, WrongModel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from palate._archive import cache as archives
    from palate._archive.staying import StayingFiles
else:
    archives = LateModule("palate._archive.cache")

__all__ = [
    "SCHEMES_GROUP",
    "Location",
    "Resolver",
    "local_archive",
    "locate",
    "locate_file",
    "pin_location",
    "read_one_model",
    "require_digest",
    "scheme_of",
    "shown_uri",
]

SCHEMES_GROUP: Final = "palate.schemes"

_ATTEMPTS: Final = 10
_PIN: Final = re.compile(r"(.+)@sha256:([^@/]*)", re.DOTALL)
_LIKE_PIN: Final = re.compile(r"(?:@|%40|\uff20)sha256(?::|%3a)", re.IGNORECASE)
_PIN_HINT: Final = "write @sha256: and the 64 hex digits that 'palate inspect' shows at its end, in small letters"
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_MAX_URI: Final = 8192
_SUFFIX: Final = ".palate"

Result = TypeVar("Result")
Stamp = tuple[int, int, int, int]
MayStay = Callable[[bytes], Collection[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Where a model is.

    Attributes:
        uri: what was asked for.
        path: the model directory on this machine, with links in its path resolved.
        digest: the identity that it must have, or None where any will do.
        name: what it is called where it is kept under a name.
        version: which of that name it is.
        signature: the bytes of a signature that is kept beside the directory, or None.
        keys: the public keys (PEM), one of which must have signed it; empty where nobody demands that.
        lasting: a URI or path by which another process finds the same model later; by default the directory's.
        staying: the files that have stayed in its archive; empty ones stand for them in the directory.
    """

    uri: str
    path: Path
    digest: str | None = None
    name: str | None = None
    version: str | None = None
    signature: bytes | None = None
    keys: tuple[bytes, ...] = ()
    lasting: str | None = None
    staying: StayingFiles | None = field(default=None, repr=False, compare=False)

    @property
    def title(self) -> str:
        """What to call it: by the name that it is kept under, else as its directory or file is called."""
        if self.name is not None:
            return self.name
        if scheme_of(self.uri) in (None, "file"):
            kept = self.path.name if self.lasting is None else Path(self.lasting).name.removesuffix(_SUFFIX)
        else:
            address = unquote(urlsplit(_PIN.sub(r"\1", self.uri)).path)
            kept = address.rpartition("/")[2].removesuffix(_SUFFIX)
        return kept or "model"


class Resolver(Protocol):
    """What an entry point in the group ``palate.schemes`` names."""

    def __call__(self, uri: str, digest: str | None) -> Location:
        """Return where *uri* leads; with a *digest*, to the model of that identity. It is compared in any case."""


def locate(uri: str | PathLike[str] | Location, *, recheck: bool = False, may_stay: MayStay | None = None) -> Location:
    """Return where a URI leads, as it does now; a location that was found already is returned as it is.

    Args:
        uri: ``@sha256:<digest>`` behind it says which model it must be.
        recheck: read a model in one file again, even where the file was not touched since it was read.
        may_stay: is given the MLmodel of a model in one file, and returns the files that need not be unpacked.

    Raises:
        ModelNotFound: nowhere, with the reason.
        UnsafePath: what is there is no ordinary directory or file.
        InvalidArchive, ModelChanged, InvalidModelFile: it is a file, and not a whole archive of a model.
        WrongModel: it has another identity.
        InvalidOption: it is neither a path nor text.
        PalateError: what else a plugin for its scheme raises.
    """
    if isinstance(uri, Location):
        return uri
    if isinstance(uri, str) and len(uri) > _MAX_URI:
        raise InvalidOption("uri", reason=f"it is longer than {_MAX_URI:,} characters", hint="give a path or a URI")
    address, digest = _split_pin(uri)
    scheme = scheme_of(address)
    if scheme not in (None, "file"):
        location = _ask_plugin(str(scheme), str(address), digest)
    else:
        location = locate_file(resolve_path(address), uri=str(uri), recheck=recheck, may_stay=may_stay)
    if location.digest is not None:
        require_digest(location.uri, location.digest, digest)
    return replace(location, digest=digest or location.digest)


def require_digest(uri: str, found: str | None, wanted: str | None) -> None:
    """Raise WrongModel unless the identity *found* is the one *wanted*, if any is."""
    if wanted is not None and found != wanted:
        raise WrongModel(uri, wanted=wanted, found=found)


def locate_file(path: Path, *, uri: str, recheck: bool = False, may_stay: MayStay | None = None) -> Location:
    """Return where the model at *path* is: there, or for a model in one file, where it is unpacked."""
    if path.is_file():
        partly = archives.find_partly_unpacked(path, may_stay) if may_stay is not None else None
        if partly is not None:
            return Location(uri=uri, path=partly[0], lasting=str(path), staying=partly[1])
        return Location(uri=uri, path=archives.find_unpacked(path, recheck=recheck), lasting=str(path))
    check_model_directory(path, uri)
    return Location(uri=uri, path=path)


def local_archive(uri: str | PathLike[str]) -> tuple[Path | None, str | None]:
    """Return the file on this machine that *uri* names, None if it names anything else, and the identity in *uri*."""
    address, digest = _split_pin(uri)
    if scheme_of(address) not in (None, "file"):
        return None, digest
    path = resolve_path(address)
    return (path if path.is_file() else None), digest


def _split_pin(uri: str | PathLike[str]) -> tuple[str | PathLike[str], str | None]:
    pinned = _PIN.fullmatch(uri) if isinstance(uri, str) else None
    if pinned is None:
        if isinstance(uri, str) and _LIKE_PIN.search(uri):
            raise InvalidOption("uri", reason=f"{shown_uri(uri)!r:.200} has no pin at its end", hint=_PIN_HINT)
        return uri, None
    if not _SHA256.fullmatch(pinned[2]):
        reason = f"{pinned[2]!r:.80} is no sha256"
        raise InvalidOption("uri", reason=reason, hint=_PIN_HINT)
    return pinned[1], pinned[2]


def _ask_plugin(scheme: str, uri: str, digest: str | None) -> Location:
    found = _plugins().get(scheme, ())
    if not found:
        known = ", ".join(f"{name}:" for name in sorted({"file", *_plugins()}))
        hint = f"download the model first; schemes that are known here: {known}"
        raise ModelNotFound(shown_uri(uri), reason=f"'{scheme}:' is not opened here", hint=hint)
    if len(found) > 1:
        rivals = " and ".join(sorted(point.dist.name if point.dist else point.value for point in found))
        raise ModelNotFound(shown_uri(uri), reason=f"'{scheme}:' is claimed by {rivals}", hint="remove one of them")
    try:
        resolve: Resolver = found[0].load()
        location = resolve(uri, digest)
    except PalateError:
        raise
    except Exception as exc:
        reason = f"the plugin for '{scheme}:' ({found[0].value}) failed: {describe_failure(exc)}"
        raise ModelNotFound(shown_uri(uri), reason=reason, hint="reinstall or upgrade what provides it") from exc
    if not isinstance(location, Location):
        reason = f"the plugin for '{scheme}:' ({found[0].value}) returned no Location"
        raise ModelNotFound(shown_uri(uri), reason=reason, hint="upgrade what provides it")
    check_model_directory(location.path, shown_uri(uri))
    return location


@cache
def _plugins() -> dict[str, tuple[metadata.EntryPoint, ...]]:
    found: dict[str, tuple[metadata.EntryPoint, ...]] = {}
    for point in metadata.entry_points(group=SCHEMES_GROUP):
        found[point.name] = (*found.get(point.name, ()), point)
    return found


# -- reading what somebody may be replacing ----------------------------------------------------------------------------


def read_one_model(
    uri: str | PathLike[str] | Location,
    read: Callable[[Location], Result],
    *,
    is_whole: Callable[[Result], bool],
    recheck: bool = False,
    may_stay: MayStay | None = None,
) -> Result:
    """Return what *read* makes of the model at *uri*; let it start again while the model is being replaced.

    A save with ``overwrite=True`` exchanges two directories and removes the old one, files included that a reader has
    not come to yet. Such a reader finds files missing, or changed, that neither model is missing. What is damaged in
    the cache is fetched or unpacked again, once.

    Args:
        uri: the model.
        read: reads it, by name, and may be called several times.
        is_whole: whether a result must be of one model, even if another took its place meanwhile.
        recheck: see ``locate``.
        may_stay: see ``locate``.

    Raises:
        PalateError: what *read* raised of a model that stood still, or the last time.
    """
    renewed = isinstance(uri, Location)  # only whoever has the URI can look for it again
    for _ in range(_ATTEMPTS - 1):
        location = locate(uri, recheck=recheck, may_stay=may_stay)
        before = _stamp(location.path)
        try:
            result = read(location)
        except ModelChanged:
            if _stamp(location.path) == before and (renewed or not _is_discarded(location.path)):
                raise
            renewed = True
        except PalateError as exc:
            if _stamp(location.path) == before and not _leads_elsewhere(uri, location, exc):
                raise
        else:
            if is_whole(result) or _stamp(location.path) == before:
                return result
    return read(locate(uri, recheck=recheck, may_stay=may_stay))


def _leads_elsewhere(uri: str | PathLike[str] | Location, location: Location, exc: PalateError) -> bool:
    """Tell whether a URI leads to another model now, and the files of the one that was looked for are being deleted."""
    if isinstance(uri, Location) or not isinstance(exc, ModelNotFound):
        return False
    return locate(uri).path != location.path


def pin_location(uri: str | PathLike[str] | Location) -> Location:
    """Return where a URI leads now, with the identity of the model there: what is opened by it is that very model.

    For whoever opens it later, several times or in other processes, while an alias moves or another model takes the
    place. Of a directory without MANIFEST.json there is no identity.

    Raises:
        PalateError: what ``locate`` raises.
        ModelChanged: a copy in the cache is damaged, and could not be fetched again.
    """

    def read(location: Location) -> Location:
        manifest = read_manifest(location.path)
        require_digest(location.uri, manifest.digest if manifest else None, location.digest)
        if manifest is not None and archives.is_cached(location.path):
            check_manifest(location.path, manifest)  # now, while it can be fetched or unpacked again
        return replace(location, digest=manifest.digest if manifest else None)

    return uri if isinstance(uri, Location) else read_one_model(uri, read, is_whole=lambda _: True)


def _is_discarded(path: Path) -> bool:
    return archives.is_cached(path) and archives.discard(path)


def _stamp(path: Path) -> Stamp | None:
    """Return what changes when another directory takes the place; a number of its own is not enough, it is reused."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns

"""Which files a signature of a model directory is of: every one that is there, but the signature itself."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from palate._disk.manifest import SIGNATURE_FILE, check_manifest, read_manifest, survey
from palate._disk.manifest_document import (
    ALGORITHM,
    MANIFEST_FILE,
    MAX_MANIFEST_BYTES,
    FileDigest,
    Manifest,
    parse_manifest,
)
from palate._disk.paths import list_files, open_plain, read_small
from palate.errors import ModelChanged, ModelNotFound, PalateError

__all__ = ["checked_files", "hash_against", "hash_files"]


def hash_files(root: Path) -> tuple[FileDigest, ...]:
    """Hash every file of the model at *root*, where there is a manifest hold it against that, and return their digests.

    Raises:
        ModelChanged: the files are not those that MANIFEST.json lists.
        InvalidModelFile: MANIFEST.json is not what it should be.
        UnsafePath: for a link, a special file or an unsafe name in the directory.
        ModelNotFound: a file cannot be read.
    """
    return hash_against(root, read_manifest(root))


def hash_against(root: Path, manifest: Manifest | None) -> tuple[FileDigest, ...]:
    """Do the same with a manifest that was read just now."""
    if manifest is None:
        with _disk_of(root):
            return survey(root).files
    check_manifest(root, manifest)
    return checked_files(root, manifest)


def checked_files(root: Path, manifest: Manifest) -> tuple[FileDigest, ...]:
    """Return the digests of a model whose files were just checked against *manifest*; none of these is hashed again.

    What MLflow or Python left there, and the check let pass, is harmless to Palate. To others it may be code: it is
    signed, or it is not.

    Raises:
        ModelChanged: MANIFEST.json is another one now.
        UnsafePath: for a link, a special file or an unsafe name in the directory.
        ModelNotFound: a file cannot be read.
    """
    content = read_small(root / MANIFEST_FILE, MAX_MANIFEST_BYTES)
    if parse_manifest(content) != manifest:
        raise ModelChanged(str(root), changed=[MANIFEST_FILE], cause="It was changed while it was being read.")
    own = FileDigest(MANIFEST_FILE, len(content), hashlib.sha256(content).hexdigest())
    listed = {MANIFEST_FILE, SIGNATURE_FILE, *(file.name for file in manifest.files)}
    with _disk_of(root):
        added = [_measure(root, name) for name in list_files(root) if name not in listed]
    return (*manifest.files, own, *added)


def _measure(root: Path, name: str) -> FileDigest:
    with open(open_plain(root / name), "rb", buffering=0) as file:
        sha256 = hashlib.file_digest(file, ALGORITHM).hexdigest()
        return FileDigest(name, file.tell(), sha256)


@contextmanager
def _disk_of(root: Path) -> Iterator[None]:
    """Turn what the disk says into an error of ours; some of those are OSErrors, too."""
    try:
        yield
    except PalateError:
        raise
    except OSError as exc:
        raise ModelNotFound(str(root), reason=f"{exc.filename or 'a file'} cannot be read ({exc.strerror})") from exc

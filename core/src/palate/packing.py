"""Models in one file, and out of it again."""

from __future__ import annotations

import os
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Final

from palate import signing
from palate._archive.foreign import find_only_model, is_foreign_zip, unpack_zip
from palate._archive.reading import is_archive, open_archive
from palate._archive.unpacking import read_listing, unpack_into
from palate._archive.writing import Packed, write_archive
from palate._disk.manifest import SIGNATURE_FILE, read_manifest
from palate._disk.manifest_document import Manifest
from palate._disk.model_copies import copy_model
from palate._disk.paths import list_files
from palate._disk.stages import remove_tree
from palate._disk.staging import stage, stage_file
from palate._save_request import check_path
from palate.locations import Location, local_archive, read_one_model, require_digest

__all__ = ["ARCHIVE_SUFFIX", "Packed", "Unpacked", "pack_directory", "pack_model", "unpack_model"]

ARCHIVE_SUFFIX: Final = ".palate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """A model that was written as a directory.

    Attributes:
        path: the directory.
        digest: the model's identity; None without MANIFEST.json.
        files: how many it holds.
    """

    path: Path
    digest: str | None
    files: int

    def to_dict(self) -> dict[str, object]:
        """Return everything as JSON data."""
        return {"path": str(self.path), "digest": self.digest, "files": self.files}


def pack_model(uri: str | PathLike[str], path: str | PathLike[str], *, overwrite: bool = False) -> Packed:
    """Write the model at *uri* as the one file *path*, which appears whole or not at all.

    The same model always gives the same bytes. The file is a zip of the model's files as they are; whatever else lies
    in the directory stays behind.

    Args:
        uri: the model.
        path: the file, by custom with the suffix ``.palate``; its parent is created when missing.
        overwrite: replace the model in one file that is there, in one step.

    Raises:
        ModelNotFound: there is no model.
        ModelChanged: its files are not those that MANIFEST.json lists.
        WrongModel: it has another digest.
        SignatureMissing, SignatureInvalid: it is not signed as its store demands.
        UnsafePath: a file has a name that not every file system takes, or there are more than 10,000.
        ModelExists: the path is taken.
        SaveFailed: the disk refused.
    """

    def read(location: Location) -> Packed:
        with stage_file(check_path("path", path), overwrite=overwrite, is_model=is_archive) as staging:
            packed = pack_directory(location.path, staging.path, signature=location.signature)
            require_digest(location.uri, packed.digest, location.digest)
            _require_signature(location)
            staging.publish()
            return packed.at(staging.target)

    return read_one_model(uri, read, is_whole=lambda _: True)


def pack_directory(root: Path, file: Path, *, signature: bytes | None = None) -> Packed:
    """Write the model directory *root* as the new *file*, which is for the caller to publish."""
    manifest = read_manifest(root)
    added = {SIGNATURE_FILE: signature} if signature is not None else {}
    sha256, count = write_archive(root, file, manifest, added=added)
    digest = manifest.digest if manifest else None
    return Packed(path=file, digest=digest, sha256=sha256, size=os.lstat(file).st_size, files=count)


def unpack_model(uri: str | PathLike[str], path: str | PathLike[str], *, overwrite: bool = False) -> Unpacked:
    """Write the model at *uri*, which may be in one file or in a store, as the directory *path*.

    The directory appears whole or not at all, after every file was held against MANIFEST.json. Of an ordinary zip, one
    called ``.zip`` that Palate did not write, the one model is taken that is at its root or in a folder there.

    Args:
        uri: the model.
        path: the directory; its parent is created when missing.
        overwrite: replace the model that is there, in one step.

    Raises:
        ModelNotFound: there is no model.
        InvalidArchive, ModelChanged, InvalidModelFile: it is a file, and not a whole archive of a model.
        WrongModel: it has another digest.
        SignatureMissing, SignatureInvalid: it is not signed as its store demands.
        ModelExists: the path is taken.
        SaveFailed: the disk refused.
    """
    with stage(check_path("path", path), overwrite=overwrite) as staging:
        file, digest = local_archive(uri)
        if file is not None:
            found = (_unpack_foreign if is_foreign_zip(file) else _unpack)(file, staging.path)
            require_digest(str(uri), found.digest if found else None, digest)
        else:
            found = read_one_model(uri, lambda location: _copy(location, staging.path), is_whole=lambda _: True)
        files = len(list_files(staging.path))
        staging.publish()
    return Unpacked(path=staging.target, digest=found.digest if found else None, files=files)


def _unpack(file: Path, root: Path) -> Manifest | None:
    with open_archive(file) as archive:
        manifest = read_listing(archive)
        unpack_into(archive, root, manifest)
    return manifest


def _unpack_foreign(file: Path, root: Path) -> Manifest:
    beside = root.with_name("zip")  # in the stage, with which it goes
    beside.mkdir()
    unpack_zip(file, beside)
    return copy_model(find_only_model(beside, file), root)


def _copy(location: Location, root: Path) -> Manifest:
    remove_tree(root)  # what a first try has left, if another model took the place meanwhile
    os.mkdir(root)
    manifest = copy_model(location.path, root, signature=location.signature)
    require_digest(location.uri, manifest.digest, location.digest)
    _require_signature(location)
    return manifest


def _require_signature(location: Location) -> None:
    """Raise unless the model, whose files were just checked, is signed as its store demands."""
    if location.keys:
        signing.require_signature(location, read_manifest(location.path), signing.parse_keys(location.keys))

"""What a place that keeps models stands on: copies that are checked, writes that are all or nothing.

For packages such as ``palate.store``, which are built on the kernel and use no more of it than a stranger could.
"""

from __future__ import annotations

from palate._archive.cache import find_digest, keep_directory, keep_fetched, model_cache, stage_in_cache
from palate._archive.foreign import is_foreign_zip, unpack_zip
from palate._disk.cache_folder import check_private, user_cache
from palate._disk.durable import rename_new, sync_directory, write_new
from palate._disk.manifest import MAX_SIGNATURE_BYTES, SIGNATURE_FILE, check_manifest, read_manifest, survey
from palate._disk.manifest_document import MANIFEST_FILE, FileDigest, Manifest
from palate._disk.model_copies import copy_model
from palate._disk.paths import MODEL_FILE, list_files, read_small
from palate._disk.stages import open_stage, remove_tree, sweep_stages
from palate._disk.strict_json import parse_json

__all__ = [
    "MANIFEST_FILE",
    "MAX_SIGNATURE_BYTES",
    "MODEL_FILE",
    "SIGNATURE_FILE",
    "FileDigest",
    "Manifest",
    "check_manifest",
    "check_private",
    "copy_model",
    "find_digest",
    "is_foreign_zip",
    "keep_directory",
    "keep_fetched",
    "list_files",
    "model_cache",
    "open_stage",
    "parse_json",
    "read_manifest",
    "read_small",
    "remove_tree",
    "rename_new",
    "stage_in_cache",
    "survey",
    "sweep_stages",
    "sync_directory",
    "unpack_zip",
    "user_cache",
    "write_new",
]

"""What a place that keeps models stands on: copies that are checked, writes that are all or nothing.

For packages such as ``palate.store``, which are built on the kernel and use no more of it than a stranger could.
"""

from __future__ import annotations

from palate._archive.cache import cache_limit, find_digest, keep_directory, keep_fetched, stage_in_cache
from palate._archive.foreign import is_foreign_zip, unpack_zip
from palate._disk.cache_folder import user_folder
from palate._disk.durable import rename_new, sync_directory, write_new
from palate._disk.manifest import SIGNATURE_FILE, check_manifest, read_manifest, survey
from palate._disk.manifest_document import MANIFEST_FILE, Manifest
from palate._disk.model_copies import copy_model
from palate._disk.paths import MODEL_FILE, read_small
from palate._disk.stages import open_stage, sweep_stages
from palate._disk.strict_json import parse_json
from palate._disk.strict_yaml import read_yaml

__all__ = [
    "MANIFEST_FILE",
    "MODEL_FILE",
    "SIGNATURE_FILE",
    "Manifest",
    "cache_limit",
    "check_manifest",
    "copy_model",
    "find_digest",
    "is_foreign_zip",
    "keep_directory",
    "keep_fetched",
    "open_stage",
    "parse_json",
    "read_manifest",
    "read_small",
    "read_yaml",
    "rename_new",
    "stage_in_cache",
    "survey",
    "sweep_stages",
    "sync_directory",
    "unpack_zip",
    "user_folder",
    "write_new",
]

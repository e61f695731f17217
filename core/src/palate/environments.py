"""The environments of models: compare one with this, build it, describe it to other tools, take it elsewhere."""

from __future__ import annotations

from palate._environment_check import Difference, EnvironmentCheck, check_environment
from palate._rebuilding.bundling import Bundle, bundle_environment
from palate._rebuilding.cache import CachedEnvironment, list_environments, remove_environment
from palate._rebuilding.creation import BuiltEnvironment, create_environment
from palate._rebuilding.rendering import EXPORT_FORMATS, export_environment
from palate._rebuilding.targets import PLATFORMS

__all__ = [
    "EXPORT_FORMATS",
    "PLATFORMS",
    "BuiltEnvironment",
    "Bundle",
    "CachedEnvironment",
    "Difference",
    "EnvironmentCheck",
    "bundle_environment",
    "check_environment",
    "create_environment",
    "export_environment",
    "list_environments",
    "remove_environment",
]

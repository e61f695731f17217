"""The installed flavors, for programs and for the command line."""

from __future__ import annotations

from collections.abc import Mapping

from palate._registry import FlavorRecord, default_registry
from palate.hookspecs import SampleModel

__all__ = ["FlavorRecord", "SampleModel", "list_flavors", "sample_models"]


def list_flavors() -> list[FlavorRecord]:
    """Return every installed plugin with its state, working or broken. Activates all of them."""
    return default_registry().records()


def sample_models(flavor: str) -> Mapping[str, SampleModel]:
    """Train and return the sample models that a flavor offers, by name; empty if it offers none.

    Raises:
        FlavorNotFound, FlavorBroken, FlavorConflict: the flavor cannot be used.
    """
    return default_registry().get(flavor).sample_models()

"""What a save that was interrupted left behind."""

from __future__ import annotations

from pathlib import Path

from palate._disk.manifest import check_manifest, read_manifest

__all__ = ["saved_state"]


def saved_state(target: Path) -> str | None:
    """Return the seed of the model at *target*, after checking that it is whole; None if nothing is there."""
    if not target.exists():
        return None
    manifest = read_manifest(target)
    assert manifest is not None, "a directory without a manifest is visible"
    check_manifest(target, manifest)
    return "new" if "new" in (target / "MLmodel").read_text() else "old"

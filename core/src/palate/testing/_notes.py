"""The names under which the report of a test carries what the kit notes of it, from one process to another."""

from __future__ import annotations

__all__ = ["CHECK", "SKIPPED_BY_KIT"]

CHECK = "palate_check"
SKIPPED_BY_KIT = "palate_skipped_by_kit"

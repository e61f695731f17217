"""Flavors that break one promise each, by the check that has to fail."""

from __future__ import annotations

from kit_mutant import Mutant
from kit_mutants_host import PLACES, SAVING, SIDE_EFFECTS
from kit_mutants_model import DIRECTORY, INPUTS, ROUND_TRIP, SERVING
from kit_mutants_stranger import DAMAGE, INTEROP, PLUGIN, TRUST

__all__ = ["BY_NO_HOOK", "MUTANTS"]

MUTANTS: dict[str, Mutant] = {
    **ROUND_TRIP,
    **DIRECTORY,
    **SIDE_EFFECTS,
    **SAVING,
    **PLACES,
    **INPUTS,
    **SERVING,
    **TRUST,
    **DAMAGE,
    **PLUGIN,
    **INTEROP,
}
"""What is changed of the good flavor, ``line.py``, in the order of the checks."""

BY_NO_HOOK = {
    "test_existing_target_is_refused": "Palate refuses it before any hook is called, and users are told that it does",
}
"""Checks that no flavor can break, and why they are asked nevertheless."""

"""Errors of flavors that cannot be used; ``palate.errors`` offers them."""

from __future__ import annotations

from collections.abc import Sequence

from palate._problems import PalateError

__all__ = ["FlavorBlocked", "FlavorBroken", "FlavorConflict", "FlavorNotFound"]


class FlavorNotFound(PalateError, LookupError):
    """No installed flavor has that name."""

    def __init__(self, flavor: str, *, installed: Sequence[str], distribution: str | None = None) -> None:
        self.flavor, self.installed = flavor, tuple(installed)
        names = ", ".join(self.installed) or "none"
        unknown = "check the spelling, or install the plugin that provides it, or name its file in PALATE_PLUGINS"
        hint = f"pip install {distribution}" if distribution else unknown
        super().__init__(f"No installed flavor is called '{flavor}' (installed: {names}). Hint: {hint}.")


class FlavorConflict(PalateError, ValueError):
    """Two plugins claim the same flavor name or the same package."""

    def __init__(self, claim: str, *, distributions: Sequence[str], choices: Sequence[str], hint: str = "") -> None:
        self.claim, self.distributions = claim, tuple(distributions)
        picks = " or ".join(f"flavor='{choice}'" for choice in choices)
        way_on = hint or f"pass {picks}, or remove one of them"
        super().__init__(f"{claim} is claimed by {' and by '.join(self.distributions)}. Hint: {way_on}.")


class FlavorBlocked(PalateError, PermissionError):
    """The host's list of allowed plugins leaves out the one that provides this flavor; it was not imported."""

    def __init__(self, flavor: str, *, distribution: str, variable: str) -> None:
        self.flavor, self.distribution, self.variable = flavor, distribution, variable
        super().__init__(
            f"The flavor '{flavor}' of {distribution} was not imported: {variable} does not list {distribution}. "
            f"Hint: add {distribution} to {variable}, or unset that variable to allow every installed plugin."
        )


class FlavorBroken(PalateError, ImportError):
    """A flavor could not be activated, or does not keep its contract; the others go on working."""

    def __init__(self, flavor: str, *, distribution: str, version: str, reason: str, hint: str = "") -> None:
        self.flavor, self.distribution, self.version, self.reason = flavor, distribution, version, reason
        way_on = hint or (f"reinstall or upgrade {distribution}" if version else "correct the plugin and start again")
        super().__init__(
            f"The flavor '{flavor}' of {' '.join(filter(None, (distribution, version)))} cannot be used: {reason}. "
            f"Hint: {way_on}; 'palate flavors list' shows every plugin's state."
        )

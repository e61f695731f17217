"""Errors of the environments of models; ``palate.errors`` offers them."""

from __future__ import annotations

from collections.abc import Sequence

from palate._problems import PalateError

__all__ = ["EnvironmentFailed", "PythonNotFound"]


class EnvironmentFailed(PalateError, RuntimeError):
    """A step of making, using or removing an environment failed; *output* is what the tool that failed said last.

    *removed* says that whatever had been made before that step has been taken away again.
    """

    def __init__(self, step: str, *, output: Sequence[str], hint: str, removed: bool = False) -> None:
        self.step, self.output, self.hint, self.removed = step, tuple(output), hint, removed
        said = "".join(f"\n  - {line}" for line in self.output) or " no reason was given"
        clause = ", and nothing was left behind" if removed else ""
        super().__init__(f"Could not {step}{clause}:{said}\nHint: {hint}.")

    def after_removal(self) -> EnvironmentFailed:
        """Return the same failure, told after what had been made before it was taken away."""
        return EnvironmentFailed(self.step, output=self.output, hint=self.hint, removed=True)


class PythonNotFound(PalateError, LookupError):
    """No Python of the minor version that is asked for is installed here, or none that Palate runs on is."""

    def __init__(self, wanted: str, *, found: Sequence[str], needed: str = "") -> None:
        self.wanted, self.found = wanted, tuple(found)
        minor = ".".join(wanted.split(".")[:2])
        if needed:
            reason = f"Palate runs on Python {needed}, and Python {wanted} is asked for"
            hint = "python='3.11', or another that is installed, builds with that instead (CLI: --python 3.11)"
        else:
            reason = f"Python {minor} is asked for and was not found"
            hint = f"uv python install {minor}; or pyenv install {minor}; or the system's package manager; or name an "
            hint += "interpreter, or another version, with python= (CLI: --python)"
        super().__init__(f"{reason} (found: {', '.join(self.found) or 'none'}). Hint: {hint}.")

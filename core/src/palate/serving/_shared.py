"""What the workers of a server have in common: made once, before the first of them is forked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from palate.serving._contract import ModelContract
from palate.serving._watching.log_writer import LogWriter
from palate.serving._watching.metrics import Metrics
from palate.serving.settings import ServingSettings

__all__ = ["Shared"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """The numbers that all workers add to, and the lock that keeps the lines of their logs apart."""

    metrics: Metrics
    writer: LogWriter

    @classmethod
    def of(cls, contracts: Sequence[ModelContract], settings: ServingSettings) -> Shared:
        """Return it for a server of these models."""
        known = [(contract.name, contract.version) for contract in contracts]
        metrics = Metrics(models=known, workers=settings.workers, protocols=settings.protocols)
        return cls(metrics=metrics, writer=LogWriter())

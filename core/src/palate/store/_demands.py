"""What a store demands, and what is said for a version of which a gate is demanded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from palate.errors import GateDemanded, InvalidOption
from palate.store._documents import is_digest
from palate.store._names import check_alias_of

__all__ = ["Demands", "GateRecord", "checked_gates", "checked_record"]

_DIGEST_HINT = "it is a SHA-256 in hex, such as the digest of a palate.evaluation.Gate"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRecord:
    """That a model has passed a gate, as whoever ran the gate says.

    Attributes:
        gate: the digest of the gate.
        model: the identity of the model.
    """

    gate: str
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Demands:
    """What a store demands.

    Attributes:
        keys: public keys (PEM); if there are any, every version must be signed with one of them.
        gates: the digest of the gate that must be passed before an alias moves, by the alias; of one model alone by
            ``iris@champion``.
    """

    keys: tuple[str, ...] = ()
    gates: Mapping[str, str] = field(default_factory=dict)

    def gate_of(self, name: str, alias: str) -> str | None:
        """Return the digest of the gate that an alias of a model moves through; None where none is demanded."""
        return self.gates.get(f"{name}@{alias}", self.gates.get(alias))

    def require_gate(self, name: str, alias: str, digest: str, passed: GateRecord | None) -> None:
        """Raise unless the model of a *digest* has passed the gate, if one is demanded of an alias.

        Raises:
            GateDemanded: it has not.
        """
        gate = self.gate_of(name, alias)
        if gate is not None and passed != GateRecord(gate=gate, model=digest):
            raise GateDemanded(f"{name}@{alias}", gate=gate, given=passed.gate if passed else None)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON data."""
        return {"keys": list(self.keys), "gates": dict(self.gates)}


def checked_gates(gates: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return gates by alias, as they are to be demanded, if they can be.

    Raises:
        InvalidOption: something is no alias, or no digest.
    """
    if not isinstance(gates, Mapping):
        hint = "give the digest of a gate by each alias, or None"
        raise InvalidOption("gates", reason=f"it is {type(gates).__name__}", hint=hint)
    for alias, digest in gates.items():
        check_alias_of(alias)
        if digest is not None and not is_digest(digest):
            raise InvalidOption("gates", reason=f"{digest!r:.100} is no digest of a gate", hint=_DIGEST_HINT)
    return dict(gates)


def checked_record(passed: object) -> GateRecord | None:
    """Return what is said of a gate that was passed, if it can be true.

    Raises:
        InvalidOption: it is no record, or its digests are none.
    """
    if passed is None:
        return None
    if not isinstance(passed, GateRecord):
        raise InvalidOption("passed", reason=f"it is {type(passed).__name__}", hint="give a palate.store.GateRecord")
    for digest in (passed.gate, passed.model):
        if not is_digest(digest):
            raise InvalidOption("passed", reason=f"{digest!r:.100} is no digest", hint=_DIGEST_HINT)
    return passed

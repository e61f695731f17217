"""How an alias moves: what is looked at before, and that no version is deleted at the same time."""

from __future__ import annotations

from types import EllipsisType

from palate.errors import BreakingChange, InvalidOption
from palate.model_diff import compare_calls
from palate.store._aliases import Aliases
from palate.store._deletions import Deletions
from palate.store._demands import GateRecord
from palate.store._documents import AliasMove
from palate.store._locating import locate_version
from palate.store._place import Place
from palate.store._policy import read_demands
from palate.store._versions import Versions

__all__ = ["move_alias"]


def move_alias(
    place: Place,
    name: str,
    alias: str,
    number: int,
    *,
    by: str,
    reason: str | None,
    expected: int | EllipsisType | None,
    allow_breaking: bool,
    passed: GateRecord | None,
) -> AliasMove:
    """Let an alias lead to a version, all of whose arguments were checked; return the move.

    Raises:
        GateDemanded: the store demands a gate that *passed* does not speak of.
        AliasMoved: it does not lead where it is expected to.
        BreakingChange: the version would break its callers.
    """

    def may_move(old: int, new: int) -> None:
        if not allow_breaking:
            _refuse_breaking(place, name, alias, old, new)

    if place.is_local:
        locate_version(place, name, number, uri=f"{name}/{number}")  # its files are there
    aliases = Aliases(place, name)
    while True:
        digest = Versions(place, name).require(number).digest
        read_demands(place).require_gate(name, alias, digest, passed)
        if passed is not None and passed.model != digest:
            hint = "run the gate on the version that the alias shall lead to"
            raise InvalidOption("passed", reason=f"it is about another model than {name}/{number}", hint=hint)
        move = aliases.move(
            alias,
            number,
            digest,
            by=by,
            reason=reason,
            gate=passed.gate if passed else None,
            expected=expected,
            may_move=may_move,
        )
        if Deletions(place, name).withdraw(number):
            return move
        aliases.take_back(alias, by=by)  # and if it was deleted in the meantime, say so


def _refuse_breaking(place: Place, name: str, alias: str, old: int, new: int) -> None:
    found = [locate_version(place, name, number, uri=f"{name}/{number}") for number in (old, new)]
    if breaks := [str(change) for change in compare_calls(*found) if change.breaks]:
        raise BreakingChange(f"{name}@{alias}", old=old, new=new, changes=breaks)

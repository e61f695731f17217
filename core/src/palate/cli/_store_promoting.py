"""The gate of ``palate store promote``: a version is evaluated before an alias moves to it.

Imported when a gate is given, for evaluation brings more along than the other commands of the store need.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import EllipsisType

import click

from palate.cli._ending import ending_orderly
from palate.cli._evaluate_output import echo_broken, echo_gate
from palate.cli._output import echo_json, model_speaks_aside, one_line, printable
from palate.errors import AliasMoved, GateDemanded, InvalidOption, VersionNotFound
from palate.evaluation import Gate, GateResult, read_gate, run_gate
from palate.locations import shown_uri
from palate.store import GateRecord, Store, Version

__all__ = ["Promotion", "judge_promotion"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """A move of an alias that a gate has let pass.

    Attributes:
        expected: the version that the alias led to when the version was judged; None where there was none.
        told: what its history says of the gate.
        record: that the version has passed it.
        judged: what the gate said.
    """

    expected: int | None
    told: str
    record: GateRecord
    judged: GateResult


def judge_promotion(
    store: Store,
    version: Version,
    alias: str,
    gate_file: str,
    *,
    expected: int | EllipsisType | None,
    data: Sequence[str],
    target: Sequence[str],
    trust: bool,
    isolate: bool,
    as_json: bool,
) -> Promotion:
    """Hold a version against a gate; exit with 1 where it does not pass.

    The baseline is the one that the gate names, else the version that the alias leads to now, by its number: what is
    compared is what is replaced, though somebody may move the alias meanwhile.

    Raises:
        GateDemanded: the store demands another gate of the alias.
        AliasMoved: the alias does not lead where it is *expected* to.
    """
    gate = read_gate(gate_file)
    _require_demanded(store.demands().gate_of(version.name, alias), f"{version.name}@{alias}", gate, data, target)
    now = store.model(version.name).aliases.get(alias)
    if expected is not ... and now != expected:
        raise AliasMoved(f"{version.name}@{alias}", expected=expected, found=now)
    has_own = gate.baseline is None and gate.needs_baseline and now is not None
    with ending_orderly(), model_speaks_aside():
        judged = run_gate(
            gate,
            version.uri,
            baseline_uri=f"models:/{version.name}/{now}" if has_own else None,
            data=list(data) or None,
            target=target,
            allow_missing_baseline=now is None and not _has_led(store, version.name, alias),
            trust=trust,
            isolate=isolate,
        )
    if not as_json:
        echo_gate(judged)
    if not judged.passed:
        if as_json:
            echo_json({"alias": f"{version.name}@{alias}", "gate": judged.to_dict()})
        echo_broken(judged)
        click.echo(printable(f"palate: '{version.name}@{alias}' was not moved"), err=True)
        click.get_current_context().exit(1)
    record = GateRecord(gate=gate.digest, model=version.digest)
    return Promotion(expected=now, told=_told(judged), record=record, judged=judged)


def _require_demanded(demanded: str | None, alias: str, gate: Gate, data: Sequence[str], target: Sequence[str]) -> None:
    """Raise unless a gate is the one that is demanded, on the rows that it names itself."""
    if demanded is None:
        return
    if gate.digest != demanded:
        raise GateDemanded(alias, gate=demanded, given=gate.digest)
    for option, given, own in (("--data", data, gate.data), ("--target", target, gate.target)):
        if given and own:
            reason = f"the store demands this gate of '{alias}', and it names its own"
            raise InvalidOption(option, reason=reason, hint=f"leave {option} out")


def _has_led(store: Store, name: str, alias: str) -> bool:
    """Whether an alias ever led to a version: then a first one has been, though it may lead nowhere now."""
    try:
        store.history(name, alias)
    except VersionNotFound:
        return False
    return True


def _told(judged: GateResult) -> str:
    kept = sum(one.status == "passed" for one in judged.judgements)
    skipped = f", {len(judged.skipped)} skipped without a baseline" if judged.skipped else ""
    against = f", against {shown_uri(judged.baseline.uri)}" if judged.baseline is not None else ""
    checks = f"{kept} {'check' if kept == 1 else 'checks'} kept{skipped}"
    return one_line(f"passed the gate sha256:{judged.gate.digest}: {checks}, on {judged.candidate.data}{against}")

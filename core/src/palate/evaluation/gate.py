"""Gates: rules that a model must keep before it may be released."""

from __future__ import annotations

from palate.evaluation._gate_file import Gate, InvalidGate, make_gate, read_gate
from palate.evaluation._gate_judging import GateResult, Judgement, check_gate
from palate.evaluation._gate_rules import Limit, Rule, Scope

__all__ = [
    "Gate",
    "GateResult",
    "InvalidGate",
    "Judgement",
    "Limit",
    "Rule",
    "Scope",
    "check_gate",
    "make_gate",
    "read_gate",
]

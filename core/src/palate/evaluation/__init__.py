"""What a model is worth: metrics, comparison, reports and gates."""

from palate.evaluation._comparing import compare_models
from palate.evaluation._evaluating import evaluate_model
from palate.evaluation._gate_running import run_gate
from palate.evaluation._report import write_json, write_report
from palate.evaluation.gate import Gate, GateResult, InvalidGate, Judgement, check_gate, make_gate, read_gate
from palate.evaluation.results import (
    Calibration,
    Comparison,
    Confusion,
    Curve,
    Difference,
    Evaluation,
    Importance,
    Label,
    Latency,
    Metric,
    Pictures,
    Residuals,
    Slice,
    Task,
)

__all__ = [
    "Calibration",
    "Comparison",
    "Confusion",
    "Curve",
    "Difference",
    "Evaluation",
    "Gate",
    "GateResult",
    "Importance",
    "InvalidGate",
    "Judgement",
    "Label",
    "Latency",
    "Metric",
    "Pictures",
    "Residuals",
    "Slice",
    "Task",
    "check_gate",
    "compare_models",
    "evaluate_model",
    "make_gate",
    "read_gate",
    "run_gate",
    "write_json",
    "write_report",
]

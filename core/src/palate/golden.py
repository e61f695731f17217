"""Golden predictions: what a model predicted when it was saved, kept beside it and replayed on demand."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import UnionType
from typing import Any

from palate._disk.paths import confine, read_small
from palate._plugin_failures import describe_failure
from palate._stored.differences import differences
from palate._stored.examples import read_example
from palate._stored.snapshots import snapshot, tolerance_of
from palate.errors import InvalidExample, InvalidModelFile, PalateError, PredictionChanged, Problem
from palate.model_file import ModelFile
from palate.pyfunc import PyFuncModel

__all__ = ["Golden", "record_golden", "replay_golden", "run_example"]

PREDICTIONS_FILE = "golden_predictions.json"
PREDICTIONS_LIMIT = 256 << 20

Example = tuple[object, Mapping[str, Any] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """Where the golden predictions are and how close a replay must come, or why there are none."""

    predictions: str | None = None
    rtol: float = 0.0
    atol: float = 0.0
    skipped: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return what MLmodel records."""
        return {"skipped": self.skipped} if self.skipped else {k: v for k, v in asdict(self).items() if k != "skipped"}

    @classmethod
    def of(cls, model_file: ModelFile) -> Golden | None:
        """Return what a model's MLmodel records, or None."""
        recorded = model_file.palate.get("golden")
        if recorded is None:
            return None
        kinds: dict[str, type | UnionType] = {
            "predictions": str,
            "skipped": str,
            "rtol": float | int,
            "atol": float | int,
        }
        problems = [
            Problem(("palate", "golden", str(key)), "wrong_type", "is not what Palate records")
            for key, value in recorded.items()
            if key not in kinds or not isinstance(value, kinds[key])
        ]
        if problems:
            raise InvalidModelFile(problems)
        return cls(**recorded)


def run_example(model: PyFuncModel, example: Example | None) -> Any:
    """Predict on a stored example, telling the user when it is the example that does not work."""
    if example is None:
        raise InvalidExample([Problem((), "wrong_value", "it cannot be read back from its file")])
    data, params = example
    try:
        return model.predict(data, params)
    except PalateError:
        raise
    except Exception as exc:
        message = f"the model, given it as {type(data).__name__}, failed ({describe_failure(exc)})"
        raise InvalidExample([Problem((), "wrong_value", message)]) from exc


def record_golden(
    root: Path, reloaded: PyFuncModel, original: PyFuncModel, read: Callable[[], Example | None], *, uri: str
) -> tuple[Any, Golden]:
    """Predict with both models on the example, compare, and store the predictions under *root*.

    Args:
        root: the model directory.
        reloaded: the model as it was loaded back.
        original: the model that is being saved.
        read: reads the stored example; anew for each prediction, because a model may change what it is given.
        uri: the model's name in errors.

    Returns:
        The reloaded model's predictions, and what is recorded of them.

    Raises:
        PredictionChanged: the reloaded model predicts something else.
    """
    predictions = run_example(reloaded, read())
    try:
        document = snapshot(predictions)
    except InvalidExample as exc:
        return predictions, Golden(skipped="; ".join(problem.message for problem in exc.problems))
    rtol, atol = tolerance_of(document)

    def compare(model: PyFuncModel) -> list[str] | None:
        predicted = run_example(model, read())
        return None if predicted is NotImplemented else differences(snapshot(predicted), document, rtol=rtol, atol=atol)

    found = compare(original)
    # A model that can be asked for predictions only once it is loaded is held against itself.
    if (found or found is None) and compare(reloaded):
        return predictions, Golden(skipped="the model's predictions vary from call to call")
    if found:
        raise PredictionChanged(uri, differences=found)
    text = json.dumps(document, allow_nan=False)
    if len(text) > PREDICTIONS_LIMIT:
        return predictions, Golden(skipped=f"they are larger than {PREDICTIONS_LIMIT >> 20} MiB")
    (root / PREDICTIONS_FILE).write_text(text, encoding="utf-8")
    return predictions, Golden(predictions=PREDICTIONS_FILE, rtol=rtol, atol=atol)


def replay_golden(model: PyFuncModel) -> list[str] | None:
    """Predict on the stored example again; return how the predictions differ, or None if none are stored."""
    golden = Golden.of(model.metadata)
    info = model.metadata.saved_input_example_info
    if golden is None or golden.predictions is None or info is None:
        return None
    stored = read_small(confine(model.path, golden.predictions, field="palate.golden"), PREDICTIONS_LIMIT)
    inputs = model.signature.inputs if model.signature else None
    given = snapshot(run_example(model, read_example(model.path, info, inputs)))
    try:
        return differences(json.loads(stored), given, rtol=golden.rtol, atol=golden.atol)
    except (ValueError, RecursionError) as exc:
        raise InvalidModelFile(
            [Problem((), "wrong_value", f"cannot be read ({exc})")], source=golden.predictions
        ) from exc

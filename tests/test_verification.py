"""verify: files, environment, golden predictions."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.linear_model import LinearRegression

import palate


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A sealed model with golden predictions."""
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0]})
    palate.save_model(LinearRegression().fit(frame, [1, 2, 3]), tmp_path / "m", input_example=frame)
    return tmp_path / "m"


def states(path: Path, **options: bool) -> dict[str, str]:
    """Return each check's status."""
    return {check.name: check.status for check in palate.verify_model(path, **options).checks}


def test_a_fresh_model_passes_every_check(saved) -> None:
    """Files, environment and predictions are as they were a moment ago."""
    assert states(saved) == {"files": "ok", "environment": "ok", "predictions": "ok"}
    assert palate.verify_model(saved).ok


def test_a_model_that_predicts_otherwise_fails(saved) -> None:
    """Accepting a changed file does not make its predictions right."""
    golden = saved / "golden_predictions.json"
    before = golden.read_text()
    changed = re.sub(r"\d+\.\d+", "77.5", before, count=1)
    assert changed != before
    golden.write_text(changed)
    assert states(saved) == {"files": "failed"}
    palate.accept_changes(saved)
    (check,) = [check for check in palate.verify_model(saved).checks if check.name == "predictions"]
    assert check.status == "failed"
    assert "was 77.5" in check.detail
    assert check.detail == "; ".join(check.differences)
    assert not palate.verify_model(saved).ok


def test_malformed_golden_predictions_fail_the_check(saved) -> None:
    """The file is named as the cause."""
    (saved / "golden_predictions.json").write_text('{"kind": "array"}')
    palate.accept_changes(saved)
    check = palate.verify_model(saved).checks[-1]
    assert check.status == "failed"
    assert "golden_predictions.json is not valid" in check.detail
    assert check.differences == ()


def test_other_versions_are_a_note_that_names_them(saved) -> None:
    """Whether a difference matters is what the replay decides."""
    (saved / "requirements.txt").write_text("scikit-learn==0.1\nno-such-distribution==1")
    palate.accept_changes(saved)
    result = palate.verify_model(saved)
    check = next(check for check in result.checks if check.name == "environment")
    assert check.status == "note"
    assert "0.1" in check.detail
    assert "no-such-distribution" in check.detail
    assert result.ok


def test_code_is_not_run_for_a_check_without_trust(tmp_path) -> None:
    """A model that needs trust fails the replay without it: an unchecked model has not passed."""
    data = pd.DataFrame({"x": [1.0]})
    palate.save_model(lambda model_input: model_input["x"] * 2, tmp_path / "m", input_example=data)
    assert states(tmp_path / "m")["predictions"] == "failed"
    assert states(tmp_path / "m", trust=True)["predictions"] == "ok"


def test_a_model_without_golden_predictions_is_only_loaded(tmp_path) -> None:
    """The check says that there was nothing to replay."""
    palate.save_model(LinearRegression().fit(np.eye(2), [1, 2]), tmp_path / "m")
    assert states(tmp_path / "m")["predictions"] == "skipped"


def test_an_mlflow_directory_has_no_digest_to_check() -> None:
    """That is told as a note."""
    path = Path(__file__).parent / "data" / "mlflow_models" / "sk_default_skops_inferredreqs" / "model"
    assert states(path)["files"] == "note"


@pytest.mark.parametrize("recorded", ["rtol: wide", "predictions: [a]", "unheard_of: 1"])
def test_golden_facts_of_another_kind_fail_the_check(saved, recorded: str) -> None:
    """What a stranger wrote under palate.golden is judged before it is used, and named."""
    document = yaml.safe_load((saved / "MLmodel").read_text())
    document["palate"]["golden"] |= yaml.safe_load(recorded)
    (saved / "MLmodel").write_text(yaml.safe_dump(document))
    palate.accept_changes(saved)
    check = next(check for check in palate.verify_model(saved).checks if check.name == "predictions")
    assert (check.status, f"palate.golden.{recorded.partition(':')[0]}" in check.detail) == ("failed", True)


def test_a_model_that_needs_an_option_is_skipped_or_replayed_with_it(tmp_path: Path) -> None:
    """Weights have no module: without one the replay is skipped and says so, with one it is made."""
    torch = pytest.importorskip("torch")

    def make() -> object:
        return torch.nn.Linear(3, 2)

    example = np.ones((4, 3), "float32")
    palate.save_model(make(), tmp_path / "m", format="safetensors", input_example=example, module=make)
    found = {check.name: check for check in palate.verify_model(tmp_path / "m").checks}
    assert found["predictions"].status == "skipped"
    assert "module=" in found["predictions"].detail
    with_module = palate.verify_model(tmp_path / "m", module=make)
    assert {check.status for check in with_module.checks} == {"ok"}
    with pytest.raises(palate.errors.InvalidOption):
        palate.verify_model(tmp_path / "m", modul=make)

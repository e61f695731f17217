"""Execution providers and session options, of the caller and of the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import palate
from palate.errors import InvalidOption, PalateWarning, UnsafeModel


def _section(path: Path) -> Any:
    return yaml.safe_load((path / "MLmodel").read_text(encoding="utf-8"))["flavors"]["onnx"]


def _ask_for(path: Path, as_stranger: Callable[..., Path], model: Any, **asked: Any) -> Path:
    """Make the file ask for something, as a stranger would."""
    as_stranger(path, model)
    document = yaml.safe_load((path / "MLmodel").read_text(encoding="utf-8"))
    document["flavors"]["onnx"].update(asked)
    (path / "MLmodel").write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def test_options_are_kept_under_mlflows_keys(tmp_path: Path, sum_model: Any, session_of: Callable[..., Any]) -> None:
    """What is asked for at save stands in MLmodel as stock MLflow writes it, and holds for loaded models."""
    options = {"intra_op_num_threads": 1, "execution_mode": "parallel", "graph_optimization_level": 1}
    providers = [("CPUExecutionProvider", {"use_arena": "0"})]
    palate.save_model(sum_model, tmp_path / "m", onnx_session_options=options, onnx_execution_providers=providers)
    assert _section(tmp_path / "m")["onnx_session_options"] == options
    assert _section(tmp_path / "m")["providers"] == [["CPUExecutionProvider", {"use_arena": "0"}]]
    session = session_of(tmp_path / "m")
    assert session.get_session_options().intra_op_num_threads == 1
    assert session.get_session_options().execution_mode.name == "ORT_PARALLEL"


def test_caller_of_load_overrides_the_file(tmp_path: Path, sum_model: Any, session_of: Callable[..., Any]) -> None:
    """Options at load take the place of the file's."""
    palate.save_model(sum_model, tmp_path / "m", onnx_session_options={"intra_op_num_threads": 1})
    session = session_of(tmp_path / "m", onnx_session_options={"intra_op_num_threads": 2})
    assert session.get_session_options().intra_op_num_threads == 2


def test_default_is_mlflows(tmp_path: Path, sum_model: Any) -> None:
    """Without options the section is what stock MLflow writes: the GPU where there is one."""
    palate.save_model(sum_model, tmp_path / "m")
    section = _section(tmp_path / "m")
    assert section["providers"] == ["CUDAExecutionProvider", "CPUExecutionProvider"]
    assert section.keys() == {"onnx_version", "data", "providers", "onnx_session_options", "code"}


@pytest.mark.parametrize(
    "options",
    [
        {"onnx_execution_providers": "CPUExecutionProvider"},
        {"onnx_execution_providers": []},
        {"onnx_execution_providers": [1]},
        {"onnx_execution_providers": [("CPUExecutionProvider", {"a": []})]},
        {"onnx_session_options": [1]},
        {"onnx_session_options": {"threads": 1}},
        {"onnx_session_options": {"intra_op_num_threads": -1}},
        {"onnx_session_options": {"intra_op_num_threads": True}},
        {"onnx_session_options": {"execution_mode": "fast"}},
        {"onnx_session_options": {"graph_optimization_level": 3}},
        {"onnx_session_options": {"extra_session_config": {"a": 1}}},
        {"save_as_external_data": "yes"},
    ],
)
def test_wrong_options_are_named(tmp_path: Path, sum_model: Any, options: Any) -> None:
    """A malformed option is refused by its name, and nothing is saved."""
    with pytest.raises(InvalidOption) as caught:
        palate.save_model(sum_model, tmp_path / "m", **options)
    assert caught.value.name in options
    assert not (tmp_path / "m").exists()


def test_providers_that_are_not_there(tmp_path: Path, sum_model: Any) -> None:
    """A caller who names providers gets one of them or an error; a file that does gets the CPU, with a warning."""
    palate.save_model(sum_model, tmp_path / "m", onnx_execution_providers=["ROCMExecutionProvider"])
    with pytest.warns(PalateWarning, match="ROCMExecutionProvider"):
        palate.load_model(tmp_path / "m")
    with pytest.raises(InvalidOption, match="CPUExecutionProvider"):
        palate.load_model(tmp_path / "m", onnx_execution_providers=["ROCMExecutionProvider"])


@pytest.mark.parametrize(
    "asked",
    [
        {"providers": [["QNNExecutionProvider", {"backend_path": "/tmp/evil.so"}]]},
        {"providers": ["AzureExecutionProvider"]},
        {"providers": [["CPUExecutionProvider", {"library": "evil.so"}]]},
        {"providers": [["CPUExecutionProvider"]]},
        {"providers": 7},
        {"onnx_session_options": {"extra_session_config": {"ep.context_file_path": "/etc/passwd"}}},
        {"onnx_session_options": {"optimized_model_filepath": "/tmp/out"}},
        {"onnx_session_options": {"intra_op_num_threads": 10**9}},
        {"onnx_session_options": "fast"},
    ],
)
def test_a_file_may_not_ask_for_more(
    tmp_path: Path, sum_model: Any, as_stranger: Callable[..., Path], asked: Any
) -> None:
    """What names a file, a library or an address, or is malformed, reaches onnxruntime from the caller only."""
    palate.save_model(sum_model, tmp_path / "m")
    path = _ask_for(tmp_path / "m", as_stranger, sum_model, **asked)
    with pytest.raises(UnsafeModel):
        palate.load_model(path)


def test_mlflows_leniency_is_kept(
    tmp_path: Path, sum_model: Any, as_stranger: Callable[..., Path], session_of: Callable[..., Any]
) -> None:
    """One provider as text, and none at all, are read as stock MLflow reads them."""
    palate.save_model(sum_model, tmp_path / "m")
    for given in ("CPUExecutionProvider", None, []):
        path = _ask_for(tmp_path / "m", as_stranger, sum_model, providers=given)
        assert session_of(path).get_providers() == ["CPUExecutionProvider"]

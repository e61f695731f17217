"""Stock MLflow reads the input examples that Palate writes, and Palate those that stock MLflow writes."""

from __future__ import annotations

import json
import pickle
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from palate._inference.inference import infer_params, infer_schema
from palate._stored.differences import differences
from palate._stored.examples import read_example, split_example, write_example
from palate._stored.snapshots import snapshot
from palate.schema import Schema
from palate.signature import Signature

pytestmark = pytest.mark.mlflow

pytest.importorskip("pandas")
pytest.importorskip("scipy")

NAMES = "import datetime as dt\nimport numpy as np, pandas as pd, scipy.sparse as sp\n"
# For every case MLflow reads our directory, and writes and reads one of its own.
RUNNER = (
    NAMES
    + """
import json, pickle, sys, warnings, logging
from pathlib import Path
warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)
from mlflow.models import Model
from mlflow.models.utils import _Example
answers = []
for text, ours, theirs in json.load(sys.stdin):
    model = Model.load(ours)
    read = (model.load_input_example(ours), model.load_input_example_params(ours))
    try:
        example = _Example(eval(text))
        example.save(theirs)
        info = example.info
    except Exception as exc:
        info = None
    answers.append((read, info))
pickle.dump(answers, sys.stdout.buffer)
"""
)
FRAME = """pd.DataFrame({
    'i': np.array([1, -2], dtype='int32'), 'l': [1, 2**62], 'f': np.array([0.1, np.nan], dtype='float32'),
    'd': [0.1, None], 's': ['x', 'y'], 'b': [True, False], 'x': [b'x' * 100, b''],
    't': pd.to_datetime(['2024-01-01', None]), 'a': [[1.5, np.nan], []], 'c': pd.Categorical(['u', 'v']),
    'z': pd.to_datetime(['2024-01-01', '2024-07-01'], utc=True).tz_convert('Europe/Paris'),
})"""
CASES = [
    FRAME,
    "pd.DataFrame({'s': ['x', None], 'n': pd.array([0.5, None], dtype='Float64')})",
    "pd.DataFrame({'t': pd.to_datetime(['2024-01-01', '2024-01-01T00:00:00.5'], format='ISO8601')})",
    "pd.DataFrame({'t': pd.to_datetime(['2024-01-01', '2024-01-01T00:00:00.000000001'], format='ISO8601')})",
    "pd.DataFrame({'o': [{'a': 1}, {'a': 2, 'b': 'x'}]})",
    "pd.DataFrame(np.eye(2), columns=['a', 'b'], index=[5, 6])",
    "pd.DataFrame(np.eye(2))",
    "pd.DataFrame([[1, 'a']], columns=[5, 'x'])",
    "pd.DataFrame({'i': np.array([1], dtype='int8'), 'u': np.array([1], dtype='uint16')})",
    *(
        f"np.array([[0, 1], [1, 0]], dtype='{dtype}')"
        for dtype in "bool int8 int64 uint64 float16 float32 float64 object".split()
    ),
    "np.array([[1.0, np.nan]])",
    "np.array(['a', 'bc'])",
    "np.array(['2024-01-01', 'NaT'], dtype='datetime64[ns]')",
    "np.array(['2024-01-01', 'NaT'], dtype='datetime64[s]')",
    "np.array(['2024-01-01'], dtype='datetime64[D]')",
    "{'a': np.eye(2, dtype='f4'), 'b': np.array([1, 2])}",
    "{'a': 1, 'b': [1.5, 2.5], 'c': 'x', 'd': {'e': True}}",
    "[{'a': 1}, {'a': 2, 'b': 'x'}]",
    "['a', 'b']",
    "[[1, 2], [3]]",
    "'text'",
    "5",
    "1.5",
    "True",
    "{'messages': [{'role': 'user', 'content': 'hi'}]}",
    "sp.csr_matrix(np.eye(3)[:2])",
    "sp.csc_matrix(np.eye(3, dtype='f4'))",
    "(np.eye(2), {'k': 1, 'l': ['x'], 'f': 0.5})",
    "(pd.DataFrame({'a': [1.5]}), {'k': {'deep': [1]}})",
    "({'prompt': 'x'}, {'temperature': 0.5})",
    "(sp.csr_matrix(np.eye(2)), {'k': True})",
]
# MLflow hands over what these hold as the text that stands in the file.
TEXT_IN_MLFLOW = [
    "np.array([b'a', b'bc'])",
    "b'x' * 100",
    "dt.datetime(2024, 1, 1, 2)",
    "[dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 1, 0, 0, 0, 5)]",
    "[{'a': b'x'}]",
    "[1.5, None]",
]


@dataclass(frozen=True)
class Case:
    """One example with both directories, and what MLflow read from ours."""

    data: Any
    params: Any
    schema: Schema
    ours: Path
    theirs: Path
    read: tuple[Any, Any]
    info: dict[str, str] | None


def evaluate(text: str) -> Any:
    """Build the value that an expression names."""
    names: dict[str, object] = {}
    exec(NAMES, names)
    return eval(text, names)


def write_directory(example: Any, directory: Path) -> tuple[Any, Any, Schema]:
    """Write an example with the MLmodel that belongs to it."""
    directory.mkdir()
    data, params = split_example(example)
    schema = infer_schema(data)
    signature = Signature(inputs=schema, params=infer_params(params or {}))
    info = dict(write_example(example, directory).info)
    document = {"flavors": {}, "signature": signature.to_dict(), "saved_input_example_info": info}
    (directory / "MLmodel").write_text(yaml.safe_dump(document))
    return data, params, schema


def info_of(directory: Path) -> dict[str, str]:
    """Return what MLmodel says of the example."""
    return yaml.safe_load((directory / "MLmodel").read_text())["saved_input_example_info"]


def without(frame: Any, *, categories: bool) -> Any:
    """Return a frame without its row index, and without *categories* where these are not kept either."""
    if not hasattr(frame, "columns"):
        return frame
    frame = frame.reset_index(drop=True)
    return frame.assign(c=frame["c"].tolist()) if categories and "c" in frame else frame


@pytest.fixture(scope="module")
def cases(mlflow_python: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Case]:
    """Write all examples, and let stock MLflow read ours and write its own, once for all tests."""
    root = tmp_path_factory.mktemp("examples")
    texts = [*CASES, *TEXT_IN_MLFLOW]
    paths = [(root / f"ours-{position}", root / f"theirs-{position}") for position in range(len(texts))]
    written = []
    for text, (ours, theirs) in zip(texts, paths, strict=True):
        theirs.mkdir()
        written.append(write_directory(evaluate(text), ours))
    wanted = json.dumps([(text, str(ours), str(theirs)) for text, (ours, theirs) in zip(texts, paths, strict=True)])
    ran = subprocess.run(
        [mlflow_python, "-c", RUNNER], input=wanted.encode(), stdout=subprocess.PIPE, check=True, timeout=300
    )
    answers = pickle.loads(ran.stdout)
    rows = zip(texts, paths, written, answers, strict=True)
    return {text: Case(*facts, *both, *answer) for text, both, facts, answer in rows}


@pytest.mark.parametrize("text", CASES)
def test_mlflow_reads_our_examples(text: str, cases: dict[str, Case]) -> None:
    """``load_input_example`` of stock MLflow returns from our files what was given."""
    case = cases[text]
    data, params = case.read
    assert differences(snapshot(without(case.data, categories=True)), snapshot(data), rtol=0, atol=0) == []
    assert params == case.params


@pytest.mark.parametrize("text", TEXT_IN_MLFLOW)
def test_mlflow_reads_our_examples_as_text(text: str, cases: dict[str, Case]) -> None:
    """Where MLflow does not decode, it reads our files all the same, and ours come back decoded."""
    case = cases[text]
    assert case.read[0] is not None
    back, _ = read_example(
        case.ours, yaml.safe_load((case.ours / "MLmodel").read_text())["saved_input_example_info"], case.schema
    )
    expected = [1.5, float("nan")] if text == "[1.5, None]" else case.data
    assert differences(snapshot(expected), snapshot(back), rtol=0, atol=0) == []


@pytest.mark.parametrize("text", [*CASES, *TEXT_IN_MLFLOW])
def test_we_read_mlflow_examples(text: str, cases: dict[str, Case]) -> None:
    """From the files that stock MLflow writes for the same data, we read what was given."""
    case = cases[text]
    assert case.info is not None
    data, params = read_example(case.theirs, case.info, case.schema)
    expected = [1.5, float("nan")] if text == "[1.5, None]" else without(case.data, categories=False)
    assert differences(snapshot(expected), snapshot(data), rtol=0, atol=0) == []
    assert params == case.params


@pytest.mark.parametrize("text", CASES)
def test_our_files_are_those_of_mlflow(text: str, cases: dict[str, Case]) -> None:
    """Our info says what MLflow's says, and our files hold the same JSON, apart from gaps and times."""
    case = cases[text]
    assert info_of(case.ours) == case.info
    if "to_datetime" not in text:
        for name in ("input_example.json", "serving_input_example.json"):
            mine, theirs = ((side / name).read_text() for side in (case.ours, case.theirs))
            assert json.loads(mine) == json.loads(theirs, parse_constant=lambda _: None)

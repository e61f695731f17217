"""What stock MLflow infers, Palate infers in the same words; the exceptions are named."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from palate._inference.inference import infer_params, infer_schema
from palate._schema_json import dump_params, dump_schema, parse_schema
from palate.errors import InvalidSignature

pytestmark = pytest.mark.mlflow

pytest.importorskip("pandas")
pytest.importorskip("scipy")

NAMES = "import datetime as dt\nimport numpy as np, pandas as pd, scipy.sparse as sp\nfrom decimal import Decimal\n"
RUNNER = (
    NAMES
    + """
import json, sys, warnings, logging
warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)
from mlflow.types.schema import Schema
from mlflow.types.utils import _infer_schema, _infer_param_schema
cases, texts = json.load(sys.stdin)
answers = []
for kind, text in cases:
    try:
        infer = _infer_schema if kind == "schema" else _infer_param_schema
        answers.append(infer(eval(text)).to_json())
    except Exception as exc:
        answers.append(None)
json.dump([answers, [Schema.from_json(text).to_json() for text in texts]], sys.stdout)
"""
)

DTYPES = "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64"
COLUMNS = [
    *(f"pd.Series([0, 1, 1], dtype='{dtype}')" for dtype in DTYPES.split()),
    *(
        f"pd.Series([1, 2], dtype='{dtype}')"
        for dtype in "Int8 Int16 Int32 Int64 UInt8 UInt16 UInt32 Float32 Float64".split()
    ),
    *(f"pd.Series([1, None], dtype='{dtype}')" for dtype in "Int32 Int64 Float32 Float64 float64".split()),
    "pd.Series([True, None], dtype='boolean')",
    "pd.Series(['a', 'b'])",
    "pd.Series(['a', None])",
    "pd.Series(['a', None], dtype='string')",
    "pd.Series(['a', 'b'], dtype='category')",
    "pd.Series([3, 1], dtype='category')",
    "pd.Series([1.5, None], dtype='category')",
    "pd.Series(pd.to_datetime(['2024-01-01', '2024-01-02']))",
    "pd.Series(pd.to_datetime(['2024-01-01', None]))",
    "pd.Series(pd.to_datetime(['2024-01-01'], utc=True))",
    "pd.Series(np.array(['2024-01-01'], dtype='datetime64[s]'))",
    "pd.Series(pd.to_timedelta([1, 2], unit='s'))",
    "pd.Series(pd.period_range('2024', periods=2))",
    "pd.cut(pd.Series([1, 2]), 2)",
    *(
        f"pd.Series({items}, dtype=object)"
        for items in (
            "[]",
            "[1, 2]",
            "[1, None]",
            "[1.5, None]",
            "[1, 2.5]",
            "[True, None]",
            "[True, 1]",
            "[None, None]",
            "['a', None]",
            "['a', float('nan')]",
            "['a', 1]",
            "[b'x', None]",
            "[bytearray(b'x')]",
            "[dt.date(2024, 1, 1)]",
            "[dt.datetime(2024, 1, 1), None]",
            "[Decimal('1.5')]",
            "[[1, 2], [3]]",
            "[[1, 2], []]",
            "[[], [1]]",
            "[[], []]",
            "[['a'], None]",
            "[[['a']], [['b'], []]]",
            "[np.array([1, 2]), np.array([3])]",
            "[np.array([1.5], dtype='f4')]",
            "[np.array([]), np.array([1])]",
            "[np.array([])]",
            "[{'a': 1}, {'a': 2, 'b': 'x'}]",
            "[{'a': 1}, None]",
            "[None, {'a': [1]}]",
            "[{'a': {'b': 1}}, {'a': {'c': None}}]",
            "[{'a': None}, {'a': 1}]",
            "[{'a': 1}, {'a': None}]",
            "[{}, {'a': 1}]",
            "[{1: 2}]",
            "[{'a': 1}, {'a': 'x'}]",
            "[{'a': [1]}, {'a': []}]",
            "[(1, 2)]",
            "[{1, 2}]",
        )
    ),
]
VALUES = [
    *(f"pd.DataFrame({{'c': {column}}})" for column in COLUMNS),
    *(
        f"np.zeros((2, 3), dtype='{dtype}')"
        for dtype in f"{DTYPES} complex64 object datetime64[ns] datetime64[s] >i4 U3 S3".split()
    ),
    "pd.DataFrame({'a': [1, 2], 'b': ['x', 'y'], 'c': [1.5, None]})",
    "pd.DataFrame({'b': [1.5], 'a': [True]})",
    "pd.DataFrame(np.eye(2), columns=[1, 2])",
    "pd.DataFrame()",
    "pd.DataFrame({'a': []})",
    "pd.Series([1.5, 2.5], name='x')",
    "pd.Series([1.5, 2.5])",
    "np.arange(4)",
    "np.zeros((0, 2))",
    "np.array(['ab', 'c'])",
    "sp.csr_matrix(np.eye(3))",
    "sp.csc_matrix(np.eye(3, dtype='f4'))",
    "{'a': np.eye(2), 'b': np.array([1])}",
    "{'a': 1, 'b': 2.5, 'c': 'x', 'd': True, 'e': b'x', 'f': None}",
    "{'a': [1, 2], 'b': ['x', None], 'c': []}",
    "{'a': float('nan')}",
    "{'a': {'b': [{'c': 1}]}}",
    "{'a': dt.datetime(2024, 1, 1), 'b': dt.date(2024, 1, 1), 'c': np.datetime64('2024')}",
    "{'a': np.float32(1), 'b': np.int32(1), 'c': np.int64(1), 'd': np.bool_(True), 'e': np.str_('x')}",
    "{'a': np.array([1, 2]), 'b': 1}",
    "{'a': [[1], [2, 3]]}",
    "{1: 2}",
    "{'a': (1, 2)}",
    "[{'a': 1, 'b': 'x'}, {'a': 2}]",
    "[{'a': 1}, {'a': None}]",
    "[{'a': [1]}, {'a': []}]",
    "[{'a': float('nan')}, {'a': 1.5}]",
    "[{'a': {'b': 1}}, {'a': {'c': 2}}]",
    "[1, 2]",
    "[1.5, None]",
    "['a', 'b']",
    "[True]",
    "[b'x']",
    "[[1], [2]]",
    "[None]",
    "[]",
    "[dt.datetime(2024, 1, 1)]",
    "[np.array([1, 2]), np.array([3])]",
    "1",
    "1.5",
    "'text'",
    "b'x'",
    "True",
    "dt.datetime(2024, 1, 1)",
    "None",
    "float('nan')",
    "(1, 2)",
    "{1, 2}",
    "object()",
]
PARAMS = [
    "{'a': 1, 'b': 1.5, 'c': 'x', 'd': True}",
    "{'a': [1, 2], 'b': [1.5, 2], 'c': ['x'], 'd': [True, False]}",
    "{'a': np.int32(1), 'b': np.float32(0.5), 'c': np.int64(1), 'd': np.float64(1.5), 'e': np.bool_(True)}",
    "{'a': np.array([1, 2]), 'b': np.array([0.5], dtype='f4')}",
    "{'a': dt.datetime(2024, 1, 1, 2), 'b': dt.date(2024, 1, 1), 'c': [dt.datetime(2024, 1, 1)]}",
    "{'a': {'b': 1, 'c': [1.5], 'd': {'e': 'x'}}}",
    "{'a': None}",
    "{'a': b'x'}",
    "{'a': {}}",
    "{'a': [1, 'x']}",
    "{'a': [[1]]}",
    "{'a': (1, 2)}",
    "{'a': object()}",
    "{'a': []}",
    "{}",
]


def evaluate(text: str) -> object:
    """Build the value that an expression names."""
    names: dict[str, object] = {}
    exec(NAMES, names)
    return eval(text, names)


def ours(kind: str, text: str) -> str | None:
    """Return what Palate infers, as JSON text, or None where it refuses."""
    value = evaluate(text)
    try:
        return dump_schema(infer_schema(value)) if kind == "schema" else dump_params(infer_params(value))  # type: ignore[arg-type]
    except InvalidSignature:
        return None


# Where MLflow gives up (and infer_signature then records "any"), Palate knows better.
MORE = {
    "pd.DataFrame({'c': [[1, 2.5]]})": (
        '[{"type": "array", "items": {"type": "double"}, "name": "c", "required": true}]'
    ),
    "{'a': [1, 2.5]}": '[{"type": "array", "items": {"type": "double"}, "name": "a", "required": true}]',
    "pd.Series([1.5, None])": '[{"type": "double", "required": true}]',
    "pd.Series([pd.Timestamp('2024-01-01'), None], dtype=object).to_list()": '[{"type": "datetime", "required": true}]',
    "sp.csr_array(np.eye(3))": '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 3]}}]',
    "sp.coo_matrix(np.eye(3))": '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 3]}}]',
    "np.array(1.5)": '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": []}}]',
    "pd.DataFrame({'c': [np.int8(1), np.int8(2)]}, dtype=object)['c'].map(lambda x: [x]).to_frame()": (
        '[{"type": "array", "items": {"type": "integer"}, "name": "c", "required": true}]'
    ),
}
# MLflow's answer is wrong: it takes any plain object for text, an empty list for datetimes, and integers with gaps for
# a type of which it then refuses that very column.
WRONG_IN_MLFLOW = {
    ("schema", "object()"),
    ("params", "{'a': []}"),
    *(("schema", f"pd.DataFrame({{'c': pd.Series([1, None], dtype='{dtype}')}})") for dtype in ("Int32", "Int64")),
}


ZERO = "pd.DataFrame(np.eye(2))"


@dataclass(frozen=True)
class Answers:
    """What stock MLflow says: the JSON it infers by case (None where it gives up), and our JSON as it reads it."""

    inferred: dict[tuple[str, str], str | None]
    read: dict[str, str]


@pytest.fixture(scope="module")
def mlflow(mlflow_python: Path) -> Answers:
    """Ask stock MLflow, once for all tests."""
    cases = [("schema", text) for text in (*VALUES, *MORE)] + [("params", text) for text in PARAMS]
    texts = [*MORE.values(), dump_schema(infer_schema(evaluate(ZERO)))]
    ran = subprocess.run(
        [mlflow_python, "-c", RUNNER],
        input=json.dumps([cases, texts]),
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    inferred, read = json.loads(ran.stdout)
    return Answers(dict(zip(cases, inferred, strict=True)), dict(zip(texts, read, strict=True)))


def test_inference_agrees_with_mlflow(mlflow: Answers) -> None:
    """Every schema and every param that MLflow infers, Palate infers equally; what it cannot infer, we refuse."""
    different = {
        case: (theirs, mine)
        for case, theirs in mlflow.inferred.items()
        if case not in WRONG_IN_MLFLOW and case[1] not in MORE and _parsed(theirs) != _parsed(mine := ours(*case))
    }
    assert not different
    assert sum(answer is not None for answer in mlflow.inferred.values()) > 100


def test_palate_infers_more_than_mlflow(mlflow: Answers) -> None:
    """Where MLflow gives up although the type is plain, Palate tells it, in JSON that MLflow reads."""
    assert {text: mlflow.inferred["schema", text] for text in MORE} == dict.fromkeys(MORE)
    assert {text: ours("schema", text) for text in MORE} == MORE
    assert all(_parsed(mlflow.read[text]) == _parsed(text) for text in MORE.values())


def test_column_zero_keeps_its_name(mlflow: Answers) -> None:
    """A column called 0 is written with its name, and stock MLflow reads it back with it."""
    text = dump_schema(infer_schema(evaluate(ZERO)))
    assert [column["name"] for column in json.loads(text)] == [0, 1]
    assert [column["name"] for column in json.loads(mlflow.read[text])] == [0, 1]


def test_every_inferred_schema_is_read_back(mlflow: Answers) -> None:
    """What MLflow infers, Palate's reader of signatures accepts."""
    schemas = [answer for (kind, _), answer in mlflow.inferred.items() if kind == "schema" and answer]
    assert [_parsed(dump_schema(parse_schema(text, "inputs"))) for text in schemas] == [
        _parsed(text) for text in schemas
    ]


def _parsed(text: str | None) -> object:
    return None if text is None else json.loads(text)

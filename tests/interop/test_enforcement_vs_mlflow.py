"""What stock MLflow accepts, Palate accepts with the same values; the exceptions are named bugs of MLflow."""

from __future__ import annotations

import json
import math
import pickle
import subprocess

import pytest

from palate._enforcement.nested import NUMPY_NAMES
from palate._enforcement.plan import compile_inputs
from palate._schema_json import parse_schema
from palate.errors import InvalidInput
from palate.schema import TensorSpec, type_text

pytestmark = pytest.mark.mlflow

np = pytest.importorskip("numpy")
pd = pytest.importorskip("pandas")
sparse = pytest.importorskip("scipy.sparse")

# Each input is an expression, evaluated in both interpreters: their pandas need not be of one version.
NAMES = "import datetime as dt\nimport numpy as np, pandas as pd, scipy.sparse as sp\nfrom decimal import Decimal\n"

RUNNER = (
    NAMES
    + """
import json, pickle, sys, warnings
warnings.simplefilter("ignore")
from mlflow.models.utils import _enforce_schema
from mlflow.types.schema import Schema
answers = []
for schema, text in json.load(sys.stdin):
    try:
        answers.append((True, _enforce_schema(eval(text), Schema.from_json(schema))))
    except Exception as exc:
        answers.append((False, f"{type(exc).__name__}: {exc}"[:300]))
pickle.dump(answers, sys.stdout.buffer)
"""
)

KINDS = ("boolean", "integer", "long", "float", "double", "string", "binary", "datetime")

CELLS = [
    *(f"pd.Series([0, 1, 5], dtype='{d}')" for d in "int8 int16 int32 int64 uint8 uint16 uint32 uint64".split()),
    *(
        f"pd.Series([0, 1], dtype='{d}')"
        for d in "int64 >i4 >f8 float64 Int64 Int32 UInt8 category Sparse[int]".split()
    ),
    *(f"pd.Series([1.0, 2.5], dtype='{d}')" for d in "float16 float32 float64 Float32 Float64".split()),
    *(f"pd.Series([1, None], dtype='{d}')" for d in "Int8 Int64 Float32 Float64 float32 float64".split()),
    "pd.Series([2**53 + 1, 2**62])",
    "pd.Series([2**63], dtype='uint64')",
    "pd.Series([0.1, 1e300, np.inf])",
    "pd.Series([True, False])",
    "pd.Series([True, False], dtype='boolean')",
    "pd.Series([True, None], dtype='boolean')",
    "pd.Series(['a', 'b'])",
    "pd.Series(['a', None])",
    "pd.Series(['a', 'b'], dtype='string')",
    "pd.Series(['a', 'b'], dtype='category')",
    "pd.Series(['1', '2'])",
    "pd.Series(['2020-01-01', '2020-01-02T03:04:05'])",
    "pd.Series(pd.to_datetime(['2020-01-01', None]))",
    "pd.Series(np.array(['2020-01-01'], dtype='datetime64[s]'))",
    "pd.Series(np.array(['3020-01-01'], dtype='datetime64[s]'))",
    "pd.Series(pd.to_datetime(['2020-01-01'], utc=True))",
    "pd.Series(pd.to_timedelta([1, 2], unit='s'))",
    *(
        f"pd.Series({items}, dtype=object)"
        for items in (
            "[True, False]",
            "[True, None]",
            "[True, 1]",
            "[None, None]",
            "[]",
            "[0, 1]",
            "[1, 2]",
            "[1, None]",
            "[1, 2.5]",
            "[1.5, None]",
            "[0.5, float('nan')]",
            "[2**70, 1]",
            "[pd.NA, 1.5]",
            "[pd.NaT, 1.5]",
            "[Decimal('0.1'), None]",
            "[Decimal(3), 2]",
            "['a', 'b']",
            "['a', None]",
            "['a', 1]",
            "[b'a', b'b']",
            "[b'a', 'a']",
            "[dt.date(2020, 1, 1), None]",
            "[dt.datetime(2020, 1, 1, 2), None]",
            "[dt.datetime(2020, 1, 1, 2), '2020-01-02']",
            "[np.datetime64('2020-01-01'), None]",
            "[dt.date(3000, 1, 1)]",
            "[dt.datetime(2020, 1, 1, tzinfo=dt.timezone.utc)]",
            "[1j, None]",
            "[[1], [2]]",
            "[{}, 1]",
            "[np.float32(0.5), np.int8(1)]",
        )
    ),
]


def column(kind, name="a", **more):
    """Return the signature JSON of one named column."""
    return {"type": kind, "name": name, "required": True, **more}


def named(*columns):
    """Return the signature JSON of named columns."""
    return json.dumps(list(columns))


def unnamed(*kinds):
    """Return the signature JSON of columns without names."""
    return json.dumps([{"type": kind, "required": True} for kind in kinds])


def tensor(dtype, shape, name=None):
    """Return the signature JSON of one tensor."""
    label = {} if name is None else {"name": name}
    return {**label, "type": "tensor", "tensor-spec": {"dtype": dtype, "shape": list(shape)}}


def scalar_cases():
    """Yield every scalar type with every kind of pandas column."""
    for kind in KINDS:
        for cells in CELLS:
            yield named(column(kind)), f"pd.DataFrame({{'a': {cells}}})"


def container_cases():
    """Yield the containers that columns can come in."""
    pair, bare = named(column("double", "a"), column("string", "b")), unnamed("double", "string")
    inputs = (
        "pd.DataFrame({'b': ['x', 'y'], 'c': [1, 2], 'a': [1.0, 2.0]}, index=[5, 5])",
        "pd.DataFrame({'a': [1.0], 'b': ['x']})",
        "pd.DataFrame({'a': [1.0]})",
        "pd.DataFrame({'a': [], 'b': []})",
        "pd.DataFrame([[1.0, 'x', 2.0]], columns=['a', 'b', 'a'])",
        "{'a': 1.0, 'b': 'x'}",
        "{'a': 1.0, 'b': None}",
        "{'a': 1.0, 'b': ['x', 'y']}",
        "{'a': [1.0, 2.0], 'b': ['x', 'y']}",
        "{'a': np.array([1.0, 2.0]), 'b': np.array(['x', 'y'])}",
        "{'a': 1.0, 'b': np.array('x')}",
        "{'a': [[1.0]], 'b': ['x']}",
        "{'a': [1.0, 2.0], 'b': ['x']}",
        "{'a': (1.0, 2.0), 'b': ('x', 'y')}",
        "{'a': pd.Series([1.0, 2.0], index=[4, 5]), 'b': pd.Series(['x', 'y'], index=[4, 5])}",
        "{}",
        "[{'a': 1.0, 'b': 'x'}, {'b': 'y', 'a': 2.0}]",
        "[{'a': 1.0, 'b': 'x'}, {'b': 'y'}]",
        "[[1.0, 'x'], [2.0, 'y']]",
        "[(1.0, 'x')]",
        "[]",
        "np.array([[1.0, 2.0]])",
        "np.array([(1.0, 'x')], dtype=[('a', 'f8'), ('b', 'O')])",
        "((1.0, 'x'),)",
        "None",
        "1.0",
        "sp.csr_matrix(np.eye(2))",
    )
    for schema in (pair, bare):
        for text in inputs:
            yield schema, text
    for text in (
        "pd.Series([1.0], name='a')",
        "pd.Series([1.0])",
        "[1.0]",
        "np.array([1.0])",
        "np.array([[1.0]])",
        "1.0",
    ):
        yield named(column("double")), text
        yield unnamed("double"), text
        yield named(column("double", 0)), text
    for kind, text in (
        ("string", "'x'"),
        ("string", "np.str_('x')"),
        ("binary", "b'x'"),
        ("long", "3"),
        ("boolean", "True"),
        ("boolean", "np.bool_(True)"),
        ("double", "np.float32(2)"),
        ("datetime", "np.datetime64('2020-01-01')"),
        ("datetime", "dt.datetime(2020, 1, 1)"),
        ("string", "['x', 'y']"),
        ("string", "np.array('x')"),
        ("string", "np.array(['x', 'y'])"),
        ("string", "np.array([['x'], ['y']])"),
        ("string", "np.zeros((1, 1, 1))"),
    ):
        yield unnamed(kind), text
    yield named(column("string", "a")), "{'a': ['x', 'y']}"
    yield named(column("string", "a")), "{'a': np.array([['x'], ['y']])}"
    yield named(column("string", "a")), "{'a': np.array('x')}"
    yield named(column("boolean", "a")), "{'a': []}"
    yield named(column("datetime", "a")), "{'a': ['2020-01-01']}"
    optional = column("long", "b", required=False)
    for text in ("{'a': [1.0]}", "{'a': [1.0], 'b': [2]}", "{'a': [1.0], 'b': [None]}", "{'b': [1]}"):
        yield named(column("double"), optional), f"pd.DataFrame({text})"
    yield named(column("double", 0), column("double", 1)), "[[1.0, 2.0]]"
    yield named(column("double", 0), column("double", 1)), "pd.DataFrame([[1.0, 2.0]], columns=['0', '1'])"


ITEMS = (
    *(
        "[]",
        "None",
        "float('nan')",
        "1",
        "'ab'",
        "(1.0,)",
        "[None]",
        "[[1.0]]",
        "[1]",
        "[0, 1]",
        "[1.0]",
        "[1.0, None]",
    ),
    *(
        "[True]",
        "[True, None]",
        "[True, 1.0]",
        "['abc', 'd']",
        "['abc', None]",
        "['a', 1]",
        "[b'a', b'bc']",
        "[b'a\\0']",
    ),
    *("[2**53 + 1, 0.5]", "[Decimal('0.5')]", "['1', 2.0]", "[np.float32(0.5)]", "[np.int32(1)]", "[np.int64(1), 2]"),
    *("[dt.datetime(2020, 1, 1)]", "[dt.datetime(2020, 1, 1), None]", "['2020-01-01']", "['é']", "['a\\0']"),
    *(f"np.array([0, 1], dtype='{d}')" for d in "int8 int32 int64 uint64 float16 float32 float64 bool object".split()),
    *(
        "np.array([1.5, 2])",
        "np.array(['a', 'bc'])",
        "np.array(['a', None], dtype=object)",
        "np.array(['a', 'b'], dtype=object)",
    ),
    *(
        "np.array([b'a'])",
        "np.array([[1.0]])",
        "np.array(1.0)",
        "np.array(['2020-01-01'], dtype='M8[D]')",
        "np.array([])",
    ),
    *(
        "np.array(['2020-01-01'], dtype='M8[ns]')",
        "np.array([True, None], dtype=object)",
        "np.array([1], dtype='m8[ns]')",
    ),
)


def nested_cases():
    """Yield arrays, objects, maps and any in all their shapes."""
    for required in (True, False):
        for kind in KINDS:
            for items in ITEMS:
                field = {"type": "array", "items": {"type": kind}, "name": "a", "required": required}
                yield named(field), f"pd.DataFrame({{'a': pd.Series([{items}], dtype=object)}})"
        for field, values in NESTED:
            for value in values:
                yield named({**field, "name": "a", "required": required}), f"[{{'a': {value}}}]"
                yield named({**field, "name": "a", "required": required}), f"{{'a': {value}}}"
    for kind in KINDS:
        for value in (
            "1",
            "0",
            "1.5",
            "2.0",
            "True",
            "'x'",
            "b'x'",
            "None",
            "float('nan')",
            "Decimal('1.5')",
            "np.int32(3)",
        ):
            field = {"type": "object", "properties": {"p": {"type": kind, "required": False}, "q": {"type": kind}}}
            yield named({**field, "name": "a", "required": True}), f"[{{'a': {{'q': {value}}}}}]"
            yield named({**field, "name": "a", "required": True}), f"[{{'a': {{'p': {value}}}}}]"


NESTED = (
    (
        {"type": "array", "items": {"type": "array", "items": {"type": "double"}}},
        (
            "[[1.0], [2.0, 3.0]]",
            "[[1.0], None]",
            "[[]]",
            "[]",
            "np.eye(2)",
            "np.eye(2, dtype='float32')",
            "None",
            "[np.ones(2)]",
        ),
    ),
    (
        {"type": "array", "items": {"type": "any"}},
        ("[1, 'a', None]", "[]", "None", "np.array([1, 2])", "'x'", "{}"),
    ),
    (
        {"type": "array", "items": {"type": "object", "properties": {"x": {"type": "string"}}}},
        ("[{'x': 'a'}]", "[{'x': 'a'}, {}]", "[None]", "[]", "np.array([{'x': 'a'}])", "[{'x': 'a', 'y': 1}]"),
    ),
    (
        {"type": "map", "values": {"type": "double"}},
        ("{}", "{'k': 1.0}", "{'k': None}", "{1: 1.0}", "None", "[]", "{'k': 0}", "{'k': 'x'}"),
    ),
    (
        {"type": "map", "values": {"type": "any"}},
        ("{}", "{'k': object}", "{'k': None}", "None", "{1: 2}"),
    ),
    (
        {
            "type": "object",
            "properties": {"x": {"type": "array", "items": {"type": "long"}}, "y": {"type": "any", "required": False}},
        },
        (
            "{'x': [1, 2]}",
            "{'x': [1], 'y': [None]}",
            "{'x': []}",
            "{'x': None}",
            "{}",
            "{'y': 1}",
            "None",
            "{'x': [1.5]}",
        ),
    ),
    ({"type": "any"}, ("1", "None", "'x'", "[1, 'a']", "{'z': 1}")),
    ({"type": "sparkml_vector"}, ("[1.0, 2.0]", "[1]", "None")),
)


def tensor_cases():
    """Yield arrays, sparse matrices and frames for tensors."""
    arrays = (
        *(f"np.ones((2, 3), dtype='{d}')" for d in "float32 float64 float16 int32 bool >f4 complex64 object".split()),
        *(
            "np.ones((0, 3), 'f4')",
            "np.ones((2, 4), 'f4')",
            "np.ones(3, 'f4')",
            "np.asfortranarray(np.ones((2, 3), 'f4'))",
        ),
        *(
            "[[1.0, 2.0, 3.0]]",
            "{'a': 1}",
            "None",
            "3",
            "sp.csr_matrix(np.ones((2, 3), 'f4'))",
            "sp.csc_matrix(np.eye(3))",
        ),
        *("sp.coo_matrix(np.ones((2, 3), 'f4'))", "sp.csr_array(np.ones((2, 3), 'f4'))", "np.array([[['a']]])"),
        *(
            "pd.DataFrame(np.ones((2, 3), 'f4'))",
            "pd.DataFrame(np.ones((2, 3)))",
            "pd.DataFrame(np.ones((2, 2), 'f4'))",
        ),
        *("pd.DataFrame({'a': [1], 'b': [0.5], 'c': [True]})", "pd.DataFrame({'a': [1], 'b': [0.5], 'c': [2.5]})"),
        *(
            "pd.DataFrame({'a': [[1.0, 2.0, 0.1]]})",
            "pd.DataFrame({'a': [[1, 2, 3]]})",
            "pd.DataFrame({'a': [['1', '2', '3']]})",
        ),
        *(
            "pd.DataFrame({'a': [np.ones(3, 'f4')]})",
            "pd.DataFrame({'a': [np.full(3, 0.1)]})",
            "pd.DataFrame({'a': [np.ones(3)]})",
        ),
        *(
            "pd.DataFrame({'a': [[1.0, 2.0]]})",
            "pd.DataFrame({'a': [[1.0], [2.0, 3.0]]})",
            "pd.DataFrame({'a': [1.5, 2.0]})",
        ),
        *(
            "pd.DataFrame({'a': ['1.5']})",
            "pd.DataFrame({'a': [True]})",
            "pd.DataFrame({'a': [1, 2]})",
            "pd.DataFrame({'a': [1e300]})",
        ),
        *(
            "pd.Series([1.5, 0.1])",
            "np.array([np.ones(2), np.ones(3)], dtype=object)",
            "np.array(['ab', 'c'])",
            "np.array([b'a'])",
        ),
        *("np.array(['2020'], dtype='M8[D]')", "np.array(['2020'], dtype='M8[ns]')", "np.float32(1)", "np.array(1.0)"),
        "pd.DataFrame({'a': [[1.0, 2.0, 3.0]]}, index=[7])",
    )
    specs = (
        *(
            ("float32", (-1, 3)),
            ("float64", (-1, 3)),
            ("int64", (-1, 3)),
            ("float32", (-1,)),
            ("float64", (-1, 1)),
            ("bool", (-1,)),
        ),
        *(
            ("object", (-1,)),
            ("float32", (-1, -1, 2)),
            ("str", (-1,)),
            ("bytes", (-1,)),
            ("datetime64[ns]", (-1,)),
            ("float64", ()),
        ),
        *(("int32", (-1, 1)), ("object", (-1, 3)), ("float32", (2, 3)), ("float32", (-1, 3, 1))),
    )
    for dtype, shape in specs:
        for text in arrays:
            yield json.dumps([tensor(dtype, shape)]), text
    single = json.dumps([tensor("float32", (-1, 3), "a")])
    several = json.dumps([tensor("float32", (-1, 3), "a"), tensor("int64", (-1,), "b")])
    for text in (
        "{'a': np.ones((2, 3), 'f4'), 'b': np.arange(2), 'c': 1}",
        "{'a': np.ones((2, 3)), 'b': np.arange(2)}",
        "{'a': np.ones((2, 3), 'f4')}",
        "{'a': [[1.0, 2.0, 3.0]], 'b': [1]}",
        "np.ones((2, 3), 'f4')",
        "pd.DataFrame({'a': [[1.0, 2.0, 0.1]], 'b': [1]})",
        "pd.DataFrame({'a': [[1.0, 2.0, 0.1]], 'b': [1.7]})",
        "pd.Series([[1.0, 2.0, 3.0]], name='a')",
        "[1]",
        "None",
    ):
        yield single, text
        yield several, text


# Where Palate refuses, or answers otherwise, on purpose: docs/decisions/0002-enforcement.md has each under this name.
ITEM_TYPES = ("array(string)", "array(binary)", "array(boolean)")
KNOWN_BUGS = {
    "text read as numbers": lambda kind, text: kind in ("double", "array(double)") and "'1'" in text,
    "objects read as missing": lambda kind, text: kind == "double" and "{}" in text,
    "numbers read as times": lambda kind, text: kind == "datetime" and "1.5" in text,
    "integers rounded": lambda kind, text: kind == "array(double)" and "2**53 + 1" in text,
    "items made text or truth values": lambda kind, text: kind in ITEM_TYPES and "\\0" not in text,
    "trailing NUL lost": lambda kind, text: kind in ITEM_TYPES and "\\0" in text,
    "times read as integers": lambda kind, text: kind == "array(datetime)",
    "frames forced into tensors": lambda kind, text: kind == "tensor" and text.startswith("pd."),
}


def bug_of(schema, text):
    """Return the name of the MLflow bug that this input runs into, or None."""
    field = parse_schema(schema, "inputs").fields[0]
    kind = "tensor" if isinstance(field, TensorSpec) else type_text(field.type)
    return next((name for name, applies in KNOWN_BUGS.items() if applies(kind, text)), None)


def missing(value):
    """Return whether a value stands for a missing one."""
    if isinstance(value, float) and math.isnan(value):
        return True
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, np.datetime64) and np.isnat(value))


def equal(ours, theirs):
    """Whether two answers hold the same values in the same kinds of containers."""
    if isinstance(theirs, pd.DataFrame):
        return (
            isinstance(ours, pd.DataFrame)
            and ours.columns.tolist() == theirs.columns.tolist()
            and ours.index.tolist() == theirs.index.tolist()
            and all(equal(ours.iloc[:, i].tolist(), theirs.iloc[:, i].tolist()) for i in range(theirs.shape[1]))
        )
    if sparse.issparse(theirs):
        return type(ours) is type(theirs) and ours.dtype == theirs.dtype and (ours != theirs).nnz == 0
    if isinstance(theirs, np.ndarray):
        return isinstance(ours, np.ndarray) and ours.shape == theirs.shape and equal(ours.tolist(), theirs.tolist())
    if isinstance(theirs, list):
        return isinstance(ours, list) and len(ours) == len(theirs) and all(map(equal, ours, theirs))
    if isinstance(theirs, dict):
        return isinstance(ours, dict) and list(ours) == list(theirs) and all(equal(ours[k], theirs[k]) for k in theirs)
    if missing(theirs):
        return missing(ours)
    if isinstance(theirs, bool | np.bool_) != isinstance(ours, bool | np.bool_):
        return False
    return bool(ours == theirs)


def leaves(value):
    """Return all values inside an input or an answer, in one order for both."""
    if isinstance(value, pd.DataFrame):
        return [leaf for name in value.columns for leaf in leaves(value[name].tolist())]
    if isinstance(value, pd.Series | np.ndarray):
        # tolist() turns datetime64[ns] into integers.
        return leaves(list(value) if value.dtype.kind == "M" else value.tolist())
    if isinstance(value, dict):
        return [leaf for member in value.values() for leaf in leaves(member)]
    if isinstance(value, list):
        return [leaf for item in value for leaf in leaves(item)]
    return [value]


def dtypes_of(answer):
    """Return the dtypes of the columns or tensors of an answer."""
    if isinstance(answer, pd.DataFrame):
        return answer.dtypes.tolist()
    if isinstance(answer, dict):
        return [value.dtype for value in answer.values()]
    return [answer.dtype]


def declared(schema, answer):
    """Return whether each part of an answer has the dtype that its field declares."""
    names = [
        getattr(f, "dtype", None) or NUMPY_NAMES.get(str(f.type), "object") for f in parse_schema(schema, "inputs")
    ]
    return [dtype == np.dtype(name) for dtype, name in zip(dtypes_of(answer), names, strict=False)]


def ask_mlflow(python, cases):
    """Return what stock MLflow makes of each case: whether it accepts, and the answer or the reason."""
    command = [python, "-W", "ignore", "-c", RUNNER]
    done = subprocess.run(command, input=json.dumps(cases).encode(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return pickle.loads(done.stdout)


def evaluate(text):
    """Return the input that an expression stands for."""
    names: dict[str, object] = {}
    exec(NAMES, names)
    return eval(text, names)


def ask_palate(schema, data):
    """Return what Palate makes of an input: whether it accepts, and the answer or the reason."""
    try:
        return True, compile_inputs(parse_schema(schema, "inputs")).enforce(data)
    except InvalidInput as exc:
        return False, str(exc)


@pytest.fixture(scope="module")
def answers(mlflow_python):
    """Return every case with both answers."""
    cases = list(dict.fromkeys([*scalar_cases(), *container_cases(), *nested_cases(), *tensor_cases()]))
    theirs = ask_mlflow(str(mlflow_python), cases)
    return [
        (schema, text, theirs, ask_palate(schema, evaluate(text)))
        for (schema, text), theirs in zip(cases, theirs, strict=True)
    ]


def test_all_that_mlflow_accepts_is_accepted_with_the_same_values(answers):
    """Each input that MLflow takes gives the same values in the same containers, but for the named bugs."""
    strange, used = [], set()
    for schema, text, (accepted, theirs), (ok, ours) in answers:
        if not accepted or (ok and equal(ours, theirs)):
            continue
        name = bug_of(schema, text)
        used.add(name)
        # A bug by proof, not by name alone: MLflow changed a value, or answered in a type it did not declare.
        faithful = equal(leaves(theirs), leaves(evaluate(text))) and all(declared(schema, theirs))
        if name is None or faithful:
            strange.append(f"{schema} {text}: theirs {theirs!r}, ours {ours!r}")
    assert strange == []
    assert used == set(KNOWN_BUGS), "a bug that is gone from MLflow"


def test_answers_have_the_dtypes_that_mlflow_gives(answers):
    """Columns and tensors have MLflow's dtypes, wherever those are the declared ones."""
    for schema, text, (accepted, theirs), (ok, ours) in answers:
        if accepted and ok and equal(ours, theirs) and not sparse.issparse(theirs):
            pairs = zip(dtypes_of(ours), dtypes_of(theirs), declared(schema, theirs), strict=False)
            assert all(mine == yours for mine, yours, as_declared in pairs if as_declared), (schema, text)


def test_the_comparison_is_not_empty(answers):
    """Enough of the inputs are accepted and enough refused by MLflow for the comparison to mean something."""
    accepted = sum(theirs[0] for _, _, theirs, _ in answers)
    assert accepted > 500
    assert len(answers) - accepted > 500

"""The OpenAPI document says of the bodies of Palate's own route what enforcement does with them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import date
from itertools import product
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from openapi_agreement import is_accepted, is_described, request_validator
from openapi_contracts import SCALARS, SIGNATURES, contract_of, every_contract

from palate.schema import AnyType, Array, ColSpec, FieldType, Map, Object, ParamSpec, Property, Schema, TensorSpec
from palate.serving._content import ANSWER_FORMATS, BODY_FORMATS, CONTENT_TYPES
from palate.serving._openapi.document import openapi_document
from palate.serving._openapi.moments import ANY_MOMENT, CELL_MOMENT
from palate.serving.settings import ProtocolName
from palate.signature import MethodSignature, Signature

JSON = "application/json"
SMALL = (0, 1, -1, 1.0, 1.7, 0.1, 2**31, -(2**31) - 1, 2**40, 2**53)
NUMBERS = (*SMALL, 2**63 - 1, 2**63, 1e30, 1e300, -1e300, 3.4028235e38)
TEXTS = ("", "a", "1", "true", "YQ==", "YQ", "Y Q = =", "é", "07:08")
DAYS = ("2024-05-06", " 2024-05-06 ", "2024-05-06Z", "2024-13-01", "2024-02-30", "1600-01-01")
TIMES = ("2024-05-06T07:08:09Z", "2024-05-06 07:08", "2024-05-06T07:08:09,123456789+0200", "2024-05-06T07")
LEAVES = (None, True, False, *NUMBERS, *TEXTS, *DAYS, *TIMES)
CELLS = (*LEAVES, [], [1], [None], ["a"], [[1.5]], [True], {}, {"a": 1}, {"k": None}, {"k": 1.5})
# What no word of JSON Schema can say: that a whole number is no float of its column.
UNSAYABLE = {
    "float": (-(2**31) - 1, 2**63 - 1, 2**53 + 1),
    "double": (2**63 - 1, 2**53 + 1),
}


def _body(cell: object) -> dict[str, Any]:
    return {"inputs": [{"cell": cell, "other": 1.5}]}


def _of_column(**facts: Any) -> Signature:
    return Signature(inputs=Schema((ColSpec(name="cell", **facts), ColSpec(name="other", type="double"))))


def _disagreements(signature: Signature, bodies: Iterator[dict[str, Any]]) -> list[tuple[str, object]]:
    """Return the bodies of which the schema says another thing than enforcement."""
    found = []
    for body in bodies:
        described, accepted = is_described(signature, body), is_accepted(signature, body)
        if described != accepted:
            found.append(("described, refused" if described else "accepted, not described", body))
    return found


@pytest.mark.parametrize("nullable", [None, True, False])
@pytest.mark.parametrize("kind", SCALARS)
def test_scalar_cells(kind: str, nullable: bool | None) -> None:
    """A scalar cell, or null, is described just as it is accepted, but for what no schema can say."""
    signature = _of_column(type=kind, nullable=nullable)
    unsayable = UNSAYABLE.get(kind, ())
    assert _disagreements(signature, (_body(cell) for cell in LEAVES if cell not in unsayable)) == []
    for cell in unsayable:
        assert is_described(signature, _body(cell))
        assert not is_accepted(signature, _body(cell))


NESTED: list[FieldType] = [
    *(Array(kind) for kind in SCALARS),
    Array(Array("double")),
    Array(AnyType()),
    Map("double"),
    Map("long"),
    Map(AnyType()),
    Object((Property("a", "long"), Property("k", "double", required=False))),
    AnyType(),
]


@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize("kind", NESTED, ids=str)
def test_nested_cells(kind: FieldType, required: bool) -> None:
    """A list or an object in a cell is described if and only if it is accepted."""
    found = _disagreements(_of_column(type=kind, required=required), map(_body, CELLS))
    assert found == []


FACTS: list[dict[str, Any]] = [
    {"type": "long", "minimum": 0.5, "maximum": 1},
    {"type": "integer", "minimum": 0},
    {"type": "double", "minimum": 0, "maximum": 1.7, "nullable": False},
    {"type": "float", "maximum": 1},
    {"type": "string", "categories": ("a", "1"), "closed": True},
    {"type": "string", "categories": ("a", "1"), "closed": True, "nullable": False},
    {"type": "string", "categories": ("a", "1"), "categorical": True},
    {"type": "string", "categories": ("a",)},
    {"type": "long", "categories": (1, -1), "closed": True},
    {"type": "long", "categories": (1, -1), "closed": True, "nullable": True},
    {"type": "long", "categories": (1, -1), "categorical": True},
    {"type": "long", "categories": (1, -1), "categorical": True, "nullable": False},
    {"type": "double", "categories": (1.0, 1.7), "categorical": True},
    {"type": "boolean", "categories": (True,), "closed": True},
    {"type": "datetime", "timezone": "Europe/Vienna"},
]


@pytest.mark.parametrize("facts", FACTS, ids=str)
def test_facts(facts: dict[str, Any]) -> None:
    """Bounds, categories and what may be missing are described as they are enforced."""
    cells = [cell for cell in LEAVES if cell not in UNSAYABLE.get(facts["type"], ())]
    assert _disagreements(_of_column(**facts), map(_body, cells)) == []


TENSOR_DTYPES = (
    "bool str int8 int64 uint8 uint64 float16 float32 float64 longdouble complex64 datetime64[ns] object".split()
)


@pytest.mark.parametrize("dtype", TENSOR_DTYPES)
def test_tensors(dtype: str) -> None:
    """Numbers, text and times of tensors are described as they are enforced, as are fixed sizes."""
    signature = Signature(inputs=Schema((TensorSpec(dtype=dtype, shape=(-1, 2)),)))
    # The real numbers that no float of that size is equal to depend on the dtype; the bounds are what is said.
    leaves = [leaf for leaf in LEAVES if not (dtype == "complex64" and isinstance(leaf, float))]
    leaves = [leaf for leaf in leaves if leaf not in UNSAYABLE["float"]] if dtype[0] in "flc" else leaves
    bodies = [{"inputs": [[leaf, leaf]]} for leaf in leaves]
    shapes = [{"inputs": [leaves[3]]}, {"inputs": [[leaves[3]]]}, {"inputs": [[leaves[3]] * 3]}, {"inputs": leaves[3]}]
    if dtype == "complex64":
        bodies = [body for body in bodies if body["inputs"][0][0] not in (2**31, -(2**31) - 1, 2**40, 2**53)]
    assert _disagreements(signature, iter([*bodies, *shapes])) == []


@pytest.mark.parametrize("kind", [kind for kind in SCALARS if kind not in ("binary", "datetime")])
def test_params(kind: str) -> None:
    """Params are described as they are enforced: their types, null for an unset one, lists."""
    default = {"boolean": True, "string": "a"}.get(kind, 1)
    inputs = Schema((ColSpec(type="double", name="a"),))
    one = ParamSpec(name="p", type=kind, default=default)  # type: ignore[arg-type]
    many = ParamSpec(name="q", type=kind, default=[default], shape=(-1,))  # type: ignore[arg-type]
    signature = Signature(inputs=inputs, params=(one, many))
    values = [value for value in CELLS if value != 2**63 - 1]  # no double, as for cells
    bodies = [{"inputs": [{"a": 1.5}], "params": {name: value}} for name in "pq" for value in values]
    assert _disagreements(signature, iter(bodies)) == []


_COLUMNS = st.builds(
    ColSpec,
    type=st.sampled_from(SCALARS),
    name=st.sampled_from(["a", "b", "$ref", "é", ""]),
    nullable=st.sampled_from([None, True, False]),
)


@given(column=_COLUMNS, cell=st.sampled_from(LEAVES) | st.integers() | st.floats(allow_nan=False) | st.text())
@settings(max_examples=300)
def test_accepted_is_described(column: ColSpec, cell: object) -> None:
    """Whatever single cell enforcement accepts, the schema describes."""
    if isinstance(cell, int) and not isinstance(cell, bool) and not -(2**63) <= cell < 2**64:
        cell = float(cell)  # as JSON is read
    if isinstance(cell, float) and cell in (float("inf"), float("-inf")):
        cell = 0.5
    signature = Signature(inputs=Schema((column, ColSpec(name="other", type="double"))))
    body = {"inputs": [{str(column.name): cell, "other": 1.5}]}
    assert is_described(signature, body) or not is_accepted(signature, body)


YEARS = (0, 1, 1600, *range(1672, 1705), 1900, *range(1996, 2005), 2100, *range(2256, 2264), 9999)


@pytest.mark.parametrize(("pattern", "years"), [(ANY_MOMENT, (1, 9999)), (CELL_MOMENT, (1677, 2262))])
def test_days_exist(pattern: str, years: tuple[int, int]) -> None:
    """The pattern of a time has just the days of the calendar, and of the years that its type reaches."""
    for year, month, day in product(YEARS, range(14), (0, 1, 10, 21, 22, *range(28, 33))):
        try:
            exists = _reaches(date(year, month, day), years)
        except ValueError:
            exists = False
        assert bool(re.search(pattern, f"{year:04}-{month:02}-{day:02}")) == exists


def _reaches(day: date, years: tuple[int, int]) -> bool:
    """Tell whether all of a day is within what a type of those years holds."""
    whole = (date(1677, 9, 22), date(2262, 4, 10)) if years == (1677, 2262) else (date.min, date.max)
    return whole[0] <= day <= whole[1]


# -- the document ------------------------------------------------------------------------------------------------------


def test_names_are_unique() -> None:
    """Models and methods whose names look alike have schemas and operations of their own."""
    methods = {name: MethodSignature() for name in ("a_b", "a-b", "A_b")}
    signature = Signature(inputs=SIGNATURES["params"].inputs, methods=methods)
    names = ["a b", "a_b", "A_B", "a/b", "x" * 300, "x" * 299 + "y"]
    document = openapi_document([contract_of(signature, name=name) for name in names])
    operations = [operation for item in document["paths"].values() for operation in item.values()]
    assert len({operation["operationId"].lower() for operation in operations}) == len(operations)
    schemas = document["components"]["schemas"]
    assert len({name.lower() for name in schemas}) == len(schemas)
    assert all(re.fullmatch(r"[a-zA-Z0-9._-]+", name) for name in schemas)


def test_every_method_of_every_version() -> None:
    """Each method has a path with the version and one without, which leads to the highest version of the name."""
    new = Signature(inputs=Schema((ColSpec(type="string", name="new"),)))
    contracts = [contract_of(new, name="m", version="10"), contract_of(SIGNATURES["methods"], name="m", version="9")]
    document = openapi_document(contracts)
    typed = {path for path in document["paths"] if path.startswith("/models/")}
    assert typed == {
        "/models/m/predict",
        "/models/m/versions/10/predict",
        *(f"/models/m/versions/9/{method}" for method in ("predict", "predict_proba", "explain")),
    }
    assert request_validator(document, "/models/m/predict").is_valid({"inputs": [{"new": "a"}]})
    assert request_validator(document, "/models/m/versions/9/predict").is_valid({"inputs": [{"a": 1.5}]})


def test_paths_are_encoded() -> None:
    """A name that is no segment of a path is encoded, so that braces in it make no template."""
    document = openapi_document([contract_of(SIGNATURES["none"], name="a b/{x}")])
    assert "/models/a%20b%2F%7Bx%7D/predict" in document["paths"]
    assert "/v2/models/a%20b%2F%7Bx%7D/infer" in document["paths"]
    assert not any("{" in path or " " in path for path in document["paths"])


@pytest.mark.parametrize("left_out", get_args(ProtocolName))
def test_protocols_left_out(left_out: str) -> None:
    """A protocol that is not answered is not described, and the others still are."""
    kept = [name for name in get_args(ProtocolName) if name != left_out]
    paths = openapi_document([contract_of(SIGNATURES["none"])], protocols=kept)["paths"]
    own = {"palate": "/models/", "mlflow": "/version", "v2": "/v2", "tf": "/v1", "sagemaker": "/execution-parameters"}
    for name, root in own.items():
        assert any(path.startswith(root) for path in paths) == (name != left_out)
    assert "/invocations" in paths


def test_operations_left_out() -> None:
    """Routes of operations that are switched off are not described, nor is a page without its document."""
    none = openapi_document([], metrics=False, openapi=False)["paths"]
    assert set(none) == {"/live", "/ready"}
    assert {"/metrics", "/openapi.json", "/docs"} <= set(openapi_document([])["paths"])


def test_outputs_are_described() -> None:
    """The answer of each method has the shape of its own outputs, in which numbers may be missing."""
    document = openapi_document([contract_of(SIGNATURES["methods"])])

    def answers(method: str, predictions: object) -> bool:
        response = document["paths"][f"/models/model/{method}"]["post"]["responses"]["200"]
        schema = response["content"][JSON]["schema"]
        validator = Draft202012Validator({**schema, "components": document["components"]})
        return bool(validator.is_valid({"predictions": predictions}))

    assert answers("predict", [1, None])
    assert not answers("predict", [1.5])
    assert answers("predict_proba", [[0.5, None]])
    assert not answers("predict_proba", [[0.5]])
    row = dict.fromkeys(SCALARS, None)
    assert answers("explain", [row])
    assert answers("explain", [{**row, "binary": "YQ==\n", "datetime": "2024-05-06T00:00:00"}])
    assert not answers("explain", [{**row, "double": "text"}])
    assert not answers("explain", [{}])


def test_forms_are_those_of_the_routes() -> None:
    """The document names the forms of bodies and answers that the routes read and write."""
    route = openapi_document([contract_of(SIGNATURES["none"])])["paths"]["/invocations"]["post"]
    assert set(route["requestBody"]["content"]) == {CONTENT_TYPES[form].decode() for form in BODY_FORMATS}
    assert set(route["responses"]["200"]["content"]) == {CONTENT_TYPES[form].decode() for form in ANSWER_FORMATS}


def test_document_is_json() -> None:
    """A document of every signature is JSON with no NaN and no half of a surrogate pair in it."""
    broken = Signature(inputs=Schema((ColSpec(type="double", name="\ud800"),)))
    document = openapi_document([*every_contract(), contract_of(broken, name="broken")])
    text = json.dumps(document, allow_nan=False, ensure_ascii=False).encode()
    assert json.loads(text) == document


def _parts(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every object of a document but for what stands in examples."""
    if isinstance(value, dict):
        yield value
        for name, member in value.items():
            yield from () if name in ("example", "examples", "default", "enum") else _parts(member)
    elif isinstance(value, list):
        for item in value:
            yield from _parts(item)


def test_arrays_have_items() -> None:
    """Every array says what is in it, even where that is anything: generators of clients drop a route otherwise."""
    parts = [part for part in _parts(openapi_document(every_contract())) if isinstance(part.get("type"), str | list)]
    arrays = [part for part in parts if part["type"] == "array" or "array" in part["type"]]
    assert len(arrays) > 100
    assert [part for part in arrays if "items" not in part] == []


def test_same_document_twice() -> None:
    """The same models give the same bytes."""
    first, second = (json.dumps(openapi_document(every_contract())) for _ in range(2))
    assert first == second


def test_no_framework_needed(run_python: Callable[..., Any]) -> None:
    """Making the document and its page loads no framework, nor any library of tables."""
    script = """
import sys
import palate.serving._openapi.page, palate.serving._openapi.document
from palate.schema import ColSpec, Schema
from palate.serving._contract import ModelContract
from palate.signature import Signature
signature = Signature(inputs=Schema((ColSpec(type="double", name="a"),)))
contract = ModelContract(name="m", version="1", default_method="predict", signatures={"predict": signature}, flavor="f")
document = palate.serving._openapi.document.openapi_document([contract])
palate.serving._openapi.page.render_docs(document)
print(sorted({"pandas", "pyarrow", "polars", "scipy", "sklearn", "torch", "xgboost", "tensorflow"} & set(sys.modules)))
"""
    finished = run_python(script)
    assert (finished.stdout, finished.stderr) == ("[]\n", "")

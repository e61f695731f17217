"""The OpenAPI document says of the bodies of Palate's own route what enforcement does with them."""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import date
from html.parser import HTMLParser
from itertools import product
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from openapi_agreement import call_with, is_accepted, is_described, request_validator
from openapi_contracts import HOSTILE_NAMES, SCALARS, SIGNATURES, contract_of, every_contract

from palate.schema import AnyType, Array, ColSpec, FieldType, Map, Object, ParamSpec, Property, Schema, TensorSpec
from palate.serving._content import ANSWER_FORMATS, BODY_FORMATS, CONTENT_TYPES
from palate.serving._docs_page import docs_policy, render_docs
from palate.serving._openapi.components import Components
from palate.serving._openapi.document import openapi_document
from palate.serving._openapi.fitting import fits
from palate.serving._openapi.moments import ANY_MOMENT, CELL_MOMENT
from palate.serving._openapi.samples import sample_of
from palate.serving._wire import Endpoint
from palate.serving.protocols import inference_v2, mlflow, tf_serving, typed
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
UNSHOWN = {"image", "tensor_bytes", "tensor_dtypes"}
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


# -- fitting and samples -----------------------------------------------------------------------------------------------


def _components_of(document: dict[str, Any]) -> Components:
    components = Components()
    components.schemas = document["components"]["schemas"]
    return components


@pytest.mark.parametrize("name", sorted(set(SIGNATURES) - UNSHOWN))
def test_samples_fit(name: str) -> None:
    """The sample that is made of a schema fits it, says an outside validator, and is accepted."""
    document = openapi_document([contract_of(SIGNATURES[name])])
    validator = request_validator(document, "/models/model/predict")
    sample = sample_of(validator.schema, _components_of(document))
    assert list(validator.iter_errors(sample)) == []
    assert is_accepted(SIGNATURES[name], sample)


@pytest.mark.parametrize("name", sorted(UNSHOWN))
def test_no_sample(name: str) -> None:
    """A tensor with more numbers than anybody reads has no sample, nor have bytes for which JSON has no form."""
    document = openapi_document([contract_of(SIGNATURES[name])])
    assert sample_of(request_validator(document, "/models/model/predict").schema, _components_of(document)) is None


def _mutations(value: Any) -> Iterator[Any]:
    """Yield plain data like *value*, each with one part replaced, added or left out."""
    yield from CELLS
    if isinstance(value, dict):
        for name, member in value.items():
            yield {other: part for other, part in value.items() if other != name}
            yield from ({**value, name: changed} for changed in _mutations(member))
        yield {**value, "extra": 1}
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from ([*value[:place], changed, *value[place + 1 :]] for changed in _mutations(item))
        yield [*value, *value]


@pytest.mark.parametrize("name", sorted(set(SIGNATURES) - {"hostile", "nested"} - UNSHOWN))
def test_fits_as_jsonschema(name: str) -> None:
    """What fits by our own check is what jsonschema takes, for the sample of each signature and what is like it."""
    document = openapi_document([contract_of(SIGNATURES[name])])
    validator = request_validator(document, "/models/model/predict")
    components = _components_of(document)
    sample = sample_of(validator.schema, components)
    found = [
        body for body in _mutations(sample) if fits(body, validator.schema, components) != validator.is_valid(body)
    ]
    assert found == []


# -- examples ----------------------------------------------------------------------------------------------------------

SAVED = (None, {"inputs": {"no such column": [1]}})


def _examples(paths: dict[str, Any]) -> dict[str, Any]:
    """Return the example of each route that takes a body, or None."""
    bodies = {path: item["post"]["requestBody"] for path, item in paths.items() if "post" in item}
    return {path: body["content"][JSON].get("example") for path, body in bodies.items()}


def _example(signature: Signature, body: object, path: str = "/models/model/predict") -> Any:
    document = openapi_document([contract_of(signature, example=body)])
    return document["paths"][path]["post"]["requestBody"]["content"][JSON].get("example")


def test_split_example_as_records() -> None:
    """A model's example, saved as a split table, is shown as records: the first two, with its params."""
    table = {"columns": ["a"], "data": [[1.5], [2.5], [3.5]]}
    body = {"dataframe_split": table, "params": {"temperature": 0.1}}
    expected = {"inputs": [{"a": 1.5}, {"a": 2.5}], "params": {"temperature": 0.1}}
    assert _example(SIGNATURES["params"], body) == expected
    assert _example(SIGNATURES["params"], body, "/invocations") == body


def test_unnamed_example_as_rows() -> None:
    """Of columns without names, an example is shown as rows; of tensors as it is."""
    assert _example(SIGNATURES["unnamed"], {"dataframe_split": {"columns": [0, 1], "data": [[1.5, "a"]]}}) == {
        "inputs": [[1.5, "a"]]
    }
    tensor = [[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]
    assert _example(SIGNATURES["tensor"], {"inputs": tensor}) == {"inputs": tensor}


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": {"columns": ["a"], "data": [["text"]]}},
        {"dataframe_split": {"columns": ["b"], "data": [[1.5]]}},
        {"dataframe_split": {"columns": ["a"]}},
        {"inputs": [[float("nan")]]},
        {"inputs": [{"$ref": "#/nowhere"}]},
        [1.5],
    ],
    ids=str,
)
def test_no_wrong_example(body: object) -> None:
    """Where the saved one does not fit, or a reader of the document would stumble over it, one is made instead."""
    assert _example(SIGNATURES["params"], body) == {"inputs": [{"a": 1.5}]}
    assert _example(SIGNATURES["params"], body, "/invocations") == {
        "dataframe_split": {"columns": ["a"], "data": [[1.5]]}
    }


def test_no_example_of_a_model_that_declares_nothing() -> None:
    """Without a signature, a saved body is the only example; there is none where nothing was saved or it is empty."""
    body = {"inputs": [[1, "a"]]}
    assert _example(SIGNATURES["none"], body) == body
    assert _example(SIGNATURES["none"], body, "/invocations") == body
    assert _example(SIGNATURES["none"], {"dataframe_split": {"columns": []}}) is None
    assert _example(SIGNATURES["none"], {"params": {}}, "/invocations") is None


@pytest.mark.parametrize("saved", SAVED, ids=["none saved", "saved that fits none"])
@pytest.mark.parametrize("name", sorted(SIGNATURES))
def test_every_example_is_taken(name: str, saved: object) -> None:
    """The example of each route, made from the signature, is read there, and taken by the signature."""
    contract = contract_of(SIGNATURES[name], example=saved)
    paths = openapi_document([contract])["paths"]
    endpoints: dict[str, Endpoint] = {}
    for protocol in (typed, mlflow, inference_v2, tf_serving):
        endpoints |= protocol.predict_paths(contract)
    shown = {path: told for path, told in _examples(paths).items() if told is not None}
    for path, body in shown.items():
        method = path.rpartition("/")[2] if path.startswith("/models/") else "predict"
        call_with(endpoints[path], contract.signatures[method], body)
    unshown = {path for path, told in _examples(paths).items() if told is None}
    assert {re.sub("/versions/1", "", path) for path in unshown} == _unshown(name, saved)


def _unshown(name: str, saved: object) -> set[str]:
    """Return the routes without an example, none of them with a version."""
    tensors = {"/v1/models/model:predict", "/v2/models/model/infer"}
    if name == "hostile":  # a column is called "$ref", and would be a key
        return {"/models/model/predict", "/v1/models/model:predict"}
    if name in UNSHOWN or (name == "none" and saved is None):
        return {"/models/model/predict", "/invocations", *tensors}
    return tensors if name == "none" else set()


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


def test_same_document_twice() -> None:
    """The same models give the same bytes."""
    first, second = (json.dumps(openapi_document(every_contract())) for _ in range(2))
    assert first == second


def test_no_framework_needed(run_python: Callable[..., Any]) -> None:
    """Making the document and its page loads no framework, nor any library of tables."""
    script = """
import sys
import palate.serving._docs_page, palate.serving._openapi.document
from palate.schema import ColSpec, Schema
from palate.serving._contract import ModelContract
from palate.signature import Signature
signature = Signature(inputs=Schema((ColSpec(type="double", name="a"),)))
contract = ModelContract(name="m", version="1", default_method="predict", signatures={"predict": signature}, flavor="f")
document = palate.serving._openapi.document.openapi_document([contract])
palate.serving._docs_page.render_docs(document)
print(sorted({"pandas", "pyarrow", "polars", "scipy", "sklearn", "torch", "xgboost", "tensorflow"} & set(sys.modules)))
"""
    finished = run_python(script)
    assert (finished.stdout, finished.stderr) == ("[]\n", "")


# -- the page ----------------------------------------------------------------------------------------------------------


class _Page(HTMLParser):
    """What stands on a page: its elements, what they refer to, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.attributes: set[str] = set()
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "action")]
        if tag not in ("meta", "br"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_page_fetches_nothing() -> None:
    """The page has no script, no inline style, and refers to nothing but the document beside it."""
    page = _Page(render_docs(openapi_document(every_contract())).decode())
    assert page.links[0] == "openapi.json"
    assert all(link.startswith("#") for link in page.links[1:])
    assert "script" not in page.tags
    assert not {name for name in page.attributes if name.startswith("on") or name == "style"}


def test_page_shows_what_is_known() -> None:
    """The page shows every route, and a column's type, bounds, categories and whether it is required."""
    document = openapi_document([contract_of(SIGNATURES["facts"], name="customers")])
    text = " ".join(_Page(render_docs(document, base_url="http://host:1").decode()).texts)
    for path in document["paths"]:
        assert (path in text) == ("/versions/" not in path)
    for told in (
        "at least 1; at most 150",
        'one of "red", "green", null',
        "integer (int64)",
        "required",
        "Europe/Vienna",
    ):
        assert told in text
    assert "curl http://host:1/models/customers/predict --header 'Content-Type: application/json' --data '{" in text


def test_page_escapes_names() -> None:
    """Names of columns and models are text on the page, whatever is in them."""
    contract = contract_of(SIGNATURES["hostile"], name="<img src=x onerror=alert(1)>")
    page = _Page(render_docs(openapi_document([contract], title="<b>&")).decode())
    assert {"img", "b"}.isdisjoint(page.tags)
    assert {name for name in HOSTILE_NAMES if name.isprintable() and name} <= set(page.texts)


def test_page_has_a_policy() -> None:
    """The policy allows the page's own style, by its hash, and nothing else."""
    page = render_docs(openapi_document([])).decode()
    style = page.partition("<style>")[2].partition("</style>")[0]
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert docs_policy().decode().startswith(f"default-src 'none'; style-src 'sha256-{digest}';")

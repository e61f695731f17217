"""The MLmodel document: what is accepted, what survives, and what is written."""

from __future__ import annotations

import contextlib
import json
import subprocess
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import palate
from palate.errors import InvalidModelFile, InvalidOption, InvalidSignature
from palate.model_file import ModelFile, build_model_file, parse_model_file, plain_problems
from palate.schema import ColSpec, ParamSpec, Schema, TensorSpec
from palate.signature import Signature

STORED = sorted((Path(__file__).parent / "data" / "mlflow_models").glob("*/model/MLmodel"))
SECTIONS = {
    "sklearn": {"pickled_model": "model.skops", "sklearn_version": "1.9.1", "code": None},
    "python_function": {"loader_module": "mlflow.sklearn", "model_path": "model.skops", "predict_fn": "predict"},
}
SIGNATURE = Signature(
    inputs=Schema(
        (
            ColSpec(type="double", name="age"),
            ColSpec(type="string", name="city", categories=("Bern", "Chur"), categorical=True),
            ColSpec(type="long", name="rooms", required=False, categories=(1, 2, 3)),
        )
    ),
    outputs=Schema((TensorSpec(dtype="int64", shape=(-1,)),)),
    params=(ParamSpec(name="alpha", type="double", default=0.5),),
)


def _build(**changes: object) -> ModelFile:
    facts: dict[str, object] = {
        "flavors": SECTIONS,
        "signature": None,
        "model_uuid": "0" * 32,
        "utc_time_created": datetime(2026, 11, 23, 6, 1, 16, tzinfo=UTC),
        "model_size_bytes": 1289,
        "run_id": None,
        "metadata": None,
        "example_info": None,
        "palate": {"flavor": "sklearn"},
    }
    return build_model_file(**{**facts, **changes})


def _parse(document: object) -> ModelFile:
    return parse_model_file(json.dumps(document).encode())


# -- files saved by stock MLflow ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.parent.parent.name)
def test_files_of_stock_mlflow_lose_nothing(path) -> None:
    """Every stored MLmodel of MLflow parses to what PyYAML reads, and is the same after a rewrite."""
    text = path.read_bytes()
    parsed = parse_model_file(text)
    assert parsed.document == yaml.safe_load(text)
    assert parse_model_file(parsed.to_yaml().encode()) == parsed
    assert yaml.safe_load(parsed.to_yaml()) == parsed.document
    assert parsed.palate == {}
    assert parsed.mlflow_version == "3.17.2"
    assert parsed.pyfunc is not None


def test_the_views_show_what_the_file_says() -> None:
    """Each property gives its key of the document."""
    parsed = parse_model_file(next(path for path in STORED if "sk_predict_proba" in str(path)).read_bytes())
    assert list(parsed.flavors) == ["python_function", "sklearn"]
    assert parsed.flavor("sklearn")["sklearn_version"] == "1.9.1"
    assert parsed.default_method == "predict_proba"
    assert [column.name for column in parsed.signature.inputs.columns] == ["a", "b", "c"]
    assert parsed.saved_input_example_info["type"] == "dataframe"
    assert len(parsed.model_uuid) == 32
    assert parsed.utc_time_created.startswith("2026-")
    assert (parsed.run_id, parsed.metadata) == (None, None)


def test_a_minimal_file_has_empty_views() -> None:
    """Every key is optional, as in MLflow; what is absent is None or empty."""
    parsed = parse_model_file(b"flavors: {}\n")
    assert (parsed.flavors, parsed.palate, parsed.pyfunc, parsed.signature) == ({}, {}, None, None)
    assert (parsed.run_id, parsed.metadata, parsed.saved_input_example_info) == (None, None, None)
    assert parsed.default_method == "predict"
    assert parse_model_file(b"mlflow_version: 1.10\n").mlflow_version == "1.10"


def test_a_null_section_counts_as_empty() -> None:
    """MLflow opens a model that has a null section beside the one it uses."""
    assert parse_model_file(b"flavors: {a: null}\n").flavor("a") == {}


def test_old_files_are_read() -> None:
    """A file of MLflow 1: env is text, most keys are absent, loader and data paths as they were."""
    text = b"""
artifact_path: model
flavors:
  python_function: {data: model.pkl, env: conda.yaml, loader_module: mlflow.sklearn, python_version: 3.7.3}
  sklearn: {pickled_model: model.pkl, serialization_format: cloudpickle, sklearn_version: 0.20.3}
run_id: e489aafbb8d04cc7b7a0d5a1d0e4b5b1
utc_time_created: '2019-12-03 16:15:46.216396'
"""
    parsed = parse_model_file(text)
    assert parsed.pyfunc["env"] == "conda.yaml"
    assert parsed.flavor("sklearn")["sklearn_version"] == "0.20.3"


def test_a_flavor_that_is_not_there_is_named_with_those_that_are() -> None:
    """Asking for a missing section says which ones the model has."""
    with pytest.raises(InvalidOption, match=r"no flavor 'torch' \(it has: sklearn, python_function\)"):
        _build().flavor("torch")


def test_unknown_keys_survive() -> None:
    """Keys that neither MLflow nor Palate knows are kept at every level."""
    document = {
        "flavors": {"sklearn": {"pickled_model": "m", "x": [1, {"y": None}]}, "mine": {"z": 1.5}},
        "some_tool": {"a": [True, "2020-01-01"]},
        "palate": {"format": 1, "future": {"k": 1}, "inputs": {"age": {"bounds": [0, 120]}}},
    }
    parsed = _parse(document)
    assert parsed.document == document
    assert yaml.safe_load(parsed.to_yaml()) == document


# -- problems ----------------------------------------------------------------------------------------------------------

PYFUNC = {"loader_module": "m"}


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ([], ""),
        (None, ""),
        ("text", ""),
        ({"flavors": []}, "flavors"),
        ({"flavors": {"a": "x"}}, "flavors.a"),
        ({"flavors": {"a": {"a_version": 1, "code": None}}}, None),
        ({"flavors": {"a": {"a_version": True}}}, "flavors.a.a_version"),
        ({"flavors": {"a": {"code": ["x"]}}}, "flavors.a.code"),
        ({"flavors": {"a": {"extra_files": "x"}}}, "flavors.a.extra_files"),
        ({"flavors": {"python_function": {}}}, "flavors.python_function.loader_module"),
        ({"flavors": {"python_function": {"loader_module": None}}}, "flavors.python_function.loader_module"),
        ({"flavors": {"python_function": {**PYFUNC, "data": None}}}, "flavors.python_function.data"),
        ({"flavors": {"python_function": {**PYFUNC, "data": ""}}}, None),
        ({"flavors": {"python_function": {**PYFUNC, "predict_fn": None}}}, "flavors.python_function.predict_fn"),
        ({"flavors": {"python_function": {**PYFUNC, "env": []}}}, "flavors.python_function.env"),
        ({"flavors": {"python_function": {**PYFUNC, "config": "x"}}}, "flavors.python_function.config"),
        ({"flavors": {"python_function": {**PYFUNC, "streamable": 1}}}, "flavors.python_function.streamable"),
        ({"flavors": {"python_function": {**PYFUNC, "artifacts": {"a": "x"}}}}, "flavors.python_function.artifacts.a"),
        ({"flavors": {"python_function": {**PYFUNC, "artifacts": {"a": {"path": 1}}}}},
         "flavors.python_function.artifacts.a"),
        ({"model_uuid": 3}, "model_uuid"),
        ({"run_id": 3}, "run_id"),
        ({"mlflow_version": 3.1}, None),
        ({"mlflow_version": ["3"]}, "mlflow_version"),
        ({"model_size_bytes": -1}, "model_size_bytes"),
        ({"model_size_bytes": True}, "model_size_bytes"),
        ({"metadata": []}, "metadata"),
        ({"metadata": None}, None),
        ({"prompts": [1]}, "prompts"),
        ({"env_vars": "A"}, "env_vars"),
        ({"is_signature_from_type_hint": "no"}, "is_signature_from_type_hint"),
        ({"saved_input_example_info": "x"}, "saved_input_example_info"),
        ({"signature": "x"}, "signature"),
        ({"signature": None}, None),
        ({"signature": {"inputs": None, "outputs": None, "params": None}}, "signature"),
        ({"signature": {"inputs": [1]}}, "signature.inputs"),
        ({"signature": {"inputs": "{"}}, "signature.inputs"),
        ({"signature": {"inputs": '[{"type": "float64"}]'}}, "signature.inputs.0"),
        ({"signature": {"inputs": '[{"type": "tensor", "tensor-spec": {"dtype": "int8", "shape": [-2]}}]'}},
         "signature.inputs.0.shape"),
        ({"palate": 1}, "palate"),
        ({"palate": {"flavor": "x"}}, "palate.format"),
        ({"palate": {"format": "1"}}, "palate.format"),
        ({"palate": {"format": 999}}, "palate.format"),
        ({"palate": {"format": 1, "inputs": []}}, "palate.inputs"),
        ({"palate": {"format": 1, "inputs": {"a": 1}}}, "palate.inputs.a"),
        ({"palate": {"format": 1, "inputs": {"a": {"categories": "x"}}}}, "palate.inputs.a.categories"),
        ({"palate": {"format": 1, "inputs": {"a": {"categories": [[]]}}}}, "palate.inputs.a.categories"),
        ({"palate": {"format": 1, "inputs": {"a": {"categorical": True}}}}, "palate.inputs.a.categories"),
        ({"palate": {"format": 1, "inputs": {"a": {"categorical": 1}}}}, "palate.inputs.a.categorical"),
        ({"palate": {"format": 1, "golden": ["x"]}}, "palate.golden"),
        ({"palate": {"format": 1, "source": "abc"}}, "palate.source"),
        ({"palate": {"format": 1, "flavor": 3}}, "palate.flavor"),
        ({"palate": {"format": 1, "unresolved_modules": "a"}}, "palate.unresolved_modules"),
        ({"palate": {"format": 1, "environment": ["a"]}}, "palate.environment"),
        ({"palate": {"format": 1, "environment": {"wheels": ["a"]}}}, "palate.environment.wheels"),
        ({"palate": {"format": 1, "environment": {"lock": None, "of_a_later_palate": 3}}}, None),
        ({"palate": {"format": 1, "of_a_later_palate": 3}}, None),
    ],
)  # fmt: skip
def test_each_known_key_has_a_type(document, place) -> None:
    """A wrong type is reported at its place; what MLflow writes or tolerates is not."""
    if place is None:
        assert _parse(document)
        return
    with pytest.raises(InvalidModelFile, match=r"^MLmodel is not valid") as caught:
        _parse(document)
    assert [".".join(map(str, problem.where)) for problem in caught.value.problems] == [place]


def test_all_problems_come_together() -> None:
    """One error lists what is wrong in flavors, signature, metadata and Palate's own section."""
    document = {
        "flavors": {"python_function": {"data": None}, "a": 1},
        "signature": {"inputs": '[{"type": "nope"}, {"type": "long", "x": 1}]', "outputs": "{"},
        "metadata": [],
        "palate": {"format": 0},
        3: "x",
    }
    with pytest.raises(InvalidModelFile) as caught:
        ModelFile(document)
    places = {problem.where[0] for problem in caught.value.problems}
    assert len(caught.value.problems) == 9
    assert places == {"flavors", "signature", "metadata", "palate", "3"}


def test_a_newer_format_says_upgrade() -> None:
    """Y44: a section of a later Palate is refused with the way on, and not judged by today's rules."""
    with pytest.raises(InvalidModelFile, match="is 2, from a newer Palate; this one reads up to 1: upgrade palate"):
        _parse({"palate": {"format": 2, "inputs": "something new"}})


def test_the_text_of_problems_stays_short() -> None:
    """A hostile value is not printed back at length."""
    with pytest.raises(InvalidModelFile) as caught:
        _parse({"flavors": "x" * 10_000, "run_id": list(range(1000))})
    assert len(str(caught.value)) < 300


@given(
    st.dictionaries(
        st.sampled_from(
            ["flavors", "signature", "metadata", "palate", "run_id", "python_function", "inputs", "format"]
        ),
        st.recursive(
            st.none() | st.booleans() | st.integers(0, 3) | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        ["python_function", "inputs", "format", "a", "categories", "artifacts", "loader_module"]
                    ),
                    inner,
                    max_size=4,
                )
            ),
        ),
    )
)
def test_any_plain_document_is_judged(document) -> None:
    """Judging ends in InvalidModelFile, or in a document that survives its own text."""
    with contextlib.suppress(InvalidModelFile):
        made = ModelFile(document)
        assert parse_model_file(made.to_yaml().encode()) == made


# -- what is written ---------------------------------------------------------------------------------------------------


def test_the_document_is_mlflows_with_one_section_more() -> None:
    """A model without extras has exactly the keys that MLflow writes, and ``palate``."""
    assert _build().to_yaml() == (
        "flavors:\n"
        "  python_function:\n    loader_module: mlflow.sklearn\n    model_path: model.skops\n    predict_fn: predict\n"
        "  sklearn:\n    code: null\n    pickled_model: model.skops\n    sklearn_version: 1.9.1\n"
        "mlflow_version: 3.17.2\n"
        "model_id: null\n"
        "model_size_bytes: 1289\n"
        f"model_uuid: '{'0' * 32}'\n"
        "palate:\n  flavor: sklearn\n  format: 1\n"
        "prompts: null\n"
        "utc_time_created: '2026-11-23 06:01:16.000000'\n"
    )


def test_optional_keys_appear_when_there_is_something_to_say() -> None:
    """Signature, run, metadata, example and size are written only when given, as MLflow does."""
    info = {"artifact_path": "input_example.json", "type": "dataframe"}
    built = _build(signature=SIGNATURE, run_id="r1", metadata={}, example_info=info, model_size_bytes=0)
    extra = {
        "signature",
        "is_signature_from_type_hint",
        "type_hint_from_example",
        "run_id",
        "metadata",
        "saved_input_example_info",
    }
    assert set(built.document) - set(_build().document) == extra
    assert "model_size_bytes" not in built.document
    assert (built.run_id, built.metadata, built.saved_input_example_info) == ("r1", {}, info)


def test_a_signature_that_declares_nothing_is_left_out() -> None:
    """MLflow refuses a signature of three nulls, so none is written."""
    assert "signature" not in _build(signature=Signature()).document


def test_the_signature_survives_with_its_facts() -> None:
    """Categories come back on their columns, though the signature JSON, which MLflow reads, has no trace of them."""
    built = parse_model_file(_build(signature=SIGNATURE).to_yaml().encode())
    assert built.signature == SIGNATURE
    assert "categor" not in str(built.document["signature"])
    assert built.palate["inputs"] == {
        "city": {"categories": ["Bern", "Chur"], "categorical": True},
        "rooms": {"categories": [1, 2, 3]},
    }


def test_facts_join_what_the_caller_knows_of_a_column() -> None:
    """Categories stand beside other facts on the same column, and replace none of them."""
    bounds = {"age": {"bounds": [0, 120]}, "city": {"note": "x"}}
    inputs = _build(signature=SIGNATURE, palate={"inputs": bounds}).palate["inputs"]
    assert inputs["age"] == {"bounds": [0, 120]}
    assert inputs["city"] == {"note": "x", "categories": ["Bern", "Chur"], "categorical": True}


def test_facts_find_columns_with_numbers_and_without_names() -> None:
    """Integer column names and unnamed columns keep their categories too, and text "0" is not 0."""
    for names in ((0, 1), ("0", "1"), (None, None)):
        columns = tuple(ColSpec(type="string", name=name, categories=("a", str(name))) for name in names)
        signature = Signature(inputs=Schema(columns))
        assert parse_model_file(_build(signature=signature).to_yaml().encode()).signature == signature


def test_times_and_numpy_scalars_can_be_categories() -> None:
    """Categories that pandas gives as timestamps or numpy scalars are stored as plain data and come back."""
    numpy = pytest.importorskip("numpy")
    moment = datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001 (columns of MLflow's type datetime are naive)
    columns = (
        ColSpec(type="datetime", name="t", categories=(moment,)),
        ColSpec(type="long", name="n", categories=(numpy.int64(3),)),
        ColSpec(type="string", name="s", categories=(numpy.str_("a"),)),
    )
    built = _build(signature=Signature(inputs=Schema(columns)))
    assert [column.categories for column in built.signature.inputs.columns] == [(moment,), (3,), ("a",)]
    assert parse_model_file(built.to_yaml().encode()) == built


@pytest.mark.parametrize("value", [b"x", (1, 2), float("nan"), None, object()])
def test_other_categories_are_refused(value) -> None:
    """A category that YAML cannot hold is an error that names the column and the type, not the value."""
    schema = Schema((ColSpec(type="string", name="city", categories=("a", value)),))
    with pytest.raises(InvalidSignature, match=r"inputs.city: categories of type \w+ cannot be stored"):
        _build(signature=Signature(inputs=schema))


def test_facts_on_columns_that_are_gone_do_not_matter() -> None:
    """After MLflow's set_signature() facts may name columns that no longer exist."""
    document = {
        "signature": {"inputs": '[{"type": "string", "name": "new", "required": true}]'},
        "palate": {"format": 1, "inputs": {"old": {"categories": ["a"], "categorical": True}}},
    }
    assert _parse(document).signature.inputs.columns == (ColSpec(type="string", name="new"),)


def test_signatures_from_type_hints_are_marked() -> None:
    """The mark that MLflow keeps beside the signature comes back as part of it."""
    signature = Signature(inputs=Schema((ColSpec(type="string"),)), from_type_hints=True)
    built = _build(signature=signature)
    assert built.document["is_signature_from_type_hint"] is True
    assert built.signature == signature


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC), "2026-01-02 03:04:05.000678"),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2))), "2026-01-02 01:04:05.000000"),
        (datetime(2026, 1, 2, 3, 4, 5), "2026-01-02 03:04:05.000000"),  # noqa: DTZ001
    ],
)
def test_the_time_is_written_as_mlflow_writes_it(moment, text) -> None:
    """UTC, without a zone, always with microseconds."""
    assert _build(utc_time_created=moment).utc_time_created == text


@pytest.mark.parametrize(
    "metadata",
    [{"a": float("nan")}, {"a": [float("inf")]}, {1: "a"}, {"a": (1, 2)}, {"a": datetime.now(UTC)}, {"a": {"b": b"x"}}],
)
def test_metadata_must_be_plain(tmp_path, metadata) -> None:
    """NaN, infinity, keys that are not text and other objects are refused with what may stand there (Y47)."""
    with pytest.raises(InvalidOption, match=r"^metadata: metadata.*use dicts with text keys"):
        palate.save_model(len, tmp_path / "m", metadata=metadata)


def test_plain_problems_names_every_place() -> None:
    """All that keeps data out of MLmodel is listed with where it stands."""
    value = {"a": {"b": {1, 2}}, "c": [object()]}
    assert [problem.where for problem in plain_problems(value, ("metadata",))] == [
        ("metadata", "a", "b"),
        ("metadata", "c", 0),
    ]
    assert plain_problems({"a": [1, 2.5, None, True, "x", {"b": {}}]}) == []


@pytest.mark.parametrize("section", [{"a": object()}, {"x_version": 1.5}, {"code": 3}])
def test_a_flavors_section_must_come_back_as_it_was(section) -> None:
    """A section that could not be handed back verbatim is refused while saving."""
    with pytest.raises(InvalidModelFile, match=r"flavors\.mine"):
        _build(flavors={"mine": section})


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=10),
        st.recursive(
            st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False, allow_infinity=False),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["version", "a"]), inner),
            max_leaves=6,
        ),
        max_size=5,
    )
)
def test_any_plain_metadata_survives(metadata) -> None:
    """parse_model_file(built.to_yaml()) == built, with the metadata as it was given."""
    built = _build(metadata=metadata)
    parsed = parse_model_file(built.to_yaml().encode())
    assert parsed == built
    assert parsed.metadata == metadata


@pytest.mark.mlflow
def test_stock_mlflow_reads_and_rewrites_what_is_built(mlflow_python, tmp_path) -> None:
    """MLflow loads our MLmodel with the same signature and carries our section through a rewrite."""
    built = _build(signature=SIGNATURE, metadata={"team": "é", "version": 1.5}, run_id="123")
    (tmp_path / "MLmodel").write_text(built.to_yaml(), encoding="utf-8")
    program = (
        "import sys; from mlflow.models import Model; m = Model.load(sys.argv[1]); "
        "assert m.signature.inputs.input_names() == ['age', 'city', 'rooms']; "
        "assert m.metadata['version'] == 1.5 and m.run_id == '123'; m.save(sys.argv[1] + '/MLmodel')"
    )
    subprocess.run([mlflow_python, "-c", program, str(tmp_path)], capture_output=True, check=True, timeout=120)
    rewritten = parse_model_file((tmp_path / "MLmodel").read_bytes())
    assert rewritten.palate == built.palate
    assert rewritten.signature == SIGNATURE
    assert rewritten.metadata == built.metadata

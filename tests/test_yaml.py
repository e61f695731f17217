"""The strict YAML reader and the deterministic writer."""

from __future__ import annotations

import contextlib
import json
import math
import subprocess
import time

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from palate._disk.strict_yaml import find_unplain, read_yaml, write_yaml
from palate.errors import InvalidModelFile


@pytest.fixture(params=["libyaml", "pure Python"])
def parser(request, monkeypatch) -> str:
    """Run a test with each of PyYAML's two parsers; which one is there depends on how PyYAML was built."""
    if request.param == "pure Python":
        monkeypatch.setattr(yaml, "__with_libyaml__", False)
    elif not yaml.__with_libyaml__:
        pytest.skip("PyYAML was built without libyaml")
    return request.param


def _read(text: str | bytes) -> object:
    return read_yaml(text.encode() if isinstance(text, str) else text, source="MLmodel")


HOSTILE = {
    "Y01 object tag": "a: !!python/object/apply:os.system [true]",
    "Y02 name tag": "a: !!python/name:os.system",
    "Y03 module tag": "a: !!python/module:antigravity",
    "Y04 new tag": "a: !!python/object/new:os.system [true]",
    "Y05 tag alias": "%TAG ! tag:yaml.org,2002:python/\n--- !object/apply:os.system [true]",
    "Y06 alias bomb": "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]",
    "Y06 alias": "a: *b",
    "Y07 merge key": "a: {<<: {b: 1}}",
    "Y08 self alias": "a: &a [*a]",
    "Y09 deep flow": "[" * 20_000,
    "Y10 deep block": "".join(" " * n + "a:\n" for n in range(100)),
    "Y10 deep list": "- " * 500 + "a",
    "Y11 equal keys": "a: 1\nb: 2\na: 3",
    "Y11 keys equal as values": "1: a\ntrue: b",
    "Y12 two documents": "a: 1\n---\nb: 1",
    "Y13 long integer": "a: " + "9" * 10_000,
    "Y13 float out of range": "a: 1.0e+999",
    "Y13 long float": "a: 0." + "1" * 1000,
    "Y15 binary": "a: !!binary aGVsbG8=",
    "Y15 set": "!!set {a, b}",
    "Y15 text tag": "a: !!str 1",
    "Y16 escaped NUL": 'a: "x\\0y"',
    "Y17 raw NUL": b"a: x\0y",
    "Y18 UTF-16": "a: 1".encode("utf-16"),
    "Y18 UTF-16 without mark": "a: 1".encode("utf-16-le"),
    "Y18 byte order mark": "\ufeffa: 1",
    "Y19 not UTF-8": b"a: \xff",
    "Y19 half a surrogate pair": 'a: "\\ud800"',
    "Y19 beyond Unicode": 'a: "\\UFFFFFFFF"',
    "Y20 large scalar": "a: " + "x" * 5_000_000,
    "Y21 large comment": "a: 1\n#" + "x" * 1_500_000,
    "Y21 large mapping": "".join(f"k{n}: 1\n" for n in range(150_000)),
    "Y22 tab": "a:\n\tb: 1",
    "Y23 version directive": "%YAML 1.1\n---\na: 1",
    "Y23 unknown version": "%YAML 9.9\n---\na: 1",
    "Y24 list as key": "? [a]\n: 1",
    "Y24 mapping as key": "{a: b}: 1",
    "Y24 not-a-number as key": ".nan: 1",
    "Y25 empty": "",
    "Y25 only a comment": "# nothing",
    "unclosed": "{a: [1, 2",
    "many nodes": "palate: [" + "1," * 500_001 + "]",
    "large palate": "palate: '" + "x" * 1_500_000 + "'",
    "large palate list": "palate: ['" + "x" * 9_000_000 + "']",
    "signature elsewhere": "metadata: {signature: {inputs: '" + "x" * 1_500_000 + "'}}",
    "larger than any": b"#" * (32 * 2**20 + 1),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_refused(name) -> None:
    """Every hostile document is refused quickly, as InvalidModelFile naming its source."""
    started = time.process_time()
    with pytest.raises(InvalidModelFile, match="MLmodel is not valid") as caught:
        _read(HOSTILE[name])
    assert time.process_time() - started < 5
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("name", [name for name, text in HOSTILE.items() if len(text) < 50_000])
def test_hostile_text_is_refused_by_either_parser(parser, name) -> None:
    """Where PyYAML has no libyaml, its own parser makes no hostile document acceptable."""
    with pytest.raises(InvalidModelFile):
        _read(HOSTILE[name])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("null", None), ("~", None), ("true", True), ("False", False), ("TRUE", True), ("0", 0), ("-12", -12),
        ("+3", 3), ("9" * 40, int("9" * 40)), ("1.5", 1.5), ("1.", 1.0), (".5", 0.5), ("-0.0", -0.0),
        ("1.0e+20", 1e20), ("1.0e-07", 1e-7), (".inf", math.inf), ("-.INF", -math.inf),
        ("'1'", "1"), ('"true"', "true"), ("''", ""), ("yes", "yes"), ("Off", "Off"), ("n", "n"), ("010", "010"),
        ("0x1F", "0x1F"), ("0b1", "0b1"), ("1_000", "1_000"), ("12:30:45", "12:30:45"), ("2026-11-23", "2026-11-23"),
        ("2026-11-23 06:01:16.2", "2026-11-23 06:01:16.2"), ("3.11.7", "3.11.7"), ("1e5", "1e5"), ("tRUE", "tRUE"),
        ("=", "="), ("é 😀", "é 😀"), ("[]", []), ("{}", {}),
    ],
)  # fmt: skip
def test_scalars_are_resolved_narrowly(parser, text, value) -> None:
    """Only null, true, false and decimal numbers are more than text (Y14)."""
    found = _read(f"a: {text}")
    assert found == {"a": value}
    assert type(found["a"]) is type(value)
    assert math.copysign(1, found["a"]) == math.copysign(1, value) if isinstance(value, float) else True


def test_not_a_number_is_read() -> None:
    """.nan, which stock MLflow writes into metadata, is a float."""
    assert math.isnan(_read("a: .nan")["a"])


def test_versions_stay_text() -> None:
    """Numbers under MLflow's and the flavors' version keys are text: 1.10 is not 1.1 (Y14)."""
    text = "mlflow_version: 3.10\nflavors: {sklearn: {sklearn_version: 1.10, code: null}}\nx_version: null"
    expected = {"mlflow_version": "3.10", "flavors": {"sklearn": {"sklearn_version": "1.10", "code": None}}}
    assert _read(text) == {**expected, "x_version": None}


def test_the_authors_versions_stay_numbers() -> None:
    """In metadata and model configs, a number called version is the author's number and survives a rewrite."""
    document = {"metadata": {"version": 1.5}, "flavors": {"python_function": {"config": {"version": 3}}}}
    assert _read(write_yaml(document)) == document


def test_json_is_read(parser) -> None:
    """JSON text is YAML: an MLmodel that was written as JSON is read as such."""
    document = {"flavors": {"a": {"b": [1, 2.5, None, True, 'x\n"y" \\ / é']}}, "empty": {}}
    assert _read(json.dumps(document, indent=1)) == document


def test_a_problem_names_its_line_and_place() -> None:
    """The error says where: the line, the path to the key, and what is wrong."""
    with pytest.raises(InvalidModelFile) as caught:
        _read("flavors:\n  sklearn:\n    data: 1\n    data: 2\n")
    assert str(caught.value) == "MLmodel is not valid: flavors.sklearn: line 4: the key 'data' stands there twice"
    assert caught.value.problems[0].where == ("flavors", "sklearn")


def test_wide_signatures_are_read() -> None:
    """Models with 60,000 columns have large signatures and large facts about columns; both are read."""
    columns = json.dumps([{"type": "double", "name": f"ENSG{n:011}", "required": True} for n in range(60_000)])
    facts = {f"ENSG{n:011}": {"categories": ["a", "b"]} for n in range(10_000)}
    document = {"signature": {"inputs": columns, "outputs": columns, "params": None}, "palate": {"inputs": facts}}
    assert len(columns) > 3_000_000
    assert _read(write_yaml(document)) == document


@settings(max_examples=300)
@given(st.binary(max_size=200))
@example(b"\xc2\x85: [\xe2\x80\xa8]")
@example(b"!<!> a")
@example(b"- - - ? - : *")
def test_any_bytes_give_data_or_our_error(data) -> None:
    """Whatever the bytes, the reader returns plain data or raises InvalidModelFile."""
    with contextlib.suppress(InvalidModelFile):
        assert list(find_unplain(_read(data))) == []


TOKENS = "a b : - ? [ ] { } , & * ! !! | > ' \" % @ ` # 1 1.5 ~ .nan << --- ... \n \t \\u \\x".split(" ")


@settings(max_examples=300)
@given(st.lists(st.sampled_from([*TOKENS, " ", "\n", "\n  "]), max_size=30).map("".join))
def test_any_arrangement_of_yaml_tokens_gives_data_or_our_error(text) -> None:
    """Text made of YAML's own tokens gives plain data or InvalidModelFile, never another error."""
    with contextlib.suppress(InvalidModelFile):
        assert list(find_unplain(_read(text))) == []


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
WORDS = (
    "null ~ true False yes NO on off y n 1 -1 +1 1.5 .5 1. 1e5 1.0e+5 .inf -.INF .nan 0x10 010 0o7 0b1 1_000 12:30:45 "
    "2026-11-23 2026-11-23T06:01:16Z = << - ? : # & * ! | > ' \" % @ ` [] {} --- ... 3.10 1.10"
)
LOOKALIKES = st.sampled_from(WORDS.split()) | st.sampled_from(
    ["", " ", " a", "a ", "\n", "a\n", "\na", "a: b", "a #b", "\t", "\x85", "\u2028", "\ufeff", "\ufffe"]
)
SCALARS = st.none() | st.booleans() | st.integers(-(10**39), 10**39) | st.floats(allow_nan=False) | TEXT | LOOKALIKES
KEYS = TEXT | LOOKALIKES | st.integers(-99, 99)
PLAIN = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=20)


def _types(value: object) -> object:
    """Return the shape of data with its types: True == 1 == 1.0, but they are not the same data."""
    if isinstance(value, list):
        return [_types(inner) for inner in value]
    if isinstance(value, dict):
        return {repr(key): _types(inner) for key, inner in value.items()}
    return type(value)


@given(PLAIN)
def test_what_is_written_is_read_back(document) -> None:
    """read_yaml(write_yaml(x)) == x for all plain data, however much its text looks like something else."""
    found = _read(write_yaml(document))
    assert found == document
    assert _types(found) == _types(document)


@given(PLAIN)
def test_what_is_written_reads_the_same_elsewhere(document) -> None:
    """PyYAML's safe_load, which is what stock MLflow uses, reads the same data."""
    assert yaml.safe_load(write_yaml(document)) == document


@given(st.dictionaries(TEXT, SCALARS, max_size=8), st.randoms())
def test_the_same_data_gives_the_same_text(document, random) -> None:
    """The order in which keys were inserted does not show."""
    items = list(document.items())
    random.shuffle(items)
    assert write_yaml(dict(items)) == write_yaml(document)


def test_the_text_is_in_block_style_with_sorted_keys_and_no_aliases() -> None:
    """Shared lists are written out; keys stand sorted, one to a line, long text unfolded, letters as they are."""
    shared = ["é"]
    assert write_yaml({"b": shared, "a": {"y": shared, "x": "word " * 40}}) == (
        "a:\n  x: '" + "word " * 40 + "'\n  y:\n  - é\nb:\n- é\n"
    )


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": (1, 2)}, "a: is a tuple"),
        ({"a": {1, 2}}, "a: is a set"),
        ({"a": b"x"}, "a: is a bytes"),
        ({"a": "x\0"}, "a: holds a character that is not text"),
        ({"a": "\ud800"}, "a: holds a character that is not text"),
        ({"a": 10**40}, "more than 40 digits"),
        ({(1, 2): 1}, "is a tuple"),
        ({math.nan: 1}, "not-a-number cannot be a key"),
        ({"a": type("Text", (str,), {})("x")}, "Text; use dict, list, str"),
    ],
)
def test_only_plain_data_is_written(value, message) -> None:
    """What YAML could not bring back as it was is refused, saying where it stands."""
    with pytest.raises(InvalidModelFile, match=message):
        write_yaml(value)


def test_nothing_is_written_that_could_not_be_read() -> None:
    """The limits of the reader hold for the writer, so that no save produces an unreadable model."""
    with pytest.raises(InvalidModelFile, match="more than 1 MiB"):
        write_yaml({"metadata": {"notes": "x" * 2_000_000}})
    deep: list[object] = []
    for _ in range(100):
        deep = [deep]
    with pytest.raises(InvalidModelFile, match="nested deeper than 64"):
        write_yaml(deep)


def test_data_that_contains_itself_is_refused() -> None:
    """A list that contains itself is refused, not followed for ever."""
    knot: list[object] = []
    knot.append(knot)
    with pytest.raises(InvalidModelFile, match="nested deeper"):
        write_yaml(knot)


@pytest.mark.mlflow
def test_stock_mlflow_reads_what_is_written(mlflow_python, tmp_path) -> None:
    """MLflow's own reader of MLmodel gets the same metadata out of our text."""
    metadata = {"texts": ["yes", "1.0", "12:30", "2026-11-23", "é 😀", "a\nb", ""], "numbers": [1, 1.5e-7, True, None]}
    document = {"flavors": {}, "metadata": metadata, "mlflow_version": "3.10"}
    (tmp_path / "MLmodel").write_text(write_yaml(document), encoding="utf-8")
    program = (
        "import json, sys; from mlflow.models import Model; m = Model.load(sys.argv[1]); "
        "print(json.dumps([m.metadata, m.mlflow_version]))"
    )
    done = subprocess.run(
        [mlflow_python, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True, timeout=120
    )
    assert json.loads(done.stdout.splitlines()[-1]) == [metadata, "3.10"]

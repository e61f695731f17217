"""What a .skops file may look like: the archive, its document, and every use of a name (S12-S20, mutants)."""

from __future__ import annotations

import contextlib
import copy
import functools
import io
import json
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from palate.errors import UnsafeModel
from sklearn_flavor._archive import SkopsArchive
from sklearn_flavor._audit import audit_archive

X, Y = load_iris(return_X_y=True)
SECTION = {"pickled_model": "model.skops", "serialization_format": "skops"}


def members_of(model: object) -> dict[str, bytes]:
    """Return the members of the file that skops writes for *model*."""
    with zipfile.ZipFile(io.BytesIO(skops.io.dumps(model))) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(folder: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    """Write a .skops file of these members."""
    path = folder / "model.skops"
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def nodes_of(document: Any, loader: str) -> list[dict[str, Any]]:
    """Return every node of one kind."""
    found, stack = [], [document]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            if item.get("__loader__") == loader:
                found.append(item)
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
    return found[::-1]


def forge(folder: Path, model: object, change: Callable[[Any], object]) -> Path:
    """Write what skops writes for *model* with its document changed."""
    members = members_of(model)
    document = json.loads(members["schema.json"])
    changed = change(document)
    members["schema.json"] = json.dumps(changed if isinstance(changed, list) else document).encode()
    return write(folder, members)


@functools.cache
def pipeline() -> Any:
    """Return a fitted pipeline of four steps, with a function in it."""
    steps = [FunctionTransformer(np.log1p), StandardScaler(), SelectKBest(k=2), LogisticRegression(max_iter=500)]
    return make_pipeline(*steps).fit(X, Y)


def function(document: Any) -> dict[str, Any]:
    """Return the node of the pipeline's numpy function."""
    return next(node for node in nodes_of(document, "FunctionNode") if node["__class__"] == "log1p")


def name_function(module: str, name: str) -> Callable[[Any], object]:
    """Return a change that names another function in the pipeline."""
    return lambda document: function(document).update(__module__=module, __class__=name)


def replace_function(node: dict[str, Any]) -> Callable[[Any], object]:
    """Return a change that puts another node in the place of the pipeline's function."""

    def change(document: Any) -> None:
        target = function(document)
        target.clear()
        target.update(node)

    return change


def node(loader: str, name: str, **rest: object) -> dict[str, Any]:
    """Return a node as skops writes it."""
    module, _, kind = name.rpartition(".")
    return {"__loader__": loader, "__module__": module, "__class__": kind, **rest}


def text(value: object) -> dict[str, Any]:
    """Return the node of a scalar."""
    return node("JsonNode", "builtins.str", content=json.dumps(value), is_json=True)


def group(loader: str, *items: object) -> dict[str, Any]:
    """Return the node of a list or tuple."""
    return node(loader, {"ListNode": "builtins.list", "TupleNode": "builtins.tuple"}[loader], content=list(items))


MARK = text("touch {marker}")
NAMES: dict[str, Callable[[Any], object]] = {
    "S12 a function of another module": name_function("posix", "system"),
    "S12b a function of a submodule of scikit-learn": name_function("sklearn.datasets._base", "load_files"),
    "S12c a function that is not a ufunc": name_function("numpy", "load"),
    "S12d a type that opens files": replace_function(node("TypeNode", "numpy.memmap")),
    "S12e a builtin": replace_function(node("TypeNode", "builtins.eval")),
    "S14 operator of another module": replace_function(
        node("OperatorFuncNode", "os.system", attrs=group("TupleNode", MARK))
    ),
    "S14b operator": replace_function(
        node("OperatorFuncNode", "operator.methodcaller", attrs=group("TupleNode", text("fit")))
    ),
    "S14c operator.call": replace_function(
        node("OperatorFuncNode", "operator.call", attrs=group("TupleNode", node("TypeNode", "posix.system"), MARK))
    ),
    "S15 method": replace_function(
        node(
            "MethodNode",
            "sklearn.preprocessing._data.StandardScaler",
            content={"func": "fit", "obj": node("ObjectNode", "sklearn.preprocessing._data.StandardScaler")},
        )
    ),
    "a class called with arguments": replace_function(
        node("ConstructorFromReduceNode", "pathlib.Path", content=group("TupleNode", MARK))
    ),
    "a function called by a list": replace_function(node("ListNode", "posix.system", content=[MARK])),
    "a listed function called by a list": replace_function(node("ListNode", "numpy.mean", content=[text(1)])),
    "a listed function called with arguments": replace_function(
        node("ConstructorFromReduceNode", "numpy.repeat", content=group("TupleNode", text(1), text(10**9)))
    ),
    "a class called by a dict": replace_function(
        node("DictNode", "subprocess.Popen", content={}, key_types=group("ListNode"))
    ),
    "a key type that is a function": replace_function(
        node(
            "DictNode",
            "builtins.dict",
            content={"touch": text(1)},
            key_types=group("ListNode", node("TypeNode", "posix.system")),
        )
    ),
    "a named tuple of no tuple": replace_function(node("TupleNode", "subprocess.Popen", content=[MARK])),
    "a loss that is a function": replace_function(
        node("LossNode", "posix.system", content=group("TupleNode"), __reduce__={"args": group("TupleNode", MARK)})
    ),
    "an object of another class": replace_function(node("ObjectNode", "logging.FileHandler")),
    "a partial of another function": replace_function(
        node(
            "PartialNode",
            "functools.partial",
            content={
                "func": node("FunctionNode", "os.system"),
                "args": group("TupleNode"),
                "kwds": text(None),
                "namespace": text(None),
            },
        )
    ),
    "a random generator of another kind": replace_function(
        node(
            "RandomGeneratorNode",
            "numpy.random._generator.Generator",
            content={
                "bit_generator": node(
                    "DictNode",
                    "builtins.dict",
                    content={"bit_generator": text("seed")},
                    key_types=group("ListNode", node("TypeNode", "builtins.str")),
                ),
                "seed_seq": text(None),
            },
        )
    ),
    "a distance that calls Python": replace_function(
        node("ObjectNode", "sklearn.metrics._dist_metrics.PyFuncDistance64")
    ),
    "an unlisted class of scikit-learn": replace_function(
        node("ObjectNode", "sklearn.datasets._base.RemoteFileMetadata")
    ),
}


@pytest.mark.parametrize("name", sorted(NAMES))
def test_name_is_refused(name, load, tmp_path):
    """A name used where it is not allowed is refused, and nothing is run."""
    marker = tmp_path / "marker"
    path = forge(tmp_path, pipeline(), NAMES[name])
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["schema.json"] = members["schema.json"].replace(b"{marker}", bytes(marker))
    write(tmp_path, members)
    with pytest.raises(UnsafeModel, match=r"model\.skops was refused: "):
        load(tmp_path, SECTION)
    assert not marker.exists()


def test_models_own_list_is_ignored(load, tmp_path):
    """S13: the types that MLmodel asks to trust are not trusted."""
    forge(tmp_path, pipeline(), name_function("posix", "system"))
    with pytest.raises(UnsafeModel, match=r"posix\.system \(a function\)"):
        load(tmp_path, {**SECTION, "skops_trusted_types": ["posix.system"]})


def test_allow_is_the_readers(load, tmp_path):
    """A name that the reader allows is built, and only that name."""
    forge(tmp_path, pipeline(), name_function("numpy", "fliplr"))
    with pytest.raises(UnsafeModel, match=r"numpy\.fliplr"):
        load(tmp_path, SECTION, allow=["numpy.flipud"])
    loaded = load(tmp_path, SECTION, allow=["numpy.fliplr"])
    assert loaded.steps[0][1].func is np.fliplr


# -- the document -------------------------------------------------------------------------------------------------


def deep(levels: int) -> Callable[[Any], object]:
    """Return a change that nests lists."""

    def change(document: Any) -> None:
        inner = text(1)
        for _ in range(levels):
            inner = group("ListNode", inner)
        replace_function(inner)(document)

    return change


def one_id_for_two(document: Any) -> None:
    """Give two estimators one id."""
    scaler, logistic = (
        n for n in nodes_of(document, "ObjectNode") if n["__class__"] in ("StandardScaler", "LogisticRegression")
    )
    logistic["__id__"] = scaler["__id__"]


def id_of_parent(document: Any) -> None:
    """Give a step the id of the list that it stands in."""
    steps = nodes_of(document, "ListNode")[0]
    steps["content"][0]["__id__"] = steps["__id__"]


def outputs_beyond_classes(document: Any) -> None:
    """Let a tree say that it has more outputs than it lists."""
    for tree in nodes_of(document, "TreeNode"):
        outputs = tree["__reduce__"]["args"]["content"][2]
        outputs["content"] = str(2**30)
        del outputs["__id__"]  # all small integers share one


DOCUMENTS: dict[str, tuple[Callable[[Any], object], str]] = {
    "S17 nested objects": (deep(150), "nested deeper"),
    "S19 id of the parent": (id_of_parent, "two different objects"),
    "S19b one id for two": (one_id_for_two, "two different objects"),
    "S19c cached node": (replace_function(node("CachedNode", "x.y", __id__=5)), "no current version of skops writes"),
    "id that is no number": (lambda d: d.update(__id__="x"), "not an integer"),
    "S20b outputs beyond the classes": (outputs_beyond_classes, "more outputs than it lists"),
    "unknown kind of node": (replace_function(node("EvalNode", "x.y")), "no current version of skops writes"),
    "node that is a list": (lambda d: d.update(content=[]), "not a mapping"),
    "node without a class": (lambda d: d.pop("__class__"), "no text under '__class__'"),
    "member that is not there": (
        lambda d: nodes_of(d, "NdArrayNode")[0].update(file="0.npy", type="numpy"),
        "names no member",
    ),
    "member outside": (
        lambda d: nodes_of(d, "NdArrayNode")[0].update(file="../x.npy", type="numpy"),
        "names no member",
    ),
    "container in a scalar": (lambda d: nodes_of(d, "JsonNode")[0].update(content=" [[[["), "holds a container"),
    "array of another kind": (lambda d: nodes_of(d, "NdArrayNode")[0].update(type="pickle"), "malformed"),
    "keys without types": (
        lambda d: nodes_of(d, "DictNode")[0]["key_types"].update(content=[]),
        "do not match its keys",
    ),
    "slice of lists": (replace_function(node("SliceNode", "builtins.slice", content={"start": []})), "slice"),
    "list without content": (lambda d: nodes_of(d, "ListNode")[0].update(content=None), "malformed at 'content'"),
    "protocol 0": (lambda d: d.update(protocol=0), "protocol is 0"),
    "protocol 99": (lambda d: d.update(protocol=99), "upgrade palate-sklearn"),
    "protocol True": (lambda d: d.update(protocol=True), "protocol is True"),
    "no protocol": (lambda d: d.pop("protocol"), "protocol is None"),
    "a list": (lambda d: [d], "not a mapping"),
}


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_document_is_refused(name, load, tmp_path):
    """A document that skops would not write is refused, with trust as without."""
    change, rule = DOCUMENTS[name]
    model = DecisionTreeClassifier().fit(X, Y) if "outputs" in name else pipeline()
    forge(tmp_path, model, change)
    for trust in (False, True):
        with pytest.raises(UnsafeModel, match=r"model\.skops was refused: ") as caught:
            load(tmp_path, SECTION, trust=trust)
        assert rule in str(caught.value)


@pytest.mark.parametrize(
    ("schema", "rule"),
    [
        (b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
        (b'{"a": 1, "a": 2}', "the key 'a' twice"),
        (b'{"protocol": NaN}', "not JSON"),
        (b"\xff\xfe", "cannot be read"),
        (b"", "cannot be read"),
    ],
)
def test_text_is_refused(schema, rule, load, tmp_path):
    """S17: what is not strict JSON of a bounded depth is refused."""
    write(tmp_path, {"schema.json": schema})
    with pytest.raises(UnsafeModel, match=rule):
        load(tmp_path, SECTION)


def test_repeated_objects_are_one(load, tmp_path):
    """An estimator held twice, as voting does, is one object again."""
    scaler = StandardScaler().fit(X)
    model = FunctionTransformer(np.add, kw_args={"a": scaler, "b": [scaler]})
    skops.io.dump(model, tmp_path / "model.skops")
    loaded = load(tmp_path, SECTION)
    assert loaded.kw_args["a"] is loaded.kw_args["b"][0]


def test_node_count_beyond_the_nodes_is_clipped(load, tmp_path):
    """S20: a node count larger than the node array is cut to it by scikit-learn, and the model is right."""
    model = DecisionTreeClassifier(random_state=0).fit(X, Y)

    def change(document: Any) -> None:
        for tree in nodes_of(document, "TreeNode"):
            tree["content"]["content"]["node_count"]["content"] = str(10**6)

    forge(tmp_path, model, change)
    loaded = load(tmp_path, SECTION)
    assert loaded.tree_.node_count == model.tree_.node_count
    assert np.array_equal(loaded.predict(X), model.predict(X))


# -- the archive --------------------------------------------------------------------------------------------------


def saved_array(array: np.ndarray, **options: Any) -> bytes:
    """Return an array as numpy saves it."""
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


def lying_header(shape: tuple[int, ...]) -> bytes:
    """Return a saved array of three numbers that says it has another shape."""
    data = saved_array(np.zeros(3))
    return data.replace(b"(3,), }", f"{shape}, }}".encode(), 1)


def with_array(data: bytes) -> Callable[[dict[str, bytes]], object]:
    """Return a change that puts other bytes in the place of an array."""

    def change(members: dict[str, bytes]) -> None:
        name = next(name for name in members if name.endswith(".npy"))
        members[name] = data

    return change


ARCHIVES: dict[str, tuple[Callable[[dict[str, bytes]], object], str]] = {
    "S16 pickled objects": (
        with_array(saved_array(np.array([{}, ()], dtype=object), allow_pickle=True)),
        "pickled objects",
    ),
    "array longer than its data": (with_array(lying_header((10**15,))), "not what its header says"),
    "array shorter than its data": (with_array(lying_header((1,))), "not what its header says"),
    "array of a negative size": (with_array(lying_header((-1,))), "negative|not what"),
    "array that is none": (with_array(b"hello"), "malformed"),
    "array with code for a header": (
        with_array(b"\x93NUMPY\x01\x00" + struct.pack("<H", 20) + b"__import__('os')   \n"),
        "malformed",
    ),
    "foreign member": (lambda members: members.update({"evil.py": b"x"}), "a member called 'evil.py'"),
    "member outside": (lambda members: members.update({"../0.npy": b"x"}), "a member called"),
    "member not mentioned": (lambda members: members.update({"1.npy": saved_array(np.zeros(1))}), "does not mention"),
    "no schema": (lambda members: members.pop("schema.json"), "no schema.json"),
}


@pytest.mark.parametrize("name", sorted(ARCHIVES))
def test_archive_is_refused(name, load, tmp_path):
    """A member that skops would not write is refused before skops sees it."""
    change, rule = ARCHIVES[name]
    members = members_of(StandardScaler().fit(X))
    change(members)
    write(tmp_path, members)
    with pytest.raises(UnsafeModel, match=rule):
        load(tmp_path, SECTION)


def test_bomb_is_refused(load, tmp_path):
    """S18: a small file that would unpack to hundreds of megabytes is refused by its directory alone."""
    members = members_of(StandardScaler().fit(X))
    with_array(saved_array(np.zeros(40 << 20)))(members)
    path = write(tmp_path, members, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 1 << 20
    with pytest.raises(UnsafeModel, match="would unpack to"):
        load(tmp_path, SECTION)


def test_two_members_of_one_name(load, tmp_path):
    """A file in which two readers could see two documents is refused."""
    members = members_of(StandardScaler().fit(X))
    path = write(tmp_path, members)
    with zipfile.ZipFile(path, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.writestr("schema.json", members["schema.json"])
    with pytest.raises(UnsafeModel, match="two members of one name"):
        load(tmp_path, SECTION)


@pytest.mark.parametrize("data", [b"", b"PK", b"not a zip", b"\x80\x04N.", b"PK\x05\x06" + bytes(18)])
def test_no_archive(data, load, tmp_path):
    """What is no archive is refused."""
    (tmp_path / "model.skops").write_bytes(data)
    with pytest.raises(UnsafeModel, match=r"not a whole \.skops file|no schema\.json"):
        load(tmp_path, SECTION)


# -- damage -------------------------------------------------------------------------------------------------------

MUTANTS = """
import random, sys, tempfile, warnings
from pathlib import Path
import numpy as np
import sklearn_flavor
from palate._code.model_code import ModelCode
from palate.errors import PalateError
from palate.hookspecs import LoadOptions
warnings.simplefilter("ignore")
source, data, first, last = Path(sys.argv[1]).read_bytes(), np.load(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
section = {"pickled_model": "model.skops", "serialization_format": "skops"}
options = LoadOptions(code=ModelCode(None))
folder = Path(tempfile.mkdtemp())
def load(content):
    (folder / "model.skops").write_bytes(content)
    return sklearn_flavor.load_model(path=folder, config=section, options=options)
expected = load(source).predict_proba(data)
refused = equal = 0
for seed in range(first, last):
    dice = random.Random(seed)
    mutant = bytearray(source)
    for _ in range(dice.choice([1, 1, 2, 8])):
        place = dice.randrange(len(mutant))
        mutant[place] = dice.randrange(256) if dice.random() < 0.5 else mutant[place] ^ 1 << dice.randrange(8)
    if dice.random() < 0.1:
        mutant = mutant[: dice.randrange(len(mutant))]
    try:
        model = load(bytes(mutant))
    except PalateError:
        refused += 1
    else:
        assert np.array_equal(model.predict_proba(data), expected), seed
        equal += 1
print(refused, equal)
"""


@pytest.mark.slow
def test_mutants_are_refused_or_equal(save, run_python, tmp_path):
    """400 damaged copies of a saved forest are refused, or load as the same model; none ends the process."""
    path, section = save(RandomForestClassifier(5, random_state=0).fit(X, Y))
    np.save(tmp_path / "data.npy", X)
    done = run_python(MUTANTS, path / section["pickled_model"], tmp_path / "data.npy", 0, 400)
    assert done.returncode == 0, done.stderr[-2000:]
    refused, equal = map(int, done.stdout.split())
    assert refused + equal == 400
    assert refused > 300


MEMBERS = members_of(DecisionTreeClassifier().fit(X, Y))


@st.composite
def damaged_documents(draw: st.DrawFn) -> dict[str, Any]:
    """A tree's document with a few of its values replaced by any JSON, or by other parts of itself."""
    document = copy.deepcopy(json.loads(MEMBERS["schema.json"]))
    scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(max_size=8) | st.just([]) | st.just({})
    for _ in range(draw(st.integers(1, 3))):
        places = [
            (item, key)
            for loader in ("DictNode", "NdArrayNode", "JsonNode", "TreeNode", "TypeNode", "TupleNode")
            for item in nodes_of(document, loader)
            for key in item
        ]
        item, key = draw(st.sampled_from(places))
        other, other_key = draw(st.sampled_from(places))
        item[key] = draw(scalars | st.just(copy.deepcopy(other.get(other_key))))
    return document


@settings(max_examples=150, deadline=None)
@given(document=damaged_documents())
def test_damaged_documents_never_surprise(document):
    """Whatever the document says, the audit ends with an answer or with UnsafeModel."""
    members = {**MEMBERS, "schema.json": json.dumps(document).encode()}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with contextlib.suppress(UnsafeModel):
        contents = audit_archive(SkopsArchive.read(stream, "model.skops"), embedded=lambda name: None)
        assert all(isinstance(name, str) for name in contents.named)

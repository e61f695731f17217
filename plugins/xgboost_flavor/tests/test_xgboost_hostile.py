"""Hostile files: refused at once with the rule they break, with nothing run and nothing crashed."""

from __future__ import annotations

import copy
import json
import os
import pickle
import struct
import time
from typing import Any

import pytest
import xgboost as xgb

import palate
from palate.errors import InvalidModelFile, UnsafeModel, UnsafePath
from xgboost_flavor._document import Broken
from xgboost_flavor._jsontext import read_json
from xgboost_flavor._persistence import _check
from xgboost_flavor._ubjson import read_ubjson


def encode_text(text: str) -> bytes:
    """Return a length and a text."""
    return b"L" + struct.pack(">q", len(text)) + text.encode()


@pytest.fixture(scope="module")
def documents(models) -> dict[str, Any]:
    """The documents of a model of each kind."""
    made = {}
    for name in (
        "tree booster",
        "category booster",
        "vectors",
        "parallel dart",
        "linear booster",
        "classifier",
        "early",
    ):
        model, _ = models[name]
        booster = model if isinstance(model, xgb.Booster) else model.get_booster()
        made[name] = json.loads(bytes(booster.save_raw("json")))
    return made


def at(document: Any, path: str) -> tuple[Any, Any]:
    """Return the holder and the key that *path* leads to; "trees" and "model" begin where a reader looks for them."""
    booster = document["learner"]["gradient_booster"]
    booster = booster.get("gbtree", booster)
    starts = {
        "trees": booster.get("model", {}).get("trees"),
        "model": booster.get("model"),
        "learner": document["learner"],
    }
    head, *steps = path.split("/")
    holder: Any = starts.get(head, document)
    steps = steps if head in starts else [head, *steps]
    for step in steps[:-1]:
        holder = holder[int(step) if isinstance(holder, list) else step]
    return holder, int(steps[-1]) if isinstance(holder, list) else steps[-1]


# What is set, to which value, and what the refusal says.
NODES: list[tuple[str, str, Any, str]] = [
    ("tree booster", "trees/0/left_children/0", 2**30, "children are outside"),
    ("tree booster", "trees/0/left_children/0", -2, "children are outside"),
    ("tree booster", "trees/0/left_children/0", 0, "children are outside"),
    ("tree booster", "trees/0/right_children/0", 2**30, "right child is not the one after"),
    ("tree booster", "trees/0/right_children/0", 1, "right child is not the one after"),
    ("tree booster", "trees/0/right_children/0", -1, "right child is not the one after"),
    ("tree booster", "trees/0/left_children/1", 1, "children are outside|not its child's parent"),
    ("tree booster", "trees/0/left_children/2", -1, "is no other node's child"),
    ("tree booster", "trees/0/parents/1", 2**30, "is not its child's parent"),
    ("tree booster", "trees/0/parents/0", 1, "is the root, and has a parent"),
    ("tree booster", "trees/0/split_indices/0", 2**30, "its feature is not one of 4"),
    ("tree booster", "trees/0/split_indices/0", -1, "its feature is not one of 4"),
    ("tree booster", "trees/0/split_indices/0", 4, "its feature is not one of 4"),
    ("tree booster", "trees/0/default_left/0", 2, "default_left is neither"),
    ("tree booster", "trees/0/id", 1, "has the id 1"),
    ("tree booster", "trees/1/id", 0, "has the id 0"),
    ("tree booster", "trees/0/tree_param/num_nodes", "1000000000", "another length than its num_nodes"),
    ("tree booster", "trees/0/tree_param/num_nodes", "0", "has no nodes"),
    ("tree booster", "trees/0/tree_param/num_nodes", "-5", "must be a number up to"),
    ("tree booster", "trees/0/tree_param/num_nodes", " 5", "must be a number up to"),
    ("tree booster", "trees/0/tree_param/num_deleted", "1", "another number of deleted nodes"),
    ("tree booster", "trees/0/tree_param/size_leaf_vector", "3", "values a leaf"),
    ("tree booster", "trees/0/tree_param", {}, "no text num_nodes"),
    ("tree booster", "trees/0/sum_hessian", [1.0], "another length"),
    ("tree booster", "trees/0/left_children", [], "another length"),
    ("tree booster", "trees/0/base_weights", [], "weights of several"),
    ("tree booster", "trees/0/split_type", [], "another length"),
    ("tree booster", "trees/0", 5, "tree 0 is not an object"),
    ("vectors", "trees/0/leaf_weights", [1.0], "leaf_weights has 1 numbers"),
    ("vectors", "trees/0/leaf_weights", [], "its row of values is not there"),
    ("vectors", "trees/0/tree_param/size_leaf_vector", "1000000", "values a leaf, and the model 2 outputs"),
    ("vectors", "trees/0/base_weights", [1.0] * 7, "base_weights has 7 numbers"),
    ("category booster", "trees/0/categories/0", 2**31 - 1, "a category is not a number below"),
    ("category booster", "trees/0/categories/0", -1, "a category is not a number below"),
    ("category booster", "trees/0/categories_segments/0", 2**40, "do not lie one after"),
    ("category booster", "trees/0/categories_sizes/0", 2**62, "or more than the tree has"),
    ("category booster", "trees/0/categories_sizes/0", 0, "has no categories"),
    ("category booster", "trees/0/categories_sizes/0", -(2**63), "has no categories"),
    ("category booster", "trees/0/categories_nodes/0", 2**31 - 1, "categories_nodes are not the nodes"),
    ("category booster", "trees/0/categories_nodes", [], "not as many as its categorical"),
    ("category booster", "trees/0/split_type/0", 7, "a type that is neither"),
]  # fmt: skip

MODELS: list[tuple[str, str, Any, str]] = [
    ("classifier", "model/tree_info/0", 3, "the output of tree 0 is 3"),
    ("classifier", "model/tree_info/0", -1, "the output of tree 0 is -1"),
    ("classifier", "model/tree_info", [], "tree_info does not have a number"),
    ("classifier", "model/trees", {}, "tree_info does not have a number"),
    ("classifier", "model/iteration_indptr", [], "iteration_indptr"),
    ("classifier", "model/iteration_indptr", [0, 12, 3, 12], "iteration_indptr does not divide"),
    ("classifier", "model/iteration_indptr", [0, 2**40], "iteration_indptr does not divide"),
    ("classifier", "model/iteration_indptr", [-4, 12], "iteration_indptr does not divide"),
    ("classifier", "model/iteration_indptr", [0, 12.0], "not a list of numbers"),
    ("classifier", "model/gbtree_model_param/num_trees", "1000000000", "num_trees is not 12"),
    ("classifier", "model/gbtree_model_param/num_parallel_tree", "0", "num_parallel_tree is 0"),
    ("classifier", "model/gbtree_model_param/num_parallel_tree", "1431655766", "num_parallel_tree"),
    ("classifier", "learner/learner_model_param/num_class", "1000000000", "must be a number up to"),
    ("classifier", "learner/learner_model_param/num_class", "2", "num_class of the objective|base_score"),
    ("classifier", "learner/learner_model_param/num_class", "0", "num_class of the objective|base_score"),
    ("classifier", "learner/learner_model_param/num_target", "2", "do not go together"),
    ("classifier", "learner/learner_model_param/num_feature", "1000000000", "must be a number up to"),
    ("classifier", "learner/learner_model_param/num_feature", "0", "num_feature is 0"),
    ("classifier", "learner/learner_model_param/base_score", "[" * 100_000, "no list of numbers"),
    ("classifier", "learner/learner_model_param/base_score", "", "no list of numbers"),
    ("classifier", "learner/learner_model_param/base_score", "[nan,nan,nan]", "no list of numbers"),
    ("classifier", "learner/learner_model_param/base_score", "[1E99,1E999,0]", "not finite"),
    ("classifier", "learner/learner_model_param/base_score", "[5E-1,5E-1]", "base_score has 2 numbers"),
    ("classifier", "learner/objective/softmax_multiclass_param/num_class", "0", "num_class of the objective"),
    ("classifier", "learner/objective/softmax_multiclass_param/num_class", "4", "must be a number up to 3"),
    ("classifier", "learner/objective/name", "os.system", "its objective is 'os.system'"),
    ("classifier", "learner/objective", {"name": "reg:quantileerror"}, "no text quantile_alpha"),
    ("classifier", "learner/objective/evil_param", {}, "does not know"),
    ("classifier", "learner/feature_names", ["a"], "feature_names has 1 texts for 4"),
    ("classifier", "learner/feature_names", [1, 2, 3, 4], "not a list of texts"),
    ("classifier", "learner/feature_types", ["evil"] * 4, "feature_types has 'evil'"),
    ("classifier", "learner/gradient_booster/name", "evil", "its booster is 'evil'"),
    ("classifier", "learner/gradient_booster/name", "dart", "gbtree|dart has"),
    ("classifier", "learner/gradient_booster/evil", 1, "'evil', which this version"),
    ("classifier", "learner/evil", 1, "learner has 'evil'"),
    ("classifier", "version", [3, 2], "version is not three numbers"),
    ("classifier", "version", [3, 2, 2**70], "a part of version"),
    ("early", "learner/attributes/best_iteration", "-5", "must be a number up to"),
    ("early", "learner/attributes/best_iteration", "1000000", "must be a number up to"),
    ("early", "learner/attributes/scikit_learn", "[" * 100_000, "the attribute scikit_learn"),
    ("early", "learner/attributes/other", 1, "not an object of texts"),
    ("parallel dart", "learner/gradient_booster/weight_drop", [1.0], "weight_drop is not a number for each"),
    ("linear booster", "model/weights", [1.0], "weights has 1 numbers"),
    ("linear booster", "model/weights", [], "weights has 0 numbers"),
    ("linear booster", "model/boosted_rounds", 2**40, "boosted_rounds is"),
    ("category booster", "model/cats/sorted_idx/0", 2**30, "sorted_idx of cats does not order"),
    ("category booster", "model/cats/sorted_idx", [], "sorted_idx of cats has another length"),
    ("category booster", "model/cats/feature_segments/3", 2**30, "feature_segments of cats"),
    ("category booster", "model/cats/enc", [], "feature_segments of cats"),
    ("category booster", "model/cats/enc", [1] * 8, "is neither text nor numbers"),
    ("category booster", "model/cats/enc/6/offsets/1", 2**30, "do not divide its text"),
    ("category booster", "model/cats/enc/6/values", [], "do not divide its text"),
    ("category booster", "model/cats/enc/7/type", 12, "categories of type 12"),
    ("category booster", "model/cats/enc/7/type", 99, "must be an integer from 0 to 16"),
]  # fmt: skip


# The arrays of integers that UBJSON has packed.
FIELDS = """left_children right_children parents split_indices categories categories_nodes sorted_idx feature_segments
offsets categories_segments categories_sizes default_left split_type""".split()


def fits_ubjson(path: str, value: Any) -> bool:
    """Whether the array at *path* can hold the number at all."""
    name = next((step for step in reversed(path.split("/")) if not step.isdigit()), "")
    size = {"categories_segments": 8, "categories_sizes": 8, "default_left": 1, "split_type": 1, "boosted_rounds": 8}
    if not isinstance(value, int) or name not in FIELDS:
        return True
    return -(1 << 8 * size.get(name, 4) - 1) <= value < 1 << 8 * size.get(name, 4) - 1


@pytest.mark.parametrize("format_", ["json", "ubj"])
@pytest.mark.parametrize(("name", "path", "value", "rule"), NODES + MODELS)
def test_lie(name, path, value, rule, format_, documents, encode):
    """A single number or text that is not what xgboost would write is refused, in both formats, at once."""
    document = copy.deepcopy(documents[name])
    holder, key = at(document, path)
    assert (
        path.endswith(("evil", "evil_param", "best_iteration", "scikit_learn", "other"))
        or key in holder
        or isinstance(key, int)
    )
    holder[key] = value
    if format_ == "ubj" and (not fits_ubjson(path, value) or value == [0, 12.0] or value == [3, 2, 2**70]):
        pytest.skip("UBJSON has no place for this value")
    data = bytearray(json.dumps(document).encode() if format_ == "json" else encode(document))
    started = time.perf_counter()
    with pytest.raises(Broken, match=rule):
        _check(data)
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize(
    "name", ["tree booster", "category booster", "vectors", "classifier", "parallel dart", "linear booster"]
)
def test_own_encoding_is_accepted(name, documents, encode):
    """The documents above are accepted before anything is changed in them, so that each refusal means its rule."""
    _check(bytearray(encode(documents[name])))
    _check(bytearray(json.dumps(documents[name]).encode()))


@pytest.mark.parametrize("missing", ["left_children", "leaf_weights", "base_weights", "split_indices", "categories"])
def test_missing_array(missing, documents, encode):
    """xgboost reads arrays that are not there from wherever; a tree without one is refused."""
    document = copy.deepcopy(documents["vectors"])
    del at(document, "trees/0/id")[0][missing]
    with pytest.raises(Broken, match=f"{missing}"):
        _check(bytearray(encode(document)))


def test_depth(documents, run_python, tmp_path, encode, chain):
    """A tree of the greatest depth is used without a stack overflow; a deeper one is refused."""
    document = copy.deepcopy(documents["tree booster"])
    trees = at(document, "model/trees")[0]["trees"]
    trees[0].update(chain(1024))
    with pytest.raises(Broken, match="deeper than 1024 levels"):
        _check(bytearray(encode(document)))
    trees[0].update(chain(1023))
    data = encode(document)
    _check(bytearray(data))
    (tmp_path / "deep.ubj").write_bytes(data)
    script = """
import sys, numpy as np, xgboost as xgb
booster = xgb.Booster(model_file=sys.argv[1])
data = xgb.DMatrix(np.zeros((2, 4)), feature_names=booster.feature_names)
for option in ("output_margin", "pred_leaf", "pred_contribs"):
    booster.predict(data, **{option: True})
booster.get_dump()
print("whole")
"""
    assert run_python(script, tmp_path / "deep.ubj").stdout.strip() == "whole"


def test_bits_of_categories(documents, encode):
    """Splits that ask for two megabytes each, by four bytes in the file, are refused."""
    document = copy.deepcopy(documents["category booster"])
    model = at(document, "model/trees")[0]
    tree = next(tree for tree in model["trees"] if tree["categories_nodes"])
    nodes = len(tree["split_type"])
    tree.update(
        split_type=[1] * nodes,
        categories_nodes=list(range(nodes)),
        categories_sizes=[1] * nodes,
        categories_segments=list(range(nodes)),
        categories=[(1 << 24) - 1] * nodes,
    )
    original = tree
    model["trees"] = [{**original, "id": number} for number in range(300)]
    model["tree_info"] = [0] * 300
    model["iteration_indptr"] = list(range(301))
    model["gbtree_model_param"]["num_trees"] = "300"
    with pytest.raises(Broken, match="far more memory than the file"):
        _check(bytearray(json.dumps(document).encode()))


# -- bytes -----------------------------------------------------------------------------------------------------------

BYTES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "neither UBJSON nor JSON"),
    "old binary": (b"binf" + bytes(500), "binary format of xgboost before"),
    "array": (b"[#L" + bytes(8), "neither UBJSON nor JSON"),
    "only a brace": (b"{", "ends in the middle"),
    "length of 2^62": (b"{L" + struct.pack(">q", 2**62), "the length at byte 1"),
    "negative length": (b"{L" + struct.pack(">q", -1), "the length at byte 1"),
    "short length": (b"{i\x01aZ}", "where a length begins"),
    "array of 2^61": (b"{" + encode_text("a") + b"[$L#L" + struct.pack(">q", 2**61), "the length at byte"),
    "array without count": (b"{" + encode_text("a") + b"[Z]}", "states no count"),
    "typed array of texts": (b"{" + encode_text("a") + b"[$S#L" + bytes(8), "element type"),
    "nested 100,000 deep": (b"{" + encode_text("a") + b"[#L\0\0\0\0\0\0\0\1" * 100_000 + b"Z}", "deeper|the length"),
    "objects 100,000 deep": (b"{" + (encode_text("a") + b"{") * 100_000 + b"}" * 100_001, "deeper than 24"),
    "key twice": (b"{" + (encode_text("a") + b"Z") * 2 + b"}", "two members 'a'"),
    "bytes after the end": (b"{" + encode_text("a") + b"Z}Z", "1 bytes follow its end"),
    "high precision number": (b"{" + encode_text("a") + b"HL\0\0\0\0\0\0\0\1" + b"1}", "begins no value"),
    "character": (b"{" + encode_text("a") + b"Ca}", "begins no value"),
    "no UTF-8": (b"{" + encode_text("a") + b"SL\0\0\0\0\0\0\0\1\xff}", "not UTF-8"),
    "no-op": (b"{" + encode_text("a") + b"N}", "begins no value"),
    "json cut": (b'{"learner": {', "not JSON"),
    "json 100,000 deep": (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
    "json 30 deep": (b'{"a":' + b"[" * 30 + b"]" * 30 + b"}", "deeper than 24"),
    "json key twice": (b'{"a": 1, "a": 2}', "the key .a. twice"),
    "json bytes after the end": (b'{"a": 1} x', "not JSON"),
    "json of 5,000 digits": (b'{"a": ' + b"9" * 5000 + b"}", "not JSON"),
    "json escape": (b'{"tr\\u0065es": 1}', "xgboost reads in another way"),
    "json escape after a backslash": (b'{"a": "\\\\\\u0065"}', "xgboost reads in another way"),
    "json in UTF-16": ('{"a": 1}'.encode("utf-16"), "neither UBJSON nor JSON"),
    "json that is not UTF-8": (b'{"a": "\xff"}', "not JSON.*utf-8"),
    "json with a BOM": (b'\xef\xbb\xbf{"a": 1}', "neither UBJSON nor JSON"),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(BYTES))
def test_bytes(name):
    """What is not, byte for byte, as xgboost writes it is refused before xgboost sees it."""
    data, rule = BYTES[name]
    started = time.perf_counter()
    with pytest.raises(Broken, match=rule):
        _check(bytearray(data))
    assert time.perf_counter() - started < 5


def test_escaped_backslash_is_no_escape():
    """A backslash that stands for itself is as xgboost writes it, whatever follows it."""
    assert read_json(b'{"a": "\\\\u0065\\n\\""}').root == {"a": '\\u0065\n"'}


def test_every_truncation(models):
    """A file cut off anywhere is refused."""
    data = models["linear booster"][0].save_raw("ubj")
    for end in range(len(data)):
        with pytest.raises(Broken):
            read_ubjson(data[:end])


# -- directories -----------------------------------------------------------------------------------------------------


class Touch:
    """Pickles as a call that leaves a mark."""

    def __init__(self, path: Any) -> None:
        self.path = str(path)

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("file", ["model.ubj", "model.json", "model.pkl", "model.xgb"])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_is_never_run(file, protocol, load, tmp_path):
    """A pickle under the name of a safe file is refused, and leaves no mark."""
    marker = tmp_path / "marker"
    (tmp_path / file).write_bytes(pickle.dumps(Touch(marker), protocol))
    for name in (None, "xgboost.core.Booster", "xgboost.sklearn.XGBClassifier"):
        with pytest.raises(UnsafeModel, match=f"^{file} was refused: it is neither UBJSON nor JSON"):
            load(tmp_path, {"data": file, "model_class": name})
    assert not marker.exists()


@pytest.mark.parametrize("path", ["../model.ubj", "/etc/passwd", "a/../../x", "model\0.ubj", "link", "fifo", ""])
def test_path_stays_inside(path, load, tmp_path):
    """A file outside of the directory, or one that is no ordinary file, is not opened."""
    (tmp_path / "link").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(UnsafePath, match=r"flavors\.xgboost\.data"):
        load(tmp_path, {"data": path})


@pytest.mark.parametrize("data", [None, 5, ["model.ubj"], {}])
def test_data_must_be_a_name(data, load, tmp_path):
    """A section that names no file is refused."""
    with pytest.raises(InvalidModelFile, match=r"flavors\.xgboost\.data"):
        load(tmp_path, {"data": data})


def test_refusal_names_file_and_versions(models, save, load):
    """The error names the file and the rule, and the version that wrote the file if it is another one."""
    path, section = save(models["tree booster"][0])
    data = bytearray((path / "model.ubj").read_bytes())
    data[-1] = 0
    (path / "model.ubj").write_bytes(data)
    with pytest.raises(UnsafeModel, match=r"^model\.ubj was refused: .*\.$"):
        load(path, section)
    with pytest.raises(UnsafeModel, match=r"it was written by xgboost 9\.9\.9, and .* is installed"):
        load(path, {**section, "xgb_version": "9.9.9"})


def test_native_refusal_is_typed(models, save, load):
    """What only xgboost finds fault with, when it puts the parts together, is refused at load too."""
    path, section = save(models["binary"][0], "json")
    text = (path / "model.json").read_text()
    document = json.loads(text)
    document["learner"]["learner_model_param"]["base_score"] = "[2E0]"
    (path / "model.json").write_text(json.dumps(document))
    with pytest.raises(UnsafeModel, match="xgboost refuses it"):
        load(path, section)


def test_whole_path(models, tmp_path):
    """Through the public door: a changed file is noticed by its digest, and without that by its structure."""
    palate.save_model(models["tree booster"][0], tmp_path / "model")
    file = tmp_path / "model" / "model.ubj"
    data = file.read_bytes().replace(b"num_nodesSL\0\0\0\0\0\0\0\1", b"num_nodesSL\0\0\0\0\0\0\0\x7f")
    file.write_bytes(data)
    with pytest.raises(palate.errors.ModelChanged):
        palate.load_model(tmp_path / "model")
    with pytest.raises(UnsafeModel, match=r"model\.ubj was refused"):
        palate.load_model(tmp_path / "model", verify=False)

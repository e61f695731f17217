"""Files that somebody else made: what breaks a rule is refused before LightGBM sees it, and nothing crashes."""

from __future__ import annotations

import re
import subprocess
import sys

import lightgbm
import numpy as np
import pytest
import yaml

import palate
import palate_lightgbm
from palate.errors import LoadFailed, PalateError, TrustRequired, UnsafeModel, UnsafePath, UnsupportedModel
from palate_lightgbm._model_text import check_model_text
from palate_lightgbm._tree_text import Malformed


@pytest.fixture(scope="module")
def folder(tmp_path_factory, booster):
    """Return a saved booster of three classes that looks at categories."""
    path = tmp_path_factory.mktemp("booster") / "model"
    palate.save_model(booster, path)
    return path


@pytest.fixture
def open_changed(folder, tmp_path):
    """Change the file of a saved booster and open it."""

    def opener(change, source=folder):
        copy = tmp_path / "model"
        copy.mkdir()
        for file in source.iterdir():
            (copy / file.name).write_bytes(file.read_bytes())
        data = (copy / "model.lgb").read_bytes()
        changed = change(data)
        assert changed != data
        (copy / "model.lgb").write_bytes(changed)
        return palate.load_model(copy, verify=False)

    return opener


def put(pattern, replacement, *, number=0):
    """Return a change that replaces one occurrence of a pattern, and tree_sizes to go with it."""

    def change(data):
        found = list(re.finditer(pattern, data, re.MULTILINE))[number]
        changed = data[: found.start()] + found.expand(replacement) + data[found.end() :]
        return resize(changed) if b"Tree=0" in data[: found.start()] else changed

    return change


def resize(data):
    """Return the text with the sizes that its trees have."""
    head, _, rest = data.partition(b"\n\n")
    trees = re.split(rb"(?=^Tree=)", rest[: rest.index(b"end of trees")], flags=re.MULTILINE)
    sizes = b" ".join(str(len(tree)).encode() for tree in trees if tree)
    return re.sub(rb"^tree_sizes=.*", b"tree_sizes=" + sizes, head, flags=re.MULTILINE) + b"\n\n" + rest


RULES = {
    "another first line": put(rb"\Atree", b"forest"),
    "unknown version": put(rb"^version=v4", b"version=v5"),
    "unknown key": put(rb"^label_index=0", b"label_index=0\nlabel=0"),
    "key twice": put(rb"^(label_index=0)", rb"\1\n\1"),
    "key missing": put(rb"^label_index=0\n", b""),
    "no header": put(rb"\A[^$]*?\n\n", b""),
    "zero byte": put(rb"age", b"a\0e"),
    "carriage return": put(rb"^label_index=0\n", b"label_index=0\r\n"),
    "feature too many": put(rb"^max_feature_idx=3", b"max_feature_idx=4"),
    "feature without a name": put(rb" member ", b"  "),
    "features of one name": put(rb"age member", b"age age"),
    "endless number": put(rb"^max_feature_idx=3", b"max_feature_idx=" + b"9" * 5000),
    "negative number": put(rb"^num_class=3", b"num_class=-3"),
    "more classes": put(rb"^num_class=3", b"num_class=4"),
    "more outputs": put(rb"^num_tree_per_iteration=3", b"num_tree_per_iteration=6"),
    "objective of more": put(rb"num_class:3", b"num_class:300000"),
    "unknown objective": put(rb"^objective=multiclass num", b"objective=anything num"),
    "objective of one": put(rb"^objective=.*", b"objective=binary sigmoid:1"),
    "ranges of what was seen": put(rb"^feature_infos=\[", b"feature_infos=["[:-1]),
    "wrong size of a tree": put(rb"^tree_sizes=(\d)", rb"tree_sizes=1\1"),
    "tree out of order": put(rb"^Tree=1", b"Tree=2"),
    "tree without a line": put(rb"^threshold=.*\n", b""),
    "line without a value": put(rb"^is_linear=0", b"is_linear"),
    "line twice": put(rb"^(num_cat=.*)", rb"\1\n\1"),
    "no leaves": put(rb"^num_leaves=\d+", b"num_leaves=0"),
    "more leaves": put(rb"^num_leaves=\d+", b"num_leaves=1000000000"),
    "value too few": put(rb"^leaf_value=\S+ ", b"leaf_value="),
    "value too many": put(rb"^leaf_value=", b"leaf_value=1 "),
    "value that is no number": put(rb"^leaf_value=\S+", b"leaf_value=0x1p3"),
    "infinite value": put(rb"^leaf_value=\S+", b"leaf_value=inf"),
    "overflowing value": put(rb"^leaf_value=\S+", b"leaf_value=1e999"),
    "subnormal value": put(rb"^leaf_value=\S+", b"leaf_value=1e-320"),
    "subnormal threshold": put(rb"^threshold=\S+", b"threshold=1e-308"),
    "subnormal weight": put(rb"^leaf_weight=\S+", b"leaf_weight=1e-320"),
    "subnormal gain": put(rb"^split_gain=\S+", b"split_gain=1e-999"),
    "subnormal inner value": put(rb"^internal_value=\S+", b"internal_value=0.01e-307"),
    "subnormal shrinkage": put(rb"^shrinkage=1$", b"shrinkage=1e-320"),
    "count beyond": put(rb"^leaf_count=\d+", b"leaf_count=2147483648"),
    "inner count beyond": put(rb"^internal_count=\d+", b"internal_count=9999999999"),
    "subnormal sigmoid": put(rb"^objective=.*", b"objective=multiclassova num_class:3 sigmoid:1e-320"),
    "threshold without a value": put(rb"^threshold=\S+", b"threshold=nan"),
    "feature beyond": put(rb"^split_feature=\d+", b"split_feature=4"),
    "negative feature": put(rb"^split_feature=\d+", b"split_feature=-1"),
    "endless walk": put(rb"^left_child=\S+", b"left_child=0"),
    "child beyond": put(rb"^left_child=\S+", b"left_child=99"),
    "leaf beyond": put(rb"^left_child=\S+", b"left_child=-99"),
    "kind beyond": put(rb"^decision_type=\S+", b"decision_type=15"),
    "category beyond": put(rb"^(cat_boundaries=.*) \d+$", rb"\1 999"),
    "categories that go back": put(rb"^cat_boundaries=0 ", b"cat_boundaries=1 "),
    "no categories": put(rb"^num_cat=[1-9]", b"num_cat=0"),
    "linear without coefficients": put(rb"^is_linear=0", b"is_linear=1"),
    "coefficients without linear": put(rb"^is_linear=0", b"is_linear=0\nleaf_const=1"),
    "no end": lambda data: data.replace(b"end of trees\n", b""),
    "unknown section": put(rb"^parameters:", b"parser:"),
    "parameter without a value": put(rb"^\[num_leaves: 6\]", b"[num_leaves]"),
    "importance that is a parameter": put(rb"^feature_importances:\n", b"feature_importances:\nparameters:\n"),
    "parameters without an end": put(rb"^end of parameters\n", b""),
    "categories that are no lists": put(rb"^pandas_categorical:.*", b'pandas_categorical:{"a": 1}'),
    "category twice": put(rb"^pandas_categorical:.*", b'pandas_categorical:[["a", "a"]]'),
    "deep categories": put(rb"^pandas_categorical:.*", b"pandas_categorical:" + b"[" * 100_000),
    "something behind": put(rb"\Z", b"\nmore\n"),
    "nothing": lambda data: b"",
    "another file": lambda data: b"\x89PNG\r\n\x1a\n" + data,
}


@pytest.mark.parametrize("name", RULES)
def test_rule(open_changed, name):
    """A file that breaks one rule is refused by name, before LightGBM reads it."""
    with pytest.raises(UnsafeModel, match=r"model\.lgb was refused"):
        open_changed(RULES[name])


LINEAR_RULES = {
    "subnormal constant": put(rb"^leaf_const=\S+", b"leaf_const=1e-320"),
    "constant that rounds to zero": put(rb"^leaf_const=\S+", b"leaf_const=1e-999"),
    "constant too great": put(rb"^leaf_const=\S+", b"leaf_const=1e308"),
    "constant of zeros and an exponent": put(rb"^leaf_const=\S+", b"leaf_const=0.001e-306"),
    "infinite constant": put(rb"^leaf_const=\S+", b"leaf_const=inf"),
    "subnormal coefficient": put(rb"^(leaf_coeff= *)[^ \n]+", rb"\g<1>1e-320"),
    "coefficient without a value": put(rb"^(leaf_coeff= *)[^ \n]+", rb"\1nan"),
    "coefficient too few": put(rb"^(leaf_coeff= *)[^ \n]+", rb"\1"),
    "one leaf without a weight": put(
        rb"^num_leaves=[^$]*?(?=^shrinkage)",
        b"num_leaves=1\nnum_cat=0\nsplit_feature=\nthreshold=\nleft_child=\nright_child=\nleaf_value=1\nleaf_weight=\n"
        b"is_linear=1\nleaf_const=1\nnum_features=0\nleaf_features=\nleaf_coeff=\n",
    ),
}


@pytest.fixture(scope="module")
def linear_text(numbers):
    """Return the text of a booster whose leaves are linear models."""
    data = lightgbm.Dataset(numbers.astype(float), numbers["age"])
    params = {"linear_tree": True, "num_leaves": 4, "verbosity": -1, "num_threads": 1}
    return lightgbm.train(params, data, 2).model_to_string().encode()


@pytest.mark.parametrize("name", LINEAR_RULES)
def test_rule_of_linear_trees(linear_text, name):
    """What would make LightGBM end the process as it reads a linear tree breaks a rule; else the text passes."""
    assert check_model_text(resize(linear_text)).rounds == 2
    with pytest.raises(Malformed):
        check_model_text(LINEAR_RULES[name](linear_text))


def test_unchanged_but_resized(folder, open_changed, people, booster):
    """The helper of these tests makes files that open: what is refused is refused for its rule."""
    opened = open_changed(put(rb"^shrinkage=1$", b"shrinkage=0.5"))
    assert np.array_equal(opened.predict(people), booster.predict(people))


def test_truncated_anywhere(folder, open_changed, tmp_path):
    """A file that ends early is refused, wherever it ends; only a whole section behind the trees may be missing."""
    data = (folder / "model.lgb").read_bytes()
    end = data.index(b"pandas_categorical")
    for size in range(0, end - 1, 97):
        (tmp_path / "cut.lgb").write_bytes(data[:size])
        with pytest.raises(UnsafeModel):
            open_changed(lambda _, size=size: data[:size])
        for file in (tmp_path / "model").iterdir():
            file.unlink()
        (tmp_path / "model").rmdir()


def as_chain(tree, leaves):
    """Return the text of a tree as deep as it has leaves, with the keys of another one."""
    splits = leaves - 1
    columns = {
        b"num_leaves": [leaves],
        b"num_cat": [0],
        b"left_child": [-number - 1 for number in range(splits)],
        b"right_child": [*range(1, splits), -leaves],
        b"leaf_value": [0.5] * leaves,
        b"leaf_weight": [1] * leaves,
        b"leaf_count": [1] * leaves,
        b"is_linear": [0],
        b"shrinkage": [1],
    }
    names = [line.partition(b"=")[0] for line in tree.strip().split(b"\n")[1:]]
    rows = {name: columns.get(name, [0] * splits) for name in names if not name.startswith(b"cat_")}
    return b"".join(name + b"=" + " ".join(map(str, row)).encode() + b"\n" for name, row in rows.items())


@pytest.mark.parametrize(("leaves", "deep"), [(1024, False), (1026, True)])
def test_deep_tree(folder, people, tmp_path, leaves, deep):
    """A tree that is deeper than contributions can be walked is refused at saving; one at the limit is walked."""
    text = (folder / "model.lgb").read_bytes()
    head, first, rest = re.split(rb"(?=^Tree=[01]$)", text, maxsplit=2, flags=re.MULTILINE)
    chained = resize(head + b"Tree=0\n" + as_chain(first, leaves) + b"\n\n" + rest)
    model = lightgbm.Booster(model_str=chained.decode())
    if deep:
        with pytest.raises(UnsupportedModel, match="deeper"):
            palate.save_model(model, tmp_path / "model")
    else:
        palate.save_model(model, tmp_path / "model")
        assert palate.load_model(tmp_path / "model").pred_contrib(people[:2]).shape == (2, 15)


def test_parameters_that_lightgbm_cannot_read(open_changed):
    """Parameters of training that LightGBM stumbles over are an error of loading, not a crash."""
    with pytest.raises(LoadFailed):
        open_changed(put(rb"^\[metric: .*\]", rb'[metric: "]'))


SECTION = {
    "another class": {"class": "Dataset"},
    "no class": {"class": ["LGBMClassifier"]},
    "unknown key": {"more": 1},
    "labels too few": {"classes": [0, 1, 2, 3]},
    "labels twice": {"classes": [0, 1, 1]},
    "labels that are objects": {"classes": [[0], [1], [2]]},
    "dtype of records": {"classes_dtype": "f8,f8"},
    "labels that do not fit": {"classes": ["a", "b", "c"]},
    "round beyond": {"best_iteration": 9},
    "objective that is no name": {"objective": {"a": 1}},
    "params that are no mapping": {"params": [1]},
    "param that is a mapping": {"params": {"objective": {"a": 1}}},
    "too many threads": {"params": {"n_jobs": 100_000}},
    "too many threads by another name": {"params": {"nthread": 100_000}},
    "weights that are no pairs": {"params": {"class_weight": [1, 2]}},
    "weight that is no number": {"params": {"class_weight": [[1, "a"]]}},
    "labels out of order": {"classes": [2, 1, 0]},
    "labels that one dtype makes others": {"classes": [1, 2, 3], "classes_dtype": "bool"},
    "labels of another type": {"classes": [0, 1, 2], "classes_dtype": "float64"},
    "labels of two types": {"classes": [0, 1, "a"], "classes_dtype": "object"},
    "labels too great": {"classes": [0, 1, 300], "classes_dtype": "int8"},
    "labels that are cut": {"classes": ["a", "b", "cd"], "classes_dtype": "<U1"},
    "dtype wider than its labels": {"classes": ["a", "b", "cd"], "classes_dtype": "<U3"},
    "dtype of megabytes": {"classes": ["a", "b", "cd"], "classes_dtype": "<U999999"},
    "no labels": {"classes": []},
    "one label for three classes": {"classes": [0]},
    "objective with a param behind": {"objective": "multiclass num_threads=900000"},
    "text with a param behind": {"params": {"metric": "auc num_threads=900000"}},
    "list with a param behind": {"params": {"metric": ["auc", "l2\tnum_threads=900000"]}},
    "early stop by a text": {"params": {"pred_early_stop": "true"}},
    "early stop by a number": {"params": {"pred_early_stop": 1}},
    "early stop by a list": {"params": {"pred_early_stop": [True]}},
    "early stop at no round": {"params": {"pred_early_stop_freq": 0}},
    "early stop at a round beyond": {"params": {"pred_early_stop_freq": 2**31}},
    "early stop at a truth value": {"params": {"pred_early_stop_freq": True}},
    "early stop at a negative margin": {"params": {"pred_early_stop_margin": -1.0}},
    "early stop at no margin": {"params": {"pred_early_stop_margin": float("nan")}},
    "early stop at an endless margin": {"params": {"pred_early_stop_margin": float("inf")}},
    "early stop at a margin of a list": {"params": {"pred_early_stop_margin": [1.0]}},
    **{
        f"param {name}": {"params": {name: "x"}}
        for name in (
            "self",
            "get_params",
            "predict_proba",
            "classes_",
            "booster_",
            "__init__",
            "other_params",
            "fitted_",
        )
    },
}


@pytest.mark.parametrize("name", SECTION)
def test_section(classifier, tmp_path, name):
    """A description of an estimator that breaks a rule is refused before LightGBM is told of it."""
    palate.save_model(classifier, tmp_path / "model")
    file = tmp_path / "model" / "MLmodel"
    document = yaml.safe_load(file.read_text())
    document["flavors"]["lightgbm"]["estimator"] |= SECTION[name]
    file.write_text(yaml.safe_dump(document))
    with pytest.raises(UnsafeModel, match=r"model\.lgb was refused"):
        palate.load_model(tmp_path / "model", verify=False)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"data": "../model.lgb"}, UnsafePath),
        ({"data": 3}, PalateError),
        ({"model_class": "lightgbm.sklearn.LGBMClassifier", "serialization_format": "pickle"}, TrustRequired),
        ({"model_class": "os.system"}, PalateError),
        ({"model_class": "os.system", "serialization_format": "cloudpickle"}, TrustRequired),
        ({"estimator": "LGBMClassifier"}, PalateError),
    ],
    ids=str,
)
def test_section_of_a_booster(folder, tmp_path, change, error):
    """A section that leads elsewhere is refused, and never opens a pickle without trust."""
    copy = tmp_path / "model"
    copy.mkdir()
    for file in folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    document = yaml.safe_load((copy / "MLmodel").read_text())
    document["flavors"]["lightgbm"] |= change
    (copy / "MLmodel").write_text(yaml.safe_dump(document))
    with pytest.raises(error):
        palate.load_model(copy, verify=False)


MUTANTS = """
import os, random, sys
import lightgbm, numpy as np, palate
from palate.errors import PalateError

folder, seed = sys.argv[1], int(sys.argv[2])
file = folder + "/model.lgb"
whole = open(file, "rb").read()
rows = np.array([[5, 0, 0.5, 1], [np.nan] * 4, [1e300, -1e300, np.inf, 2**40], [-1, -2, -3, -4], [80, 1, 0.9, 2]])
rng, opened = random.Random(seed), 0
for _ in range(250):
    data = bytearray(whole)
    for _ in range(rng.choice([1, 1, 2, 4])):
        place = rng.randrange(len(data))
        data[place] = data[place] ^ 1 << rng.randrange(8) if rng.random() < 0.4 else rng.choice(b"0123456789- ")
    with open(file, "wb") as target:
        target.write(data)
    try:
        model = palate.load_model(folder, verify=False)
    except PalateError:
        continue
    opened += 1
    for method in model.methods:
        try:
            model.call(method, rows)
        except lightgbm.basic.LightGBMError:
            pass
print("survived", opened)
"""


@pytest.mark.parametrize("kind", ["categories", "linear"])
def test_mutants(booster, people, tmp_path, kind):
    """Garbled files are refused or predict something; the process goes on in either case."""
    if kind == "linear":
        rows = people.assign(city=people["city"].cat.codes).astype(float)
        params = {"linear_tree": True, "num_leaves": 6, "verbosity": -1}
        booster = lightgbm.train(params, lightgbm.Dataset(rows.fillna(0), rows["age"]), 4)
    palate.save_model(booster, tmp_path / "model", signature=None)
    command = [sys.executable, "-c", MUTANTS, str(tmp_path / "model"), "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout.split("survived")[1]) > 20


def test_formats_are_declared():
    """Every format but text needs trust."""
    assert set(palate_lightgbm.FORMATS) == {"text", *palate_lightgbm.FORMATS_NEEDING_TRUST}

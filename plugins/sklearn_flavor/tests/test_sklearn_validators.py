"""Crafted estimators whose arrays would lead native code outside of memory (S01-S11, and what else was found)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import skops.io
from sklearn.cluster import BisectingKMeans, KMeans
from sklearn.datasets import make_classification
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.feature_extraction import DictVectorizer, FeatureHasher
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer
from sklearn.metrics import DistanceMetric
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.preprocessing import MultiLabelBinarizer, OneHotEncoder, SplineTransformer
from sklearn.random_projection import SparseRandomProjection
from sklearn.svm import SVC, SVR, OneClassSVM
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from palate.errors import UnsafeModel, UnsupportedModel

X, Y = make_classification(200, 6, n_informative=4, n_classes=3, random_state=0)
CODES = np.column_stack([np.arange(200) % 5, X[:, 1:]])

CASES: dict[str, tuple[Callable[[], Any], str]] = {}


def case(name: str, rule: str) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    """Register a function that returns a crafted estimator, and the words of the rule that refuses it."""

    def register(make: Callable[[], Any]) -> Callable[[], Any]:
        CASES[name] = (make, rule)
        return make

    return register


def edit_tree(estimator: Any, **changes: object) -> Any:
    """Change entries of a tree's state; ``left_child=(0, 7)`` changes one node."""
    kind, arguments, state = estimator.tree_.__reduce__()
    state["nodes"], state["values"] = state["nodes"].copy(), state["values"].copy()
    for key, value in changes.items():
        if isinstance(value, tuple):
            index, entry = value
            state["nodes"][key][index] = entry
        else:
            state[key] = value
    # A new Tree, for setting the state of one that has nodes already writes beyond them.
    estimator.tree_ = kind(*arguments)
    estimator.tree_.__setstate__(state)
    return estimator


def grown() -> DecisionTreeClassifier:
    """Return a fitted tree."""
    return DecisionTreeClassifier(random_state=0).fit(X, Y)


@case("S01 child far outside", "outside of the nodes")
def _() -> Any:
    return edit_tree(grown(), left_child=(0, 2**40))


@case("S02 negative child", "does not come after its parent")
def _() -> Any:
    return edit_tree(grown(), left_child=(0, -7))


@case("S03 self loop", "does not come after its parent")
def _() -> Any:
    return edit_tree(grown(), left_child=(0, 0))


@case("S04 shared child", "two parents")
def _() -> Any:
    return edit_tree(grown(), left_child=(0, int(grown().tree_.children_right[0])))


@case("S05 feature far outside", "feature that is not there")
def _() -> Any:
    return edit_tree(grown(), feature=(0, 2**40))


@case("S06 tree of more features", "another number of features")
def _() -> Any:
    model = grown()
    model.tree_ = DecisionTreeClassifier(random_state=0).fit(np.tile(X, 3), Y).tree_
    return model


@case("S06b no features to compare with", "no n_features_in_")
def _() -> Any:
    model = grown()
    del model.n_features_in_
    return model


@case("S07 one bad tree in a forest", "estimators_[3]: a child lies outside")
def _() -> Any:
    model = RandomForestClassifier(5, random_state=0).fit(X, Y)
    edit_tree(model.estimators_[3], right_child=(0, 10**6))
    return model


@case("S07b a tree of other features in a forest", "another number of features")
def _() -> Any:
    model = RandomForestClassifier(5, random_state=0).fit(X, Y)
    model.estimators_[2] = DecisionTreeClassifier().fit(np.tile(X, 3), Y)
    return model


@case("half a leaf", "a node has one child")
def _() -> Any:
    return edit_tree(grown(), right_child=(0, -1))


@case("a tree deeper than it says", "deeper than it says")
def _() -> Any:
    return edit_tree(grown(), max_depth=1)


@case("a tree without an owner", "outside of a decision tree")
def _() -> Any:
    return KMeans(2).set_params(init=grown().tree_)


@case("a method hidden by an attribute", "hides its own method")
def _() -> Any:
    model = grown()
    model._validate_X_predict = np.log1p
    return model


@case("boosting with more columns than outputs", "another number of trees")
def _() -> Any:
    model = GradientBoostingRegressor(n_estimators=3).fit(X, Y)
    model.estimators_ = np.repeat(model.estimators_, 50, axis=1)
    return model


@case("boosting with a start of fewer classes", "another number of trees")
def _() -> Any:
    model = GradientBoostingClassifier(n_estimators=3).fit(X, Y)
    model.init_ = DummyClassifier().fit(X, Y > 0)
    return model


def boosted(change: Callable[[Any], None], **options: Any) -> Any:
    """Return histogram gradient boosting with each of its trees changed."""
    model = HistGradientBoostingClassifier(max_iter=3, **options).fit(CODES, Y)
    for stage in model._predictors:
        for predictor in stage:
            change(predictor)
    return model


def set_nodes(**fields: int) -> Callable[[Any], None]:
    """Return a change that sets fields of every node."""

    def change(predictor: Any) -> None:
        for name, value in fields.items():
            predictor.nodes[name][:] = value

    return change


@case("S08 histogram child", "outside of the nodes")
def _() -> Any:
    return boosted(lambda predictor: predictor.nodes["left"].__setitem__(0, 2**31))


@case("S08b histogram self loop", "does not come after its parent")
def _() -> Any:
    return boosted(set_nodes(is_leaf=0, left=0))


@case("S09 histogram feature", "feature that is not there")
def _() -> Any:
    return boosted(set_nodes(feature_idx=2**30))


@case("S10 histogram bitset", "table of categories")
def _() -> Any:
    return boosted(set_nodes(is_categorical=1, feature_idx=0, bitset_idx=2**31), categorical_features=[0])


@case("S10b narrow bitset", "table of categories is malformed")
def _() -> Any:
    def cut(predictor: Any) -> None:
        predictor.raw_left_cat_bitsets = np.zeros((50, 1), dtype=np.uint32)

    return boosted(cut, categorical_features=[0])


@case("S10c a number taken for a category", "treats a number as a category")
def _() -> Any:
    def blur(predictor: Any) -> None:
        predictor.nodes["is_categorical"][:] = 1
        predictor.nodes["feature_idx"][:] = 3
        predictor.nodes["bitset_idx"][:] = 0
        predictor.raw_left_cat_bitsets = np.zeros((1, 8), dtype=np.uint32)
        predictor.binned_left_cat_bitsets = np.zeros((1, 8), dtype=np.uint32)

    return boosted(blur)


@case("S10d columns dropped before the trees", "does not hand on every column")
def _() -> Any:
    model = boosted(set_nodes(), categorical_features=[0])
    name, transformer, columns = model._preprocessor.transformers_[1]
    model._preprocessor.transformers_[1] = (name, transformer, columns & False)
    return model


def neighbours(position: int, change: Callable[[Any], Any], algorithm: str = "kd_tree") -> Any:
    """Return neighbours with one part of their tree's state changed."""
    model = KNeighborsRegressor(algorithm=algorithm, leaf_size=5).fit(X, Y)
    state = list(model._tree.__getstate__())
    state[position] = change(state[position])
    model._tree.__setstate__(tuple(state))
    return model


def without_leaves(nodes: Any) -> Any:
    """Return nodes none of which ends the walk."""
    nodes = nodes.copy()
    nodes["is_leaf"] = 0
    return nodes


def beyond_the_end(nodes: Any) -> Any:
    """Return nodes that reach past the points."""
    nodes = nodes.copy()
    nodes["idx_end"] = 10**9
    return nodes


@case("S11 k-d tree index", "index lies outside")
def _() -> Any:
    return neighbours(1, lambda index: index + 2**40)


@case("S11b k-d tree without leaves", "children outside of the tree")
def _() -> Any:
    return neighbours(2, without_leaves)


@case("S11c k-d tree node past the points", "a node lies outside")
def _() -> Any:
    return neighbours(2, beyond_the_end)


@case("S11d ball tree bounds", "bounds are of other nodes")
def _() -> Any:
    return neighbours(3, lambda bounds: np.ascontiguousarray(bounds[:, :1]), algorithm="ball_tree")


@case("S11e k-d tree with leaves of no size", "its sizes disagree")
def _() -> Any:
    return neighbours(4, lambda size: 0)


@case("S11f metric of fewer features", "metric is of other features")
def _() -> Any:
    metric = DistanceMetric.get_metric("seuclidean", V=np.ones(2))
    return neighbours(11, lambda _: metric, algorithm="ball_tree")


def machine(**changes: Callable[[Any], Any]) -> Any:
    """Return a support vector machine with some of its arrays changed."""
    model = SVC().fit(X, Y)
    for name, change in changes.items():
        setattr(model, name, np.ascontiguousarray(change(getattr(model, name))))
    return model


@case("libsvm intercepts", "intercepts are of other classes")
def _() -> Any:
    return machine(_intercept_=lambda array: array[:1])


@case("libsvm coefficients", "coefficients are of other support vectors")
def _() -> Any:
    return machine(_dual_coef_=lambda array: array[:1, :1])


@case("libsvm classes", "intercepts are of other classes")
def _() -> Any:
    return machine(_n_support=lambda array: np.r_[array, np.zeros(20_000, dtype=array.dtype)])


@case("libsvm shares", "share out the support vectors")
def _() -> Any:
    return machine(_n_support=lambda array: array * 50)


@case("libsvm indices", "do not match their indices")
def _() -> Any:
    return machine(support_=lambda array: array[:2])


@case("libsvm narrow vectors", "vectors have other features")
def _() -> Any:
    return machine(support_vectors_=lambda array: array[:, :1])


@case("libsvm probabilities", "probabilities are of other classes")
def _() -> Any:
    return machine(_probA=lambda array: np.ones(1), _probB=lambda array: np.ones(1))


@case("libsvm precomputed", "outside of the training set")
def _() -> Any:
    model = SVC(kernel="precomputed").fit(X @ X.T, Y)
    model.support_ = (model.support_ + 2**28).astype(np.int32)
    return model


@case("libsvm sparse coefficients", "coefficients are of other support vectors")
def _() -> Any:
    model = SVC().fit(sp.csr_matrix(X), Y)
    model._dual_coef_ = sp.csr_matrix(model._dual_coef_.shape)
    return model


@case("libsvm regression", "of other classes")
def _() -> Any:
    model = SVR().fit(X, Y)
    model._n_support = np.zeros(500, dtype=np.int32)
    return model


@case("libsvm turned into another machine", "share out|other classes")
def _() -> Any:
    model = OneClassSVM().fit(X)
    model._impl = "c_svc"
    model._n_support = np.array([5, 10**6], dtype=np.int32)
    return model


@case("one-hot widths", "widths are not those")
def _() -> Any:
    model = OneHotEncoder(sparse_output=False).fit(CODES[:, :1])
    model._n_features_outs = [1]
    return model


@case("one-hot infrequent mapping", "a category lies outside of its widths")
def _() -> Any:
    model = OneHotEncoder(min_frequency=45).fit(np.minimum(CODES[:, :1] ** 2, 2))
    model._default_to_infrequent_mappings[0] = model._default_to_infrequent_mappings[0] + 10**6
    return model


@case("one-hot dropped category", "widths are not those|drops a category")
def _() -> Any:
    model = OneHotEncoder(drop="first").fit(CODES[:, :1])
    model._drop_idx_after_grouping = np.array([10**6], dtype=object)
    return model


@case("word in a column outside", "does not number its columns")
def _() -> Any:
    model = CountVectorizer().fit(["one two", "two"])
    model.vocabulary_["one"] = 2**30
    return model


@case("feature in a column outside", "does not number its columns")
def _() -> Any:
    model = DictVectorizer().fit([{"a": 1, "b": 2}])
    model.vocabulary_["a"] = 2**30
    return model


@case("label in a column outside", "cache is not of its classes")
def _() -> Any:
    model = MultiLabelBinarizer().fit([(1, 2)])
    model._cached_dict = {1: 2**30, 2: 1}
    return model


@case("files named by the input", "open the files that its input names")
def _() -> Any:
    return CountVectorizer(input="filename")


@case("hashing into no columns", "number of features is impossible")
def _() -> Any:
    return FeatureHasher(n_features=0)


@case("hashing words into no columns", "number of features is impossible")
def _() -> Any:
    return HashingVectorizer(n_features=0)


@case("narrow centers", "centers have other features")
def _() -> Any:
    model = KMeans(3, n_init=1).fit(X)
    model.n_features_in_ = 10**7
    return model


@case("a million threads", "impossible number of threads")
def _() -> Any:
    model = KMeans(3, n_init=1).fit(X)
    model._n_threads = 10**6
    return model


@case("narrow center in a tree of centers", "a center has other features")
def _() -> Any:
    model = BisectingKMeans(3).fit(X)
    model._bisecting_tree.left.center = model._bisecting_tree.left.center[:1]
    return model


@case("votes for a class outside", "not one of its classes")
def _() -> Any:
    model = KNeighborsClassifier(algorithm="brute").fit(X, Y)
    model._y = model._y + 2**30
    return model


@case("fewer votes than points", "labels are of other points")
def _() -> Any:
    model = KNeighborsClassifier(algorithm="brute").fit(X, Y)
    model._y = model._y[:1]
    return model


@case("sparse index outside", "indices must be")
def _() -> Any:
    model = SparseRandomProjection(3).fit(X)
    model.components_.indices = model.components_.indices + 2**30
    return model


@case("sparse rows outside", "rows of a sparse matrix overlap")
def _() -> Any:
    model = SparseRandomProjection(3, random_state=0).fit(X)
    model.components_.indptr = model.components_.indptr[::-1].copy()
    model.components_.indptr[0] = 0
    return model


@case("spline of a wrong degree", "degree is not one")
def _() -> Any:
    model = SplineTransformer().fit(X)
    model.bsplines_[0].k = 1000
    return model


@case("spline with falling knots", "knots are malformed")
def _() -> Any:
    model = SplineTransformer().fit(X)
    model.bsplines_[0].t = model.bsplines_[0].t[::-1].copy()
    return model


@case("random state past its end", "position lies outside")
def _() -> Any:
    model = DummyClassifier(strategy="stratified", random_state=np.random.RandomState(0)).fit(X, Y)
    state = model.random_state.get_state(legacy=False)
    state["state"]["pos"] = 2**30
    model.random_state.set_state(state)
    return model


def write(model: Any, folder: Path) -> dict[str, Any]:
    """Write *model* as an attacker would: with skops itself, not through our checks."""
    skops.io.dump(model, folder / "model.skops")
    return {"pickled_model": "model.skops", "serialization_format": "skops"}


@pytest.mark.parametrize("name", sorted(CASES))
def test_refused_on_load(name, load, tmp_path):
    """A crafted file is refused with the rule it breaks, before anything is predicted, with trust as without."""
    make, rule = CASES[name]
    section = write(make(), tmp_path)
    for trust in (False, True):
        with pytest.raises(UnsafeModel, match=r"model\.skops was refused: ") as caught:
            load(tmp_path, section, trust=trust)
        assert any(words in str(caught.value) for words in rule.split("|")), str(caught.value)


@pytest.mark.parametrize("name", ["S03 self loop", "libsvm shares", "one-hot widths"])
def test_refused_on_save(name, save):
    """What a reader would refuse is not written: the saver is told at once."""
    make, rule = CASES[name]
    with pytest.raises(UnsupportedModel, match=rule):
        save(make())


def test_long_chain_is_checked_in_time(load, tmp_path):
    """The depth of a tree that is one long chain is found in a few steps, not one by one."""
    count = 200_001
    model = DecisionTreeRegressor(max_depth=1).fit(X, Y)
    kind, arguments, state = model.tree_.__reduce__()
    nodes = np.zeros(count, dtype=state["nodes"].dtype)
    index = np.arange(0, count - 2, 2)
    nodes["left_child"], nodes["right_child"] = -1, -1
    nodes["left_child"][index], nodes["right_child"][index] = index + 1, index + 2
    state = {"max_depth": count // 2, "node_count": count, "nodes": nodes, "values": np.zeros((count, 1, 1))}
    model.tree_ = kind(*arguments)
    model.tree_.__setstate__(state)
    loaded = load(tmp_path, write(model, tmp_path))
    assert loaded.tree_.max_depth == count // 2
    edit_tree(model, max_depth=count // 2 - 1)
    with pytest.raises(UnsafeModel, match="deeper than it says"):
        load(tmp_path, write(model, tmp_path))


CONTROL = """
import sys, numpy as np, skops.io
path = sys.argv[1]
model = skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))
data = np.load(sys.argv[2])
getattr(model, sys.argv[3])(data)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "data", "method"),
    [
        ("S01 child far outside", X, "predict"),
        ("S05 feature far outside", X, "predict"),
        ("S11 k-d tree index", X, "predict"),
        ("S09 histogram feature", X, "predict"),
        ("libsvm precomputed", X @ X.T, "predict"),
        ("random state past its end", X, "predict"),
    ],
)
def test_control_without_the_checks(name, data, method, run_python, tmp_path):
    """The same files, opened by skops alone, end the process: the checks are not for show."""
    write(CASES[name][0](), tmp_path)
    np.save(tmp_path / "data.npy", data)
    done = run_python(CONTROL, tmp_path / "model.skops", tmp_path / "data.npy", method)
    assert done.returncode < 0, done.stderr

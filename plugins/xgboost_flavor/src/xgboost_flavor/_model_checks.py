"""Whether a parsed model is one that xgboost can be given: every number that its native code relies on.

Held against the readers of xgboost 3.2 (learner.cc, gbtree.cc, gbtree_model.cc, gblinear_model.cc, tree_model.cc,
multi_target_tree_model.cc, cat_container.cc and the predictors). Members that these do not know are refused: a later
release may mean something by them, and an earlier one would predict something else.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence, Set
from typing import Any, NamedTuple

from xgboost_flavor._category_checks import check_column_categories
from xgboost_flavor._document import Broken, Document, Rows
from xgboost_flavor._objectives import check_objective
from xgboost_flavor._tree_checks import check_trees
from xgboost_flavor._values import FEATURE_TYPES, read_count, read_floats, read_integer, read_object, read_param

__all__ = ["check_attributes", "check_model"]

# xgboost allocates 64 rows of this width for each thread, once data of that width comes.
_MAX_FEATURES = 1 << 27
# Models without a tree may still have several outputs.
_FREE_OUTPUTS = 4096
_MAX_INT32 = 2**31 - 1


class _Sizes(NamedTuple):
    features: int
    outputs: int
    classes: int
    targets: int


def check_model(document: Document, root: Any) -> str | None:
    """Raise Broken unless *root*, an object of *document*, is a model that xgboost reads and uses without harm.

    Returns "classifier", "regressor" or "ranker" when a class of scikit-learn's kind wrote it.
    """
    _check_members(root, "the model", required={"learner", "version"})
    version = root["version"]
    if not isinstance(version, list) or len(version) != 3:
        raise Broken("version is not three numbers")
    for part in version:
        read_integer(part, "a part of version", most=_MAX_INT32)
    learner = root["learner"]
    _check_members(
        learner,
        "learner",
        required={"attributes", "gradient_booster", "learner_model_param", "objective"},
        optional={"feature_names", "feature_types"},
    )
    sizes = _read_sizes(learner, document.size)
    check_objective(document, learner["objective"], classes=sizes.classes, targets=sizes.targets)
    _check_feature_texts(learner, sizes.features)
    rounds = _check_booster(document, learner["gradient_booster"], sizes)
    return check_attributes(learner["attributes"], rounds)


def _check_members(holder: Any, place: str, *, required: Set[str], optional: Set[str] = frozenset()) -> None:
    if not isinstance(holder, dict):
        raise Broken(f"{place} is not an object")
    if missing := required - holder.keys():
        raise Broken(f"{place} has no {min(missing)}")
    if unknown := holder.keys() - required - optional:
        raise Broken(f"{place} has {min(unknown)!r:.60}, which this version of the flavor does not know")


def _read_sizes(learner: dict[str, Any], file_size: int) -> _Sizes:
    place = "learner_model_param"
    param = read_object(learner, place, "learner")
    _check_members(
        param,
        place,
        required={"base_score", "num_class", "num_feature"},
        optional={"num_target", "boost_from_average"},
    )
    features = read_count(param, "num_feature", place, most=_MAX_FEATURES)
    if not features:
        raise Broken("num_feature is 0")
    # Every output takes a tree, or a value in each leaf, and so some bytes of the file.
    most = max(_FREE_OUTPUTS, file_size)
    classes = read_count(param, "num_class", place, most=most)
    targets = read_count(param, "num_target", place, most=most, default="1")
    if not targets or (classes > 1 and targets > 1):
        raise Broken(f"num_class {classes} and num_target {targets} do not go together")
    read_count(param, "boost_from_average", place, most=1, default="0")
    outputs = max(classes, targets)
    scores = read_floats(param, "base_score", place)
    if len(scores) not in (1, outputs):
        raise Broken(f"base_score has {len(scores)} numbers for {outputs} outputs")
    if not all(map(math.isfinite, scores)):
        raise Broken("base_score is not finite")
    return _Sizes(features, outputs, classes, targets)


def _check_feature_texts(learner: dict[str, Any], features: int) -> None:
    for name in ("feature_names", "feature_types"):
        texts = learner.get(name, [])
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise Broken(f"{name} is not a list of texts")
        if texts and len(texts) != features:
            raise Broken(f"{name} has {len(texts)} texts for {features} features")
        if name == "feature_types" and (unknown := set(texts) - FEATURE_TYPES):
            raise Broken(f"feature_types has {min(unknown)!r:.30}")


# -- boosters ------------------------------------------------------------------------------------------------------


def _check_booster(document: Document, booster: Any, sizes: _Sizes) -> int:
    """Check the booster; return how many rounds of boosting it has had."""
    name = read_param(booster, "name", "gradient_booster")
    if name == "gblinear":
        _check_members(booster, name, required={"name", "model"})
        return _check_linear(document, booster["model"], sizes)
    if name == "dart":
        _check_members(booster, name, required={"name", "gbtree", "weight_drop"})
        forest = booster["gbtree"]
        rounds = _check_forest(document, forest, sizes)
        trees, drops = forest["model"]["trees"], booster["weight_drop"]
        if not isinstance(drops, list) or len(drops) != len(trees) or {type(drop) for drop in drops} - {float}:
            raise Broken(f"weight_drop is not a number for each of {len(trees)} trees")
        return rounds
    if name != "gbtree":
        raise Broken(f"its booster is {name!r:.30}, which is none of gbtree, dart and gblinear")
    return _check_forest(document, booster, sizes)


def _check_linear(document: Document, model: Any, sizes: _Sizes) -> int:
    _check_members(model, "gblinear", required={"weights"}, optional={"boosted_rounds"})
    (length,) = document.lengths([model["weights"]], "d", "weights")
    if length != (sizes.features + 1) * sizes.outputs:
        raise Broken(f"weights has {length} numbers for {sizes.features} features and {sizes.outputs} outputs")
    return read_integer(model.get("boosted_rounds", 0), "boosted_rounds", most=_MAX_INT32)


def _check_forest(document: Document, booster: Any, sizes: _Sizes) -> int:
    _check_members(booster, "gbtree", required={"name", "model"})
    if booster["name"] != "gbtree":
        raise Broken("the trees of dart are not called gbtree")
    model = booster["model"]
    _check_members(
        model,
        "gbtree",
        required={"gbtree_model_param", "tree_info", "trees"},
        optional={"iteration_indptr", "cats"},
    )
    trees, groups = model["trees"], model["tree_info"]
    if not isinstance(trees, list | Rows) or not isinstance(groups, list) or len(trees) != len(groups):
        raise Broken("tree_info does not have a number for each tree")
    for number, group in enumerate(groups):
        read_integer(group, f"the output of tree {number}", most=sizes.outputs - 1)
    rounds = _check_rounds(model, groups, sizes.outputs)
    check_trees(document, trees, features=sizes.features, outputs=sizes.outputs)
    if "cats" in model:
        check_column_categories(document, model["cats"], sizes.features)
    return rounds


def _check_rounds(model: dict[str, Any], groups: Sequence[int], outputs: int) -> int:
    """Check which trees belong to which round; return the number of rounds."""
    place, count = "gbtree_model_param", len(groups)
    param = model[place]
    if read_count(param, "num_trees", place, most=_MAX_INT32) != count:
        raise Broken(f"num_trees is not {count}, the number of trees")
    # xgboost divides by the product with the outputs, which must not overflow.
    parallel = read_count(param, "num_parallel_tree", place, most=max(count, _MAX_INT32 // outputs), default="1")
    if not parallel or parallel * outputs > _MAX_INT32:
        raise Broken(f"num_parallel_tree is {parallel}")
    bounds = model.get("iteration_indptr")
    if bounds is None:  # before xgboost 2.0, which works it out in this way
        layer = parallel * (max(groups, default=0) + 1)
        if count % layer:
            raise Broken(f"{count} trees are not whole rounds of {layer}")
        return count // layer
    if not isinstance(bounds, list) or {type(bound) for bound in bounds} != {int}:
        raise Broken("iteration_indptr is not a list of numbers")
    if bounds[0] != 0 or bounds[-1] != count or sorted(bounds) != bounds:
        raise Broken(f"iteration_indptr does not divide {count} trees")
    if not count and len(bounds) != 1:
        raise Broken("iteration_indptr has rounds without trees")
    return len(bounds) - 1


# -- attributes ----------------------------------------------------------------------------------------------------


def check_attributes(attributes: Any, rounds: int) -> str | None:
    """Check the attributes that xgboost uses as numbers; return what kind of estimator wrote the model."""
    if not isinstance(attributes, dict) or not all(isinstance(value, str) for value in attributes.values()):
        raise Broken("attributes is not an object of texts")
    if "best_iteration" in attributes:
        # The classes of scikit-learn's kind predict up to it, and xgboost looks that round up without a check.
        read_count(attributes, "best_iteration", "attributes", most=rounds - 1)
    if "scikit_learn" not in attributes:
        return None
    try:
        facts = json.loads(attributes["scikit_learn"])
    except (ValueError, RecursionError):
        facts = None
    kind = facts.get("_estimator_type") if isinstance(facts, dict) else 0
    if kind is not None and not isinstance(kind, str):
        raise Broken("the attribute scikit_learn is not what a class of scikit-learn's kind writes")
    return kind

"""Runs the structure checks over every object of a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from palate.errors import UnsafeModel
from sklearn_flavor import _estimator_checks as estimators
from sklearn_flavor import _tree_checks as trees
from sklearn_flavor._graph import Place, walk

__all__ = ["check_structure", "find_problem"]

Check = Callable[[Any], None]

# By the name of a class anywhere in the MRO, so that checking a model imports nothing that it does not hold.
_CHECKS: dict[str, Check] = {
    "sklearn.tree._classes.BaseDecisionTree": trees.check_decision_tree,
    "sklearn.ensemble._forest.BaseForest": trees.check_forest,
    "sklearn.ensemble._gb.BaseGradientBoosting": trees.check_boosting,
    "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.BaseHistGradientBoosting": trees.check_histogram,
    "sklearn.neighbors._kd_tree.BinaryTree64": trees.check_space_tree,
    "sklearn.neighbors._kd_tree.BinaryTree32": trees.check_space_tree,
    "sklearn.neighbors._ball_tree.BinaryTree64": trees.check_space_tree,
    "sklearn.neighbors._ball_tree.BinaryTree32": trees.check_space_tree,
    "sklearn.neighbors._classification.KNeighborsClassifier": estimators.check_class_votes,
    "sklearn.neighbors._classification.RadiusNeighborsClassifier": estimators.check_class_votes,
    "sklearn.svm._base.BaseLibSVM": estimators.check_support_vectors,
    "sklearn.cluster._kmeans._BaseKMeans": estimators.check_centers,
    "sklearn.cluster._bisect_k_means.BisectingKMeans": estimators.check_bisecting,
    "sklearn.preprocessing._encoders.OneHotEncoder": estimators.check_one_hot,
    "sklearn.preprocessing._label.MultiLabelBinarizer": estimators.check_label_cache,
    "sklearn.feature_extraction.text._VectorizerMixin": estimators.check_documents,
    "sklearn.feature_extraction.text.CountVectorizer": estimators.check_vocabulary,
    "sklearn.feature_extraction.text.HashingVectorizer": estimators.check_hashing,
    "sklearn.feature_extraction._dict_vectorizer.DictVectorizer": estimators.check_vocabulary,
    "sklearn.feature_extraction._hash.FeatureHasher": estimators.check_hashing,
    "scipy.sparse._base._spbase": estimators.check_sparse,
    "scipy.interpolate._bsplines.BSpline": estimators.check_spline,
    "numpy.random.mtrand.RandomState": estimators.check_generator,
}

# These run parts of the model, so they come when everything else has passed.
_TRIALS: dict[str, Check] = {"sklearn.ensemble._gb.BaseGradientBoosting": trees.check_boosting_output}

_TREE = "sklearn.tree._tree.Tree"
_TREE_OWNER = "sklearn.tree._classes.BaseDecisionTree"


def _class_names(value: object) -> tuple[str, ...]:
    return tuple(f"{base.__module__}.{base.__qualname__}" for base in type(value).__mro__)


def _behaviour(value: object) -> frozenset[str]:
    """Return the names of the methods and properties of an object's class."""
    members = (vars(base).items() for base in type(value).__mro__)
    return frozenset(name for items in members for name, member in items if hasattr(member, "__get__"))


def _check_place(place: Place) -> None:
    """Check what depends on where an object hangs, or holds for every estimator."""
    names = _class_names(place.value)
    if names[0] == _TREE:
        # Only a decision tree compares the features of its input with those of its Tree.
        owner = place.parent
        owned = owner is not None and place.step == ".tree_" and _TREE_OWNER in _class_names(owner.value)
        trees.need(owned, "a Tree stands outside of a decision tree")
    if names[0].startswith("sklearn.") and hasattr(place.value, "__dict__"):
        # A file can give an object any attribute; one named as a method would be called in its place.
        hidden = vars(place.value).keys() & _behaviour(place.value)
        trees.need(not hidden, f"it hides its own method {', '.join(sorted(hidden))}")


def _run(check: Check, argument: object, place: Place) -> tuple[str, str] | None:
    try:
        check(argument)
    except trees.Broken as exc:
        return place.path, str(exc)
    except Exception as exc:  # attributes from a hostile file have any type and raise anything
        return place.path, f"it is malformed ({type(exc).__name__}: {exc!s:.80})"
    return None


def find_problem(model: object) -> tuple[str, str] | None:
    """Return where *model* breaks which rule of the structure checks, or None when it keeps them all."""
    trials: list[tuple[Check, Place]] = []
    for place in walk(model):
        if problem := _run(_check_place, place, place):
            return problem
        for name in _class_names(place.value):
            if name in _CHECKS and (problem := _run(_CHECKS[name], place.value, place)):
                return problem
            if name in _TRIALS:
                trials.append((_TRIALS[name], place))
    for check, place in trials:
        if problem := _run(check, place.value, place):
            return problem
    return None


def check_structure(model: object, file: str) -> None:
    """Refuse a *model*, just built from *file*, whose arrays would lead native code outside of memory.

    Raises:
        UnsafeModel: naming the object and the rule.
    """
    if problem := find_problem(model):
        raise UnsafeModel(file, rule=f"{problem[0]}: {problem[1]}", hint="fetch the model again from where it came")

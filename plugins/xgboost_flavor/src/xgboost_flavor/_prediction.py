"""Predicting: with the methods of the model's own class, and with the kinds of prediction of its booster.

A table of plain numbers goes to xgboost as one array, which costs a fraction of what xgboost's own look at the table
does, and is predicted in place. An estimator is given large tables as they are, since it predicts from their memory. A
booster, whose own way is to copy them into a DMatrix, gets an array of any size; what is none is made a DMatrix.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from palate.errors import DependencyMissing, InvalidInput, Problem
from palate.hookspecs import ForkLock

__all__ = ["call", "is_own", "method_names", "takes_array"]

# xgboost's own words for what a booster can be asked for besides its prediction.
_KINDS = ("output_margin", "pred_leaf", "pred_contribs", "pred_interactions")
_BOOSTER_PARAMS = {*_KINDS, "approx_contribs", "iteration_range", "strict_shape", "validate_features"}
_PREDICT_PARAMS = {"base_margin", "iteration_range", "output_margin", "validate_features"}
_PROBA_PARAMS = _PREDICT_PARAMS - {"output_margin"}

# Above, xgboost's look at a table is little beside predicting, and a copy, which mixed columns cost, is not.
_MOST_CELLS = 1 << 17
# From here on, halfway to the next power of two, float32 rounds to infinity.
_FLOAT32_END = 2.0**128 - 2.0**103
# Rows of that width xgboost allocates for each thread, whatever the width of the data is.
_FREE_WIDTH = 1 << 18


class _Facts(NamedTuple):
    """What is the same for every prediction of a booster.

    Attributes:
        kind: gbtree, dart or gblinear.
        kinds: what it can be asked for besides its prediction.
        categorical: whether a feature is a category, so that numbers in a table are not just numbers.
        very_wide: whether data of fewer columns than it has features costs more than it should.
    """

    kind: str
    kinds: tuple[str, ...]
    categorical: bool
    very_wide: bool


_known: WeakKeyDictionary[Any, _Facts] = WeakKeyDictionary()
# xgboost's linear booster keeps time in an unguarded table while it predicts.
_linear_lock = ForkLock()


def call(model: Any, data: Any, method: str, params: Mapping[str, Any]) -> object:
    """Call *method* of *model*, with those of *params* that it takes."""
    booster, estimator = _parts(model)
    facts = _facts_of(booster)
    if "iteration_range" in params:
        params = {**params, "iteration_range": _checked_range(booster, params["iteration_range"])}
    if facts.very_wide:
        _check_width(booster, data)
    ask = _ask_booster if estimator is None or method in _KINDS or method == "apply" else _ask_estimator
    if facts.kind != "gblinear":
        return ask(booster, estimator, facts, data, method, params)
    with _linear_lock.held:
        return ask(booster, estimator, facts, data, method, params)


def method_names(model: Any) -> Sequence[str]:
    """Return what *model* answers to, the default first."""
    booster, estimator = _parts(model)
    _known.pop(booster, None)  # another model may have been loaded into it
    facts = _facts_of(booster)
    own: tuple[str, ...] = ("predict",)
    if hasattr(estimator, "predict_proba"):
        own += ("predict_proba",)
    if estimator is not None and facts.kind != "gblinear":
        own += ("apply",)
    return own + facts.kinds


def is_own(model: Any) -> bool:
    """Whether *model* is of a class of xgboost's; one derived from it may do anything with its rows."""
    return type(model).__module__.partition(".")[0] == "xgboost"


def takes_array(model: Any, columns: Sequence[str | int]) -> bool:
    """Whether *model* sees nothing of a table with these *columns* but its numbers."""
    if not is_own(model):
        return False
    booster, _estimator = _parts(model)
    facts = _facts_of(booster)
    if facts.kind != "gbtree" or facts.categorical:
        return False
    names = booster.feature_names
    return names is None or names == list(columns)


def _parts(model: Any) -> tuple[Any, Any]:
    """Return the booster, and the estimator around it if there is one."""
    return (model.get_booster(), model) if hasattr(model, "get_booster") else (model, None)


def _facts_of(booster: Any) -> _Facts:
    facts = _known.get(booster)
    if facts is None:
        learner = json.loads(booster.save_config())["learner"]
        facts = _known[booster] = _Facts(
            kind=learner["gradient_booster"]["name"],
            kinds=_kinds_of(learner, booster.num_boosted_rounds()),
            categorical="c" in (booster.feature_types or ()),
            very_wide=booster.num_features() > _FREE_WIDTH,
        )
    return facts


def _kinds_of(learner: Mapping[str, Any], rounds: int) -> tuple[str, ...]:
    part, size = learner["gradient_booster"], learner["learner_model_param"]
    if part["name"] == "gblinear":
        return ("output_margin", "pred_contribs")  # it has no leaves, and its interactions do not fit their own shape
    trees = part.get("gbtree", part)["gbtree_model_param"]
    outputs = max(int(size["num_class"]), int(size["num_target"]))
    if int(trees["num_trees"]) < rounds * int(trees["num_parallel_tree"]) * outputs:
        return ("output_margin", "pred_leaf")  # trees with several outputs, which xgboost does not take apart
    return _KINDS


# -- checks that xgboost leaves out ----------------------------------------------------------------------------------


def _checked_range(booster: Any, value: Any) -> tuple[int, int]:
    """Return *value* as two integers within the rounds of *booster*; xgboost looks rounds up without a check."""
    rounds = booster.num_boosted_rounds()
    try:
        begin, end = (int(bound) for bound in value)
    except (TypeError, ValueError):
        begin, end = -1, -1
    if not 0 <= begin <= (end or rounds) <= rounds:
        message = (
            f"must be two integers from 0 to {rounds}, the rounds of the model: the first, and the one after the last"
        )
        raise InvalidInput([Problem(("params", "iteration_range"), "wrong_value", message)])
    return begin, end


def _check_width(booster: Any, data: Any) -> None:
    shape = getattr(data, "shape", None)
    if shape is None or len(shape) != 2:
        return
    features = booster.num_features()
    if shape[1] < features:
        message = f"has {shape[1]} columns, and the model {features} features"
        raise InvalidInput([Problem(("inputs",), "wrong_shape", message)])


# -- the estimator, and the booster -----------------------------------------------------------------------------------


def _ask_estimator(
    booster: Any, estimator: Any, facts: _Facts, data: Any, method: str, params: Mapping[str, Any]
) -> object:
    array = None if facts.kind == "gblinear" else _as_array(booster, facts, data, most_cells=_MOST_CELLS)
    given = _as_table(data) if array is None else array
    if not params:
        return getattr(estimator, method)(given)
    accepted = _PROBA_PARAMS if method == "predict_proba" else _PREDICT_PARAMS
    return getattr(estimator, method)(given, **{name: params[name] for name in accepted & params.keys()})


def _ask_booster(
    booster: Any, estimator: Any, facts: _Facts, data: Any, method: str, params: Mapping[str, Any]
) -> object:
    options = {name: value for name, value in params.items() if name in _BOOSTER_PARAMS}
    if method != "predict":
        options = {name: value for name, value in options.items() if name not in _KINDS}
        options["pred_leaf" if method == "apply" else method] = True
    if estimator is not None and not options.get("iteration_range", (0, 0))[1]:
        options["iteration_range"] = _best_range(booster, facts)
    plain = facts.kind == "gbtree" and estimator is None and not any(options.get(kind) for kind in _KINDS[1:])
    array = _as_array(booster, facts, data) if plain else None
    # What float32 does not hold a DMatrix refuses.
    if array is None or array.shape[1] != booster.num_features() or not _is_float32(array):
        return booster.predict(_as_matrix(booster, estimator, data), **options)
    return booster.inplace_predict(
        array,
        predict_type="margin" if options.get("output_margin") else "value",
        **{name: options[name] for name in ("iteration_range", "strict_shape") if name in options},
    )


def _best_range(booster: Any, facts: _Facts) -> tuple[int, int]:
    """Return the rounds that xgboost's estimators predict with: up to the best, when training stopped early."""
    if facts.kind == "gblinear":
        return 0, 0
    try:
        return 0, booster.best_iteration + 1
    except AttributeError:
        return 0, 0


# -- data -------------------------------------------------------------------------------------------------------------


def _as_matrix(booster: Any, estimator: Any, data: Any) -> Any:
    import xgboost

    data = _as_table(data)
    options: dict[str, Any] = {"enable_categorical": True}
    if estimator is not None:
        options |= {"missing": estimator.missing, "nthread": estimator.n_jobs, "feature_types": estimator.feature_types}
        if isinstance(estimator, xgboost.XGBRanker) and "qid" in getattr(data, "columns", ()):
            data = data.drop(columns="qid")
    if not hasattr(data, "columns") and not hasattr(data, "column_names"):
        # Arrays have no names; theirs are the model's, by position.
        options["feature_names"] = booster.feature_names
    return xgboost.DMatrix(data, **options)


def _as_table(data: Any) -> Any:
    """Return a dict of columns as a DataFrame, anything else as it is."""
    if not isinstance(data, Mapping):
        return data
    try:
        import pandas as pd
    except ImportError as exc:
        raise DependencyMissing("pandas", needed_for="Predicting from a dict of columns") from exc
    return pd.DataFrame(dict(data))


def _is_frame(data: object) -> bool:
    # Whoever holds a DataFrame has imported pandas.
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(data, pandas.DataFrame)


def _as_array(booster: Any, facts: _Facts, data: Any, *, most_cells: float = math.inf) -> Any:
    """Return *data* as one array, if it is nothing but numbers in the model's order; else None.

    None, too, for a table of more than *most_cells* that xgboost reads as it is.
    An array is returned as it is, and a table of one dtype without a copy, as xgboost reads every dtype of numbers. A
    table of several becomes float32, cell by cell, which is the conversion that xgboost makes itself. So do numbers in
    the byte order of other machines, which xgboost takes for its own.
    """
    import numpy as np

    if facts.categorical or len(getattr(data, "shape", ())) != 2:
        return None
    if isinstance(data, np.ndarray):
        if not _is_plain(data.dtype):
            return None
        with np.errstate(over="ignore"):
            return data if data.dtype.isnative else data.astype(np.float32)
    if not _fits_names(booster, data):
        return None
    dtypes = set(data.dtypes.tolist())
    if not all(isinstance(dtype, np.dtype) and _is_plain(dtype) for dtype in dtypes):
        return None
    native = all(dtype.isnative for dtype in dtypes)
    if native and data.size > most_cells:
        return None
    if native and len(dtypes) == 1:
        return data.to_numpy()
    with np.errstate(over="ignore"):
        return data.to_numpy(np.float32)


def _is_plain(dtype: Any) -> bool:
    return dtype.kind in "fiub" and dtype.itemsize <= 8


def _fits_names(booster: Any, data: Any) -> bool:
    """Whether *data* is a DataFrame with the columns that *booster* was trained on, or any if it knows no names."""
    if not _is_frame(data):
        return False
    names = booster.feature_names
    return names is None or data.columns.tolist() == names


def _is_float32(array: Any) -> bool:
    """Whether the numbers in *array*, rounded to float32, are finite or missing."""
    import numpy as np

    if array.dtype.kind != "f" or not array.size:
        return True
    highest, lowest = float(np.fmax.reduce(array, axis=None)), float(np.fmin.reduce(array, axis=None))
    return not (highest >= _FLOAT32_END or lowest <= -_FLOAT32_END)  # both are NaN where all numbers are missing

"""Estimators without their feature names, for tables whose names are known to be right.

Of the time that scikit-learn takes for a row in a DataFrame, most goes into looking at the table: its labels, its
dtypes, its libraries. An array of the same numbers takes a fraction of it and gives the same bits, but an estimator
that knows names warns when its input has none. So a call is made with a twin of it: a shallow copy that shares every
attribute but ``feature_names_in_``, made for this one call. The user's estimator is never touched, threads share
nothing, and whatever is learnt or set later is in the next twin.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

from sklearn_flavor._plain_estimators import SEARCHES, is_plain

__all__ = ["prepare_call", "takes_array"]

# Above, looking at a table is little beside predicting, and a copy, which an array of mixed columns may cost, is not.
_MOST_CELLS = 1 << 17


class _Twin(NamedTuple):
    """What predicts from arrays as *the original* does from tables.

    Attributes:
        estimator: knows no names; the original itself if that knows none.
        names: what the original holds a table's labels against, or None.
    """

    estimator: Any
    names: list[str] | None


def prepare_call(model: Any, data: Any, *, enforced: bool) -> tuple[Any, Any]:
    """Return the estimator and the data to predict with: *model* and *data*, or what gives the same bits sooner.

    Everything but a DataFrame of plain integers and floats, with the labels that *model* would ask for, is left to
    *model*: so are all errors and warnings of scikit-learn. Where *model* was fitted on an array, it would warn of
    labels, and where it was fitted on a table, of an array; with *enforced* the labels were held against a signature or
    the features, also of a table that has become an array since, and there is nothing to warn of.
    """
    import numpy as np

    if enforced and type(data) is np.ndarray:
        twin = _make_twin(model)
        return model if twin is None else twin.estimator, data
    pandas = sys.modules.get("pandas")  # whoever holds a DataFrame has imported it
    if pandas is None or type(data) is not pandas.DataFrame or not _has_default_config():
        return model, data
    twin = _make_twin(model)
    if twin is None or not _labels_fit(data, twin.names, enforced=enforced):
        return model, data
    array = _as_array(data)
    return (model, data) if array is None else (twin.estimator, array)


def takes_array(model: Any, columns: Sequence[str | int]) -> bool:
    """Whether ``prepare_call`` would have *model* predict from the array of a table with these *columns*."""
    if not _has_default_config():
        return False
    twin = _make_twin(model)
    return twin is not None and (twin.names is None or twin.names == list(columns))


def _has_default_config() -> bool:
    """Whether neither tables are asked for as output, nor arrays of other libraries than numpy looked for."""
    from sklearn import get_config

    config = get_config()
    return config["transform_output"] == "default" and not config["array_api_dispatch"]


# -- estimators -------------------------------------------------------------------------------------------------------


def _make_twin(model: Any) -> _Twin | None:
    """Return a twin, or None if *model* may see more of a table than its numbers."""
    kind = type(model)
    if not kind.__module__.startswith("sklearn."):
        return None
    if kind.__name__ == "Pipeline":
        return _make_pipeline_twin(model)
    if kind.__name__ in SEARCHES:
        return _make_search_twin(model)
    state = vars(model)
    if not is_plain(kind.__name__, state):
        return None
    names = state.get("feature_names_in_")
    if names is None:
        return _Twin(model, None)
    twin = _copy_with(model)
    del twin.feature_names_in_
    return _Twin(twin, names.tolist())


def _make_pipeline_twin(model: Any) -> _Twin | None:
    """Only the first step sees the table: the others get what it returns, as ever."""
    steps = model.steps
    place = next((n for n, (_, step) in enumerate(steps) if step is not None and step != "passthrough"), None)
    if place is None:
        return None
    name, step = steps[place]
    first = _make_twin(step)
    if first is None or first.names is None:
        return None if first is None else _Twin(model, None)
    return _Twin(_copy_with(model, steps=[*steps[:place], (name, first.estimator), *steps[place + 1 :]]), first.names)


def _make_search_twin(model: Any) -> _Twin | None:
    best = _make_twin(vars(model).get("best_estimator_"))
    if best is None or best.names is None:
        return None if best is None else _Twin(model, None)
    return _Twin(_copy_with(model, best_estimator_=best.estimator), best.names)


def _copy_with(model: Any, **changes: object) -> Any:
    copy = object.__new__(type(model))
    vars(copy).update(vars(model), **changes)
    return copy


# -- tables -----------------------------------------------------------------------------------------------------------


def _labels_fit(frame: Any, names: list[str] | None, *, enforced: bool) -> bool:
    """Whether scikit-learn would find nothing to say about the labels, or need not say it."""
    labels = frame.columns.tolist()
    kinds = set(map(type, labels))  # a label of a class derived from str is no name to scikit-learn
    if names is None:
        return enforced or str not in kinds
    return frame.size <= _MOST_CELLS and labels == names and kinds == {str}


def _as_array(frame: Any) -> Any:
    """Return what scikit-learn would make of a table of plain numbers, without a copy if pandas needs none; else None.

    The array is of shape (rows, columns) and of the common dtype of the columns.
    """
    import numpy as np

    dtypes: Sequence[Any] = list(set(frame.dtypes.tolist()))
    if not dtypes or not all(isinstance(dtype, np.dtype) and dtype.kind in "fiu" for dtype in dtypes):
        return None
    array = frame.to_numpy()
    return array if array.dtype == np.result_type(*dtypes) else None

"""Which params a method of an estimator takes."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

__all__ = ["accepted_params"]


def accepted_params(model: Any, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of *params* that ``model.method`` takes besides its data.

    A Pipeline's methods take anything and hand it to the last step, so that the last step decides.
    """
    while hasattr(model, "steps") and hasattr(model.steps[-1][1], method):
        model = model.steps[-1][1]
    _, *taken = inspect.signature(getattr(model, method)).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken):
        # scikit-learn's own estimators hand these on to others that may not take them.
        return {} if type(model).__module__.startswith("sklearn.") else dict(params)
    names = {parameter.name for parameter in taken}
    return {name: value for name, value in params.items() if name in names}

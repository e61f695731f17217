"""Answer cases with stock MLflow or with Palate; a script, because each has to run without the other.

Usage: ``python -m differential.answers mlflow|palate`` in the folder above. Reads a JSON list of cases (kind, schema,
input); writes JSON: the release of pandas, and for each case an answer ``{"accepted": bool, …}``.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import sys
import warnings
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import scipy.sparse as sp

from differential.canonical import plain

# What the expressions of the cases may use.
NAMES = {"dt": dt, "np": np, "pd": pd, "pa": pa, "sp": sp, "Decimal": Decimal}

Answer = dict[str, Any]


def mlflow_answers() -> Callable[[str, str, Any], Answer]:
    """Return what answers a case with stock MLflow."""
    from mlflow.models.utils import _enforce_params_schema, _enforce_schema
    from mlflow.types.schema import ParamSchema, Schema

    logging.disable(logging.CRITICAL)

    def answer(kind: str, schema: str, data: Any) -> Answer:
        try:
            if kind == "params":
                result = _enforce_params_schema(data, ParamSchema.from_json(schema))
            else:
                result = _enforce_schema(data, Schema.from_json(schema))
        except Exception as exc:
            return {"accepted": False, "reason": f"{type(exc).__name__}: {exc}"[:300]}
        return {"accepted": True, "answer": plain(result)}

    return answer


def palate_answers() -> Callable[[str, str, Any], Answer]:
    """Return what answers a case with Palate, and tells what the input was, before and after."""
    from palate._enforcement.params import enforce_params
    from palate._enforcement.plan import compile_inputs
    from palate._schema_json import parse_params, parse_schema
    from palate.errors import InvalidInput

    def result_of(kind: str, schema: str, data: Any) -> Any:
        if kind == "params":
            return enforce_params(data, parse_params(schema))
        return compile_inputs(parse_schema(schema, "inputs")).enforce(data)

    def answer(kind: str, schema: str, data: Any) -> Answer:
        given = plain(data)
        try:
            found: Answer = {"accepted": True, "answer": plain(result_of(kind, schema, data))}
        except InvalidInput as exc:
            problems = [[list(problem.where), problem.kind, problem.message] for problem in exc.problems]
            found = {"accepted": False, "problems": problems}
        except Exception as exc:  # nothing else may come out, and the judge says so
            found = {"accepted": False, "problems": [], "crash": f"{type(exc).__name__}: {exc}"[:300]}
        return {"given": given, "unchanged": plain(data) == given, **found}

    return answer


def answer_text(answer: Callable[[str, str, Any], Answer], kind: str, schema: str, text: str) -> Answer:
    """Make the input and answer it; some that are made at random cannot be."""
    try:
        data = eval(text, dict(NAMES))
    except Exception as exc:
        return {"accepted": False, "unmade": f"{type(exc).__name__}: {exc}"[:300]}
    return answer(kind, schema, data)


def main(side: str) -> None:
    """Answer all cases from standard input."""
    warnings.simplefilter("ignore")
    answer = mlflow_answers() if side == "mlflow" else palate_answers()
    answers = [answer_text(answer, *case) for case in json.load(sys.stdin)]
    json.dump({"pandas": pd.__version__, "answers": answers}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])

"""What the tests of the xgboost flavor share."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost as xgb
from sklearn.datasets import load_iris

import xgboost_flavor
from palate._code.model_code import ModelCode
from palate.hookspecs import LoadOptions, SaveOptions

X, Y = load_iris(return_X_y=True, as_frame=True)


def mixed_table() -> pd.DataFrame:
    """Return a table of numbers with gaps, whole numbers, truth values, and categories of text and of numbers."""
    table = X.copy()
    table.iloc[::11, 1] = np.nan
    table["count"] = np.arange(150) % 7
    table["long"] = X.iloc[:, 0] > 5
    table["text"] = pd.Categorical(np.array(["a", "bb", "ccc"])[np.arange(150) % 3])
    table["number"] = pd.Categorical(np.arange(150) % 5)
    return table


# Classes that only the categories tell apart, so that models split on them.
CATEGORY_LABEL = (np.arange(150) % 3 + np.arange(150) % 5) % 3


def matrix(data: Any = X, label: Any = Y) -> xgb.DMatrix:
    """Return training data for the native API."""
    return xgb.DMatrix(data, label, enable_categorical=True)


def train_estimators() -> dict[str, tuple[Any, Any]]:
    """Return an estimator of each class and kind, with data for it."""
    two, mixed = (Y > 0).astype(int), mixed_table()
    several = np.column_stack([Y, X.iloc[:, 0]])
    early = xgb.XGBRegressor(n_estimators=60, early_stopping_rounds=2, learning_rate=0.9, eval_metric=["rmse", "mae"])
    early.fit(X[::2], Y[::2], eval_set=[(X[1::2], Y[1::2])], verbose=False)
    small = {"n_estimators": 4, "max_depth": 3}
    return {
        "classifier": (xgb.XGBClassifier(**small).fit(X, Y), X),
        "binary": (xgb.XGBClassifier(**small, missing=-1.0).fit(X.to_numpy(), two), X.to_numpy()),
        "softmax": (xgb.XGBClassifier(**small, objective="multi:softmax").fit(X, Y), X),
        "categories": (
            xgb.XGBClassifier(**small, enable_categorical=True, max_cat_to_onehot=1).fit(mixed, CATEGORY_LABEL),
            mixed,
        ),
        "labels": (xgb.XGBClassifier(**small).fit(X, np.column_stack([two, X.iloc[:, 0] > 5])), X),
        "forest": (xgb.XGBRFClassifier(**small).fit(X, Y), X),
        "regressor": (xgb.XGBRegressor(**small, monotone_constraints=(1, 0, 0, 0)).fit(X, Y), X),
        "early": (early, X),
        "targets": (xgb.XGBRegressor(**small).fit(X, several), X),
        "vectors": (xgb.XGBRegressor(**small, multi_strategy="multi_output_tree").fit(X, several), X),
        "regression forest": (xgb.XGBRFRegressor(**small).fit(X, Y), X),
        "linear": (xgb.XGBRegressor(n_estimators=4, booster="gblinear").fit(X, Y), X),
        "dart": (xgb.XGBRegressor(**small, booster="dart", rate_drop=0.5).fit(X, Y), X),
        "ranker": (xgb.XGBRanker(**small, lambdarank_unbiased=True).fit(X, Y, group=[50, 100]), X),
    }


def train_boosters() -> dict[str, tuple[xgb.Booster, Any]]:
    """Return a booster of each kind, with data for it."""
    mixed = mixed_table()
    classes = {"max_depth": 3, "objective": "multi:softprob", "num_class": 3}
    quantiles = {"max_depth": 3, "objective": "reg:quantileerror", "quantile_alpha": [0.1, 0.5, 0.9]}
    return {
        "tree booster": (xgb.train({"max_depth": 3}, matrix(), 4), X),
        "array booster": (xgb.train(classes, matrix(X.to_numpy()), 4), X.to_numpy()),
        "category booster": (
            xgb.train({"max_depth": 3, "max_cat_to_onehot": 1}, matrix(mixed, CATEGORY_LABEL), 4),
            mixed,
        ),
        "quantile booster": (xgb.train(quantiles, matrix(), 4), X),
        "pruned booster": (xgb.train({"gamma": 5, "tree_method": "exact", "max_depth": 8}, matrix(), 4), X),
        "parallel dart": (xgb.train({"booster": "dart", "rate_drop": 0.5, "num_parallel_tree": 2}, matrix(), 4), X),
        "linear booster": (xgb.train({"booster": "gblinear"}, matrix(), 4), X),
    }


# How xgboost writes the arrays of a model to UBJSON.
ARRAYS = {
    **dict.fromkeys(("base_weights", "loss_changes", "split_conditions", "sum_hessian"), (b"d", ">f4")),
    **dict.fromkeys(("weights", "leaf_weights"), (b"d", ">f4")),
    **dict.fromkeys(("left_children", "right_children", "parents", "split_indices"), (b"l", ">i4")),
    **dict.fromkeys(("categories", "categories_nodes", "feature_segments", "sorted_idx", "offsets"), (b"l", ">i4")),
    **dict.fromkeys(("categories_segments", "categories_sizes"), (b"L", ">i8")),
    **dict.fromkeys(("default_left", "split_type"), (b"U", "u1")),
    "values": (b"i", "i1"),
    "values15": (b"L", ">i8"),
}  # fmt: skip


def encode_ubjson(value: Any, name: str = "") -> bytes:
    """Return *value* as xgboost writes it to UBJSON, with the types that it gives to its arrays."""
    if isinstance(value, dict):
        kind = value.get("type", "")
        members = b"".join(
            encode_text(key) + encode_ubjson(inner, f"{key}{kind}" if key == "values" else key)
            for key, inner in value.items()
        )
        return b"{" + members + b"}"
    if isinstance(value, list):
        if name in ARRAYS:
            kind, dtype = ARRAYS[name]
            return b"[$" + kind + b"#L" + struct.pack(">q", len(value)) + np.array(value, dtype).tobytes()
        return b"[#L" + struct.pack(">q", len(value)) + b"".join(map(encode_ubjson, value))
    if isinstance(value, str):
        return b"S" + encode_text(value)
    if isinstance(value, bool) or value is None:
        return {True: b"T", False: b"F", None: b"Z"}[value]
    if isinstance(value, int):
        return b"L" + struct.pack(">q", value)
    return b"d" + struct.pack(">f", value)


def encode_text(text: str) -> bytes:
    """Return a length and a text."""
    data = text.encode()
    return b"L" + struct.pack(">q", len(data)) + data


@pytest.fixture(scope="session")
def encode() -> Callable[[Any], bytes]:
    """Write a document as UBJSON."""
    return encode_ubjson


def make_chain(depth: int) -> dict[str, Any]:
    """Return the arrays of a tree that is one long path."""
    nodes = 2 * depth + 1
    left = [-1 if n % 2 or n == nodes - 1 else n + 1 for n in range(nodes)]
    return {
        "left_children": left,
        "right_children": [child + 1 if child >= 0 else -1 for child in left],
        "parents": [2**31 - 1] + [2 * ((n - 1) // 2) for n in range(1, nodes)],
        "split_indices": [0] * nodes,
        "default_left": [0] * nodes,
        "split_type": [0] * nodes,
        **{name: [1.0] * nodes for name in ("base_weights", "loss_changes", "split_conditions", "sum_hessian")},
        **{name: [] for name in ("categories", "categories_nodes", "categories_segments", "categories_sizes")},
        "tree_param": {"num_deleted": "0", "num_feature": "4", "num_nodes": str(nodes), "size_leaf_vector": "1"},
    }


@pytest.fixture(scope="session")
def chain() -> Callable[[int], dict[str, Any]]:
    """Make a tree of that depth."""
    return make_chain


@pytest.fixture(scope="session")
def models() -> dict[str, tuple[Any, Any]]:
    """A model of each class and kind, with data for it."""
    return {**train_estimators(), **train_boosters()}


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., tuple[Path, dict[str, Any]]]:
    """Save a model with the hooks; return its directory and section."""

    def saver(model: object, format: str = "ubj") -> tuple[Path, dict[str, Any]]:
        section = xgboost_flavor.save_model(model=model, path=tmp_path, options=SaveOptions(format=format))
        return tmp_path, section

    return saver


@pytest.fixture
def load() -> Callable[..., Any]:
    """Load a directory with the hooks."""

    def loader(path: Path, section: dict[str, Any], *, trust: bool = False) -> Any:
        code = ModelCode(path / "code" if trust and (path / "code").is_dir() else None)
        options = LoadOptions(trust=trust, code=code, map_file=lambda name: memoryview((path / name).read_bytes()))
        return xgboost_flavor.load_model(path=path, config=section, options=options)

    return loader

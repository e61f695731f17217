"""Seeded mutants of a model, each checked and, where it is accepted, used in every way; a script for a child process.

Usage: mutants.py FOLDER COUNT. The folder has one model as model.ubj, model.json and model.snapshot; COUNT mutants are
made of each, and of the numbers of the second. Prints how many were refused, by kind; a crash ends the process.
"""

from __future__ import annotations

import json
import random
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xgboost as xgb

from xgboost_flavor._document import Broken
from xgboost_flavor._embedded import list_types
from xgboost_flavor._persistence import _check

INTEGERS = [-1, 0, 1, 2, 3, 5, 100, 2**31 - 1, 2**31, -(2**31), 2**32, 2**40, 2**63 - 1]
TEXTS = ["0", "1", "2", "3", "7", "100", "2147483647", "4294967295", "-1", "", "nan", "[5E-1,5E-1]", "[]"]
TEXTS += ["multi:softprob", "reg:quantileerror", "survival:aft", "rank:ndcg", "gbtree", "dart", "gblinear", "c", "q"]


def mutate_bytes(data: bytearray, rng: random.Random, *, lengths: list[int]) -> None:
    """Flip, overwrite, cut, copy, or lie about a length."""
    place, kind = rng.randrange(len(data)), rng.randrange(6)
    if kind == 0:
        data[place] ^= 1 << rng.randrange(8)
    elif kind == 1:
        for _ in range(rng.randrange(1, 5)):
            data[rng.randrange(len(data))] = rng.choice([0, 1, 127, 128, 255, rng.randrange(256)])
    elif kind == 2:
        del data[place:]
    elif kind == 3:
        source, size = rng.randrange(len(data)), rng.randrange(1, 64)
        data[place : place + size] = data[source : source + size]
    elif kind == 4 and lengths:
        place = rng.choice(lengths)
        data[place + 1 : place + 9] = struct.pack(">q", rng.choice([*INTEGERS[:8], 2**62, rng.randrange(300)]))
    else:
        data[place : place + 4] = struct.pack(">i", rng.choice(INTEGERS[:8]))


def mutate_text(data: bytearray, rng: random.Random) -> None:
    """Replace a character, or a number, of JSON."""
    digits = [place for place, byte in enumerate(data) if chr(byte).isdigit()]
    if rng.random() < 0.5:
        values = [b"-1", b"4294967296", b"99", b"0.5", b"null", b"true", b'"1"', b"1e9", b"[]", b"{}", b"NaN"]
        place = rng.choice(digits)
        data[place : place + 1] = rng.choice(values)
    elif rng.random() < 0.2:
        del data[rng.randrange(len(data)) :]
    else:
        data[rng.randrange(len(data))] = rng.choice(b'0123456789,:[]{}"-eE.\\ ')


def find_values(node: Any, path: tuple[Any, ...] = ()) -> dict[tuple[str, ...], list[tuple[Any, ...]]]:
    """Return where the values of a document are, by the names that lead there."""
    found: dict[tuple[str, ...], list[tuple[Any, ...]]] = {}
    if isinstance(node, list | dict):
        pairs = node.items() if isinstance(node, dict) else enumerate(node)
        for key, value in pairs:
            for names, places in find_values(value, (*path, key)).items():
                found.setdefault(names, []).extend(places)
    if not isinstance(node, dict):
        found.setdefault(tuple(step for step in path if isinstance(step, str)), []).append(path)
    return found


def mutate_value(root: Any, places: dict[tuple[str, ...], list[tuple[Any, ...]]], rng: random.Random) -> None:
    """Replace one value of a document by another of its kind."""
    path = rng.choice(places[rng.choice(sorted(places))])
    node = root
    for step in path[:-1]:
        node = node[step]
    old = node[path[-1]]
    if isinstance(old, list):
        edits: list[Callable[[], object]] = [old.clear, old.reverse]
        if old:
            edits += [old.pop, lambda: old.append(rng.choice(old)), lambda: rng.shuffle(old)]
        rng.choice(edits)()
    elif isinstance(old, str):
        node[path[-1]] = rng.choice(TEXTS)
    elif isinstance(old, float):
        node[path[-1]] = rng.choice([0.0, float("nan"), float("inf"), -1.0, 1e38, 1e-45])
    else:
        node[path[-1]] = rng.choice([old + 1, old - 1, old + 2**32, *INTEGERS])


def make_mutant(original: bytes, kind: str, seed: int) -> bytearray:
    """Return the mutant of that seed."""
    rng, data = random.Random(seed), bytearray(original)
    if kind == "numbers":
        root = json.loads(original)
        mutate_value(root, find_values(root), rng)
        return bytearray(json.dumps(root, separators=(",", ":")).encode())
    if kind == "json":
        mutate_text(data, rng)
    else:
        lengths = [
            place for place in range(len(data) - 9) if data[place] == ord("L") and not any(data[place + 1 : place + 6])
        ]
        mutate_bytes(data, rng, lengths=lengths)
    return data


def open_booster(data: bytearray, kind: str) -> xgb.Booster:
    """Open a file, or a snapshot as it stands inside of other flavors' files."""
    booster = xgb.Booster()
    if kind == "snapshot":
        booster.__setstate__({"handle": data})
    else:
        booster.load_model(data)
    return booster


def use(booster: xgb.Booster) -> None:
    """Do everything that can be done with a model."""
    features, names = booster.num_features(), booster.feature_names
    rows = np.abs(np.random.default_rng(0).normal(size=(70, features)) * 3).round().astype("float32")
    rows[::3, 0] = np.nan
    ways: list[Callable[[], object]] = [
        lambda: booster.inplace_predict(rows),
        lambda: booster.get_dump(with_stats=True),
        lambda: booster.get_dump(dump_format="json"),
        lambda: booster.get_score(importance_type="gain"),
        lambda: booster.save_raw("json"),
    ]
    for matrix in (xgb.DMatrix(rows, feature_names=names), xgb.DMatrix(rows[:1], feature_names=names)):
        for option in ("strict_shape", "output_margin", "pred_leaf", "pred_contribs", "pred_interactions"):
            ways.append(lambda matrix=matrix, option=option: booster.predict(matrix, **{option: True}))
    for cls in (xgb.XGBClassifier, xgb.XGBRegressor):
        ways.append(lambda cls=cls: use_estimator(cls(), booster.save_raw(), rows, names, booster.feature_types))
    for way in ways:
        try:
            way()
        except (xgb.core.XGBoostError, ValueError, TypeError):
            continue


def use_estimator(model: Any, data: bytearray, rows: Any, names: Any, types: Any) -> None:
    """Predict with an estimator, up to its best iteration, and on a table with categories."""
    model.load_model(data)
    table = pd.DataFrame(rows, columns=names)
    for name, kind in zip(names or (), types or (), strict=False):
        if kind == "c":
            codes = table[name].fillna(0).astype(int)
            table[name] = pd.Categorical(codes % 5 if name == "number" else np.array(["a", "bb", "ccc"])[codes % 3])
    model.predict(table)
    model.predict(rows)


def is_refused(data: bytearray, kind: str) -> bool:
    """Tell whether the check of a file, or of a snapshot, finds a rule that is broken."""
    if kind == "snapshot":
        (check,) = (embedded.check for embedded in list_types() if embedded.name == "xgboost.core.Booster")
        return check({"handle": data}) is not None
    try:
        _check(data)
    except Broken:
        return True
    return False


def main(folder: str, count: str) -> None:
    """Check and use mutants of each kind."""
    counts = {}
    files = {"ubj": "model.ubj", "json": "model.json", "numbers": "model.json", "snapshot": "model.snapshot"}
    for kind, file in files.items():
        original, refused = (Path(folder) / file).read_bytes(), 0
        for seed in range(int(count)):
            data = make_mutant(original, kind, seed)
            if is_refused(data, kind):
                refused += 1
                continue
            print("using", kind, seed, flush=True)
            try:
                use(open_booster(data, kind))
            except (xgb.core.XGBoostError, ValueError):
                refused += 1
        counts[kind] = refused
    print(json.dumps(counts))


if __name__ == "__main__":
    xgb.set_config(verbosity=0)
    main(*sys.argv[1:])

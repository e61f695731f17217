"""Do to a store what standard input says, a JSON list in each line; say in a line of JSON what came of it."""

from __future__ import annotations

import json
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

import palate
from palate.errors import PalateError
from palate.store import STORE_VARIABLE, open_store
from palate.store._aliases import Aliases
from palate.store._directory import DirectoryPlace
from palate.store._versions import Versions

store = open_store("nowhere", by="worker")


def work_at(root: str) -> None:
    """Work at a store from now on."""
    global store
    os.environ[STORE_VARIABLE] = root
    store = open_store(root, by="worker")


def add(name: str, source: str, count: int) -> list[int]:
    """Add a model some times."""
    return [store.add(name, source).number for _ in range(count)]


def move(name: str, alias: str, version: int, count: int = 1) -> None:
    """Move an alias some times."""
    for _ in range(count):
        store.set_alias(name, alias, version, allow_breaking=True)


def tag(name: str, keys: list[str]) -> None:
    """Set tags, one after the other."""
    for key in keys:
        store.annotate(name, tags={key: "set"})


def delete(name: str, version: int) -> None:
    """Delete a version."""
    store.delete(f"{name}/{version}")


def delete_carelessly(name: str, version: int) -> None:
    """Delete a version as somebody would who looks at the aliases just before."""
    place = DirectoryPlace(Path(store.uri))
    if version not in Aliases(place, name).current().values():
        time.sleep(0.02)
        place.remove_files(name, version, Versions(place, name).record(version))


def collect() -> list[str]:
    """Remove what was never finished."""
    return store.collect()


def move_about(name: str, alias: str, seed: int, seconds: float) -> int:
    """Move an alias to versions at random, as long as that is possible."""
    chosen, until, done = random.Random(seed), time.monotonic() + seconds, 0
    while time.monotonic() < until:
        try:
            versions = [version.number for version in store.versions(name)]
            store.set_alias(name, alias, chosen.choice(versions), allow_breaking=True)
            done += 1
        except PalateError as exc:
            if type(exc).__name__ != "VersionNotFound":
                raise
    return done


def delete_about(name: str, keep: int, seed: int, seconds: float) -> list[int]:
    """Delete versions at random, down to some."""
    chosen, until, done = random.Random(seed), time.monotonic() + seconds, []
    while time.monotonic() < until:
        try:
            versions = [version.number for version in store.versions(name)]
            if len(versions) > keep:
                number = chosen.choice(versions)
                store.delete(f"{name}/{number}")
                done.append(number)
        except PalateError as exc:
            if type(exc).__name__ not in ("VersionNotFound", "VersionInUse"):
                raise
    return done


def add_about(name: str, source: str, seconds: float) -> int:
    """Add versions."""
    until, done = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        store.add(name, source)
        done += 1
        time.sleep(0.01)
    return done


def read_about(uri: str, seconds: float) -> int:
    """Read what a URI leads to, every byte of it."""
    until, done = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        palate.inspect_model(uri)
        done += 1
    return done


def do(what: str, *arguments: Any) -> dict[str, Any]:
    """Do one thing, and return what came of it."""
    try:
        return {"result": globals()[what](*arguments)}
    except Exception as exc:
        return {"error": type(exc).__name__, "text": str(exc)}


print(json.dumps("ready"), flush=True)
for line in sys.stdin:
    print(json.dumps(do(*json.loads(line))), flush=True)

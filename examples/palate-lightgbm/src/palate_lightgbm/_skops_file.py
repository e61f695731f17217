"""Estimators in skops files, as MLflow writes them, but the same bytes for the same model."""

from __future__ import annotations

import json
import zipfile
from io import BytesIO
from typing import Any

from palate.errors import DependencyMissing, UnsupportedModel

__all__ = ["ALLOWED", "dump", "import_skops"]

# MLflow's own list of what it allows in a file of an estimator of LightGBM.
ALLOWED = (
    "collections.OrderedDict",
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBMClassifier",
    "lightgbm.sklearn.LGBMRegressor",
)
_BEFORE_ALL = (1980, 1, 1, 0, 0, 0)


def import_skops() -> Any:
    """Return ``skops.io``. Raises DependencyMissing."""
    try:
        import skops.io
    except ImportError as exc:
        raise DependencyMissing("skops", needed_for="format='skops'", install="palate-lightgbm[skops]") from exc
    return skops.io


def dump(model: Any) -> tuple[bytes, list[str]]:
    """Return the file, and the types in it that a reader has to allow. Raises UnsupportedModel for types of others."""
    skops = import_skops()
    data = skops.dumps(model)
    allowed = sorted({*ALLOWED, *skops.get_untrusted_types(data=data)})
    others = [name for name in allowed if name.partition(".")[0] not in ("lightgbm", "collections")]
    if others:
        reason = f"it holds {', '.join(others)}, which readers of skops do not allow"
        raise UnsupportedModel(type(model).__name__, reason=reason, hint="use format='cloudpickle'")
    return _without_accidents(data), allowed


def _without_accidents(data: bytes) -> bytes:
    """Return a skops file without the time, and with numbers for the addresses of objects."""
    numbers: dict[str, int] = {}
    written = BytesIO()
    with zipfile.ZipFile(BytesIO(data)) as source, zipfile.ZipFile(written, "w") as target:
        schema = _renumber(json.loads(source.read("schema.json")), numbers)
        for name in source.namelist():
            content = json.dumps(schema).encode() if name == "schema.json" else source.read(name)
            target.writestr(zipfile.ZipInfo(_renumber_file(name, numbers), _BEFORE_ALL), content)
    return written.getvalue()


def _renumber(node: Any, numbers: dict[str, int]) -> Any:
    if isinstance(node, list):
        return [_renumber(part, numbers) for part in node]
    if not isinstance(node, dict):
        return node
    node = {key: _renumber(part, numbers) for key, part in node.items()}
    if isinstance(node.get("__id__"), int):
        node["__id__"] = numbers.setdefault(str(node["__id__"]), len(numbers))
    if isinstance(node.get("file"), str):
        node["file"] = _renumber_file(node["file"], numbers)
    return node


def _renumber_file(name: str, numbers: dict[str, int]) -> str:
    """Return the name of a part, which is the address of the array in it."""
    stem, dot, suffix = name.partition(".")
    return f"{numbers.setdefault(stem, len(numbers))}{dot}{suffix}" if stem.isdigit() else name

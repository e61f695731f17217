"""Models under names: numbered versions, aliases that move, their history; in a folder or a bucket."""

from __future__ import annotations

from palate.store._demands import Demands, GateRecord
from palate.store._documents import AliasMove, Deletion
from palate.store._exporting import export_model
from palate.store._importing import Imported, Refused, import_models
from palate.store._mlflow import Registered
from palate.store._mlflow import resolve as resolve_mlflow
from palate.store._opening import STORE_VARIABLE, open_store, resolve
from palate.store._store import Store
from palate.store._versions import ModelSummary, Version

__all__ = [
    "STORE_VARIABLE",
    "AliasMove",
    "Deletion",
    "Demands",
    "GateRecord",
    "Imported",
    "ModelSummary",
    "Refused",
    "Registered",
    "Store",
    "Version",
    "export_model",
    "import_models",
    "open_store",
    "resolve",
    "resolve_mlflow",
]

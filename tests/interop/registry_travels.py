"""Take models from stock MLflow's registry to Palate and back; print what was seen as one JSON object.

Usage: registry_travels.py FOLDER. Runs where MLflow is, with Palate on PYTHONPATH; MLFLOW_TRACKING_URI says which
registry. Warnings of Palate are collected, those of MLflow are its own affair.
"""

import json
import os
import sys
import warnings
from pathlib import Path

import mlflow
import pandas as pd
from sklearn.linear_model import LinearRegression, LogisticRegression

import palate
from palate.errors import PalateError, PalateWarning
from palate.store import export_model, import_models, open_store

root = Path(sys.argv[1])
rows = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [0.5, 0.1, 0.9]})
client = mlflow.MlflowClient()
seen = {}


def told(act):
    """Return what *act* returns, and the warnings of Palate's that it gave."""
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        result = act()
    return result, [str(one.message) for one in given if issubclass(one.category, PalateWarning)]


def refusal(act):
    """Return the error that *act* ends with."""
    try:
        act()
    except PalateError as exc:
        return [type(exc).__name__, str(exc)]
    return None


def log(slope, **options):
    """Log a line to MLflow and register it; return its URI by id and its run."""
    with mlflow.start_run() as run:
        model = LinearRegression().fit(rows, rows["a"] * slope)
        options = {"name": "line", "registered_model_name": "lines", "pip_requirements": ["scikit-learn"], **options}
        logged = mlflow.sklearn.log_model(model, input_example=rows, **options)
    return logged.model_uri, run.info.run_id


def compare(uri, stock):
    """Return whether Palate and stock MLflow predict the same."""
    return palate.load_model(uri).predict(rows).tolist() == mlflow.pyfunc.load_model(stock).predict(rows).tolist()


def come_in():
    """Models that MLflow logged, under every kind of address."""
    (_, first), (by_id, second) = log(1.0), log(2.0)
    client.set_registered_model_alias("lines", "champion", "1")
    addresses = ["models:/lines/1", "models:/lines/2", "models:/lines@champion", "models:/lines/latest", by_id]
    addresses += [f"runs:/{first}/line", f"runs:/{second}/line", client.get_logged_model(by_id[8:]).artifact_location]
    seen["same predictions"] = {address: compare(f"mlflow:{address}", address) for address in addresses}
    one, two = (palate.inspect_model(f"mlflow:models:/lines/{number}") for number in (1, 2))
    seen["digests differ"] = one.digest != two.digest
    seen["alias"] = palate.inspect_model("mlflow:models:/lines@champion").digest == one.digest
    seen["by digest"] = palate.inspect_model(f"mlflow:models:/gone/1@sha256:{one.digest}").digest == one.digest
    seen["wrong digest"] = refusal(lambda: palate.load_model(f"mlflow:models:/lines/2@sha256:{'0' * 64}"))
    seen["isolated"] = palate.load_model("mlflow:models:/lines/2", isolate=True).predict(rows).round(6).tolist()


def are_refused():
    """Addresses at which nothing is, or no model."""
    with mlflow.start_run() as run:
        mlflow.log_text("hello", "notes/hello.txt")
    addresses = ["models:/nobody/1", "models:/lines/99", "models:/lines@nobody", "runs:/nobody/line", "nonsense:/x"]
    addresses += [f"runs:/{run.info.run_id}/nothing", f"runs:/{run.info.run_id}/notes"]
    places = {run.info.run_id: "<run>"}
    for address in addresses:
        name = address.replace(run.info.run_id, places[run.info.run_id])
        seen.setdefault("refused", {})[name] = refusal(lambda address=address: palate.load_model(f"mlflow:{address}"))


def are_imported():
    """What the registry has, into a store of Palate's."""
    store = open_store()
    for number in (1, 2):
        import_models(store, f"mlflow:models:/lines/{number}")
    seen["imported"] = [[version.uri, version.source] for version in store.versions("lines")]
    seen["imported predicts"] = compare("models:/lines/2", "models:/lines/2")
    seen["again"] = [version.uri for version in import_models(store, "mlflow:models:/lines/2").present]


def go_out_and_come_back():
    """A model that Palate saved, registered in MLflow."""
    model = LogisticRegression().fit(rows, [0, 0, 1])
    palate.save_model(model, root / "saved", input_example=rows)
    digest = palate.inspect_model(root / "saved").digest
    exported = [export_model(root / "saved", "mlflow:models:/classes") for _ in range(2)]
    seen["exported"] = [one.uri for one in exported]
    stock = mlflow.pyfunc.load_model("models:/classes/2").predict(rows).tolist()
    seen["stock opens it"] = stock == model.predict(rows).tolist()
    (info, warned) = told(lambda: palate.inspect_model("mlflow:models:/classes/2"))
    seen["comes back"] = [info.digest == digest == exported[0].digest, warned]
    return exported[1], digest


def is_rewritten(exported, digest):
    """The same after MLflow has rewritten its MLmodel, and then after somebody has changed more."""
    address = f"runs:/{exported.run_id}/palate-{digest[:16]}"
    mlflow.models.set_signature(address, mlflow.models.infer_signature(rows.astype("float32"), [0, 1]))
    (info, warned) = told(lambda: palate.inspect_model(exported.uri))
    seen["rewritten"] = [info.digest != digest, warned, palate.inspect_model(exported.uri).digest == info.digest]
    model = palate.load_model(exported.uri)
    seen["rewritten predicts"] = model.predict(rows.astype("float32")).tolist()
    (root / "requirements.txt").write_text("something-else\n")
    client.log_artifact(exported.run_id, str(root / "requirements.txt"), f"palate-{digest[:16]}")
    seen["changed"] = refusal(lambda: palate.load_model(exported.uri))


warnings.simplefilter("ignore")
come_in()
are_refused()
are_imported()
is_rewritten(*go_out_and_come_back())
cache = Path(os.environ["PALATE_CACHE"]) / "models"
seen["left over"] = [path.name for path in cache.iterdir() if "palate-stage" in path.name]
print(json.dumps(seen))

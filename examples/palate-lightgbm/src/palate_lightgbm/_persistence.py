"""Directories as ``mlflow.lightgbm`` lays them out, in text, skops or pickle."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from palate.errors import UnsafeModel, UnsupportedModel
from palate.hookspecs import LoadOptions, SaveOptions, confine, pin_installed
from palate_lightgbm import _estimators, _skops_file
from palate_lightgbm._boosters import find_booster
from palate_lightgbm._layout import BOOSTER, FILES, TEXT_FILE, read_format
from palate_lightgbm._model_text import TextFacts, check_model_text
from palate_lightgbm._tree_text import Malformed

__all__ = ["load_model", "requirements", "save_model"]


def save_model(model: Any, path: Path, options: SaveOptions) -> dict[str, Any]:
    """Write *model* under *path* and return its section of MLmodel. Raises UnsupportedModel."""
    import lightgbm

    if options.format == "text":
        section = _save_text(model, path)
    elif find_booster(model) is model:
        hint = "leave format= out: LightGBM's text holds a Booster, also in MLflow's directories"
        raise UnsupportedModel("Booster", reason=f"format {options.format!r} is for estimators", hint=hint)
    else:
        section = _save_object(model, path, options.format)
    return {"lgb_version": lightgbm.__version__, "serialization_format": options.format, **section}


def _save_text(model: Any, path: Path) -> dict[str, Any]:
    booster = find_booster(model)
    estimator = {} if booster is model else {"estimator": _estimators.describe(model)}
    # As in LightGBM's own files and MLflow's, rounds behind the best one are left out.
    text = booster.model_to_string().encode("utf-8")
    try:
        facts = check_model_text(text)
        if estimator:
            _estimators.check(estimator["estimator"], facts)
    except Malformed as exc:
        name = type(model).__name__
        hint = "wrap it in a palate.PythonModel" if not estimator else "use format='cloudpickle'"
        raise UnsupportedModel(name, reason=f"its text would not be opened: {exc}", hint=hint) from exc
    (path / TEXT_FILE).write_bytes(text)
    best = {"best_iteration": booster.best_iteration} if booster.best_iteration > 0 else {}
    # The class that MLflow makes of the file, which knows no estimators in text.
    return {"data": TEXT_FILE, "model_class": BOOSTER, **best, **estimator}


def _save_object(model: Any, path: Path, stored: str) -> dict[str, Any]:
    file = path / FILES[stored]
    extra: dict[str, Any] = {}
    if stored == "skops":
        data, extra["skops_trusted_types"] = _skops_file.dump(model)
        file.write_bytes(data)
    elif stored == "pickle":
        file.write_bytes(pickle.dumps(model))
    else:
        import cloudpickle

        file.write_bytes(cloudpickle.dumps(model))
    kind = type(model)
    return {"data": file.name, "model_class": f"{kind.__module__}.{kind.__qualname__}", **extra}


def load_model(path: Path, config: Mapping[str, Any], options: LoadOptions) -> object:
    """Return the Booster or the estimator of a section that Palate or MLflow wrote."""
    stored = read_format(config)
    file = confine(path, config.get("data", FILES[stored]), field="flavors.lightgbm.data")
    if stored == "text":
        return _load_text(file, config)
    if not options.trust:
        raise UnsafeModel(file.name, rule=f"{stored} needs trust", hint="save it with format='text'")
    if stored == "skops":
        with options.code.activated():
            return _skops_file.import_skops().load(
                file, trusted=config.get("skops_trusted_types") or list(_skops_file.ALLOWED)
            )
    return options.code.load_pickle(file)


def _load_text(file: Path, config: Mapping[str, Any]) -> object:
    import lightgbm

    data = file.read_bytes()
    try:
        facts = check_model_text(data)
        description = config.get("estimator")
        if description is not None:
            _estimators.check(description, facts)
        text = data.decode("utf-8")
    except (Malformed, UnicodeDecodeError) as exc:
        rule = str(exc) if isinstance(exc, Malformed) else "it must be UTF-8"
        raise UnsafeModel(file.name, rule=rule, hint="save the model again") from exc
    booster = lightgbm.Booster(model_str=text)
    booster.best_iteration = _read_best_iteration(config, facts)
    return booster if description is None else _estimators.rebuild(description, booster)


def _read_best_iteration(config: Mapping[str, Any], facts: TextFacts) -> int:
    """Return the round up to which the booster predicts by default; -1 for all of them, as in LightGBM."""
    best = config.get("best_iteration")
    return best if type(best) is int and 0 < best <= facts.rounds else -1


def requirements(model: Any, stored: str) -> Sequence[str]:
    """Return what must be installed to open *model* in this format."""
    names = ["lightgbm"]
    if find_booster(model) is not model:
        names.append("scikit-learn")
    if stored in ("skops", "cloudpickle"):
        names.append(stored)
    return tuple(map(pin_installed, names))

"""Writing models as xgboost writes them, and reading them after every byte has been looked at."""

from __future__ import annotations

import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palate.errors import InvalidModelFile, Problem, UnsafeModel, UnsupportedModel
from xgboost_flavor._classes import BOOSTER, ESTIMATOR_TYPES, class_named, is_known, name_of
from xgboost_flavor._document import Broken, Document
from xgboost_flavor._jsontext import check_escapes, read_json
from xgboost_flavor._model_checks import check_attributes, check_model
from xgboost_flavor._params import check_params, describe_params, read_params, restore_params, threads_of
from xgboost_flavor._ubjson import read_ubjson

if TYPE_CHECKING:
    from palate.hookspecs import LoadOptions

__all__ = ["read_model", "write_model"]

_SPACES = b" \t\n\v\f\r"
_OLD_BINARY = b"binf"

# Checking a large file takes longer than writing it. Trees that xgboost has trained keep all rules but one, which those
# of a thousand nodes and more can break: they can be deeper than a reader takes.
_SMALL = 1 << 20
_LARGE_TREE = re.compile(rb'num_nodes(?:SL\0{7}[\x04-\x0a]|":"[0-9]{4})')


# -- writing -------------------------------------------------------------------------------------------------------


def write_model(model: Any, path: Path, format_: str) -> dict[str, Any]:
    """Write *model* as ``model.<format>`` under *path*; return the section that MLflow writes, and the parameters.

    Raises:
        UnsupportedModel: it is no fitted model of xgboost's own classes.
    """
    import xgboost

    name = name_of(model)
    # xgboost, and MLflow, choose the format by the suffix.
    file = f"model.{format_}"
    _save(model, name, path / file)
    _check_own(path / file, model)
    section = {
        "code": None,
        "data": file,
        "model_class": name,
        "model_format": format_,
        "xgb_version": xgboost.__version__,
    }
    return section if name == BOOSTER else {**section, **_describe_own(model)}


def _save(model: Any, name: str, target: Path) -> None:
    if name == BOOSTER:
        model.save_model(target)
        return
    if not model.__sklearn_is_fitted__():
        raise UnsupportedModel(type(model).__name__, reason="it is not fitted", hint="call fit before saving it")
    booster = model.get_booster()
    before = booster.attr("scikit_learn")
    try:
        # Writes which kind of estimator it is into the file, by way of an attribute of the booster, and takes it away.
        model.save_model(target)
    finally:
        booster.set_attr(scikit_learn=before)


def _check_own(file: Path, model: Any) -> None:
    """Refuse what has just been written if a reader would refuse it."""
    data = _read(file)
    try:
        if len(data) <= _SMALL or _LARGE_TREE.search(data):
            _check(data)
        else:
            _check_texts(data, file, model)
    except Broken as exc:
        raise UnsupportedModel(
            type(model).__name__,
            reason=f"xgboost wrote a file that could not be opened safely: {exc}",
            hint="try the other format (ubj or json); if both fail, train the model again with shallower trees",
        ) from exc


def _check_texts(data: bytearray, file: Path, model: Any) -> None:
    """Check the names and attributes, which are whatever the caller has set."""
    booster = model.get_booster() if hasattr(model, "get_booster") else model
    check_attributes(booster.attributes(), booster.num_boosted_rounds())
    # A search for the expression itself would look at each byte.
    if file.suffix == ".json" and b"\\" in data:
        check_escapes(data)


def _describe_own(model: Any) -> dict[str, Any]:
    """Return the section of the parameters, unless a reader would refuse them."""
    section = describe_params(model)
    try:
        check_params(model.get_booster(), read_params(section) or {})
    except InvalidModelFile as exc:
        raise UnsupportedModel(
            type(model).__name__,
            reason=f"its parameters could not be read back: {exc}",
            hint="set the attributes to what it was trained with, or save model.get_booster()",
        ) from exc
    return section


# -- reading -------------------------------------------------------------------------------------------------------


def read_model(name: str, config: Mapping[str, Any], options: LoadOptions) -> object:
    """Return the model in the file that the model directory calls *name*.

    Raises:
        UnsafeModel: a byte of it, or a number in it, is not as xgboost writes it.
    """
    params = read_params(config)
    data = bytearray(options.map_file(name))  # what xgboost takes as a buffer
    try:
        kind = _check(data)
    except Broken as exc:
        raise UnsafeModel(name, rule=str(exc), hint=_versions_hint(config)) from exc
    model = _new_model(config, name, kind, params, options)
    _load_native(model, data, name, config)
    if params is not None and hasattr(model, "get_booster"):
        check_params(model.get_booster(), params)
        restore_params(model, params)
    return model


def _read(path: Path) -> bytearray:
    """Read a file into what xgboost takes as a buffer, without a copy."""
    with path.open("rb", buffering=0) as stream:
        data = bytearray(path.stat().st_size)
        view, filled = memoryview(data), 0
        while filled < len(data) and (got := stream.readinto(view[filled:])):
            filled += got
        view.release()
    del data[filled:]
    return data


def _check(data: bytearray) -> str | None:
    """Check a file; return which kind of estimator wrote it, if it was one."""
    document = _parse(data)
    return check_model(document, document.root)


def _parse(data: bytearray) -> Document:
    if data.startswith(_OLD_BINARY):
        raise Broken("it is in the binary format of xgboost before 1.0, which xgboost has given up since 3.1")
    if not data.startswith(b"{"):
        raise Broken("it is neither UBJSON nor JSON")
    # xgboost decides by what it finds when it is given a buffer: a quote begins JSON.
    second = next((byte for byte in data[1:64] if byte not in _SPACES), 0)
    return read_json(data) if second == ord('"') else read_ubjson(data)


def _versions_hint(config: Mapping[str, Any]) -> str:
    import xgboost

    written = config.get("xgb_version")
    if not isinstance(written, str) or written == xgboost.__version__:
        return ""
    return f"it was written by xgboost {written:.20}, and {xgboost.__version__} is installed"


def _new_model(
    config: Mapping[str, Any],
    name: str,
    kind: str | None,
    params: Mapping[str, Any] | None,
    options: LoadOptions,
) -> Any:
    # MLflow wrote no model_class before 1.22, when it only saved boosters.
    wanted = config.get("model_class", BOOSTER)
    if wanted is None or wanted == BOOSTER:
        return class_named(BOOSTER)()
    if not is_known(wanted):
        return _foreign_class(wanted, options)()
    if kind is not None and kind != ESTIMATOR_TYPES[wanted]:
        raise UnsafeModel(name, rule=f"it holds a {kind:.20}, and MLmodel says that it is a {wanted}")
    return class_named(wanted)(n_jobs=threads_of(params))


def _foreign_class(wanted: object, options: LoadOptions) -> Any:
    """Return a class of the model's own code, as MLflow does; the caller trusts it."""
    module, _, attribute = str(wanted).rpartition(".")
    if not options.trust or not module:
        problem = Problem(("flavors", "xgboost", "model_class"), "wrong_value", "is not a class of xgboost")
        raise InvalidModelFile([problem])
    with options.code.activated():
        return getattr(options.code.import_module(module), attribute)


def _load_native(model: Any, data: bytearray, name: str, config: Mapping[str, Any]) -> None:
    import xgboost

    settings = xgboost.get_config()  # of this thread

    def load() -> None:
        xgboost.set_config(**settings)
        model.load_model(data)
        booster = model.get_booster() if hasattr(model, "get_booster") else model
        # Puts the parts together, which xgboost else does, and finds fault with, at the first prediction.
        booster.num_features()

    try:
        # The threads that OpenMP starts for one end with it. Started for this one, a forked child would wait for them.
        with ThreadPoolExecutor(1) as own_thread:
            own_thread.submit(load).result()
    except xgboost.core.XGBoostError as exc:
        first = str(exc).partition("\n")[0]
        raise UnsafeModel(name, rule=f"xgboost refuses it: {first:.200}", hint=_versions_hint(config)) from exc

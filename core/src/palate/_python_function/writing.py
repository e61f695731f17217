"""Writing a python_function model."""

from __future__ import annotations

import ast
import io
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from palate._code import python_model, standins
from palate._code.bundle import CODE_FOLDER, top_level_names
from palate._code.pickles import COMPRESSIONS
from palate._disk.copying import copy_into
from palate._disk.paths import read_small
from palate._disk.strict_yaml import read_yaml
from palate._environment.distributions import find_providers
from palate._process_lock import PARSING
from palate._python_function.artifacts import copy_artifacts, source_path
from palate._python_function.subjects import is_python_model, prepare, streams, unwrap
from palate.errors import InvalidOption, UnsupportedModel
from palate.model_file import plain_problems

__all__ = ["read_config", "write_native"]

_CONFIG_LIMIT = 1 << 20
_registry_lock = threading.Lock()


def write_native(model: Any, root: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """Write *model* into *root* and return the python_function section."""
    if options.get("loader_module") is not None:
        section = _write_data(model, root, options)
    elif isinstance(model, str):
        _refuse(options, "data_path", "compression")
        section = _copy_code_file(Path(model), root)
    elif model is None:
        raise UnsupportedModel(
            "NoneType", reason="there is no model", hint="pass one, or loader_module= with data_path="
        )
    else:
        _refuse(options, "data_path")
        section = _pickle_model(model, root, options.get("compression"))
    if options.get("artifacts"):
        section["artifacts"] = copy_artifacts(options["artifacts"], root)
    if options.get("model_config") is not None:
        section["config"] = read_config(options["model_config"])
    return section


def _refuse(options: Mapping[str, Any], *names: str) -> None:
    hints = {"data_path": "pass loader_module= with it", "compression": "it is for models that are pickled"}
    for name in names:
        if options.get(name) is not None:
            raise InvalidOption(name, reason="this model has no use for it", hint=hints[name])


# -- the three kinds -------------------------------------------------------------------------------------------------


def _pickle_model(model: Any, root: Path, compression: str | None) -> dict[str, Any]:
    import cloudpickle

    if compression is not None and not (isinstance(compression, str) and compression in COMPRESSIONS):
        known = ", ".join(COMPRESSIONS)
        raise InvalidOption("compression", reason=f"{compression!r} is not known", hint=f"choose one of {known}")
    subject = prepare(model)
    written = _dump(subject)
    name = "python_model.pkl" + (COMPRESSIONS[compression][0] if compression else "")
    _write(root / name, written, compression)
    packed = {"python_model_compression": compression} if compression else {}
    return {
        "loader_module": "mlflow.pyfunc.model",
        "python_model": name,
        "cloudpickle_version": cloudpickle.__version__,
        "streamable": is_python_model(subject) and streams(model),
        **packed,
    }


def _dump(subject: Any) -> bytes:
    import cloudpickle

    buffer = io.BytesIO()
    with _by_value():
        try:
            cloudpickle.dump(subject, buffer)
        except Exception as exc:  # whatever the objects inside raise when they are asked for their state
            raise UnsupportedModel(
                _name_of(unwrap(subject)),
                reason=f"cloudpickle cannot write it: {type(exc).__name__}: {exc}",
                hint="open such things in load_context, or save a .py file that makes the model",
            ) from exc
    return buffer.getvalue()


def _name_of(model: Any) -> str:
    return f"function '{model.__qualname__}'" if hasattr(model, "__qualname__") else type(model).__qualname__


@contextmanager
def _by_value() -> Iterator[None]:
    """Have cloudpickle write our classes whole, so that nothing needs Palate to open them."""
    import cloudpickle

    with _registry_lock:
        known = cloudpickle.list_registry_pickle_by_value()
        modules = [module for module in (python_model, standins) if module.__name__ not in known]
        for module in modules:
            cloudpickle.register_pickle_by_value(module)
        try:
            yield
        finally:
            for module in modules:
                cloudpickle.unregister_pickle_by_value(module)


def _write(path: Path, content: bytes, compression: str | None) -> None:
    import bz2
    import gzip
    import lzma

    if compression == "gzip":
        content = gzip.compress(content, mtime=0)  # the same model gives the same bytes
    elif compression == "bzip2":
        content = bz2.compress(content)
    elif compression == "lzma":
        content = lzma.compress(content)
    path.write_bytes(content)


def _copy_code_file(source: Path, root: Path) -> dict[str, Any]:
    if source.suffix != ".py" or not source.is_file():
        reason = "there is no such file" if source.suffix == ".py" else "it is not a .py file"
        raise UnsupportedModel(
            f"path '{source}'", reason=reason, hint="give a .py file that calls palate.set_model(...)"
        )
    try:
        with PARSING.held:
            ast.parse(source.read_bytes())
    except (SyntaxError, ValueError) as exc:
        reason = f"it is not Python ({exc})"
        raise UnsupportedModel(f"path '{source}'", reason=reason, hint="correct the file") from exc
    copy_into(source, root / source.name)
    # MLflow records the absolute path and reads only its last part.
    return {
        "loader_module": "mlflow.pyfunc.loaders.code_model",
        "model_code_path": source.name,
        "streamable": False,
    }


def _write_data(model: Any, root: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    loader = options["loader_module"]
    if model is not None:
        raise InvalidOption("loader_module", reason="a model is given too", hint="pass None as the model")
    if not isinstance(loader, str) or not all(part.isidentifier() for part in loader.split(".")):
        raise InvalidOption("loader_module", reason=f"{loader!r:.60} is no module name", hint="write 'package.module'")
    code = CODE_FOLDER if (root / CODE_FOLDER).is_dir() else None
    if find_providers([loader], top_level_names(root, code))[1]:
        raise InvalidOption(
            "loader_module",
            reason=f"'{loader}' is not installed and not in the model",
            hint="pass code_paths=[...] with its file or package",
        )
    _refuse(options, "compression")
    section: dict[str, Any] = {"loader_module": loader, "streamable": False}
    if options.get("data_path") is not None:
        source = source_path("data_path", options["data_path"])
        section["data"] = f"data/{source.name}"
        copy_into(source, root / section["data"])
    return section


# -- configuration ---------------------------------------------------------------------------------------------------


def read_config(given: Any) -> dict[str, Any]:
    """Return a model configuration given as a dict or as the path of a YAML file.

    Raises:
        InvalidOption: it is neither, or not plain data.
    """
    config = given
    if isinstance(given, str | os.PathLike):
        path = source_path("model_config", given)
        config = read_yaml(read_small(path, _CONFIG_LIMIT), source=str(given))
    problems = plain_problems(config) if isinstance(config, Mapping) else ["it is not a dict"]
    if problems:
        reason = "; ".join(map(str, problems))
        raise InvalidOption("model_config", reason=reason, hint="give a dict of plain data, or the path of a YAML file")
    return cast("dict[str, Any]", dict(config))

"""A graph on disk: ``model.onnx`` and, for large models, ``model.onnx.data``, where stock MLflow looks for them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from palate.errors import InvalidModelFile, InvalidOption, PalateWarning, Problem, UnsafeModel, UnsupportedModel
from palate.hookspecs import LoadOptions, SaveOptions, confine
from palate_onnx._engine import Engine
from palate_onnx._external_data import Buffer, has_external_data, move_in, move_out, open_external_files
from palate_onnx._frameworks import import_onnx
from palate_onnx._graph_checks import find_broken_rule
from palate_onnx._options import SESSION_OPTIONS, Provider, read_call_options, read_settings
from palate_onnx._schema import find_rounded

__all__ = ["make_engine", "read_model", "write_model"]

GRAPH_FILE, WEIGHTS_FILE = "model.onnx", "model.onnx.data"
EXTERNAL_OPTION, WEIGHTS_OPTION = "save_as_external_data", "load_external_data"
# protobuf's limit for one message.
_MOST_BYTES = 2**31 - 1


def write_model(model: Any, path: Path, options: SaveOptions) -> dict[str, Any]:
    """Write the graph under *path* and return the section of MLmodel, with MLflow's keys.

    Raises:
        UnsupportedModel: it is no graph, or one that could not be opened again.
        InvalidOption: an option is malformed.
    """
    onnx = import_onnx()
    settings = read_call_options(options.extra)
    graph = _graph_of(model)
    external = _wants_external(options.extra)
    if rule := find_broken_rule(graph):
        raise UnsupportedModel("onnx.ModelProto", reason=rule, hint="see what is opened in palate-onnx's README")
    (path / GRAPH_FILE).write_bytes(_serialize(graph, path / WEIGHTS_FILE, external=external))
    onnx.checker.check_model(str(path / GRAPH_FILE))
    if rounded := find_rounded(graph, options.signature):
        message = (
            f"Every prediction will round {', '.join(rounded)}: double in the signature, float32 in the graph. Stock "
            "MLflow does the same. An input example of float32 makes a signature that takes exact values only."
        )
        warnings.warn(message, PalateWarning, stacklevel=2)
    return {
        "onnx_version": onnx.__version__,
        "data": GRAPH_FILE,
        "providers": [_plain(provider) for provider in settings.providers],
        SESSION_OPTIONS: dict(settings.session_options) or None,
        "code": None,
    }


def read_model(path: Path, config: Mapping[str, Any], options: LoadOptions) -> Any:
    """Return the ``onnx.ModelProto`` of a directory, checked; with its weights, unless the caller leaves them out.

    Raises:
        InvalidModelFile: the section of MLmodel does not name a file.
        UnsafeModel: the graph or its weights break a rule.
        UnsafePath: a file that they name is not an ordinary one in the directory.
        InvalidOption: an option is malformed.
    """
    whole = options.extra.get(WEIGHTS_OPTION, True)
    if not isinstance(whole, bool):
        hint = "False leaves weights in their files, as in onnx.load"
        raise InvalidOption(WEIGHTS_OPTION, reason="it must be True or False", hint=hint)
    file = _find_file(path, config)
    graph, buffers = _read_graph(file)
    import_onnx().checker.check_model(str(file))
    if whole:
        move_in(graph, buffers, file.name)
    return graph


def make_engine(model: Any, path: Path, config: Mapping[str, Any], options: LoadOptions) -> Engine:
    """Return what runs a graph: one that was read from the directory, or that was just written there.

    Raises:
        UnsafeModel, InvalidOption: the section of MLmodel asks for more than a file may; an option is malformed.
    """
    from google.protobuf.message import EncodeError

    settings = read_settings(config, options.extra)
    file = _find_file(path, config)
    if has_external_data(model):
        return Engine(model, settings=settings, folder=file.parent)
    try:
        return Engine(model, settings=settings)
    except EncodeError:  # of more than 2 GiB: only with its weights in their files can it be handed over
        return Engine(_read_graph(file)[0], settings=settings, folder=file.parent)


def _find_file(path: Path, config: Mapping[str, Any]) -> Path:
    if not isinstance(data := config.get("data", GRAPH_FILE), str):
        raise InvalidModelFile([Problem(("flavors", "onnx", "data"), "wrong_type", "must be the name of a file")])
    return confine(path, data, field="flavors.onnx.data")


def _graph_of(model: Any) -> Any:
    if not isinstance(model, import_onnx().ModelProto):
        kind = f"{type(model).__module__.partition('.')[0]}.{type(model).__name__}"
        hint = "give an onnx.ModelProto: onnx.load(file), onnx.helper.make_model(graph), or what a converter returns"
        raise UnsupportedModel(kind, reason="the flavor 'onnx' saves whole models", hint=hint)
    if has_external_data(model):
        hint = "load it together with its data: onnx.load(file)"
        raise UnsupportedModel("onnx.ModelProto", reason="its weights stand in other files", hint=hint)
    return model


def _wants_external(extra: Mapping[str, Any]) -> bool | None:
    wanted = extra.get(EXTERNAL_OPTION)
    if wanted is None or isinstance(wanted, bool):
        return wanted
    hint = "True puts large weights into a file of their own, None does so above 2 GiB"
    raise InvalidOption(EXTERNAL_OPTION, reason="it must be True, False or None", hint=hint)


def _serialize(graph: Any, weights_file: Path, *, external: bool | None) -> bytes:
    """Return the bytes of the graph's file; large weights go to *weights_file* first where that is wanted or needed."""
    from google.protobuf.message import EncodeError

    if not external:
        try:
            return bytes(graph.SerializeToString(deterministic=True))
        except EncodeError as exc:  # of more than 2 GiB
            if external is False:
                hint = f"leave {EXTERNAL_OPTION} out: the weights go to a file of their own"
                raise UnsupportedModel("onnx.ModelProto", reason="one file holds less than 2 GiB", hint=hint) from exc
    copy = import_onnx().ModelProto()
    copy.CopyFrom(graph)
    move_out(copy, weights_file)
    if not has_external_data(copy):
        weights_file.unlink()
    return bytes(copy.SerializeToString(deterministic=True))


def _read_graph(file: Path) -> tuple[Any, dict[str, Buffer]]:
    """Return a graph and the files that its tensors refer to, all of it checked."""
    from google.protobuf.message import DecodeError

    if file.stat().st_size > _MOST_BYTES:
        raise UnsafeModel(file.name, rule="one file of protobuf holds less than 2 GiB")
    try:
        graph = import_onnx().ModelProto.FromString(file.read_bytes())
    except DecodeError as exc:
        raise UnsafeModel(file.name, rule="it must be an ONNX model, whole") from exc
    if rule := find_broken_rule(graph):
        raise UnsafeModel(file.name, rule=rule)
    return graph, open_external_files(file.parent, graph, file.name)


def _plain(provider: Provider) -> str | list[Any]:
    return provider if isinstance(provider, str) else [provider[0], dict(provider[1])]

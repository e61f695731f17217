"""An ONNX graph together with the session that runs it."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from palate.errors import InvalidOption, PalateWarning
from palate_onnx._external_data import Buffer, move_in
from palate_onnx._frameworks import import_onnx, import_onnxruntime
from palate_onnx._options import PROVIDERS, Provider, Settings

_CPU = "CPUExecutionProvider"
# Sessions of the parent, in a forked child: to free one is to wait for threads that the child does not have.
_inherited: list[object] = []


class OnnxModel:
    """What ``palate.load_native`` returns: the graph, and one session that runs it.

    May be shared between threads. A forked child makes a session of its own.
    """

    def __init__(
        self,
        graph: Any,
        *,
        settings: Settings,
        folder: Path | None = None,
        buffers: Mapping[str, Buffer] | None = None,
        name: str = "model.onnx",
    ) -> None:
        """Take a checked graph.

        Args:
            graph: an ``onnx.ModelProto``.
            settings: how to make sessions.
            folder: where the files stand that tensors refer to, if any do.
            buffers: those files, by the names that tensors give them.
            name: the graph's file, for messages.
        """
        self._graph, self._settings, self._folder, self._name = graph, settings, folder, name
        self._buffers = dict(buffers or {})
        self._lock = threading.Lock()
        self._whole: Any = None if self._buffers else graph
        self._session: Any = None
        self._process = 0

    @property
    def proto(self) -> Any:
        """The ``onnx.ModelProto``, weights included: made once when they stand in files of their own."""
        with self._lock:
            if self._whole is None:
                whole = import_onnx().ModelProto()
                whole.CopyFrom(self._graph)
                move_in(whole, self._buffers, self._name)
                self._whole = whole
            return self._whole

    @property
    def session(self) -> Any:
        """The ``onnxruntime.InferenceSession``: made once in each process."""
        if self._process != os.getpid():
            with self._lock:
                if self._process != os.getpid():
                    _inherited.append(self._session)
                    self._session = self._make_session()
                    self._process = os.getpid()
        return self._session

    def _make_session(self) -> Any:
        runtime = import_onnxruntime()
        options = _session_options(runtime, self._settings.session_options)
        # The bytes are those of a graph. onnxruntime would take them for its own format if they looked like it.
        options.add_session_config_entry("session.load_model_format", "ONNX")
        if self._folder is not None:
            folder = str(self._folder.resolve())
            options.add_session_config_entry("session.model_external_initializers_file_folder_path", folder)
        providers = _usable_providers(self._settings, runtime.get_available_providers())
        content = self._graph.SerializeToString(deterministic=True)
        # Without enable_fallback=0 it prints, and tries again with other providers, whenever it refuses a graph.
        return runtime.InferenceSession(content, options, providers=providers, enable_fallback=0)

    def __repr__(self) -> str:
        return f"OnnxModel({self._name!r})"


def open_saved(model: Any) -> OnnxModel | None:
    """Return the model that ``predict`` is called with: a loaded one, or one around the graph that is being saved.

    None when that graph is too large to be given to onnxruntime as bytes.
    """
    from google.protobuf.message import EncodeError

    if isinstance(model, OnnxModel):
        return model
    native = OnnxModel(model, settings=Settings())
    try:
        _ = native.session
    except EncodeError:  # of more than 2 GiB
        return None
    return native


def _session_options(runtime: Any, given: Mapping[str, Any]) -> Any:
    options = runtime.SessionOptions()
    for name in ("intra_op_num_threads", "inter_op_num_threads"):
        if threads := given.get(name):
            setattr(options, name, threads)
    if mode := given.get("execution_mode"):
        options.execution_mode = getattr(runtime.ExecutionMode, f"ORT_{mode.upper()}")
    # As in MLflow, 0 leaves the level as it is.
    if level := given.get("graph_optimization_level"):
        options.graph_optimization_level = runtime.GraphOptimizationLevel(level)
    for key, value in (given.get("extra_session_config") or {}).items():
        options.add_session_config_entry(key, value)
    return options


def _usable_providers(settings: Settings, available: Sequence[str]) -> list[Provider]:
    names = [entry if isinstance(entry, str) else entry[0] for entry in settings.providers]
    usable = [entry for entry, name in zip(settings.providers, names, strict=True) if name in available]
    if usable:
        return usable
    if settings.must_have:
        reason = f"this onnxruntime has none of {', '.join(names)}"
        raise InvalidOption(PROVIDERS, reason=reason, hint=f"it has {', '.join(available)}")
    message = f"This onnxruntime has none of the model's providers ({', '.join(names)}); the CPU is used."
    warnings.warn(message, PalateWarning, stacklevel=2)
    return [_CPU]

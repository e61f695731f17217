"""The session that runs a graph."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from palate.errors import InvalidOption, PalateWarning
from palate_onnx._frameworks import import_onnxruntime
from palate_onnx._options import PROVIDERS, Provider, Settings

__all__ = ["Engine"]

_CPU = "CPUExecutionProvider"
# Sessions of the parent, in a forked child: to free one is to wait for threads that the child does not have.
_inherited: list[object] = []


class Engine:
    """What predictions are made with: a graph, and the session that runs it.

    May be shared between threads. A forked child makes a session of its own.
    """

    def __init__(self, graph: Any, *, settings: Settings, folder: Path | None = None) -> None:
        """Take a checked graph, and make its session.

        Args:
            graph: an ``onnx.ModelProto`` of less than 2 GiB.
            settings: how to make sessions.
            folder: where the files stand that its tensors refer to, if any do.
        """
        self._graph, self._settings, self._folder = graph, settings, folder
        self._lock = threading.Lock()
        self._session: Any = None
        self._process = 0
        _ = self.session  # what onnxruntime refuses is refused now

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

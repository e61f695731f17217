"""Whether a description asks for more memory than the weights that come with it fill."""

from __future__ import annotations

import json
import math
import re
import threading
from collections.abc import Mapping
from typing import Any

from palate.errors import UnsafeModel
from tf_flavor._imports import import_keras
from tf_flavor._keras_errors import first_cause
from tf_flavor._refusing import refuse

__all__ = ["MEASURABLE", "check_sizes"]

# What a layer keeps besides its weights: states of random generators, say.
_FREE_BYTES = 16 << 20
_HINT = "if you trust where it came from, pass trust=True"
MEASURABLE = "let a class of your own make its variables with add_weight(shape=..., initializer=...), not from values"


def check_sizes(text: bytes, custom: Mapping[str, Any], held: int, file: str) -> None:
    """Build the model without allocating its variables, and compare their sizes with the weights in the file.

    Args:
        text: the description of the model.
        custom: the classes and functions of the reader's process that it names.
        held: how many bytes of weights its file holds.
        file: what the file is called in errors.

    Raises:
        UnsafeModel: the model asks for more, or classes of the reader's own cannot be built so.
    """
    wanted = _Rehearsal(text, custom)
    # Keras keeps its scopes, and variables that still wait for their values, per thread: what the rehearsal leaves
    # behind goes with its thread, and no name counter of the caller's advances.
    wanted.start()
    wanted.join()
    if wanted.failure is not None and custom:
        rule = f"how much memory its own classes ask for cannot be told ({first_cause(wanted.failure)})"
        raise UnsafeModel(file, rule=rule, hint=f"{MEASURABLE}; {_HINT}") from wanted.failure
    if wanted.failure is not None:
        raise wanted.failure
    if wanted.nbytes > 2 * held + _FREE_BYTES:
        refuse(file, f"its layers ask for {wanted.nbytes:,} bytes of weights, and the file holds {held:,}", _HINT)


class _Rehearsal(threading.Thread):
    """One build of the model in a scope where variables have shapes but no values."""

    def __init__(self, text: bytes, custom: Mapping[str, Any]) -> None:
        super().__init__(name="palate-keras-sizes", daemon=True)
        self._text, self._custom = text, custom
        self.nbytes = 0
        self.failure: Exception | None = None

    def run(self) -> None:
        keras = import_keras()
        try:
            document = json.loads(self._text)
            document["compile_config"] = None
            with keras.StatelessScope(initialize_variables=False):
                model = keras.saving.deserialize_keras_object(document, custom_objects=dict(self._custom))
                self.nbytes = sum(_nbytes(variable) for variable in model.variables)
        except Exception as exc:  # of any kind: it is raised again in the thread that waits
            self.failure = exc


def _nbytes(variable: Any) -> int:
    bits = re.search(r"[0-9]+", str(variable.dtype))  # "float32", "float8_e4m3fn"; "bool" has none
    return math.prod(map(int, variable.shape)) * max(1, int(bits.group()) // 8 if bits else 1)

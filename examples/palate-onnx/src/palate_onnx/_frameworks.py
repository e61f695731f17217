"""onnx and onnxruntime, imported in one thread at a time and not amid a fork."""

from __future__ import annotations

from typing import Any

from palate.hookspecs import ForkLock

__all__ = ["import_onnx", "import_onnxruntime"]

_importing = ForkLock()


def import_onnx() -> Any:
    """Return the module ``onnx`` with its checker."""
    with _importing.held:
        import onnx
        import onnx.checker
    return onnx


def import_onnxruntime() -> Any:
    """Return the module ``onnxruntime``."""
    with _importing.held:
        import onnxruntime
    return onnxruntime

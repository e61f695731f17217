"""Unpickling with the modules of one model.

cloudpickle writes the functions and classes of ``__main__`` whole. Its own functions that make them again give them
the interpreter's builtins, and share classes between all pickles of a process by an id; here they get the model's
builtins, and classes of their own, so that loading one model never changes another.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import IO, Any

from palate._code.stage import on_stage

__all__ = ["ModelUnpickler"]

# The position of the id by which cloudpickle shares what these functions make.
_SHARED_BY_ID = {"_make_skeleton_class": 4, "_make_skeleton_enum": 5, "_make_typevar": 5}


class ModelUnpickler(pickle.Unpickler):
    """An unpickler whose globals come from a model's code first.

    Args:
        file: the open pickle.
        owns: whether the model's code answers imports of a name.
        import_module: imports a module as the model's code would.
        model_builtins: the builtins that the model's functions get.
        encoding: how the 8-bit strings of Python 2 are read.
    """

    def __init__(
        self,
        file: IO[bytes],
        *,
        owns: Callable[[str], bool],
        import_module: Callable[[str], ModuleType],
        model_builtins: dict[str, Any],
        encoding: str = "ASCII",
    ) -> None:
        super().__init__(file, encoding=encoding)
        self._owns = owns
        self._import_module = import_module
        self._builtins = model_builtins

    def find_class(self, module: str, name: str, /) -> Any:
        """Return what a pickle refers to as *name* in *module*."""
        # "cloudpickle.cloudpickle_fast" in pickles of older versions.
        if module.partition(".")[0] == "cloudpickle":
            return self._rebuilt(name, self._ordinary(module, name))
        if not self._owns(module) and module != "importlib":
            return self._ordinary(module, name)
        found: Any = self._import_module(module)
        for step in name.split("."):
            found = getattr(found, step)
        return found

    def _ordinary(self, module: str, name: str) -> Any:
        with on_stage(None):
            return super().find_class(module, name)

    def _rebuilt(self, name: str, original: Any) -> Any:
        match name:
            case "_make_function":
                return self._make_function
            case "subimport":
                return self._import_module
            case "_function_setstate" | "dynamic_subimport":
                return self._with_builtins(original)
            case _ if name in _SHARED_BY_ID:
                return _unshared(original, _SHARED_BY_ID[name])
            case _:
                return original

    def _make_function(self, code: Any, globals: dict[str, Any], *rest: Any) -> FunctionType:
        # A function keeps the builtins that its globals have at this moment.
        globals["__builtins__"] = self._builtins
        return FunctionType(code, globals, *rest)

    def _with_builtins(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            made = original(*args)
            # Functions that are made later, inside these, take their builtins from the same globals.
            space = vars(made) if isinstance(made, ModuleType) else args[0].__globals__
            space["__builtins__"] = self._builtins
            return made

        return call


def _unshared(original: Callable[..., Any], position: int) -> Callable[..., Any]:
    def make(*args: Any) -> Any:
        return original(*args[:position], None, *args[position + 1 :])

    return make

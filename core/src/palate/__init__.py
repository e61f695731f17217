"""Palate packages trained models so that anything can run them.

The public names, each imported from its module when it is first used: ``import palate`` stays a matter of milliseconds.
"""

from __future__ import annotations

from importlib import import_module

# Type checkers know this name wherever it comes from; importing typing would cost more than all the rest here.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from palate import errors, flavors
    from palate._code.model_slot import set_model
    from palate._code.python_model import PythonModel
    from palate._inference.inference import infer_signature
    from palate._isolation.model import IsolatedModel
    from palate._isolation.options import Isolation
    from palate.flavors import register_flavor
    from palate.hookspecs import hookimpl
    from palate.inspection import ModelInfo, inspect_model
    from palate.loading import load_model, load_native
    from palate.model_diff import ModelDiff, diff_models
    from palate.packing import Packed, Unpacked, pack_model, unpack_model
    from palate.pyfunc import PyFuncModel
    from palate.saving import save_model
    from palate.schema import ColSpec, ParamSpec, Schema, TensorSpec
    from palate.signature import MethodSignature, Signature
    from palate.signing import sign_model, verify_signature
    from palate.verification import accept_changes, verify_model

__all__ = [
    "ColSpec",
    "IsolatedModel",
    "Isolation",
    "MethodSignature",
    "ModelDiff",
    "ModelInfo",
    "Packed",
    "ParamSpec",
    "PyFuncModel",
    "PythonModel",
    "Schema",
    "Signature",
    "TensorSpec",
    "Unpacked",
    "accept_changes",
    "diff_models",
    "errors",
    "flavors",
    "hookimpl",
    "infer_signature",
    "inspect_model",
    "load_model",
    "load_native",
    "pack_model",
    "register_flavor",
    "save_model",
    "set_model",
    "sign_model",
    "unpack_model",
    "verify_model",
    "verify_signature",
]

_HOMES = {
    "ColSpec": "palate.schema",
    "IsolatedModel": "palate._isolation.model",
    "Isolation": "palate._isolation.options",
    "MethodSignature": "palate.signature",
    "ModelDiff": "palate.model_diff",
    "ModelInfo": "palate.inspection",
    "Packed": "palate.packing",
    "ParamSpec": "palate.schema",
    "PyFuncModel": "palate.pyfunc",
    "PythonModel": "palate._code.python_model",
    "Schema": "palate.schema",
    "Signature": "palate.signature",
    "TensorSpec": "palate.schema",
    "Unpacked": "palate.packing",
    "accept_changes": "palate.verification",
    "diff_models": "palate.model_diff",
    "hookimpl": "palate.hookspecs",
    "infer_signature": "palate._inference.inference",
    "inspect_model": "palate.inspection",
    "load_model": "palate.loading",
    "load_native": "palate.loading",
    "pack_model": "palate.packing",
    "register_flavor": "palate.flavors",
    "save_model": "palate.saving",
    "set_model": "palate._code.model_slot",
    "sign_model": "palate.signing",
    "unpack_model": "palate.packing",
    "verify_model": "palate.verification",
    "verify_signature": "palate.signing",
}


def __getattr__(name: str) -> object:
    if name in ("errors", "flavors"):
        return import_module(f"palate.{name}")
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'palate' has no attribute {name!r}")
    value: object = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__

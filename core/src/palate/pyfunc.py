"""The framework-neutral adapter: every model answers the same ``predict``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from palate._enforcement.features import ByFeatureNames
from palate._enforcement.params import enforce_params
from palate._enforcement.plan import InputPlan, compile_inputs
from palate._flavor import Flavor
from palate._stored.like_example import LikeExample
from palate.errors import MethodNotFound
from palate.model_file import ModelFile
from palate.signature import Signature

__all__ = ["PyFuncModel"]


class PyFuncModel:
    """A loaded model of any framework.

    It is the only caller of a flavor's predict hook, and safe to share between threads as far as the native model is.
    Every method in ``methods`` can be called by name: ``model.predict_proba(data)``.

    Attributes:
        native: the framework's own object.
        signature: what is enforced before every call, or None.
        metadata: the parsed MLmodel document.
        methods: what the model answers to.
        default_method: the one of them that ``predict`` calls.
        path: the model directory.
    """

    __slots__ = ("_flavor", "_plan", "default_method", "metadata", "methods", "native", "path", "signature")

    def __init__(
        self, native: object, *, flavor: Flavor, metadata: ModelFile, signature: Signature | None, path: Path
    ) -> None:
        self.native = native
        self.metadata = metadata
        self.signature = signature
        self.path = path
        self.methods = flavor.methods(native)
        self._flavor = flavor
        self.default_method = _default_method(metadata.default_method, self.methods)
        plan = compile_inputs(
            signature.inputs if signature else None, from_type_hints=bool(signature and signature.from_type_hints)
        )
        self._plan: InputPlan = ByFeatureNames(plan, metadata.features) if metadata.features else plan
        if metadata.type_from_example:
            self._plan = LikeExample(plan, path, metadata.saved_input_example_info)

    @property
    def flavor(self) -> str:
        """The name of the flavor that answers."""
        return self._flavor.name

    def predict(self, data: object, params: Mapping[str, object] | None = None) -> Any:
        """Return the model's predictions for *data*.

        Args:
            data: what the signature's inputs describe: a DataFrame, an array, a dict of columns, a list of records, …
            params: values for the signature's params; those left out take their defaults.

        Raises:
            InvalidInput: listing every way in which data or params do not fit the signature.
            MethodNotFound: the model predicts nothing, such as a clustering that only labels what it was fitted on.
        """
        return self.call(self.default_method, data, params)

    def call(self, method: str, data: object, params: Mapping[str, object] | None = None) -> Any:
        """Call any method that the model answers to; the rest is as for ``predict``."""
        if method not in self.methods:
            raise MethodNotFound(method, available=self.methods)
        checked = self._plan.enforce(data)
        given = enforce_params(params, self.signature.params if self.signature else ())
        return self._flavor.predict(self.native, checked, method, given)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        # Copying and unpickling look attributes up on an object that has no state yet: answer without reading any.
        if name.startswith("_") or name in PyFuncModel.__slots__:
            raise AttributeError(name)
        if name not in self.methods:
            raise MethodNotFound(name, available=self.methods)
        return partial(self.call, name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.methods})

    def __repr__(self) -> str:
        return f"<PyFuncModel {self.flavor} at '{self.path}', methods: {', '.join(self.methods) or 'none'}>"


def _default_method(recorded: str, methods: tuple[str, ...]) -> str:
    """A directory names its predict method (MLflow's predict_fn); a transformer's predict is its transform."""
    if recorded in methods or not methods:
        return recorded
    return methods[0]

"""Writing SavedModels: of TensorFlow's modules, and of what Keras models compute."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palate.errors import InvalidOption, UnsafeModel, UnsupportedModel
from tf_flavor._imports import import_keras, import_tensorflow
from tf_flavor._saved_model_calling import is_single
from tf_flavor._saved_model_loading import check_saved_model

if TYPE_CHECKING:
    from palate.hookspecs import SaveOptions
    from palate.schema import Schema

__all__ = ["LOADER", "export_keras", "export_module", "write_loader"]

# The module of the model that stock MLflow opens it with.
LOADER = "palate_tf_saved_model_loader"


def export_module(model: Any, folder: Path, options: SaveOptions) -> bool:
    """Write a tf.Module, or whatever else TensorFlow tracks, as a SavedModel whose call takes any number of rows.

    Returns:
        Whether its call takes one tensor and returns one.
    """
    tensorflow = import_tensorflow()
    if not isinstance(model, tensorflow.__internal__.tracking.Trackable):
        raise UnsupportedModel(
            type(model).__qualname__,
            reason="it is nothing that TensorFlow keeps variables of",
            hint="pass a tf.Module; of a SavedModel on disk, pass what tf.saved_model.load(directory) returns",
        )
    signatures = options.extra.get("signatures")
    if signatures is not None and not (isinstance(signatures, Mapping) and all(map(callable, signatures.values()))):
        raise InvalidOption(
            "signatures",
            reason=f"it is {type(signatures).__name__}, or holds something else than functions",
            hint="give a dict of functions by name, each a tf.function with input_signature, or a concrete function",
        )
    inputs = options.signature.inputs if options.signature else None
    exported = _with_traced_call(model, inputs)
    tensorflow.saved_model.save(exported, str(folder), signatures=dict(signatures) if signatures else None)
    _check_written(model, folder)
    return is_single(exported)


def _with_traced_call(model: Any, inputs: Schema | None) -> Any:
    """Return *model*, or a module that holds it and whose call is traced; the model itself is left as it is."""
    if not callable(model) or hasattr(model, "signatures"):
        return model  # it has functions of its own, or comes out of a SavedModel
    call = model.__call__
    if getattr(call, "input_signature", None) is not None:
        return model
    tensorflow, kind = import_tensorflow(), type(model).__qualname__
    if inputs is None or not inputs.is_tensor:
        raise UnsupportedModel(
            kind,
            reason="nobody knows what its __call__ takes, and so what graph to write",
            hint="pass input_example= (an array, or a dict of arrays by argument), or decorate __call__ with "
            "@tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32)])",
        )
    function = tensorflow.function(getattr(call, "python_function", call))
    specs = [_spec(tensorflow, field.dtype, field.shape, field.name) for field in inputs.tensors]
    try:
        if inputs.is_named:
            concrete = function.get_concrete_function(**{spec.name: spec for spec in specs})
        else:
            concrete = function.get_concrete_function(*specs)
    except Exception as exc:  # whatever the model's own code raises
        raise UnsupportedModel(
            kind,
            reason=f"its __call__ cannot be traced for any number of rows ({type(exc).__name__}: {exc!s:.300})",
            hint="write it in TensorFlow's operations, without Python conditions on the values or sizes of tensors",
        ) from exc
    holder = tensorflow.Module()
    holder.model = model
    # Looked up on the object by what writes SavedModels; what comes back is called like any function.
    holder.__call__ = function
    holder.traced = concrete
    return holder


def _spec(tensorflow: Any, dtype: str, shape: tuple[int, ...], name: str | None) -> Any:
    kind = tensorflow.string if dtype in ("str", "bytes", "object") else tensorflow.as_dtype(dtype)
    return tensorflow.TensorSpec([None if size == -1 else size for size in shape], kind, name=name)


def export_keras(model: Any, folder: Path, options: SaveOptions) -> bool:
    """Write what *model* computes as a SavedModel with the endpoint ``serve``, as MLflow has it.

    Returns:
        Whether it takes one tensor and returns one.
    """
    keras = import_keras()
    names = getattr(model, "output_names", None)
    specs = _keras_specs(model, options)

    def serve(inputs: Any) -> Any:
        outputs = model(inputs, training=False)
        if isinstance(outputs, list | tuple) and names and len(names) == len(outputs):
            return dict(zip(names, outputs, strict=True))
        return outputs

    try:
        archive = keras.export.ExportArchive()
        archive.track(model)
        archive.add_endpoint(name="serve", fn=serve, input_signature=[specs])
        archive.write_out(str(folder), verbose=False)
    except (NotImplementedError, ImportError, RuntimeError, TypeError, ValueError) as exc:
        raise UnsupportedModel(
            type(model).__qualname__,
            reason=f"Keras cannot export it as a SavedModel ({type(exc).__name__}: {exc!s:.300})",
            hint="use the backend 'tensorflow' (KERAS_BACKEND), or format='keras'",
        ) from exc
    _check_written(model, folder)
    return not isinstance(specs, dict) and len(names or [0]) == 1


def _keras_specs(model: Any, options: SaveOptions) -> Any:
    """Return the structure of what *model* takes: its own inputs, or what the signature says of them."""
    tensorflow = import_tensorflow()
    if getattr(model, "inputs", None):
        # By name, because that is how MLflow hands several inputs on.
        flat = [tensorflow.TensorSpec(spec.shape, spec.dtype, name=spec.name) for spec in model.inputs]
        return {spec.name: spec for spec in flat} if len(flat) > 1 else flat[0]
    inputs = options.signature.inputs if options.signature else None
    if inputs is None or not inputs.is_tensor:
        raise UnsupportedModel(
            type(model).__qualname__,
            reason=f"nobody knows what the model {model.name!r} takes, and so what graph to write",
            hint="pass input_example= (an array, or a dict of arrays by input)",
        )
    specs = [_spec(tensorflow, field.dtype, field.shape, field.name) for field in inputs.tensors]
    return {spec.name: spec for spec in specs} if inputs.is_named else specs[0]


def _check_written(model: Any, folder: Path) -> None:
    try:
        check_saved_model(folder, folder.name)
    except UnsafeModel as exc:
        raise UnsupportedModel(
            type(model).__qualname__,
            reason=f"it could not be opened without trust ({exc.rule})",
            hint="leave out what reads files, prints, calls back into Python or is compiled elsewhere; tables of words "
            "can be filled from tensors (tf.lookup.KeyValueTensorInitializer)",
        ) from exc


def write_loader(root: Path) -> None:
    """Put the loader for stock MLflow beside the user's own code."""
    target = root / "code" / f"{LOADER}.py"
    if target.exists():
        raise InvalidOption(
            "code_paths", reason=f"{target.name} is the name of Palate's own loader", hint="rename that file"
        )
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(Path(__file__).with_name("_stock_loader.py").read_bytes())

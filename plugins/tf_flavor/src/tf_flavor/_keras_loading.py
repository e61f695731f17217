"""Reading ``.keras`` files: checked first, then read by Keras from the very file that was checked."""

from __future__ import annotations

import io
import random
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, TYPE_CHECKING, Any

from palate.errors import InvalidOption
from tf_flavor._imports import import_keras
from tf_flavor._keras_archive import check_archive
from tf_flavor._keras_code import named_objects
from tf_flavor._keras_config import Resolve, check_config
from tf_flavor._keras_errors import first_cause
from tf_flavor._keras_sizes import check_sizes
from tf_flavor._sections import KERAS_FILE, PICKLES

if TYPE_CHECKING:
    from palate.hookspecs import LoadOptions

__all__ = ["custom_objects", "open_keras", "own_names"]


def custom_objects(given: object) -> dict[str, Any]:
    """Return the option ``custom_objects`` as a dict of classes and functions by name."""
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not all(isinstance(key, str) and callable(given[key]) for key in given):
        raise InvalidOption(
            "custom_objects",
            reason=f"it is {type(given).__name__}, or holds something else than classes and functions",
            hint="give a dict of them by name, {'Scale': Scale}",
        )
    return dict(given)


def own_names(given: Mapping[str, Any]) -> Resolve:
    """Return what finds the classes and functions that this process brings: those given, and those registered."""

    def resolve(name: str) -> object | None:
        if name in given or "keras" not in sys.modules:
            return given.get(name)  # with a Keras that nobody has imported, nobody has registered anything
        return import_keras().saving.get_registered_object(name)  # type: ignore[no-any-return]

    return resolve


def open_keras(file: Path, name: str, options: LoadOptions) -> Any:
    """Return the model in *file*, which is called *name* in errors.

    Raises:
        UnsafeModel: the file breaks a rule, and is not trusted.
    """
    custom = {**_pickled_objects(file.parent, options), **custom_objects(options.extra.get("custom_objects"))}
    # Keras draws a seed for each initializer that has none, from the generator that the whole process shares.
    drawn = random.getstate()
    try:
        return _read_legacy(file, custom) if file.suffix == ".h5" else _read_keras(file, name, custom, options)
    finally:
        random.setstate(drawn)


def _pickled_objects(folder: Path, options: LoadOptions) -> dict[str, Any]:
    """Return what MLflow pickled beside a model; without trust nobody gets here if there is such a file."""
    found: dict[str, Any] = {}
    for name in PICKLES:
        file = folder / name
        if options.trust and file.is_file():
            found |= options.code.load_pickle(file)
    return found


def _read_keras(file: Path, name: str, custom: dict[str, Any], options: LoadOptions) -> Any:
    with file.open("rb") as stream, TemporaryDirectory(prefix="palate-") as private:
        if options.trust:
            custom = {**named_objects(stream, options), **custom}
        else:
            text, held = check_archive(stream, name)
            custom |= check_config(text, name, own_names(custom), held)
            check_sizes(text, custom, held, name)
        import_keras()
        # The public load_model takes paths only, and would open the file a second time.
        from keras.src.saving import saving_lib

        try:
            return saving_lib.load_model(
                _as_if_in(Path(private), stream),
                custom_objects=custom,
                compile=bool(options.extra.get("compile", False)),
                safe_mode=not options.trust,
            )
        except (TypeError, ValueError) as exc:
            raise ValueError(f"Keras cannot build it ({first_cause(exc)})") from exc


def _as_if_in(folder: Path, stream: IO[bytes]) -> IO[bytes]:
    """Return the open file as if it stood in *folder*: Keras unpacks large weights beside the file that it is given."""
    raw = io.FileIO(stream.fileno(), closefd=False)
    raw.name = str(folder / KERAS_FILE)
    return io.BufferedReader(raw)


def _read_legacy(file: Path, custom: dict[str, Any]) -> Any:
    """Return the model in an ``.h5`` file, the format of Keras 2; nothing in it is checked, so it needs trust."""
    keras = import_keras()
    return keras.saving.load_model(file, custom_objects=custom, compile=False, safe_mode=False)

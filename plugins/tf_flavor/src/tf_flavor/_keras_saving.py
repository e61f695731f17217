"""Writing ``.keras`` files: what could not be read back is refused first, and the same model gives the same bytes."""

from __future__ import annotations

import json
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from palate.errors import UnsafeModel, UnsupportedModel
from tf_flavor._imports import import_keras
from tf_flavor._keras_archive import CONFIG, METADATA, check_archive, member_start
from tf_flavor._keras_calling import predict_keras
from tf_flavor._keras_config import check_config
from tf_flavor._keras_loading import own_names
from tf_flavor._keras_sizes import MEASURABLE, check_sizes

__all__ = ["check_model", "write_keras"]

_SHARED = re.compile(rb'(?<="shared_object_id": )[0-9]+')
_SAVED = re.compile(rb'(?<="date_saved": ")[0-9@:-]{19}')
_NO_DATE = b"1980-01-01@00:00:00"
_NO_TIME = struct.pack("<HH", 0, 1 << 5 | 1)  # what MS-DOS calls the first of January 1980
_REGISTER = (
    "decorate the class with @keras.saving.register_keras_serializable, or pass custom_objects={'name': class} here "
    "and when loading; format='saved_model' holds what the model computes instead"
)
_PLAIN_CLASSES = f"{MEASURABLE}, and save numbers only; format='saved_model' holds what the model computes instead"


def check_model(model: Any, example: object) -> None:
    """Refuse what no format of Keras models can hold; build what has no weights yet on the example, if there is one.

    Raises:
        UnsupportedModel: it is no model, or has no weights yet.
    """
    keras = import_keras()
    kind = type(model).__qualname__
    if not isinstance(model, keras.Model):
        raise UnsupportedModel(kind, reason="it is part of Keras but no model", hint="put it into a keras.Sequential")
    if not model.built and example is not None:
        predict_keras(model, example)
    if not model.built:
        raise UnsupportedModel(
            kind,
            reason=f"the model {model.name!r} has no weights yet",
            hint="pass input_example=, call it on some data first, or give it a keras.Input",
        )


def write_keras(model: Any, file: Path, custom: Mapping[str, Any]) -> None:
    """Write *model*; *custom* are the classes and functions that its reader will bring."""
    keras = import_keras()
    own = {**custom, **_check_description(model, custom)}
    with _without_numpy_advice():
        keras.saving.save_model(model, file)
    with file.open("r+b") as stream:
        _make_reproducible(stream)
    try:
        with file.open("rb") as stream:
            text, held = check_archive(stream, file.name)
        if own:  # Keras' own layers can all be measured, as loading does; others have to show it
            check_sizes(text, own, held, file.name)
    except UnsafeModel as exc:
        raise _unreadable(model, exc, _PLAIN_CLASSES) from exc


def _unreadable(model: Any, exc: UnsafeModel, hint: str) -> UnsupportedModel:
    reason = f"it could not be opened without trust ({exc.rule})"
    return UnsupportedModel(type(model).__qualname__, reason=reason, hint=hint)


@contextmanager
def _without_numpy_advice() -> Iterator[None]:
    """Hide numpy's advice to Keras, whose variables do not take its newest argument; our callers can do nothing."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "__array__ implementation doesn't accept a copy keyword", DeprecationWarning)
        yield


def _check_description(model: Any, custom: Mapping[str, Any]) -> dict[str, Any]:
    """Refuse a model whose description could not be read back; return what it names of its reader's own classes."""
    keras, kind = import_keras(), type(model).__qualname__
    try:
        document = keras.saving.serialize_keras_object(model)
        text = json.dumps(document)
    except (NotImplementedError, TypeError, ValueError) as exc:
        raise UnsupportedModel(kind, reason=f"Keras cannot describe it ({exc!s:.300})", hint=_REGISTER) from exc
    lambdas = sorted(set(_lambdas(document, model.name)))
    if lambdas:
        raise UnsupportedModel(
            kind,
            reason=f"{', '.join(lambdas)} would carry Python code inside the file",
            hint="write a subclass of keras.layers.Layer and register it with "
            "@keras.saving.register_keras_serializable, or use format='saved_model', which holds what it computes",
        )
    try:
        return check_config(text.encode(), "model.keras", own_names(custom), 4 * model.count_params())
    except UnsafeModel as exc:
        raise _unreadable(model, exc, _REGISTER) from exc


def _lambdas(node: Any, owner: str) -> Iterator[str]:
    """Name the Lambda layers, and the layers and functions that are lambdas."""
    if isinstance(node, dict):
        inner = node.get("config")
        name = str(inner.get("name", owner)) if isinstance(inner, dict) else owner
        if node.get("class_name") == "Lambda":
            yield f"the Lambda layer {name!r}"
            return
        if node.get("class_name") == "__lambda__":
            yield f"a lambda of {owner!r}"
        for value in node.values():
            yield from _lambdas(value, name)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from _lambdas(value, owner)


def _make_reproducible(stream: IO[bytes]) -> None:
    """Take out what differs between two saves of one model: the time, and addresses in memory, length by length."""
    with zipfile.ZipFile(stream) as archive:
        infos, directory = archive.infolist(), archive.start_dir
        texts = {CONFIG: _renumbered(archive.read(CONFIG)), METADATA: _SAVED.sub(_NO_DATE, archive.read(METADATA))}
    starts = {info.filename: member_start(stream, info) for info in infos}
    for info in infos:
        sum_of_bytes = info.CRC
        if info.filename in texts:
            _overwrite(stream, starts[info.filename], texts[info.filename])
            sum_of_bytes = zlib.crc32(texts[info.filename])
        stamp = _NO_TIME + struct.pack("<I", sum_of_bytes)
        _overwrite(stream, info.header_offset + 10, stamp)
        _overwrite(stream, directory + 12, stamp)
        directory += 46 + len(info.orig_filename.encode()) + len(info.extra)


def _overwrite(stream: IO[bytes], position: int, value: bytes) -> None:
    stream.seek(position)
    stream.write(value)


def _renumbered(config: bytes) -> bytes:
    """Replace the addresses by which Keras tells shared objects by their order, and fill up with blanks."""
    numbers: dict[bytes, bytes] = {}

    def number(found: re.Match[bytes]) -> bytes:
        address = found.group()
        return numbers.setdefault(address, str(len(numbers) + 1).encode()).ljust(len(address))

    return _SHARED.sub(number, config)

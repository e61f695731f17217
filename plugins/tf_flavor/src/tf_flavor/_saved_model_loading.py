"""Reading SavedModels: each file is opened once, checked, and handed to TensorFlow as it was opened."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from palate.errors import InvalidModelFile, Problem
from tf_flavor._constant_folding import prevent_folding
from tf_flavor._graph_check import check_graphs, parse_saved_model
from tf_flavor._imports import import_tensorflow
from tf_flavor._refusing import refuse
from tf_flavor._sections import named_path
from tf_flavor._tensor_bundle import check_checkpoint

if TYPE_CHECKING:
    from palate.hookspecs import LoadOptions

__all__ = ["check_saved_model", "open_saved_model", "read_saved_model"]

_GRAPH, _INDEX = "saved_model.pb", "variables/variables.index"
_FINGERPRINT = "fingerprint.pb"
# What Keras 2 wrote beside its SavedModels; TensorFlow does not read it.
_IGNORED = "keras_metadata.pb"
_FOLDERS = ("variables", "assets")
_MAX_GRAPH = (2 << 30) - 1
_MAX_FINGERPRINT = 4096
_MAX_SHARDS = 256  # open at the same time


def open_saved_model(path: Path, folder: Path | None, config: Mapping[str, Any], options: LoadOptions) -> Any:
    """Return the SavedModel of a section of MLflow's; the oldest of them name tags and a signature.

    Raises:
        InvalidModelFile: the section names no SavedModel, or a signature that it has not.
        UnsafeModel: a file breaks a rule, and is not trusted.
    """
    folder = folder or named_path(path, config, "saved_model_dir", "tensorflow")
    model = read_saved_model(folder, folder.relative_to(path).as_posix(), options, config.get("meta_graph_tags"))
    name = config.get("signature_def_key")
    if name is not None:
        if name not in model.signatures:
            where = ("flavors", "tensorflow", "signature_def_key")
            raise InvalidModelFile([Problem(where, "wrong_value", f"the model has no signature {name!r:.80}")])
        model.palate_signature = name
    return model


def read_saved_model(folder: Path, name: str, options: LoadOptions, tags: Sequence[str] | None = None) -> Any:
    """Return what ``tf.saved_model.load`` makes of *folder*, which is called *name* in errors.

    Raises:
        UnsafeModel: a file breaks a rule, and is not trusted.
    """
    wanted = list(tags) if tags else None
    if options.trust:
        return import_tensorflow().saved_model.load(str(folder), tags=wanted)
    with ExitStack() as opened:
        kept, shards = _checked(folder, name, opened)
        private = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="palate-")))
        _fill(private, kept, shards)
        return import_tensorflow().saved_model.load(str(private), tags=wanted)


def check_saved_model(folder: Path, name: str) -> None:
    """Check a SavedModel.

    Raises:
        UnsafeModel: naming the file and the rule that it breaks.
    """
    with ExitStack() as opened:
        _checked(folder, name, opened)


def _checked(folder: Path, name: str, opened: ExitStack) -> tuple[dict[str, bytes], dict[str, IO[bytes]]]:
    """Return, by name, the bytes that steer TensorFlow, and the files of numbers they speak of, left open."""
    files = _list_files(folder, name)
    if _GRAPH not in files:
        refuse(f"{name}/{_GRAPH}", "it is missing")
    graph = _read(files[_GRAPH], _MAX_GRAPH, f"{name}/{_GRAPH}")
    message = parse_saved_model(graph, f"{name}/{_GRAPH}")
    kept: dict[str, bytes] = {}
    nbytes = len(graph)
    shards = {file: path for file, path in files.items() if file.startswith("variables/") and file != _INDEX}
    if len(shards) > _MAX_SHARDS:
        refuse(f"{name}/variables", f"it holds more than {_MAX_SHARDS} files")
    if _FINGERPRINT in files:
        kept[_FINGERPRINT] = _read(files[_FINGERPRINT], _MAX_FINGERPRINT, f"{name}/{_FINGERPRINT}")
    streams = {file: opened.enter_context(_open(path, f"{name}/{file}")) for file, path in shards.items()}
    if _INDEX in files:
        kept[_INDEX] = _read(files[_INDEX], _MAX_GRAPH, f"{name}/{_INDEX}")
        nbytes += check_checkpoint(kept[_INDEX], streams, name)
    elif shards:
        refuse(f"{name}/{_INDEX}", "it is missing")
    assets = frozenset(file.removeprefix("assets/") for file in files if file.startswith("assets/"))
    check_graphs(message, f"{name}/{_GRAPH}", assets=assets, nbytes=nbytes)
    for function in message.meta_graphs[0].graph_def.library.function:
        prevent_folding(function)
    # Not the bytes of the file: TensorFlow could read them in another way than they were read for the checks.
    kept[_GRAPH] = message.SerializeToString()
    return kept, streams


def _list_files(folder: Path, name: str) -> dict[str, Path]:
    """Return the files of a SavedModel by name; it has no others, and no links."""
    files: dict[str, Path] = {}
    pending = [(folder, "")]
    while pending:
        parent, prefix = pending.pop()
        for path in sorted(parent.iterdir()):
            label = prefix + path.name
            if path.is_symlink():
                refuse(f"{name}/{label}", "it is a link")
            if path.is_dir() and label in _FOLDERS:
                pending.append((path, f"{label}/"))
            elif path.is_file() and (prefix or label in (_GRAPH, _FINGERPRINT, _IGNORED)):
                files[label] = path
            else:
                refuse(f"{name}/{label}", "it is no part of a SavedModel")
    return files


def _open(path: Path, label: str) -> IO[bytes]:
    """Open a file that is one, and not what has taken its place since it was listed, such as a pipe without an end."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    file = os.fdopen(descriptor, "rb")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        file.close()
        refuse(label, "it is no regular file")
    return file


def _read(path: Path, limit: int, label: str) -> bytes:
    with _open(path, label) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        refuse(label, f"it is larger than {limit:,} bytes")
    return data


def _fill(private: Path, kept: Mapping[str, bytes], shards: Mapping[str, IO[bytes]]) -> None:
    """Make a SavedModel of what was checked; assets stay out: no operation that is let through reads one."""
    (private / "variables").mkdir()
    for name, data in kept.items():
        (private / name).write_bytes(data)
    for name, stream in shards.items():
        # They may have gigabytes. Whatever takes the place of a file meanwhile, this leads to the one that is open.
        (private / name).symlink_to(f"/dev/fd/{stream.fileno()}")

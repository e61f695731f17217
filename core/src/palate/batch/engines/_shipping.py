"""A model on its way to other machines: packed once on the driver, opened once in each process that predicts.

The driver packs the model first and opens what it packed, so that whatever cannot work is said before any task runs,
and the model that was looked at is the one that is sent. Workers hold what they receive against its digest.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import secrets
import shutil
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cache
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from palate.batch._scoring import Scorer, output_schema, read_keys
from palate.errors import WrongModel
from palate.loading import load_model
from palate.locations import locate_file
from palate.packing import ARCHIVE_SUFFIX, pack_model
from palate.pyfunc import PyFuncModel

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Opening", "Scoring", "Shipment", "Uri", "kept_folder", "shipping"]

Uri: TypeAlias = "str | PathLike[str]"

# A process that serves one job after the other would else keep all their models.
_KEPT_MODELS: Final = 4
_CACHE: Final = "PALATE_CACHE"

_lock = threading.Lock()
_models: OrderedDict[Opening, PyFuncModel] = OrderedDict()


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """How a model that was sent is opened; the same on the driver and on every worker.

    Attributes:
        sha256: of the archive.
        digest: the model's identity; None for one without MANIFEST.json, as MLflow saves them.
        trust: whether code that comes with it may run.
        flavor: open it with this flavor.
        isolate: run it in a process of its own; see ``palate.load_model``.
        options: what the flavor takes besides.
        token: tells these options from others; empty where there are none.
    """

    sha256: str
    digest: str | None
    trust: bool = False
    flavor: str | None = None
    isolate: Any = False
    options: Mapping[str, Any] = field(default_factory=dict, compare=False)
    token: str = ""

    def open(self, archive: Path, spare: Path) -> PyFuncModel:
        """Return the model in *archive*; the same object whenever this process has opened it before.

        Args:
            archive: the file.
            spare: where models may be unpacked if the user of this process has no home, as in many containers.

        Raises:
            WrongModel: it is another one than was sent.
            PalateError: what ``load_model`` raises.
        """
        with _lock:
            model = _models.get(self)
            if model is None:
                _find_cache(spare)
                model = _models[self] = self._load(archive)
            _models.move_to_end(self)
            while len(_models) > _KEPT_MODELS:
                _models.popitem(last=False)
            return model

    def _load(self, archive: Path) -> PyFuncModel:
        uri = f"{archive}@sha256:{self.digest}"
        if self.digest is None:
            _require_sha256(archive, self.sha256)
            uri = str(archive)
        options = self.options
        model: PyFuncModel = load_model(uri, trust=self.trust, flavor=self.flavor, isolate=self.isolate, **options)
        return model


def _require_sha256(archive: Path, wanted: str) -> None:
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != wanted:
        raise WrongModel(str(archive), wanted=wanted, found=found)


def _find_cache(spare: Path) -> None:
    """Have Palate's cache in *spare* where the user has no home for it, and nobody said where else it is."""
    if _CACHE in os.environ or os.path.isabs(os.environ.get("XDG_CACHE_HOME", "")):
        return
    home = os.path.expanduser("~")
    if not (os.path.isdir(home) and os.access(home, os.W_OK)):
        os.environ[_CACHE] = str(spare / f"palate-cache-{os.geteuid()}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """What is done with the rows, wherever they are: the model, one of its methods, params and keys."""

    opening: Opening
    method: str | None
    params: Mapping[str, object]
    keys: tuple[str, ...]

    def scorer(self, archive: Path, *, spare: Path | None = None) -> Scorer:
        """Return what predicts, with the model in *archive*, beside which it may be unpacked, or in *spare*."""
        return self.scorer_of(self.opening.open(archive, spare or archive.parent))

    def scorer_of(self, model: PyFuncModel) -> Scorer:
        """Return what predicts with a model that is open."""
        return Scorer(model, method=self.method, params=self.params, keys=self.keys)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    """A model that is packed, and open here for as long as a job is put together.

    Attributes:
        archive: the file.
        scoring: what workers are given.
        scorer: predicts here.
    """

    archive: Path
    scoring: Scoring
    scorer: Scorer

    @property
    def model(self) -> PyFuncModel:
        """The model."""
        return self.scorer.model

    def choose_columns(self, given: Sequence[str]) -> list[str]:
        """Return which of some columns are to be sent to the model, or passed through."""
        wanted = self.scorer.columns
        return [name for name in given if wanted is None or name in wanted]

    def output_schema(self, given: pa.Schema) -> pa.Schema:
        """Return what the answers look like for rows of a schema, by the signature alone.

        Raises:
            InvalidOption: the signature does not tell, or a key is called as a prediction is.
        """
        keys = [given.field(key) for key in self.scorer.keys]
        return output_schema(self.model, method=self.scorer.method, keys=keys)


@contextmanager
def shipping(
    uri: Uri,
    folder: Path,
    *,
    method: str | None,
    params: Mapping[str, object] | None,
    keys: Sequence[str] = (),
    trust: bool,
    flavor: str | None,
    signed_by: Any,
    isolate: Any,
    options: Mapping[str, Any],
) -> Iterator[Shipment]:
    """Pack the model at *uri* in *folder*, open what was packed, and check what is asked of it.

    Raises:
        PalateError: what ``pack_model``, ``load_model`` and ``Scorer`` raise.
    """
    names = read_keys(keys)  # before anything is packed
    packed = pack_model(uri, folder / f"{secrets.token_hex(8)}{ARCHIVE_SUFFIX}")
    # One name for the same bytes: engines take a file that they have already for the same.
    archive = packed.path.replace(folder / f"palate-{packed.sha256[:32]}{ARCHIVE_SUFFIX}")
    opening = Opening(
        sha256=packed.sha256,
        digest=packed.digest,
        trust=trust,
        flavor=flavor,
        isolate=isolate,
        options=dict(options),
        token=secrets.token_hex(8) if options else "",
    )
    scoring = Scoring(opening=opening, method=method, params=dict(params or {}), keys=names)
    # Errors name what the caller knows, and not the file that was just written.
    location = replace(locate_file(archive, uri=str(uri)), digest=packed.digest)
    model = load_model(location, trust=trust, flavor=flavor, signed_by=signed_by, isolate=isolate, **options)
    with model if hasattr(model, "__exit__") else nullcontext():
        scorer = scoring.scorer_of(model)
        _check_params(model, scorer.method, scoring.params)
        yield Shipment(archive=archive, scoring=scoring, scorer=scorer)


def _check_params(model: PyFuncModel, method: str, params: Mapping[str, object]) -> None:
    """Raise InvalidInput unless the method takes these params."""
    model.predict_batches([], params, method=method)


@cache
def kept_folder() -> Path:
    """Return a folder of this process for archives that an engine may fetch at any time; it goes with the process."""
    folder = tempfile.mkdtemp(prefix="palate-")
    atexit.register(_remove, folder, os.getpid())
    return Path(folder)


def _remove(folder: str, owner: int) -> None:
    if os.getpid() == owner:  # and not a process that was forked from it
        shutil.rmtree(folder, ignore_errors=True)

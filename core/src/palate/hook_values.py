"""What the hooks of a flavor are given and what they answer with; ``palate.hookspecs`` offers all of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from palate._late import LateModule

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path
    from types import ModuleType

    from palate._environment import distributions
    from palate.signature import Signature
else:
    distributions = LateModule("palate._environment.distributions")

__all__ = [
    "CarriedCode",
    "EmbeddedType",
    "Guarantees",
    "LoadOptions",
    "ModelSource",
    "SampleModel",
    "SaveOptions",
    "pin_installed",
]


def pin_installed(name: str) -> str:
    """Return ``name==version`` for the installed distribution *name*, or *name* alone when there is none."""
    return distributions.pin_installed(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedType:
    """A class of one framework that may stand inside a model of another, such as a step of a pipeline.

    Attributes:
        name: its full name, ``xgboost.core.Booster``.
        check: called with an object's attributes, read from an untrusted file, before the object is built from them;
            attributes, and parts of their lists and dicts, that are other objects stand as ``...``. Returns the rule
            that they break, or None.
    """

    name: str
    check: Callable[[Mapping[str, object]], str | None]


def _maps_nothing(name: str) -> memoryview:
    raise FileNotFoundError(f"no model's files were given, and none is called {name!r:.80}")


def _embeds_nothing(name: str) -> EmbeddedType | None:
    del name
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveOptions:
    """What the caller asked for besides the model.

    Attributes:
        format: one of the flavor's FORMATS.
        extra: the flavor's own SAVE_OPTIONS.
        example: the input example as ``predict`` will be given it, or None.
        signature: what is known of inputs and params before anything was predicted, or None.
        embedded: finds the type of that full name that another installed flavor contributes.
    """

    format: str
    extra: Mapping[str, Any] = field(default_factory=dict)
    example: object = None
    signature: Signature | None = None
    embedded: Callable[[str], EmbeddedType | None] = _embeds_nothing


class CarriedCode(Protocol):
    """The Python modules that come with one model, apart from every other model's and from the host's.

    What the model does not bring is imported as usual, and ``sys.path`` is never touched. Without trust there are none.
    """

    def owns(self, name: str) -> bool:
        """Return whether the model itself brings the module *name*."""

    def import_module(self, name: str) -> ModuleType:
        """Import a module as the model's own code would."""

    def load_pickle(self, path: Path, *, compression: str | None = None) -> Any:
        """Unpickle a file with the model's modules; *compression* is None, ``gzip``, ``bzip2`` or ``lzma``."""

    def pickle_module(self) -> ModuleType:
        """Return what a library takes as ``pickle_module``, to read pickles with the model's modules."""

    def activated(self) -> AbstractContextManager[None]:
        """Let a library that imports by name find the model's modules, in this thread, while the block runs."""

    def run_file(self, path: Path) -> ModuleType:
        """Run a Python file as a module of the model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSource:
    """Which model it is: where it was loaded from.

    Attributes:
        uri: what ``palate.load_model`` was given.
        path: the model directory.
        digest: the SHA-256 identity of its files, or None for a directory without one, as MLflow writes them.
        model_uuid: the id in its MLmodel, or None.
    """

    uri: str
    path: Path
    digest: str | None = None
    model_uuid: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """How to load.

    Attributes:
        trust: whether the caller lets code run that comes with the model.
        code: that code.
        extra: the flavor's own LOAD_OPTIONS.
        embedded: finds the type of that full name that another installed flavor contributes.
        source: which model it is; None while a save or ``palate.verify_model`` tries one out.
        map_file: returns the bytes of one of the model's files, named relative to its directory: pages mapped into
            memory that are private, so that they may be written to. It may be in an archive (``mapped_files``).
    """

    trust: bool = False
    code: CarriedCode
    extra: Mapping[str, Any] = field(default_factory=dict)
    embedded: Callable[[str], EmbeddedType | None] = _embeds_nothing
    source: ModelSource | None = None
    map_file: Callable[[str], memoryview] = _maps_nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarantees:
    """What holds when a directory that a stranger may have made is opened without trust, and used.

    Attributes:
        no_code: no code that it carries runs.
        memory_safe: nothing in it leads native code outside of its memory, or into an endless loop.
        bounded: time and memory stay in proportion to the size of its files.
        exceptions: what is left out of these promises, a sentence each.
    """

    no_code: bool
    memory_safe: bool
    bounded: bool
    exceptions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleModel:
    """A small trained model with real input, for ``palate quickstart`` and ``palate flavors check``.

    Attributes:
        model: the native model.
        sample: some rows of input.
        description: what it predicts, in a line.
        exceptions: the checks of the kit that cannot hold for it, by name, each with the reason.
    """

    model: object
    sample: object
    description: str
    exceptions: Mapping[str, str] = field(default_factory=dict)

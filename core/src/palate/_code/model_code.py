"""The code that comes with one model, kept apart from every other model's and from the host's.

Two models may both bring a module ``utils``; MLflow puts both on ``sys.path``, and the second silently runs the
first's. Here each model has a module table of its own, and a dict of builtins whose ``__import__`` looks there first.
CPython hands a function the builtins of its globals when the function is made, so import statements inside functions
go the same way whenever they run. ``sys.path`` is never touched and no byte code is written into the model.

Libraries that find classes by name (dataclasses, typing, pickle) look into ``sys.modules``. While a module of the model
is being run, and inside ``activated()``, the model's modules stand there under their own names (the module ``stage``
tells how); code of the host that imports a module of the same name at that very moment would see the model's. Modules
that the model imports but does not bring are imported off stage. What a library looks up by name at prediction time is
not found. From the first such model on, one finder stays in ``sys.meta_path``, which knows of no other modules.
"""

from __future__ import annotations

import builtins
import importlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    FrozenImporter,
    ModuleSpec,
    SourceFileLoader,
)
from importlib.util import find_spec, module_from_spec, resolve_name, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import IO, TYPE_CHECKING, Any

from palate._code.stage import ModuleTable, on_stage, table_on_stage
from palate._late import LateModule
from palate._process_lock import ProcessLock

if TYPE_CHECKING:
    from palate._code import pickles, standins, unpickling
    from palate._code.import_watch import ImportWatch
else:
    pickles = LateModule("palate._code.pickles")
    standins = LateModule("palate._code.standins")
    unpickling = LateModule("palate._code.unpickling")

__all__ = ["ModelCode"]


class ModelCode:
    """The modules of one model.

    Source files, packages, namespace packages and extension modules are found in *root* as on ``sys.path``, before
    everything that is installed; only what is built into the interpreter comes first. Where mlflow is not installed,
    stand-ins answer for it.

    Args:
        root: the model's ``code/`` directory, or None when it brings no code.
        watch: is told what the model's code imports besides its own modules.
    """

    def __init__(self, root: Path | None = None, *, watch: ImportWatch | None = None) -> None:
        self.root = root
        self._watch = watch
        self._table = ModuleTable()
        self._loading: set[str] = set()
        self._owned: dict[str, bool] = {}
        self._stands_in = False
        self._lock = ProcessLock(self._forget_half_loaded)
        self._importlib = _Importlib(self)
        self._builtins = {**vars(builtins), "__import__": self._import}
        if watch is not None:
            watch.belong_to(self._builtins)

    def import_module(self, name: str) -> ModuleType:
        """Import a module as this model's own code would."""
        if name == "importlib":
            return self._importlib
        if self.owns(name):
            return self._load(name)
        found = _import_ordinary(name)
        if self._watch is not None:
            self._watch.note(name)
        return found

    def run_file(self, path: Path) -> ModuleType:
        """Run a Python file as a module of this model and return the module."""
        name = f"model_code_{path.stem}"
        spec = spec_from_file_location(name, path, loader=_CodeLoader(name, str(path)))
        assert spec is not None
        with self._lock.held:
            return self._execute(name, spec)

    def load_pickle(self, path: Path, *, compression: str | None = None) -> Any:
        """Unpickle a file with this model's modules. Call it only for a model that the caller trusts.

        Args:
            path: the pickle.
            compression: None, or one of ``gzip``, ``bzip2`` and ``lzma``.
        """
        # Looked up before the model's modules can be found by name.
        unpickler, open_pickle = unpickling.ModelUnpickler, pickles.open_pickle
        with self.activated(), open_pickle(path, compression) as file:
            return unpickler(file, **self._unpickling()).load()

    def pickle_module(self) -> ModuleType:
        """Return what reads pickles with this model's modules where a library takes a ``pickle_module``.

        Use it inside ``activated()``, and only for a model that the caller trusts.
        """
        model = self

        class Unpickler(unpickling.ModelUnpickler):
            def __init__(self, file: IO[bytes], *, encoding: str = "ASCII") -> None:
                super().__init__(file, **model._unpickling(), encoding=encoding)

        module = ModuleType("model_pickle", "pickle, with the modules of one model")
        vars(module).update(Unpickler=Unpickler, load=lambda file, **options: Unpickler(file, **options).load())
        return module

    def _unpickling(self) -> dict[str, Any]:
        return {"owns": self.owns, "import_module": self.import_module, "model_builtins": self._builtins}

    @contextmanager
    def activated(self) -> Iterator[None]:
        """Let libraries that import by name find this model's modules, in this thread, while the block runs."""
        if self.root is None and not self.owns("mlflow"):
            yield
            return
        # A thread that waits for the lock must not be on stage: whoever holds the lock may be waiting for the stage.
        with on_stage(None), _by_name_lock.held, on_stage(self._table), _by_name.finding(self, self._table):
            yield

    def owns(self, name: str) -> bool:
        """Return whether the model itself answers an import of *name*."""
        top = name.partition(".")[0]
        known = self._owned.get(top)
        if known is None:
            with on_stage(None):
                known = self._owned[top] = self._decide(top)
        return known

    def _decide(self, top: str) -> bool:
        if self.root is not None and top not in sys.builtin_module_names and FrozenImporter.find_spec(top) is None:
            spec = _find_in([str(self.root)], top)
            # A folder without __init__.py yields to a real package of that name, as on sys.path.
            if spec is not None and (spec.origin is not None or not _is_regular(top)):
                return True
        if top == "mlflow" and not standins.mlflow_installed():
            self._stands_in = True
            return True
        return False

    # -- imports made by the model's code --------------------------------------------------------------------------

    def _import(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """Do what ``builtins.__import__`` does."""
        absolute = _absolute_name(name, globals or {}, level)
        if absolute is None or not self.owns(absolute):
            with on_stage(None):
                found = builtins.__import__(name, globals, locals, fromlist or (), level)
            if self._watch is not None and absolute is not None:
                self._watch.note(absolute, fromlist or ())
            return self._importlib if found is importlib else found
        module = self._load(absolute)
        if fromlist:
            self._load_members(module, absolute, fromlist)
            return module
        # "import a.b" binds a.
        return self._load(absolute[: len(absolute) - len(name)] + name.partition(".")[0])

    def _load_members(self, module: ModuleType, name: str, members: Sequence[str]) -> None:
        """Import the submodules among the names of ``from name import members``."""
        if not hasattr(module, "__path__"):
            return
        for member in getattr(module, "__all__", ()) if "*" in members else members:
            if not hasattr(module, member):
                try:
                    self._load(f"{name}.{member}")
                except ModuleNotFoundError as exc:
                    if exc.name != f"{name}.{member}":
                        raise

    def _forget_half_loaded(self) -> None:
        """Drop, in a forked child, the modules that a thread of its parent was just running; they are run anew."""
        for name in list(self._table.modules):
            if any(f"{name}.".startswith(f"{half}.") for half in self._loading):
                self._table.forget(name)
        self._loading.clear()

    # -- loading ---------------------------------------------------------------------------------------------------

    def _load(self, name: str) -> ModuleType:
        module = self._table.modules.get(name)
        if module is not None and name not in self._loading:
            return module
        with self._lock.held:
            # In a circular import it is there as far as it has come.
            module = self._table.modules.get(name)
            return self._create(name) if module is None else module

    def _create(self, name: str) -> ModuleType:
        if self._stands_in and name.partition(".")[0] == "mlflow":
            return self._stand_in(name)
        parent_name, _, tail = name.rpartition(".")
        if not parent_name:
            return self._execute(name, self._found(name, [str(self.root)]))
        parent = self._load(parent_name)
        if name in self._table.modules:  # the parent imported it
            return self._table.modules[name]
        try:
            module = self._create_member(name, parent_name, parent)
            setattr(parent, tail, module)
        except BaseException:  # an interrupt: a module that its package does not know would never be found again
            self._table.remove(name)
            raise
        return module

    def _create_member(self, name: str, parent_name: str, parent: ModuleType) -> ModuleType:
        if parent_name not in self._table.modules:  # a part of a namespace package that is installed
            return _import_ordinary(name)
        if not hasattr(parent, "__path__"):
            raise ModuleNotFoundError(f"No module named {name!r}; {parent_name!r} is not a package", name=name)
        if getattr(parent, "__file__", None) is None and _find_in(parent.__path__, name) is None:
            return _import_ordinary(name)
        return self._execute(name, self._found(name, parent.__path__))

    def _found(self, name: str, folders: Sequence[str]) -> ModuleSpec:
        spec = _find_in(folders, name)
        if spec is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return spec

    def _stand_in(self, name: str) -> ModuleType:
        module = standins.stand_in(name)
        self._table.add(name, module)
        return module

    def _execute(self, name: str, spec: ModuleSpec) -> ModuleType:
        module = module_from_spec(spec)
        vars(module)["__builtins__"] = self._builtins
        assert spec.loader is not None
        try:
            self._loading.add(name)
            with on_stage(self._table):
                self._table.add(name, module)
                spec.loader.exec_module(module)
                # A module may put another object in its own place.
                module = sys.modules.get(name, module)
                self._table.add(name, module)
        except BaseException:
            self._table.remove(name)
            raise
        finally:
            self._loading.discard(name)
        return module


class _CodeLoader(SourceFileLoader):
    """Loads source files; byte code is neither read from the model nor written into it."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


class _Importlib(ModuleType):
    """importlib as a model's code sees it: ``import_module`` finds the model's modules."""

    def __init__(self, code: ModelCode) -> None:
        super().__init__("importlib", importlib.__doc__)
        self._code = code

    def import_module(self, name: str, package: str | None = None) -> ModuleType:
        """Import a module by name."""
        return self._code.import_module(resolve_name(name, package))

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib, name)


class _StageFinder(MetaPathFinder):
    """Gives the interpreter's import system the modules of activated models, in threads that have them on stage.

    There is one for the process, and once it is among the interpreter's finders it stays there: an import of another
    thread goes over them one by one, and would pass over the next if one were taken away meanwhile.
    """

    def __init__(self) -> None:
        self._activated: list[tuple[ModuleTable, ModelCode]] = []

    @contextmanager
    def finding(self, code: ModelCode, table: ModuleTable) -> Iterator[None]:
        """Find the modules of *code* while the block runs."""
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)
        self._activated.append((table, code))
        try:
            yield
        finally:
            self._activated.remove((table, code))

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        here = table_on_stage()
        for table, code in self._activated if here is not None else ():
            if table is here and code.owns(name):
                return ModuleSpec(name, _Handover(code))
        return None

    def forget(self) -> None:
        """Forget, in a forked child, what a thread of its parent had activated."""
        self._activated.clear()


class _Handover(Loader):
    """Gives the import system a module that the model's code has loaded.

    The module is loaded here and not by the finder: the import system drops a finder's answer when the module has
    appeared in ``sys.modules`` meanwhile.
    """

    def __init__(self, code: ModelCode) -> None:
        self._code = code
        self._spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = self._code.import_module(spec.name)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec  # the import system has just replaced it


_by_name = _StageFinder()
# Libraries that import by name hold the interpreter's lock of that name; two models at once would wait for each other.
_by_name_lock = ProcessLock(_by_name.forget)


def _import_ordinary(name: str) -> ModuleType:
    with on_stage(None):
        return importlib.import_module(name)


def _absolute_name(name: str, space: Mapping[str, Any], level: int) -> str | None:
    if level == 0:
        return name
    package = space.get("__package__")
    # Without a package a relative import fails, and builtins.__import__ knows how to say so.
    return resolve_name("." * level + name, package) if package else None


def _find_in(folders: Sequence[str], name: str) -> ModuleSpec | None:
    portions: list[str] = []
    for folder in folders:
        finder = FileFinder(folder, (ExtensionFileLoader, EXTENSION_SUFFIXES), (_CodeLoader, SOURCE_SUFFIXES))
        spec = finder.find_spec(name)
        if spec is not None and spec.loader is not None:
            return spec
        portions += (spec.submodule_search_locations or []) if spec is not None else []
    if not portions:
        return None
    namespace = ModuleSpec(name, None, is_package=True)
    namespace.submodule_search_locations = portions
    return namespace


def _is_regular(top: str) -> bool:
    """Return whether an installed module of that name is more than a folder without __init__.py."""
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):
        return top in sys.modules
    return spec is not None and spec.origin is not None

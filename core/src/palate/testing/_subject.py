"""What the checks examine: one flavor, one model that it saves, and some rows of input."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import pytest

import palate
from palate._flavor import Flavor
from palate._opened import open_model
from palate._opening import adapt_original, prepare_original
from palate._registry import default_registry
from palate.errors import PalateError
from palate.pyfunc import PyFuncModel
from palate.testing._predictions import Answer, NoRows, answer_of, compare_answers, count_rows
from palate.testing._process_state import process_state
from palate.testing._processes import Worker

__all__ = ["Saved", "Subject", "unremarked"]


@dataclass(frozen=True)
class Saved:
    """A model as the flavor saved it.

    Attributes:
        path: the model directory.
        native: the model that was saved.
        sample: the rows it was saved with.
        trust: whether the directory says that opening it needs trust.
        load_options: options of the flavor for loading.
        around_save: the states of the process before and after the save.
    """

    path: Path
    native: object
    sample: Any
    trust: bool
    load_options: Mapping[str, Any]
    around_save: tuple[Mapping[str, Any], Mapping[str, Any]]

    def load(self, path: Path | None = None, **options: Any) -> PyFuncModel:
        """Load the directory, or a copy of it that stands at *path*."""
        model: PyFuncModel = palate.load_model(path or self.path, **{**self.options, **options})
        return model

    @property
    def options(self) -> dict[str, Any]:
        """What ``palate.load_model`` is to be given with the path."""
        return {"trust": self.trust, **self.load_options}

    @cached_property
    def loaded(self) -> PyFuncModel:
        """The model, loaded once."""
        return self.load()

    @cached_property
    def original(self) -> PyFuncModel:
        """The model that was saved, asked in the same way as the loaded one."""
        return self.around(self.native)

    def around(self, native: object) -> PyFuncModel:
        """Return an adapter around a native object, with the signature that was saved."""
        registry = default_registry()
        opened, flavor = open_model(self.path), registry.get(self.loaded.flavor)
        prepared = prepare_original(opened, native, flavor, registry=registry, options=self.load_options)
        return adapt_original(opened, native, flavor, signature=self.loaded.signature, prepared=prepared)

    @property
    def section(self) -> Mapping[str, Any]:
        """The flavor's section of MLmodel."""
        return self.loaded.metadata.flavors[self.loaded.flavor]

    @cached_property
    def answers(self) -> Mapping[str, Answer]:
        """What each method of the model that was saved answers to the sample."""
        return {method: answer_of(self.original, method, self.rows()) for method in self.original.methods}

    @cached_property
    def answer(self) -> Answer:
        """What the default method of the loaded model answers to the sample."""
        if not self.loaded.methods:
            pytest.skip("the model answers to no method")
        return answer_of(self.loaded, self.loaded.default_method, self.rows())

    def rows(self) -> Any:
        """Return the sample, for a model to do with as it likes."""
        return copy.deepcopy(self.sample)


class Subject:
    """What a subclass says of its flavor, and the fixtures that the checks share."""

    flavor: ClassVar[str]
    """The flavor's name."""
    format: ClassVar[str | None] = None
    """The format to save in; None is the flavor's default."""
    save_options: ClassVar[Mapping[str, Any]] = {}
    """Further keyword arguments for ``palate.save_model``."""
    load_options: ClassVar[Mapping[str, Any]] = {}
    """Further keyword arguments for ``palate.load_model``."""
    rtol: ClassVar[float] = 0.0
    """How far, relatively, a prediction of the loaded model may be off that of the model that was saved."""
    atol: ClassVar[float] = 0.0
    """The same, absolutely."""
    import_budget_ms: ClassVar[float] = 100.0
    """How much computing time importing the plugin may take, beyond importing Palate."""
    rows_are_independent: ClassVar[bool | None] = None
    """Whether a row's prediction is the same whatever rows stand around it; None is what the flavor says of it."""
    patience_s: ClassVar[float] = 180.0
    """How long loading and predicting may take in a process of its own, on a busy machine, before it is ended."""

    @pytest.fixture
    def model(self) -> Any:
        """The trained native model."""
        pytest.fail(f"{type(self).__name__} has no fixture 'model': define one that returns a trained model")

    @pytest.fixture
    def sample(self) -> Any:
        """Some rows of input that the model predicts on."""
        pytest.fail(f"{type(self).__name__} has no fixture 'sample': define one that returns some rows of input")

    @pytest.fixture
    def foreign_model(self) -> Any:
        """An object that the flavor has no business with."""
        return _Foreign()

    @pytest.fixture
    def activated(self) -> Flavor:
        """The flavor, as it was found and activated."""
        return default_registry().get(self._flavor_name())

    @pytest.fixture
    def saved(
        self, request: pytest.FixtureRequest, model: Any, sample: Any, tmp_path_factory: pytest.TempPathFactory
    ) -> Saved:
        """The model, saved once for all checks that only read it.

        The fixtures are asked for each time, or their parameters would not make cases; one that takes long may have
        the scope of a class.
        """
        shared = _shared_by(request, type(self))
        case = getattr(getattr(request.node, "callspec", None), "id", "")
        if case in shared.unsaved:
            pytest.fail(f"the model cannot be saved: {shared.unsaved[case]}", pytrace=False)
        if case not in shared.saved:
            if _has_no_rows(sample):
                pytest.fail("the sample has no rows: let the fixture give some", pytrace=False)
            try:
                shared.saved[case] = self.save(model, sample, tmp_path_factory.mktemp("saved") / "model")
            except Exception as exc:
                shared.unsaved[case] = f"{type(exc).__name__}: {exc}"  # told in full once, by this check
                raise
        return shared.saved[case]

    @pytest.fixture
    def worker(self, request: pytest.FixtureRequest) -> Worker:
        """A process of its own, started when it is first asked, and again after it has died."""
        return _shared_by(request, type(self)).worker

    def save(self, model: object, sample: object, path: Path, **options: Any) -> Saved:
        """Save a model the way that this class says."""
        asked = {"flavor": self._flavor_name(), "format": self.format, "input_example": sample, **self.save_options}
        with unremarked():
            before = process_state()
            info = palate.save_model(model, path, **{**asked, **options})
            after = process_state()
        if info.trust_needed is None:
            raise PalateError(f"The plugin cannot be used: {info.plugin_problem}")
        return Saved(
            path=path,
            native=model,
            sample=sample,
            trust=info.trust_needed,
            load_options=dict(self.load_options),
            around_save=(before, after),
        )

    def assert_predicts_the_same(self, saved: Saved, model: PyFuncModel) -> None:
        """Fail unless *model* answers to the sample as the loaded model does."""
        self.assert_same(saved.answer, answer_of(model, saved.loaded.default_method, saved.rows()))

    def assert_same(
        self, wanted: Answer, given: Answer, *, rtol: float | None = None, atol: float | None = None, about: str = ""
    ) -> None:
        """Fail, with the differences in words, unless two answers agree, by default within the class's tolerance."""
        rtol, atol = self.rtol if rtol is None else rtol, self.atol if atol is None else atol
        found = compare_answers(wanted, given, rtol=rtol, atol=atol)
        assert not found, f"{about}{'; '.join(found)}"

    def _flavor_name(self) -> str:
        name = getattr(self, "flavor", None)
        if not isinstance(name, str):
            pytest.fail(f"{type(self).__name__} does not say which flavor it is for: set flavor = 'name'")
        return name


@contextmanager
def unremarked() -> Iterator[None]:
    """Ignore Palate's warnings: what a flavor leaves out it says in one, and that is no failure."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", palate.errors.PalateWarning)
        yield


def _has_no_rows(sample: object) -> bool:
    try:
        return count_rows(sample) == 0
    except NoRows:
        return False  # as far as the kit can tell


class _Foreign:
    """No framework's object."""


class _Shared:
    """What the tests of one class share."""

    def __init__(self, cls: type, patience: float) -> None:
        self.cls = cls
        self.saved: dict[str, Saved] = {}
        self.unsaved: dict[str, str] = {}
        self.worker = Worker(patience)


_SHARED = pytest.StashKey[_Shared]()


def _shared_by(request: pytest.FixtureRequest, cls: type[Subject]) -> _Shared:
    """Return what the tests of a class share; that of the class before is let go, as models may be large."""
    config = request.config
    shared = config.stash.get(_SHARED, None)
    if shared is None or shared.cls is not cls:
        if shared is not None:
            shared.worker.stop()
        shared = config.stash[_SHARED] = _Shared(cls, cls.patience_s)
        config.add_cleanup(shared.worker.stop)
    return shared

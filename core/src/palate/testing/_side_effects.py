"""Checks: saving, loading and predicting leave the process, the model and the data as they were."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from palate.testing._predictions import answer_of
from palate.testing._process_state import (
    ASPECTS,
    attributes_of,
    changed_aspects,
    changed_attributes,
    process_state,
    set_back,
)
from palate.testing._subject import Saved, Subject

__all__ = ["SideEffectChecks"]


class SideEffectChecks(Subject):
    """The host's process is not the flavor's to change."""

    @pytest.fixture
    def leaves(self, saved: Saved, tmp_path: Path) -> Callable[[str], None]:
        """Save the model again, and fail when that changes the named aspect of the process.

        The framework was imported at the first time. What has become another one then is set back before, since a
        variable that has its value already is not seen to be set.
        """

        def check(aspect: str) -> None:
            with _as_before_saving(saved, (aspect,)):
                changed = changed_aspects(*self.save(saved.native, saved.rows(), tmp_path / "again").around_save)
            if aspect in changed:
                pytest.fail(f"{aspect}: {changed[aspect]}")

        return check

    def test_save_leaves_random_state(self, leaves: Callable[[str], None]) -> None:
        """Saving draws no random number that the caller would have drawn: an experiment stays reproducible."""
        leaves("random state")

    def test_save_leaves_no_thread(self, leaves: Callable[[str], None]) -> None:
        """Saving leaves no thread behind, which would keep a process from forking or ending."""
        leaves("threads")

    def test_save_leaves_working_directory(self, leaves: Callable[[str], None]) -> None:
        """Saving does not change directory: the caller's relative paths mean the same afterwards."""
        leaves("working directory")

    def test_save_leaves_environment_variables(self, leaves: Callable[[str], None]) -> None:
        """Saving sets no environment variable, since child processes and other libraries read them."""
        leaves("environment variables")

    def test_save_leaves_warnings_filters(self, leaves: Callable[[str], None]) -> None:
        """Saving leaves the warnings filters: which warnings are seen is the application's choice."""
        leaves("warnings filters")

    def test_save_leaves_import_path(self, leaves: Callable[[str], None]) -> None:
        """Saving leaves sys.path and the import hooks, which decide what every later import finds."""
        leaves("sys.path")

    def test_save_leaves_modules(self, saved: Saved, leaves: Callable[[str], None]) -> None:
        """Saving removes and replaces no module: classes would no longer be those that objects were made of."""
        first = changed_aspects(*saved.around_save)
        assert "sys.modules" not in first, f"by the first save: {first['sys.modules']}"
        leaves("sys.modules")

    def test_save_leaves_interpreter_settings(self, leaves: Callable[[str], None]) -> None:
        """Saving leaves signal handlers, logging, umask, locale and recursion limit, which are the application's."""
        leaves("interpreter settings")

    def test_save_leaves_the_model(self, model: Any, sample: Any, tmp_path: Path) -> None:
        """Saving leaves every attribute of the model: training goes on with it afterwards."""
        before = attributes_of(model)
        self.save(model, sample, tmp_path / "model")
        after = attributes_of(model)
        changed = changed_attributes(before, after)
        assert not changed, f"changed by saving: {', '.join(changed[:5])}"
        public = [place for place in after.keys() - before.keys() if "._" not in place and "['_" not in place]
        assert not public, f"added by saving: {', '.join(sorted(public)[:5])}"

    def test_save_leaves_predictions(self, saved: Saved, tmp_path: Path) -> None:
        """The model that was saved predicts afterwards what it predicted before: it may be in use."""
        before = saved.answers[saved.loaded.default_method]
        if not before.is_known:
            pytest.skip("the flavor predicts only with loaded models")
        self.save(saved.native, saved.rows(), tmp_path / "again")
        self.assert_same(before, answer_of(saved.original, saved.loaded.default_method, saved.rows()))

    def test_nothing_is_printed(self, saved: Saved, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        """Saving, loading and predicting write nothing to the standard streams, which are the application's to read."""
        capfd.readouterr()
        self.save(saved.native, saved.rows(), tmp_path / "again").load().predict(saved.rows())
        assert "".join(capfd.readouterr()) == ""

    def test_load_and_predict_leave_the_process(self, saved: Saved) -> None:
        """Loading and predicting leave all that saving leaves: a server does both for ever."""
        with warnings.catch_warnings():  # nor may it count that the filters are as the first load has set them
            saved.load().predict(saved.rows())
        with _as_before_saving(saved, ASPECTS):
            before = process_state()
            saved.load().predict(saved.rows())
            changed = changed_aspects(before, process_state())
        assert not changed, "; ".join(f"{aspect}: {words}" for aspect, words in changed.items())

    def test_predict_leaves_the_input(self, saved: Saved) -> None:
        """Predicting does not write to the caller's data, of which no copy is made when it fits."""
        rows = saved.rows()
        before = pickle.dumps(copy.deepcopy(rows))
        saved.loaded.predict(rows)
        assert pickle.dumps(copy.deepcopy(rows)) == before, "the rows that were passed have changed"

    def test_predict_leaves_the_model(self, saved: Saved) -> None:
        """Predicting leaves the loaded model's attributes, which other threads are reading."""
        model = saved.load()
        model.predict(saved.rows())  # a framework may make ready what it predicts with
        before = attributes_of(model.native)
        model.predict(saved.rows())
        changed = changed_attributes(before, attributes_of(model.native))
        assert not changed, f"changed by predicting: {', '.join(changed[:5])}"


@contextmanager
def _as_before_saving(saved: Saved, aspects: Collection[str]) -> Iterator[None]:
    """Have the process as it was before *saved* was saved for the first time, and afterwards as it is now."""
    now = process_state()
    before, after = saved.around_save
    set_back(aspects, after, before)
    try:
        yield
    finally:
        set_back(aspects, process_state(), now)

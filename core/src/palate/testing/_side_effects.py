"""Checks: saving, loading and predicting leave the process, the model and the data as they were."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from palate.testing._predictions import answer_of
from palate.testing._process_state import attributes_of, changed_aspects, process_state
from palate.testing._subject import Saved, Subject

__all__ = ["SideEffectChecks"]


class SideEffectChecks(Subject):
    """The host's process is not the flavor's to change."""

    @pytest.fixture
    def save_again(self, saved: Saved, tmp_path: Path) -> Callable[[], Saved]:
        """Save the model again; the framework was imported, and has settled, at the first time."""
        return lambda: self.save(saved.native, saved.rows(), tmp_path / "again")

    def test_save_leaves_random_state(self, save_again: Callable[[], Saved]) -> None:
        """Saving draws no random number that the caller would have drawn: an experiment stays reproducible."""
        with _unchanged("random state"):
            save_again()

    def test_save_leaves_no_thread(self, save_again: Callable[[], Saved]) -> None:
        """Saving leaves no thread behind, which would keep a process from forking or ending."""
        with _unchanged("threads"):
            save_again()

    def test_save_leaves_working_directory(self, save_again: Callable[[], Saved]) -> None:
        """Saving does not change directory: the caller's relative paths mean the same afterwards."""
        with _unchanged("working directory"):
            save_again()

    def test_save_leaves_environment_variables(self, save_again: Callable[[], Saved]) -> None:
        """Saving sets no environment variable, since child processes and other libraries read them."""
        with _unchanged("environment variables"):
            save_again()

    def test_save_leaves_warnings_filters(self, save_again: Callable[[], Saved]) -> None:
        """Saving leaves the warnings filters: which warnings are seen is the application's choice."""
        with _unchanged("warnings filters"):
            save_again()

    def test_save_leaves_import_path(self, save_again: Callable[[], Saved]) -> None:
        """Saving leaves sys.path and the import hooks, which decide what every later import finds."""
        with _unchanged("sys.path"):
            save_again()

    def test_save_leaves_modules(self, save_again: Callable[[], Saved]) -> None:
        """Saving removes and replaces no module: classes would no longer be those that objects were made of."""
        with _unchanged("sys.modules"):
            save_again()

    def test_save_leaves_interpreter_settings(self, save_again: Callable[[], Saved]) -> None:
        """Saving leaves signal handlers, logging, umask, locale and recursion limit, which are the application's."""
        with _unchanged("interpreter settings"):
            save_again()

    def test_save_leaves_the_model(self, model: Any, sample: Any, tmp_path: Path) -> None:
        """Saving leaves every attribute of the model: training goes on with it afterwards."""
        before = attributes_of(model)
        self.save(model, sample, tmp_path / "model")
        after = attributes_of(model)
        changed = [place for place, value in before.items() if after.get(place) != value]
        assert not changed, f"changed by saving: {', '.join(changed[:5])}"
        public = [place for place in after.keys() - before.keys() if "._" not in place and "['_" not in place]
        assert not public, f"added by saving: {', '.join(sorted(public)[:5])}"

    def test_save_leaves_predictions(self, saved: Saved, save_again: Callable[[], Saved]) -> None:
        """The model that was saved still predicts the same after it has been saved again."""
        method, before = saved.loaded.default_method, saved.answers
        save_again()
        again = answer_of(saved.original, method, saved.rows())
        if again.is_known:
            self.assert_same(before[method], again)

    def test_load_and_predict_leave_the_process(self, saved: Saved) -> None:
        """Loading and predicting leave all that saving leaves: a server does both for ever."""
        saved.load().predict(saved.rows())
        with _unchanged():
            saved.load().predict(saved.rows())

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
        after = attributes_of(model.native)
        changed = [place for place, value in before.items() if after.get(place) != value]
        assert not changed, f"changed by predicting: {', '.join(changed[:5])}"


@contextmanager
def _unchanged(*aspects: str) -> Iterator[None]:
    """Fail when one of those aspects of the process, or any of all, is another one afterwards."""
    before = process_state()
    yield
    changed = changed_aspects(before, process_state())
    found = {aspect: words for aspect, words in changed.items() if not aspects or aspect in aspects}
    assert not found, "; ".join(f"{aspect}: {words}" for aspect, words in found.items())

"""Checks: what was saved comes back, here and elsewhere, by every method."""

from __future__ import annotations

import gc
import time
from pathlib import Path
from typing import Any

import pytest

import palate
from palate._flavor import Flavor
from palate._stored.snapshots import snapshot
from palate.errors import UnsupportedModel
from palate.testing._predictions import Answer, NoRows, answer_of, count_rows, take_rows, unwarned
from palate.testing._processes import Worker
from palate.testing._subject import Saved, Subject
from palate.testing._tasks import open_and_answer
from palate.testing._threads import at_once

__all__ = ["RoundTripChecks"]

# Predictions in each thread: so many, and for so many seconds, as small models clash seldom.
_ROUNDS, _LONG = 5, 1.0


class RoundTripChecks(Subject):
    """What was saved comes back."""

    @pytest.fixture
    def expected(self) -> Any:
        """What the framework itself predicts for the sample; None stands for what the flavor predicts with the
        original."""
        return None

    def test_loaded_model_predicts_the_same(self, saved: Saved, expected: Any) -> None:
        """A loaded model predicts what the saved one predicts: the reason why models are saved at all."""
        wanted = saved.answers[saved.loaded.default_method] if expected is None else Answer(snapshot(expected))
        if not wanted.is_known:
            pytest.skip("the flavor predicts only with loaded models, and there is no fixture 'expected'")
        self.assert_same(wanted, saved.answer)

    def test_fresh_process_predicts_the_same(self, saved: Saved, worker: Worker) -> None:
        """A process that knows only the directory predicts the same: whoever saved the model has gone by then."""
        doing = "load the model and predict by each method"
        self._agree(saved, worker.call(doing, open_and_answer, saved.path, saved.options, saved.rows()))

    def test_every_method_answers_the_same(self, saved: Saved) -> None:
        """Each method of the loaded model answers as the original's does, since callers use them all."""
        given = {method: answer_of(saved.loaded, method, saved.rows()) for method in saved.loaded.methods}
        self._agree(saved, given)

    def test_methods_survive(self, saved: Saved, activated: Flavor) -> None:
        """The loaded model has the methods of the original, no fewer and no others, as APIs are made from them."""
        assert saved.loaded.methods == activated.methods(saved.native)

    def test_default_method_answers_the_sample(self, saved: Saved) -> None:
        """The default method predicts on the sample without an error: otherwise the other checks compare errors."""
        assert saved.answer.error is None, f"{saved.loaded.default_method} raises {saved.answer.error}"

    def test_loaded_model_can_be_saved_again(self, saved: Saved, tmp_path: Path) -> None:
        """What was loaded can be saved again and predicts the same, or is refused in words: models are re-saved to
        change their signature or format."""
        try:
            again = self.save(saved.load().native, saved.rows(), tmp_path / "again")
        except UnsupportedModel:
            return
        self.assert_predicts_the_same(saved, again.loaded)

    def test_predicting_twice_gives_the_same(self, saved: Saved) -> None:
        """A prediction leaves no trace in the model: the second one is equal to the first."""
        model = saved.load()
        first, second = (answer_of(model, model.default_method, saved.rows()) for _ in range(2))
        self.assert_same(first, second)

    def test_two_models_live_side_by_side(self, saved: Saved) -> None:
        """Two loaded models share nothing: each has its own native object and goes on when the other has gone."""
        first, second = saved.load(), saved.load()
        assert first.native is not second.native, "two loads returned one object"
        for model in (first, second, first):
            self.assert_predicts_the_same(saved, model)
        del first, model
        gc.collect()
        self.assert_predicts_the_same(saved, second)

    def test_eight_threads_predict_with_one_model(self, saved: Saved) -> None:
        """Eight threads that predict with one model at once, each on its own rows, get what one gets alone: servers
        work so."""
        model, method = saved.load(), saved.loaded.default_method
        rows = [self._turned(saved, number) for number in range(8)]
        alone = [answer_of(saved.loaded, method, data) for data in rows]

        def ask(number: int) -> list[Answer]:
            given: list[Answer] = []
            until = time.monotonic() + _LONG
            while len(given) < _ROUNDS or time.monotonic() < until:
                given.append(answer_of(model, method, rows[number]))
            return given

        with unwarned():
            together = at_once(ask, 8, short_turns=True)
        for wanted, given in zip(alone, together, strict=True):
            for answer in given:
                self.assert_same(wanted, answer)

    def test_eight_threads_load_at_once(self, saved: Saved) -> None:
        """Eight threads may load the model at once: a server starts several models, or reloads one, so."""
        models = at_once(lambda _: saved.load(), 8)
        for model in models:
            self.assert_predicts_the_same(saved, model)

    def test_pickled_model_opens_its_directory(self, saved: Saved, worker: Worker) -> None:
        """A loaded model goes to another process as the name of its directory, and predicts the same there."""
        doing, method = "open a pickled model and predict", saved.loaded.default_method
        self.assert_same(saved.answer, worker.call(doing, answer_of, saved.loaded, method, saved.rows()))

    def test_native_model_comes_back(self, saved: Saved) -> None:
        """palate.load_native gives the framework's own object, of which the flavor knows the methods."""
        native = palate.load_native(saved.path, trust=saved.trust, flavor=self.flavor, **self.load_options)
        assert saved.around(native).methods == saved.loaded.methods

    def _turned(self, saved: Saved, number: int) -> Any:
        """Return the sample beginning with its row of that number, as far as it can be taken apart."""
        rows = saved.rows()
        try:
            count = count_rows(rows)
            return take_rows(rows, [(number + row) % count for row in range(count)])
        except NoRows:
            return rows

    def _agree(self, saved: Saved, given: dict[str, Answer]) -> None:
        """Fail unless each method answers as the original's does, or as the loaded model's where only those predict."""
        assert given.keys() == saved.answers.keys(), "other methods answer than did before"
        for method, wanted in saved.answers.items():
            known = wanted if wanted.is_known else answer_of(saved.loaded, method, saved.rows())
            self.assert_same(known, given[method], about=f"{method}: ")

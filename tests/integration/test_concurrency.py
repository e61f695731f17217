"""Thirty-two threads: on one model, loading at once, loading while others ask, and behind an event loop."""

from __future__ import annotations

import pytest

FAMILIES = ["python", "sklearn", "xgboost", "torch", pytest.param("tf", marks=pytest.mark.slow)]


@pytest.mark.parametrize("family", FAMILIES)
def test_threads_are_answered_as_one_thread_is(family, saved, run_script) -> None:
    """Bit for bit, from the very first import on, with data in every container, for every method and params."""
    assert int(run_script("together.py", family, saved(family))) > 500


def test_threads_may_share_a_polars_frame(run_script) -> None:
    """None waits for ever, though polars itself would when one thread hands out what another one reads."""
    assert run_script("one_frame.py") == f"{32 * 50}\n"


def test_same_named_modules_stay_apart_in_threads(tmp_path, run_script) -> None:
    """Ten models bring modules of the same names, and import them while they load and while they predict."""
    assert run_script("apart.py", tmp_path) == "320\n"


@pytest.mark.slow
def test_an_interrupted_model_goes_on(tmp_path, run_script) -> None:
    """After a KeyboardInterrupt at any moment of a prediction the model predicts, and another one loads."""
    assert int(run_script("interrupted.py", tmp_path)) > 50

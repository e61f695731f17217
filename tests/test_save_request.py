"""What save_model refuses before it writes anything."""

from __future__ import annotations

from pathlib import Path

import pytest

import palate
from palate.errors import UnsupportedModel


@pytest.mark.parametrize("model", [object(), {"slope": 1.0}, 7, None], ids=["object", "dict", "number", "none"])
def test_a_flavor_that_was_asked_for_saves_its_own_objects_only(toy_flavor: str, tmp_path: Path, model: object) -> None:
    """An object of somebody else is refused before a hook sees it; the message says whose objects are saved."""
    with pytest.raises(UnsupportedModel, match=r"'toy' saves objects of toy_framework.*leave out flavor="):
        palate.save_model(model, tmp_path / "model", flavor=toy_flavor)
    assert list(tmp_path.iterdir()) == []


def test_a_path_in_a_models_place_is_told_from_a_model(toy_flavor: str, tmp_path: Path) -> None:
    """Whoever passes a path is told to load what is there."""
    with pytest.raises(UnsupportedModel, match="load what is at that path with the framework"):
        palate.save_model("line.json", tmp_path / "model", flavor=toy_flavor)


def test_a_class_derived_from_a_frameworks_is_its_own(toy_flavor: str, tmp_path: Path) -> None:
    """The bases count: a user's subclass may be saved with the flavor of what it is derived from."""
    from toy_framework import Line

    class Steep(Line):
        """A line that somebody made steeper."""

    palate.save_model(Steep(2.0, 1.0), tmp_path / "model", flavor=toy_flavor)
    assert palate.load_model(tmp_path / "model").native.slope == 2.0

"""A model on its way to other machines: what is sent, what is checked before and after."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cluster_models import LOG_VARIABLE, make_rows
from signing_keys import make_key, write_key

from palate.batch.engines import _shipping
from palate.batch.engines._shipping import Shipment, shipping
from palate.errors import InvalidInput, InvalidOption, SignatureMissing, TrustRequired, WrongModel

Ship = Callable[..., Any]


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test a cache and a log of its own, and no model that is open already."""
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(LOG_VARIABLE, str(tmp_path / "told.txt"))
    _shipping._models.clear()


@pytest.fixture
def ship(models: Path, tmp_path: Path) -> Ship:
    """Return what sends one of the models."""

    def prepare(model: str | Path, **options: Any) -> Any:
        given = {"method": None, "params": None, "trust": False, "flavor": None, "signed_by": None, "isolate": False}
        return shipping(models / model, tmp_path, **{**given, "options": {}, **options})

    return prepare


def _openings(tmp_path: Path) -> int:
    return (tmp_path / "told.txt").read_text().count("opened")


def _arrive(shipment: Shipment) -> Any:
    """Return what a worker that was given the archive and the pickle predicts with."""
    return pickle.loads(pickle.dumps(shipment.scoring)).scorer(shipment.archive)


def test_a_process_opens_a_model_once(ship: Ship, tmp_path: Path) -> None:
    """However many tasks of however many jobs come, the model is opened once here and once for them."""
    for _ in range(2):
        with ship("telling", trust=True) as shipment:
            before = _openings(tmp_path)
            scorers = [_arrive(shipment) for _ in range(3)]
            assert all(scorer.model is scorers[0].model for scorer in scorers)
    assert _openings(tmp_path) == before  # the second time, it was open already


def test_other_options_open_it_again(ship: Ship) -> None:
    """A model that is open with trust is not given to a job without."""
    with ship("labels", trust=True) as trusted, ship("labels") as other:
        assert _arrive(trusted).model is not _arrive(other).model


def test_few_models_stay_open(ship: Ship) -> None:
    """A process that serves many jobs keeps the last models only."""
    names = ("labels", "forest", "boosted", "silent")
    for name in (*names, "labels"):
        for trust in (False, True):
            with ship(name, trust=trust) as shipment:
                _arrive(shipment)
    assert len(_shipping._models) == _shipping._KEPT_MODELS


def test_another_archive_is_refused(ship: Ship, tmp_path: Path) -> None:
    """A worker that finds another model in the place does not predict with it."""
    with ship("labels") as wanted, ship("forest") as other:
        other.archive.replace(wanted.archive)
        with pytest.raises(WrongModel, match=str(wanted.scoring.opening.digest)):
            _arrive(wanted)


def test_a_model_without_manifest_is_known_by_its_bytes(ship: Ship, repository: Path) -> None:
    """What stock MLflow saved has no identity; the archive's sha256 tells it from others."""
    with ship(repository / "tests" / "data" / "mlflow_models" / "xgb_booster_json" / "model") as shipment:
        assert shipment.scoring.opening.digest is None
        assert _arrive(shipment).score(_table()).num_rows == 3
        _shipping._models.clear()
        shipment.archive.write_bytes(shipment.archive.read_bytes() + b"\0")
        with pytest.raises(WrongModel):
            _arrive(shipment)


def test_no_home_no_matter(ship: Ship, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody says where Palate's cache is, and there is no home, a worker has it beside the archive."""
    with ship("labels") as shipment:
        for name in ("PALATE_CACHE", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
        monkeypatch.setenv("PALATE_CACHE", "")  # set, so that it is put back afterwards
        monkeypatch.delenv("PALATE_CACHE")
        assert _arrive(shipment).score(_table()).num_rows == 3
    assert list(tmp_path.glob("palate-cache-*/models/*"))
    assert not (tmp_path / "nobody").exists()


@pytest.mark.parametrize(
    ("model", "options", "error"),
    [
        ("telling", {}, TrustRequired),
        ("labels", {"keys": "id"}, InvalidOption),
        ("telling", {"trust": True, "params": {"pause": "long"}}, InvalidInput),
    ],
)
def test_what_cannot_work_is_told_before(
    ship: Ship, model: str, options: dict[str, Any], error: type[Exception]
) -> None:
    """Trust, keys and params are judged where the job is put together."""
    with pytest.raises(error), ship(model, **options):
        pass


def test_errors_name_what_was_asked_for(ship: Ship, models: Path) -> None:
    """And not the file that is sent."""
    with pytest.raises(TrustRequired, match=f"Opening '{models / 'telling'}'"), ship("telling"):
        pass


def test_who_signed_it_is_asked(ship: Ship, tmp_path: Path) -> None:
    """A model that nobody signed is not sent where a signature is demanded."""
    _, public = write_key(make_key(), tmp_path, "ours")
    with pytest.raises(SignatureMissing), ship("labels", signed_by=public):
        pass


def _table() -> Any:
    import pyarrow as pa

    return pa.Table.from_pandas(make_rows(3), preserve_index=False)

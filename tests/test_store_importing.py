"""Import and export: folders of models, zips and single models into a store, and out of it again."""

from __future__ import annotations

import json
import os
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

import palate
from palate.errors import (
    DependencyMissing,
    InvalidArchive,
    InvalidModelFile,
    InvalidOption,
    ModelExists,
    ModelNotFound,
    SignatureMissing,
)
from palate.packing import pack_model
from palate.store import Imported, Store, export_model, import_models, open_store

MODELS = Path(__file__).parent / "data" / "mlflow_models"
STOCK = MODELS / "sk_default_skops_inferredreqs" / "model"
ROWS = {"a": [0.5], "b": [1.5], "c": [2]}


@pytest.fixture(autouse=True)
def _own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PALATE_STORE", str(tmp_path / "store"))


@pytest.fixture
def store() -> Store:
    """Return a store that is new."""
    return open_store(by="tester")


def put(place: Path, *, created: str = "2026-01-01 00:00:00.000000", **facts: object) -> Path:
    """Put a model of MLflow's at a place, which says when it was saved."""
    shutil.copytree(STOCK, place)
    document = yaml.safe_load((place / "MLmodel").read_text())
    (place / "MLmodel").write_text(yaml.safe_dump({**document, "utc_time_created": created, **facts}))
    return place


def names(imported: Imported) -> dict[str, int]:
    """Return the highest number that was added of each name."""
    return {version.name: version.number for version in imported.added}


# -- names -------------------------------------------------------------------------------------------------------------


def test_a_folder_of_saved_models_is_imported_in_any_depth(tmp_path, store) -> None:
    """Each directory with a MLmodel is a model, named as its folder; the stored one predicts, and has a manifest."""
    put(tmp_path / "in" / "iris")
    put(tmp_path / "in" / "deep" / "down" / "wine")
    done = import_models(store, tmp_path / "in")
    assert names(done) == {"iris": 1, "wine": 1}
    assert done.refused == done.present == ()
    assert [version.source for version in done.added] == [f"{tmp_path}/in/iris", f"{tmp_path}/in/deep/down/wine"]
    assert len(palate.load_model("models:/wine/1").predict(ROWS)) == 1
    assert palate.inspect_model("models:/wine/1").digest == store.version("wine/1").digest


def test_every_directory_that_mlflow_saved_is_imported(store) -> None:
    """23 models of all kinds, each in a folder called model, have 23 names."""
    done = import_models(store, MODELS)
    assert len({version.name for version in done.added}) == len(done.added) == 23
    assert {version.number for version in done.added} == {1}
    assert "sk_predict_proba-model" in names(done)


def test_names_become_allowed_and_stay_apart(tmp_path, store) -> None:
    """What a store does not take as a name is changed; two that become one, or differ by case, are told apart."""
    for place in ("Häuser & Preise", "a b", "a-b", "con", "x..y", "Same", "same", "x/model", "y/model", "日本"):
        put(tmp_path / "in" / place)
    done = import_models(store, tmp_path / "in")
    found = sorted(names(done))
    assert len(found) == 10
    assert len({name.casefold() for name in found}) == 10
    assert {"Hauser-Preise", "model-con", "x-model", "y-model", "x.y"} <= set(found)
    assert set(names(done).values()) == {1}


def test_names_are_the_same_the_next_time(tmp_path, store) -> None:
    """An import that is repeated adds nothing, even where names had to be told apart; it says what was there."""
    for place in ("a b", "a-b", "x/model", "y/model"):
        put(tmp_path / "in" / place)
    first = import_models(store, tmp_path / "in")
    again = import_models(store, tmp_path / "in")
    assert again.added == ()
    assert [str(version.uri) for version in again.present] == [version.uri for version in first.added]


def test_a_model_that_has_changed_is_the_next_version(tmp_path, store) -> None:
    """Under a name that is there, a model with another digest becomes a new version, and the others stay."""
    model = put(tmp_path / "in" / "iris")
    import_models(store, tmp_path / "in")
    with (model / "requirements.txt").open("a") as file:
        file.write("# changed\n")
    assert names(import_models(store, tmp_path / "in")) == {"iris": 2}


def test_with_a_name_all_are_its_versions_in_the_order_of_their_time(tmp_path, store) -> None:
    """The oldest is version 1, whatever its folder is called."""
    for place, day in (("c", "2026-01-02"), ("b", "2026-01-03"), ("a", "2026-01-01")):
        put(tmp_path / "in" / place, created=f"{day} 00:00:00.000000")
    done = import_models(store, tmp_path / "in", name="iris")
    assert [(version.number, Path(version.source).name) for version in done.added] == [(1, "a"), (2, "c"), (3, "b")]
    with pytest.raises(InvalidOption, match="name"):
        import_models(store, tmp_path / "in", name="no good")


# -- what MLflow keeps -------------------------------------------------------------------------------------------------


def test_runs_of_mlflow_2_have_a_name_each(tmp_path, store) -> None:
    """`mlruns/<experiment>/<run>/artifacts/model`: the run tells them apart; what was deleted is passed over."""
    runs = ("11" * 16, "22" * 16)
    for run in runs:
        put(tmp_path / "mlruns" / "0" / run / "artifacts" / "model")
    put(tmp_path / "mlruns" / ".trash" / "1" / ("33" * 16) / "artifacts" / "model")
    assert set(names(import_models(store, tmp_path / "mlruns"))) == {f"{run}-model" for run in runs}


def test_logged_models_of_mlflow_3_have_the_name_that_they_were_logged_by(tmp_path, store) -> None:
    """`models/m-…/artifacts`: beside it stands the name; without that, as in mlartifacts, the id is one."""
    for number, name in (("m-1", "wine"), ("m-2", "wine"), ("m-3", "beer"), ("m-4", None)):
        place = tmp_path / "mlruns" / "0" / "models" / number
        put(place / "artifacts", model_id=number)
        if name:
            (place / "meta.yaml").write_text(yaml.safe_dump({"model_id": number, "name": name}))
    assert set(names(import_models(store, tmp_path / "mlruns"))) == {"wine-m-1", "wine-m-2", "beer", "m-4"}


def test_what_the_registry_calls_so_are_versions_of_one_name(tmp_path, store) -> None:
    """A registry's folder in mlruns says which models are versions of which name, and in which order."""
    root = tmp_path / "moved" / "mlruns"
    put(root / "0" / "models" / "m-1" / "artifacts", created="2026-01-02 00:00:00.000000")
    put(root / "0" / "models" / "m-2" / "artifacts", created="2026-01-01 00:00:00.000000")
    put(root / "0" / ("ab" * 16) / "artifacts" / "model", created="2026-01-03 00:00:00.000000")
    put(root / "0" / "iris")
    for number, location in (
        (1, "file:///once/mlruns/0/models/m-1/artifacts"),
        (2, "file:///once/mlruns/0/models/m-2/artifacts"),
        (3, f"mlflow-artifacts:/0/{'ab' * 16}/artifacts/model"),
    ):
        place = root / "models" / "iris" / f"version-{number}"
        place.mkdir(parents=True)
        (place / "meta.yaml").write_text(yaml.safe_dump({"name": "iris", "source": location, "version": number}))
    done = import_models(store, root)
    assert {version.source.removeprefix(f"{root}/"): (version.name, version.number) for version in done.added} == {
        "0/models/m-1/artifacts": ("iris", 1),
        "0/models/m-2/artifacts": ("iris", 2),
        f"0/{'ab' * 16}/artifacts/model": ("iris", 3),
        "0/iris": ("0-iris", 1),
    }


def test_what_was_downloaded_from_the_registry_has_its_name(tmp_path, store) -> None:
    """The note that MLflow's registry puts into what it downloads says the name, and the order."""
    for place, version in (("x", "10"), ("y", "9")):
        model = put(tmp_path / "in" / place, created=f"2026-01-{version.zfill(2)} 00:00:00.000000")
        (model / "registered_model_meta").write_text(yaml.safe_dump({"model_name": "wein", "model_version": version}))
    done = import_models(store, tmp_path / "in")
    assert [(v.name, v.number, Path(v.source).name) for v in done.added] == [("wein", 1, "y"), ("wein", 2, "x")]


# -- what cannot be read -----------------------------------------------------------------------------------------------


def test_one_that_cannot_be_read_does_not_stop_the_others(tmp_path, store) -> None:
    """Broken, changed and linked models are told of with the reason; nothing of them is in the store."""
    put(tmp_path / "in" / "good")
    (put(tmp_path / "in" / "broken") / "MLmodel").write_text("flavors: [")
    (put(tmp_path / "in" / "linked") / "data").symlink_to("/etc")
    palate.packing.unpack_model(STOCK, tmp_path / "in" / "changed")
    with (tmp_path / "in" / "changed" / "conda.yaml").open("a") as file:
        file.write("#")
    (tmp_path / "in" / "cut.palate").write_bytes(b"PK\3\4")
    done = import_models(store, tmp_path / "in")
    assert names(done) == {"good": 1}
    assert {Path(one.source).name for one in done.refused} == {"broken", "linked", "changed", "cut.palate"}
    reasons = {Path(one.source).name: one.reason for one in done.refused}
    assert "MLmodel is not valid" in reasons["broken"]
    assert "symbolic link" in reasons["linked"]
    assert "changed: conda.yaml" in reasons["changed"]
    assert "cut short" in reasons["cut.palate"]
    assert [model.name for model in store.models()] == ["good"]
    assert json.loads(json.dumps(done.to_dict()))["refused"][0]["source"].startswith(str(tmp_path))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look everywhere")
def test_a_folder_that_cannot_be_listed_is_told_of(tmp_path, store) -> None:
    """A folder without the right to read it is no reason to give up, and not passed over in silence."""
    put(tmp_path / "in" / "good")
    (tmp_path / "in" / "shut").mkdir(mode=0)
    done = import_models(store, tmp_path / "in")
    assert names(done) == {"good": 1}
    assert "cannot be listed" in done.refused[0].reason


def test_links_are_not_followed(tmp_path, store) -> None:
    """A link in a folder leads to no model, not even to one that would be found twice."""
    put(tmp_path / "in" / "good")
    (tmp_path / "in" / "latest").symlink_to("good")
    (tmp_path / "in" / "up").symlink_to("..")
    assert names(import_models(store, tmp_path / "in")) == {"good": 1}


def test_a_single_model_that_cannot_be_read_is_an_error(tmp_path, store) -> None:
    """What was named by itself is not told of at the end, but raised."""
    (put(tmp_path / "broken") / "MLmodel").write_text("flavors: [")
    with pytest.raises(InvalidModelFile):
        import_models(store, tmp_path / "broken")
    (tmp_path / "empty").mkdir()
    for source in (tmp_path / "empty", tmp_path / "none"):
        with pytest.raises(ModelNotFound):
            import_models(store, source)
    assert store.models() == []


def test_a_store_that_demands_signatures_refuses_the_others(tmp_path, store) -> None:
    """The policy of the store is that of an import, too."""
    keys = pytest.importorskip("signing_keys")
    _, public = keys.write_key(keys.make_key(), tmp_path, "key")
    store.demand_signatures([public])
    put(tmp_path / "in" / "iris")
    done = import_models(store, tmp_path / "in")
    assert done.added == ()
    assert "not signed" in done.refused[0].reason
    with pytest.raises(SignatureMissing):
        import_models(store, tmp_path / "in" / "iris")


# -- zips and files ----------------------------------------------------------------------------------------------------


def test_a_zip_of_many_models_is_imported(tmp_path, store) -> None:
    """Each is called as in the folder, and its source names its place in the zip; nothing unpacked is left."""
    for place in ("iris", "more/wine"):
        put(tmp_path / "in" / place)
    shutil.make_archive(str(tmp_path / "models"), "zip", tmp_path / "in")
    done = import_models(store, tmp_path / "models.zip")
    assert {version.name: version.source for version in done.added} == {
        "iris": f"{tmp_path}/models.zip/iris",
        "wine": f"{tmp_path}/models.zip/more/wine",
    }
    assert len(palate.load_model("models:/iris/1").predict(ROWS)) == 1
    assert list((tmp_path / "cache").rglob("MLmodel")) == []


def test_a_zip_of_one_model_is_called_as_the_zip_or_its_folder(tmp_path, store) -> None:
    """At its root the file's name counts, in a folder that."""
    shutil.make_archive(str(tmp_path / "iris"), "zip", STOCK)
    shutil.make_archive(str(tmp_path / "other"), "zip", STOCK.parent, "model")
    assert names(import_models(store, tmp_path / "iris.zip")) == {"iris": 1}
    assert names(import_models(store, tmp_path / "other.zip")) == {"model": 1}
    assert import_models(store, tmp_path / "other.zip", name="iris").present[0].uri == "models:/iris/1"


def test_a_zip_that_cannot_be_trusted_is_refused_whole(tmp_path, store) -> None:
    """Of a zip in which anything is out of order, nothing gets into the store, and nothing is left in the cache."""
    shutil.make_archive(str(tmp_path / "m"), "zip", STOCK)
    with (tmp_path / "m.zip").open("ab") as file:
        file.write(b"\n")
    with pytest.raises(InvalidArchive):
        import_models(store, tmp_path / "m.zip")
    assert store.models() == []
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []


FULL_DISK = """
import resource, sys
from palate.store import import_models, open_store
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
try:
    import_models(open_store(), sys.argv[1])
except Exception as exc:
    print(type(exc).__name__)
"""


@pytest.mark.parametrize(("source", "error"), [("m.zip", "CacheFailed"), ("in", "StoreFailed")])
def test_a_disk_that_refuses_leaves_nothing_half_added(source, error, tmp_path, store, run_python) -> None:
    """Where unpacking or adding fails, the error says which place it was, and no version is there."""
    model = put(tmp_path / "in" / "iris")
    (model / "weights.bin").write_bytes(os.urandom(2 << 20))
    shutil.make_archive(str(tmp_path / "m"), "zip", tmp_path / "in")
    done = run_python(FULL_DISK, tmp_path / source)
    assert done.stdout.strip() == error, done.stderr
    assert sum(model.versions for model in store.models()) == 0
    assert list(tmp_path.rglob("*.palate-stage-*")) == []


def test_models_in_one_file_are_imported(tmp_path, store) -> None:
    """By themselves and in a folder; a model is the same whichever way it came."""
    put(tmp_path / "in" / "iris")
    digest = import_models(store, tmp_path / "in" / "iris").added[0].digest
    (tmp_path / "files").mkdir()
    pack_model("models:/iris/1", tmp_path / "files" / "wine.palate")
    assert names(import_models(store, tmp_path / "files")) == {"wine": 1}
    assert store.version("wine/1").digest == digest
    assert import_models(store, f"file://{tmp_path}/files/wine.palate").present[0].uri == "models:/wine/1"
    assert import_models(store, "models:/iris/1", name="copy").added[0].digest == digest


# -- export ------------------------------------------------------------------------------------------------------------


def test_a_version_is_exported_as_a_directory_and_as_a_file(tmp_path, store) -> None:
    """Both are the model, by its digest, and can be imported again."""
    digest = import_models(store, STOCK, name="iris").added[0].digest
    assert export_model("models:/iris/1", tmp_path / "out").to_dict()["digest"] == digest
    assert export_model("models:/iris/1", tmp_path / "out.palate").to_dict()["digest"] == digest
    for exported in ("out", "out.palate"):
        assert palate.inspect_model(tmp_path / exported).digest == digest
        with pytest.raises(ModelExists):
            export_model("models:/iris/1", tmp_path / exported)
        export_model("models:/iris/1", tmp_path / exported, overwrite=True)
        assert import_models(store, tmp_path / exported, name="iris").present[0].number == 1


@pytest.mark.parametrize(
    ("target", "overwrite"),
    [
        ("s3://bucket/m.palate", False),
        ("models:/iris", False),
        ("mlflow:models:/iris/3", False),
        ("mlflow:runs:/1/x", False),
        ("mlflow:models:/iris", True),
    ],
)
def test_a_target_that_is_not_written_to_is_refused(target, overwrite, store) -> None:
    """Only directories, files and names of MLflow's registry are written to, and its versions stay."""
    import_models(store, STOCK, name="iris")
    with pytest.raises(InvalidOption, match="Hint: "):
        export_model("models:/iris/1", target, overwrite=overwrite)


@pytest.mark.skipif(find_spec("mlflow") is not None, reason="MLflow is installed here")
def test_mlflow_that_is_not_installed_is_asked_for(tmp_path, store) -> None:
    """Without MLflow its addresses say what to install."""
    import_models(store, STOCK, name="iris")
    with pytest.raises(DependencyMissing, match="pip install mlflow"):
        export_model("models:/iris/1", "mlflow:models:/iris")
    for act in (palate.load_model, lambda uri: import_models(store, uri)):
        with pytest.raises(DependencyMissing, match="pip install mlflow"):
            act("mlflow:models:/iris/1")
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []

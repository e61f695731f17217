"""Models that somebody else has put in the place of another: never signed, handed out, loaded or kept as that one."""

from __future__ import annotations

import json
import pickle
import shutil
import struct
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from signing_keys import make_key, save_model, write_key

import palate
from palate import _opened, errors
from palate._archive import shelf
from palate.locations import locate
from palate.packing import pack_model, unpack_model
from palate.signing import sign_model
from palate.store import Store, import_models, open_store
from palate.store._upkeep import collect_unfinished, delete_version


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    """Return the files of a private and its public key."""
    return write_key(make_key(), tmp_path, "release")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Return the store that models: means, with one version of ``line``."""
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PALATE_STORE", str(tmp_path / "store"))
    store = open_store()
    store.add("line", save_model(tmp_path / "first"))
    return store


def swap(store: Store, model: Path) -> None:
    """Put another model where version 1 is, as whoever may write to the store could."""
    place = Path(store.uri) / "line" / "1" / "model"
    shutil.rmtree(place)
    shutil.copytree(model, place)


# -- in a store --------------------------------------------------------------------------------------------------------


def test_a_swapped_version_is_not_signed(store, keys, tmp_path) -> None:
    """The owner's signature never lands on what somebody put there, although that is whole in itself."""
    swap(store, save_model(tmp_path / "second", slope=2.0))
    with pytest.raises(errors.WrongModel):
        store.sign("line/1", keys[0])
    assert not list(Path(store.uri).rglob("model.sig"))


def test_what_is_demanded_is_demanded_of_what_goes_out(store, keys, tmp_path) -> None:
    """A version without the signature that the store demands is neither packed nor unpacked; with it, both."""
    store.demand_signatures([keys[1]])
    for act in (pack_model, unpack_model):
        with pytest.raises(errors.SignatureMissing):
            act("models:/line/1", tmp_path / "out")
        assert not (tmp_path / "out").exists()
    store.sign("line/1", keys[0])
    pack_model("models:/line/1", tmp_path / "out.palate")
    unpack_model("models:/line/1", tmp_path / "out")


def test_a_pickle_of_a_demanded_model_is_checked(store, keys, tmp_path) -> None:
    """That nobody asked to verify is no way around a demand, for the pickle as for the model itself."""
    store.sign("line/1", keys[0])
    store.demand_signatures([keys[1]])
    pickled = pickle.dumps(palate.load_model("models:/line/1", verify=False))
    assert pickle.loads(pickled).flavor == "sklearn"
    place = Path(store.uri) / "line" / "1" / "model" / "model.skops"
    place.write_bytes((save_model(tmp_path / "second", slope=2.0) / "model.skops").read_bytes())
    with pytest.raises(errors.ModelChanged):
        pickle.loads(pickled)


def test_deleting_while_the_files_are_collected_is_no_failure(store, monkeypatch) -> None:
    """Whoever finds that another process has removed the files has nothing to take back."""
    place, remove = store._place, type(store._place).remove_files

    def collected_first(self, name, number, record):
        collect_unfinished(place, [name], by="another")
        return remove(self, name, number, record)

    with monkeypatch.context() as patch:
        patch.setattr(type(place), "remove_files", lambda *a: (patch.undo(), collected_first(*a))[1])
        delete_version(place, "line", 1, by="me", reason=None)
    assert store.versions("line", deleted=True)[0].deleted is not None
    with pytest.raises(errors.VersionNotFound):
        locate("models:/line/1")


# -- in one file -------------------------------------------------------------------------------------------------------


def test_a_list_that_is_written_otherwise_is_refused(store, keys, tmp_path) -> None:
    """Two ways to write MANIFEST.json have one digest: the other one would stand for the genuine model in the cache."""
    model = save_model(tmp_path / "m")
    sign_model(model, keys[0])
    pack_model(model, tmp_path / "m.palate")
    evil = Path(shutil.copytree(model, tmp_path / "evil"))
    document = json.loads((evil / "MANIFEST.json").read_text())
    document["files"].reverse()
    (evil / "MANIFEST.json").write_text(json.dumps(document))
    with zipfile.ZipFile(tmp_path / "m.palate") as archive:
        names = archive.namelist()
    from palate._archive.layout import Content, lay_out

    contents = {name: (evil / name).read_bytes() for name in names}
    layout = lay_out([Content(name, len(data), zipfile.crc32(data)) for name, data in contents.items()])
    with (tmp_path / "evil.palate").open("wb") as file:
        for member in layout.members:
            file.seek(member.start)
            file.write(member.header + contents[member.content.name])
        file.write(layout.directory)
    with pytest.raises(errors.InvalidArchive, match="is not written as Palate writes it"):
        palate.load_model(tmp_path / "evil.palate")
    assert palate.load_model(tmp_path / "m.palate", signed_by=keys[1]).flavor == "sklearn"


def test_what_was_signed_is_not_mapped_out_of_the_file(store, keys, tmp_path) -> None:
    """Whoever writes to the file later must not change what a signature was checked of."""
    xgboost = pytest.importorskip("xgboost")
    booster = xgboost.train({}, xgboost.DMatrix([[0.0], [1.0]], label=[0.0, 1.0]), 1)
    palate.save_model(booster, tmp_path / "trees")
    sign_model(tmp_path / "trees", keys[0])
    pack_model(tmp_path / "trees", tmp_path / "trees.palate")
    signed = palate.load_model(tmp_path / "trees.palate", signed_by=keys[1])
    assert (signed.path / "model.ubj").stat().st_size > 0


def test_a_zip_of_long_names_takes_little_memory(tmp_path) -> None:
    """A name of thousands of folders is refused before any of them is looked at."""
    name = b"a" + b"/a" * 32_000
    local = struct.pack("<4s5H3I2H", b"PK\x03\x04", 20, 0x800, 0, 0, 0x21, 0, 0, 0, len(name), 0) + name
    entry = struct.pack("<4s6H3I5H2I", b"PK\x01\x02", 20, 20, 0x800, 0, 0, 0x21, 0, 0, 0, len(name), 0, 0, 0, 0, 0, 0)
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 1, 1, len(entry) + len(name), len(local), 0)
    (tmp_path / "long.zip").write_bytes(local + entry + name + end)
    tracemalloc.start()
    with pytest.raises(errors.InvalidArchive, match="is longer than"):
        unpack_model(tmp_path / "long.zip", tmp_path / "out")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 << 20


def test_a_process_holds_a_bounded_number_of_cached_models(store, tmp_path, monkeypatch) -> None:
    """Opening many models in one file leaves descriptors for other things, and those held longest are let go."""
    monkeypatch.setattr(shelf, "_MAX_HELD", 3)
    model = save_model(tmp_path / "m")
    before = len(shelf._held)
    for number in range(8):
        (model / "metadata.txt").write_text(str(number))
        palate.accept_changes(model)
        pack_model(model, tmp_path / f"{number}.palate")
        palate.inspect_model(tmp_path / f"{number}.palate")
    assert len(shelf._held) <= max(3, before)


# -- in a directory ----------------------------------------------------------------------------------------------------


def test_a_signed_directory_without_a_list_is_rechecked(store, keys, tmp_path, monkeypatch) -> None:
    """Of stock MLflow's directories too, what is loaded is what was signed, also if it is swapped in between."""
    model = Path(__file__).parent / "data" / "mlflow_models" / "xgb_booster_json" / "model"
    theirs = Path(shutil.copytree(model, tmp_path / "theirs"))
    sign_model(theirs, keys[0])
    assert palate.load_model(theirs, signed_by=keys[1]).flavor == "xgboost"
    check = _opened.signing.require_signature

    def check_then_swap(*args, **options):
        found = check(*args, **options)
        with (theirs / "model.json").open("ab") as file:
            file.write(b"\n")
        return found

    monkeypatch.setattr(_opened.signing, "require_signature", check_then_swap)
    with pytest.raises(errors.ModelChanged, match="changed while it was being loaded"):
        palate.load_model(theirs, signed_by=keys[1])


NOTES = ["!!bool x", "!!timestamp x", '!!int ""', "model_version: " + "9" * 5000, "a: " + "[[]," * 9000 + "]" * 9000]


@pytest.mark.parametrize(
    "text",
    ["!!bool x", "!!timestamp x", '!!int ""', "model_version: " + "9" * 5000, "a: " + "[[]," * 9000 + "]" * 9000],
)
def test_notes_of_strangers_do_not_stop_an_import(store, tmp_path, text) -> None:
    """A note that is no note is passed over, at once; the model is imported."""
    model = save_model(tmp_path / "folder" / "m")
    (model / "registered_model_meta").write_text(text)
    (tmp_path / "folder" / "meta.yaml").write_text(text)
    assert [version.name for version in import_models(store, tmp_path / "folder").added] == ["m"]


@pytest.mark.parametrize("end", ["@SHA256:{}", "@sha256:{}/", "@sha256:{}@", "%40sha256:{}", "\uff20sha256:{}"])
def test_what_looks_like_a_pin_is_one_or_an_error(store, tmp_path, end) -> None:
    """A pin that is mistyped is never passed over."""
    digest = palate.inspect_model(tmp_path / "first").digest
    with pytest.raises(errors.InvalidOption, match="at its end"):
        palate.load_model(f"{tmp_path / 'first'}{end.format(digest)}")


def test_an_address_that_nobody_opens_is_shown_without_its_secrets() -> None:
    """A password in an address of an unknown scheme goes into no message."""
    with pytest.raises(errors.ModelNotFound) as caught:
        locate("ftp://me:S3CRET@host/m.palate")
    assert "S3CRET" not in str(caught.value)

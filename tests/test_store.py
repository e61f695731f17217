"""The store in a folder: versions, names, URIs, deletion, signatures, and places that are no store or refuse."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from signing_keys import make_key, write_key
from sklearn.linear_model import LinearRegression

import palate
from palate.cli import main
from palate.environments import check_environment
from palate.errors import (
    InvalidOption,
    InvalidStore,
    ModelChanged,
    ModelNotFound,
    PalateError,
    PalateWarning,
    SignatureExists,
    SignatureInvalid,
    SignatureMissing,
    StoreFailed,
    UnsupportedModel,
    VersionInUse,
    VersionNotFound,
    WrongModel,
)
from palate.packing import pack_model, unpack_model
from palate.signing import sign_model
from palate.store import Store, open_store

DATA = np.array([[0.0], [1.0]])
MODEL = LinearRegression().fit(DATA, [1.0, 3.0])


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a saved model that nobody changes."""
    path = tmp_path_factory.mktemp("original") / "m"
    palate.save_model(MODEL, path, input_example=DATA)
    return path


@pytest.fixture
def model(original: Path, tmp_path: Path) -> Path:
    """Return a copy of it."""
    return Path(shutil.copytree(original, tmp_path / "m"))


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Return the store that models: means, with nothing in it."""
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PALATE_STORE", str(tmp_path / "store"))
    return open_store(by="tester")


def tree(store: Store) -> list[str]:
    """Return every path in a store, but for the files that are only there to be locked."""
    root = Path(store.uri)
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.name != ".lock")


def contents(root: Path) -> dict[str, bytes]:
    """Return the files under a directory."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


# -- versions ----------------------------------------------------------------------------------------------------------


def test_a_store_is_a_plain_folder(store, model) -> None:
    """A person sees the model's name, the number, what was added, and the model as it was; and nothing else."""
    version = store.add("iris", model, description="the first", tags={"team": "flowers"})
    store.set_alias("iris", "champion", 1)
    root = Path(store.uri)
    assert sorted(os.listdir(root)) == ["iris", "store.json"]
    assert sorted(os.listdir(root / "iris")) == ["1", "aliases"]
    assert sorted(os.listdir(root / "iris" / "1")) == ["model", "version.json"]
    assert os.listdir(root / "iris" / "aliases") == ["champion.json"]
    assert contents(root / "iris" / "1" / "model") == contents(model)
    record = json.loads((root / "iris" / "1" / "version.json").read_text())
    assert (record["format"], record["digest"], record["by"]) == (1, version.digest, "tester")
    assert (record["source"], record["description"], record["tags"]) == (str(model), "the first", {"team": "flowers"})


def test_versions_count_up(store, model) -> None:
    """Each addition has the next number, and what is said of it is found again."""
    versions = [store.add(name, model) for name in ("iris", "iris", "roses", "iris")]
    assert [(version.name, version.number) for version in versions] == [
        ("iris", 1),
        ("iris", 2),
        ("roses", 1),
        ("iris", 3),
    ]
    assert {version.digest for version in versions} == {palate.inspect_model(model).digest}
    assert [summary.name for summary in store.models()] == ["iris", "roses"]
    assert store.model("iris").latest == 3
    assert store.versions("iris") == [versions[0], versions[1], versions[3]]
    assert versions[0].files == len(contents(model)) - 1, "all but MANIFEST.json"


def test_saving_into_the_store(store) -> None:
    """A model is saved as the next version without a copy elsewhere."""
    version = store.save_model("iris", MODEL, input_example=DATA)
    assert version.number == 1
    assert palate.load_model("models:/iris/1").predict(DATA).tolist() == pytest.approx([1.0, 3.0])


def test_a_save_that_fails_leaves_the_store_as_it_was(store, model) -> None:
    """Nothing but the mark of the store is there afterwards, not even the folder of the model's name."""
    with pytest.raises(UnsupportedModel):
        store.save_model("iris", object())
    assert tree(store) == ["store.json"]
    (model / "MLmodel").write_text("flavors: {other: {}}\n")
    with pytest.raises(ModelChanged):
        store.add("iris", model)
    with pytest.raises(ModelNotFound):
        store.add("iris", model / "nothing")
    assert tree(store) == ["store.json"]


def test_whatever_is_a_model_can_be_added(store, model, tmp_path) -> None:
    """A directory, one file, another version, and what MLflow wrote, which is given a manifest."""
    pack_model(model, tmp_path / "m.palate")
    shutil.copytree(model, tmp_path / "bare")
    (tmp_path / "bare" / "MANIFEST.json").unlink()
    sources = [model, tmp_path / "m.palate", model.as_uri(), "models:/iris/1", tmp_path / "bare"]
    assert len({store.add("iris", source).digest for source in sources}) == 1
    assert not (tmp_path / "bare" / "MANIFEST.json").exists()
    assert contents(Path(store.uri) / "iris" / "5" / "model") == contents(model)


def test_a_source_that_is_another_model_is_not_added(store, model) -> None:
    """What follows @sha256: is held against what is copied; nothing is left of the attempt."""
    digest = palate.inspect_model(model).digest
    with pytest.raises(WrongModel):
        store.add("iris", f"{model}@sha256:{'0' * 64}")
    assert tree(store) == ["store.json"]
    assert store.add("iris", f"{model}@sha256:{digest}").digest == digest


def test_a_path_that_is_no_text(store, model, tmp_path) -> None:
    """A source with bytes in its path that are no UTF-8 is added, and its record can be read."""
    strange = os.fsdecode(os.fsencode(tmp_path) + b"/\xff")
    shutil.copytree(model, strange)
    assert store.add("iris", strange, description="\ud800").source == strange
    assert store.version("iris/1").description == "\ud800"


# -- URIs --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def two(store, model) -> dict[str, int]:
    """Return URIs of a store with two versions, and which each of them names."""
    palate.save_model(LinearRegression().fit(DATA, [1.0, 5.0]), model.with_name("n"), input_example=DATA)
    first, _ = store.add("iris", model), store.add("iris", model.with_name("n"))
    store.set_alias("iris", "champion", 1)
    return {
        "models:/iris/1": 1,
        "models:/iris@champion": 1,
        "models:/iris/latest": 2,
        f"models:/iris@sha256:{first.digest}": 1,
        f"models:/iris/1@sha256:{first.digest}": 1,
        f"models:/iris@champion@sha256:{first.digest}": 1,
    }


def test_uris_open_versions_in_python(store, two, tmp_path) -> None:
    """By number, alias, latest or digest: loaded, inspected, verified, compared, packed, unpacked, checked."""
    for at, (uri, number) in enumerate(two.items()):
        inside = Path(store.uri) / "iris" / str(number) / "model"
        digest = store.version(f"iris/{number}").digest
        assert palate.load_model(uri).predict(DATA)[1] == pytest.approx({1: 3.0, 2: 5.0}[number])
        assert palate.load_native(uri).coef_[0] == pytest.approx({1: 2.0, 2: 4.0}[number])
        assert palate.inspect_model(uri).digest == digest
        assert palate.verify_model(uri).ok
        assert palate.diff_models(uri, inside).identical
        assert pack_model(uri, tmp_path / f"{at}.palate").digest == digest
        assert unpack_model(uri, tmp_path / f"{at}").digest == digest
        assert contents(tmp_path / f"{at}") == contents(inside)
        assert check_environment(uri).ok
        assert store.version(uri).number == number


def test_uris_open_versions_in_commands(two, tmp_path) -> None:
    """The commands take the same URIs."""
    (tmp_path / "data.json").write_text(json.dumps(DATA.tolist()))
    for at, (uri, number) in enumerate(two.items()):
        run = CliRunner().invoke(main, ["predict", uri, str(tmp_path / "data.json")])
        assert run.exit_code == 0, run.output
        assert str({1: 3, 2: 5}[number]) in run.stdout
        for command in (["inspect"], ["verify"], ["env", "check"]):
            assert CliRunner().invoke(main, [*command, uri]).exit_code == 0, command
        for command in (
            ["diff", uri, uri],
            ["pack", uri, tmp_path / f"{at}.palate"],
            ["unpack", uri, tmp_path / f"{at}"],
        ):
            assert CliRunner().invoke(main, list(map(str, command))).exit_code == 0, command


@pytest.mark.parametrize(
    ("uri", "error", "told"),
    [
        ("models:/iris", InvalidOption, "say which version"),
        ("models:/iris/3", VersionNotFound, "there is 1 to 2"),
        ("models:/nope/1", VersionNotFound, "no such model"),
        ("models:/nope/latest", VersionNotFound, "no such model"),
        ("models:/iris@nobody", VersionNotFound, "there is @champion"),
        (f"models:/iris@sha256:{'0' * 64}", VersionNotFound, "no version has that digest"),
        (f"models:/iris/1@sha256:{'0' * 64}", WrongModel, "is not the model that was asked for"),
        ("models:/iris@champion/1", InvalidOption, "say which version"),
        ("models:/iris/1/2", InvalidOption, "version"),
        ("models:iris/1", ModelNotFound, "nothing is there"),
        ("models://iris/1", InvalidOption, "name"),
        ("models:/%69ris/1", InvalidOption, "name"),
    ],
)
def test_uris_that_lead_nowhere(two, uri, error, told) -> None:
    """Each says what is wrong with it, and what there is."""
    with pytest.raises(error, match=re.escape(told)):
        palate.load_model(uri)


@pytest.mark.parametrize(
    "version", ["01", "1e3", "-1", "+1", " 1", "1 ", "", "0", str(2**70), "../1", "1.0", "\u0661", "1\n"]
)
def test_what_is_no_version(two, store, version) -> None:
    """M21: only whole numbers from 1 on, written in one way, are versions."""
    with pytest.raises(InvalidOption):
        palate.inspect_model(f"models:/iris/{version}")
    with pytest.raises(InvalidOption):
        store.set_alias("iris", "x", version)
    for other in (True, 1.0, None):
        with pytest.raises(InvalidOption):
            store.set_alias("iris", "x", other)


NAMES = [
    *("a/../b", "..", ".", "", "con", "NUL.txt", "a" * 300, "e\u0301", "\u00e9", "a\u202eb", "a\0b", "-a", ".a", "a."),
    *("a..b", "a b", "a\n", "a:b", "a@b", "a\\b", "~", "store.json", "Store.JSON", 3, None, b"a"),
]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_name(store, model, name) -> None:
    """M20: what some file system, URL or terminal would take for something else is refused, and nothing is written."""
    with pytest.raises(InvalidOption):
        store.add(name, model)
    for ask in (store.model, store.versions, lambda name: store.history(name, "champion")):
        with pytest.raises(InvalidOption):
            ask(name)
    assert not Path(store.uri).exists()


@pytest.mark.parametrize("name", ["a", "0", "_", "A.b-c_d", "1", "latest", "aliases", "x" * 128, "con-a"])
def test_what_is_a_name(store, model, name) -> None:
    """Everything else of letters, digits and marks is one, and stands in a URI as it is."""
    assert store.add(name, model).uri == f"models:/{name}/1"
    assert palate.inspect_model(f"models:/{name}/1").digest is not None


@pytest.mark.parametrize(
    "ask",
    [
        lambda store, model: store.add("a", model, description=3),
        lambda store, model: store.add("a", model, tags=["x"]),
        lambda store, model: store.add("a", model, tags={"x": 1}),
        lambda store, model: store.add("a", model, tags={1: "x"}),
        lambda store, model: store.version(3),
        lambda store, model: store.annotate("a", tags=["x"]),
        lambda store, model: store.annotate("a", description=b"x"),
        lambda store, model: store.delete("a/1", reason=3),
        lambda store, model: store.set_alias("a", "b", 1, reason=3),
        lambda store, model: store.set_alias("a", "b", 1, expected="x"),
        lambda store, model: store.alias_at("a", "b", "2026-01-01"),
        lambda store, model: Store(store._place, by=3),
        lambda store, model: open_store(3),
        lambda store, model: open_store(""),
        lambda store, model: open_store("a\0b"),
        lambda store, model: open_store("~nobody-of-that-name/x"),
        lambda store, model: open_store("gopher://x"),
    ],
)
def test_arguments_of_other_types(store, model, ask) -> None:
    """They are refused as such, and never written."""
    store.add("a", model)
    before = tree(store)
    with pytest.raises(InvalidOption):
        ask(store, model)
    assert tree(store) == before


# -- deleting ----------------------------------------------------------------------------------------------------------


def test_a_deleted_version_stays_known(store, model) -> None:
    """Its files go, its record and number stay, and whoever asks for it is told when, by whom and why it went."""
    for _ in range(3):
        store.add("iris", model)
    gone = store.delete("iris/3", reason="a mistake")
    assert gone.deleted is not None
    assert (gone.deleted.by, gone.deleted.reason) == ("tester", "a mistake")
    assert not (Path(store.uri) / "iris" / "3" / "model").exists()
    assert [version.number for version in store.versions("iris")] == [1, 2]
    assert [version.number for version in store.versions("iris", deleted=True)] == [1, 2, 3]
    assert palate.inspect_model("models:/iris/latest").version == "2"
    for ask in (palate.load_model, palate.inspect_model):
        with pytest.raises(VersionNotFound, match=r"deleted on .* by tester \(a mistake\)"):
            ask("models:/iris/3")
    for again in (lambda: store.delete("iris/3"), lambda: store.set_alias("iris", "champion", 3)):
        with pytest.raises(VersionNotFound, match="deleted"):
            again()
    assert store.add("iris", model).number == 4


def test_what_an_alias_leads_to_is_not_deleted(store, model) -> None:
    """Nor is what several lead to; once they lead elsewhere or nowhere, it is."""
    for _ in range(2):
        store.add("iris", model)
    store.set_alias("iris", "champion", 1)
    store.set_alias("iris", "second", 1)
    for reference in ("iris/1", "iris@champion", "models:/iris/1"):
        with pytest.raises(VersionInUse, match="champion, second lead to it"):
            store.delete(reference)
    store.set_alias("iris", "champion", 2)
    store.remove_alias("iris", "second")
    store.delete("iris/1")
    store.remove_alias("iris", "champion")
    store.delete("iris/2")
    with pytest.raises(VersionNotFound, match="has no versions"):
        palate.inspect_model("models:/iris/latest")
    assert store.model("iris").versions == 0


def test_collecting_finishes_a_deletion(store, model) -> None:
    """What somebody was killed at, after saying that it is deleted, is seen by nobody, and removed."""
    store.add("iris", model)
    store.delete("iris/1")
    left = Path(store.uri) / "iris" / "1" / "model"
    shutil.copytree(model, left)
    with pytest.raises(VersionNotFound, match="deleted"):
        palate.inspect_model("models:/iris/1")
    assert store.collect() == ["the files of iris/1"]
    assert not left.exists()
    assert store.collect() == []


def test_what_a_killed_adder_left_is_invisible(store, model) -> None:
    """M25: its stage, and the empty folder of a name, are no model; collect removes the stage when it is old."""
    store.add("iris", model)
    left = Path(store.uri) / "roses" / f".version.palate-stage-1-{'0' * 16}" / "version"
    shutil.copytree(model, left / "model")
    assert [summary.name for summary in store.models()] == ["iris"]
    with pytest.raises(VersionNotFound):
        store.versions("roses")
    with pytest.raises(VersionNotFound):
        store.model("roses")
    assert store.collect() == [], "its maker may still be at it"
    os.utime(left.parent, (0, 0))
    assert store.collect() == [str(left.parent)]
    assert store.add("roses", model).number == 1


# -- places ------------------------------------------------------------------------------------------------------------


def test_the_store_is_where_the_environment_says(tmp_path, monkeypatch) -> None:
    """By the variable, else in the user's data, which XDG_DATA_HOME may name."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PALATE_STORE", str(tmp_path / "mine"))
    assert open_store().uri == str(tmp_path / "mine")
    monkeypatch.delenv("PALATE_STORE")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert open_store().uri == str(tmp_path / ".local" / "share" / "palate" / "store")
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert open_store().uri == str(tmp_path / ".local" / "share" / "palate" / "store")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert open_store().uri == str(tmp_path / "data" / "palate" / "store")
    assert open_store("~/other").uri == str(tmp_path / "other")


ASKS = {
    "add": lambda store, model: store.add("iris", model),
    "save": lambda store, model: store.save_model("iris", MODEL),
    "models": lambda store, model: store.models(),
    "versions": lambda store, model: store.versions("iris"),
    "version": lambda store, model: store.version("iris/1"),
    "open": lambda store, model: palate.inspect_model("models:/iris/1"),
    "alias": lambda store, model: store.set_alias("iris", "champion", 1),
    "unalias": lambda store, model: store.remove_alias("iris", "champion"),
    "history": lambda store, model: store.history("iris", "champion"),
    "annotate": lambda store, model: store.annotate("iris", description="x"),
    "delete": lambda store, model: store.delete("iris/1"),
    "demand": lambda store, model: store.demand_signatures([]),
    "collect": lambda store, model: store.collect(),
}


@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
def test_a_folder_that_is_no_store(store, model, ask) -> None:
    """Where other files are, nothing is read or written, and the error names them."""
    folder = Path(store.uri)
    (folder / "iris" / "1").mkdir(parents=True)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(InvalidStore, match=r"holds iris, notes\.txt, and no store\.json"):
        ask(store, model)
    assert tree(store) == ["iris", "iris/1", "notes.txt"]


@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
def test_a_store_of_a_newer_format(store, model, ask) -> None:
    """It is neither read nor written, and the error says what to do."""
    store.add("iris", model)
    store.set_alias("iris", "champion", 1)
    mark = Path(store.uri) / "store.json"
    mark.write_text('{"format": 3, "how": "otherwise"}')
    before = tree(store)
    with pytest.raises(InvalidStore, match=r"store\.json' .*from a newer Palate. Hint: upgrade palate"):
        ask(open_store(), model)
    assert tree(store) == before
    assert mark.read_text() == '{"format": 3, "how": "otherwise"}'


@pytest.mark.parametrize("ask", ["add", "save", "demand"])
def test_a_file_is_no_store(store, model, ask) -> None:
    """Where a file stands, InvalidStore names it."""
    Path(store.uri).write_text("mine")
    with pytest.raises(InvalidStore, match=re.escape(store.uri)):
        ASKS[ask](store, model)
    assert Path(store.uri).read_text() == "mine"


@contextlib.contextmanager
def mounted(*arguments: str | Path) -> Iterator[None]:
    """Mount something while the block runs."""
    if subprocess.run(["mount", *map(str, arguments)], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(arguments[-1])], check=True)


def test_a_read_only_store(store, model) -> None:
    """It is read as ever; every change is StoreFailed."""
    store.add("iris", model)
    store.set_alias("iris", "champion", 1)
    with mounted("--bind", "-o", "ro", store.uri, store.uri):
        assert palate.load_model("models:/iris@champion").predict(DATA) is not None
        assert store.versions("iris")[0].aliases == ("champion",)
        for name in ("add", "save", "alias", "unalias", "annotate", "demand"):
            with pytest.raises(StoreFailed, match="Read-only file system"):
                ASKS[name](store, model)
        assert store.collect() == []


def test_a_full_disk(store, model) -> None:
    """What does not fit is StoreFailed and leaves nothing; what was there before is whole."""
    (model / "large").write_bytes(os.urandom(300_000))
    palate.accept_changes(model)
    place = Path(store.uri)
    place.mkdir()
    with mounted("-t", "tmpfs", "-o", "size=1m,mode=755", "tmpfs", place):
        for number in range(1, 4):
            assert store.add("iris", model).number == number
        before = tree(store)
        with pytest.raises(StoreFailed, match="No space left"):
            store.add("iris", model)
        with pytest.raises(PalateError, match="No space left"):
            store.save_model("iris", LinearRegression().fit(np.zeros((2, 20_000)), [0, 1]))
        assert tree(store) == before
        for number in range(1, 4):
            assert palate.verify_model(f"models:/iris/{number}").ok
        store.delete("iris/1")
        assert store.add("iris", model).number == 4


def test_a_store_that_anybody_may_change(store, model) -> None:
    """M24: opening it warns."""
    store.add("iris", model)
    os.chmod(store.uri, 0o777)
    with pytest.warns(PalateWarning, match="anybody on this machine may change the store"):
        open_store()
    os.chmod(store.uri, 0o755)
    open_store()


@pytest.mark.parametrize("kind", ["link", "FIFO", "socket", "file", "missing"])
def test_files_that_are_not_there(store, model, kind, monkeypatch) -> None:
    """A version whose model is no directory has no files, and says so."""
    store.add("iris", model)
    place = Path(store.uri) / "iris" / "1" / "model"
    shutil.rmtree(place)
    if kind == "link":
        place.symlink_to(model)
    elif kind == "FIFO":
        os.mkfifo(place)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            monkeypatch.chdir(place.parent)  # the path of a socket may not be long
            server.bind("model")
    elif kind == "file":
        place.write_text("x")
    with pytest.raises(VersionNotFound, match="its files are gone"):
        palate.load_model("models:/iris/1")


def test_files_that_were_changed_in_the_store(store, model) -> None:
    """Neither a changed file nor another model in the place is opened, copied or exported."""
    store.add("iris", model)
    inside = Path(store.uri) / "iris" / "1" / "model"
    (inside / "MLmodel").write_text((inside / "MLmodel").read_text() + "metadata: {}\n")
    asks = [
        lambda: palate.load_model("models:/iris/1"),
        lambda: palate.inspect_model("models:/iris/1"),
        lambda: store.add("iris", "models:/iris/1"),
        lambda: unpack_model("models:/iris/1", model.with_name("out")),
        lambda: pack_model("models:/iris/1", model.with_name("out.palate")),
    ]
    for error in (ModelChanged, WrongModel):  # which is one, too: with a manifest of its own it is another model
        for ask in asks:
            with pytest.raises(error):
                ask()
        palate.accept_changes(inside)
    assert not model.with_name("out").exists()
    assert not model.with_name("out.palate").exists()
    assert [version.number for version in store.versions("iris")] == [1]


# -- signatures --------------------------------------------------------------------------------------------------------


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """Return a folder with keys: ours, a stranger's."""
    for name in ("ours", "stranger"):
        write_key(make_key(), tmp_path, name)
    return tmp_path


def test_a_store_that_demands_signatures(store, model, keys) -> None:
    """Nothing unsigned, or signed by others, gets in, and nothing of the attempts stays."""
    store.demand_signatures([keys / "ours.pub"])
    with pytest.raises(SignatureMissing):
        store.add("iris", model)
    with pytest.raises(SignatureMissing):
        store.save_model("iris", MODEL)
    sign_model(model, keys / "stranger.pem")
    with pytest.raises(SignatureInvalid, match="by another key"):
        store.add("iris", model)
    assert tree(store) == ["store.json"]
    sign_model(model, keys / "ours.pem", overwrite=True)
    store.add("iris", model)
    assert palate.load_model("models:/iris/1").predict(DATA) is not None


def test_what_came_before_the_demand_is_not_opened_until_it_is_signed(store, model, keys, tmp_path) -> None:
    """A version is signed in the store, its files stay as they are, and what is exported has the signature."""
    store.add("iris", model)
    store.demand_signatures([keys / "ours.pub"])
    with pytest.raises(SignatureMissing):
        palate.load_model("models:/iris/1")
    store.sign("iris/1", keys / "ours.pem")
    assert palate.load_model("models:/iris/1").predict(DATA) is not None
    assert contents(Path(store.uri) / "iris" / "1" / "model") == contents(model)
    with pytest.raises(SignatureExists):
        store.sign("iris/1", keys / "ours.pem")
    unpack_model("models:/iris/1", tmp_path / "out")
    pack_model("models:/iris/1", tmp_path / "out.palate")
    for exported in (tmp_path / "out", tmp_path / "out.palate"):
        assert palate.verify_model(exported, keys=[keys / "ours.pub"]).ok
        store.add("iris", exported)
    store.add("iris", "models:/iris/1")
    assert palate.inspect_model("models:/iris/latest").version == "4"
    store.demand_signatures([])
    assert store.save_model("iris", MODEL).number == 5


def test_a_version_that_brought_its_signature_is_signed(store, model, keys) -> None:
    """Signing it again is refused, as it would be beside the model itself, unless the signature shall be replaced."""
    sign_model(model, keys / "ours.pem")
    store.add("iris", model)
    store.demand_signatures([keys / "stranger.pub"])
    with pytest.raises(SignatureExists, match="overwrite=True"):
        store.sign("iris/1", keys / "stranger.pem")
    with pytest.raises(SignatureInvalid):
        palate.inspect_model("models:/iris/1")
    for _ in range(2):
        store.sign("iris/1", keys / "stranger.pem", overwrite=True)
        assert palate.inspect_model("models:/iris/1").version == "1"


def test_changed_files_are_not_opened_for_their_signature(store, model, keys) -> None:
    """Whoever changes a signed version, with a manifest to match, has another model, without a signature."""
    sign_model(model, keys / "ours.pem")
    store.demand_signatures([keys / "ours.pub"])
    store.add("iris", model)
    inside = Path(store.uri) / "iris" / "1"
    (inside / "model" / "requirements.txt").write_text("evil\n")
    with pytest.raises(ModelChanged):
        palate.load_model("models:/iris/1")
    palate.accept_changes(inside / "model")
    with pytest.raises(WrongModel):
        palate.load_model("models:/iris/1")
    record = json.loads((inside / "version.json").read_text())
    record["digest"] = palate.inspect_model(inside / "model").digest
    (inside / "version.json").write_text(json.dumps(record))
    with pytest.raises(SignatureInvalid):
        palate.load_model("models:/iris/1")
    with pytest.raises(SignatureInvalid):
        store.add("iris", "models:/iris/1")

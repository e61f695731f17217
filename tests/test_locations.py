"""Where a URI leads: to a directory, whatever it names; and what is said where it leads nowhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from sklearn.linear_model import LinearRegression

import palate
from palate.errors import InvalidArchive, InvalidOption, ModelNotFound, UnsafePath, WrongModel
from palate.locations import locate
from palate.packing import pack_model, unpack_model


@pytest.fixture
def model(tmp_path) -> Path:
    """Return a model directory beside a file that is none of its business."""
    (tmp_path / "secret").write_text("secret")
    root = tmp_path / "model"
    (root / "data").mkdir(parents=True)
    (root / "MLmodel").write_text("flavors: {}\n")
    return root


@pytest.fixture
def saved(tmp_path, monkeypatch) -> Path:
    """Return a model that can be opened, with a cache of its own."""
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path / "cache"))
    palate.save_model(LinearRegression().fit([[0.0], [1.0]], [0, 1]), tmp_path / "m")
    return tmp_path / "m"


def test_paths_and_file_uris_mean_the_directory(model, monkeypatch) -> None:
    """Text, a Path, a relative path and a file: URI all lead to the same directory."""
    spaced = model.with_name("a b")
    model.rename(spaced)
    monkeypatch.chdir(spaced.parent)
    for uri in (str(spaced), spaced, "a b", Path("a b"), spaced.as_uri(), f"file://localhost{spaced}", f"{spaced}/"):
        assert locate(uri).path == spaced.resolve()


def test_a_link_to_a_model_is_followed_once(model) -> None:
    """A user's link such as "latest" is resolved, so that setting it anew does not mix two models."""
    link = model.with_name("latest")
    link.symlink_to(model)
    assert locate(link).path == model.resolve()


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("nowhere", "nothing is there"),
        ("", "the path is empty"),
        ("model/MLmodel/x", "the path cannot be followed"),
        ("model/data", "the directory holds no MLmodel file"),
        ("loop", "the path cannot be followed"),
        ("a\0b", "the path cannot be followed"),
        ("x" * 300, "the path cannot be followed"),
        ("gopher://example.org/m", "'gopher:' is not opened here"),
        ("file://host/model", "a file:// URI holds just a local, absolute path"),
        ("file:///m?x=1", "a file:// URI holds just a local, absolute path"),
        ("file:///%ff", "it is not a URI"),
    ],
)
def test_the_reason_is_precise_when_there_is_no_model(model, monkeypatch, uri, reason) -> None:
    """Each way of not being a model directory has a reason of its own."""
    monkeypatch.chdir(model.parent)
    Path("loop").symlink_to("loop")
    with pytest.raises(ModelNotFound) as caught:
        locate(uri)
    assert reason in str(caught.value)


def test_other_types_are_refused() -> None:
    """Bytes and other objects are refused as an argument that does not work."""
    for uri in (b"model", 3, None):
        with pytest.raises(InvalidOption, match="give a path or a URI as text"):
            locate(uri)


def test_a_link_as_mlmodel_is_refused(model) -> None:
    """The MLmodel file itself must be an ordinary file of the directory."""
    (model / "MLmodel").unlink()
    (model / "MLmodel").symlink_to("../secret")
    with pytest.raises(UnsafePath, match="symbolic link"):
        locate(model)


@pytest.mark.parametrize("name", ["secret", "model/MLmodel"])
def test_a_file_that_is_no_archive_is_said_to_be_none(model, name) -> None:
    """A file of another kind is refused with the two things that a model may be."""
    with pytest.raises(InvalidArchive, match="give the directory that holds the MLmodel file, or a file that"):
        locate(model.parent / name)


# -- pins --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["directory", "archive", "file URI"])
def test_a_pinned_model_is_opened_if_it_is_that_one(saved, kind) -> None:
    """``@sha256:<digest>`` behind a path or URI is held against the identity, whatever the model is in."""
    digest, place = palate.inspect_model(saved).digest, str(saved)
    if kind == "archive":
        place = str(pack_model(saved, saved.with_suffix(".palate")).path)
    if kind == "file URI":
        place = saved.as_uri()
    assert palate.load_model(f"{place}@sha256:{digest}").metadata.flavors
    with pytest.raises(WrongModel, match=str(digest)):
        palate.load_model(f"{place}@sha256:{'0' * 64}")


def test_unpacking_keeps_to_a_pin(saved, tmp_path) -> None:
    """What is unpacked is the model that was asked for, or nothing."""
    packed = pack_model(saved, tmp_path / "m.palate")
    for uri in (f"{packed.path}@sha256:{'0' * 64}", f"{saved}@sha256:{'0' * 64}"):
        with pytest.raises(WrongModel):
            unpack_model(uri, tmp_path / "out")
        assert not (tmp_path / "out").exists()
    unpack_model(f"{packed.path}@sha256:{packed.digest}", tmp_path / "out")


def test_a_model_without_identity_is_no_pinned_one(saved) -> None:
    """A directory without MANIFEST.json, as MLflow writes them, is never the one of a digest."""
    digest = palate.inspect_model(saved).digest
    (saved / "MANIFEST.json").unlink()
    with pytest.raises(WrongModel, match="it has no MANIFEST"):
        palate.inspect_model(f"{saved}@sha256:{digest}")


@pytest.mark.parametrize("pin", ["", "abc", "A" * 64, "0" * 63, "0" * 65])
def test_a_pin_that_is_no_digest_is_refused(saved, pin) -> None:
    """A pin that was cut or mistyped pins nothing, and is not passed over."""
    with pytest.raises(InvalidOption, match="the 64 hex digits"):
        locate(f"{saved}@sha256:{pin}")


# -- schemes -----------------------------------------------------------------------------------------------------------

PLUGIN = """
from pathlib import Path
from palate.locations import Location
from palate.errors import ModelNotFound

def resolve(uri, digest):
    body = uri.partition(":/")[2]
    if body == "refused":
        raise ModelNotFound(uri, reason="the plugin does not want to")
    if body == "broken":
        raise RuntimeError("oops")
    if body == "nothing":
        return None
    return Location(uri=uri, path=Path("/" + body), name="theirs", version="7")
"""

SCRIPT = """
import sys
from palate.locations import locate
try:
    found = locate(sys.argv[1])
    print(found.path, found.name, found.version, found.digest)
except Exception as exc:
    print(type(exc).__name__, exc)
"""


@pytest.fixture
def ask(tmp_path):
    """Return what asks a process in which a stranger's distribution brings schemes."""
    site = tmp_path / "site"
    info = site / "stranger-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "stranger.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    points = "[palate.schemes]\ntheirs = stranger:resolve\nmissing = not_there:resolve\nmodels = stranger:resolve\n"
    (info / "entry_points.txt").write_text(points)

    def asking(uri: str) -> str:
        command = [sys.executable, "-c", f"import sys; sys.path.append({str(site)!r})\n{SCRIPT}", uri]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    return asking


def test_a_strangers_scheme_is_asked(ask, model) -> None:
    """An entry point in the group palate.schemes opens URIs of its scheme, in any case of letters."""
    assert ask(f"theirs:{model}") == f"{model} theirs 7 None"
    assert ask(f"THEIRS:{model}") == f"{model} theirs 7 None"


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("theirs:/refused", "the plugin does not want to"),
        ("theirs:/broken", "the plugin for 'theirs:' (stranger:resolve) failed: RuntimeError: oops"),
        ("theirs:/nothing", "(stranger:resolve) returned no Location"),
        ("theirs:/tmp/nowhere/at/all", "the directory holds no MLmodel file"),
        ("missing:/x", "the plugin for 'missing:' (not_there:resolve) failed: ModuleNotFoundError"),
        ("models:/iris/1", "'models:' is claimed by palate and stranger"),
        ("other:/x", "schemes that are known here: file:, http:, https:, missing:"),
    ],
)
def test_a_scheme_that_leads_nowhere_says_why(ask, uri, told) -> None:
    """Whatever a stranger's plugin does, one error names it; two claims are never settled silently."""
    answer = ask(uri)
    assert answer.startswith("ModelNotFound")
    assert told in answer

"""Wheel files that distributions were installed from come with the model, if they are still the same."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from installed_site import Site, write_wheel

import palate
from palate._environment.capture import Evidence, capture_environment
from palate._environment.dependencies import find_distribution
from palate._environment.installed import describe_distribution
from palate._environment.local_wheels import LocalWheel, find_wheel

FILES = {"localpkg/__init__.py": "answer = 42\n"}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """An empty folder of installed distributions."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return Site(folder)


def origin_of(wheel: Path, *, hashed: bool = True) -> dict[str, object]:
    """Return what pip records of a wheel that it installed from a path; uv records no hash."""
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return {"url": wheel.as_uri(), "archive_info": {"hashes": {"sha256": digest}} if hashed else {}}


def look(name: str = "localpkg") -> LocalWheel | str:
    """Look for the wheel of an installed distribution."""
    distribution = find_distribution(name)
    assert distribution is not None
    return find_wheel(describe_distribution(distribution), distribution)


@pytest.mark.parametrize("hashed", [True, False])
def test_wheel_is_found(site: Site, tmp_path: Path, hashed: bool) -> None:
    """By the recorded hash, or without one by the files that it installed."""
    wheel = write_wheel(tmp_path, "localpkg", "1.0", FILES)
    site.install("localpkg", "1.0", FILES, origin=origin_of(wheel, hashed=hashed))
    found = look()
    assert isinstance(found, LocalWheel)
    assert (found.name, found.path, found.place) == ("localpkg", wheel, f"wheels/{wheel.name}")
    assert found.sha256 == hashlib.sha256(wheel.read_bytes()).hexdigest()


def test_older_record_of_the_hash(site: Site, tmp_path: Path) -> None:
    """Old installers wrote the hash into one text."""
    wheel = write_wheel(tmp_path, "localpkg", "1.0", FILES)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    site.install("localpkg", "1.0", FILES, origin={"url": wheel.as_uri(), "archive_info": {"hash": f"sha256={digest}"}})
    assert isinstance(look(), LocalWheel)


@pytest.mark.parametrize("hashed", [True, False])
def test_wheel_that_was_built_anew(site: Site, tmp_path: Path, hashed: bool) -> None:
    """A file of the same name with something else in it is not taken."""
    wheel = write_wheel(tmp_path, "localpkg", "1.0", FILES)
    site.install("localpkg", "1.0", FILES, origin=origin_of(wheel, hashed=hashed))
    write_wheel(tmp_path, "localpkg", "1.0", {"localpkg/__init__.py": "answer = 43\n"})
    assert look() == "which has changed since"


def test_wheel_that_is_gone(site: Site, tmp_path: Path) -> None:
    """A file that was removed is told as such, and so is a folder in its place."""
    wheel = write_wheel(tmp_path, "localpkg", "1.0", FILES)
    site.install("localpkg", "1.0", FILES, origin=origin_of(wheel))
    wheel.unlink()
    assert look() == "which is gone"
    wheel.mkdir()
    assert look() == "which is gone"


@pytest.mark.parametrize("content", [b"", b"PK", b"x" * 1000])
def test_file_that_is_no_wheel(site: Site, tmp_path: Path, content: bytes) -> None:
    """Without a hash the file has to be a wheel."""
    wheel = write_wheel(tmp_path, "localpkg", "1.0", FILES)
    site.install("localpkg", "1.0", FILES, origin=origin_of(wheel, hashed=False))
    wheel.write_bytes(content)
    assert look() == "which cannot be read (it is no wheel)"


@pytest.mark.parametrize(
    "name", ["localpkg-2.0-py3-none-any.whl", "other-1.0-py3-none-any.whl", "localpkg.whl", "-r.whl"]
)
def test_file_of_another_name(site: Site, tmp_path: Path, name: str) -> None:
    """The file's name has to be the one of this version: installers go by it."""
    wheel = write_wheel(tmp_path, "localpkg", "1.0", FILES).rename(tmp_path / name)
    site.install("localpkg", "1.0", FILES, origin=origin_of(wheel))
    assert look() == "whose name is that of another package or version"


# -- in an environment, and in a model -------------------------------------------------------------------------------


def test_wheels_of_dependencies_are_carried(site: Site, tmp_path: Path) -> None:
    """What a requirement brings along may be a local wheel too; it is named, or an index would be asked for it."""
    wheel = write_wheel(tmp_path, "localpkg", "1.0", FILES)
    site.install("localpkg", "1.0", FILES, origin=origin_of(wheel))
    site.install("toppkg", "2.0", {"toppkg.py": ""}, requires=["localpkg>=1"])
    found = capture_environment(Evidence(modules=frozenset(["toppkg"])))
    assert found.requirements == ("localpkg==1.0", "toppkg==2.0")
    assert [w.path for w in found.wheels] == [wheel]
    assert (found.unpublished, found.warnings) == ((), ())


@pytest.mark.parametrize(("line", "carried"), [("localpkg", 1), ("localpkg>=1", 1), ("localpkg==2", 0), ("toppkg", 0)])
def test_declared_requirements_carry_what_they_name(site: Site, tmp_path: Path, line: str, carried: int) -> None:
    """A caller's own list brings the wheel of a package that it names in this version, and gets no lines added."""
    wheel = write_wheel(tmp_path, "localpkg", "1.0", FILES)
    site.install("localpkg", "1.0", FILES, origin=origin_of(wheel))
    site.install("toppkg", "2.0", {"toppkg.py": ""}, requires=["localpkg>=1"])
    found = capture_environment(Evidence(modules=frozenset(["toppkg"])), requirements=[line])
    assert (found.requirements, len(found.wheels)) == ((line,), carried)


def save(tmp_path: Path) -> palate.ModelInfo:
    """Save a model whose code imports the local package."""
    file = tmp_path / "model.py"
    file.write_text("import palate, localpkg\npalate.set_model(lambda model_input: model_input)\n")
    return palate.save_model(str(file), tmp_path / "m")


def test_saved_model_holds_the_wheel(site: Site, tmp_path: Path) -> None:
    """The copy is sealed with the model, named in MLmodel, and requirements.txt stays plain for MLflow."""
    wheel = write_wheel(tmp_path, "localpkg", "1.0", FILES)
    site.install("localpkg", "1.0", FILES, origin=origin_of(wheel))
    info = save(tmp_path)
    place = f"wheels/{wheel.name}"
    assert (tmp_path / "m" / place).read_bytes() == wheel.read_bytes()
    assert "localpkg==1.0" in info.requirements
    assert next(f.purpose for f in info.files if f.name == place).startswith("a package")
    manifest = json.loads((tmp_path / "m" / "MANIFEST.json").read_text())
    assert place in [entry["name"] for entry in manifest["files"]]
    metadata = palate.load_model(tmp_path / "m", trust=True).metadata
    assert metadata.palate["environment"]["wheels"] == {"localpkg": place}


def test_missing_wheel_is_warned_of(site: Site, tmp_path: Path) -> None:
    """The model is saved, and the caller knows what another machine will not find."""
    wheel = write_wheel(tmp_path, "localpkg", "1.0", FILES)
    site.install("localpkg", "1.0", FILES, origin=origin_of(wheel))
    wheel.unlink()
    with pytest.warns(palate.errors.PalateWarning, match=r"localpkg 1\.0 .* wheel file which is gone"):
        info = save(tmp_path)
    assert any("localpkg" in note for note in info.notes)
    assert not (tmp_path / "m" / "wheels").exists()


def test_editable_installs_are_warned_of_once(site: Site, tmp_path: Path) -> None:
    """One warning names every package that is not reproducible, and Palate itself is none of them."""
    for name in ("localpkg", "other"):
        origin = {"url": (tmp_path / name).as_uri(), "dir_info": {"editable": True}}
        site.install(name, "1.0", {f"{name}.py": ""}, origin=origin, requires=["other"])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        info = save(tmp_path)
    [text] = [str(w.message) for w in caught if issubclass(w.category, palate.errors.PalateWarning)]
    assert "not reproducible: localpkg, other were installed in place" in text
    assert {"localpkg==1.0", "other==1.0"} <= set(info.requirements)
    assert all(str(tmp_path) not in line for line in (text, *info.requirements, *info.notes))


@pytest.mark.slow
def test_what_pip_records_is_understood(tmp_path: Path) -> None:
    """A wheel that the real pip has installed from its path is found again."""
    wheel = write_wheel(tmp_path, "localpkg", "1.0", FILES)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", tmp_path / "t"]
    subprocess.run([*command, wheel], check=True, capture_output=True)
    code = (
        "from palate._environment.capture import Evidence, capture_environment as c\n"
        "print(*(w.path for w in c(Evidence(modules=frozenset(['localpkg']))).wheels))"
    )
    environment = {"PYTHONPATH": str(tmp_path / "t")}
    output = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment
    ).stdout
    assert output.strip() == str(wheel)

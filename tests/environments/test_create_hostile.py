"""palate.environments.create_environment: what hostile directories and packages ask for reaches no installer."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from environment_models import index_of_nothing, rewrite
from installed_site import write_wheel
from sklearn.linear_model import LinearRegression
from wheelhouse import use_only

import palate
from palate.environments import create_environment, list_environments
from palate.errors import (
    EnvironmentFailed,
    InvalidModelFile,
    InvalidOption,
    InvalidRequirement,
    ModelChanged,
    PalateWarning,
    TrustRequired,
    UnsafePath,
)

pytestmark = pytest.mark.usefixtures("cache")


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("requirements.txt", "--index-url https://evil.example\n", InvalidRequirement),
        ("requirements.txt", "-r /etc/passwd\n", InvalidRequirement),
        ("requirements.txt", "x @ file:///etc\n", InvalidRequirement),
        ("requirements.txt", "numpy\n-c /etc/passwd\n", InvalidRequirement),
        ("requirements.txt", "numpy\r--index-url=x\n", InvalidRequirement),
        ("pylock.toml", 'lock-version = "1.0"\n[[packages]]\nname = "six"\nversion = "1"', InvalidModelFile),
    ],
)
def test_hostile_files_reach_no_installer(line, cache, name, text, error) -> None:
    """Each is refused by name, trusted or not, before anything is made."""
    rewrite(line, name, text)
    for trust in (False, True):
        with pytest.raises(error):
            create_environment(line, trust=trust)
    assert not cache.exists()


@pytest.mark.parametrize(
    "section",
    [
        "index_options: {index_url: '--extra-index-url=x'}",
        "index_options: {index_url: 'file:///etc'}",
        "index_options: {find_links: ['https://x.example/ -r /etc/passwd']}",
        "index_options: {extra_index_urls: 'https://x.example'}",
        "index_options: [1]",
        "wheels: [1]",
    ],
)
def test_a_hostile_section_is_refused(line, section) -> None:
    """What MLmodel says of indexes and wheels is read strictly."""
    text = (line / "MLmodel").read_text()
    rewrite(line, "MLmodel", text.replace("palate:\n", f"palate:\n  environment:\n    {section}\n", 1))
    with pytest.raises(InvalidModelFile, match="environment"):
        create_environment(line)


def test_a_file_that_the_manifest_does_not_list_is_refused(line) -> None:
    """Requirements that were added or changed later are not what was saved."""
    (line / "constraints.txt").write_text("numpy<1\n")
    with pytest.raises(ModelChanged):
        create_environment(line)
    (line / "constraints.txt").unlink()
    (line / "requirements.txt").write_text("six\n")
    with pytest.raises(ModelChanged):
        create_environment(line)
    (line / "requirements.txt").unlink()
    (line / "requirements.txt").symlink_to("/etc/passwd")
    with pytest.raises((ModelChanged, UnsafePath, InvalidRequirement)):
        create_environment(line)


def test_recorded_indexes_are_used_only_if_the_caller_says_so(line, wheelhouse, tmp_path, monkeypatch) -> None:
    """A model's own fields can ask, never grant; and where packages come from is part of what an environment is."""
    (tmp_path / "uv.toml").write_text(f"find-links = [{str(wheelhouse)!r}]\n")
    with index_of_nothing() as (url, asked):
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"{url}/configured/")
        text = (line / "MLmodel").read_text()
        options = f"{{extra_index_urls: ['{url}/recorded/'], find_links: ['{url}/files/']}}"
        entry = f"palate:\n  environment:\n    index_options: {options}\n"
        rewrite(line, "MLmodel", text.replace("palate:\n", entry, 1))
        plain = create_environment(line, replay=False, trust=True)
        assert {path.split("/")[1] for path in asked} == {"configured"}
        with pytest.raises(TrustRequired, match="an index has that the model names"):
            create_environment(line, replay=False, use_recorded_index=True)
        # The folder of files answers with an error, which only a run that asks it can tell.
        with pytest.raises(EnvironmentFailed, match="files"):
            create_environment(line, replay=False, use_recorded_index=True, trust=True)
        rewrite(line, "MLmodel", text.replace("palate:\n", entry.replace(f"'{url}/files/'", ""), 1))
        recorded = create_environment(line, replay=False, use_recorded_index=True, trust=True)
        assert {path.split("/")[1] for path in asked} == {"configured", "files", "recorded"}
    assert recorded.digest != plain.digest


def test_folders_that_palate_did_not_make_are_left_alone(tmp_path, monkeypatch) -> None:
    """Neither a folder that looks like a leftover, nor what stands in the cache under another name, is removed."""
    model = tmp_path / "model"
    palate.save_model(LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0]), model)
    theirs = tmp_path / "theirs"
    (theirs / "palate-environment").mkdir(parents=True)
    (theirs / "precious.txt").write_text("mine")
    with pytest.raises(InvalidOption, match="no empty folder"):
        create_environment(model, directory=theirs)
    assert (theirs / "precious.txt").read_text() == "mine"
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path / "project"))
    (tmp_path / "project" / "environments" / "staging").mkdir(parents=True, mode=0o700)
    assert list_environments() == []


def test_extras_need_trust(tmp_path) -> None:
    """What an extra brings is a package that Palate does not require."""
    model = tmp_path / "model"
    fitted = LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])
    with pytest.warns(PalateWarning, match="has no extra 'examples'"):
        palate.save_model(fitted, model, requirements=["scikit-learn[examples]>=1.5", "skops>=0.14"])
    with pytest.raises(TrustRequired, match=r"scikit-learn\[examples\]"):
        create_environment(model)


class House:
    """A wheelhouse with packages of the test's own, each of which tells when it runs."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._ran = folder, folder / "ran"

    def add(self, name: str, version: str, *requires: str) -> None:
        """Add a package with one empty module, and a file that every start of Python runs."""
        module, run = name.replace("-", "_"), f"import pathlib; pathlib.Path({str(self._ran)!r}).touch()\n"
        write_wheel(self._folder, name, version, {f"{module}.py": "", f"{module}.pth": run}, requires)

    def has_run(self) -> bool:
        """Tell whether one has run since this was last asked."""
        found = self._ran.exists()
        self._ran.unlink(missing_ok=True)
        return found


@pytest.fixture
def house(cache: Path, wheelhouse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """Return a copy of the wheelhouse to add to, where packages come from."""
    folder = shutil.copytree(wheelhouse, tmp_path / "house")
    use_only(folder, tmp_path, monkeypatch)
    return House(folder)


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_what_a_known_package_leads_to_needs_trust(line, house, installer) -> None:
    """A release of a known package that requires a foreign one is found out before either is installed."""
    house.add("pluggy", "96.0", "evil-pkg")
    house.add("evil-pkg", "1.0")
    rewrite(line, "requirements.txt", "pluggy==96.0")
    with pytest.raises(TrustRequired, match="evil-pkg, which it leads to"):
        create_environment(line, installer=installer)
    assert not house.has_run()
    assert list_environments() == []


def test_what_was_held_against_palates_own_is_what_gets_installed(line, tmp_path) -> None:
    """The exact versions that were looked at are those in the list that the installer got."""
    built = create_environment(line, directory=tmp_path / "built")
    pinned = (built.directory / "palate-environment" / "requirements.pinned.txt").read_text().splitlines()
    assert any(text.startswith("numpy==") for text in pinned)
    assert all("==" in text or " @ file:" in text for text in pinned)


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_what_the_caller_brings_may_lead_further_and_the_model_still_may_not(line, house, installer) -> None:
    """A package that the caller names brings what it requires; that lends the model's own nothing."""
    house.add("brought", "1.0", "six")
    built = create_environment(line, extra_requirements=["brought"], installer=installer, replay=False)
    done = subprocess.run([built.python, "-c", "import brought, six"], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert house.has_run()
    house.add("pluggy", "96.0", "evil-pkg")
    house.add("evil-pkg", "1.0")
    rewrite(line, "requirements.txt", "pluggy==96.0")
    with pytest.raises(TrustRequired, match="evil-pkg, which it leads to"):
        create_environment(line, extra_requirements=["brought"], installer=installer)
    assert not house.has_run()


def test_the_models_bounds_do_not_decide_what_the_caller_brings(line, house) -> None:
    """An old release that only the model's constraints choose leads to what nobody has asked for."""
    house.add("helper", "2.0")
    house.add("helper", "1.0", "evil-pkg")
    house.add("evil-pkg", "1.0")
    rewrite(line, "requirements.txt", (line / "requirements.txt").read_text() + "\n-c constraints.txt\n")
    rewrite(line, "constraints.txt", "helper<2\n")
    with pytest.raises(TrustRequired, match="evil-pkg, which it leads to"):
        create_environment(line, extra_requirements=["helper"])
    assert not house.has_run()


def test_what_does_not_count_here_needs_no_trust(line) -> None:
    """A requirement for another system, or another Python, is not installed, so nothing of it runs."""
    rewrite(line, "requirements.txt", "pywin32; sys_platform == 'win32'\nbackport; python_version < '3.8'\n")
    assert create_environment(line).predictions == "ok"
    rewrite(line, "requirements.txt", "evil-pkg; python_version >= '3.8'\n")
    with pytest.raises(TrustRequired, match=r"^Building the environment of .*evil-pkg"):
        create_environment(line)

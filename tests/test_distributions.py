"""From modules to the distributions that provide them, on folders made like site-packages."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from palate._environment.distributions import find_providers, installed_version, pin_installed

COMMIT = "0123456789abcdef0123456789abcdef01234567"
Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install distributions, as pip leaves them, into a folder that comes first on sys.path."""
    site = tmp_path / "site-packages"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def write(name: str, version: str, files: list[str], **extra: object) -> Path:
        info = site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nReadme\n")
        (info / "RECORD").write_text("".join(f"{file},sha256=x,1\n" for file in files))
        for file in files:
            (site / file).parent.mkdir(parents=True, exist_ok=True)
            (site / file).touch()
        for key, value in extra.items():
            file = {"direct_url": "direct_url.json", "top_level": "top_level.txt"}[key]
            (info / file).write_text(value if isinstance(value, str) else json.dumps(value))
        return site

    return write


def requirements_of(*modules: str) -> list[str]:
    """Return what pip would be given for *modules*, all of which must be resolved."""
    providers, unresolved = find_providers(modules)
    assert unresolved == []
    return [provider.requirement for provider in providers]


def test_module_named_like_its_distribution(install: Install) -> None:
    """The plain case: name and version of the distribution of that name."""
    install("plainpkg", "1.2", ["plainpkg/__init__.py"])
    assert requirements_of("plainpkg", "plainpkg.sub.module") == ["plainpkg==1.2"]


@pytest.mark.parametrize(
    "file", ["oddmod.py", "oddmod/__init__.py", "oddmod.cpython-311-x86_64-linux-gnu.so", "oddmod.abi3.so", "oddmod.so"]
)
def test_module_named_otherwise(install: Install, file: str) -> None:
    """Packages, single files and extension modules are found whatever their distribution is called."""
    install("Odd.Name", "3.0", [file])
    assert requirements_of("oddmod") == ["odd-name==3.0"]


def test_prefix_is_no_match(install: Install) -> None:
    """A distribution that only holds a longer name, or a file of that name elsewhere, does not provide the module."""
    install("longer", "1", ["oddmodlonger/__init__.py", "other/oddmod.py", "oddmod-1.dist-info/METADATA", "oddmod.txt"])
    assert find_providers(["oddmod"]) == ([], ["oddmod"])


def test_namespace_package_by_dotted_name(install: Install) -> None:
    """Where distributions share a namespace, the dotted name tells which one is meant."""
    install("space-one", "1", ["space/one/__init__.py"])
    install("space-two", "2", ["space/two/__init__.py"])
    assert requirements_of("space.two.Class") == ["space-two==2"]
    assert requirements_of("space") == ["space-one==1", "space-two==2"]


def test_shared_package_goes_to_its_namesake(install: Install) -> None:
    """Of two distributions with the same files, the one called like the package is meant."""
    install("shared-skinny", "1", ["shared/__init__.py"])
    install("shared", "2", ["shared/__init__.py"])
    assert requirements_of("shared") == ["shared==2"]


def test_local_label_is_dropped(install: Install) -> None:
    """An index has no '+cpu' builds, so the public version is pinned."""
    install("torchlike", "2.13.0+cpu", ["torchlike/__init__.py"])
    assert requirements_of("torchlike") == ["torchlike==2.13.0"]


def test_version_before_pep_440(install: Install) -> None:
    """A version that is none in today's sense is pinned literally."""
    install("oldlib", "2004d", ["oldlib.py"])
    assert requirements_of("oldlib") == ["oldlib===2004d"]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://example.com/team/gitlib.git", f"gitlib @ git+https://example.com/team/gitlib.git@{COMMIT}"),
        ("https://user:hunter2@example.com/gitlib", f"gitlib @ git+https://example.com/gitlib@{COMMIT}"),
        ("ssh://git@example.com/gitlib", f"gitlib @ git+ssh://git@example.com/gitlib@{COMMIT}"),
    ],
)
def test_git_install(install: Install, url: str, expected: str) -> None:
    """A git install is named by its commit, without anybody's credentials."""
    origin = {"url": url, "vcs_info": {"vcs": "git", "commit_id": COMMIT}}
    install("gitlib", "1.0", ["gitlib.py"], direct_url=origin)
    [provider] = find_providers(["gitlib"])[0]
    assert (provider.requirement, provider.published) == (expected, True)


@pytest.mark.parametrize(
    "origin",
    [
        {"url": "file:///home/someone/gitlib", "vcs_info": {"vcs": "git", "commit_id": COMMIT}},
        {"url": "https://example.com/gitlib", "vcs_info": {"vcs": "git", "commit_id": "main"}},
        {"url": "https://example.com/gitlib", "vcs_info": {"vcs": "hg", "commit_id": COMMIT}},
        {"url": "file:///home/someone/gitlib-1.0-py3-none-any.whl", "archive_info": {}},
        {"url": "file:///home/someone/gitlib", "dir_info": {}},
    ],
)
def test_install_that_others_cannot_fetch(install: Install, origin: object) -> None:
    """Its version is pinned, no path is written, and it is marked as not published."""
    install("gitlib", "1.0", ["gitlib.py"], direct_url=origin)
    [provider] = find_providers(["gitlib"])[0]
    assert (provider.requirement, provider.published) == ("gitlib==1.0", False)


def test_editable_install(install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution installed in place is found by its source folder, and marked as not published."""
    source = tmp_path / "work" / "src"
    (source / "inplace").mkdir(parents=True)
    (source / "inplace" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(source))
    origin = {"url": (tmp_path / "work").as_uri(), "dir_info": {"editable": True}}
    install("inplace-dist", "0.1", ["_inplace.pth"], direct_url=origin)
    [provider] = find_providers(["inplace"])[0]
    assert (provider.requirement, provider.published) == ("inplace-dist==0.1", False)


def test_module_that_only_an_import_hook_knows(install: Install) -> None:
    """setuptools' editable installs are on no path, but their metadata names the module."""
    install("hooked", "0.2", ["__editable___hooked_finder.py"], top_level="hookedmod\n")
    assert requirements_of("hookedmod") == ["hooked==0.2"]


def test_local_file_is_not_taken_for_a_namesake(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module of the user's own that hides an installed one belongs to no distribution."""
    install("shadowed", "1", ["shadowed.py"])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "shadowed.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path / "mine"))
    assert find_providers(["shadowed"]) == ([], ["shadowed"])


def test_what_python_brings_is_passed_over() -> None:
    """The standard library, the running script and Palate's private modules need no distribution."""
    assert find_providers(["json", "os.path", "__main__", "__future__", "palate._code.model_code", "builtins", ""]) == (
        [],
        [],
    )


def test_own_modules_are_passed_over() -> None:
    """Modules in the model's code/ come with the model."""
    assert find_providers(["mylib.part", "nowhere"], own_modules=["mylib"]) == ([], ["nowhere"])


def test_leftovers_of_an_uninstall_are_passed_over(install: Install) -> None:
    """A folder without a name in its metadata is no distribution."""
    site = install("whole", "1", ["leftmod.py"])
    ruin = site / "ruin-1.dist-info"
    ruin.mkdir()
    (ruin / "RECORD").write_text("leftmod.py,,\n")
    assert requirements_of("leftmod") == ["whole==1"]


@pytest.mark.parametrize("record", ["{", '{"url": ' + "[" * 100_000, '{"url": ' + "9" * 5000 + "}"])
def test_malformed_direct_url(install: Install, record: str) -> None:
    """A record of origin that is damaged, or nested beyond what Python reads, counts as none."""
    install("damaged", "1", ["damaged.py"], direct_url=record)
    assert requirements_of("damaged") == ["damaged==1"]


def test_nothing_is_imported(install: Install) -> None:
    """Finding a module's distribution does not run the module."""
    site = install("loud", "1", ["loud/__init__.py"])
    (site / "loud" / "__init__.py").write_text("raise SystemExit('imported')")
    assert requirements_of("loud.sub") == ["loud==1"]
    assert "loud" not in sys.modules


def test_real_environment() -> None:
    """Well-known odd names resolve in the environment that runs the tests."""
    names = {requirement.partition("=")[0] for requirement in requirements_of("yaml", "sklearn", "numpy", "_pytest")}
    assert names == {"pyyaml", "scikit-learn", "numpy", "pytest"}


def test_lookup_is_quick() -> None:
    """Resolving a model's handful of modules takes 10 ms at rest; the bound is for busy machines."""
    find_providers(["numpy"])
    times = []
    for _ in range(3):
        start = time.perf_counter()
        find_providers(["sklearn", "numpy", "pandas", "yaml", "nowhere_at_all"])
        times.append(time.perf_counter() - start)
    assert min(times) < 0.1


def test_installed_version() -> None:
    """An installed distribution has a version; a missing one, or a name that is none, does not."""
    assert installed_version("pytest") == pytest.__version__
    assert installed_version("nowhere-at-all") is None
    assert installed_version("") is None
    assert pin_installed("pytest") == f"pytest=={pytest.__version__}"
    assert pin_installed("nowhere-at-all") == "nowhere-at-all"

"""How this environment differs from a model's, and whether that matters: on distributions that are only metadata."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from palate._environment.comparison import Difference, compare_environment, describe_differences
from palate._environment.environment import ENVIRONMENT_FILES
from palate._environment.lock import GitSource, Lock, LockedFile, LockedPackage
from palate._environment.pylock import write_pylock
from palate._environment.recorded import read_recorded

Install = Callable[..., None]
Differences = tuple[Difference, ...]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = ("requirements.txt", "constraints.txt", "python_env.yaml", "conda.yaml", "pylock.toml")
EARLIER, LATER = "3.9.18", "3.99.1"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Return what installs a distribution of metadata alone, where Python finds it."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def installed(name: str, version: str, *needs: str, origin: object = None) -> None:
        folder = site / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        lines = ["Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}"]
        (folder / "METADATA").write_text("\n".join([*lines, *(f"Requires-Dist: {need}" for need in needs), ""]))
        if origin is not None:
            (folder / "direct_url.json").write_text(json.dumps(origin))

    return installed


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """An empty model directory."""
    (tmp_path / "model").mkdir()
    return tmp_path / "model"


def differences_of(model: Path, *, python: str | None = None, by_mlflow: bool = False, **options: Any) -> Differences:
    """Compare with the model directory as it is."""
    recorded = read_recorded(model, python=python, by_mlflow=by_mlflow)
    return compare_environment(model, recorded, **options)


def compare(model: Path, *lines: str, constraints: str = "", **options: Any) -> Differences:
    """Compare with a model that asks for *lines*."""
    if constraints:
        lines = (*lines, "-c constraints.txt")
        (model / "constraints.txt").write_text(constraints)
    (model / "requirements.txt").write_text("\n".join(lines))
    return differences_of(model, **options)


def facts(differences: tuple[Difference, ...]) -> list[tuple[str, str, str | None, str, bool]]:
    """Return of each difference what can be told without words."""
    return [(d.name, d.required, d.installed, d.kind, d.matters) for d in differences]


# -- packages ----------------------------------------------------------------------------------------------------------


def test_what_is_as_asked_for_is_no_difference(model: Path, install: Install) -> None:
    """Pins, ranges, names alone, other spellings of a name, and the pip that MLflow's lines are for."""
    install("my-package", "2.0.1")
    assert compare(model, "my_package==2.0.1", "My.Package>=2,<3", "my-package", "my-package==2.*") == ()
    assert compare(model) == ()


def test_no_files_ask_for_nothing(model: Path) -> None:
    """Old or hand-made directories may lack them."""
    assert differences_of(model) == ()


def test_mlflow_is_not_missed(model: Path) -> None:
    """MLflow asks for itself in every directory; Palate opens them without, so that explains nothing."""
    assert compare(model, "mlflow==0.0.1", "mlflow_skinny==0.0.1", by_mlflow=True) == ()


def test_mlflow_is_missed_where_it_was_asked_for(model: Path, install: Install) -> None:
    """In other directories the caller has written the line; and what needs MLflow does not run without."""
    install("needy", "1.0", "mlflow-skinny")
    assert facts(compare(model, "mlflow==0.0.1")) == [("mlflow", "mlflow==0.0.1", None, "missing", True)]
    [found] = compare(model, "mlflow==0.0.1", "needy", by_mlflow=True)
    assert found.required == "mlflow-skinny (for needy)"


def test_each_difference_is_named(model: Path, install: Install) -> None:
    """Name, what is asked for, what is here, and what follows; the missing ones first."""
    install("old", "1.2.0")
    install("patched", "3.4.9")
    found = compare(model, "patched==3.4.1", "nowhere-at-all", "old==2.0.0", "gone==1; python_version < '3'")
    assert facts(found) == [
        ("nowhere-at-all", "nowhere-at-all", None, "missing", True),
        ("old", "old==2.0.0", "1.2.0", "version", True),
        ("patched", "patched==3.4.1", "3.4.9", "version", False),
    ]
    assert str(found[0]).startswith("nowhere-at-all is required and not installed, which matters: ")
    assert str(found[2]).startswith("patched==3.4.1 is required, 3.4.9 is installed, which should not matter: ")


def test_a_promise_decides(model: Path, install: Install) -> None:
    """The same difference matters or not by what the framework promises; the name may be spelt in any way."""
    install("My-Framework", "2.5.0")
    for promise, matters in (("newer", False), ("minor", False), ("patch", True), ("exact", True)):
        [found] = compare(model, "my_framework==2.1.0", promises={"my.framework": promise})
        assert (found.matters, found.known) == (matters, True)
    [guess] = compare(model, "my_framework==2.1.0", promises={"other": "exact"})
    assert (guess.matters, guess.known) == (False, False)


def test_outside_of_a_range_matters(model: Path, install: Install) -> None:
    """Who names a range has said which versions will do."""
    install("ranged", "1.9")
    [found] = compare(model, "ranged>=2,<3", promises={"ranged": "newer"})
    assert (found.matters, found.why) == (True, "it is outside of what the model's requirements allow")


@pytest.mark.parametrize(
    ("line", "here"),
    [("odd==1.9.1,<1.0", "1.9.1"), ("odd==1.9.1,!=1.9.2", "1.9.2"), ("odd==1.9.1+cpu,<1.0", "1.9.1+gpu")],
)
def test_a_pin_does_not_admit_what_its_line_excludes(model: Path, install: Install, line: str, here: str) -> None:
    """It is not another build of the pinned version, and no promise makes up for what is said beside the pin."""
    install("odd", here)
    [found] = compare(model, line, promises={"odd": "newer"})
    assert (found.kind, found.matters) == ("version", True)
    assert found.why == "it is outside of what the model's requirements allow"


def test_constraints_bound_what_is_installed(model: Path, install: Install) -> None:
    """They ask for no package, and hold for each that is there."""
    install("bounded", "3.0")
    found = compare(model, "bounded", constraints="bounded<3\nnot-here<1")
    assert facts(found) == [("bounded", "bounded<3", "3.0", "version", True)]


def test_what_is_required_in_turn_is_looked_for(model: Path, install: Install) -> None:
    """A model does not run without what its packages need: what is missing of that, or of another version, matters."""
    install("top", "1.0", "middle>=2", 'elsewhere; sys_platform == "nowhere"')
    install("middle", "1.0", "gone", "top")
    assert facts(compare(model, "top==1.0")) == [
        ("gone", "gone (for middle)", None, "missing", True),
        ("middle", "middle>=2 (for top)", "1.0", "version", True),
    ]


def test_what_an_extra_needs_is_looked_for(model: Path, install: Install) -> None:
    """A package without what its extra brings is not what was asked for; other extras are left alone."""
    needs = ('inner[deep]>=2; extra == "fast"', 'never; extra == "other"', "there", 'old; python_version < "3"')
    install("there", "1.0")
    install("outer", "1.0", *needs)
    install("inner", "1.0", "bottom; extra == 'deep'")
    assert compare(model, "outer") == ()
    assert facts(compare(model, "outer[fast]==1.0")) == [
        ("bottom", "bottom (for inner[deep])", None, "missing", True),
        ("inner", "inner[deep]>=2 (for outer[fast])", "1.0", "version", True),
    ]


def test_extras_that_ask_for_each_other_come_to_an_end(model: Path, install: Install) -> None:
    """As in ``all = ["package[a]", "package[b]"]``, also where they go in a circle."""
    install("ring", "1.0", 'ring[b]; extra == "a"', 'ring[a]; extra == "b"', 'far; extra == "b"')
    assert [d.name for d in compare(model, "ring[a]")] == ["far"]


def test_a_commit_is_compared(model: Path, install: Install) -> None:
    """Installed from that commit is as asked for; from another, or from an index, it is another package."""
    git = {"url": "https://host/a", "vcs_info": {"vcs": "git", "commit_id": COMMIT}}
    install("from-git", "1.0", origin=git)
    install("from-index", "1.0")
    line = "{} @ git+https://host/a@{}#subdirectory=x"
    assert compare(model, line.format("from-git", COMMIT)) == ()
    [other] = compare(model, line.format("from-git", "f" * 40))
    assert (other.kind, other.matters, other.why) == ("source", True, "it came from another commit")
    [index] = compare(model, line.format("from-index", COMMIT))
    assert (index.kind, index.why) == ("source", "it did not come from that repository")


def test_another_build_is_told_and_does_not_matter(model: Path, install: Install) -> None:
    """A local label, be it in the requirement or recorded beside it, and a build with a name of its own."""
    install("torchlike", "2.13.0+cpu")
    install("flowlike", "2.21.0")
    assert compare(model, "torchlike==2.13.0") == ()
    assert compare(model, "torchlike==2.13.0", labels={"torchlike": "cpu"}) == ()
    assert facts(compare(model, "torchlike==2.13.0", labels={"torchlike": "cu121"})) == [
        ("torchlike", "torchlike==2.13.0+cu121", "2.13.0+cpu", "label", False)
    ]
    assert [d.kind for d in compare(model, "torchlike==2.13.0+cu121")] == ["label"]
    assert facts(compare(model, "flowlike-cpu==2.21.0")) == [
        ("flowlike-cpu", "flowlike-cpu==2.21.0", "flowlike 2.21.0", "label", False)
    ]
    promised = compare(model, "flowlike-gpu==2.20.0", promises={"flowlike": "minor"})
    assert facts(promised) == [("flowlike-gpu", "flowlike-gpu==2.20.0", "flowlike 2.21.0", "version", False)]
    assert promised[0].known


def test_a_version_from_before_pep_440(model: Path, install: Install) -> None:
    """It is compared with nothing, and no error."""
    install("ancient", "2004-beta-final")
    [found] = compare(model, "ancient==1.0")
    assert (found.installed, found.matters, found.known) == ("2004-beta-final", True, False)


@pytest.mark.parametrize(
    ("line", "matters"), [("--index-url https://user:secret@host/", False), ("./a.whl", True), ("a==1\r-r x", True)]
)
def test_an_odd_line_is_a_difference(model: Path, line: str, matters: bool) -> None:
    """An option asks for no package; of anything else nobody can tell."""
    [found] = compare(model, line)
    assert (found.kind, found.matters, found.installed) == ("unreadable", matters, None)
    assert "secret" not in str(found)
    assert str(found).isprintable()


def test_the_most_important_comes_first(model: Path, install: Install) -> None:
    """What matters, then by kind, then promises before guesses."""
    install("promised", "2.0")
    install("guessed", "2.0")
    install("kept", "2.0.1")
    (model / "python_env.yaml").write_text(f"python: {LATER}")
    lines = ("--pre", "kept==2.0.0", "guessed==1.0", "promised==1.0", "nowhere-b", "nowhere-a")
    found = compare(model, *lines, promises={"promised": "patch"})
    assert [d.name for d in found] == [
        *("Python", "nowhere-a", "nowhere-b", "promised", "guessed"),
        *("kept", "requirements.txt"),
    ]


def test_time_is_bounded(model: Path) -> None:
    """R24: a hundred thousand lines are looked at for as long as a thousand."""
    began = time.process_time()
    found = compare(model, *(f"nx{n}" for n in range(100_000)))
    assert time.process_time() - began < 10
    assert len(found) == 1001
    assert describe_differences(found)[-1] == "996 more"


def test_ten_requirements_take_little_time(model: Path) -> None:
    """Loading in an environment of its own asks each time whether it is needed, which takes 30 ms at rest."""
    names = ["numpy", "pandas", "scipy", "scikit-learn", "skops", "packaging", "pluggy", "pytest", "click", "xgboost"]
    compare(model, "numpy")
    times = []
    for _ in range(5):
        began = time.process_time()
        compare(model, *(f"{name}==0.0.1" for name in names))
        times.append(time.process_time() - began)
    assert min(times) < 0.25


# -- the lock ----------------------------------------------------------------------------------------------------------


def locked(name: str, version: str | None, **more: object) -> LockedPackage:
    """Return a package of a lock: a wheel, where *more* says no commit."""
    wheel = LockedFile(name=f"{name.replace('-', '_')}-{version}-py3-none-any.whl", sha256="0" * 64)
    files = () if "git" in more else (wheel,)
    return LockedPackage(name=name, version=version, files=files, **more)  # type: ignore[arg-type]


def compare_locked(model: Path, *packages: LockedPackage, **options: Any) -> Differences:
    """Compare with a model whose lock has *packages*."""
    (model / "pylock.toml").write_text(write_pylock(Lock(packages=packages)))
    return differences_of(model, **options)


def test_what_is_locked_is_compared(model: Path, install: Install) -> None:
    """Another version is judged as for a pin, what is not here is missing, and markers are heeded."""
    for name, version in (("same", "1.0"), ("framework", "2.5.0"), ("guessed", "1.0"), ("built", "2.0+cpu")):
        install(name, version)
    packages = [
        *(locked("same", "1.0"), locked("framework", "2.1.0"), locked("guessed", "2.0"), locked("gone", "3.0")),
        *(locked("built", "2.0"), locked("far", "1.0", marker="sys_platform == 'nowhere'")),
        *(locked("guessed", "1.0", marker="python_version < '3'"), locked("here", "4", marker="python_version > '3'")),
    ]
    assert facts(compare_locked(model, *packages, promises={"framework": "minor"})) == [
        ("gone", "gone==3.0 (locked)", None, "missing", True),
        ("here", "here==4 (locked)", None, "missing", True),
        ("guessed", "guessed==2.0 (locked)", "1.0", "version", True),
        ("framework", "framework==2.1.0 (locked)", "2.5.0", "version", False),
    ]


def test_a_package_is_told_of_once(model: Path, install: Install) -> None:
    """requirements.txt and the lock mostly say the same; the lock adds what they lead to and leave open."""
    install("My-Top", "1.0", "middle>=1", "gone")
    install("middle", "2.0")
    (model / "requirements.txt").write_text("my_top==2.0")
    found = compare_locked(model, locked("my-top", "2.0"), locked("middle", "1.5"), locked("gone", "1.0"))
    assert [(d.required, d.installed) for d in found] == [
        ("gone (for my-top)", None),
        ("middle==1.5 (locked)", "2.0"),
        ("my_top==2.0", "1.0"),
    ]


def test_a_locked_commit_is_compared(model: Path, install: Install) -> None:
    """A lock may have a commit without a version."""
    install("from-git", "1.0", origin={"url": "https://host/a", "vcs_info": {"vcs": "git", "commit_id": COMMIT}})
    assert compare_locked(model, locked("from-git", None, git=GitSource(url="https://host/a", commit=COMMIT))) == ()
    other = GitSource(url="https://host/a", commit="f" * 40)
    [found] = compare_locked(model, locked("from-git", "1.0", git=other))
    assert (found.kind, found.matters, found.why) == ("source", True, "it came from another commit")


def test_an_odd_lock_is_a_difference(model: Path) -> None:
    """Nobody can tell what it asks for, and nothing can be installed from it."""
    (model / "pylock.toml").write_text('lock-version = "2.0"\npackages = []')
    [found] = differences_of(model)
    assert (found.name, found.kind, found.matters) == ("pylock.toml", "unreadable", True)
    assert "this Palate reads 1.x" in str(found)


LINES = st.sampled_from(
    ["numpy==1", "numpy[x]", "a @ git+https://h/a@" + COMMIT, "-c constraints.txt", "a; extra == 'b'"]
)
CONTENT = st.one_of(
    st.binary(max_size=60),
    LINES.map(str.encode),
    st.sampled_from(
        [b"python: 3", b"dependencies: [1]", b"packages = []", b'lock-version="1.0"\npackages=[{name="\x7f"}]']
    ),
)


@given(st.dictionaries(st.sampled_from(FILES), CONTENT), st.text(max_size=8))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_content_raises(model: Path, files: dict[str, bytes], python: str) -> None:
    """Whatever the files hold, what differs is told, in lines that a terminal can show."""
    for name in FILES:
        (model / name).unlink(missing_ok=True)
        if name in files:
            (model / name).write_bytes(files[name])
    for difference in differences_of(model, python=python):
        assert str(difference).isprintable()


# -- Python ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", [platform.python_version(), "3.{1}.0".format(*platform.python_version_tuple())])
def test_another_patch_of_python_is_no_difference(model: Path, wanted: str) -> None:
    """Byte code and wheels are tied to the minor version."""
    (model / "python_env.yaml").write_text(f"python: {wanted}\n")
    assert differences_of(model) == ()


@pytest.mark.parametrize(
    ("wanted", "contents", "matters"),
    [
        (EARLIER, "data", False),
        (LATER, "data", False),
        (EARLIER, "byte code", True),
        (LATER, "byte code", True),
        (EARLIER, "source", False),
        (LATER, "source", True),
        (EARLIER, "unknown", True),
    ],
)
def test_python_matters_by_what_the_model_holds(model: Path, wanted: str, contents: str, matters: bool) -> None:
    """Not for safe formats, always for byte code, and for source text where this Python is the earlier one."""
    (model / "python_env.yaml").write_text(f"python: {wanted}\n")
    [found] = differences_of(model, contents=lambda: contents)  # type: ignore[arg-type,return-value]
    here = platform.python_version()
    assert (found.name, found.required, found.installed, found.matters) == ("Python", wanted, here, matters)
    assert str(found).startswith(f"Python {wanted} is required, {here} is running, which ")


def test_what_the_model_holds_is_asked_for_only_if_python_differs(model: Path) -> None:
    """Reading a pickle takes time."""

    def never() -> str:
        raise AssertionError

    (model / "python_env.yaml").write_text(f"python: {platform.python_version()}\n")
    assert differences_of(model, contents=never) == ()  # type: ignore[arg-type]


@pytest.mark.parametrize("wanted", ["3.11; rm -rf ~", "$(id)", "three", "3", "../3.11", "3.11\\n-r x", "9" * 5000])
def test_a_version_of_python_that_is_none(model: Path, wanted: str) -> None:
    """R28: it is shown as it is, in quotes and cut, and nothing is done with it."""
    (model / "python_env.yaml").write_text(f'python: "{wanted}"\n')
    [found] = differences_of(model)
    assert (found.kind, found.name) == ("unreadable", "Python")
    assert len(str(found)) < 300
    assert str(found).isprintable()


def test_mlmodel_says_it_where_no_file_does(model: Path) -> None:
    """Its python_version is the last to be asked."""
    [found] = differences_of(model, python=EARLIER)
    assert found.required == EARLIER
    (model / ENVIRONMENT_FILES["virtualenv"]).write_text(f"python: {platform.python_version()}")
    assert differences_of(model, python=EARLIER) == ()

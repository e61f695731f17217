"""The environment of a model that is being saved, captured from evidence."""

from __future__ import annotations

import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from installed_site import Site, write_wheel

from palate._environment.capture import Evidence, capture_environment
from palate._environment.environment import Environment, environment_facts, write_environment
from palate.errors import InvalidOption, InvalidRequirement

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def capture(
    *,
    flavor_requirements: Sequence[str] = (),
    modules: Sequence[str] = (),
    observed: Sequence[str] = (),
    **options: Any,
) -> Environment:
    """Capture an environment from evidence put together by hand."""
    evidence = Evidence(
        flavor_requirements=flavor_requirements, modules=frozenset(modules), observed=frozenset(observed)
    )
    return capture_environment(evidence, **options)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """An empty folder of installed distributions."""
    monkeypatch.syspath_prepend(str(tmp_path / "site-packages"))
    (tmp_path / "site-packages").mkdir()
    return Site(tmp_path / "site-packages")


def test_flavor_and_imports_are_joined() -> None:
    """The flavor's requirements and the distributions of imported modules, once each, sorted by name."""
    found = capture(flavor_requirements=["scikit-learn==1.9.1"], modules=["sklearn.linear_model", "yaml"])
    assert [line.partition("=")[0] for line in found.requirements] == ["pyyaml", "scikit-learn"]
    assert found.requirements[1] == "scikit-learn==1.9.1"
    assert found.python == platform.python_version()
    assert found.unresolved == ()


def test_palate_and_mlflow_are_not_added() -> None:
    """A model asks for neither of them unless its code or the caller does."""
    found = capture(flavor_requirements=["a==1"], modules=["json", "palate._code.model_code"])
    assert found.requirements == ("a==1",)
    assert capture(flavor_requirements=["a==1"], extra_requirements=["mlflow"]).requirements == ("a==1", "mlflow")


def test_installed_in_place_is_reported() -> None:
    """A model whose code needs Palate, installed in place by its developers, gets the version and a note."""
    found = capture(modules=["palate"])
    [line] = found.requirements
    assert line.startswith("palate==")
    assert "/" not in line
    assert found.unpublished == ("palate",)


def test_missing_module_is_reported() -> None:
    """An imported module that nothing installed provides is never dropped silently."""
    found = capture(modules=["nowhere_at_all.part"])
    assert found.unresolved == ("nowhere_at_all",)


def test_requirements_replace_the_evidence(tmp_path: Path) -> None:
    """What the caller lists is all there is, as a list or as a file."""
    path = tmp_path / "mine.txt"
    path.write_text("pandas\n# arrays\nnumpy==2.0\n")
    for given_requirements in (["pandas", "numpy==2.0"], path, str(path)):
        found = capture(flavor_requirements=["a==1"], modules=["nowhere_at_all"], requirements=given_requirements)
        assert (found.requirements, found.unresolved) == (("numpy==2.0", "pandas"), ())


def test_extra_requirements_win_over_evidence() -> None:
    """A package that the caller names is taken as the caller names it."""
    found = capture(flavor_requirements=["a==1", "b==1"], extra_requirements=["B>=2", "c==3"])
    assert found.requirements == ("a==1", "B>=2", "c==3")


def test_the_caller_may_not_contradict_himself() -> None:
    """Two lists of the caller that pin one package differently are an error, not a guess."""
    with pytest.raises(InvalidRequirement, match="another line pins A to 1"):
        capture(requirements=["a==1"], extra_requirements=["A==2"])


def test_hostile_flavor_is_refused() -> None:
    """A plugin's answer goes through the same policy as the caller's."""
    with pytest.raises(InvalidRequirement, match="pip options"):
        capture(flavor_requirements=["--index-url https://evil.example"])


def test_declared_versions_that_are_not_here(site: Site) -> None:
    """What the caller asks for and is not what the model was made with is told once, each with what is here."""
    site.install("low", "1.9.1", {"low.py": ""})
    site.install("high-cpu", "3.0", {"high.py": ""})
    [warning] = capture(
        flavor_requirements=["low==1.9.1"],
        extra_requirements=["lowe[fast]>=2", "Low==1.0", "low<1.5", "high>=4", "lowe"],
    ).warnings
    assert warning.startswith("The model will open in an environment that it was never tried in: ")
    assert warning.partition(": ")[2].partition(". Hint: ")[0].split("; ") == [
        "requirements ask for high>=4, and 3.0 is installed",
        "requirements ask for Low==1.0, and 1.9.1 is installed",
        "requirements ask for low<1.5, and 1.9.1 is installed",
        "lowe is not installed here, so nothing shows that this is its name",
    ]
    assert capture(requirements=["low==1.0"]).warnings == capture(extra_requirements=["low==1.0"]).warnings


def test_unknown_extra(site: Site) -> None:
    """An extra that the installed distribution does not offer is told: pip and uv only mention it and go on."""
    site.install("low", "1.9.1", {"low.py": ""}, requires=["more; extra == 'the_fast'"])
    [warning] = capture(extra_requirements=["low[The-Fast,slow,o_dd]==1.9.1"]).warnings
    assert "never tried in: low 1.9.1 has no extra 'o-dd', 'slow'. Hint: " in warning
    assert capture(extra_requirements=["low[the.fast]==1.9.1"]).warnings == ()


def test_requirements_without_what_loading_needs(site: Site) -> None:
    """Requirements that replace the evidence and leave out the framework are told so, with what would be missing."""
    for name in ("frame", "low"):
        site.install(name, "1.9.1", {f"{name}.py": ""}, requires=["frame"] if name == "low" else [])
    site.install("other", "1.0", {"other.py": ""})
    needed = ["frame==1.9.1", "writer==2; python_version > '3'", "old==1; python_version < '3'", "cloudpickle==3"]
    [warning] = capture(flavor_requirements=needed, requirements=["other==1.0"]).warnings
    assert warning.startswith(
        "The requirements lead to no frame and no writer, which the flavor needs to load the model"
    )
    assert "add 'frame==1.9.1', 'writer==2; python_version > \"3\"', or " in warning
    assert capture(flavor_requirements=["frame==1.9.1"], requirements=["low"]).warnings == ()
    assert capture(flavor_requirements=["frame==1.9.1"], requirements=["other==1.0", "Frame"]).warnings == ()
    assert capture(flavor_requirements=["frame==1.9.1"], extra_requirements=["other==1.0"]).warnings == ()


def test_declared_in_a_file_that_is_not_here(site: Site, tmp_path: Path) -> None:
    """A file, and one that it names, is held against what is installed like a list; a constraint asks for nothing."""
    site.install("low", "1.9.1", {"low.py": ""})
    (tmp_path / "more.txt").write_text("low==1.0")
    (tmp_path / "bounds.txt").write_text("elsewhere<1")
    (tmp_path / "reqs.txt").write_text(
        "-r more.txt\n-c bounds.txt\n--extra-index-url https://packages.example.com/simple"
    )
    [warning] = capture(requirements=tmp_path / "reqs.txt").warnings
    assert "never tried in: requirements ask for low==1.0, and 1.9.1 is installed. Hint: " in warning


@pytest.mark.parametrize(
    "line",
    [
        "low>=1,<2",
        "LOW[extra]==1.9.1",
        "low==1.0; python_version < '3'",
        "nowhere; sys_platform == 'nowhere'",
        f"nowhere @ git+https://example.com/nowhere@{COMMIT}",
        f"low @ git+https://example.com/low@{COMMIT}",
        "-i https://packages.example.com/simple",
        "torchlike==2.13.0",
        "torchlike==2.13.0+cu121",
        "flowlike==2.21.0",
        "flowlike-gpu>=2",
        "flowlike[gcs]==2.21.0",
        "fresh>=2",
        "mlflow==3.17.0",
    ],
)
def test_what_is_not_contradicted_is_not_warned_of(site: Site, line: str) -> None:
    """Markers that do not hold, commits, indexes, other builds, pre-releases, and MLflow, which its servers need."""
    installed = {"low": "1.9.1", "torchlike": "2.13.0+cpu", "flowlike-cpu": "2.21.0", "fresh": "2.1rc1"}
    for name, version in installed.items():
        site.install(name, version, {f"{name}.py": ""}, requires=["more; extra == 'extra'"])
    assert capture(flavor_requirements=["low==1.9.1"], extra_requirements=[line]).warnings == ()
    assert capture(requirements=[line]).warnings == ()


def test_a_carried_wheel_is_not_warned_of(site: Site, tmp_path: Path) -> None:
    """No index has to have it, and it is here all the same."""
    wheel = write_wheel(tmp_path, "low", "1.9.1", {"low.py": ""})
    digest = sha256(wheel.read_bytes()).hexdigest()
    site.install("low", "1.9.1", {}, origin={"url": wheel.as_uri(), "archive_info": {"hashes": {"sha256": digest}}})
    found = capture(requirements=["low==1.9.1"])
    assert ([w.name for w in found.wheels], found.warnings) == (["low"], ())


def test_no_requirements_at_all() -> None:
    """An empty list asks for an environment with nothing in it."""
    assert capture(flavor_requirements=["a==1"], modules=["yaml"], requirements=[]).requirements == ()


def test_missing_requirements_file(tmp_path: Path) -> None:
    """A requirements file that does not exist is an error."""
    with pytest.raises(InvalidOption, match="cannot be read"):
        capture(requirements=tmp_path / "nowhere.txt")


def test_same_environment_same_bytes(tmp_path: Path) -> None:
    """Writing twice gives the same files, whatever the order of the evidence."""
    contents = []
    for folder, lines in (("one", ["b==1", "a==2"]), ("two", ["a==2", "b==1", "b==1"])):
        (tmp_path / folder).mkdir()
        found = capture(flavor_requirements=lines, modules=["yaml"])
        write_environment(found, tmp_path / folder)
        contents.append([path.read_bytes() for path in sorted((tmp_path / folder).iterdir())])
    assert contents[0] == contents[1]


NAMES = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True)
LINES = st.dictionaries(NAMES, st.sampled_from(["", "==1.0", ">=2,<3", "==1!3.0", "[extra]==1"]), max_size=6)


@given(LINES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_written_requirements_read_the_same(tmp_path: Path, lines: dict[str, str]) -> None:
    """What is written is read back as the same environment."""
    found = capture(requirements=[name + rest for name, rest in lines.items()])
    write_environment(found, tmp_path)
    again = capture(requirements=tmp_path / "requirements.txt")
    assert again == found


# -- what the caller declares besides ----------------------------------------------------------------------------------


def test_extras_and_markers_survive(tmp_path: Path) -> None:
    """A requirement is written as the caller wrote it, into every file that lists requirements."""
    lines = ["ray[serve,data]==2.9.0", "numpy==1.26 ; python_version < '3.12'", "numpy==2.0 ; python_version >= '3.12'"]
    found = capture(requirements=lines)
    expected = [
        'numpy==1.26; python_version < "3.12"',
        'numpy==2.0; python_version >= "3.12"',
        "ray[data,serve]==2.9.0",
    ]
    assert list(found.requirements) == expected
    write_environment(found, tmp_path)
    assert (tmp_path / "requirements.txt").read_text().splitlines() == expected
    assert yaml.safe_load((tmp_path / "conda.yaml").read_text())["dependencies"][-1] == {"pip": expected}
    assert "-r requirements.txt" in (tmp_path / "python_env.yaml").read_text()


def test_constraints_of_lists_and_files_are_joined(tmp_path: Path) -> None:
    """Constraints do not replace the evidence, and are sorted and kept apart from it."""
    (tmp_path / "a.txt").write_text("scipy<9\nabc<2")
    (tmp_path / "reqs.txt").write_text("-c a.txt")
    found = capture(flavor_requirements=["a==1"], extra_requirements=tmp_path / "reqs.txt")
    assert (found.requirements, found.constraints) == (("a==1",), ("abc<2", "scipy<9"))


@pytest.mark.parametrize("bound", ["a<1", "A!=1.0", "a>1"])
def test_constraint_that_rules_out_what_is_required(tmp_path: Path, bound: str) -> None:
    """An environment that nobody could build is refused while the one who can say what is right is there."""
    (tmp_path / "bounds.txt").write_text(bound)
    with pytest.raises(InvalidRequirement, match="rules out a==1"):
        capture(flavor_requirements=["a==1"], extra_requirements=[f"-c {tmp_path / 'bounds.txt'}"])


def test_index_options_are_no_requirements() -> None:
    """Indexes are told in the facts, and never in a file that pip reads."""
    found = capture(flavor_requirements=["a==1"], extra_requirements=["-i https://packages.example.com/simple"])
    assert found.lines == ("a==1",)
    recorded = {"index_options": {"index_url": "https://packages.example.com/simple"}}
    assert environment_facts(found) == {"environment": recorded}


# -- where installed packages came from --------------------------------------------------------------------------------


def test_local_labels_are_recorded(site: Site) -> None:
    """The label that a requirement goes without is known nevertheless; what the caller wrote has none to add."""
    site.install("torchlike", "2.13.0+cpu", {"torchlike.py": ""})
    found = capture(flavor_requirements=["torchlike==2.13.0"])
    assert (found.requirements, found.local_labels) == (("torchlike==2.13.0",), {"torchlike": "cpu"})
    assert environment_facts(found) == {"environment": {"local_labels": {"torchlike": "cpu"}}}
    assert capture(extra_requirements=["torchlike==2.13.0+cpu"]).local_labels == {}
    assert capture(requirements=["torchlike"]).local_labels == {}


def test_commit_wins_over_the_flavors_version(site: Site) -> None:
    """A flavor asks for a version; if that came from a commit, the commit is what was there, also of a dependency."""
    origin = {"url": "https://example.com/low.git", "vcs_info": {"vcs": "git", "commit_id": COMMIT}}
    site.install("low", "1.0", {"low.py": ""}, origin=origin)
    site.install("top", "2.0", {"top.py": ""}, requires=["low"])
    line = f"low @ git+https://example.com/low.git@{COMMIT}"
    assert capture(flavor_requirements=["low==1.0"]).requirements == (line,)
    assert capture(flavor_requirements=["top==2.0"]).requirements == (line, "top==2.0")
    assert capture(flavor_requirements=["top==2.0"], extra_requirements=["low==1"]).requirements == (
        "low==1",
        "top==2.0",
    )


def test_declared_requirements_are_not_contradicted(site: Site, tmp_path: Path) -> None:
    """A caller who lists everything is told nothing of packages that are installed in place."""
    origin = {"url": tmp_path.as_uri(), "dir_info": {"editable": True}}
    site.install("low", "1.0", {"low.py": ""}, origin=origin)
    assert capture(requirements=["low==1.0"]).warnings == ()
    [warning] = capture(flavor_requirements=["low==1.0"]).warnings
    assert "not reproducible: low was installed in place" in warning


def test_observed_modules_add_what_nothing_explains(site: Site) -> None:
    """An import seen while predicting counts if no requirement brings its package, and only without a caller's list."""
    site.install("low", "1.0", {"low.py": ""})
    site.install("top", "2.0", {"top.py": ""}, requires=["low"])
    assert capture(observed=["low"]).requirements == ("low==1.0",)
    assert capture(flavor_requirements=["top==2.0"], observed=["low", "top"]).requirements == ("top==2.0",)
    assert capture(observed=["low", "top"]).requirements == ("top==2.0",)
    assert capture(observed=["low"], requirements=["top"]).requirements == ("top",)


def test_capture_is_quick(site: Site) -> None:
    """Capturing takes 20 ms at rest; the bound is for busy machines. benchmarks/environment_capture.py measures it."""
    taken = []
    for _ in range(5):
        start = time.process_time()
        capture(flavor_requirements=["scikit-learn==1.9.1"], modules=["sklearn", "numpy", "pandas", "yaml"])
        taken.append(time.process_time() - start)
    assert min(taken) < 0.25


def test_capture_loads_nothing_heavy() -> None:
    """Capturing the environment imports none of the packages it names."""
    script = (
        "import sys; from palate._environment.capture import Evidence, capture_environment as c;"
        "c(Evidence(modules=frozenset(['numpy', 'sklearn', 'pandas'])));"
        "print(sorted({'numpy', 'sklearn', 'pandas'} & set(sys.modules)))"
    )
    output = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert output.strip() == "[]"

"""Where a model comes from, asked of real git repositories."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from palate._environment.source import Source, active_run_id, check_run_id, find_source
from palate.errors import InvalidOption

Git = Callable[..., str]


@pytest.fixture(autouse=True)
def _no_outer_git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep git to the test's own folder, also when the tests run from a git hook."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)


@pytest.fixture
def git(tmp_path: Path) -> Git:
    """Run git in tmp_path."""

    def run(*arguments: str) -> str:
        command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", "-C", str(tmp_path), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    return run


@pytest.fixture
def checkout(git: Git, tmp_path: Path) -> str:
    """Commit one file; return the commit's hash."""
    git("init", "-q")
    (tmp_path / "train.py").write_text("1\n")
    git("add", "train.py")
    git("commit", "-q", "-m", "one")
    return git("rev-parse", "HEAD")


def test_clean_checkout(checkout: str, tmp_path: Path) -> None:
    """The commit of HEAD, from a folder, a sub-folder or a file."""
    (tmp_path / "sub").mkdir()
    expected = Source(commit=checkout, dirty=False)
    assert find_source(tmp_path) == find_source(tmp_path / "sub") == find_source(tmp_path / "train.py") == expected


def test_changed_file_is_dirty(checkout: str, tmp_path: Path) -> None:
    """A tracked file that differs from the commit makes it dirty, staged or not."""
    (tmp_path / "train.py").write_text("2\n")
    assert find_source(tmp_path) == Source(commit=checkout, dirty=True)


def test_untracked_file_is_not_dirty(checkout: str, tmp_path: Path) -> None:
    """A model saved inside the checkout does not make the next one dirty."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "MLmodel").touch()
    assert find_source(tmp_path) == Source(commit=checkout, dirty=False)


def test_nothing_is_written(checkout: str, tmp_path: Path) -> None:
    """The index stays as it is: no lock, no refresh."""
    os.utime(tmp_path / "train.py", (1, 1))
    index = tmp_path / ".git" / "index"
    before = (index.read_bytes(), index.stat().st_mtime_ns)
    find_source(tmp_path)
    assert (index.read_bytes(), index.stat().st_mtime_ns) == before


def test_configured_program_does_not_run(checkout: str, git: Git, tmp_path: Path) -> None:
    """A program that the repository's configuration names for status is not started."""
    program = tmp_path / "monitor.sh"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/marker\n")
    program.chmod(0o755)
    git("config", "core.fsmonitor", str(program))
    assert find_source(tmp_path) == Source(commit=checkout, dirty=False)
    assert not (tmp_path / "marker").exists()


def test_no_commit_yet(git: Git, tmp_path: Path) -> None:
    """A repository without a commit has none to tell."""
    git("init", "-q")
    assert find_source(tmp_path) is None


def test_no_repository(tmp_path: Path) -> None:
    """Outside a repository, or in a folder that does not exist, there is no commit."""
    assert find_source(tmp_path) is None
    assert find_source(tmp_path / "not" / "there") is None


def test_bare_repository(checkout: str, git: Git, tmp_path: Path) -> None:
    """A bare repository has a commit, but no files that could differ."""
    git("clone", "-q", "--bare", ".", "bare.git")
    assert find_source(tmp_path / "bare.git") == Source(commit=checkout, dirty=None)


def test_repository_of_somebody_else(checkout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What git refuses to open as another user's is left unknown."""
    # git's own switch for testing safe.directory
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    assert find_source(tmp_path) is None


def test_git_missing(checkout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without git saves models all the same."""
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert find_source(tmp_path) is None


def test_git_broken(checkout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A git that fails, or prints what is no commit, is as good as none."""
    tools = tmp_path / "tools"
    tools.mkdir()
    monkeypatch.setenv("PATH", str(tools))
    for script in ("#!/bin/sh\nexit 3\n", "#!/bin/sh\necho 'error: something else'\n", "no program\n"):
        (tools / "git").write_text(script)
        (tools / "git").chmod(0o755)
        assert find_source(tmp_path) is None


def test_run_id_of_the_environment() -> None:
    """MLFLOW_RUN_ID names the active run; unset or empty, there is none."""
    assert active_run_id({"MLFLOW_RUN_ID": "0123456789abcdef0123456789abcdef"}) == "0123456789abcdef0123456789abcdef"
    assert active_run_id({}) is None
    assert active_run_id({"MLFLOW_RUN_ID": ""}) is None


@pytest.mark.parametrize("run_id", ["../../etc", "a b", "-x", "a\n", "a" * 257, "é"])
def test_malformed_run_id(run_id: str) -> None:
    """What could be no run id never enters a model; the error does not repeat it."""
    with pytest.raises(InvalidOption, match="run_id"):
        active_run_id({"MLFLOW_RUN_ID": run_id})
    with pytest.raises(InvalidOption, match="run_id"):
        check_run_id(run_id)

"""What a model directory asks for, read from its files whoever wrote them."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from palate._environment.recorded import RefusedLine, read_recorded, read_recorded_lock
from palate._environment.requirements import MAX_LINES

MLFLOW_MODELS = sorted((Path(__file__).parent / "data" / "mlflow_models").glob("*/model"))
LOCKED = """
[[packages]]
name = "p{0}"
version = "1"
wheels = [{{name = "p{0}-1-py3-none-any.whl", hashes = {{sha256 = "{1}"}}}}]
"""
CONDA = """
channels: [conda-forge]
dependencies:
- python=3.9.2
- pip<=23
- pip: [six==1.16, "-c constraints.txt", 7]
"""


def write(directory: Path, **files: str) -> Path:
    """Write text files whose suffix stands after two underscores."""
    for name, text in files.items():
        (directory / name.replace("__", ".")).write_text(text)
    return directory


def test_the_files_of_a_directory(tmp_path: Path) -> None:
    """Python, requirements with extras and markers, constraints: each from its own file."""
    write(
        tmp_path,
        python_env__yaml="python: 3.11.7",
        requirements__txt="# mine\na[x]==1 ; python_version > '3'\n\nb\n-c constraints.txt",
        constraints__txt="c<2",
    )
    found = read_recorded(tmp_path, python="3.9")
    assert found.python == "3.11.7"
    assert [str(r) for r in found.requirements] == ['a[x]==1; python_version > "3"', "b"]
    assert [str(r) for r in found.constraints] == ["c<2"]
    assert found.refused == ()


def test_conda_says_it_where_the_other_files_do_not(tmp_path: Path) -> None:
    """MLflow's older directories have conda.yaml alone; MLmodel's Python comes last."""
    write(tmp_path, conda__yaml=CONDA, constraints__txt="six<2")
    found = read_recorded(tmp_path, python="3.7")
    assert (found.python, list(map(str, found.requirements))) == ("3.9.2", ["six==1.16"])
    assert list(map(str, found.constraints)) == ["six<2"]
    write(tmp_path, requirements__txt="")
    assert read_recorded(tmp_path).requirements == ()
    (tmp_path / "conda.yaml").unlink()
    assert read_recorded(tmp_path, python="3.7").python == "3.7"
    assert read_recorded(tmp_path).python is None


def test_constraints_count_only_where_they_are_named(tmp_path: Path) -> None:
    """pip reads the file only because requirements.txt says so."""
    write(tmp_path, requirements__txt="a", constraints__txt="b<1")
    assert read_recorded(tmp_path).constraints == ()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("-c other.txt", "pip options"),
        ("-r constraints.txt", "pip options"),
        ("--index-url https://user:secret@host/simple", "pip options"),
        ("a @ file:///etc/passwd", "a URL must be git"),
        ("a==1 \\", "continued"),
    ],
)
def test_a_line_that_is_no_requirement_is_kept_apart(tmp_path: Path, line: str, reason: str) -> None:
    """It is refused with its reason and without its password, and the others are read."""
    write(tmp_path, requirements__txt=f"a==1\n{line}\nb==2")
    found = read_recorded(tmp_path)
    assert [r.name for r in found.requirements] == ["a", "b"]
    [refused] = found.refused
    assert refused.file == "requirements.txt"
    assert reason in refused.reason
    assert "secret" not in refused.line + refused.reason


def test_constraints_are_bounds_only(tmp_path: Path) -> None:
    """A URL or an extra among them is refused."""
    write(tmp_path, requirements__txt="-c constraints.txt", constraints__txt=f"a[x]<1\nb @ git+https://h/b@{'0' * 40}")
    assert [refused.file for refused in read_recorded(tmp_path).refused] == ["constraints.txt"] * 2


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"a\n" * 1_000_000, None])
def test_a_file_that_nobody_can_read_is_told(tmp_path: Path, content: bytes | None) -> None:
    """No text, too much of it, or a link that leads elsewhere: the file is named."""
    path = tmp_path / "requirements.txt"
    path.write_bytes(content) if content is not None else path.symlink_to("/etc/hostname")
    [refused] = read_recorded(tmp_path).refused
    assert (refused.file, refused.line) == ("requirements.txt", None)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """Whoever made the directory may have put anything there."""
    os.mkfifo(tmp_path / "requirements.txt")
    [refused] = read_recorded(tmp_path).refused
    assert refused.reason == "it is no ordinary file"


def test_a_hundred_thousand_lines_are_not_all_read(tmp_path: Path) -> None:
    """R24: the time is bounded, and it is told that lines are left out."""
    write(tmp_path, requirements__txt="\n".join(f"p{n}" for n in range(100_000)))
    began = time.process_time()
    found = read_recorded(tmp_path)
    assert time.process_time() - began < 2
    assert len(found.requirements) == MAX_LINES
    assert found.refused[-1].reason == f"only the first {MAX_LINES} lines were read"


@pytest.mark.parametrize(
    "content", ["[", "python: [1]", "- 1", "python: 3.1", "x" * 300_000, "\x00", "dependencies: {}"]
)
def test_odd_yaml_says_nothing(tmp_path: Path, content: str) -> None:
    """It cannot explain anything, nor hurt; 3.10 that YAML has read as a number is not guessed at."""
    write(tmp_path, python_env__yaml=content, conda__yaml=content)
    assert read_recorded(tmp_path).python is None


@pytest.mark.parametrize("path", MLFLOW_MODELS, ids=lambda path: path.parent.name)
def test_directories_of_mlflow_are_understood(path: Path) -> None:
    """Python and every line; MLflow itself is told from the rest."""
    found = read_recorded(path, by_mlflow=True)
    assert found.python == "3.11.7"
    assert found.refused == ()
    assert [r.name for r in found.left_out] == ["mlflow"]
    assert "mlflow" not in [r.name for r in found.requirements]


def test_who_asks_for_mlflow_gets_it(tmp_path: Path) -> None:
    """Only stock MLflow writes the line into whatever it saves; in other directories somebody has meant it."""
    write(tmp_path, requirements__txt="mlflow==3.17.0\nmlflow_skinny\na==1")
    assert [r.name for r in read_recorded(tmp_path).requirements] == ["mlflow", "mlflow_skinny", "a"]
    assert read_recorded(tmp_path).left_out == ()
    assert [r.name for r in read_recorded(tmp_path, by_mlflow=True).requirements] == ["a"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('lock-version = "9"', "lock-version: is '9', and this Palate reads 1.x"),
        ("\x00", "is not TOML"),
        ("#" * (5 << 20), "is larger than"),
        (
            "\n".join(['lock-version = "1.0"', *(LOCKED.format(n, "0" * 64) for n in range(MAX_LINES + 1))]),
            "more than 1000",
        ),
    ],
)
def test_a_lock_that_cannot_be_used_is_told(tmp_path: Path, content: str, reason: str) -> None:
    """Whoever made the directory may have put anything there: nothing is raised, and there is a reason."""
    assert read_recorded_lock(tmp_path) is None
    write(tmp_path, pylock__toml=content)
    refused = read_recorded_lock(tmp_path)
    assert isinstance(refused, RefusedLine)
    assert (refused.file, reason in refused.reason) == ("pylock.toml", True)


def test_a_lock_elsewhere_is_not_followed(tmp_path: Path) -> None:
    """A link, a folder or a pipe is no file of the model's, and nobody waits for it."""
    for make in (os.mkfifo, os.mkdir, lambda path: path.symlink_to("/etc/hostname")):
        make(tmp_path / "pylock.toml")
        refused = read_recorded_lock(tmp_path)
        assert isinstance(refused, RefusedLine)
        assert refused.reason == "it is no ordinary file that can be read"
        (tmp_path / "pylock.toml").rename(tmp_path / f"was-{make.__name__}")

"""The stage: what is seen during a save, and what is left after every way out of it. Crashes: test_crash.py."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from palate._disk.staging import stage
from palate.errors import InvalidOption, ModelExists, SaveFailed, UnsupportedModel


def _save(target: Path, text: str = "new", *, overwrite: bool = False) -> None:
    with stage(target, overwrite=overwrite) as staging:
        (staging.path / "MLmodel").write_text(text)
        staging.publish()


def _fail(target: Path, error: BaseException) -> None:
    """Raise in the middle of a save."""
    with stage(target) as staging:
        (staging.path / "MLmodel").write_text("x")
        raise error


def _save_while(target: Path, act: Callable[[], object], *, overwrite: bool = False) -> None:
    """Save, and call *act* just before publishing."""
    with stage(target, overwrite=overwrite) as staging:
        (staging.path / "MLmodel").write_text("second")
        act()
        staging.publish()


def _old_stage(target: Path, *, age: float = 3600) -> Path:
    home = target.parent / f".{target.name}.palate-stage-1-0123456789abcdef"
    (home / "model").mkdir(parents=True)
    (home / "model" / "MLmodel").write_text("half")
    os.utime(home, (time.time() - age, time.time() - age))
    return home


def test_nothing_is_visible_before_publish(tmp_path) -> None:
    """While a model is written, its target does not exist; afterwards it is there and the stage is gone."""
    target = tmp_path / "m"
    with stage(target) as staging:
        (staging.path / "MLmodel").write_text("x")
        assert not target.exists()
        assert os.listdir(staging.path) == ["MLmodel"]
        staging.publish()
        assert (target / "MLmodel").read_text() == "x"
    assert os.listdir(tmp_path) == ["m"]


def test_the_stage_is_private_and_the_model_is_not(tmp_path) -> None:
    """Nobody else may look into an unfinished model (mode 0700); the finished one follows the umask."""
    old = os.umask(0o022)
    try:
        with stage(tmp_path / "m") as staging:
            assert stat.S_IMODE(staging.path.parent.stat().st_mode) == 0o700
            (staging.path / "MLmodel").write_text("x")
            staging.publish()
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "m").stat().st_mode) == 0o755


def test_leaving_without_publishing_leaves_nothing(tmp_path) -> None:
    """A block that does not publish saves nothing."""
    with stage(tmp_path / "m") as staging:
        (staging.path / "MLmodel").write_text("x")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "error", [ValueError("x"), KeyboardInterrupt(), SystemExit(1), UnsupportedModel("A", reason="b", hint="c")]
)
def test_errors_pass_and_leave_nothing(tmp_path, error) -> None:
    """Whatever ends the block comes out as it is, with stage and created parents removed."""
    with pytest.raises(type(error)) as caught:
        _fail(tmp_path / "a" / "b" / "m", error)
    assert caught.value is error
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EACCES, errno.EDQUOT])
def test_a_refusing_disk_is_save_failed(tmp_path, number) -> None:
    """An OSError while writing becomes SaveFailed with the reason and the original as its cause."""
    error = OSError(number, os.strerror(number))
    with pytest.raises(SaveFailed) as caught:
        _fail(tmp_path / "m", error)
    assert caught.value.__cause__ is error
    assert caught.value.errno == number
    assert os.strerror(number) in str(caught.value)
    assert os.listdir(tmp_path) == []


def test_a_missing_file_of_the_callers_is_not_save_failed(tmp_path) -> None:
    """An OSError about a file elsewhere, such as an artifact that does not exist, keeps naming that file."""
    with pytest.raises(FileNotFoundError, match=r"artifact\.csv"), stage(tmp_path / "m"):
        (tmp_path / "artifact.csv").read_text()


def test_parents_are_created(tmp_path) -> None:
    """Missing parent directories are made, as for any file that is saved."""
    _save(tmp_path / "a" / "b" / "m")
    assert (tmp_path / "a" / "b" / "m" / "MLmodel").exists()


def test_a_parent_that_is_a_file_is_reported(tmp_path) -> None:
    """A file on the way to the target is SaveFailed, not a traceback."""
    (tmp_path / "file").touch()
    with pytest.raises(SaveFailed, match="Not a directory"):
        _save(tmp_path / "file" / "m")


def test_a_name_that_no_disk_takes_is_reported(tmp_path) -> None:
    """A name that is too long is SaveFailed; one with a NUL is an argument that does not work."""
    with pytest.raises(SaveFailed, match="name too long"):
        _save(tmp_path / ("x" * 300))
    with pytest.raises(InvalidOption, match="path"):
        _save(Path(f"{tmp_path}/a\0b"))


def test_long_and_odd_names_work(tmp_path) -> None:
    """Any name that the disk takes is fine, also one so long that the stage's name needs a hash instead."""
    for name in ("x" * 255, "é" * 127, "a b", ".hidden", "-rf", "[a]*"):
        _save(tmp_path / name)
        _old_stage(tmp_path / name) if len(name) < 100 else None
        _save(tmp_path / name, overwrite=True)
    assert len(os.listdir(tmp_path)) == 6


# -- a taken target ----------------------------------------------------------------------------------------------------


def test_an_empty_directory_is_accepted(tmp_path) -> None:
    """As in MLflow, an existing empty directory may be saved to."""
    (tmp_path / "m").mkdir()
    _save(tmp_path / "m")
    assert (tmp_path / "m" / "MLmodel").exists()


def test_a_taken_target_is_refused_before_any_work(tmp_path) -> None:
    """A model, other files, a file and a link at the target are refused at once, unless a model may be replaced."""
    _save(tmp_path / "model")
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "thesis.tex").touch()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    before = sorted(os.listdir(tmp_path))
    for name, is_model, overwrite in [
        ("model", True, False),
        *((name, False, overwrite) for name in ("files", "file", "link") for overwrite in (False, True)),
    ]:
        with pytest.raises(ModelExists) as caught, stage(tmp_path / name, overwrite=overwrite):
            pytest.fail("the block must not be entered")
        assert ("overwrite=True" in str(caught.value)) == is_model
    assert sorted(os.listdir(tmp_path)) == before


def test_overwrite_replaces_a_model(tmp_path) -> None:
    """With overwrite, the new model stands in the old one's place, and nothing of the old one is left."""
    _save(tmp_path / "m", "old")
    (tmp_path / "m" / "extra").touch()
    _save(tmp_path / "m", "new", overwrite=True)
    assert (tmp_path / "m" / "MLmodel").read_text() == "new"
    assert os.listdir(tmp_path / "m") == ["MLmodel"]
    assert os.listdir(tmp_path) == ["m"]


def test_a_failed_replacement_keeps_the_old_model(tmp_path) -> None:
    """An error during an overwriting save leaves the old model as it was."""
    _save(tmp_path / "m", "old")
    with pytest.raises(ValueError, match="no"), stage(tmp_path / "m", overwrite=True):
        raise ValueError("no")
    assert (tmp_path / "m" / "MLmodel").read_text() == "old"


def test_a_target_taken_meanwhile_is_not_replaced(tmp_path) -> None:
    """Whoever published first stays: the second save gets ModelExists and loses only its own work."""
    with pytest.raises(ModelExists):
        _save_while(tmp_path / "m", lambda: _save(tmp_path / "m", "first"))
    assert (tmp_path / "m" / "MLmodel").read_text() == "first"
    assert os.listdir(tmp_path) == ["m"]


def test_files_put_at_the_target_meanwhile_are_not_replaced(tmp_path) -> None:
    """Even with overwrite, files that are not a model's and appeared during the save stay."""

    def put_files() -> None:
        (tmp_path / "m").mkdir()
        (tmp_path / "m" / "thesis.tex").touch()

    with pytest.raises(ModelExists):
        _save_while(tmp_path / "m", put_files, overwrite=True)
    assert os.listdir(tmp_path / "m") == ["thesis.tex"]


def test_the_target_never_disappears_while_it_is_replaced(tmp_path) -> None:
    """A reader that keeps looking finds a model at every moment of many replacements."""
    _save(tmp_path / "m")
    watcher = subprocess.Popen(
        [sys.executable, "-c", "import os, sys\nwhile not os.path.exists(sys.argv[2]): os.stat(sys.argv[1])",
         str(tmp_path / "m"), str(tmp_path / "stop")]
    )  # fmt: skip
    for number in range(100):
        _save(tmp_path / "m", str(number), overwrite=True)
    (tmp_path / "stop").touch()
    assert watcher.wait(timeout=60) == 0


# -- links and dots in the path ----------------------------------------------------------------------------------------


def test_links_on_the_way_are_followed(tmp_path) -> None:
    """A link to a directory in the target's path leads there, and ".." behind it means what the system says."""
    (tmp_path / "real" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real" / "deep")
    _save(tmp_path / "link" / "a")
    _save(tmp_path / "link" / ".." / "b")
    assert (tmp_path / "real" / "deep" / "a" / "MLmodel").exists()
    assert (tmp_path / "real" / "b" / "MLmodel").exists()


def test_relative_targets_work(tmp_path, monkeypatch) -> None:
    """A relative path is taken from the working directory, which may change during the save."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    with stage(Path("m")) as staging:
        (staging.path / "MLmodel").touch()
        os.chdir("elsewhere")
        staging.publish()
    assert (tmp_path / "m" / "MLmodel").exists()


# -- stages of killed savers -------------------------------------------------------------------------------------------


def test_a_killed_savers_stage_is_swept(tmp_path) -> None:
    """M25: an old stage whose lock is free is removed by the next save to the same target."""
    home = _old_stage(tmp_path / "m")
    _save(tmp_path / "m")
    assert not home.exists()


def test_a_young_stage_is_left_alone(tmp_path) -> None:
    """A stage of the last minutes may belong to a saver that has not locked it yet."""
    home = _old_stage(tmp_path / "m", age=60)
    _save(tmp_path / "m")
    assert home.exists()


def test_a_live_stage_is_left_alone(tmp_path) -> None:
    """However long a save takes, its stage is locked and not swept."""
    with stage(tmp_path / "m") as staging:
        (staging.path / "MLmodel").write_text("slow")
        os.utime(staging.path.parent, (0, 0))
        with stage(tmp_path / "m"):
            assert staging.path.exists()
        staging.publish()
    assert (tmp_path / "m" / "MLmodel").read_text() == "slow"


def test_only_stages_of_the_same_target_are_swept(tmp_path) -> None:
    """Stages of other targets, and names that only resemble a stage, are none of this save's business."""
    kept = [_old_stage(tmp_path / "mm"), tmp_path / ".m.palate-stage-x", tmp_path / ".m.palate-stage-1-0123"]
    for directory in kept[1:]:
        directory.mkdir()
        os.utime(directory, (0, 0))
    link = tmp_path / ".m.palate-stage-2-0123456789abcdef"
    link.symlink_to(kept[0])
    _save(tmp_path / "m")
    assert all(directory.exists() for directory in kept)
    assert link.is_symlink()


def test_an_old_model_cut_off_in_two_step_replacement_is_put_back(tmp_path) -> None:
    """A saver killed between its two renames left the old model in its stage; the next save finds it."""
    home = _old_stage(tmp_path / "m")
    (home / "old").mkdir()
    (home / "old" / "MLmodel").write_text("old")
    os.utime(home, (0, 0))
    with pytest.raises(ModelExists):
        _save(tmp_path / "m")
    assert (tmp_path / "m" / "MLmodel").read_text() == "old"
    assert os.listdir(tmp_path) == ["m"]

"""Checks: a directory loads wherever it is put."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

import pytest

from palate.testing._files import fingerprint
from palate.testing._subject import Saved, Subject

__all__ = ["PlaceChecks"]


class PlaceChecks(Subject):
    """A directory is only files: it can stand anywhere."""

    def test_moved_directory_loads(self, saved: Saved, tmp_path: Path) -> None:
        """A directory loads after it was moved, from its new place and with the old one gone."""
        written = self.save(saved.native, saved.rows(), tmp_path / "written")
        self.assert_predicts_the_same(saved, saved.load(written.path.rename(tmp_path / "moved")))

    def test_read_only_directory_loads(self, saved: Saved, tmp_path: Path) -> None:
        """Loading and predicting write nothing into the directory: in a container it is mounted read-only."""
        path = Path(shutil.copytree(saved.path, tmp_path / "model"))
        for entry in (path, *path.rglob("*")):
            entry.chmod(entry.stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
        before = fingerprint(path)
        try:
            self.assert_predicts_the_same(saved, saved.load(path))
            assert fingerprint(path) == before, "loading changed the directory"
        finally:
            for entry in (path, *path.rglob("*")):  # or nobody could remove it
                entry.chmod(entry.stat().st_mode | stat.S_IWUSR)

    def test_path_beyond_ascii_works(self, saved: Saved, tmp_path: Path) -> None:
        """A path with letters of other scripts works for saving and loading: native libraries often get it wrong."""
        written = self.save(saved.native, saved.rows(), tmp_path / "modèle 模型 \N{SNOWMAN}" / "é")
        self.assert_predicts_the_same(saved, saved.load(written.path))

    def test_path_with_spaces_works(self, saved: Saved, tmp_path: Path) -> None:
        """A path with spaces, quotes and percent signs works, as it is no shell command and no URL."""
        written = self.save(saved.native, saved.rows(), tmp_path / "my 'model' 100%20 #1" / "a b")
        self.assert_predicts_the_same(saved, saved.load(written.path))

    def test_relative_path_works(self, saved: Saved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A relative path works, and the loaded model goes on after the process has changed directory."""
        monkeypatch.chdir(tmp_path)
        written = self.save(saved.native, saved.rows(), Path("model"))
        model = saved.load(written.path)
        monkeypatch.chdir("/")
        self.assert_predicts_the_same(saved, model)

"""Checks: what cannot be saved is refused, and a save that fails leaves nothing."""

from __future__ import annotations

import gc
import resource
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import palate
from palate._disk.stages import STAGE_PATTERN
from palate.errors import FlavorBroken, InvalidSignature, ModelExists, PalateError, SaveFailed, UnsupportedModel
from palate.testing._files import fingerprint, native_files
from palate.testing._subject import Saved, Subject

__all__ = ["SavingChecks"]

_INTERRUPTS = 6


class SavingChecks(Subject):
    """A save succeeds whole, or leaves nothing."""

    def test_existing_target_is_refused(self, saved: Saved, tmp_path: Path) -> None:
        """A path that is taken is refused and what is there stays: nobody loses a model by a wrong name."""
        target = tmp_path / "model"
        target.mkdir()
        (target / "precious.txt").write_text("precious")
        before = fingerprint(tmp_path)
        with pytest.raises(ModelExists):
            self.save(saved.native, saved.rows(), target)
        assert fingerprint(tmp_path) == before

    def test_overwriting_replaces_the_whole(self, saved: Saved, tmp_path: Path) -> None:
        """overwrite=True leaves no file of the model that was there before."""
        first = self.save(saved.native, saved.rows(), tmp_path / "model")
        (first.path / "of the old one").write_text("old")
        again = self.save(saved.native, saved.rows(), tmp_path / "model", overwrite=True)
        assert not (again.path / "of the old one").exists()
        assert native_files(again.path) == native_files(saved.path)

    def test_foreign_model_is_refused(self, foreign_model: Any, tmp_path: Path) -> None:
        """An object that is no model of this framework is refused as such, and nothing is written."""
        for foreign in (foreign_model, None, 7, b"bytes", {"a": 1}):
            with pytest.raises(UnsupportedModel):
                palate.save_model(foreign, tmp_path / "model", flavor=self.flavor, format=self.format)
        assert not list(tmp_path.iterdir())

    def test_untrained_model_is_saved_or_refused(self, saved: Saved, tmp_path: Path) -> None:
        """An object of the model's class that nobody has trained is saved, or refused in words: people forget to."""
        kind = type(saved.native)
        try:
            untrained = kind()
        except Exception as exc:
            pytest.skip(f"a {kind.__name__} cannot be made of nothing: {exc}")
        try:
            palate.save_model(
                untrained, tmp_path / "model", flavor=self.flavor, format=self.format, **self.save_options
            )
        except FlavorBroken as exc:
            pytest.fail(f"the flavor failed where it should have refused: {exc}")
        except PalateError:
            assert not list(tmp_path.iterdir())

    def test_full_disk_leaves_nothing(self, saved: Saved, tmp_path: Path) -> None:
        """When the disk is full the error says so, and neither half a model nor a temporary file is left."""
        with pytest.raises(SaveFailed):
            self._save_on_full_disk(saved, tmp_path / "model")
        assert not list(tmp_path.iterdir())

    def test_full_disk_keeps_the_old_model(self, saved: Saved, tmp_path: Path) -> None:
        """A model that could not be overwritten, as the disk is full, is still there as it was."""
        old = self.save(saved.native, saved.rows(), tmp_path / "model")
        before = fingerprint(old.path)
        with pytest.raises(SaveFailed):
            self._save_on_full_disk(saved, old.path, overwrite=True)
        assert fingerprint(old.path) == before
        assert [path.name for path in tmp_path.iterdir()] == ["model"]

    # Where an interrupt comes just then, a file is closed by its destructor, or a destructor itself is interrupted.
    @pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
    def test_interrupted_save_leaves_all_or_nothing(self, saved: Saved, tmp_path: Path) -> None:
        """Ctrl-C at any moment leaves a whole model or none at all."""
        started = time.perf_counter()
        self.save(saved.native, saved.rows(), tmp_path / "timed")
        duration = time.perf_counter() - started
        for number in range(_INTERRUPTS):
            folder = tmp_path / str(number)
            folder.mkdir()
            with _interrupt_after(duration * (number + 1) / (_INTERRUPTS + 1)):
                self.save(saved.native, saved.rows(), folder / "model")
            # Amid its own cleaning up an interrupt leaves a stage, as a kill does; the next save there removes it.
            left = {path.name for path in folder.iterdir()} - {path.name for path in folder.glob(STAGE_PATTERN)}
            assert left <= {"model"}, f"a temporary file is left: {', '.join(sorted(left - {'model'}))}"
            if (folder / "model").exists():
                self.assert_predicts_the_same(saved, saved.load(folder / "model"))
        gc.collect()

    def _save_on_full_disk(self, saved: Saved, path: Path, **options: Any) -> None:
        """Save where the flavor's own largest file does not fit; without an example, so that this comes first."""
        limit = max(1, max((saved.path / name).stat().st_size for name in native_files(saved.path)) // 2)
        signature = saved.loaded.signature
        with _largest_file(limit):
            try:
                self.save(saved.native, None, path, signature=signature, **options)
            except (InvalidSignature, UnsupportedModel):  # the flavor needs an example
                self.save(saved.native, saved.rows(), path, **options)


@contextmanager
def _largest_file(size: int) -> Iterator[None]:
    """Let no file grow beyond *size* bytes, as on a disk with so much left. Python ignores the signal that goes with
    it, and writing fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def _interrupt_after(seconds: float) -> Iterator[None]:
    """Raise KeyboardInterrupt in the block after so many seconds, if it takes that long.

    One that comes while Python clears an object away is lost, as Python does with it, and one between the opening of a
    file and its ``with`` leaves the file to be closed by itself; pytest would count both as faults.
    """
    came: list[int] = []

    def interrupt(number: int, _frame: FrameType | None) -> None:
        came.append(number)
        raise KeyboardInterrupt

    before, told = signal.signal(signal.SIGALRM, interrupt), sys.unraisablehook
    sys.unraisablehook = lambda lost: None if lost.exc_type in (KeyboardInterrupt, ResourceWarning) else told(lost)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except KeyboardInterrupt:
        pass
    except Exception:
        if not came:
            raise
        # A framework's compiled code may tell it as an error of its own; what counts is what is left.
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        sys.unraisablehook = told

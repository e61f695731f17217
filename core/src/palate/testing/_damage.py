"""Checks: files that somebody damaged, or made up, are refused in words and never end the process."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from palate.testing._files import native_files
from palate.testing._predictions import compare_answers
from palate.testing._processes import TaskFailed, Worker, WorkerDied, WorkerStuck
from palate.testing._subject import Saved, Subject
from palate.testing._tasks import open_damaged

__all__ = ["DamageChecks"]

_FLIPS = 24  # for each model; the same each time
_FILES = 6  # the largest ones stand for the rest
_WRONG_VALUES: tuple[object, ...] = (
    None, True, -1, 1.5, "", "no such file", "../../../../etc/passwd", "/etc/passwd", "a\0b", [], ["a"], {}, {"a": {}},
)  # fmt: skip

_DOING = "load a damaged directory and predict"

Damage = Callable[[bytes], bytes]


class DamageChecks(Subject):
    """A bad file is an error message, not a crash: directories come from strangers, and from full disks."""

    def test_truncated_file_is_refused(self, saved: Saved, worker: Worker, tmp_path: Path) -> None:
        """A file that was cut off, as by a download that broke, is refused in words, or makes no difference."""
        damages: dict[str, Damage] = {
            "emptied": lambda data: data[:0],
            "halved": lambda data: data[: len(data) // 2],
            "one byte short": lambda data: data[:-1],
        }
        self._refuses_all(saved, worker, tmp_path, damages)

    def test_page_for_a_file_is_refused(self, saved: Saved, worker: Worker, tmp_path: Path) -> None:
        """What a server sends instead of a file is refused in words, or makes no difference: nobody predicts with it
        unawares."""
        damages: dict[str, Damage] = {
            "a pointer of Git LFS": lambda _: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
            "a web page": lambda _: b"<!DOCTYPE html><html><body>404</body></html>",
        }
        self._refuses_all(saved, worker, tmp_path, damages)

    def test_garbled_file_never_crashes(self, saved: Saved, worker: Worker, tmp_path: Path) -> None:
        """A file of noise loads, as numbers may be any, or is refused in words; it never ends the process."""
        noise = random.Random(0)
        damages: dict[str, Damage] = {
            "random bytes": lambda data: noise.randbytes(len(data)),
            "zeros": lambda data: bytes(len(data)),
            "with a tail": lambda data: data + b"\0tail",
        }
        self._refuses_all(saved, worker, tmp_path, damages, may_load=True)

    def test_flipped_bits_never_crash(self, saved: Saved, worker: Worker, tmp_path: Path) -> None:
        """A file with one bit wrong loads or is refused; it never ends the process, as native readers do that trust
        the lengths in a file."""
        if saved.trust:
            pytest.skip("the format needs trust: a pickle with a bit wrong may do anything")
        places = random.Random(0)

        def flip(data: bytes) -> bytes:
            if not data:
                return data
            at = places.randrange(len(data))
            return data[:at] + bytes([data[at] ^ (1 << places.randrange(8))]) + data[at + 1 :]

        self._refuses_all(saved, worker, tmp_path, {f"flip {number}": flip for number in range(_FLIPS)}, may_load=True)

    def test_missing_file_is_refused(self, saved: Saved, worker: Worker, tmp_path: Path) -> None:
        """A file that is not there is missed in words, or makes no difference."""
        found = []
        for name in self._files(saved):
            with _copied(saved.path, tmp_path) as path:
                (path / name).unlink()
                found.append(self._refusal(saved, worker, path, f"without {name}"))
        assert not any(found), "\n".join(filter(None, found))

    def test_folder_for_a_file_is_refused(self, saved: Saved, worker: Worker, tmp_path: Path) -> None:
        """A folder where a file should be is refused in words, or makes no difference."""
        found = []
        for name in self._files(saved):
            with _copied(saved.path, tmp_path) as path:
                (path / name).unlink()
                (path / name).mkdir()
                found.append(self._refusal(saved, worker, path, f"{name} is a folder"))
        assert not any(found), "\n".join(filter(None, found))

    def test_hostile_section_is_refused(self, saved: Saved, worker: Worker, tmp_path: Path) -> None:
        """Values of the section that a stranger wrote, of any type, are refused in words or make do: they are input
        like any."""
        found = []
        for key in saved.section:
            sections = {f"{key}={value!r}": {**saved.section, key: value} for value in _WRONG_VALUES}
            sections[f"without {key}"] = {name: value for name, value in saved.section.items() if name != key}
            for label, section in sections.items():
                with self._with_section(saved, tmp_path, section) as path:
                    found.append(self._refusal(saved, worker, path, label, may_load=True))
        assert not any(found), "\n".join(filter(None, found))

    def test_path_out_of_the_directory_is_refused(self, saved: Saved, worker: Worker, tmp_path: Path) -> None:
        """A path that leads to a sound file outside of the directory is refused, or a stranger's directory could have
        any file of this machine opened."""
        outside = Path(shutil.copytree(saved.path, tmp_path / "outside"))
        named = {
            key: value
            for key, value in saved.section.items()
            if isinstance(value, str) and value and (saved.path / value).exists()
        }
        if not named:
            pytest.skip("no value of the section is a path")
        found = []
        for key, value in named.items():
            for way in (f"../outside/{value}", str(outside / value)):
                with self._with_section(saved, tmp_path, {**saved.section, key: way}) as path:
                    if worker.call(_DOING, open_damaged, path, saved.options, saved.rows()) is not None:
                        found.append(f"{key}={way!r} is opened")
        assert not found, "\n".join(found)

    @contextmanager
    def _with_section(self, saved: Saved, tmp_path: Path, section: Mapping[str, Any]) -> Iterator[Path]:
        """Give a copy of the directory with another section in its MLmodel."""
        with _copied(saved.path, tmp_path) as path:
            document = yaml.safe_load((path / "MLmodel").read_text())
            document["flavors"][self.flavor] = dict(section)
            (path / "MLmodel").write_text(yaml.safe_dump(document, sort_keys=False))
            yield path

    def _refuses_all(
        self,
        saved: Saved,
        worker: Worker,
        tmp_path: Path,
        damages: Mapping[str, Damage],
        *,
        may_load: bool = False,
    ) -> None:
        found = []
        for name in self._files(saved):
            for label, damage in damages.items():
                with _copied(saved.path, tmp_path) as path:
                    (path / name).write_bytes(damage((path / name).read_bytes()))
                    found.append(self._refusal(saved, worker, path, f"{name}, {label}", may_load=may_load))
        assert not any(found), "\n".join(filter(None, found))

    def _refusal(self, saved: Saved, worker: Worker, path: Path, label: str, *, may_load: bool = False) -> str | None:
        """Return what is wrong with how a damaged directory was refused, or None.

        With *may_load* it may as well be loaded as another model, which then may predict anything.
        """
        try:
            answer = worker.call(_DOING, open_damaged, path, saved.options, saved.rows())
        except WorkerStuck as exc:  # whatever comes next would take as long
            pytest.fail(f"{label}: {exc}")
        except (WorkerDied, TaskFailed) as exc:
            return f"{label}: {exc}"
        if answer is None or may_load:
            return None
        found = compare_answers(saved.answer, answer, rtol=self.rtol, atol=self.atol)
        return f"{label}: it loads, and then: {'; '.join(found)}" if found else None

    def _files(self, saved: Saved) -> list[str]:
        by_size = sorted(native_files(saved.path), key=lambda name: -(saved.path / name).stat().st_size)
        return by_size[:_FILES]


@contextmanager
def _copied(directory: Path, folder: Path) -> Iterator[Path]:
    """Give a copy of a directory, to be damaged."""
    path = Path(shutil.copytree(directory, folder / "damaged"))
    try:
        yield path
    finally:
        shutil.rmtree(path)

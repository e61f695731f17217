"""Checks: what stands in the directory and in MLmodel."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from palate._environment.requirements import normalise_name
from palate._flavor import Flavor
from palate.hookspecs import SaveOptions
from palate.testing._files import contents_within, native_files
from palate.testing._subject import Saved, Subject

__all__ = ["DirectoryChecks"]

_SECTION_LIMIT = 16 << 10


class DirectoryChecks(Subject):
    """What is written is what others can read."""

    def test_section_is_plain_yaml(self, model: Any, sample: Any, tmp_path: Path) -> None:
        """The section in MLmodel is text, numbers, lists and dicts, which every YAML reader reads without code."""
        written = self.save(model, sample, tmp_path / "model")  # where Palate refuses what is not plain
        assert yaml.safe_load((written.path / "MLmodel").read_text())["flavors"][self.flavor] == dict(written.section)

    def test_section_is_small(self, saved: Saved) -> None:
        """The section describes the model and does not hold it: MLmodel is read whole, by everybody, at each look."""
        size = len(yaml.safe_dump(dict(saved.section)))
        assert size < _SECTION_LIMIT, f"the section has {size} bytes; write what is large to a file"

    def test_section_names_the_version(self, saved: Saved) -> None:
        """The section has the version of a package that the model needs, so that a later reader knows what wrote it."""
        if not self._requirements(saved):
            pytest.skip("the flavor names no requirements")
        versions = {
            specifier.version for requirement in self._requirements(saved) for specifier in requirement.specifier
        }
        # "2.13.0+cpu" is a build of 2.13.0, which is what pip can be asked for.
        written = {value.partition("+")[0] for _, value in _leaves(saved.section) if isinstance(value, str)}
        needed = ", ".join(map(str, self._requirements(saved)))
        assert versions & written, (
            f"no value of the section is the version of what is required ({needed}): add one to what save_model "
            "returns, such as {'framework_version': framework.__version__}"
        )

    def test_section_paths_lead_into_the_directory(self, saved: Saved) -> None:
        """Paths in MLmodel are relative and stay inside, so that a directory can be moved and trusts no other."""
        for place, value in _leaves(saved.section):
            if isinstance(value, str) and ("/" in value or (saved.path / value).exists()):
                inside = (saved.path / value).resolve().is_relative_to(saved.path.resolve())
                assert not os.path.isabs(value), f"{place} is an absolute path"
                assert inside, f"{place} leaves the directory"

    def test_no_file_names_this_machine(self, saved: Saved) -> None:
        """No file holds the path it was written under: it would be wrong elsewhere, and tells strangers of this
        machine."""
        places = [os.fsencode(path) for path in (saved.path, saved.path.parent, Path.home()) if len(path.parts) > 2]
        naming = [
            place
            for name in ("MLmodel", *native_files(saved.path))
            for place, data in contents_within(saved.path / name)
            if any(path in data for path in places)
        ]
        assert not naming, f"these name a path of this machine: {', '.join(naming)}"

    def test_directory_holds_plain_files(self, model: Any, sample: Any, tmp_path: Path) -> None:
        """There are files and folders and no links, which point elsewhere after a copy."""
        path = self.save(model, sample, tmp_path / "model").path  # where Palate refuses links and pipes
        strange = [p.name for p in path.rglob("*") if p.is_symlink() or not (p.is_file() or p.is_dir())]
        assert not strange, f"neither files nor folders: {', '.join(strange)}"

    def test_flavor_writes_a_file(self, saved: Saved) -> None:
        """The model stands in a file of its own beside MLmodel."""
        assert native_files(saved.path), "the flavor wrote no file"

    def test_same_model_gives_the_same_bytes(self, saved: Saved, tmp_path: Path) -> None:
        """The same model gives the same files, byte for byte, since their digest is the model's identity."""
        again = self.save(saved.native, saved.rows(), tmp_path / "again")
        assert native_files(again.path) == native_files(saved.path)
        changed = [
            name
            for name in native_files(saved.path)
            if (again.path / name).read_bytes() != (saved.path / name).read_bytes()
        ]
        assert not changed, f"these differ from save to save: {', '.join(changed)}"
        assert again.section == saved.section

    def test_nothing_is_written_elsewhere(self, saved: Saved, tmp_path: Path, monkeypatch: Any) -> None:
        """Saving leaves no file outside of the directory: not beside it, not here, not among the temporary ones."""
        elsewhere = {name: tmp_path / name for name in ("here", "temporary", "home", "target")}
        for folder in elsewhere.values():
            folder.mkdir()
        monkeypatch.chdir(elsewhere["here"])
        for variable, name in {"TMPDIR": "temporary", "HOME": "home"}.items():
            monkeypatch.setenv(variable, str(elsewhere[name]))
        monkeypatch.setattr("tempfile.tempdir", None)
        self.save(saved.native, saved.rows(), elsewhere["target"] / "model")
        left = [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")]
        strange = [
            p for p in left if p not in elsewhere and not p.startswith(("target/model/",)) and p != "target/model"
        ]
        assert not strange, f"left behind: {', '.join(strange)}"

    def test_requirements_are_pinned(self, saved: Saved) -> None:
        """The environment pins exact versions, as a model is only known to work with those it was saved with."""
        loose = [
            str(requirement)
            for requirement in self._requirements(saved)
            if [specifier.operator for specifier in requirement.specifier] != ["=="]
        ]
        assert not loose, f"without '==': {', '.join(loose)}"

    def test_requirements_name_the_framework(self, saved: Saved, activated: Flavor) -> None:
        """The flavor requires its framework: what a model's classes show of that, which Palate adds, is not all."""
        providers = importlib.metadata.packages_distributions()
        packages = set(activated.packages) - {"palate"}
        wanted = {normalise_name(name) for package in packages for name in providers.get(package, ())}
        extra = {name: value for name, value in self.save_options.items() if name in activated.save_options}
        options = SaveOptions(format=self.format or activated.formats[0], extra=extra)
        names = {normalise_name(Requirement(line).name) for line in activated.requirements(saved.native, options)}
        assert not wanted or wanted & names, f"none of {sorted(wanted)} is what the hook requirements answers"

    def test_requirements_are_what_is_installed(self, saved: Saved) -> None:
        """The versions in the environment are the installed ones, with which the model was just proved."""
        for requirement in self._requirements(saved):
            installed = importlib.metadata.version(requirement.name)
            assert requirement.specifier.contains(installed, prereleases=True), f"{requirement}, installed {installed}"

    def _requirements(self, saved: Saved) -> list[Requirement]:
        lines = (saved.path / "requirements.txt").read_text().splitlines()
        found = [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]
        return [requirement for requirement in found if normalise_name(requirement.name) != "mlflow"]


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    if type(value) is dict:
        for key, member in value.items():
            yield f"{place}.{key}", key
            yield from _leaves(member, f"{place}.{key}")
    elif type(value) is list:
        for number, item in enumerate(value):
            yield from _leaves(item, f"{place}[{number}]")
    else:
        yield place, value

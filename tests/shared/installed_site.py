"""Distributions as pip leaves them in a site-packages folder: files, metadata, and where they came from."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Site", "write_wheel"]


def _members(name: str, version: str, files: Mapping[str, str], requires: Iterable[str]) -> tuple[str, dict[str, str]]:
    """Return the folder of a distribution's metadata, and all its files."""
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    lines = tuple(requires)
    extras = sorted({extra for line in lines for extra in re.findall(r"extra == ['\"]([^'\"]+)", line)})
    headers = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    headers += [f"Provides-Extra: {extra}" for extra in extras]
    metadata = "\n".join([*headers, *(f"Requires-Dist: {line}" for line in lines), "", "Read me", ""])
    wheel = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    return info, {**files, f"{info}/METADATA": metadata, f"{info}/WHEEL": wheel}


def _record(files: Mapping[str, str]) -> str:
    digests = {name: hashlib.sha256(text.encode()).digest() for name, text in files.items()}
    encoded = {name: base64.urlsafe_b64encode(digest).rstrip(b"=").decode() for name, digest in digests.items()}
    return "".join(f"{name},sha256={digest},{len(files[name])}\n" for name, digest in encoded.items())


@dataclass(frozen=True, slots=True)
class Site:
    """A folder of installed distributions, which is on sys.path."""

    folder: Path

    def install(
        self, name: str, version: str, files: Mapping[str, str], *, requires: Iterable[str] = (), origin: object = None
    ) -> Path:
        """Install a distribution of these files (path: content) and return its dist-info folder."""
        folder, members = _members(name, version, files, requires)
        info = self.folder / folder
        for file, text in members.items():
            (self.folder / file).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / file).write_text(text)
        (info / "RECORD").write_text(_record(members) + f"{folder}/RECORD,,\n")
        if origin is not None:
            (info / "direct_url.json").write_text(json.dumps(origin))
        return info


def write_wheel(folder: Path, name: str, version: str, files: Mapping[str, str], requires: Iterable[str] = ()) -> Path:
    """Write a wheel that pip would install, of these files, and return its path."""
    info, members = _members(name, version, files, requires)
    path = folder / f"{info.removesuffix('.dist-info')}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in members.items():
            archive.writestr(zipfile.ZipInfo(member), text)
        archive.writestr(zipfile.ZipInfo(f"{info}/RECORD"), _record(members) + f"{info}/RECORD,,\n")
    return path

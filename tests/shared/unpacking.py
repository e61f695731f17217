"""Small models in one file, and processes that open them: each fills a cache, says what it found, and may stay."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from palate._disk.manifest import check_manifest, read_manifest, write_manifest
from palate.packing import pack_directory

__all__ = ["cached", "make_archive", "settle", "start_opener", "wait_for_line"]

_OPENER = """
import os, sys, time
from pathlib import Path
from palate._archive.cache import find_unpacked
archive, start, again = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
while start and not os.path.exists(start):
    time.sleep(0.002)
def written():
    return int(open("/proc/self/io").read().split("wchar:")[1].split()[0])
before = written()
for number in range(again):
    found = find_unpacked(archive)
    assert sorted(os.listdir(found)) == ["MANIFEST.json", "MLmodel", "weights"], os.listdir(found)
print(found.name, written() - before, flush=True)
sys.stdin.read()  # until the test has had enough of it
"""


def make_archive(file: Path, seed: str, size: int = 1_000) -> str:
    """Write a model of about *size* bytes as one file; return its digest."""
    root = file.with_name(f"{file.name}-directory")
    root.mkdir()
    (root / "MLmodel").write_text(f"flavors: {{seed: {seed}}}\n")
    (root / "weights").write_bytes(seed.encode() * (size // len(seed)))
    write_manifest(root)
    digest = pack_directory(root, file).digest
    assert digest is not None
    return digest


def settle() -> None:
    """Wait until a change of a file that was just written must be seen by its times."""
    time.sleep(2.1)


def cached(cache: Path) -> set[str]:
    """Return the names of the directories in a cache, each of which must be a whole model."""
    found = {path.name for path in (cache / "models").glob("[0-9a-f]*")}
    for name in found:
        manifest = read_manifest(cache / "models" / name)
        assert manifest is not None, "a directory without a manifest is visible"
        check_manifest(cache / "models" / name, manifest)
    return found


@contextmanager
def start_opener(
    archive: Path, *, start: Path | None = None, again: int = 1, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Run a process that opens an archive when the file *start* is there, and lives until the block is left."""
    command = [sys.executable, "-c", _OPENER, str(archive), str(start or ""), str(again)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, env={**os.environ, **(environment or {})}, text=True, **pipes)
    try:
        assert wait_for_line(process) == ["ready"]
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for_line(process: subprocess.Popen[str]) -> list[str]:
    """Return the words of the next line that a process writes."""
    assert process.stdout is not None
    assert process.stderr is not None
    line = process.stdout.readline()
    assert line, process.stderr.read()[-2000:]
    return line.split()

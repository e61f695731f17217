"""Fill the cache of unpacked models from an archive and exit; the tests kill this process, and fail its calls.

argv: the archive, the cache, the directory of the package ``palate``, where PyYAML is, and optionally "in-place".
"""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path

# Only the modules under test, not the whole package with its dependencies: a run must take milliseconds.
package = types.ModuleType("palate")
package.__path__ = [sys.argv[3]]
sys.modules["palate"] = package
sys.path.append(sys.argv[4])

import shutil  # noqa: E402, F401  (would be imported on the way)

from palate._archive import cache  # noqa: E402
from palate._archive.reading import open_archive  # noqa: E402
from palate.errors import PalateError  # noqa: E402


def mark(name: str) -> None:
    """Leave a trace that strace shows."""
    try:
        os.stat(f"/PALATE-MARK-{name}")
    except OSError:
        return


def fill_in_place(archive: Path, folder: Path) -> None:
    """Unpack under the final name, which the harness must find out."""
    with open_archive(archive) as opened:
        name = cache._read_contents(opened).name
        for member in opened.layout.members:
            file = folder / name / member.content.name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"".join(opened.chunks(member.offset, member.content.size)))


os.environ["PALATE_CACHE"] = sys.argv[2]
try:
    mark("BEGIN")
    if sys.argv[5:] == ["in-place"]:
        fill_in_place(Path(sys.argv[1]), cache.model_cache(os.environ))
    else:
        cache.find_unpacked(Path(sys.argv[1]))
    mark("END")
except PalateError as exc:
    print(f"{type(exc).__name__}: {exc}", file=sys.stderr)
    sys.exit(3)

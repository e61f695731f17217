"""The README.md of a bundle: plain commands, for a host that has no Palate yet."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from palate._environment.lock import LOCK_FILE, Lock
from palate._environment.requirements import REQUIREMENTS_FILE
from palate._rebuilding.wanted import Wanted

__all__ = ["bundle_notes"]

_TEXT = """\
# The environment of the model `{shown}`

{count} packages, for Python {python} on {machines}. Nothing here needs a network.

    python{python} -m venv environment
    environment/bin/python -m pip install --no-index --find-links wheels --require-hashes -r {requirements}

With uv, in place of the second line:

    uv pip sync --python environment --offline --no-index {lock}

The model itself is not in here: bring its folder along. Then it can be verified, and predict:

    environment/bin/palate verify {model}
    environment/bin/palate predict {model} ROWS.csv

Where Palate is installed already, one command builds the environment and replays the model's predictions in it:

    palate env create --bundle . {model}

`wheels/` has the files, Palate's own included; `{requirements}` and `{lock}` have the SHA-256 of each.
"""


def bundle_notes(wanted: Wanted, lock: Lock, machines: Sequence[str]) -> str:
    """Return what the bundle of a model says of itself."""
    # Quotes keep a line break in a shell's word, but not in the block of Markdown that the commands stand in.
    name = wanted.title if wanted.title.isprintable() else "MODEL"
    return _TEXT.format(
        shown=name.replace("`", "'"),
        model=shlex.quote(f"./{name}" if name.startswith("-") else name),
        count=len(lock.packages),
        python=(lock.requires_python or "").strip("=.*"),
        machines=", ".join(machines) or "machines like the one that made it",
        requirements=REQUIREMENTS_FILE,
        lock=LOCK_FILE,
    )

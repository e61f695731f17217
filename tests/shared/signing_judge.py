"""What model_signing says of models: run by its own interpreter, tasks as JSON on standard input, answers on output."""

from __future__ import annotations

import contextlib
import json
import sys
from typing import Any

import model_signing  # type: ignore[import-not-found]


def sign(task: dict[str, Any]) -> None:
    """Sign with the settings that the task names."""
    hashing = model_signing.hashing.Config()
    if "shard_size" in task:
        hashing.use_shard_serialization(shard_size=task["shard_size"])
    elif "algorithm" in task:
        hashing.use_file_serialization(hashing_algorithm=task["algorithm"])
    hashing.set_ignored_paths(paths=task.get("ignored", [task["to"]]))
    config = model_signing.signing.Config().use_elliptic_key_signer(private_key=task["key"])
    config.set_hashing_config(hashing).sign(task["sign"], task["to"])


def verify(task: dict[str, Any]) -> None:
    """Verify as the signature says that it is to be verified."""
    model_signing.verifying.Config().use_elliptic_key_verifier(public_key=task["key"]).verify(
        task["verify"], task["by"]
    )


def answer(task: dict[str, Any]) -> str | None:
    """Return why it was refused, or None."""
    try:
        with contextlib.redirect_stdout(sys.stderr):
            (sign if "sign" in task else verify)(task)
    except Exception as exc:
        return f"{type(exc).__name__}: {exc}"[:500]
    return None


if __name__ == "__main__":
    json.dump([answer(task) for task in json.load(sys.stdin)], sys.stdout)

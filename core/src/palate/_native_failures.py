"""What a flavor's framework raises about the model of somebody who saves it, in Palate's words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from palate._disk.refusals import disk_refusal
from palate._flavor import Flavor
from palate._plugin_failures import describe_failure
from palate.errors import PalateError, UnsupportedModel

__all__ = ["as_unsupported"]


@contextmanager
def as_unsupported(model: object, flavor: Flavor, root: Path, task: str) -> Iterator[None]:
    """Turn what the block raises into UnsupportedModel; what the disk refuses, and Palate's own errors, stay theirs.

    Args:
        model: the native object that is being saved.
        flavor: whose hook the block calls.
        root: the directory that it is saved in.
        task: what the hook was to do with it: ``write it as json``.
    """
    try:
        yield
    except (PalateError, OSError):
        raise
    except Exception as exc:  # a framework may fail in any way
        # Many a native writer reports a full disk in words of its own.
        if refusal := disk_refusal(root, exc):
            raise refusal from exc
        others = f"try another format ({', '.join(flavor.formats)}) or " if len(flavor.formats) > 1 else ""
        raise UnsupportedModel(
            type(model).__qualname__,
            reason=f"the flavor '{flavor.name}' failed to {task}: {describe_failure(exc)}",
            hint=f"{others}report this to the flavor's author",
        ) from exc

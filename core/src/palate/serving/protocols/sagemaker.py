"""What Amazon SageMaker asks of a container besides ``/ping`` and ``/invocations``, which MLflow has as well.

Followed: "Use your own inference code with batch transform" of its developer guide, and the limits of
CreateTransformJob in its API reference. Its own headers (``X-Amzn-SageMaker-…``) change nothing about a request.

A batch transform that splits its input by lines (``SplitType: Line``) sends rows of csv without a header line, for the
first line of a file is in its first piece only. Such a job names its rows by their order: its content type is
``text/csv; header=absent`` (RFC 4180). Without a split, files with a header line go as they are, as ``text/csv``.
"""

from __future__ import annotations

from typing import Any

__all__ = ["execution_parameters"]

# MaxConcurrentTransforms times MaxPayloadInMB must not exceed it.
_MOST_MEGABYTES = 100
_MEGABYTE = 2**20


def execution_parameters(*, concurrency: int, max_body_bytes: int) -> dict[str, Any]:
    """Return the answer to ``GET /execution-parameters``, which a batch transform takes what it was not told from.

    Args:
        concurrency: how many requests at once are worth sending: the number of workers.
        max_body_bytes: how large the body of a request may be.
    """
    payload = min(max(max_body_bytes // _MEGABYTE, 1), _MOST_MEGABYTES)
    transforms = max(min(concurrency, _MOST_MEGABYTES // payload), 1)
    return {"MaxConcurrentTransforms": transforms, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": payload}

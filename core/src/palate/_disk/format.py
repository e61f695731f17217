"""The numbers of the formats that Palate writes.

``FORMAT_VERSION`` counts what Palate adds to a model directory: the ``palate:`` section of MLmodel. It stands there as
``palate.format``. MANIFEST.json has a number of its own, ``MANIFEST_FORMAT``, since it can change alone.

When to raise one: a reader of the previous version would misread what is written now. A new optional key that an old
reader may ignore is no reason. Raising it takes, in one change:

1. the new number here, and the writer that needs it;
2. the reader of the previous version kept, in a module named after it (``_model_file_v1``), called by the version read;
3. a directory written by the last release, unchanged, under ``tests/data/``, and a case that loads it in
   ``tests/test_old_formats.py``;
4. a page under ``docs/decisions/`` that says why ignoring the new data would be wrong.

Readers refuse a number above their own and say that Palate needs an upgrade; they never guess.

``MLFLOW_FORMAT_VERSION`` is written as ``mlflow_version``: the MLflow whose key names and layouts Palate follows, which
is the newest one that the interoperability tests ran against.
"""

from __future__ import annotations

__all__ = ["FORMAT_VERSION", "MANIFEST_FORMAT", "MLFLOW_FORMAT_VERSION"]

FORMAT_VERSION = 1
MANIFEST_FORMAT = 1
MLFLOW_FORMAT_VERSION = "3.17.2"

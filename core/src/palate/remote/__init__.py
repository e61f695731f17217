"""Files on other machines: documents in buckets, downloads by address. Needs ``pip install palate[remote]``."""

from palate.remote._fetching import Fetched, fetch
from palate.remote._objects import Bucket, Document, Entry
from palate.remote._resolving import resolve

__all__ = ["Bucket", "Document", "Entry", "Fetched", "fetch", "resolve"]

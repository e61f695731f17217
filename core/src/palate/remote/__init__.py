"""Files on other machines: documents in buckets, downloads by address. Needs ``pip install palate[remote]``."""

from palate.remote._fetching import Fetched, fetch
from palate.remote._objects import Bucket, Document, Entry

__all__ = ["Bucket", "Document", "Entry", "Fetched", "fetch"]

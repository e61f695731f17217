"""The versions of one model: what was added under which number, and which of them were deleted."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from palate.errors import VersionNotFound
from palate.storage import SIGNATURE_FILE
from palate.store._deletions import Deletions
from palate.store._documents import Deletion, VersionRecord, load
from palate.store._names import Reference, is_version
from palate.store._notes import NoteBook
from palate.store._place import Place

__all__ = ["ModelSummary", "Version", "Versions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A version of a model in a store.

    Attributes:
        name: the model's.
        number: the version's.
        digest: the model's identity.
        size: of its files in bytes.
        files: how many they are.
        added: when, in UTC (ISO 8601).
        by: who added it.
        source: what was added, as it was named.
        aliases: that lead to it.
        description: what people say of it.
        tags: what programs say of it.
        deleted: when, by whom and why its files were deleted, or None.
    """

    name: str
    number: int
    digest: str
    size: int
    files: int
    added: str
    by: str
    source: str
    aliases: tuple[str, ...] = ()
    description: str = ""
    tags: dict[str, str]
    deleted: Deletion | None = None

    @property
    def uri(self) -> str:
        """The URI that opens it."""
        return f"models:/{self.name}/{self.number}"

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON data."""
        facts = {name: getattr(self, name) for name in self.__slots__}
        deleted = self.deleted
        gone = None if deleted is None else {"time": deleted.time, "by": deleted.by, "reason": deleted.reason}
        return {**facts, "uri": self.uri, "aliases": list(self.aliases), "deleted": gone}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSummary:
    """A model in a store.

    Attributes:
        name: what it is called.
        versions: how many it has that were not deleted.
        latest: the highest number among them; None where there is none.
        aliases: where each leads to.
        description: what people say of it.
        tags: what programs say of it.
    """

    name: str
    versions: int
    latest: int | None
    aliases: dict[str, int]
    description: str
    tags: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON data."""
        return asdict(self)


class Versions:
    """The versions of one model.

    Args:
        place: where the store is.
        name: of the model.
    """

    def __init__(self, place: Place, name: str) -> None:
        self._place, self._name = place, name
        self._deletions = Deletions(place, name)

    def numbers(self) -> list[int]:
        """Return the numbers of all versions, those that were deleted included, in their order."""
        return sorted(int(folder) for folder in self._place.folders(self._name) if is_version(folder))

    def latest(self) -> int:
        """Return the highest number of a version that was not deleted.

        Raises:
            VersionNotFound: there is none.
        """
        for number in reversed(self.numbers()):
            if self.deletion(number) is None:
                return number
        raise VersionNotFound(self._name, reason="it has no versions", known=())

    def with_digest(self, digest: str) -> int:
        """Return the number of the latest version, not deleted, of that identity.

        Raises:
            VersionNotFound: there is none.
        """
        for number in reversed(self.numbers()):
            if self.record(number).digest == digest and self.deletion(number) is None:
                return number
        reference = Reference(name=self._name, digest=digest)
        raise VersionNotFound(str(reference), reason="no version has that digest", known=())

    def record(self, number: int) -> VersionRecord:
        """Return what was added as a version, which may have been deleted since.

        Raises:
            VersionNotFound: there is none of that number.
            InvalidStore: its record is malformed.
        """
        key = f"{self._key(number)}/version.json"
        document = self._place.read(key)
        if document is None:
            reference = Reference(name=self._name, version=number)
            known = self._known()
            reason = f"the store '{self._place.uri}' has no such {'version' if known else 'model'}"
            raise VersionNotFound(str(reference), reason=reason, known=known)
        return load(VersionRecord, document.content, source=f"{self._place.uri}/{key}")

    def require(self, number: int) -> VersionRecord:
        """Return the record of a version that was not deleted.

        Raises:
            VersionNotFound: there is none of that number, or it was deleted.
        """
        record = self.record(number)
        if (gone := self.deletion(number)) is not None:
            reason = f"it was deleted on {gone.time} by {gone.by}" + (f" ({gone.reason})" if gone.reason else "")
            raise VersionNotFound(f"{self._name}/{number}", reason=reason, known=self._known())
        return record

    def deletion(self, number: int) -> Deletion | None:
        """Return when a version was deleted, or None."""
        return self._deletions.done(number)

    def signature(self, number: int) -> bytes | None:
        """Return the signature that was put beside a version after it had been added, or None."""
        document = self._place.read(f"{self._key(number)}/{SIGNATURE_FILE}")
        return document.content if document else None

    def put_signature(self, number: int, signature: bytes, *, overwrite: bool = False) -> bool:
        """Put a signature beside a version, or in the place of the one there; return whether that was done."""
        key = f"{self._key(number)}/{SIGNATURE_FILE}"
        while not self._place.create(key, signature):
            document = self._place.read(key) if overwrite else None
            if document is None:
                return False
            if self._place.replace(key, signature, document.tag):
                break
        return True

    def describe(self, number: int, aliases: tuple[str, ...]) -> Version:
        """Return everything that is known of a version."""
        record = self.record(number)
        notes = NoteBook(self._place).read(self._name, record, number)
        return Version(
            name=self._name,
            number=number,
            digest=record.digest,
            size=record.size,
            files=record.files,
            added=record.added,
            by=record.by,
            source=record.source,
            aliases=aliases,
            description=notes.description,
            tags=notes.tags,
            deleted=self.deletion(number),
        )

    def _key(self, number: int) -> str:
        return f"{self._name}/{number}"

    def _known(self) -> list[str]:
        numbers = self.numbers()
        return [f"{numbers[0]} to {numbers[-1]}"] if len(numbers) > 1 else [str(number) for number in numbers]

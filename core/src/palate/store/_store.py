"""The store: named models, each with numbered versions, aliases that lead to them, and what people say of both."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from os import PathLike
from types import EllipsisType
from typing import Any

from palate.errors import SignatureExists, VersionNotFound
from palate.locations import Location, read_one_model, require_digest
from palate.saving import save_model
from palate.signing import PrivateKey, read_keys, sign_location
from palate.storage import SIGNATURE_FILE
from palate.store._aliases import Aliases
from palate.store._demands import Demands, GateRecord, checked_gates, checked_record
from palate.store._describing import describing
from palate.store._documents import AliasMove, Notes
from palate.store._locating import locate_version
from palate.store._moving import move_alias
from palate.store._names import Reference, check_alias, check_name, check_version, is_name, parse_reference
from palate.store._notes import NoteBook, checked_notes, checked_text
from palate.store._place import Place
from palate.store._policy import (
    check_store,
    demand_gates,
    demand_keys,
    demand_nothing,
    mark_store,
    read_demands,
)
from palate.store._upkeep import collect_unfinished, delete_version
from palate.store._versions import ModelSummary, Version, Versions

__all__ = ["Store"]


class Store:
    """Versions of models, in a folder or a bucket; ``open_store`` opens one.

    Every change is all or nothing, and two at once are both made, one after the other. All methods raise
    ``InvalidOption`` for names that cannot be used, ``VersionNotFound`` where a model, version or alias is missing,
    ``InvalidStore`` where a document is malformed, and ``StoreFailed`` or ``RemoteFailed`` where the place refuses.

    Args:
        place: where it is.
        by: whose changes it records; by default the user's name.
    """

    def __init__(self, place: Place, *, by: str | None = None) -> None:
        self._place = place
        self._by = checked_text("by", by) or _user()
        self._is_checked = False

    def __repr__(self) -> str:
        return f"<Store at '{self.uri}'>"

    @property
    def uri(self) -> str:
        """Where it is."""
        return self._place.uri

    # -- looking -----------------------------------------------------------------------------------------------------

    def models(self) -> list[ModelSummary]:
        """Return the models that it has, by name."""
        return [self.model(name) for name in self._names()]

    def model(self, name: str) -> ModelSummary:
        """Return what is known of a model."""
        versions = self._versions(name)
        known = versions.numbers()
        if not known:
            raise self._no_model(name)
        notes = NoteBook(self._place).read(name)
        numbers = [number for number in known if versions.deletion(number) is None]
        return ModelSummary(
            name=name,
            versions=len(numbers),
            latest=numbers[-1] if numbers else None,
            aliases=Aliases(self._place, name).current(),
            description=notes.description,
            tags=notes.tags,
        )

    def versions(self, name: str, *, deleted: bool = False) -> list[Version]:
        """Return the versions of a model; with *deleted*, those whose files are gone, too."""
        numbers = self._versions(name).numbers()
        if not numbers:
            raise self._no_model(name)
        aliases = Aliases(self._place, name).current()
        found = [self._describe(name, number, aliases) for number in numbers]
        return [version for version in found if deleted or version.deleted is None]

    def version(self, reference: str) -> Version:
        """Return what is known of the version that ``iris/3``, ``iris@champion`` or ``models:/iris/3`` names."""
        wanted = parse_reference(reference)
        return self._describe(wanted.name, self._number(wanted), Aliases(self._place, wanted.name).current())

    def history(self, name: str, alias: str) -> tuple[AliasMove, ...]:
        """Return every move of an alias, the first one first."""
        return self._aliases(name).history(check_alias(alias))

    def alias_at(self, name: str, alias: str, time: datetime) -> AliasMove | None:
        """Return the move of an alias that counted at a *time*, which has a zone; None if there was none yet."""
        return self._aliases(name).at(check_alias(alias), time)

    def demands(self) -> Demands:
        """Return what the store demands: signatures, and gates."""
        self._check()
        return read_demands(self._place)

    def find(self, reference: Reference, *, uri: str) -> Location:
        """Return where a version's files are, and which identity and signature they must have."""
        while True:
            number = self._number(reference)
            try:
                return locate_version(self._place, reference.name, number, uri=uri)
            except VersionNotFound:
                # The alias may have been moved, and what it led to before deleted, since it was read.
                if self._number(reference) == number:
                    raise

    # -- adding ------------------------------------------------------------------------------------------------------

    def add(
        self,
        name: str,
        source: str | PathLike[str] | Location,
        *,
        description: str = "",
        tags: Mapping[str, str] | None = None,
    ) -> Version:
        """Add the model at *source* as the next version of *name*.

        Its files are checked while they are copied. A directory without MANIFEST.json, as MLflow writes them, is given
        one.

        Args:
            name: the model's name; a new one begins with version 1.
            source: the model, as a path or URI, or where it was found already.
            description: what people shall read of the version.
            tags: what programs shall read of it.

        Raises:
            ModelNotFound, ModelChanged, InvalidModelFile: there is no whole model at *source*.
            SignatureMissing, SignatureInvalid: the store demands a signature, and it has none, or a wrong one.
        """
        check_name(name)
        notes = checked_notes(description, tags or {})

        def copy(location: Location) -> int:
            mark_store(self._place)
            describe = describing(self._place, location, notes, by=self._by)
            return self._place.add(name, location.path, describe, signature=location.signature)

        number = read_one_model(source, copy, is_whole=lambda _: True)
        return self._describe(name, number, {})  # no alias leads to it yet

    def save_model(self, name: str, model: object, **options: Any) -> Version:
        """Save *model* as the next version of *name*; *options* are those of ``palate.save_model``.

        Raises:
            PalateError: what ``palate.save_model`` raises; the store is then as it was.
        """
        check_name(name)
        mark_store(self._place)
        with self._place.scratch(name) as folder:
            path = folder / "model"
            save_model(model, path, **options)
            found = Location(uri=f"a model saved as '{name}'", path=path)
            describe = describing(self._place, found, Notes(), by=self._by)
            number = self._place.add(name, path, describe, move=True)
        return self._describe(name, number, {})  # no alias leads to it yet

    def sign(
        self,
        reference: str,
        key: PrivateKey | str | PathLike[str],
        *,
        password: str | bytes | None = None,
        overwrite: bool = False,
    ) -> Version:
        """Sign a version; its files stay as they are, and the signature stands beside them.

        Args:
            reference: which.
            key: the private key, or its PEM file.
            password: of the file, if it is encrypted.
            overwrite: let this signature take the place of the one that there is.

        Raises:
            SignatureExists: it is signed already.
            InvalidKey: the key cannot be read or used.
            ModelChanged: its files are not those that were added.
        """
        wanted = parse_reference(reference)
        number = self._number(wanted)
        fixed = Reference(name=wanted.name, version=number)
        location = self.find(fixed, uri=str(fixed))
        if not overwrite and (location.signature is not None or os.path.lexists(location.path / SIGNATURE_FILE)):
            raise SignatureExists(str(fixed), place=SIGNATURE_FILE)
        signature = sign_location(location, key, password=password)
        if not Versions(self._place, wanted.name).put_signature(number, signature, overwrite=overwrite):
            raise SignatureExists(str(fixed), place=SIGNATURE_FILE)
        return self.version(str(fixed))

    # -- changing ----------------------------------------------------------------------------------------------------

    def set_alias(
        self,
        name: str,
        alias: str,
        version: int | str,
        *,
        expected: int | EllipsisType | None = ...,
        reason: str | None = None,
        allow_breaking: bool = False,
        passed: GateRecord | None = None,
    ) -> AliasMove:
        """Let an alias lead to a version from now on; return the move.

        Args:
            name: the model's name.
            alias: such as ``champion``; a new one is made.
            version: the number of the version.
            expected: the version that it must lead to before, None where there must be no such alias; left out, any.
            reason: why, for its history.
            allow_breaking: move it even to a version that breaks its callers, as ``palate.diff_models`` judges.
            passed: that the version has passed a gate, for its history, and where the store demands one. If the gate
                compared it with where the alias leads, say *expected* too.

        Raises:
            GateDemanded: the store demands a gate of this alias, and *passed* is not about it and this version.
            AliasMoved: it does not lead where it is expected to.
            BreakingChange: the version would break its callers.
        """
        number = check_version(version)
        self._aliases(name)
        if expected is not None and expected is not ...:
            expected = check_version(expected)

        return move_alias(
            self._place,
            name,
            check_alias(alias),
            number,
            by=self._by,
            reason=checked_text("reason", reason),
            expected=expected,
            allow_breaking=allow_breaking,
            passed=checked_record(passed),
        )

    def remove_alias(self, name: str, alias: str, *, reason: str | None = None) -> AliasMove:
        """Let an alias lead nowhere; its history stays."""
        aliases = self._aliases(name)
        aliases.version_of(check_alias(alias))
        return aliases.move(alias, None, None, by=self._by, reason=checked_text("reason", reason))

    def annotate(
        self,
        reference: str,
        *,
        description: str | None = None,
        tags: Mapping[str, str | None] | None = None,
    ) -> None:
        """Say something of a model (``iris``) or of a version (``iris/3``).

        Args:
            reference: which.
            description: what people shall read; None leaves it as it is.
            tags: what programs shall read; a tag with None is removed, others stay.

        Raises:
            InvalidOption: something given is no text.
        """
        name, number = self._subject(reference)
        record = Versions(self._place, name).record(number) if number is not None else None
        given: Mapping[str, str | None] = {} if tags is None else tags
        NoteBook(self._place).change(name, record, number, description=description, tags=given)

    def delete(self, reference: str, *, reason: str | None = None) -> Version:
        """Delete the files of a version; its number is never given again, and its record stays.

        Raises:
            VersionInUse: an alias leads to it.
        """
        wanted = parse_reference(reference)
        number = self._number(wanted)
        delete_version(self._place, wanted.name, number, by=self._by, reason=checked_text("reason", reason))
        return self._describe(wanted.name, number, Aliases(self._place, wanted.name).current())

    def demand_signatures(self, keys: Sequence[str | PathLike[str]]) -> None:
        """Let the store demand, of what is added and of what is opened, a signature by one of these keys; [] no more.

        Args:
            keys: the files of public keys (PEM).

        Raises:
            InvalidKey: one cannot be read or used.
        """
        demand_keys(self._place, [key.pem.decode() for key in read_keys(keys)] if keys else [])

    def demand_gates(self, gates: Mapping[str, str | None]) -> None:
        """Let the store demand that aliases move only to versions that have passed a gate.

        Args:
            gates: the digest of the gate by the alias, as ``champion`` or, of one model alone, ``iris@champion``; None
                demands no gate of it any more. Other aliases stay as they are.

        Raises:
            InvalidOption: something is no alias, or no digest.
        """
        demand_gates(self._place, checked_gates(gates))

    def demand_nothing(self) -> None:
        """Let the store demand neither signatures nor gates any more."""
        demand_nothing(self._place)

    def collect(self) -> list[str]:
        """Remove what was begun and never finished; return what that was.

        What somebody may still be at is left alone: younger than ten minutes in a folder, than a day in a bucket.
        """
        return collect_unfinished(self._place, self._names(begun=True), by=self._by)

    # -- how ---------------------------------------------------------------------------------------------------------

    def _check(self) -> None:
        """Raise unless the place can be a store; once, for that stays so."""
        if not self._is_checked:
            check_store(self._place)
            self._is_checked = True

    def _versions(self, name: str) -> Versions:
        check_name(name)
        self._check()
        return Versions(self._place, name)

    def _aliases(self, name: str) -> Aliases:
        check_name(name)
        self._check()
        return Aliases(self._place, name)

    def _names(self, *, begun: bool = False) -> list[str]:
        """Return the names of the models; with *begun*, those too of which no version was finished."""
        self._check()
        names = [folder for folder in sorted(self._place.folders("")) if is_name(folder)]
        return [name for name in names if begun or Versions(self._place, name).numbers()]

    def _number(self, reference: Reference) -> int:
        versions = self._versions(reference.name)
        if reference.version is not None:
            number = reference.version
        elif reference.alias is not None:
            number = Aliases(self._place, reference.name).version_of(reference.alias)
        elif not versions.numbers():
            raise self._no_model(reference.name)
        else:
            return versions.latest() if reference.digest is None else versions.with_digest(reference.digest)
        if reference.digest is not None:
            require_digest(str(reference), versions.record(number).digest, reference.digest)
        return number

    def _describe(self, name: str, number: int, aliases: Mapping[str, int]) -> Version:
        leading = tuple(alias for alias, target in aliases.items() if target == number)
        return Versions(self._place, name).describe(number, leading)

    def _subject(self, reference: str) -> tuple[str, int | None]:
        if "/" not in reference.removeprefix("models:/") and "@" not in reference:
            name = check_name(reference.removeprefix("models:/"))
            if not self._versions(name).numbers():
                raise self._no_model(name)
            return name, None
        wanted = parse_reference(reference)
        number = self._number(wanted)
        return wanted.name, number

    def _no_model(self, name: str) -> VersionNotFound:
        return VersionNotFound(name, reason=f"the store '{self.uri}' has no such model", known=self._names())


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return str(os.getuid())

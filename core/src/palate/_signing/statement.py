"""The statement that is signed: the files of a model and their digests, in in-toto's form with the predicate of OMS.

It is the payload of the signature. A reader sees it only after the signature over its bytes was checked.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from palate._disk.manifest import SIGNATURE_FILE
from palate._disk.manifest_document import MANIFEST_FILE
from palate._disk.paths import name_problem
from palate._signing.narrowing import Narrowing
from palate.errors import InvalidOption, SignatureInvalid

__all__ = ["NamedDigest", "Statement", "check_files", "parse_statement", "write_statement"]

_STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
_PREDICATE_TYPE: Final = "https://model_signing/signature/v1.0"
_METHOD: Final = "files"
_ALGORITHM: Final = "sha256"
# Every implementation of OMS leaves these out, at the top of the model, with all that is below them.
_LEFT_OUT: Final = frozenset({".git", ".gitattributes", ".github", ".gitignore"})
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_MAX_BRACKETS: Final = 300_000  # one for each of 100,000 files, and some in their names
_SHOWN: Final = 10
_VERIFY_ELSEWHERE: Final = "have it checked by 'model_signing verify', or signed again with the defaults"


class NamedDigest(Protocol):
    """What is said of a file: its path relative to the model, with "/", and its sha256 in hex."""

    @property
    def name(self) -> str:
        """The path."""
        ...

    @property
    def sha256(self) -> str:
        """The digest."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What a signature says.

    Attributes:
        name: what the signer called the model; nothing depends on it.
        files: the sha256 in hex of each file, by its name.
    """

    name: str
    files: Mapping[str, str]


# -- writing -----------------------------------------------------------------------------------------------------------


def write_statement(files: Iterable[NamedDigest], *, name: str) -> bytes:
    """Return the statement that these are the files of the model called *name*; the same files give the same bytes.

    Raises:
        InvalidOption: there are none; one is given twice, or has a name or digest that no reader takes; or one is left
            out by OMS and covered by nothing else.
    """
    given = sorted(files, key=lambda file: file.name)
    _refuse_unreadable(given)
    _refuse_uncovered(given)
    listed = [file for file in given if not _is_left_out(file.name, _LEFT_OUT)]
    if not listed:
        raise InvalidOption("files", reason="there are none", hint="a model has at least its MLmodel")
    document = {
        "_type": _STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {_ALGORITHM: _root_digest(file.sha256 for file in listed)}}],
        "predicateType": _PREDICATE_TYPE,
        "predicate": {
            "serialization": {
                "method": _METHOD,
                "hash_type": _ALGORITHM,
                "allow_symlinks": False,
                "ignore_paths": [*sorted(_LEFT_OUT), SIGNATURE_FILE],
            },
            "resources": [{"name": file.name, "algorithm": _ALGORITHM, "digest": file.sha256} for file in listed],
        },
    }
    return json.dumps(document, separators=(",", ":")).encode()


def _refuse_unreadable(files: Sequence[NamedDigest]) -> None:
    for file in files:
        if not (_is_plain_name(file.name) and _is_sha256(file.sha256)):
            reason = f"{file.name!r:.60} is no path inside a model, or its digest no {_ALGORITHM} in hex"
            raise InvalidOption(
                "files", reason=reason, hint="give relative paths with '/', and digests in small letters"
            )
    if twice := [name for name, count in Counter(file.name for file in files).items() if count > 1]:
        raise InvalidOption("files", reason=f"{twice[0]!r:.60} is given twice", hint="give each file once")


def _refuse_uncovered(files: Sequence[NamedDigest]) -> None:
    if any(_is_left_out(file.name, [SIGNATURE_FILE]) for file in files):
        hint = "save the model again with that file under another name"
        raise InvalidOption("files", reason=f"{SIGNATURE_FILE}, where the signature goes, is one of them", hint=hint)
    if uncovered := _uncovered(files):
        reason = f"a signature would not cover {', '.join(uncovered[:_SHOWN])}, which are git's own"
        raise InvalidOption("files", reason=reason, hint="take them out of the model's directory")


def _uncovered(files: Sequence[NamedDigest]) -> list[str]:
    """Return the files that are neither in a statement nor listed in a manifest that is."""
    if any(file.name == MANIFEST_FILE for file in files):
        return []
    return [file.name for file in files if _is_left_out(file.name, _LEFT_OUT)]


def _is_left_out(name: str, paths: Iterable[str]) -> bool:
    return any(name == path or name.startswith(f"{path}/") for path in paths)


def _root_digest(digests: Iterable[str]) -> str:
    """Return what stands for the whole model: the sha256 of the files' digests, in the order of the listing."""
    return hashlib.sha256(b"".join(map(bytes.fromhex, digests))).hexdigest()


# -- reading -----------------------------------------------------------------------------------------------------------


def parse_statement(payload: bytes, *, source: str) -> Statement:
    """Return what the payload of a signature says.

    Raises:
        SignatureInvalid: it is no statement of OMS v1.0 about whole files and their sha256, sorted, each named once.
    """
    reader = _Reader(source)
    return reader.statement(reader.parse(payload, "its payload", max_brackets=_MAX_BRACKETS))


class _Reader(Narrowing):
    """Narrows JSON to a Statement."""

    def statement(self, document: object) -> Statement:
        whole = self.members(document, "its payload", "_type subject predicateType predicate")
        self.refuse_unless(whole["_type"] == _STATEMENT_TYPE, "its payload is no in-toto statement v1")
        kind = whole["predicateType"]
        self.refuse_unless(kind == _PREDICATE_TYPE, f"it is of type {kind!r:.80}, not a signature of a model")
        name, root = self.subject(whole["subject"])
        predicate = self.members(whole["predicate"], "its predicate", "serialization resources")
        left_out = self.serialization(predicate["serialization"])
        files = self.resources(predicate["resources"])
        self.refuse_unless(_root_digest(files.values()) == root, "its digest of the model is not that of its files")
        hidden = [file for file in files if _is_left_out(file, left_out)]
        self.refuse_unless(not hidden, f"it lists files, and says that it does not: {', '.join(hidden[:_SHOWN])}")
        return Statement(name=name, files=files)

    def subject(self, value: object) -> tuple[str, str]:
        if not isinstance(value, list) or len(value) != 1:
            raise SignatureInvalid(self._source, reason="it is not about exactly one model")
        subject = self.members(value[0], "its subject", "name digest", others=True)
        name, digest = subject["name"], self.members(subject["digest"], "its subject's digest", _ALGORITHM)
        self.refuse_unless(isinstance(name, str) and bool(name), "its subject has no name")
        self.refuse_unless(_is_sha256(digest[_ALGORITHM]), "its subject's digest is no sha256 in hex")
        return name, digest[_ALGORITHM]

    def serialization(self, value: object) -> frozenset[str]:
        """Return the paths of which it is not."""
        how = self.members(value, "its serialization", "method hash_type allow_symlinks", "ignore_paths shard_size")
        if how["method"] == "shards":
            reason = "it is of pieces of files (shards), which Palate does not check"
            raise SignatureInvalid(self._source, reason=reason, hint=_VERIFY_ELSEWHERE)
        self.refuse_unless(how["method"] == _METHOD, f"its method is {how['method']!r:.40}, which OMS does not know")
        self.refuse_unless("shard_size" not in how, "it is of whole files, and has a shard_size")
        if how["hash_type"] != _ALGORITHM:
            reason = f"it is of {how['hash_type']!r:.40} digests, and Palate checks {_ALGORITHM} alone"
            raise SignatureInvalid(self._source, reason=reason, hint=_VERIFY_ELSEWHERE)
        # Whatever it says: links are refused wherever files are listed.
        self.refuse_unless(isinstance(how["allow_symlinks"], bool), "its allow_symlinks is neither true nor false")
        ignored = how.get("ignore_paths", [])
        plain = isinstance(ignored, list) and all(map(_is_plain_name, ignored))
        self.refuse_unless(plain, "its ignore_paths are not paths inside a model")
        return _LEFT_OUT | set(ignored)

    def resources(self, value: object) -> dict[str, str]:
        if not isinstance(value, list) or not value:
            raise SignatureInvalid(self._source, reason="it lists no files")
        files: dict[str, str] = {}
        for item in value:
            # OMS v1.0, 5.2.1: what else stands here is to be ignored.
            entry = self.members(item, "a file that it lists", "name algorithm digest", others=True)
            name, digest = entry["name"], entry["digest"]
            self.refuse_unless(_is_plain_name(name), f"it lists {name!r:.60}, which is no path inside a model")
            self.refuse_unless(entry["algorithm"] == _ALGORITHM, f"its digest of {name!r:.60} is no {_ALGORITHM}")
            self.refuse_unless(_is_sha256(digest), f"its digest of {name!r:.60} is no {_ALGORITHM} in hex")
            self.refuse_unless(name not in files, f"it lists {name!r:.60} twice")
            files[name] = digest
        self.refuse_unless(_is_sorted(list(files)), "the files that it lists are not sorted")
        return files


def _is_sorted(names: list[str]) -> bool:
    """Whether names are in the order that OMS has, or in that of model_signing, which compares folder by folder."""
    return names in (sorted(names), sorted(names, key=lambda name: name.split("/")))


def _is_plain_name(name: object) -> bool:
    return isinstance(name, str) and name_problem(name) is None and not {"", "."} & set(name.split("/"))


def _is_sha256(value: object) -> bool:
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None


# -- comparing ---------------------------------------------------------------------------------------------------------


def check_files(statement: Statement, files: Sequence[NamedDigest], *, source: str) -> None:
    """Raise SignatureInvalid unless the statement is about these files, all of them and no others.

    Files of git's own are in no statement. They pass if MANIFEST.json, which then must list them, is among *files*.
    """
    found = {file.name: file.sha256 for file in files}
    signed = statement.files
    covered = {name for name in found if not _is_left_out(name, _LEFT_OUT)}
    groups = {
        "changed": sorted(name for name in covered & signed.keys() if found[name] != signed[name]),
        "missing": sorted(signed.keys() - covered),
        "not signed": sorted({*(covered - signed.keys()), *_uncovered(files)}),
    }
    if any(groups.values()) or len(found) != len(files):
        told = "; ".join(f"{word}: {', '.join(names[:_SHOWN])}" for word, names in groups.items() if names)
        reason = f"it is of other files ({told or 'a file is given twice'})"
        raise SignatureInvalid(source, reason=reason)

"""Signing models, and checking who signed them: with keys, in the format of OpenSSF Model Signing.

A digest tells whether files are what they were; a signature tells who says so. Others read ours, and we theirs:
``model_signing verify key`` checks what ``sign_model`` writes.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

from palate._disk.manifest import MAX_SIGNATURE_BYTES, SIGNATURE_FILE, read_manifest
from palate._disk.manifest_document import MANIFEST_FILE, Manifest
from palate._disk.paths import check_model_directory, open_plain, resolve_path, scheme_of
from palate._signing.bundle import Bundle, encode_for_signing, parse_bundle, write_bundle
from palate._signing.coverage import checked_files, hash_against, hash_files
from palate._signing.keys import PrivateKey, PublicKey, parse_public_key, read_private_key, read_public_key
from palate._signing.placing import place_signature
from palate._signing.statement import NamedDigest, check_files, parse_statement, write_statement
from palate.errors import InvalidOption, SignatureExists, SignatureInvalid, SignatureMissing, UnsafePath
from palate.locations import Location, read_one_model, require_digest

__all__ = [
    "SIGNATURE_FILE",
    "NamedDigest",
    "PrivateKey",
    "PublicKey",
    "SignedModel",
    "Signer",
    "check_signature",
    "parse_keys",
    "read_keys",
    "read_private_key",
    "read_public_key",
    "read_signature",
    "require_signature",
    "sign_files",
    "sign_location",
    "sign_model",
    "verify_signature",
]

_FOREIGN = "check with the public key of whoever signed it; if you have that, the model is not theirs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Whose key signed a model.

    Attributes:
        fingerprint: the sha256, in hex, of the public key's PEM text.
        key: where that one of the given keys came from.
    """

    fingerprint: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedModel:
    """A model that ``sign_model`` has signed.

    Attributes:
        directory: the model.
        signature: the file with the signature.
        files: how many files it is of.
        fingerprint: the sha256, in hex, of the public key's PEM text.
    """

    directory: Path
    signature: Path
    files: int
    fingerprint: str

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON data."""
        return {name: str(value) if isinstance(value, Path) else value for name, value in asdict(self).items()}


# -- digests and bytes -------------------------------------------------------------------------------------------------


def sign_files(files: Sequence[NamedDigest], key: PrivateKey, *, name: str) -> bytes:
    """Return a signature, as the content of its file, that these are the files of the model called *name*.

    Where MANIFEST.json is among them, the others must be those that it lists.

    Raises:
        InvalidOption: there are none, or too many; one is given twice, or has a name that no model's file may have; or
            one is left out by the format and listed by no manifest.
    """
    payload = write_statement(files, name=name)
    signature = key.sign(encode_for_signing(payload))
    return write_bundle(Bundle(payload=payload, signature=signature, hint=key.public.fingerprint))


def check_signature(bundle: bytes, files: Sequence[NamedDigest], keys: Sequence[PublicKey], *, source: str) -> Signer:
    """Check that a signature is by one of the keys, and of just these files.

    Args:
        bundle: the content of the signature's file.
        files: every file of the model; where MANIFEST.json is among them, the others are those that it lists.
        keys: whose signatures are accepted.
        source: what errors call the model.

    Raises:
        SignatureInvalid: it is malformed, by another key, or of other files.
        InvalidOption: there are no keys.
    """
    if not keys:
        raise InvalidOption("keys", reason="there are none", hint="give the public keys that you trust")
    found = parse_bundle(bundle, source=source)
    message = encode_for_signing(found.payload)
    candidates = [key for key in keys if found.hint in (None, key.fingerprint)]
    key = next((key for key in candidates if key.is_signature(found.signature, message)), None)
    if key is None:
        given = ", ".join(key.source for key in candidates or keys)
        changed = "it was changed, or is not by the key that it names"
        reason = changed if candidates else "it is by another key"
        raise SignatureInvalid(source, reason=f"{reason} (checked with: {given})", hint=_FOREIGN)
    check_files(parse_statement(found.payload, source=source), files, source=source)
    return Signer(fingerprint=key.fingerprint, key=key.source)


# -- models on disk ----------------------------------------------------------------------------------------------------


def sign_model(
    path: str | PathLike[str],
    key: PrivateKey | str | PathLike[str],
    *,
    password: str | bytes | None = None,
    overwrite: bool = False,
) -> SignedModel:
    """Check the files of a model directory, sign them, and write the signature to ``model.sig`` in it.

    Args:
        path: the model.
        key: the private key, or its PEM file.
        password: of the file, if it is encrypted.
        overwrite: replace the signature that is there.

    Raises:
        InvalidKey: the key cannot be read or used.
        ModelChanged: the files are not those that MANIFEST.json lists.
        SignatureExists: it is signed already.
        SaveFailed: the disk refuses; nothing was changed.
        DependencyMissing: ``cryptography`` is not installed.
    """
    private = _private_key(key, password)
    root = _own_directory(path)
    target = root / SIGNATURE_FILE
    if not overwrite and os.path.lexists(target):
        raise SignatureExists(str(path), place=SIGNATURE_FILE)  # before hours of hashing
    files = hash_files(root)
    place_signature(target, sign_files(files, private, name=root.name or "model"), overwrite=overwrite)
    return SignedModel(directory=root, signature=target, files=len(files), fingerprint=private.public.fingerprint)


def verify_signature(
    uri: str | PathLike[str] | Location,
    keys: Sequence[PublicKey | str | PathLike[str]],
    *,
    signature: str | PathLike[str] | None = None,
) -> Signer:
    """Check the files of a model, and that one of the keys signed just these.

    Args:
        uri: the model.
        keys: the public keys that you trust, or their PEM files.
        signature: the signature's file, if it is not the one that comes with the model.

    Raises:
        SignatureInvalid: it is malformed, by another key, or of other files.
        SignatureMissing: there is none.
        InvalidKey: a key cannot be read or used.
        ModelChanged: the files are not those that MANIFEST.json lists.
        WrongModel: it is not the model of the digest asked for.
        DependencyMissing: ``cryptography`` is not installed.
    """
    trusted = read_keys(keys)

    def read(location: Location) -> Signer:
        bundle = read_signature(location, signature)
        manifest = read_manifest(location.path)
        require_digest(location.uri, manifest.digest if manifest else None, location.digest)
        return check_signature(bundle, hash_against(location.path, manifest), trusted, source=location.uri)

    return read_one_model(uri, read, is_whole=lambda _: True)


def require_signature(
    location: Location,
    manifest: Manifest | None,
    keys: Sequence[PublicKey],
    *,
    signature: str | PathLike[str] | None = None,
) -> Signer:
    """Check that one of the keys signed the model at *location*, whose files were just checked against *manifest*.

    Args:
        location: where it is.
        manifest: its manifest, or None: its files are then hashed.
        keys: the public keys that count.
        signature: the signature's file, if it is not the one that comes with the model.

    Raises:
        SignatureMissing, SignatureInvalid: it is not signed so.
        DependencyMissing: ``cryptography`` is not installed.
    """
    sealed = os.path.lexists(location.path / MANIFEST_FILE)
    files = checked_files(location.path, manifest) if manifest and sealed else manifest and manifest.files
    return check_signature(
        read_signature(location, signature), files or hash_files(location.path), keys, source=location.uri
    )


def parse_keys(texts: Sequence[bytes]) -> tuple[PublicKey, ...]:
    """Return the public keys that are demanded, as PEM texts.

    Raises:
        InvalidKey: one of them is none.
        DependencyMissing: ``cryptography`` is not installed.
    """
    keys = (parse_public_key(text, source="a demanded key") for text in texts)
    return tuple(replace(key, source=f"the key with the sha256 {key.fingerprint}") for key in keys)


def sign_location(
    location: Location, key: PrivateKey | str | PathLike[str], *, password: str | bytes | None = None
) -> bytes:
    """Check the files of the model at *location*, and return a signature of them, as the content of its file.

    Raises:
        InvalidKey: the key cannot be read or used.
        ModelChanged: the files are not those that MANIFEST.json lists.
        WrongModel: it is not the model that is kept there.
        DependencyMissing: ``cryptography`` is not installed.
    """
    private = _private_key(key, password)
    manifest = read_manifest(location.path)
    require_digest(location.uri, manifest.digest if manifest else None, location.digest)
    files = hash_against(location.path, manifest) if manifest else hash_files(location.path)
    return sign_files(files, private, name=location.name or location.path.name)


def _private_key(key: PrivateKey | str | PathLike[str], password: str | bytes | None) -> PrivateKey:
    if not isinstance(key, PrivateKey):
        return read_private_key(key, password=password)
    if password is not None:
        raise InvalidOption("password", reason="the key is read already", hint="leave it out, or give the key's file")
    return key


def _own_directory(path: str | PathLike[str]) -> Path:
    if scheme_of(path) not in (None, "file") or not (root := resolve_path(path)).is_dir():
        reason = f"'{path}' is no directory, and what is kept elsewhere stays as it was saved"
        raise InvalidOption(
            "path", reason=reason, hint="sign the directory before, or a version by 'palate store sign'"
        )
    check_model_directory(root, str(path))
    return root


def read_keys(keys: Sequence[PublicKey | str | PathLike[str]]) -> tuple[PublicKey, ...]:
    """Return public keys, each given as such or as its PEM file.

    Raises:
        InvalidKey: one cannot be read or used.
        InvalidOption: there are none.
    """
    if isinstance(keys, str | PathLike | PublicKey):
        raise InvalidOption("keys", reason="it is one key, not a list of them", hint="put it into a list")
    if not keys:
        raise InvalidOption("keys", reason="there are none", hint="give the public keys that you trust")
    return tuple(key if isinstance(key, PublicKey) else read_public_key(key) for key in keys)


def read_signature(location: Location, file: str | PathLike[str] | None = None) -> bytes:
    """Return the content of *file*, or of the signature that comes with the model at *location*.

    Raises:
        SignatureMissing: there is none.
        SignatureInvalid: it cannot be read, is longer than signatures get, or is no ordinary file.
    """
    if file is None and location.signature is not None:
        return location.signature
    place = location.path / SIGNATURE_FILE if file is None else Path(file)
    told = SIGNATURE_FILE if file is None else str(file)
    try:
        with open(open_plain(place, follow_links=file is not None), "rb") as stream:
            content = stream.read(MAX_SIGNATURE_BYTES + 1)
    except FileNotFoundError as exc:
        raise SignatureMissing(location.uri, place=told) from exc
    except (OSError, ValueError, UnsafePath) as exc:
        why = "no ordinary file" if isinstance(exc, UnsafePath) else getattr(exc, "strerror", None) or str(exc)
        raise SignatureInvalid(location.uri, reason=f"{told} cannot be read ({why})") from exc
    if len(content) > MAX_SIGNATURE_BYTES:
        raise SignatureInvalid(location.uri, reason=f"{told} is longer than {MAX_SIGNATURE_BYTES:,} bytes")
    return content

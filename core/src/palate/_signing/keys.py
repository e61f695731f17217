"""Keys that sign models: on the three elliptic curves of OMS, in PEM files, by way of ``cryptography``."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from palate._disk.paths import open_plain
from palate.errors import DependencyMissing, InvalidKey, UnsafePath

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import HashAlgorithm

__all__ = ["PrivateKey", "PublicKey", "parse_private_key", "parse_public_key", "read_private_key", "read_public_key"]

_MAX_BYTES: Final = 64 * 2**10
# How many bits a key of each curve has, and the hash that goes with it.
_CURVES: Final = {"secp256r1": "SHA256", "secp384r1": "SHA384", "secp521r1": "SHA512"}
_MAKE_ONE: Final = "make one with 'openssl ecparam -name prime256v1 -genkey -noout -out private.pem'"
_TAKE_PUBLIC: Final = "give the public key: 'openssl pkey -in private.pem -pubout -out public.pem'"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """A key that signatures are checked with.

    Attributes:
        source: where it came from.
        pem: its PEM text, as ``cryptography`` writes it.
        fingerprint: the sha256 of that, in hex.
    """

    source: str
    pem: bytes
    fingerprint: str
    _key: ec.EllipticCurvePublicKey = field(repr=False)

    def is_signature(self, signature: bytes, message: bytes) -> bool:
        """Whether *signature* is one of *message* by the private half of this key."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric import ec

        try:
            self._key.verify(signature, message, ec.ECDSA(_hash_for(self._key)))
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateKey:
    """A key that models are signed with.

    Attributes:
        public: its public half.
    """

    public: PublicKey
    _key: ec.EllipticCurvePrivateKey = field(repr=False)

    def sign(self, message: bytes) -> bytes:
        """Return a signature of *message*; each call gives another one."""
        from cryptography.hazmat.primitives.asymmetric import ec

        return self._key.sign(message, ec.ECDSA(_hash_for(self._key.public_key())))


def read_private_key(path: str | os.PathLike[str], *, password: str | bytes | None = None) -> PrivateKey:
    """Read a private key from a PEM file, with its password if it is encrypted.

    Raises:
        InvalidKey: it is not there, or no key on P-256, P-384 or P-521; or the password is not that of the key.
        DependencyMissing: ``cryptography`` is not installed.
    """
    return parse_private_key(_read(path), source=os.fspath(path), password=password)


def read_public_key(path: str | os.PathLike[str]) -> PublicKey:
    """Read a public key from a PEM file.

    Raises:
        InvalidKey: it is not there, or no public key on P-256, P-384 or P-521.
        DependencyMissing: ``cryptography`` is not installed.
    """
    return parse_public_key(_read(path), source=os.fspath(path))


def parse_private_key(pem: bytes, *, source: str, password: str | bytes | None = None) -> PrivateKey:
    """Return the private key in a PEM text; *source* is what errors call it.

    Raises:
        InvalidKey, DependencyMissing: as ``read_private_key``.
    """
    _require_cryptography()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    secret = password.encode() if isinstance(password, str) else password
    try:
        key = load_pem_private_key(pem, secret)
    except TypeError as exc:  # what cryptography says of a password too few, or too many
        reason, hint = "it is not encrypted, and a password is given", "leave the password out"
        if not secret:
            reason, hint = "it is encrypted", "give its password (CLI: --password-file)"
        raise InvalidKey(source, reason=reason, hint=hint) from exc
    except (ValueError, UnsupportedAlgorithm) as exc:
        reason = "it is no private key in PEM" + (", or the password is not its own" if secret else "")
        raise InvalidKey(source, reason=reason, hint=_MAKE_ONE) from exc
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise InvalidKey(source, reason="it is not on an elliptic curve", hint=_MAKE_ONE)
    return PrivateKey(public=_adopt(key.public_key(), source), _key=key)


def parse_public_key(pem: bytes, *, source: str) -> PublicKey:
    """Return the public key in a PEM text; *source* is what errors call it.

    Raises:
        InvalidKey, DependencyMissing: as ``read_public_key``.
    """
    _require_cryptography()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    if b"PRIVATE KEY-----" in pem:
        raise InvalidKey(source, reason="it is a private key", hint=_TAKE_PUBLIC)
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise InvalidKey(source, reason="it is no public key in PEM", hint=_TAKE_PUBLIC) from exc
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise InvalidKey(source, reason="it is not on an elliptic curve", hint=_MAKE_ONE)
    return _adopt(key, source)


def _adopt(key: ec.EllipticCurvePublicKey, source: str) -> PublicKey:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    if key.curve.name not in _CURVES:
        reason = f"its curve is {key.curve.name}, and OMS has {', '.join(_CURVES)}"
        raise InvalidKey(source, reason=reason, hint=_MAKE_ONE)
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return PublicKey(source=source, pem=pem, fingerprint=hashlib.sha256(pem).hexdigest(), _key=key)


def _hash_for(key: ec.EllipticCurvePublicKey) -> HashAlgorithm:
    from cryptography.hazmat.primitives import hashes

    found: HashAlgorithm = getattr(hashes, _CURVES[key.curve.name])()
    return found


def _require_cryptography() -> None:
    try:
        import cryptography  # noqa: F401
    except ImportError as exc:
        needed_for = "Signing a model, or checking its signature,"
        raise DependencyMissing("cryptography", needed_for=needed_for, install="'palate[sign]'") from exc


def _read(path: str | os.PathLike[str]) -> bytes:
    name = os.fspath(path)
    try:
        with open(open_plain(Path(path), follow_links=True), "rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except (OSError, ValueError, UnsafePath) as exc:
        reason = "it is no ordinary file" if isinstance(exc, UnsafePath) else getattr(exc, "strerror", None) or str(exc)
        raise InvalidKey(name, reason=f"it cannot be read ({reason})", hint="give the path of a PEM file") from exc
    if len(content) > _MAX_BYTES:
        raise InvalidKey(name, reason=f"it is longer than {_MAX_BYTES:,} bytes", hint="give the path of a PEM file")
    return content

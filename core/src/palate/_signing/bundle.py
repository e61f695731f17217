"""The file that a signature is: a Sigstore bundle v0.3 around a DSSE envelope around the payload.

Nothing in it is believed before the signature over the payload was checked, and of the rest of it nothing after that.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Final

from palate._disk.manifest import MAX_SIGNATURE_BYTES
from palate._signing.narrowing import Narrowing
from palate.errors import InvalidOption, SignatureInvalid

__all__ = ["Bundle", "encode_for_signing", "parse_bundle", "write_bundle"]

_MEDIA_TYPE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
_PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
_MAX_BRACKETS: Final = 1000  # ours have ten, and those of Sigstore's log, which are told apart below, some dozens
_OTHER_METHODS: Final = {"certificate", "x509CertificateChain"}
_VERIFY_ELSEWHERE: Final = "have it checked by 'model_signing verify'; Palate checks signatures by a key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A signature with what it is over.

    Attributes:
        payload: what was signed.
        signature: the signature over it, as ``encode_for_signing`` has it.
        hint: the fingerprint of the key that the bundle says it is by; none in bundles of model_signing before 1.1.
    """

    payload: bytes
    signature: bytes
    hint: str | None


def encode_for_signing(payload: bytes) -> bytes:
    """Return the bytes that a signature of *payload* is over: they say of which type it is (DSSE's PAE)."""
    return b"DSSEv1 %d %s %d %s" % (len(_PAYLOAD_TYPE), _PAYLOAD_TYPE.encode(), len(payload), payload)


def write_bundle(bundle: Bundle) -> bytes:
    """Return the content of the file.

    Raises:
        InvalidOption: it would be longer than a reader takes.
    """
    document = {
        "mediaType": _MEDIA_TYPE,
        "verificationMaterial": {"publicKey": {"hint": bundle.hint}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": base64.b64encode(bundle.payload).decode(),
            "payloadType": _PAYLOAD_TYPE,
            "signatures": [{"sig": base64.b64encode(bundle.signature).decode(), "keyid": ""}],
        },
    }
    content = json.dumps(document, indent=2).encode() + b"\n"
    if len(content) > MAX_SIGNATURE_BYTES:
        reason = f"a signature of so many takes more than {MAX_SIGNATURE_BYTES:,} bytes"
        raise InvalidOption("files", reason=reason, hint="shorten the names of the files, or pack some into one")
    return content


def parse_bundle(content: bytes, *, source: str) -> Bundle:
    """Return what the content of a signature's file says; none of it is proved yet.

    Raises:
        SignatureInvalid: it is no bundle with exactly one signature by a key over an in-toto statement.
    """
    if len(content) > MAX_SIGNATURE_BYTES:
        raise SignatureInvalid(source, reason=f"it is longer than {MAX_SIGNATURE_BYTES:,} bytes")
    reader = _Reader(source)
    return reader.bundle(reader.parse(content, "it", max_brackets=_MAX_BRACKETS))


class _Reader(Narrowing):
    """Narrows JSON to a Bundle."""

    def bundle(self, document: object) -> Bundle:
        whole = self.members(document, "it", "mediaType verificationMaterial dsseEnvelope")
        kind = whole["mediaType"]
        self.refuse_unless(kind == _MEDIA_TYPE, f"its mediaType is {kind!r:.80}, not that of a bundle v0.3")
        hint = self.hint(whole["verificationMaterial"])
        envelope = self.members(whole["dsseEnvelope"], "its envelope", "payload payloadType signatures")
        kind = envelope["payloadType"]
        self.refuse_unless(kind == _PAYLOAD_TYPE, f"its payloadType is {kind!r:.80}, not {_PAYLOAD_TYPE}")
        payload = self.decode(envelope["payload"], "its payload")
        signatures = envelope["signatures"]
        if not isinstance(signatures, list) or len(signatures) != 1:
            raise SignatureInvalid(self._source, reason="it does not have exactly one signature")
        signature = self.members(signatures[0], "its signature", "sig", "keyid")
        # Nothing is chosen by it, so it has nothing to say but what the hint says.
        known = signature.get("keyid") in ("", None, hint)
        self.refuse_unless(known, "its keyid names another key than the bundle does")
        return Bundle(payload=payload, signature=self.decode(signature["sig"], "its signature"), hint=hint)

    def hint(self, value: object) -> str | None:
        if isinstance(value, dict) and "publicKey" not in value and value.keys() & _OTHER_METHODS:
            reason = "it is by a certificate or by Sigstore, not by a key"
            raise SignatureInvalid(self._source, reason=reason, hint=_VERIFY_ELSEWHERE)
        material = self.members(value, "its verificationMaterial", "publicKey", "tlogEntries")
        if material.get("tlogEntries", []) != []:
            reason = "it has entries of a log, which Palate does not check"
            raise SignatureInvalid(self._source, reason=reason, hint=_VERIFY_ELSEWHERE)
        key = self.members(material["publicKey"], "its publicKey", "", "hint rawBytes keyDetails")
        self.refuse_unless(key.get("hint", key.get("rawBytes")) is not None, "its publicKey names no key")
        hint = key.get("hint")
        if hint is not None and not (isinstance(hint, str) and hint):
            raise SignatureInvalid(self._source, reason="the hint of its key is no text")
        return hint

    def decode(self, value: object, what: str) -> bytes:
        try:
            content = base64.b64decode(value, validate=True) if isinstance(value, str) else b""
        except ValueError as exc:
            raise SignatureInvalid(self._source, reason=f"{what} is not base64 ({exc})") from exc
        # Python's reader lets bits pass that say nothing, so that several texts would mean the same.
        canonical = bool(content) and base64.b64encode(content).decode() == value
        self.refuse_unless(canonical, f"{what} is not base64, or empty")
        return content

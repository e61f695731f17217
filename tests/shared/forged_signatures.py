"""Signatures that are not as they should be, most of them properly signed by the right key; and odd ones that are.

Whoever holds the key could write the former. They must be refused all the same: another reader may see other files in
them, and a policy that is checked in one place must mean the same in all.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

__all__ = ["Forger", "Sample"]

IN_TOTO = "application/vnd.in-toto+json"
_ORDER_P256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
Change = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A signature.

    Attributes:
        name: what is odd about it.
        content: of its file.
        reason: a part of what Palate says of it; empty if it is accepted.
        judge: whether model_signing 1.1.1 accepts it.
    """

    name: str
    content: bytes
    reason: str = ""
    judge: bool = False


class Forger:
    """Makes samples from a whole signature over files, with its key on P-256 and a stranger's."""

    def __init__(self, whole: bytes, key: ec.EllipticCurvePrivateKey, stranger: ec.EllipticCurvePrivateKey) -> None:
        self.whole, self.key, self.stranger = json.loads(whole), key, stranger
        self.payload = base64.b64decode(self.whole["dsseEnvelope"]["payload"])
        self.statement = json.loads(self.payload)

    # -- tools ---------------------------------------------------------------------------------------------------------

    def signed(self, payload: bytes, *, to_sign: bytes | None = None, key: ec.EllipticCurvePrivateKey | None = None):
        """Return a bundle in which *payload* is signed, or the bytes *to_sign* in its stead."""
        bundle = copy.deepcopy(self.whole)
        message = _pae(IN_TOTO, payload) if to_sign is None else to_sign
        signature = (key or self.key).sign(message, ec.ECDSA(hashes.SHA256()))
        bundle["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()
        bundle["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(signature).decode()
        return bundle

    def stating(self, change: Change, *, rooted: bool = True) -> bytes:
        """Return a bundle over the statement with a *change*, whose digest is *rooted* in its files again."""
        statement = copy.deepcopy(self.statement)
        change(statement)
        if rooted:
            digests = [bytes.fromhex(one["digest"]) for one in statement["predicate"]["resources"]]
            statement["subject"][0]["digest"]["sha256"] = hashlib.sha256(b"".join(digests)).hexdigest()
        return _text(self.signed(json.dumps(statement).encode()))

    def wrapping(self, change: Change) -> bytes:
        """Return a bundle with a *change* outside of what is signed."""
        bundle = copy.deepcopy(self.whole)
        change(bundle)
        return _text(bundle)

    # -- refused -------------------------------------------------------------------------------------------------------

    def refused(self) -> Iterator[Sample]:
        """Yield what is to be refused."""
        yield from self._statements()
        yield from self._resources()
        yield from self._serializations()
        yield from self._payloads()
        yield from self._bundles()
        yield from self._signatures()

    def _statements(self) -> Iterator[Sample]:
        def sample(name: str, reason: str, change: Change, *, rooted: bool = False, judge: bool = False) -> Sample:
            content = self.stating(change, rooted=rooted)
            return Sample(name=name, content=content, reason=reason, judge=judge)

        subject = self.statement["subject"][0]
        other = {"name": "m", "digest": {"sha256": "0" * 64}}
        yield sample("predicate type", "is of type", lambda s: s.update(predicateType="https://slsa.dev/provenance/v1"))
        yield sample(
            "predicate type of model_signing 0.2, whose subjects are the files",
            "is of type",
            lambda s: s.update(predicateType="https://model_signing/Digests/v0.1", subject=_as_subjects(s)),
            judge=True,
        )
        yield sample(
            "statement type", "no in-toto statement", lambda s: s.update(_type="https://in-toto.io/Statement/v0.1")
        )
        yield sample("no type", "has no _type", lambda s: s.pop("_type"))
        yield sample("no predicate", "has no predicate", lambda s: s.pop("predicate"))
        yield sample("predicate a list", "is not an object", lambda s: s.update(predicate=[s["predicate"]]))
        yield sample("unknown in the statement", "should not: 'more'", lambda s: s.update(more=1), judge=True)
        yield sample("unknown in the predicate", "should not", lambda s: s["predicate"].update(more=1), judge=True)
        yield sample("no subject", "exactly one model", lambda s: s.update(subject=[]))
        yield sample("two subjects", "exactly one model", lambda s: s.update(subject=[subject, other]))
        yield sample("subject an object", "exactly one model", lambda s: s.update(subject=subject))
        yield sample("subject without a name", "no name", lambda s: s["subject"][0].update(name=""), judge=True)
        yield sample("subject's digest wrong", "not that of its files", lambda s: s.update(subject=[other]))
        yield sample(
            "subject's digest in capitals",
            "no sha256 in hex",
            lambda s: s["subject"][0]["digest"].update(sha256=subject["digest"]["sha256"].upper()),
        )
        yield sample(
            "subject's digest besides by sha1",
            "should not: 'sha1'",
            lambda s: s["subject"][0]["digest"].update(sha1="0" * 40),
            judge=True,
        )
        yield sample(
            "subject's digest by sha1", "has no sha256", lambda s: s["subject"][0].update(digest={"sha1": "00"})
        )

    def _resources(self) -> Iterator[Sample]:
        def sample(name: str, reason: str, change: Callable[[list[Any]], None], *, judge: bool = False) -> Sample:
            content = self.stating(lambda s: change(s["predicate"]["resources"]))
            return Sample(name=f"files: {name}", content=content, reason=reason, judge=judge)

        def listing(value: object) -> bytes:
            return self.stating(lambda s: s["predicate"].update(resources=value), rooted=False)

        def renamed(name: str) -> Callable[[list[Any]], None]:
            def change(files: list[Any]) -> None:
                files[0]["name"] = name
                files.sort(key=lambda file: file["name"])

            return change

        first = self.statement["predicate"]["resources"][0]["name"]
        yield sample("not sorted", "not sorted", lambda files: files.reverse(), judge=True)
        yield sample("one twice", "twice", lambda files: files.insert(0, files[0]), judge=True)
        yield sample(
            "one twice, the first with another digest",
            "twice",
            lambda files: files.insert(0, {**files[0], "digest": "0" * 64}),
            judge=True,
        )
        yield sample("one left out", "not signed", lambda files: files.pop(1))
        yield sample("one more", "missing: zzz", lambda files: files.append({**files[0], "name": "zzz"}))
        yield sample("digests swapped", "changed", lambda files: _swap(files[0], files[1]))
        for name in (f"../m/{first}", f"x/../{first}", f"/{first}", "", ".", f"x\\{first}", "x\x00y", "x\u202ey"):
            yield sample(f"called {name!r}", "no path inside", renamed(name))
        for name in (f"./{first}", f"{first}/", f".//{first}"):
            yield sample(f"called {name!r}", "no path inside", renamed(name), judge=True)
        yield sample("name a number", "no path inside", lambda files: files[0].update(name=1))
        yield sample("git's own", "says that it does not", renamed(".git/config"))
        nameless = [{"name": first, "algorithm": "sha256"}]
        yield Sample(name="files: one without a digest", content=listing(nameless), reason="has no digest")
        yield sample("algorithm md5", "no sha256", lambda files: files[0].update(algorithm="md5"))
        yield sample("algorithm blake2b", "no sha256", lambda files: files[0].update(algorithm="blake2b"))
        yield sample("digest in capitals", "in hex", lambda files: files[0].update(digest="AB" * 32))
        yield sample("digest too short", "in hex", lambda files: files[0].update(digest="ab"))
        yield Sample(name="files: none", content=listing([]), reason="lists no files")
        yield Sample(name="files: an object", content=listing({}), reason="lists no files")
        yield Sample(name="files: a text", content=listing([first]), reason="is not an object")

    def _serializations(self) -> Iterator[Sample]:
        def sample(name: str, reason: str, *, drop: str = "", judge: bool = False, **changes: object) -> Sample:
            def change(statement: dict[str, Any]) -> None:
                how = statement["predicate"]["serialization"]
                how.update(changes)
                how.pop(drop, None)

            content = self.stating(change)
            return Sample(name=f"serialization: {name}", content=content, reason=reason, judge=judge)

        first = self.statement["predicate"]["resources"][0]["name"]
        yield sample("shards", "pieces of files", method="shards", shard_size=10**9)
        yield sample("method unknown", "does not know", method="blocks")
        yield sample("md5", "'md5' digests", hash_type="md5")
        yield sample("blake2b", "'blake2b' digests", hash_type="blake2b")
        yield sample("blake3 over sha256 digests", "'blake3' digests", hash_type="blake3")
        yield sample("no hash type", "has no hash_type", drop="hash_type")
        yield sample("links, in text", "neither true nor false", allow_symlinks="false", judge=True)
        yield sample("nothing of links", "has no allow_symlinks", drop="allow_symlinks")
        yield sample("size of shards, without", "shard_size", shard_size=10, judge=True)
        yield sample("unknown", "should not: 'more'", more=1, judge=True)
        yield sample("ignores a file that it lists", "says that it does not", ignore_paths=[first])
        yield sample("ignores everything", "ignore_paths", ignore_paths=["."])
        yield sample("ignores the parent", "ignore_paths", ignore_paths=[".."], judge=True)
        yield sample("ignores a path of the machine", "ignore_paths", ignore_paths=["/etc"], judge=True)
        yield sample("ignores a number", "ignore_paths", ignore_paths=[1], judge=True)
        yield sample("ignores a text", "ignore_paths", ignore_paths="x", judge=True)

    def _payloads(self) -> Iterator[Sample]:
        def sample(name: str, reason: str, payload: bytes, *, judge: bool = False) -> Sample:
            return Sample(name=f"payload: {name}", content=_text(self.signed(payload)), reason=reason, judge=judge)

        text = self.payload.decode()
        yield sample("no JSON", "not JSON", b"\x80\x04N.")
        yield sample("a list", "not an object", f"[{text}]".encode())
        yield sample("a text", "not an object", json.dumps(text).encode())
        yield sample("null", "not an object", b"null")
        yield sample("UTF-16", "not JSON", text.encode("utf-16"), judge=True)
        yield sample("with a byte-order mark", "not JSON", text.encode("utf-8-sig"), judge=True)
        yield sample("with something behind", "not JSON", text.encode() + b"{}")
        yield sample("NaN", "not JSON", text.replace('"method"', '"more":NaN,"method"').encode(), judge=True)
        yield sample("bad UTF-8", "not JSON", text.encode() + b"\xff")
        yield sample("two predicate types", "twice", text.replace("{", '{"predicateType":"x",', 1).encode(), judge=True)
        yield sample(
            "two lists of files",
            "twice",
            text.replace('"resources"', '"resources":[],"resources"').encode(),
            judge=True,
        )
        yield sample("deep", "lists and objects", b"[" * 400_000)
        yield sample("deeper than Python", "not JSON", b"[" * 200_000)

    def _bundles(self) -> Iterator[Sample]:
        def sample(name: str, reason: str, change: Change, *, judge: bool = False) -> Sample:
            return Sample(name=f"bundle: {name}", content=self.wrapping(change), reason=reason, judge=judge)

        def envelope(name: str, reason: str, *, drop: str = "", judge: bool = False, **changes: object) -> Sample:
            def change(bundle: dict[str, Any]) -> None:
                bundle["dsseEnvelope"].update(changes)
                bundle["dsseEnvelope"].pop(drop, None)

            return sample(f"envelope: {name}", reason, change, judge=judge)

        def material(name: str, reason: str, value: object, *, judge: bool = False) -> Sample:
            return sample(f"material: {name}", reason, lambda b: b.update(verificationMaterial=value), judge=judge)

        text, hint = _text(self.whole), self.whole["verificationMaterial"]["publicKey"]["hint"]
        payload = self.whole["dsseEnvelope"]["payload"]
        yield Sample(name="bundle: nothing", content=b"", reason="not JSON")
        yield Sample(name="bundle: a list", content=b"[" + text + b"]", reason="not an object")
        yield Sample(name="bundle: cut", content=text[:-2], reason="not JSON")
        twice = text.replace(b'"payload":', b'"payload": "e30=", "payload":', 1)
        yield Sample(name="bundle: two payloads", content=twice, reason="twice", judge=True)
        yield Sample(name="bundle: many parts", content=b"[" * 5000, reason="lists and objects")
        yield sample(
            "media type 0.1",
            "mediaType",
            lambda b: b.update(mediaType="application/vnd.dev.sigstore.bundle+json;version=0.1"),
        )
        yield sample("no media type", "has no mediaType", lambda b: b.pop("mediaType"))
        yield sample("unknown", "should not: 'more'", lambda b: b.update(more=1))
        yield sample("no envelope", "has no dsseEnvelope", lambda b: b.pop("dsseEnvelope"))
        yield sample("envelope null", "not an object", lambda b: b.update(dsseEnvelope=None))
        yield sample("envelope a list", "not an object", lambda b: b.update(dsseEnvelope=[b["dsseEnvelope"]]))
        message = {"messageDigest": {"algorithm": "SHA2_256", "digest": "AA=="}, "signature": "AA=="}
        yield sample(
            "a message besides", "should not: 'messageSignature'", lambda b: b.update(messageSignature=message)
        )
        yield envelope("payload type", "payloadType is 'text/plain'", payloadType="text/plain")
        yield envelope("payload type null", "payloadType is None", payloadType=None)
        yield envelope("payload type a list", "payloadType is [", payloadType=[IN_TOTO])
        yield envelope("unknown", "should not: 'more'", more=1)
        yield envelope("no signatures", "exactly one signature", signatures=[])
        yield envelope("signatures an object", "exactly one signature", signatures={"sig": "AA=="})
        yield envelope("no payload", "has no payload", drop="payload")
        yield envelope("payload empty", "base64", payload="")
        yield envelope("payload not base64", "base64", payload="!" + payload[1:])
        yield envelope("payload broken into lines", "base64", payload=payload[:8] + "\n" + payload[8:], judge=True)
        yield envelope("payload with junk", "base64", payload=payload + "====*", judge=True)
        yield envelope("payload an object", "base64", payload={"_type": "x"})
        yield material("null", "not an object", None)
        yield material("empty", "has no publicKey", {"tlogEntries": []})
        yield material("hint lies", "another key", {"publicKey": {"hint": "0" * 64}, "tlogEntries": []})
        yield material("hint a number", "no text", {"publicKey": {"hint": 1}, "tlogEntries": []})
        yield material("hint empty", "no text", {"publicKey": {"hint": ""}, "tlogEntries": []}, judge=True)
        yield material("no hint", "names no key", {"publicKey": {}, "tlogEntries": []}, judge=True)
        yield material("key unknown", "should not", {"publicKey": {"hint": hint, "more": 1}, "tlogEntries": []})
        yield material("a certificate", "by a certificate", {"certificate": {"rawBytes": "AA=="}, "tlogEntries": []})
        both = {"publicKey": {"hint": hint}, "certificate": {"rawBytes": "AA=="}, "tlogEntries": []}
        yield material("a certificate besides", "should not: 'certificate'", both)
        yield material("of a log", "entries of a log", {"publicKey": {"hint": hint}, "tlogEntries": [{}]})

    def _signatures(self) -> Iterator[Sample]:
        def sample(name: str, reason: str, bundle: dict[str, Any], *, judge: bool = False) -> Sample:
            return Sample(name=f"signature: {name}", content=_text(bundle), reason=reason, judge=judge)

        def given(*signatures: object) -> dict[str, Any]:
            bundle = copy.deepcopy(self.whole)
            bundle["dsseEnvelope"]["signatures"] = list(signatures)
            return bundle

        [own] = self.whole["dsseEnvelope"]["signatures"]
        theirs = {**own, "sig": self.signed(self.payload, key=self.stranger)["dsseEnvelope"]["signatures"][0]["sig"]}
        yield sample("two, both right", "exactly one", given(own, own), judge=True)
        yield sample("two, the second a stranger's", "exactly one", given(own, theirs), judge=True)
        yield sample("two, the first a stranger's", "exactly one", given(theirs, own))
        yield sample("a stranger's", "was changed", given(theirs))
        yield sample("none in it", "has no sig", given({"keyid": ""}))
        yield sample("empty", "base64", given({**own, "sig": ""}))
        yield sample("not base64", "base64", given({**own, "sig": "*"}))
        yield sample("base64 with junk", "base64", given({**own, "sig": own["sig"] + "\n"}), judge=True)
        yield sample("a list", "base64", given({**own, "sig": [own["sig"]]}))
        yield sample("no DER", "was changed", given({**own, "sig": "AAAA"}))
        yield sample("of zeros", "was changed", given({**own, "sig": _coded(encode_dss_signature(0, 0))}))
        yield sample("keyid lies", "keyid", given({**own, "keyid": "0" * 64}), judge=True)
        yield sample("keyid a number", "keyid", given({**own, "keyid": 1}))
        yield sample("unknown", "should not: 'more'", given({**own, "more": 1}))
        other = _pae("text/plain", self.payload)
        yield sample("over another type", "was changed", self.signed(self.payload, to_sign=other))
        named = self.signed(self.payload, to_sign=other)
        named["dsseEnvelope"]["payloadType"] = "text/plain"
        yield sample("over another type, which it names", "payloadType", named)
        yield sample("over the bare payload", "was changed", self.signed(self.payload, to_sign=self.payload))
        old = f"DSSEV1 {len(IN_TOTO)} {IN_TOTO} {len(self.payload)} {self.payload!r}".encode()
        yield sample(
            "as model_signing 0.2 made them", "was changed", self.signed(self.payload, to_sign=old), judge=True
        )
        moved = copy.deepcopy(self.whole)
        moved["dsseEnvelope"]["payload"] = _coded(self.payload.replace(b"MLmodel", b"MLmodex"))
        yield sample("of another payload", "was changed", moved)

    # -- accepted ------------------------------------------------------------------------------------------------------

    def accepted(self) -> Iterator[Sample]:
        """Yield what is odd, and as it should be."""

        def keyid(value: object) -> Change:
            return lambda b: b["dsseEnvelope"]["signatures"][0].update(keyid=value)

        def sample(name: str, content: bytes, *, judge: bool = True) -> Sample:
            return Sample(name=name, content=content, judge=judge)

        material = self.whole["verificationMaterial"]
        hint = material["publicKey"]["hint"]
        serialization = self.statement["predicate"]["serialization"]
        yield sample("as it is", _text(self.whole))
        yield sample("indented", json.dumps(self.whole, indent=8).encode())
        yield sample("no keyid", self.wrapping(lambda b: b["dsseEnvelope"]["signatures"][0].pop("keyid")))
        yield sample("keyid null", self.wrapping(keyid(None)))
        yield sample("keyid the hint", self.wrapping(keyid(hint)))
        yield sample("nothing of a log", self.wrapping(lambda b: b["verificationMaterial"].pop("tlogEntries")))
        older = {"publicKey": {"rawBytes": "AA==", "keyDetails": "PKIX_ECDSA_P256_SHA_256"}}
        yield sample("key as before 1.1", self.wrapping(lambda b: b.update(verificationMaterial=older)))
        yield sample("another name", self.stating(lambda s: s["subject"][0].update(name="../../etc")))
        yield sample("more of the subject", self.stating(lambda s: s["subject"][0].update(uri="x:")))
        yield sample("more of a file", self.stating(lambda s: s["predicate"]["resources"][0].update(uri="x:")))
        links = {**serialization, "allow_symlinks": True}
        yield sample("links allowed", self.stating(lambda s: s["predicate"].update(serialization=links)))
        fewer = {name: value for name, value in serialization.items() if name != "ignore_paths"}
        # The signature's file is beside the model, where the judge is asked.
        yield sample("ignores nothing", self.stating(lambda s: s["predicate"].update(serialization=fewer)))
        yield sample("folder by folder", self.stating(lambda s: s["predicate"]["resources"].sort(key=_steps)))
        r, s = decode_dss_signature(base64.b64decode(self.whole["dsseEnvelope"]["signatures"][0]["sig"]))
        mirrored = copy.deepcopy(self.whole)
        mirrored["dsseEnvelope"]["signatures"][0]["sig"] = _coded(encode_dss_signature(r, _ORDER_P256 - s))
        yield sample("the other half of ECDSA", _text(mirrored))


def _pae(kind: str, payload: bytes) -> bytes:
    return f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload


def _text(bundle: dict[str, Any]) -> bytes:
    return json.dumps(bundle).encode()


def _coded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _steps(file: dict[str, str]) -> list[str]:
    return file["name"].split("/")


def _swap(one: dict[str, str], other: dict[str, str]) -> None:
    one["digest"], other["digest"] = other["digest"], one["digest"]


def _as_subjects(statement: dict[str, Any]) -> list[dict[str, Any]]:
    files = statement["predicate"]["resources"]
    return [{"name": file["name"], "digest": {"sha256": file["digest"]}} for file in files]

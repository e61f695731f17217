"""Signing: which files a signature is of, whose it is, and everything that makes it worthless."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from forged_signatures import Forger, Sample
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from signing_keys import make_key, save_model, write_key

import palate
from palate._disk.manifest_document import FileDigest
from palate._signing.coverage import hash_files
from palate._signing.keys import parse_private_key, parse_public_key
from palate.errors import (
    InvalidKey,
    InvalidOption,
    ModelChanged,
    ModelNotFound,
    SaveFailed,
    SignatureExists,
    SignatureInvalid,
    SignatureMissing,
    UnsafePath,
)
from palate.signing import (
    PrivateKey,
    PublicKey,
    check_signature,
    read_private_key,
    read_public_key,
    sign_files,
    sign_model,
    verify_signature,
)

DATA = Path(__file__).parent / "data" / "model_signing"
STOCK = Path(__file__).parent / "data" / "mlflow_models"
STRANGE = ["resources", "a/b-c", "übung", "データ.bin", "a b", "'\"", "-", "ab:0:10", "CON"]


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> dict[str, Path]:
    """Return the files of two keys."""
    folder = tmp_path_factory.mktemp("keys")
    ours, theirs = make_key(), make_key()
    private, public = write_key(ours, folder, "ours")
    stranger, foreign = write_key(theirs, folder, "theirs")
    return {"private": private, "public": public, "stranger": stranger, "foreign": foreign}


@pytest.fixture(scope="module")
def original(tmp_path_factory, keys) -> Path:
    """Return a signed model, which nobody changes."""
    model = save_model(tmp_path_factory.mktemp("original") / "line")
    sign_model(model, keys["private"])
    return model


@pytest.fixture
def model(original, tmp_path) -> Path:
    """Return a copy of it."""
    return Path(shutil.copytree(original, tmp_path / "line"))


@pytest.fixture(scope="module")
def key() -> PrivateKey:
    """Return a key in memory."""
    return _adopt(make_key())


def _adopt(key: ec.EllipticCurvePrivateKey, folder: Path | None = None) -> PrivateKey:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return parse_private_key(pem, source="in memory")


def _files(*names: str) -> list[FileDigest]:
    return [FileDigest(name, 1, hashlib.sha256(name.encode()).hexdigest()) for name in names]


def _statement(bundle: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.b64decode(json.loads(bundle)["dsseEnvelope"]["payload"]))
    return found


# -- what is signed ----------------------------------------------------------------------------------------------------


def test_a_signed_model_is_verified_and_loads(model, keys) -> None:
    """The signature says whose key it is, and nothing else changes: the model's digest, what it predicts."""
    before = palate.inspect_model(model).digest
    signer = verify_signature(model, [keys["foreign"], keys["public"]])
    assert signer.key == str(keys["public"])
    assert signer.fingerprint == hashlib.sha256(keys["public"].read_bytes()).hexdigest()
    shutil.rmtree(model)
    save_model(model)
    assert palate.inspect_model(model).digest != before  # another day, another model_uuid
    unsigned = palate.inspect_model(model).digest
    signed = sign_model(model, keys["private"])
    assert palate.inspect_model(model).digest == unsigned
    assert palate.load_model(model).predict({"a": [4.0]})[0] == pytest.approx(4.0)
    assert signed.fingerprint == signer.fingerprint
    assert sorted(path.name for path in model.parent.iterdir()) == ["line"]


def test_every_file_is_a_resource_and_the_signature_is_none(model) -> None:
    """The statement lists what the manifest lists and the manifest, in the order of their names, and no size."""
    listed = json.loads((model / "MANIFEST.json").read_text())["files"]
    statement = _statement((model / "model.sig").read_bytes())
    resources = statement["predicate"]["resources"]
    assert [file["name"] for file in resources] == sorted([*(file["name"] for file in listed), "MANIFEST.json"])
    for file in resources:
        assert file["digest"] == hashlib.sha256((model / file["name"]).read_bytes()).hexdigest()
        assert set(file) == {"name", "digest", "algorithm"}
    together = b"".join(bytes.fromhex(file["digest"]) for file in resources)
    assert statement["subject"] == [{"name": "line", "digest": {"sha256": hashlib.sha256(together).hexdigest()}}]


def test_the_same_files_give_the_same_statement_in_any_order(key) -> None:
    """Only the signature over it differs from one time to the next."""
    files = _files(*STRANGE)
    one = sign_files(files, key, name="m")
    other = sign_files(files[::-1], key, name="m")
    assert _statement(one) == _statement(other)
    assert one != other
    assert check_signature(one, files[::-1], [key.public], source="m").fingerprint == key.public.fingerprint


def test_a_signature_keeps_the_schemas_of_the_specification(original) -> None:
    """The bundle and the statement in it are valid by the JSON Schemas of OMS v1.0, which refuse its bad samples."""
    schemas = [json.loads(file.read_text()) for file in sorted((DATA / "schemas").glob("*.json"))]
    registry = Registry().with_resources([(schema["$id"], Resource.from_contents(schema)) for schema in schemas])
    validators = {schema["$id"].split("/")[3]: Draft202012Validator(schema, registry=registry) for schema in schemas}
    content = (original / "model.sig").read_bytes()
    validators["bundle"].validate(json.loads(content))
    validators["statement"].validate(_statement(content))
    assert not validators["bundle"].is_valid(json.loads((DATA / "missing-envelope.bundle.json").read_text()))
    assert not validators["statement"].is_valid(_statement((DATA / "wrong-predicate.bundle.json").read_bytes()))


@pytest.mark.parametrize("curve", ["P-256", "P-384", "P-521"])
def test_each_curve_of_the_specification_signs(curve) -> None:
    """P-256, P-384 and P-521."""
    key = _adopt(make_key(curve))
    bundle = sign_files(_files("a"), key, name="m")
    assert check_signature(bundle, _files("a"), [key.public], source="m").key == "in memory"


@given(st.lists(st.sampled_from(STRANGE), min_size=1, unique=True), st.integers(0, 2**32))
def test_a_signature_is_of_its_files_and_of_no_others(key, names, seed) -> None:
    """Whatever files there are: one more, one less, one renamed, one with another digest is refused."""
    files = _files(*names)
    bundle = sign_files(files, key, name="m")
    check_signature(bundle, files, [key.public], source="m")
    place = seed % len(files)
    file = files[place]
    others = [
        [*files, *_files("one more")],
        files[:place] + files[place + 1 :],
        [*files[:place], FileDigest("renamed", 1, file.sha256), *files[place + 1 :]],
        [*files[:place], FileDigest(file.name, 1, f"{seed:064x}"), *files[place + 1 :]],
        [*files, file],
        [],
    ]
    for other in others:
        with pytest.raises(SignatureInvalid, match="of other files"):
            check_signature(bundle, other, [key.public], source="m")


# -- files of git's own, and the signature's own name ------------------------------------------------------------------


def test_what_the_format_leaves_out_is_covered_by_the_manifest(model, keys) -> None:
    """Files such as .gitattributes are in no statement, and changing one is found nevertheless."""
    (model / ".gitattributes").write_text("*.skops filter=lfs\n")
    palate.accept_changes(model)
    sign_model(model, keys["private"], overwrite=True)
    assert ".gitattributes" not in str(_statement((model / "model.sig").read_bytes())["predicate"]["resources"])
    verify_signature(model, [keys["public"]])
    (model / ".gitattributes").write_text("changed\n")
    with pytest.raises(ModelChanged, match="gitattributes"):
        verify_signature(model, [keys["public"]])
    palate.accept_changes(model)
    with pytest.raises(SignatureInvalid, match=r"changed: MANIFEST\.json"):
        verify_signature(model, [keys["public"]])


def test_without_a_manifest_nothing_may_be_left_out(key) -> None:
    """Neither signing nor checking passes over a file of git's own that no manifest lists."""
    files = _files("MLmodel", ".git/config")
    with pytest.raises(InvalidOption, match=r"would not cover \.git/config"):
        sign_files(files, key, name="m")
    bundle = sign_files(files[:1], key, name="m")
    with pytest.raises(SignatureInvalid, match=r"not signed: \.git/config"):
        check_signature(bundle, files, [key.public], source="m")
    deeper = _files("MLmodel", "code/.git/config", ".gitmodules")
    check_signature(sign_files(deeper, key, name="m"), deeper, [key.public], source="m")


def test_a_model_with_a_file_of_the_signatures_name_is_not_signed(key) -> None:
    """It could not be told from the signature."""
    with pytest.raises(InvalidOption, match=r"model\.sig, where the signature goes"):
        sign_files(_files("MLmodel", "model.sig"), key, name="m")


def test_what_others_add_later_is_not_signed(model, keys) -> None:
    """Byte code that Python would run, the note of MLflow's registry: the manifest lets them pass, a signature not."""
    (model / "code" / "__pycache__").mkdir(parents=True)
    for name in ("code/__pycache__/a.cpython-311.pyc", "registered_model_meta"):
        (model / name).write_bytes(b"later")
        assert palate.inspect_model(model).digest
        with pytest.raises(SignatureInvalid, match=f"not signed: {name}"):
            verify_signature(model, [keys["public"]])
        failed = {
            check.name for check in palate.verify_model(model, keys=[keys["public"]]).checks if check.status == "failed"
        }
        assert failed == {"signature"}
        sign_model(model, keys["private"], overwrite=True)
        verify_signature(model, [keys["public"]])


def test_a_directory_by_mlflow_is_signed_file_by_file(tmp_path, keys) -> None:
    """Without MANIFEST.json each file is hashed; what is changed or added is refused."""
    stock = next(path.parent for path in sorted(STOCK.rglob("MLmodel")))
    model = Path(shutil.copytree(stock, tmp_path / "stock"))
    signed = sign_model(model, keys["private"])
    assert signed.files == sum(1 for path in model.rglob("*") if path.is_file()) - 1
    verify_signature(model, [keys["public"]])
    (model / "MLmodel").write_bytes((model / "MLmodel").read_bytes() + b"\n")
    (model / "more").write_text("")
    with pytest.raises(SignatureInvalid, match="changed: MLmodel; not signed: more"):
        verify_signature(model, [keys["public"]])


# -- tampering ---------------------------------------------------------------------------------------------------------


def _flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def _swap(model: Path) -> None:
    one, other = model / "model.skops", model / "conda.yaml"
    one.rename(model.parent / "kept")
    other.rename(one)
    (model.parent / "kept").rename(other)


TAMPERING = {
    "a bit in the model": lambda model: _flip(model / "model.skops"),
    "a bit in MLmodel": lambda model: _flip(model / "MLmodel"),
    "a bit in a folder's file": lambda model: _flip(model / "notes" / "card.md"),
    "a file more": lambda model: (model / "more.txt").write_text(""),
    "a file in a new folder": lambda model: (model / "code").mkdir() or (model / "code" / "a.py").write_text(""),
    "a file less": lambda model: (model / "conda.yaml").unlink(),
    "two swapped": _swap,
    "another name": lambda model: (model / "conda.yaml").rename(model / "Conda.yaml"),
}


@pytest.mark.parametrize("tamper", TAMPERING.values(), ids=TAMPERING)
def test_tampered_files_are_refused(tamper, model, keys) -> None:
    """By the manifest, and where that was made anew over them, by the signature."""
    tamper(model)
    with pytest.raises((ModelChanged, palate.errors.InvalidModelFile)):
        verify_signature(model, [keys["public"]])
    palate.accept_changes(model)
    with pytest.raises(SignatureInvalid, match=r"of other files \(changed: .*MANIFEST\.json"):
        verify_signature(model, [keys["public"]])


def test_every_byte_of_the_manifest_is_signed(model, keys) -> None:
    """Not what it says alone: one with the same list, laid out in another way, is another file."""
    manifest = model / "MANIFEST.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text())))
    assert palate.verify_model(model).ok
    with pytest.raises(SignatureInvalid, match=r"of other files \(changed: MANIFEST\.json\)"):
        verify_signature(model, [keys["public"]])
    _flip(manifest)
    with pytest.raises(palate.errors.InvalidModelFile):
        verify_signature(model, [keys["public"]])


def test_without_its_manifest_a_model_is_another_one(model, keys) -> None:
    """Removing MANIFEST.json does not make a directory that is checked less."""
    (model / "MANIFEST.json").unlink()
    with pytest.raises(SignatureInvalid, match=r"missing: MANIFEST\.json"):
        verify_signature(model, [keys["public"]])


def test_links_are_refused(model, keys) -> None:
    """A link to a file of the very same content is no file of the model; neither is a signature that is a link."""
    (model / "conda.yaml").rename(model.parent / "conda.yaml")
    (model / "conda.yaml").symlink_to(model.parent / "conda.yaml")
    with pytest.raises(UnsafePath):
        verify_signature(model, [keys["public"]])
    (model / "conda.yaml").unlink()
    (model.parent / "conda.yaml").rename(model / "conda.yaml")
    (model / "model.sig").rename(model.parent / "model.sig")
    (model / "model.sig").symlink_to(model.parent / "model.sig")
    with pytest.raises(SignatureInvalid, match="no ordinary file"):
        verify_signature(model, [keys["public"]])
    (model / "model.sig").unlink()
    verify_signature(model, [keys["public"]], signature=model.parent / "model.sig")


def test_the_signature_of_another_model_is_refused(model, keys, tmp_path) -> None:
    """By the same key, of a model saved in the same way."""
    other = save_model(tmp_path / "other", slope=2.0)
    sign_model(other, keys["private"])
    shutil.copy(other / "model.sig", model / "model.sig")
    with pytest.raises(SignatureInvalid, match="of other files"):
        verify_signature(model, [keys["public"]])


def test_a_strangers_signature_is_refused(model, keys) -> None:
    """One key does not speak for another, and the error names what it was checked with."""
    sign_model(model, keys["stranger"], overwrite=True)
    with pytest.raises(SignatureInvalid, match=r"by another key .*ours\.pub"):
        verify_signature(model, [keys["public"]])
    assert verify_signature(model, [keys["public"], keys["foreign"]]).key == str(keys["foreign"])


def test_a_pinned_digest_is_held_too(model, keys) -> None:
    """A model of the right key and another digest than the one asked for is refused."""
    digest = palate.inspect_model(model).digest
    verify_signature(f"{model}@sha256:{digest}", [keys["public"]])
    with pytest.raises(ModelChanged, match="0000"):
        verify_signature(f"{model}@sha256:{'0' * 64}", [keys["public"]])


def test_an_unsigned_model_is_refused(model, keys) -> None:
    """Where a signature is asked for, none is not as good as any."""
    (model / "model.sig").unlink()
    with pytest.raises(SignatureMissing, match=r"there is no model\.sig"):
        verify_signature(model, [keys["public"]])
    with pytest.raises(SignatureMissing, match="elsewhere"):
        verify_signature(model, [keys["public"]], signature=model / "elsewhere")


# -- forged signatures -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def forger(original) -> tuple[Forger, list[FileDigest], PublicKey]:
    """Return what forges, the files it is about, and the key that signs most of it."""
    ours = make_key()
    files = list(hash_files(original))
    whole = sign_files(files, _adopt(ours), name="line")
    return Forger(whole, ours, make_key()), files, _adopt(ours).public


def test_forged_signatures_are_refused(forger) -> None:
    """Each for its own reason, though most are properly signed by the right key."""
    makes, files, key = forger
    samples = list(makes.refused())
    assert len(samples) > 100
    assert len({sample.name for sample in samples}) == len(samples)
    found = {sample.name: _reason(sample, files, key) for sample in samples}
    wrong = {sample.name: found[sample.name] for sample in samples if sample.reason not in found[sample.name]}
    assert wrong == {}


def test_odd_signatures_that_are_right_are_accepted(forger) -> None:
    """What the specification leaves to the signer is."""
    makes, files, key = forger
    assert {sample.name: _reason(sample, files, key) for sample in makes.accepted()} == dict.fromkeys(
        (sample.name for sample in makes.accepted()), "accepted"
    )


def _reason(sample: Sample, files: list[FileDigest], key: PublicKey) -> str:
    try:
        check_signature(sample.content, files, [key], source="line")
    except SignatureInvalid as exc:
        return exc.reason
    return "accepted"


def test_no_flipped_bit_passes(forger) -> None:
    """Every byte of a signature's file counts."""
    makes, files, key = forger
    content = json.dumps(makes.whole).encode()
    dice = random.Random(20)
    for place in range(len(content)):
        flipped = bytearray(content)
        flipped[place] ^= 1 << dice.randrange(8)
        with pytest.raises(SignatureInvalid):
            check_signature(bytes(flipped), files, [key], source="line")


@given(st.binary(max_size=200) | st.recursive(st.none() | st.text(), st.lists).map(lambda v: json.dumps(v).encode()))
def test_junk_is_refused(key, junk) -> None:
    """Whatever stands in the file, the error is ours."""
    with pytest.raises(SignatureInvalid):
        check_signature(junk, _files("a"), [key.public], source="m")


def test_a_huge_signature_is_refused_unread(forger, model, keys) -> None:
    """Beyond 64 MiB nothing is parsed, and what lies in the model is then no part of it."""
    makes, files, key = forger
    with pytest.raises(SignatureInvalid, match="longer than 67,108,864 bytes"):
        check_signature(json.dumps(makes.whole).encode() + b" " * 2**26, files, [key], source="m")
    os.truncate(model / "model.sig", 2**26 + 1)
    with pytest.raises(SignatureInvalid, match="longer than"):
        verify_signature(model, [keys["public"]])
    with pytest.raises(ModelChanged, match=r"not listed: model\.sig"):
        palate.load_model(model)


@pytest.mark.parametrize("name", ["", "/a", "../a", "a/./b", "a\\b", "C:x", "x" * 300, "\ud800"])
def test_a_name_that_no_reader_takes_is_not_signed(name, key) -> None:
    """What is signed can be verified."""
    with pytest.raises(InvalidOption, match="no path inside a model"):
        sign_files([*_files("MLmodel"), FileDigest(name, 1, "0" * 64)], key, name="m")


def test_a_listing_that_no_reader_takes_is_not_signed(key) -> None:
    """No files, one twice, and a digest that is none."""
    for files in ([], _files("a", "a"), [FileDigest("a", 1, "A" * 64)]):
        with pytest.raises(InvalidOption):
            sign_files(files, key, name="m")


def test_more_files_than_fit_are_not_signed(key) -> None:
    """A signature that no reader would take is not written."""
    files = [FileDigest(f"{number:0200}/{number:0200}/{number:0200}", 1, "0" * 64) for number in range(80_000)]
    with pytest.raises(InvalidOption, match="takes more than 67,108,864 bytes"):
        sign_files(files, key, name="m")


# -- signatures by others ----------------------------------------------------------------------------------------------

THEIR_FILES = [
    FileDigest("signme-1", 1, "bc9a717db6064a32cbe9eae6fc40651dd6d36ef1757183f590eff2b1765d7ebc"),
    FileDigest("signme-2", 1, "32dcb1f8e1ae52d5963e56a6ba06ab58b424c15ed2a6b70d2feca1d089370028"),
]


def _check_theirs(name: str, files: list[FileDigest] = THEIR_FILES) -> str:
    key = read_public_key(DATA / "written_by_model_signing" / "public.pem")
    return check_signature((DATA / name).read_bytes(), files, [key], source="m").fingerprint


@pytest.mark.parametrize("version", ["1.0.1", "1.1.0"])
def test_released_versions_of_model_signing_are_read(version) -> None:
    """Signatures of directories as it wrote them, before 1.1 without a fingerprint of the key."""
    name = f"written_by_model_signing/{version}.sig"
    assert _check_theirs(name).startswith("e8450dec")
    with pytest.raises(SignatureInvalid, match="missing: signme-2"):
        _check_theirs(name, THEIR_FILES[:1])


@pytest.mark.parametrize("version", ["0.3.1", "1.0.0"])
def test_signatures_of_a_single_file_are_refused(version) -> None:
    """Their file is called ".", and a model here is a directory."""
    with pytest.raises(SignatureInvalid, match=r"'\.', which is no path inside a model"):
        _check_theirs(f"written_by_model_signing/{version}.sig", [FileDigest(".", 1, THEIR_FILES[0].sha256)])


@pytest.mark.parametrize(
    ("vector", "reason"),
    [
        ("certificate", "by a certificate or by Sigstore"),
        ("sigstore", "by a certificate or by Sigstore"),
        ("empty", "not JSON"),
        ("missing-envelope", "no dsseEnvelope"),
        ("missing-verification-material", "no verificationMaterial"),
        ("wrong-predicate", "was changed"),
    ],
)
def test_vectors_of_the_specification_are_refused(vector, reason) -> None:
    """Its invalid ones; and the valid ones of other methods than keys, which the error tells apart."""
    with pytest.raises(SignatureInvalid, match=reason):
        _check_theirs(f"{vector}.bundle.json")


def test_the_vector_for_keys_is_read() -> None:
    """The specification's sample of a signature by a key."""
    assert _check_theirs("key.bundle.json").startswith("e8450dec")


# -- keys --------------------------------------------------------------------------------------------------------------


def test_keys_as_openssl_writes_them_are_read(tmp_path, original) -> None:
    """The old form and the new one, and encrypted with a password."""
    commands = (
        "openssl ecparam -name prime256v1 -genkey -noout -out old.pem",
        "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out new.pem",
        "openssl ec -aes256 -passout pass:seven -in old.pem -out old-secret.pem",
        "openssl pkcs8 -topk8 -v2 aes256 -passout pass:seven -in old.pem -out new-secret.pem",
        "openssl pkey -in old.pem -pubout -out old.pub",
    )
    for command in commands:
        subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)
    public = read_public_key(tmp_path / "old.pub")
    assert read_private_key(tmp_path / "old.pem").public.fingerprint == public.fingerprint
    assert read_private_key(tmp_path / "new.pem").public.fingerprint != public.fingerprint
    for name in ("old-secret.pem", "new-secret.pem"):
        assert read_private_key(tmp_path / name, password="seven").public.fingerprint == public.fingerprint
        with pytest.raises(InvalidKey, match="it is encrypted"):
            read_private_key(tmp_path / name)
        with pytest.raises(InvalidKey, match="password is not its own"):
            read_private_key(tmp_path / name, password="eight")
    with pytest.raises(InvalidKey, match="is not encrypted"):
        read_private_key(tmp_path / "old.pem", password="seven")


def test_what_is_no_key_is_refused(tmp_path, keys) -> None:
    """Other kinds of keys, other curves, other files; and a private key where a public one goes."""
    from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

    rsa_key, ed_key = rsa.generate_private_key(65537, 2048), ed25519.Ed25519PrivateKey.generate()
    for number, (key, reason) in enumerate(
        [
            (rsa_key, "not on an elliptic curve"),
            (ed_key, "not on an elliptic curve"),
            (ec.generate_private_key(ec.SECP256K1()), "its curve is secp256k1"),
            (ec.generate_private_key(ec.BrainpoolP256R1()), "its curve is brainpoolP256r1"),
        ]
    ):
        private, public = write_key(key, tmp_path, str(number))  # type: ignore[arg-type]
        with pytest.raises(InvalidKey, match=reason):
            read_private_key(private)
        with pytest.raises(InvalidKey, match=reason):
            read_public_key(public)
    with pytest.raises(InvalidKey, match="it is a private key"):
        read_public_key(keys["private"])
    with pytest.raises(InvalidKey, match="no private key in PEM"):
        read_private_key(keys["public"])
    with pytest.raises(InvalidKey, match="No such file"):
        read_public_key(tmp_path / "nothing")
    with pytest.raises(InvalidKey, match="no ordinary file"):
        read_public_key(tmp_path)
    (tmp_path / "long").write_bytes(keys["public"].read_bytes() + b"\n" * 2**16)
    with pytest.raises(InvalidKey, match="longer than 65,536 bytes"):
        read_public_key(tmp_path / "long")
    for junk in (b"", b"\x00" * 100, b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", b"\xff\xfe"):
        with pytest.raises(InvalidKey):
            parse_public_key(junk, source="junk")
        with pytest.raises(InvalidKey):
            parse_private_key(junk, source="junk")


def test_no_text_shows_a_private_key(key, keys) -> None:
    """Neither its repr nor the error over one that is cut."""
    secret = keys["private"].read_text().splitlines()[1]
    assert secret not in repr(read_private_key(keys["private"]))
    with pytest.raises(InvalidKey) as refused:
        parse_private_key(keys["private"].read_bytes()[:-50], source="cut")
    assert secret not in str(refused.value)


def test_keys_are_a_list_with_something_in_it(model, keys) -> None:
    """No keys would accept nobody, and one path is a list of letters."""
    for given_keys in ([], keys["public"], str(keys["public"])):
        with pytest.raises(InvalidOption, match="keys"):
            verify_signature(model, given_keys)
    with pytest.raises(InvalidOption, match="there are none"):
        check_signature(b"{}", [], [], source="m")
    with pytest.raises(InvalidOption, match="password"):
        sign_model(model, read_private_key(keys["private"]), password="x")


# -- the file ----------------------------------------------------------------------------------------------------------


def test_a_signature_is_replaced_only_when_asked(model, keys) -> None:
    """What is there stays, byte for byte, until overwrite=True."""
    before = (model / "model.sig").read_bytes()
    with pytest.raises(SignatureExists, match="overwrite=True"):
        sign_model(model, keys["stranger"])
    assert (model / "model.sig").read_bytes() == before
    sign_model(model, keys["stranger"], overwrite=True)
    verify_signature(model, [keys["foreign"]])


def test_a_changed_model_is_not_signed(model, keys) -> None:
    """Nobody vouches by accident for files that are not those of the manifest."""
    (model / "model.sig").unlink()
    (model / "notes-of-a-day.txt").write_text("wet\n")
    with pytest.raises(ModelChanged):
        sign_model(model, keys["private"])
    assert not (model / "model.sig").exists()
    with pytest.raises(ModelNotFound):
        sign_model(model.parent, keys["private"])


FULL = """
import resource, sys
from palate.signing import sign_model
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    sign_model(sys.argv[1], sys.argv[2], overwrite="overwrite" in sys.argv)
except Exception as exc:
    print(type(exc).__name__, exc)
"""


@pytest.mark.parametrize("mode", ["first", "overwrite"])
def test_a_full_disk_leaves_what_was_there(mode, model, keys) -> None:
    """A signature that does not fit leaves the old one, or none, and nothing beside the model."""
    if mode == "first":
        (model / "model.sig").unlink()
    before = {path: path.read_bytes() for path in model.parent.rglob("*") if path.is_file()}
    command = [sys.executable, "-B", "-c", FULL, str(model), str(keys["private"]), mode]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("SaveFailed Could not save to"), done
    assert {path: path.read_bytes() for path in model.parent.rglob("*") if path.is_file()} == before
    assert sorted(path.name for path in model.parent.iterdir()) == ["line"]


def test_a_directory_that_cannot_be_written_is_not_signed(model, keys) -> None:
    """The file's place may be taken by something that is no file."""
    (model / "model.sig").unlink()
    (model / "model.sig").mkdir()
    with pytest.raises(SignatureExists):
        sign_model(model, keys["private"])
    with pytest.raises(SaveFailed):
        sign_model(model, keys["private"], overwrite=True)
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY  # the disk was not full


def test_signing_at_once_leaves_one_whole_signature(model, keys) -> None:
    """Of eight processes that sign at the same time one succeeds, and what is there is verified."""
    (model / "model.sig").unlink()
    script = FULL.replace("resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))", "")
    command = [sys.executable, "-c", script, str(model), str(keys["private"])]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(8)]
    told = [process.communicate(timeout=120)[0] for process in started]
    assert sorted(text.split(" ")[0] for text in told) == [""] + ["SignatureExists"] * 7
    verify_signature(model, [keys["public"]])
    assert sorted(path.name for path in model.parent.iterdir()) == ["line"]

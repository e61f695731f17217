"""model_signing, the reference implementation of OMS, reads our signatures, and we read its own and accept no more."""

from __future__ import annotations

import base64
import copy
import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from forged_signatures import Forger
from signing_environment import ask_judge, run_judge
from signing_keys import make_key, save_model, write_key

from palate._signing.coverage import hash_files
from palate.errors import ModelChanged, PalateError, SignatureInvalid, UnsafePath
from palate.signing import (
    check_signature,
    read_private_key,
    read_public_key,
    sign_files,
    sign_model,
    verify_signature,
)

STOCK = Path(__file__).parents[1] / "data" / "mlflow_models"


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> dict[str, Path]:
    """Return the files of a key on each curve, and of a stranger's."""
    folder = tmp_path_factory.mktemp("keys")
    found = {}
    for name, curve in (("P-256", "P-256"), ("P-384", "P-384"), ("P-521", "P-521"), ("stranger", "P-256")):
        found[name], found[f"{name}.pub"] = write_key(make_key(curve), folder, name)
    return found


@pytest.fixture(scope="module")
def unsigned(tmp_path_factory) -> Path:
    """Return a model, which nobody changes."""
    return save_model(tmp_path_factory.mktemp("unsigned") / "line")


@pytest.fixture
def model(unsigned, tmp_path) -> Path:
    """Return a copy of it."""
    return Path(shutil.copytree(unsigned, tmp_path / "line"))


def _tasks(model: Path, by: Path, key: Path) -> dict[str, Any]:
    return {"verify": model, "by": by, "key": key}


def _stock(tmp_path: Path) -> list[Path]:
    """Return a copy of each directory that stock MLflow saved."""
    found = sorted(path.parent for path in STOCK.rglob("MLmodel"))
    return [Path(shutil.copytree(path, tmp_path / f"stock-{number}")) for number, path in enumerate(found)]


# -- each reads the other ----------------------------------------------------------------------------------------------


def test_its_command_verifies_what_we_sign(model, keys) -> None:
    """As a person would call it, with the signature inside of the model; and it refuses a stranger's key."""
    sign_model(model, keys["P-256"])
    by = ("--signature", model / "model.sig")
    done = run_judge("verify", "key", model, *by, "--public_key", keys["P-256.pub"])
    assert done.returncode == 0, done.stderr
    assert "Verification succeeded" in done.stdout
    assert run_judge("verify", "key", model, *by, "--public_key", keys["stranger.pub"]).returncode != 0
    (model / "notes" / "card.md").write_text("changed")
    refused = run_judge("verify", "key", model, *by, "--public_key", keys["P-256.pub"])
    assert refused.returncode != 0
    assert "Hash mismatch for 'notes/card.md'" in refused.stdout + refused.stderr


def test_we_verify_what_its_command_signs(model, keys) -> None:
    """As a person would call it, in the directory around, and in the model itself."""
    for place in (model / "model.sig", model.parent / "line.sig"):
        done = run_judge("sign", "key", model, "--signature", place, "--private_key", keys["P-384"])
        assert done.returncode == 0, done.stderr
        inside = place.parent == model
        signer = verify_signature(model, [keys["P-384.pub"]], signature=None if inside else place)
        assert signer.fingerprint == read_public_key(keys["P-384.pub"]).fingerprint
        with pytest.raises(SignatureInvalid, match="by another key"):
            verify_signature(model, [keys["stranger.pub"]], signature=place)
        place.unlink()


def test_every_curve_and_every_directory_both_ways(model, keys, tmp_path) -> None:
    """Models of ours and of stock MLflow's, with keys on each curve, encrypted or not."""
    models = [model, *_stock(tmp_path)]
    assert len(models) > 5
    tasks = []
    for curve in ("P-256", "P-384", "P-521"):
        for place in models:
            ours, theirs = tmp_path / f"{place.name}-{curve}-ours.sig", tmp_path / f"{place.name}-{curve}-theirs.sig"
            private = read_private_key(keys[curve])
            ours.write_bytes(sign_files(hash_files(place), private, name=place.name))
            tasks.append(_tasks(place, ours, keys[f"{curve}.pub"]))
            tasks.append({"sign": place, "to": theirs, "key": keys[curve]})
            tasks.append(_tasks(place, theirs, keys[f"{curve}.pub"]))
    assert ask_judge(tasks) == [None] * len(tasks)
    for task in tasks:
        if "by" in task:
            verify_signature(task["verify"], [task["key"]], signature=task["by"])


def test_names_of_all_kinds_are_read_by_both(tmp_path, keys) -> None:
    """Folders that sort otherwise than text does, letters of other alphabets, quotes, colons, git's own deeper down."""
    stock = _stock(tmp_path)[0]
    for name in (
        "a/y",
        "a-b",
        "a.b/c",
        "übung",
        "データ.bin",
        "a b",
        "'\"",
        "ab:0:10",
        "code/.git/x",
        ".gitmodules",
        "é",
    ):
        (stock / name).parent.mkdir(parents=True, exist_ok=True)
        (stock / name).write_text(name)
    sign_model(stock, keys["P-256"])
    theirs = tmp_path / "theirs.sig"
    sign = {"sign": stock, "to": theirs, "key": keys["P-256"], "ignored": [stock / "model.sig"]}
    verify = [_tasks(stock, place, keys["P-256.pub"]) for place in (stock / "model.sig", theirs)]
    assert ask_judge([sign, *verify]) == [None] * 3
    listed = [list(_resources(place)) for place in (stock / "model.sig", theirs)]
    assert sorted(listed[0]) == sorted(listed[1])
    assert listed[0] != listed[1]  # the order of the specification, and that of the reference implementation
    verify_signature(stock, [keys["P-256.pub"]])
    verify_signature(stock, [keys["P-256.pub"]], signature=theirs)


def _resources(file: Path) -> dict[str, str]:
    statement = json.loads(base64.b64decode(json.loads(file.read_bytes())["dsseEnvelope"]["payload"]))
    return {entry["name"]: entry["digest"] for entry in statement["predicate"]["resources"]}


def test_what_we_do_not_check_is_refused_with_its_reason(model, keys, tmp_path) -> None:
    """Pieces of files, and other digests: signatures that the reference implementation writes if told to."""
    shards, blake = tmp_path / "shards.sig", tmp_path / "blake.sig"
    asked = [
        {"sign": model, "to": shards, "key": keys["P-256"], "shard_size": 1000},
        {"sign": model, "to": blake, "key": keys["P-256"], "algorithm": "blake3"},
        _tasks(model, blake, keys["P-256.pub"]),
    ]
    assert ask_judge(asked) == [None] * 3
    for place, reason in ((shards, "pieces of files"), (blake, "'blake3' digests")):
        with pytest.raises(SignatureInvalid, match=f"{reason}.*model_signing verify"):
            verify_signature(model, [keys["P-256.pub"]], signature=place)


def test_paths_that_it_was_told_to_ignore_are_not_passed_over(tmp_path, keys) -> None:
    """A signature of some files lets others pass there; here every file must be signed."""
    stock, by = _stock(tmp_path)[0], tmp_path / "part.sig"
    (stock / "notes").mkdir()
    (stock / "notes" / "a.txt").write_text("a")
    asked = [
        {"sign": stock, "to": by, "key": keys["P-256"], "ignored": [stock / "notes"]},
        _tasks(stock, by, keys["P-256.pub"]),
    ]
    assert ask_judge(asked) == [None, None]
    with pytest.raises(SignatureInvalid, match=r"not signed: notes/a\.txt"):
        verify_signature(stock, [keys["P-256.pub"]], signature=by)
    shutil.rmtree(stock / "notes")
    verify_signature(stock, [keys["P-256.pub"]], signature=by)


# -- tampering ---------------------------------------------------------------------------------------------------------


def _tampered(model: Path, folder: Path) -> dict[str, Path]:
    """Return copies of a model, each with one thing changed."""
    copies: dict[str, Path] = {}

    def copied(name: str) -> Path:
        copies[name] = folder / f"copy-{len(copies)}" / model.name
        return Path(shutil.copytree(model, copies[name]))

    files = sorted(path.relative_to(model) for path in model.rglob("*") if path.is_file())
    for file in files:
        if file.name != "model.sig":
            changed = copied(f"a bit of {file}") / file
            content = bytearray(changed.read_bytes())
            content[len(content) // 3] ^= 4
            changed.write_bytes(content)
            (copied(f"without {file}") / file).unlink()
    (copied("a file more") / "more").write_text("")
    more = copied("a file more in a new folder") / "code" / "more.py"
    more.parent.mkdir()
    more.write_text("")
    (copied("the note of MLflow's registry") / "registered_model_meta").write_text("model_name: line\n")
    code = copied("byte code") / "code" / "__pycache__" / "a.cpython-311.pyc"
    code.parent.mkdir(parents=True)
    code.write_bytes(b"later")
    swapped = copied("two swapped")
    shutil.copy(model / "conda.yaml", swapped / "model.skops")
    shutil.copy(model / "model.skops", swapped / "conda.yaml")
    linked = copied("a link to the same content") / "conda.yaml"
    linked.unlink()
    linked.symlink_to(model / "conda.yaml")
    (copied("a link to a folder") / "code").symlink_to(model / "notes")
    (copied("another name") / "conda.yaml").rename(copies["another name"] / "CONDA.yaml")
    return copies


def test_tampered_models_are_refused_by_both(model, keys, tmp_path) -> None:
    """Files changed, removed, added, swapped, renamed and linked; another key, the signature of another model."""
    sign_model(model, keys["P-256"])
    cases = {
        name: _tasks(path, path / "model.sig", keys["P-256.pub"]) for name, path in _tampered(model, tmp_path).items()
    }
    assert len(cases) > 20
    other = save_model(tmp_path / "other" / "line", slope=2.0)
    sign_model(other, keys["P-256"])
    cases["the signature of another model"] = _tasks(model, other / "model.sig", keys["P-256.pub"])
    cases["another key"] = _tasks(model, model / "model.sig", keys["stranger.pub"])
    judged = dict(zip(cases, ask_judge(list(cases.values())), strict=True))
    assert [name for name, answer in judged.items() if answer is None] == []
    ours = {name: _our_answer(task) for name, task in cases.items()}
    assert [name for name, answer in ours.items() if answer is None] == []
    assert ask_judge([_tasks(model, model / "model.sig", keys["P-256.pub"])]) == [None]
    verify_signature(model, [keys["P-256.pub"]])


def _our_answer(task: dict[str, Any]) -> PalateError | None:
    outside = task["by"].parent != task["verify"]
    try:
        verify_signature(task["verify"], [task["key"]], signature=task["by"] if outside else None)
    except (SignatureInvalid, ModelChanged, UnsafePath, PalateError) as exc:
        return exc
    return None


def test_no_signature_that_it_refuses_is_accepted(unsigned, tmp_path) -> None:
    """Forged and odd ones: what each says of them is as written down, and we never accept more."""
    ours = make_key()
    private, public = write_key(ours, tmp_path, "ours")
    files = list(hash_files(unsigned))
    forger = Forger(sign_files(files, read_private_key(private), name="line"), ours, make_key())
    samples = [*forger.refused(), *forger.accepted()]
    tasks = []
    for number, sample in enumerate(samples):
        place = tmp_path / f"{number}.sig"
        place.write_bytes(sample.content)
        tasks.append(_tasks(unsigned, place, public))
    judged = ask_judge(tasks)
    wrong = {
        sample.name: answer or "accepted"
        for sample, answer in zip(samples, judged, strict=True)
        if sample.judge is not (answer is None)
    }
    assert wrong == {}
    key = read_public_key(public)
    for sample in samples:
        if not sample.judge:
            with pytest.raises(SignatureInvalid):
                check_signature(sample.content, files, [key], source="line")


def _disturbed(document: Any, dice: random.Random) -> Any:
    """Return a copy of a document with something in it removed, replaced, doubled, or called otherwise."""
    document = copy.deepcopy(document)
    places: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        if isinstance(value, dict | list):
            for key in list(value) if isinstance(value, dict) else range(len(value)):
                places.append((value, key))
                walk(value[key])

    walk(document)
    holder, key = dice.choice(places)
    junk = [None, True, 0, -1, 1.5, "", "x", ".", "../x", "sha256", "MLmodel", [], {}, [{}], "0" * 64, "A" * 64]
    action = dice.randrange(4)
    if action == 0:
        del holder[key]
    elif action == 1:
        holder[key] = dice.choice(junk)
    elif action == 2 and isinstance(holder, list):
        holder.insert(dice.randrange(len(holder) + 1), copy.deepcopy(holder[key]))
    elif isinstance(holder, dict):
        holder[dice.choice([*holder, "name", "uri", "hint", "Name"])] = holder.pop(key)
    else:
        dice.shuffle(holder)
    return document


def test_whatever_is_changed_we_never_accept_more(unsigned, tmp_path) -> None:
    """Of 1,500 random changes, inside of what is properly signed and outside of it, those that pass here pass there."""
    ours, dice = make_key(), random.Random(1915)
    private, public = write_key(ours, tmp_path, "ours")
    key, files = read_public_key(public), list(hash_files(unsigned))
    forger = Forger(sign_files(files, read_private_key(private), name="line"), ours, make_key())
    accepted, refused = [], 0
    for number in range(1500):
        statement = _disturbed(forger.statement, dice)
        inside = forger.signed(json.dumps(statement).encode())
        content = json.dumps(inside if number % 3 else _disturbed(forger.whole, dice)).encode()
        try:
            check_signature(content, files, [key], source="line")
        except SignatureInvalid:
            refused += 1
            continue
        accepted.append(tmp_path / f"{number}.sig")
        accepted[-1].write_bytes(content)
    assert len(accepted) > 20
    assert refused > 1000
    assert ask_judge([_tasks(unsigned, place, public) for place in accepted]) == [None] * len(accepted)

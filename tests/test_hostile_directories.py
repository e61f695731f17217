"""Hostile model directories through the public API: refused with Palate's own errors, quickly, and nothing of them run.

The ids are those of the project's catalogue: Y is MLmodel and its YAML, M the manifest and changes under our feet.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from sklearn.linear_model import LinearRegression

import palate
from palate import _opened, errors
from palate._disk.manifest import write_manifest

MARKER = "palate_was_here"


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sealed model with an example and golden predictions, not to be changed."""
    path = tmp_path_factory.mktemp("hostile") / "m"
    data = np.array([[1.0, 2.0], [3.0, 5.0]])
    palate.save_model(LinearRegression().fit(data, [1.0, 2.0]), path, input_example=data)
    return path


@pytest.fixture
def copy(saved: Path, tmp_path: Path) -> Path:
    """A copy of the saved model to break."""
    return Path(shutil.copytree(saved, tmp_path / "copy"))


@pytest.fixture(autouse=True)
def limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every test ends in a minute, and none leaves the marker that payloads make."""

    def stop(*_: object) -> None:
        raise AssertionError("it hangs")

    monkeypatch.chdir(tmp_path)
    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
    assert not (tmp_path / MARKER).exists()


def reseal(directory: Path) -> Path:
    """Give a changed directory a manifest that fits, as whoever made it would."""
    (directory / "MANIFEST.json").unlink(missing_ok=True)
    write_manifest(directory)
    return directory


def rewrite(directory: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Change MLmodel and seal the directory again."""
    document = yaml.safe_load((directory / "MLmodel").read_text())
    change(document)
    (directory / "MLmodel").write_text(yaml.safe_dump(document, width=2**31 - 1))
    return reseal(directory)


def outcome(directory: Path) -> list[type | None]:
    """Inspect, load and verify; return the class of each one's error, None where there was none."""
    found: list[type | None] = []
    texts: list[str] = []
    for open_it in (palate.inspect_model, palate.load_model, palate.verify_model):
        try:
            open_it(directory)
            found.append(None)
        except errors.PalateError as exc:
            texts.append(str(exc))
            found.append(type(exc))
    assert all(len(text) < 100_000 for text in texts)
    return found


# -- MLmodel -----------------------------------------------------------------------------------------------------------

RUN = f"!!python/object/apply:os.mkdir [{MARKER}]"
DOCUMENTS = {
    "Y01": f"flavors: {RUN}",
    "Y02": "flavors: {sklearn: !!python/name:os.system ''}",
    "Y03": "flavors: {sklearn: !!python/module:os ''}",
    "Y04": f"flavors: !!python/object/new:os.mkdir [{MARKER}]",
    "Y05": f"%TAG !p! tag:yaml.org,2002:python/\n---\nflavors: !p!object/apply:os.mkdir [{MARKER}]",
    "Y06": "a: &a [x, x]\nb: &b [*a, *a]\nflavors: [*b, *b]",
    "Y07": "a: &a {x: 1}\nflavors: {<<: [*a, *a]}",
    "Y08": "flavors: &a {sklearn: *a}",
    "Y09": "flavors: " + "[" * 20_000 + "]" * 20_000,
    "Y10": "flavors:\n" + "".join(" " * depth + "a:\n" for depth in range(1, 3000)),
    "Y11": "flavors: {sklearn: {}}\nflavors: {sklearn: {}}",
    "Y12": "flavors: {sklearn: {}}\n---\nflavors: {sklearn: {}}",
    "Y13": "flavors: {sklearn: {}}\nmetadata: {n: " + "9" * 10_000 + "}",
    "Y15": "flavors: {sklearn: !!binary aGk=}",
    "Y16": 'flavors: {sklearn: {pickled_model: "a\\0b"}}',
    "Y17": "flavors: {sklearn: {pickled_model: a\0b}}",
    "Y20": "flavors: {sklearn: {pickled_model: " + "x" * 5_000_000 + "}}",
    "Y21": "flavors: {sklearn: {}}\nmetadata: [" + f"{'a' * 1000}, " * 1100 + "a]",
    "Y22": "flavors:\n\tsklearn: {}",
    "Y23": "%YAML 9.9\n---\nflavors: {sklearn: {}}",
    "Y24": "flavors: {? [a] : b}",
    "Y25": "",
    "Y26": "- flavors",
}


@pytest.mark.parametrize("sealed", [True, False], ids=["sealed", "without a manifest"])
@pytest.mark.parametrize("text", DOCUMENTS.values(), ids=DOCUMENTS)
def test_a_hostile_mlmodel_is_refused_by_every_door(copy, text, sealed) -> None:
    """Y01-Y26: inspecting, loading and verifying refuse the document; a manifest that fits does not help it."""
    (copy / "MLmodel").write_text(text)
    reseal(copy)
    if not sealed:
        (copy / "MANIFEST.json").unlink()
    assert outcome(copy) == [errors.InvalidModelFile, errors.InvalidModelFile, None]
    assert not palate.verify_model(copy).ok


@pytest.mark.parametrize("content", ["flavors: {}".encode("utf-16"), b"flavors: {a\xff: {}}"], ids=["Y18", "Y19"])
def test_an_mlmodel_that_is_no_utf8_is_refused(copy, content) -> None:
    """Y18, Y19: neither UTF-16 nor broken UTF-8 is guessed at."""
    (copy / "MLmodel").write_bytes(content)
    assert outcome(reseal(copy))[:2] == [errors.InvalidModelFile] * 2


def section(**keys: object) -> Callable[[dict[str, Any]], object]:
    """Return a change of the sklearn section."""
    return lambda document: document["flavors"]["sklearn"].update(keys)


def pyfunc(**keys: object) -> Callable[[dict[str, Any]], object]:
    """Return a change that makes the model a python_function of these keys."""

    def change(document: dict[str, Any]) -> None:
        document["flavors"] = {"python_function": keys}
        document["palate"].pop("flavor")

    return change


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(pyfunc(loader_module="os"), errors.TrustRequired, id="Y30"),
        pytest.param(pyfunc(loader_module="antigravity"), errors.TrustRequired, id="Y31"),
        pytest.param(lambda d: d.update(flavors={"nobodys": {}}), errors.FlavorNotFound, id="Y32"),
        pytest.param(lambda d: d.update(flavors={"xgboost": {"model_class": "os.system"}}), None, id="Y33"),
        pytest.param(lambda d: d.update(flavors={"keras": {"keras_module": "evil"}}), None, id="Y34"),
        pytest.param(pyfunc(loader_module="x", code="../.."), errors.TrustRequired, id="Y36"),
        pytest.param(pyfunc(loader_module="x", code="/etc"), errors.TrustRequired, id="Y37"),
        pytest.param(section(pickled_model="../../../etc/passwd"), errors.UnsafePath, id="Y39"),
        pytest.param(section(pickled_model="/etc/passwd"), errors.UnsafePath, id="Y40"),
        pytest.param(section(pickled_model="a/" * 5000), errors.UnsafePath, id="a path of 10,000 bytes"),
        pytest.param(pyfunc(loader_module="x" * 5000, code="code"), errors.TrustRequired, id="a name of 5,000 bytes"),
        pytest.param(lambda d: d["palate"].update(format=999), errors.InvalidModelFile, id="Y44"),
        pytest.param(lambda d: d["palate"].update(golden="x"), errors.InvalidModelFile, id="golden is text"),
        pytest.param(lambda d: d["palate"].update(unresolved_modules=5), errors.InvalidModelFile, id="modules"),
        pytest.param(
            lambda d: d["signature"].update(inputs='[{"type":"tensor","tensor-spec":{"dtype":"int8","shape":[-2]}}]'),
            errors.InvalidModelFile,
            id="Y46",
        ),
        pytest.param(section(serialization_format="pickle"), errors.TrustRequired, id="a pickle"),
    ],
)
def test_hostile_values_of_mlmodel_are_refused_at_load(copy, change, expected) -> None:
    """Y30-Y46: nothing named by MLmodel is imported or opened outside of it; what fails is one of Palate's errors."""
    found = outcome(rewrite(copy, change))[1]
    assert found is expected if expected else found is not None


@pytest.mark.parametrize("trust", [False, True])
def test_environment_variables_and_pip_lines_of_a_model_are_only_text(copy, monkeypatch, trust) -> None:
    """Y49, Y50: PYTHONPATH in the metadata changes nothing, and shell text among requirements runs nowhere."""
    before = dict(os.environ)
    (copy / "requirements.txt").write_text(f"$(mkdir {MARKER})\n`mkdir {MARKER}`\n--index-url http://x\n")
    (copy / "conda.yaml").write_text(f"dependencies: [{{pip: ['; mkdir {MARKER}']}}]\n")
    rewrite(copy, lambda d: d.update(metadata={"env": {"PYTHONPATH": ".", "LD_PRELOAD": "x.so"}}, env_vars=["PATH"]))
    palate.load_model(copy, trust=trust)
    palate.verify_model(copy, trust=trust)
    assert dict(os.environ) == before


# -- sizes -------------------------------------------------------------------------------------------------------------

ENTRY = '{"name": "%d", "size": 1, "sha256": "' + "0" * 64 + '"}'
HEAD = '{"format": 1, "algorithm": "sha256", "digest": "' + "0" * 64 + '", "files": ['


@pytest.mark.parametrize(
    "entries",
    ["[]," * 5_000_000 + "[]", "{}," * 90_000 + "{}", ",".join(ENTRY % (n % 20_000) for n in range(40_000))],
    ids=["lists", "empty entries", "M08"],
)
def test_a_manifest_made_to_be_large_costs_little(copy, entries) -> None:
    """M08: millions of wrong entries, or of names listed twice, are refused in a moment with a short text."""
    (copy / "MANIFEST.json").write_text(f"{HEAD}{entries}]}}")
    assert outcome(copy)[0] is errors.InvalidModelFile


@pytest.mark.parametrize(
    ("part", "text"),
    [
        ("inputs", "[" + "{}," * 200_000 + "{}]"),
        ("inputs", "[" + "[]," * 200_000 + "[]]"),
        (
            "inputs",
            json.dumps([{"type": "object", "name": "a", "properties": dict.fromkeys(map(str, range(100_000)), 1)}]),
        ),
        ("params", json.dumps([{"name": str(n % 20_000), "type": "long", "default": 1} for n in range(40_000)])),
    ],
    ids=["mappings", "lists", "properties", "params"],
)
def test_a_signature_made_to_be_large_costs_little(copy, part, text) -> None:
    """Y45: of millions of problems, enough are reported."""
    rewrite(copy, lambda d: d.update(signature={"inputs": None, "outputs": None, "params": None, part: text}))
    with pytest.raises(errors.InvalidModelFile) as caught:
        palate.inspect_model(copy)
    assert len(caught.value.problems) <= 1000
    assert len(str(caught.value)) < 100_000


def unsealed(directory: Path) -> Path:
    """Make it a directory of MLflow's, which has no manifest."""
    document = yaml.safe_load((directory / "MLmodel").read_text())
    del document["palate"]
    (directory / "MLmodel").write_text(yaml.safe_dump(document))
    (directory / "MANIFEST.json").unlink()
    return directory


def test_an_enormous_requirements_file_is_not_read(copy) -> None:
    """A sparse file of 20 GB beside the model costs nothing on disk, and must cost no memory."""
    with (unsealed(copy) / "requirements.txt").open("wb") as file:
        file.truncate(20 << 30)
    assert outcome(copy) == [errors.InvalidModelFile, None, None]


@pytest.mark.parametrize(
    "name", ["MLmodel", "python_env.yaml", "requirements.txt", "input_example.json", "model.skops"]
)
@pytest.mark.parametrize("kind", ["fifo", "link"])
def test_a_fifo_or_a_link_in_the_place_of_a_file_hangs_nobody(copy, name, kind) -> None:
    """Y38, Y41, Y48: directories without a manifest too; what need not be read is passed over."""
    unsealed(copy)
    (copy / name).unlink()
    if kind == "fifo":
        os.mkfifo(copy / name)
    else:
        (copy / name).symlink_to("/dev/zero")
    inspected, loaded, _ = outcome(copy)
    assert inspected is errors.UnsafePath
    assert loaded is (errors.UnsafePath if name in ("MLmodel", "model.skops") else None)


# -- changes under our feet --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["MLmodel", "model.skops", "requirements.txt"])
@pytest.mark.parametrize("put_back", [False, True])
def test_a_file_swapped_between_the_check_and_the_load_is_noticed(copy, monkeypatch, name, put_back) -> None:
    """M13: what was loaded is what was checked, or the load fails."""
    check, read = _opened.check_manifest, _opened.read_small
    file, kept = copy / name, copy.parent / "kept"
    hostile = file.read_bytes().replace(b"model_uuid: ", b"model_uuid: f") + b"\n"

    def check_then_swap(*args: Any) -> Any:
        seal = check(*args)
        file.rename(kept)
        file.write_bytes(hostile)
        return seal

    def read_then_put_back(*args: Any) -> bytes:
        content = read(*args)
        if put_back and kept.exists():
            kept.replace(file)
        return content

    monkeypatch.setattr(_opened, "check_manifest", check_then_swap)
    monkeypatch.setattr(_opened, "read_small", read_then_put_back)
    with pytest.raises(errors.PalateError) as caught:
        palate.load_model(copy)
    assert isinstance(caught.value, errors.ModelChanged | errors.UnsafeModel)


# -- anything else -----------------------------------------------------------------------------------------------------

VALUES: list[Any] = [None, True, -1, 0, 2**63, 1.5, 1e308, "", "..", "/etc/passwd", "\u202e", "nan", "x" * 300]
VALUES += [[], {}, [[]], [None], {"": ""}, {"a": [1]}, "[[[", "[]", "pickle", "python_function", "torch", "ndarray"]


def mutate(random_: random.Random, document: Any) -> Any:
    """Change one value somewhere in plain data, also inside text that is JSON."""
    places: list[tuple[Any, Any]] = []
    waiting = [document]
    while waiting:
        item = waiting.pop()
        keys = list(item) if isinstance(item, dict) else range(len(item)) if isinstance(item, list) else ()
        places += [(item, key) for key in keys]
        waiting += [item[key] for key in keys]
    if not places:
        return random_.choice(VALUES)
    holder, key = random_.choice(places)
    value = holder[key]
    if isinstance(value, str) and value.startswith("[") and random_.random() < 0.7:
        holder[key] = json.dumps(mutate(random_, json.loads(value)))
    elif random_.random() < 0.2:
        del holder[key]
    else:
        holder[key] = random_.choice(VALUES)
    return document


def garble(random_: random.Random, content: bytes) -> bytes:
    """Change a few bytes."""
    changed = bytearray(content)
    for _ in range(random_.randint(1, 4)):
        place = random_.randrange(len(changed))
        changed[place : place + random_.randint(0, 2)] = random_.choice(
            [b"[", b"{", b"\0", b"\xff", b"&a ", b": ", b"9"]
        )
    return bytes(changed)


FILES = ("MLmodel", "MANIFEST.json", "golden_predictions.json", "input_example.json", "python_env.yaml")


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", FILES)
def test_whatever_a_document_holds_the_error_is_palates(copy, name, seed) -> None:
    """Mutated bytes and mutated structure, under a manifest that fits, raise nothing but PalateError."""
    random_ = random.Random(f"{name} {seed}")
    original = (copy / name).read_bytes()
    for _ in range(25):
        if random_.random() < 0.3:
            content = garble(random_, original)
        else:
            document = yaml.safe_load(original)
            for _ in range(random_.randint(1, 3)):
                document = mutate(random_, document)
            content = json.dumps(document).encode()
        (copy / name).write_bytes(content)
        if name != "MANIFEST.json":
            reseal(copy)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            outcome(copy)


def test_an_example_that_contains_itself_is_refused(tmp_path) -> None:
    """It has no form as JSON; the error is typed and nothing is left."""
    example: list[Any] = []
    example.append(example)
    with pytest.raises(errors.InvalidExample, match="nested deeper"):
        palate.save_model(LinearRegression().fit([[1.0], [2.0]], [1, 2]), tmp_path / "m", input_example=example)
    assert list(tmp_path.iterdir()) == []

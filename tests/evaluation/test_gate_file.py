"""The YAML file of a gate: what stands in it, and all that is wrong with it at once."""

from __future__ import annotations

import hashlib
from dataclasses import fields, replace
from pathlib import Path

import pytest

from palate.errors import InvalidOption
from palate.evaluation import run_gate
from palate.evaluation.gate import Gate, InvalidGate, make_gate, read_gate

WHOLE = """\
rules:
  - accuracy >= 0.9
  - f1 >= baseline - 0.01 with 99% confidence
  - recall >= 0.8 for each region
baseline: models:/iris@champion
data: [rows/a.parquet, "s3://bucket/b.parquet"]
target: species
task: binary
positive: 1
classes: [0, 1]
by: site
weights: weight
method: predict_proba
confidence: 0.99
resamples: 500
seed: 7
format: parquet
delimiter: ";"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return where a gate is written."""
    return tmp_path / "gate.yaml"


def problems(file: Path, text: str) -> list[str]:
    """Return what is wrong with a gate."""
    file.write_text(text)
    with pytest.raises(InvalidGate) as caught:
        read_gate(file)
    return [str(problem) for problem in caught.value.problems]


def test_a_whole_gate_is_read(file: Path) -> None:
    """Each key of the file is an attribute of the gate; a path leads from the file's folder, an address stays."""
    file.write_text(WHOLE)
    gate = read_gate(file)
    assert [rule.text for rule in gate.rules] == [line[4:] for line in WHOLE.splitlines()[1:4]]
    assert (gate.baseline, gate.target, gate.task, gate.positive) == (
        "models:/iris@champion",
        ("species",),
        "binary",
        1,
    )
    assert gate.data == (str(file.parent / "rows/a.parquet"), "s3://bucket/b.parquet")
    assert gate.classes == (0, 1)
    assert (gate.by, gate.columns) == (("site",), ("site", "region"))
    assert (gate.weights, gate.method, gate.confidence) == ("weight", "predict_proba", 0.99)
    assert (gate.resamples, gate.seed, gate.format, gate.delimiter) == (500, 7, "parquet", ";")
    assert gate.digest == hashlib.sha256(file.read_bytes()).hexdigest()
    assert gate.source == str(file)


def test_every_setting_has_a_key(file: Path) -> None:
    """Nothing of a gate can be set in Python alone."""
    in_file = {line.partition(":")[0] for line in WHOLE.splitlines() if not line.startswith(" ")}
    assert in_file | {"source", "digest"} == {one.name for one in fields(Gate)}


def test_a_baseline_that_is_a_path_leads_from_the_file(file: Path) -> None:
    """A gate means the same wherever the command is run."""
    file.write_text("rules: [f1 >= baseline]\nbaseline: ../champion\n")
    assert read_gate(file).baseline == str(file.parent / "../champion")


def test_all_problems_are_told_at_once(file: Path) -> None:
    """A gate with many mistakes is refused once, with each of them."""
    text = "rules: [accuracy = 1, 'f1 >= 0.9', 3, p99 <= 5 ms]\nbaselin: x\nseed: many\ntask: guess\nconfidence: 95\n"
    found = problems(file, text)
    assert [line.partition(":")[0] for line in found] == [
        "rules.1", "rules.3", "rules.4", "baselin", "seed", "task", "confidence",
    ]  # fmt: skip
    assert "did you mean baseline?" in found[3]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("data: x\n", "there must be at least one rule"),
        ("rules: []\n", "there must be at least one rule"),
        ("rules: accuracy >= 0.9\n", "it must be a list of rules"),
        ("- accuracy >= 0.9\n", "it must be a mapping"),
        ("rules: [a >= 1\n", ""),
        ("rules: [a >= 1]\nrules: [a >= 2]\n", "rules"),
        ("", "is empty"),
        ("rules: [a >= 1]\ndata: []\n", "a list of texts"),
        ("rules: [a >= 1]\nseed: true\n", "a whole number"),
        ("rules: [a >= 1]\npositive: [1]\n", "one of the classes"),
        ("rules: [a >= 1]\nclasses: 2\n", "a list of classes"),
    ],
)
def test_what_is_no_gate_is_refused(file: Path, text: str, told: str) -> None:
    """A file that is no gate is refused with the reason."""
    assert told in problems(file, text)[0]


def test_a_gate_is_about_one_confidence(file: Path) -> None:
    """Rules that name different confidences cannot both be judged by one evaluation."""
    found = problems(file, "rules: [a >= 1 with 95% confidence, b >= 1 with 90% confidence]\n")
    assert found == ["rules.2: its confidence is 0.9, and that of the gate 0.95: there can be only one"]
    assert make_gate(["a >= 1 with 90% confidence"]).confidence == 0.9


def test_a_file_that_cannot_be_read_is_wrong_use(file: Path) -> None:
    """A missing file is told by its name."""
    with pytest.raises(InvalidOption, match=r"gate\.yaml.*No such file"):
        read_gate(file)


def test_a_huge_file_is_refused(file: Path) -> None:
    """No gate has a megabyte."""
    assert problems(file, f"rules: [a >= 1]\n#{'x' * (1 << 20)}\n") == ["it has more than 1 MiB"]


def test_rules_can_be_added(file: Path) -> None:
    """Rules from the command line are kept besides those of the file."""
    file.write_text("rules: [accuracy >= 0.9]\n")
    assert [rule.text for rule in read_gate(file, rules=["f1 >= 0.5"]).rules] == ["accuracy >= 0.9", "f1 >= 0.5"]


def test_rules_besides_bring_their_confidence(file: Path) -> None:
    """Where the file names no confidence, that of a further rule is the gate's; where it does, both must be one."""
    file.write_text("rules: [accuracy >= 0.9]\n")
    assert read_gate(file, rules=["f1 >= 0.5 with 90% confidence"]).confidence == 0.9
    for text in ("rules: [f1 >= 0.1]\nconfidence: 0.95\n", "rules: [f1 >= 0.1 with 95% confidence]\n"):
        file.write_text(text)
        assert read_gate(file, rules=["f1 >= 0.5 with 95% confidence"]).confidence == 0.95
        with pytest.raises(InvalidGate, match=r"gate\.yaml.*\n.*rules\.1: .* is 0\.9, and that of the gate 0\.95"):
            read_gate(file, rules=["f1 >= 0.5 with 90% confidence"])


def test_another_confidence_is_refused_before_anything_is_evaluated() -> None:
    """A rule that intervals of the given confidence could never keep is wrong use, whatever the model is."""
    gate = replace(make_gate(["f1 >= 0.5 with 90% confidence"], data="rows.csv", target="y"), confidence=0.99)
    with pytest.raises(InvalidGate, match=r"with 90% confidence': intervals are to be of 0\.99"):
        run_gate(gate, "no-model")


def test_an_error_names_the_gate_and_a_way_on(file: Path) -> None:
    """The error is one of wrong use, and shows how a rule is written."""
    with pytest.raises(InvalidOption, match=r"(?s)rules: it is no gate.*Hint: a rule is written as 'accuracy >= 0\.9'"):
        make_gate(["accuracy"])

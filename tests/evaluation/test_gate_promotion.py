"""``palate store promote --gate``: an alias moves only to what a gate lets pass, and its history says so."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import racing_model
from click.testing import CliRunner, Result
from racing_model import RacingModel
from sklearn.linear_model import LogisticRegression

import palate
from palate.cli import main
from palate.store import Store, open_store

RULES = "rules:\n  - accuracy >= 0.7\n  - accuracy >= baseline - 0.01\ndata: rows.csv\ntarget: y\nresamples: 50\n"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a good, a fair and a bad model of the same rows."""
    folder = tmp_path_factory.mktemp("models")
    random = np.random.default_rng(0)
    x = pd.DataFrame({"a": random.normal(size=400), "b": random.normal(size=400)})
    y = (x["a"] + 0.7 * x["b"] > 0).astype(int)
    x.assign(y=y).to_csv(folder / "rows.csv", index=False)
    x.assign(y=1 - y).to_csv(folder / "wrong.csv", index=False)
    for name, truth in (("good", y), ("fair", (x["a"] > 0).astype(int)), ("bad", 1 - y)):
        palate.save_model(LogisticRegression().fit(x, truth), folder / name, input_example=x.iloc[:3])
    return folder


@pytest.fixture
def store(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Return a store with these models as versions 1 (fair), 2 (good) and 3 (bad), beside a gate."""
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PALATE_STORE", str(tmp_path / "store"))
    for name in ("rows.csv", "wrong.csv"):
        shutil.copy(models / name, tmp_path)
    (tmp_path / "gate.yaml").write_text(RULES)
    monkeypatch.chdir(tmp_path)
    found = open_store()
    for name in ("fair", "good", "bad"):
        found.add("sign", models / name)
    return found


def promote(version: int, *options: object, code: int = 0, gate: str | None = "gate.yaml") -> Result:
    """Run the command and check what it exits with."""
    given = [] if gate is None else ["--gate", gate]
    command = ["store", "promote", f"sign/{version}", "champion", *given, *map(str, options)]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
    return result


def leads_to(store: Store) -> int | None:
    """Return where the alias leads."""
    return store.model("sign").aliases.get("champion")


def test_a_first_version_has_no_baseline(store: Store) -> None:
    """Where an alias never led anywhere, rules about a baseline are skipped, which is told and recorded."""
    done = promote(1)
    assert leads_to(store) == 1
    assert "1 rule skipped, for there is no baseline yet" in done.stdout
    (move,) = store.history("sign", "champion")
    digest = hashlib.sha256(Path("gate.yaml").read_bytes()).hexdigest()
    assert move.reason == (f"passed the gate sha256:{digest}: 1 check kept, 1 skipped without a baseline, on rows.csv")


def test_a_better_version_replaces_it(store: Store) -> None:
    """The baseline is the version that the alias leads to, by its number; the record says against what."""
    promote(1)
    promote(2, "--reason", "weekly")
    assert leads_to(store) == 2
    reason = store.history("sign", "champion")[-1].reason
    assert reason is not None
    assert reason.startswith("weekly; passed the gate sha256:")
    assert reason.endswith("2 checks kept, on rows.csv, against models:/sign/1")


@pytest.mark.parametrize(
    ("before", "version", "named"),
    [
        (1, 3, ["accuracy >= 0.7", "accuracy >= baseline - 0.01"]),
        (2, 1, ["accuracy >= baseline - 0.01"]),
        (None, 3, ["accuracy >= 0.7"]),
    ],
)
def test_a_worse_version_stays_out(store: Store, before: int | None, version: int, named: list[str]) -> None:
    """A version that breaks a rule is not promoted: exit code 1 names each rule, and nothing is moved or recorded."""
    if before is not None:
        promote(before, gate=None)
    done = promote(version, code=1)
    lines = done.stderr.splitlines()
    assert [line.split(": ")[2] for line in lines[:-1]] == named
    assert lines[-1] == "palate: 'sign@champion' was not moved"
    assert leads_to(store) == before


def test_programs_are_told_too(store: Store) -> None:
    """With --json there is one document, whether the gate passed or not."""
    passed = json.loads(promote(2, "--json").stdout)
    assert (passed["alias"], passed["version"], passed["gate"]["passed"]) == ("sign@champion", 2, True)
    failed = json.loads(promote(1, "--json", code=1).stdout)
    assert failed["alias"] == "sign@champion"
    assert (failed["gate"]["passed"], failed["gate"]["baseline"]) == (False, "models:/sign/2")
    assert failed["gate"]["baseline_digest"] == store.version("sign/2").digest


def test_an_alias_that_was_removed_is_no_first_one(store: Store) -> None:
    """Removing an alias is no way around a rule about the baseline: it has to be named."""
    promote(2)
    store.remove_alias("sign", "champion")
    done = promote(1, code=1)
    assert "accuracy >= baseline - 0.01: no baseline was named" in done.stderr
    Path("named.yaml").write_text(RULES + "baseline: models:/sign/2\n")
    assert "accuracy is" in promote(1, code=1, gate="named.yaml").stderr
    promote(2, gate="named.yaml")
    assert leads_to(store) == 2


def test_a_baseline_that_the_gate_names_counts(store: Store) -> None:
    """A gate that names a baseline is about that one, wherever the alias leads."""
    promote(2, gate=None)
    Path("named.yaml").write_text(RULES + "baseline: models:/sign/1\n")
    reason = promote(1, gate="named.yaml") and store.history("sign", "champion")[-1].reason
    assert str(reason).endswith("against models:/sign/1")


def test_somebody_else_was_faster(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An alias that moves while a version is judged is not moved again: what it was compared with is gone."""
    example = pd.read_csv("rows.csv").drop(columns="y").iloc[:3]
    palate.save_model(RacingModel(), tmp_path / "racing", input_example=example, code_paths=[racing_model.__file__])
    racing = store.add("sign", tmp_path / "racing")
    promote(1)
    monkeypatch.setenv("RACE", "1")
    done = promote(racing.number, "--trust", code=1)
    assert "the gate passed" in done.stdout
    assert "leads to version 3, not to version 1" in done.stderr
    assert leads_to(store) == 3


def test_what_is_expected_is_looked_at_first(store: Store) -> None:
    """With --expect nothing is evaluated for an alias that has moved already."""
    promote(1)
    done = promote(2, "--expect", "none", code=1)
    assert "leads to version 1" in done.stderr
    assert "GATE" not in done.stdout
    promote(2, "--expect", "1")


def test_rows_can_be_others(store: Store) -> None:
    """--data and --target take the place of the gate's."""
    assert "not kept: accuracy >= 0.7" in promote(2, "--data", "wrong.csv", code=1).stderr
    promote(3, "--data", "wrong.csv", "--target", "y")
    assert str(store.history("sign", "champion")[-1].reason).endswith("on wrong.csv")


def test_options_of_a_gate_need_one(store: Store) -> None:
    """Rows without a gate are wrong use."""
    assert "for the evaluation of a --gate" in promote(1, "--data", "rows.csv", gate=None, code=2).stderr
    assert leads_to(store) is None


def test_a_gate_that_is_none_moves_nothing(store: Store) -> None:
    """A malformed gate is told with exit code 2, before anything is evaluated."""
    Path("gate.yaml").write_text("rules: [accuracy]\n")
    assert "one of >=, <=, >, <" in promote(1, code=2).stderr
    assert leads_to(store) is None

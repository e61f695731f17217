"""A store that demands gates: an alias moves only to what has passed the demanded one, whoever moves it and however."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from sklearn.linear_model import LinearRegression

import palate
from palate.cli import main
from palate.errors import AliasMoved, GateDemanded, InvalidOption, InvalidStore
from palate.store import Demands, GateRecord, Store, open_store

GATE, OTHER = "a" * 64, "b" * 64
RULES = "rules: [rmse <= 0.1]\ntarget: y\nresamples: 20\n"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a good model, a bad one, one that takes other input, and the rows."""
    folder = tmp_path_factory.mktemp("models")
    rows = pd.DataFrame({"x": np.arange(8.0)})
    rows.assign(y=2 * rows["x"]).to_csv(folder / "rows.csv", index=False)
    rows.assign(y=-2 * rows["x"]).to_csv(folder / "wrong.csv", index=False)
    for name, truth in (("good", 2 * rows["x"]), ("bad", -2 * rows["x"])):
        palate.save_model(LinearRegression().fit(rows, truth), folder / name, input_example=rows.head(2))
    wide = rows.assign(z=1.0)
    palate.save_model(LinearRegression().fit(wide, rows["x"]), folder / "wide", input_example=wide.head(2))
    return folder


@pytest.fixture
def store(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Return a store with the versions 1 (good), 2 (bad) and 3 (other input) of a model, in a folder with the rows."""
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PALATE_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    for name in ("rows.csv", "wrong.csv"):
        shutil.copy(models / name, tmp_path)
    found = open_store(by="tester")
    for name in ("good", "bad", "wide"):
        found.add("line", models / name)
    return found


def record(store: Store, version: int, gate: str = GATE) -> GateRecord:
    """Return that a version has passed a gate."""
    return GateRecord(gate=gate, model=store.version(f"line/{version}").digest)


def mark(store: Store) -> Path:
    """Return the document that holds what is demanded."""
    return Path(store.uri) / "store.json"


def leads_to(store: Store, alias: str = "champion") -> int | None:
    """Return where an alias leads."""
    return store.model("line").aliases.get(alias)


# -- moving ------------------------------------------------------------------------------------------------------------


def test_an_alias_moves_through_its_gate(store: Store) -> None:
    """With a record of the demanded gate and of this version it moves, and its history keeps the gate."""
    store.demand_gates({"champion": GATE})
    move = store.set_alias("line", "champion", 1, passed=record(store, 1), reason="weekly")
    assert (move.version, move.gate, move.reason) == (1, GATE, "weekly")
    assert open_store().history("line", "champion") == (move,)


@pytest.mark.parametrize("allow_breaking", [True, False])
@pytest.mark.parametrize(
    ("gate", "version", "told"),
    [
        (None, 0, "no gate was passed"),
        (OTHER, 2, f"the gate that was given is sha256:{OTHER}"),
        (GATE, 1, "another model passed it"),
    ],
)
def test_nothing_else_moves_it(
    store: Store, gate: str | None, version: int, told: str, *, allow_breaking: bool
) -> None:
    """Without a record, with one of another gate, or of another model, the error names what is demanded."""
    store.set_alias("line", "champion", 1)
    store.demand_gates({"champion": GATE})
    passed = record(store, version, gate) if gate else None
    with pytest.raises(GateDemanded, match=f"passes the gate sha256:{GATE}, and {told}") as caught:
        store.set_alias("line", "champion", 2, passed=passed, allow_breaking=allow_breaking)
    assert (caught.value.alias, caught.value.gate, caught.value.given) == ("line@champion", GATE, gate)
    assert leads_to(store) == 1
    assert len(store.history("line", "champion")) == 1


def test_a_gate_is_asked_for_before_signatures_are_compared(store: Store) -> None:
    """That a version breaks callers is told after its gate was passed, and is no less refused then."""
    store.set_alias("line", "champion", 1)
    store.demand_gates({"champion": GATE})
    with pytest.raises(GateDemanded):
        store.set_alias("line", "champion", 3)
    with pytest.raises(palate.errors.BreakingChange):
        store.set_alias("line", "champion", 3, passed=record(store, 3))
    assert store.set_alias("line", "champion", 3, passed=record(store, 3), allow_breaking=True).gate == GATE


def test_removing_an_alias_is_no_way_around(store: Store) -> None:
    """It may lead nowhere without a gate, and nowhere else after that; nor back where it led."""
    store.set_alias("line", "champion", 1)
    store.demand_gates({"champion": GATE})
    assert store.remove_alias("line", "champion").gate is None
    for version in (1, 2):
        with pytest.raises(GateDemanded):
            store.set_alias("line", "champion", version, expected=None)
    assert leads_to(store) is None


def test_a_deleted_version_takes_nobody_past_it(store: Store) -> None:
    """An alias whose version is gone by hand leads where it led before, and moves on only through the gate."""
    store.set_alias("line", "champion", 1)
    store.demand_gates({"champion": GATE})
    store.set_alias("line", "champion", 2, passed=record(store, 2))
    gone = {"format": 1, "time": "2026-01-01T00:00:00+00:00", "by": "x", "state": "done", "id": "x"}
    (Path(store.uri) / "line" / "2" / "deleted.json").write_text(json.dumps(gone))
    assert leads_to(store) == 1
    with pytest.raises(GateDemanded):
        store.set_alias("line", "champion", 3, allow_breaking=True)


def test_a_gate_is_of_one_alias(store: Store) -> None:
    """Others move as ever; a gate of one model's alias counts before that of all models."""
    store.demand_gates({"champion": GATE, "line@stable": GATE, "line@champion": OTHER})
    store.set_alias("line", "canary", 1)
    with pytest.raises(GateDemanded, match=OTHER):
        store.set_alias("line", "champion", 1, passed=record(store, 1))
    store.set_alias("line", "champion", 1, passed=record(store, 1, OTHER))
    demands = store.demands()
    assert [demands.gate_of(*of) for of in (("x", "champion"), ("x", "stable"), ("line", "stable"))] == [
        GATE,
        None,
        GATE,
    ]


def test_a_record_without_a_demand(store: Store) -> None:
    """It is kept, if it is about this version, and refused if it is not."""
    assert store.set_alias("line", "champion", 1, passed=record(store, 1)).gate == GATE
    assert store.set_alias("line", "champion", 2).gate is None
    with pytest.raises(InvalidOption, match="about another model than line/1"):
        store.set_alias("line", "champion", 1, passed=record(store, 2))
    for wrong in (GATE, GateRecord(gate="x", model=GATE), GateRecord(gate=GATE, model=GATE.upper())):
        with pytest.raises(InvalidOption, match="passed: "):
            store.set_alias("line", "champion", 1, passed=wrong)  # type: ignore[arg-type]
    assert leads_to(store) == 2


def test_what_was_expected_still_counts(store: Store) -> None:
    """A version that has passed does not move an alias that somebody else moved while it was judged."""
    store.demand_gates({"champion": GATE})
    store.set_alias("line", "champion", 1, passed=record(store, 1), expected=None)
    with pytest.raises(AliasMoved):
        store.set_alias("line", "champion", 2, passed=record(store, 2), expected=None)
    assert leads_to(store) == 1


# -- demanding ---------------------------------------------------------------------------------------------------------


def test_gates_and_signatures_are_demanded_one_by_one(store: Store) -> None:
    """Each is set and dropped without the other; all of both by one call."""
    assert store.demands() == Demands()
    store.demand_gates({"champion": GATE})
    store.demand_gates({"stable": OTHER})
    store.demand_signatures([])
    assert dict(store.demands().gates) == {"champion": GATE, "stable": OTHER}
    store.demand_gates({"champion": None, "nobody": None})
    assert dict(store.demands().gates) == {"stable": OTHER}
    store.demand_nothing()
    assert store.demands() == Demands()
    store.set_alias("line", "stable", 1)


@pytest.mark.parametrize(
    "gates",
    [
        *({alias: GATE} for alias in ("latest", "a b", "line@", "@x", "a@b@c", 1)),
        *({"champion": digest} for digest in ("x", 1, GATE.upper())),
        ["champion"],
        "champion",
        None,
    ],
)
def test_what_cannot_be_demanded(store: Store, gates: object) -> None:
    """What is no alias, or no digest, is refused, and nothing is demanded."""
    with pytest.raises(InvalidOption):
        store.demand_gates(gates)  # type: ignore[arg-type]
    assert store.demands() == Demands()


def test_an_older_palate_refuses_a_store_with_gates(store: Store) -> None:
    """Format 2, which it takes for a newer one, is written as long as a gate is demanded; then it is 1 again."""
    before = mark(store).read_bytes()
    store.demand_gates({"champion": GATE})
    assert json.loads(mark(store).read_text()) == {"format": 2, "keys": [], "gates": {"champion": GATE}}
    store.demand_gates({"champion": None})
    assert mark(store).read_bytes() == before
    assert json.loads(before)["format"] == 1


def test_a_store_from_before_demands_no_gate(store: Store) -> None:
    """Documents without the new keys are read, their moves too."""
    mark(store).write_text('{"format": 1, "keys": []}')
    store.set_alias("line", "champion", 1)
    document = Path(store.uri) / "line" / "aliases" / "champion.json"
    moved = json.loads(document.read_text())
    del moved["moves"][0]["gate"]
    document.write_text(json.dumps(moved))
    assert open_store().history("line", "champion")[0].gate is None
    assert open_store().set_alias("line", "champion", 2).version == 2


def test_a_demand_counts_whatever_the_format_says(store: Store) -> None:
    """A document of format 1 with gates, as no Palate writes it, is no way to have them passed over."""
    mark(store).write_text(json.dumps({"format": 1, "gates": {"champion": GATE}}))
    with pytest.raises(GateDemanded):
        store.set_alias("line", "champion", 1)


@pytest.mark.parametrize("gates", [{"champion": "x"}, {"champion": None}, [], "x", {"latest": GATE}, {"../x": GATE}])
def test_a_damaged_demand_moves_nothing(store: Store, gates: object) -> None:
    """What is malformed is an error, and never no demand, in a store that is open already, too."""
    store.models()
    mark(store).write_text(json.dumps({"format": 2, "gates": gates}))
    with pytest.raises(InvalidStore, match=r"store\.json' cannot be used: 'gates'"):
        store.set_alias("line", "champion", 1, passed=record(store, 1))


def test_a_demand_counts_for_stores_that_are_open(store: Store) -> None:
    """Whoever opened the store before is asked for the gate at the next move."""
    store.set_alias("line", "champion", 1)
    open_store().demand_gates({"champion": GATE})
    with pytest.raises(GateDemanded):
        store.set_alias("line", "champion", 2)


def test_demands_at_once_are_all_made(store: Store) -> None:
    """None of those that are changed at the same time is lost."""
    aliases = [f"alias-{letter}" for letter in "abcdefgh"]
    threads = [threading.Thread(target=open_store().demand_gates, args=({alias: GATE},)) for alias in aliases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(store.demands().gates) == aliases


# -- the commands ------------------------------------------------------------------------------------------------------


def run(*arguments: object, code: int = 0) -> Result:
    """Run a command of ``palate store`` and check what it exits with."""
    done = CliRunner().invoke(main, ["store", *map(str, arguments)])
    assert done.exit_code == code, f"{done.output}\n{done.exception!r}"
    return done


@pytest.fixture
def gate(store: Store) -> str:
    """Return the digest of a gate.yaml, which the store demands of the champion."""
    Path("gate.yaml").write_text(f"{RULES}data: rows.csv\n")
    digest = hashlib.sha256(Path("gate.yaml").read_bytes()).hexdigest()
    shown = run("demand", "--gate", "champion=gate.yaml").stdout
    assert shown == f"{store.uri} demands that champion moves through the gate sha256:{digest}\n"
    return digest


def test_promoting_through_the_gate(store: Store, gate: str) -> None:
    """The demanded gate lets the good version pass and keeps the bad one out; programs are told the gate."""
    assert json.loads(run("promote", "line/1", "champion", "--gate", "gate.yaml", "--json").stdout)["version"] == 1
    assert "not kept: rmse" in run("promote", "line/2", "champion", "--gate", "gate.yaml", code=1).stderr
    (moved,) = json.loads(run("history", "line", "champion", "--json").stdout)
    assert moved["gate"] == gate
    assert moved["reason"].startswith(f"passed the gate sha256:{gate}: 1 check kept")


def test_promoting_without_it(store: Store, gate: str) -> None:
    """It exits with 1, names the gate and says what to do; --allow-breaking changes nothing."""
    for options in ([], ["--allow-breaking"]):
        told = run("promote", "line/1", "champion", *options, code=1).stderr
        assert f"demands that it passes the gate sha256:{gate}, and no gate was passed" in told
        assert "Hint: promote the version with the file of that digest" in told
    run("promote", "line/1", "canary")
    assert store.model("line").aliases == {"canary": 1}


def test_another_gate_is_refused_before_anything_is_evaluated(store: Store, gate: str) -> None:
    """A file that differs in one byte is another gate: its rows are not even looked for."""
    Path("mine.yaml").write_text(f"{RULES}data: nowhere.csv\n")
    told = run("promote", "line/1", "champion", "--gate", "mine.yaml", code=1).stderr
    assert f"sha256:{gate}, and the gate that was given is sha256:" in told
    assert leads_to(store) is None


def test_the_rows_of_a_demanded_gate_are_its_own(store: Store, gate: str) -> None:
    """What the gate names cannot be named otherwise by who promotes; what it leaves open can."""
    command = ["promote", "line/2", "champion", "--gate", "gate.yaml"]
    assert "--data: the store demands this gate" in run(*command, "--data", "wrong.csv", code=2).stderr
    assert "--target: the store demands this gate" in run(*command, "--target", "x", code=2).stderr
    Path("open.yaml").write_text(RULES)
    run("demand", "--gate", "line@champion=open.yaml")
    command[-1] = "open.yaml"
    assert "not kept" in run(*command, "--data", "rows.csv", code=1).stderr
    run(*command, "--data", "wrong.csv")
    assert leads_to(store) == 2


def test_a_demand_that_comes_while_a_version_is_judged(store: Store, gate: str) -> None:
    """What was judged by the gate before does not pass the new one."""
    run("demand", "--no-gate", "champion")
    judged = record(store, 1, gate)
    Path("new.yaml").write_text(f"{RULES}data: wrong.csv\n")
    run("demand", "--gate", "champion=new.yaml")
    with pytest.raises(GateDemanded, match=f"given is sha256:{gate}"):
        store.set_alias("line", "champion", 1, passed=judged)


def test_what_is_demanded_is_shown(store: Store, gate: str) -> None:
    """Without options nothing is changed; --no-gate drops one, --nothing all."""
    shown = json.loads(run("demand", "--json").stdout)
    assert shown == {"store": store.uri, "keys": [], "gates": {"champion": gate}}
    run("demand", "--gate", "line@stable=gate.yaml", "--no-gate", "champion")
    assert run("demand").stdout == f"{store.uri} demands that line@stable moves through the gate sha256:{gate}\n"
    run("demand", "--no-signature")
    assert dict(store.demands().gates) == {"line@stable": gate}
    assert run("demand", "--nothing").stdout == f"{store.uri} demands nothing\n"
    run("promote", "line/2", "stable")


@pytest.mark.parametrize(
    "options",
    [
        ["--gate", "champion"],
        ["--gate", "=gate.yaml"],
        ["--gate", "champion="],
        ["--gate", "latest=gate.yaml"],
        ["--gate", "champion=nowhere.yaml"],
        ["--gate", "champion=rows.csv"],
        ["--gate", "champion=gate.yaml", "--gate", "champion=gate.yaml"],
        ["--gate", "champion=gate.yaml", "--no-gate", "champion"],
        ["--gate", "champion=gate.yaml", "--nothing"],
        ["--no-gate", "a b"],
        ["--no-gate", "champion", "--no-signature"],
    ],
)
def test_wrong_use(store: Store, options: list[str]) -> None:
    """It exits with 2, and nothing is demanded: a gate that cannot be read would let nothing pass."""
    Path("gate.yaml").write_text(RULES)
    told = run("demand", *options, code=2).stderr
    assert "Hint: " in told or "Usage: " in told
    assert store.demands() == Demands()

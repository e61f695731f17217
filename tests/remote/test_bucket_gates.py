"""Gates that a store in a bucket demands, as one in a folder does."""

from __future__ import annotations

from pathlib import Path

import pytest

from palate.errors import GateDemanded
from palate.store import GateRecord, open_store

GATE = "a" * 64


def test_a_bucket_demands_gates(moto: str, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one demands counts for another who has the store open; a move through the gate has its digest."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto)
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "MLmodel").write_text("flavors:\n  python_function:\n    loader_module: x\n")
    store, other = open_store(folder), open_store(folder)
    version = store.add("iris", tmp_path / "m")
    store.set_alias("iris", "champion", 1)
    other.demand_gates({"iris@champion": GATE})
    with pytest.raises(GateDemanded):
        store.set_alias("iris", "champion", 1, allow_breaking=True)
    passed = GateRecord(gate=GATE, model=version.digest)
    store.set_alias("iris", "champion", 1, expected=1, passed=passed)
    assert [move.gate for move in other.history("iris", "champion")] == [None, GATE]
    other.demand_gates({"iris@champion": None})
    store.set_alias("iris", "champion", 1)

"""The trace of hook calls: one line for each, with types and shapes, and never a value."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from executed_page import read_blocks
from plugin_site import GOOD, OBSERVER, PluginSite, plugin_site

from palate.errors import FlavorBroken

DURATION = re.compile(r" \d+\.\d{3} ms ")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PluginSite]:
    """A folder with one flavor, in a process that traces."""
    monkeypatch.setenv("PALATE_TRACE_HOOKS", "1")
    with plugin_site(tmp_path / "site") as made:
        made.install("one", "alpha", GOOD.format(package="decimal"))
        yield made


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return what was traced, without the durations."""
    traced = capsys.readouterr().err.splitlines()
    assert all(DURATION.search(line) for line in traced)
    return [DURATION.sub(" … ", line) for line in traced]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (np.full((3, 2), 12345.0), "ndarray float64 (3, 2)"),
        (pd.DataFrame({"secret": [12345]}), "DataFrame (1, 1)"),
        (pd.Series(["secret"], dtype="category"), "Series category (1)"),
        (np.array([(1, 2)], dtype=[("secret", "i4"), ("b", "i4")]), "ndarray void64 (1)"),
        ({"secret": [12345]}, "dict of 1"),
        ([12345, 67890], "list of 2"),
        ("secret", "str"),
        (None, "NoneType"),
        (Decimal(12345), "Decimal"),
    ],
)
def test_data_is_told_by_type_and_shape(site, capsys, data, told) -> None:
    """No value, no name of a column and no key is written."""
    site.registry().get("alpha").predict("a model", data, "predict", {"secret": 12345})
    [line] = lines(capsys)
    assert line.startswith(f"palate: alpha.predict(model=str, data={told}, method=predict, params=dict of 1, ")
    assert line.endswith(") … -> list of 3")
    assert "secret" not in line
    assert "12345" not in line


def test_an_object_that_answers_anything_does_no_harm(site, capsys) -> None:
    """A trace asks strangers' objects for their shape, which may raise, or be none."""
    hostile = type("Ho\nstile", (), {"shape": property(lambda self: 1 / 0)})()
    boundless = type("Boundless", (), {"shape": "abc", "dtype": type("D", (), {"name": "a b\nc"})()})()
    flavor = site.registry().get("alpha")
    flavor.predict("m", hostile, "predict", {})
    flavor.predict("m", boundless, "predict", {})
    first, second = lines(capsys)
    assert r"data='Ho\nstile'," in first
    assert "data=Boundless," in second


def test_what_a_hook_raises_is_told_by_its_type(site, capsys) -> None:
    """The message may hold data."""
    site.install(
        "one", "alpha", GOOD.format(package="x").replace("return [model, data, method]", "raise KeyError(data)")
    )
    with pytest.raises(KeyError):
        site.registry().get("alpha").predict("m", "secret", "predict", {})
    [line] = lines(capsys)
    assert line.endswith("… raised KeyError")


def test_every_hook_is_traced(site, capsys, tmp_path) -> None:
    """Those that answer questions too, and a hook that nobody implements is no call."""
    flavor = site.registry().get("alpha")
    flavor.methods("m")
    flavor.guarantees(tmp_path, {})
    flavor.save_model("m", tmp_path, None)
    assert lines(capsys) == [
        "palate: alpha.methods(model=str) … -> tuple of 1",
        "palate: alpha.save_model(model=str, path=PosixPath, options=NoneType) … -> dict of 1",
    ]


def test_observers_around_a_call_are_named(site, capsys) -> None:
    """Whose time is in the duration can be seen."""
    site.install("watch", "watcher", OBSERVER, group="palate.plugins")
    flavor = site.registry().get("alpha")
    flavor.predict("m", "d", "predict", {})
    flavor.methods("m")
    first, second = lines(capsys)
    assert ") [watch:watcher] … ->" in first
    assert second == "palate: alpha.methods(model=str) … -> tuple of 1"


def test_a_call_within_a_call_is_indented(site, capsys) -> None:
    """It ends first, so that it stands before the call that made it; also when it fails."""
    source = GOOD.format(package="x").replace("return [model, data, method]", "return model.predict(1, 2, method, {})")
    site.install("outer", "outer", source)
    site.install("two", "beta", GOOD.format(package="y").replace("return [model, data, method]", "exit(1)"))
    registry = site.registry()
    outer = registry.get("outer")
    outer.predict(registry.get("alpha"), "d", "predict", {})
    with pytest.raises(FlavorBroken, match="'beta'"):
        outer.predict(registry.get("beta"), "d", "predict", {})
    outcomes = (("alpha", "-> list of 3", "-> list of 3"), ("beta", "raised SystemExit", "raised FlavorBroken"))
    traced = iter(lines(capsys))
    for inner, ended, outer_ended in outcomes:
        first, second = next(traced), next(traced)
        assert first.startswith(f"palate:   {inner}.predict(model=int, ")
        assert first.endswith(ended)
        assert second.startswith("palate: outer.predict(model=Flavor, ")
        assert second.endswith(outer_ended)


def test_without_the_variable_nothing_stands_in_the_way(site, capsys, monkeypatch) -> None:
    """A flavor that is activated then calls its predict itself, as it would without a trace."""
    monkeypatch.setenv("PALATE_TRACE_HOOKS", "0")
    flavor = site.registry().get("alpha")
    assert flavor.predict("m", "d", "predict", {}) == ["m", "d", "predict"]
    assert flavor._predict.__qualname__ == "_alone.<locals>.call"  # type: ignore[attr-defined]
    assert capsys.readouterr().err == ""


def test_a_process_without_stderr_is_traced_nowhere(site, monkeypatch) -> None:
    """A trace that cannot be written is no reason to fail."""
    monkeypatch.setattr(sys, "stderr", None)
    assert site.registry().get("alpha").predict("m", "d", "predict", {}) == ["m", "d", "predict"]


def test_the_whole_way_of_a_model_is_traced(tmp_path, toy_flavor, run_python) -> None:
    """Save, load and predict through the front door, with the kernel's questions in between."""
    script = """
import sys, palate
from toy_framework import Line
palate.save_model(Line(1.0, 2.0), sys.argv[1])
palate.load_model(sys.argv[1]).predict([1.0])
"""
    done = run_python(script, tmp_path / "model", env={"PALATE_TRACE_HOOKS": "1"})
    called = re.findall(r"^palate: +toy\.(\w+)\(", done.stderr, re.MULTILINE)
    for hook in ("save_model", "requirements", "executes_code", "guarantees", "load_model", "methods", "predict"):
        assert hook in called
    assert str(tmp_path) not in done.stderr


def test_the_page_shows_what_is_written(repository, tmp_path, run_python) -> None:
    """The lines in docs/plugins.md are those of its own example, durations apart."""
    file = repository / "docs" / "plugins.md"
    shown = [DURATION.sub(" … ", line) for line in file.read_text().splitlines() if line.startswith("palate: normal.")]
    [source] = [block.text for block in read_blocks(file) if block.facts == {"file": "normal.py"}]
    (tmp_path / "normal.py").write_text(source)
    script = """
import sys, statistics, numpy, palate
if sys.argv[2] == "save":
    palate.save_model(statistics.NormalDist(178.4, 7.6), sys.argv[1], input_example=numpy.array([170.0, 178.4]))
else:
    palate.load_model(sys.argv[1]).predict(numpy.array([170.0, 178.4]))
"""
    env = {"PALATE_PLUGINS": str(tmp_path / "normal.py"), "PALATE_ALLOWED_PLUGINS": ""}
    assert run_python(script, tmp_path / "heights", "save", env=env).returncode == 0
    done = run_python(script, tmp_path / "heights", "load", env={**env, "PALATE_TRACE_HOOKS": "1"})
    assert [DURATION.sub(" … ", line) for line in done.stderr.splitlines()] == shown
    assert len(shown) == 4

"""The documentation is true: its Python blocks run in order, its commands succeed."""

from __future__ import annotations

import os
import re
import runpy
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import conformance_page
import pytest
from executed_page import follow, read_blocks

from palate._plugin_contract import CONSTANTS, REQUIRED_HOOKS
from palate.cli._group import COMMANDS
from palate.testing._subject import Subject

ROOT = Path(__file__).parent.parent
PLUGIN_PAGES = sorted(str(page.relative_to(ROOT)) for page in ROOT.glob("plugins/*/README.md"))
GUIDES = [f"docs/{name}.md" for name in ("user-guide", "environments", "frameworks", "plugins")]
PAGES = ["README.md", *GUIDES, *PLUGIN_PAGES]
COMMAND = re.compile(r"\$ ((?:[A-Z_]+=\S* )*)palate ")


def blocks(page: str, language: str) -> list[str]:
    """Return the fenced code blocks of one language that are no files."""
    return [block.text for block in read_blocks(ROOT / page) if block.language == language and not block.facts]


@pytest.mark.parametrize("page", PAGES)
def test_the_python_blocks_of_a_page_run_in_order(page, tmp_path, monkeypatch) -> None:
    """One program, in an empty directory, as a reader would paste it, beside the page's files; then its commands."""
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path / "cache"))
    follow([block for block in read_blocks(ROOT / page) if "file" in block.facts], tmp_path, os.environ)
    program = "\n".join(blocks(page, "python"))
    assert "palate" in program
    (tmp_path / "program.py").write_text(program)
    done = subprocess.run([sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for line in "\n".join(blocks(page, "console")).splitlines():
        if given := COMMAND.match(line):
            variables = dict(word.split("=", 1) for word in given[1].split())
            command = [sys.executable, "-m", *shlex.split(line[given.end(1) :], comments=True)]
            environment = {**os.environ, **variables}
            ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment)
            assert ran.returncode == 0, f"{line}: {ran.stderr}"


def test_what_readme_says_is_printed_is_printed(tmp_path) -> None:
    """A comment of the form "# label: value" beside a print tells its output."""
    program = "\n".join(blocks("README.md", "python"))
    (tmp_path / "program.py").write_text(program)
    done = subprocess.run([sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    for claim in ("[0 0 0]", "(3, 3)", "False", "[20.0, 40.0]", "['HELLO']"):
        assert claim in program
        assert claim in done.stdout.splitlines()


def test_the_guide_has_every_command() -> None:
    """Its table has a row for each, those of a group too."""
    commands = [import_module(f"palate.cli.{name}").command for name in COMMANDS]
    names = [f"{c.name} {sub}" for c in commands for sub in getattr(c, "commands", ())]
    names += [c.name for c in commands if not hasattr(c, "commands")]
    rows = re.findall(r"^\| `palate ((?:[a-z]+ ?)+)", (ROOT / "docs" / "user-guide.md").read_text(), re.MULTILINE)
    assert sorted(row.strip() for row in rows) == sorted(names)


def test_the_examples_of_the_page_of_hooks_run() -> None:
    """Its blocks are one module, with the imports that a reader would add, and what they name exists."""
    imports = """
import json, logging, time
from collections.abc import Generator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any
log, FILE, _check_line = logging.getLogger(), "line.json", None
"""
    module: dict[str, object] = {}
    for block in (imports, *blocks("docs/hooks.md", "python")):
        exec(block, module)
    assert [column.name for column in module["named"].columns] == ["length", "width"]  # type: ignore[attr-defined]


def test_the_page_of_hooks_has_every_constant_and_what_is_required() -> None:
    """An author finds each constant that is read, and the hooks that must be there."""
    page = (ROOT / "docs" / "hooks.md").read_text()
    for constant in ("HOOK_API", "FORK_AFTER_LOAD", "VERSION_PROMISES", *CONSTANTS):
        assert re.search(rf"^{constant} = |`{constant}`", page, re.MULTILINE), constant
    *others, last = (f"`{hook}`" for hook in REQUIRED_HOOKS)
    assert f"* {', '.join(others)} and {last} are required." in page


TRACED = """
import sys
import numpy, palate
from toy_framework import Line
palate.save_model(Line().fit(numpy.arange(4.0), numpy.arange(4.0)), "model", input_example=numpy.arange(3.0))
print("palate.load_model", file=sys.stderr)
model = palate.load_model("model")
print("model.predict", file=sys.stderr)
model.predict(numpy.arange(3.0))
print("palate.inspect_model", file=sys.stderr)
palate.inspect_model("model")
"""


def test_hooks_are_called_in_the_order_that_the_page_tells(toy_flavor, tmp_path) -> None:
    """The trace of a flavor's calls has, at their first appearance, the hooks of the page's table."""
    environment = {**os.environ, "PALATE_TRACE_HOOKS": "1"}
    command = [sys.executable, "-c", TRACED]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    calls: dict[str, list[str]] = {"palate.save_model": []}
    for line in done.stderr.splitlines():
        if called := re.match(rf"palate: {toy_flavor}\.(\w+)\(", line):
            calls[list(calls)[-1]].append(called[1])
        elif not line.startswith("palate:"):
            calls[line] = []
    hooks = {hook for called in calls.values() for hook in called}
    page = (ROOT / "docs" / "hooks.md").read_text()
    for operation, called in calls.items():
        [row] = re.findall(rf"^\| `{operation}`[^|]*\|(.*)\|$", page, re.MULTILINE)
        told = [name for name in re.findall(r"`(\w+)`", row) if name in hooks]
        assert list(dict.fromkeys(told)) == list(dict.fromkeys(called)), operation


def test_readme_is_short_enough_to_be_read() -> None:
    """Under 150 lines; save, load, predict and inspect in the first screen."""
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) < 150
    screen = "\n".join(lines[:30])
    for word in ("save_model", "load_model", "predict", "inspect_model"):
        assert word in screen


def test_the_page_of_figures_has_every_row_that_is_measured() -> None:
    """The tables were written by the script as it is now."""
    cases = runpy.run_path(str(ROOT / "benchmarks" / "_adapter_cases.py"))
    page = (ROOT / "docs" / "performance.md").read_text()
    for row in cases["ROWS"]:
        assert f"| {row.data if row.converts else row.title} |" in page


def test_the_page_of_checks_has_every_check() -> None:
    """The list was written from the checks as they are now; 'python tests/shared/conformance_page.py' does it."""
    assert conformance_page.written_checks() == conformance_page.render_checks()


def test_the_page_of_checks_says_what_a_subclass_may_say() -> None:
    """Each attribute of the class, and each fixture that an author may define, has its row."""
    table = conformance_page.PAGE.read_text().partition("## What a subclass says")[2].partition("## Exceptions")[0]
    for name in (*Subject.__annotations__, "model", "sample", "expected", "foreign_model"):
        assert re.search(rf"^\| .*`{name}`", table, re.MULTILINE), name


@pytest.mark.parametrize(
    "page", sorted(str(p.relative_to(ROOT)) for p in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
)
def test_links_between_pages_lead_somewhere(page) -> None:
    """A relative link names a file that is there."""
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", (ROOT / page).read_text()):
        if "://" not in link:
            assert (ROOT / page).parent.joinpath(link).exists(), link

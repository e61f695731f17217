"""One plugin with two releases of Palate: this one, and a next one that is built from its source and installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from executed_page import read_blocks

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "versioning.md"

# What the page says that a next release brings: an argument more, a hook more, a number more.
NEXT = {
    "pyproject.toml": {'version = "0.1.0"': 'version = "0.2.0"'},
    "core/src/palate/hookspecs.py": {
        "HOOK_API = 1\n": "HOOK_API = 2\n",
        "def methods(model: object)": "def methods(flavor: str, model: object)",
        "@hookspec(firstresult=True)\ndef sample_models": (
            '@hookspec(firstresult=True)\ndef describe(model: object) -> str:\n    """Say what it is."""\n\n\n'
            "@hookspec(firstresult=True)\ndef sample_models"
        ),
    },
    "core/src/palate/_flavor.py": {
        'self._ask("methods", model=model)': 'self._ask("methods", flavor=self.name, model=model)',
    },
    "core/src/palate/_hook_answers.py": {
        '    "methods": _methods,\n': '    "methods": _methods,\n    "describe": lambda answer: None,\n',
    },
}

SCRIPT = """
import json, sys
from statistics import NormalDist
import numpy
import palate
from importlib.metadata import version
from palate import hookspecs
from palate._registry import default_registry
from palate.flavors import list_flavors

found = {record.name: record for record in list_flavors()}
facts = {"palate": version("palate"), "status": {name: record.status for name, record in found.items()}}
facts["errors"] = {name: record.error for name, record in found.items()}
facts["hooks"] = list(found["normal"].hooks)
palate.save_model(NormalDist(5.0, 2.0), sys.argv[1], input_example=numpy.array([5.0]))
model = palate.load_model(sys.argv[1])
facts["methods"] = list(model.methods)
facts["prediction"] = model.predict(numpy.array([5.0]))
ask = default_registry().get("normal")._ask
facts["description"] = ask("describe", model=NormalDist(5.0, 2.0)) if hasattr(hookspecs, "describe") else None
print(json.dumps(facts))
"""


@pytest.fixture(scope="module")
def next_palate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the next release and install it into a folder for PYTHONPATH."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    shutil.copytree(ROOT / "core", source / "core", ignore=shutil.ignore_patterns("__pycache__"))
    for name, changes in NEXT.items():
        text = (source / name).read_text()
        for old, new in changes.items():
            assert text.count(old) == 1, f"{name}: {old}"
            text = text.replace(old, new)
        (source / name).write_text(text)
    site = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", site, source]
    subprocess.run(command, check=True)
    return site


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the page's plugin, and one that needs the number 2."""
    folder = tmp_path_factory.mktemp("plugins")
    [block] = [block for block in read_blocks(PAGE) if "file" in block.facts]
    (folder / block.facts["file"]).write_text(block.text)
    later = block.text.replace("HOOK_API = 1", "HOOK_API = 2").replace('"statistics.NormalDist"', '"a.B"')
    (folder / "later.py").write_text(later)
    return folder


def run_with(plugin: Path, folder: Path, site: Path | None = None) -> Mapping[str, Any]:
    """Return what a process with both plugins finds out, with the Palate in *site* or with this one."""
    files = os.pathsep.join(str(plugin / name) for name in ("normal.py", "later.py"))
    environment = {**os.environ, "PALATE_PLUGINS": files, **({"PYTHONPATH": str(site)} if site else {})}
    command = [sys.executable, "-c", SCRIPT, str(folder / "model")]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    facts: Mapping[str, Any] = json.loads(done.stdout)
    return facts


@pytest.mark.slow
def test_the_example_works_with_this_release(plugin: Path, tmp_path: Path) -> None:
    """The hook that is not there is no mistake, the argument is not asked for, and the model predicts."""
    facts = run_with(plugin, tmp_path)
    assert (facts["palate"], facts["status"]["normal"]) == ("0.1.0", "ok")
    assert (facts["methods"], facts["prediction"], facts["description"]) == (["cdf", "pdf"], [0.5], None)


@pytest.mark.slow
def test_the_example_works_with_the_next_release(plugin: Path, next_palate: Path, tmp_path: Path) -> None:
    """It is served although the number has gone up, it gets the argument, and its new hook is called."""
    facts = run_with(plugin, tmp_path, next_palate)
    assert (facts["palate"], facts["status"]["normal"]) == ("0.2.0", "ok")
    assert (facts["methods"], facts["prediction"]) == (["cdf", "pdf"], [0.5])
    assert facts["description"] == "the normal distribution around 5.0"
    assert "describe" in facts["hooks"]


@pytest.mark.slow
def test_a_plugin_for_the_next_number_is_told_apart(plugin: Path, next_palate: Path, tmp_path: Path) -> None:
    """Here it is broken, with the sentence that the page quotes, and the other one goes on; there it is ok."""
    (tmp_path / "here").mkdir()
    here = run_with(plugin, tmp_path / "here")
    assert here["status"]["later"] == "broken"
    sentence = "it needs hook API 2 and this Palate offers 1; upgrade palate"
    assert sentence in here["errors"]["later"]
    assert f"`{sentence}`" in PAGE.read_text()
    assert run_with(plugin, tmp_path, next_palate)["status"]["later"] == "ok"


@pytest.mark.slow
def test_each_way_of_the_page_is_needed(plugin: Path, tmp_path: Path) -> None:
    """Without the mark, or with the argument that is not there, this release says what is wrong."""
    text = (plugin / "normal.py").read_text()
    marked, asked = "(optionalhook=True)", 'if "flavor" in inspect.signature(hookspecs.methods).parameters:'
    assert text.count(marked) == text.count(asked) == 1
    for old, new, reason in ((marked, "", "describe"), (asked, "if True:", "flavor")):
        folder = tmp_path / reason
        folder.mkdir()
        (folder / "broken.py").write_text(text.replace(old, new))
        command = [sys.executable, "-m", "palate", "flavors", "list", "--json"]
        environment = {**os.environ, "PALATE_PLUGINS": str(folder / "broken.py")}
        listed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        [record] = [record for record in json.loads(listed.stdout) if record["name"] == "broken"]
        assert record["status"] == "broken"
        assert f"'{reason}'" in record["error"]

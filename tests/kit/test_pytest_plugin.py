"""What pytest loads by itself costs next to nothing where the kit is not used, and works however pytest is run."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from kit_session import HEAD, run_kit

LINE = f"{HEAD}\n\nclass TestLine(OnLine):\n    flavor = 'line'\n"
SOME = ("-k", "hook_api or methods_survive or fresh_process")
OUTCOMES = {
    f"TestLine::test_{name}": "passed"
    for name in ("hook_api_is_stated", "methods_survive", "fresh_process_predicts_the_same")
}


def test_plugin_brings_nothing_along(run_python) -> None:
    """Beside pytest it imports neither numpy nor yaml, no check of the kit, and no flavor."""
    script = """
import json, sys, pytest, pluggy
before = set(sys.modules)
import palate.testing.pytest_plugin
print(json.dumps(sorted(set(sys.modules) - before)))
"""
    modules = json.loads(run_python(script).stdout)
    tops = {module.partition(".")[0] for module in modules} - set(sys.stdlib_module_names)
    assert tops == {"palate"}
    kit = {module for module in modules if module.startswith("palate.testing.")}
    assert kit == {"palate.testing._notes", "palate.testing.pytest_plugin"}
    assert "palate._registry" not in modules


def test_session_without_the_kit_loads_no_check(tmp_path) -> None:
    """A session of somebody else's tests imports no more of Palate than the plugin."""
    module = """
import sys
import unittest


class TestOld(unittest.TestCase):
    def test_nothing_is_there(self):
        loaded = {name for name in sys.modules if name.startswith("palate.testing.")}
        self.assertEqual(loaded, {"palate.testing._notes", "palate.testing.pytest_plugin"})
        self.assertNotIn("palate._registry", sys.modules)
        self.assertNotIn("yaml", sys.modules)


def test_nothing_is_there_either():
    TestOld("test_nothing_is_there").test_nothing_is_there()
"""
    done = run_kit(tmp_path, module, autoload=True)
    assert set(done.outcomes.values()) == {"passed"}, done.text


@pytest.mark.parametrize("mode", ["prepend", "append", "importlib"])
def test_kit_works_in_each_import_mode(tmp_path, mode) -> None:
    """How pytest imports test modules makes no difference."""
    done = run_kit(tmp_path, LINE, f"--import-mode={mode}", *SOME, autoload=True)
    assert done.outcomes == OUTCOMES, done.text


def test_kit_works_without_its_plugin(tmp_path) -> None:
    """With the plugin turned off there is no report, and the checks are what they are."""
    done = run_kit(tmp_path, LINE, "-p", "no:palate", *SOME, autoload=True)
    assert done.outcomes == OUTCOMES, done.text


def test_kit_works_in_many_processes(tmp_path) -> None:
    """The checks of a class may be spread over processes."""
    done = run_kit(tmp_path, LINE, "-n", "2", *SOME, autoload=True)
    assert done.outcomes == OUTCOMES, done.text


def test_kit_gives_no_warning(tmp_path: Path) -> None:
    """Nothing that pytest, Python or Palate would like changed is in the kit: all warnings are errors."""
    done = run_kit(tmp_path, LINE, "-W", "error", autoload=True)
    assert set(done.outcomes.values()) == {"passed", "skipped"}, done.text[-3000:]

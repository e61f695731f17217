"""The kit, on the toy plugin and on the built-in flavor: both keep the promises of a flavor; no format is left out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from palate.testing import FlavorContract


class TestToyFlavor(FlavorContract):
    """A stranger's flavor, written from the documentation."""

    flavor = "toy"

    @pytest.fixture
    def model(self, toy_flavor: str) -> object:
        """Fit a line."""
        from toy_framework import Line

        return Line().fit(np.arange(4.0), 2 * np.arange(4.0) + 1)

    @pytest.fixture
    def sample(self) -> Any:
        """Three points."""
        return np.array([0.5, 1.5, 7.0])


class TestPythonFunction(FlavorContract):
    """User code, through the same door."""

    flavor = "python_function"
    rows_are_independent = True  # of this function; the flavor cannot know it of any

    @pytest.fixture
    def model(self) -> Callable[[Any], Any]:
        """Return a function that nobody else can import."""
        return lambda frame: frame * 2

    @pytest.mark.xfail(reason="user code is code: no format holds it without")
    def test_default_format_is_safe(self) -> None:
        """See the reason."""

    @pytest.mark.xfail(reason="the flavor is a part of the kernel, whose own modules it shares")
    def test_private_names_are_left_alone(self) -> None:
        """See the reason."""

    @pytest.fixture
    def sample(self) -> Any:
        """Two columns."""
        import pandas as pd

        return pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [0.5, -1.0, 2.0]})


# The formats that a module's classes save in, and those that its flavors have: both by the flavor's name.
FORMATS = """
import json, runpy, sys
from palate._registry import default_registry
from palate.testing import FlavorContract

members = [member for member in runpy.run_path(sys.argv[1]).values() if isinstance(member, type)]
classes = [cls for cls in members if issubclass(cls, FlavorContract) and cls.__name__.startswith("Test")]
flavors = {cls.flavor: default_registry().get(cls.flavor) for cls in classes}
tried = {name: sorted({cls.format or flavor.formats[0] for cls in classes if cls.flavor == name})
         for name, flavor in flavors.items()}
print(json.dumps([tried, {name: sorted(flavor.formats) for name, flavor in flavors.items()}]))
"""
MODULES = [Path(__file__), *sorted(Path(__file__).parents[1].glob("plugins/*/tests/test_*_contract.py"))]


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_each_format_has_a_class(run_python, module: Path) -> None:
    """The classes of a module save in every format that its flavors have."""
    done = run_python(FORMATS, module)
    assert done.returncode == 0, done.stderr
    tried, offered = json.loads(done.stdout.splitlines()[-1])
    assert tried == offered
    assert tried


def test_each_plugin_has_such_a_module(repository: Path) -> None:
    """No plugin is without the kit."""
    plugins = {path.name for path in repository.glob("plugins/*_flavor")}
    assert {module.parents[1].name for module in MODULES[1:]} == plugins

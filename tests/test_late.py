"""Modules that wait: they come when they are needed, and the order of imports holds for them too."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import palate
from palate._late import LateModule

CORE = Path(palate.__file__).parent
FILES = [file for file in sorted(CORE.rglob("*.py")) if "= LateModule(" in file.read_text()]


def bound_late(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield the name that each late module is bound to, with the module's own."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("LateModule("):
            assert isinstance(node.value, ast.Call)
            yield ast.unparse(node.targets[0]), ast.literal_eval(node.value.args[0])


def bound_for_checkers(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield the same for what type checkers see."""
    for block in ast.walk(tree):
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING":
            for node in block.body:
                if isinstance(node, ast.ImportFrom):
                    for alias in node.names:
                        yield alias.asname or alias.name, f"{node.module}.{alias.name}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(CORE).as_posix())
def test_a_late_module_is_the_one_that_type_checkers_see(file: Path) -> None:
    """So the order of imports, which is read from the import statements, holds for modules that wait."""
    tree = ast.parse(file.read_text())
    late = set(bound_late(tree))
    assert late
    assert late <= set(bound_for_checkers(tree))


def test_a_late_module_is_imported_when_it_is_used() -> None:
    """Nothing is imported before a name is asked for; the name is the module's own, and so is the error for none."""
    code = (
        "import sys; from palate._late import LateModule\n"
        "late = LateModule('colorsys'); print('colorsys' in sys.modules)\n"
        "late.rgb_to_hsv; print('colorsys' in sys.modules)\n"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["False", "True"]
    assert LateModule("colorsys").rgb_to_hsv is LateModule("colorsys").rgb_to_hsv
    with pytest.raises(AttributeError, match="colorsys"):
        _ = LateModule("colorsys").nothing


def test_an_ordinary_model_needs_no_late_module(tmp_path: Path) -> None:
    """Opening an estimator and predicting imports nothing that is for saving, code, or converted predictions."""
    X = np.arange(20.0).reshape(10, 2)
    model = LogisticRegression().fit(X, X[:, 0] > 7)
    palate.save_model(model, tmp_path / "m", signature=palate.infer_signature(X))
    waiting = sorted({module for file in FILES for _, module in bound_late(ast.parse(file.read_text()))})
    code = (
        "import sys, numpy, palate\n"
        f"palate.load_model({str(tmp_path / 'm')!r}).predict(numpy.ones((1, 2)))\n"
        f"print([name for name in {[*waiting, 'palate._stored', 'palate._inference']!r} if name in sys.modules])\n"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"

"""The modules that code needs, read from source files and from code objects."""

from __future__ import annotations

import functools
import json
import math
import types

from palate._code.imports import is_carried, object_imports, source_imports


def run_as(source: str, name: str) -> types.ModuleType:
    """Run source as the module *name* without importing it: what it defines is carried in pickles."""
    module = types.ModuleType(name)
    exec(source, vars(module))
    return module


def test_source_imports(tmp_path) -> None:
    """Import statements anywhere count, and so do constant names given to import_module."""
    (tmp_path / "a.py").write_text(
        "import os.path, json as j\n"
        "from xml.dom import minidom\n"
        "from . import sibling\n"
        "from .deep import thing\n"
        "import importlib\n"
        "def f():\n"
        "    import csv\n"
        "    importlib.import_module('sqlite3.dbapi2')\n"
        "    importlib.import_module('.near', __package__)\n"
        "    __import__('zipfile')\n"
    )
    assert source_imports([tmp_path / "a.py"]) == {
        *("os.path", "json", "xml.dom.minidom", "importlib", "csv", "sqlite3.dbapi2", "zipfile"),
    }


def test_members_may_be_modules(tmp_path) -> None:
    """Of a namespace package, which several distributions share, the part that is imported is named."""
    text = "from google.cloud import storage, bigquery as bq\nfrom numpy import *\nimport a.b.c as d\n"
    (tmp_path / "a.py").write_text(text)
    expected = {"google.cloud.storage", "google.cloud.bigquery", "numpy", "a.b.c"}
    assert source_imports([tmp_path / "a.py"]) == expected
    made = run_as("def f():\n    from google.cloud import storage\n    import a.b\n", "not_installed")
    assert object_imports(made.f) == {"google.cloud.storage", "a.b"}


def test_imports_for_type_checkers_are_left_out(tmp_path) -> None:
    """What stands under ``if TYPE_CHECKING`` never runs; its else does."""
    (tmp_path / "a.py").write_text(
        "import typing\nif typing.TYPE_CHECKING:\n    import torch\nelse:\n    import json\n"
    )
    assert source_imports([tmp_path / "a.py"]) == {"typing", "json"}


def test_files_that_are_not_python_are_passed_over(tmp_path) -> None:
    """A template, a Python 2 script and a binary do not keep the others from being read."""
    (tmp_path / "a.py").write_text("print 'two'")
    (tmp_path / "b.py").write_bytes(b"\0\xff")
    (tmp_path / "c.py").write_text("import json")
    assert source_imports(sorted(tmp_path.iterdir())) == {"json"}


def test_function_imports() -> None:
    """A carried function needs what it imports, the modules it uses, and what nested functions import."""
    made = run_as(
        "import math\n"
        "def outer(x):\n"
        "    import json\n"
        "    def inner():\n"
        "        from xml.dom import minidom\n"
        "        return minidom\n"
        "    return math.sin(x), json, inner\n",
        "not_installed",
    )
    assert object_imports(made.outer) == {"math", "json", "xml.dom.minidom"}


def test_instances_bring_their_class_and_their_state() -> None:
    """The methods of a carried class count, and so do functions kept in attributes, partials and closures."""
    made = run_as(
        "import functools\n"
        "class Base:\n"
        "    @property\n"
        "    def p(self):\n"
        "        import csv\n"
        "class Model(Base):\n"
        "    def __init__(self, steps):\n"
        "        self.steps = steps\n"
        "    def predict(self, data):\n"
        "        import json\n"
        "        return json\n"
        "def step(x):\n"
        "    import zipfile\n"
        "def close(x):\n"
        "    def inner():\n"
        "        import tarfile\n"
        "        return x\n"
        "    return inner\n",
        "not_installed",
    )
    model = made.Model([functools.partial(made.step, 1), {"k": made.close(math)}])
    assert {"json", "csv", "zipfile", "tarfile", "math"} <= object_imports(model)


def test_relative_imports_in_functions_are_left_out() -> None:
    """They can only mean modules that come with the model."""
    made = run_as("def f():\n    from . import near\n    from ..far import thing\n    import json\n", "not_installed")
    assert object_imports(made.f) == {"json"}


def test_importable_things_are_named_by_their_module() -> None:
    """A function of an installed module needs that module, not what is inside it."""
    assert object_imports(functools.partial(json.loads)) - {"functools"} == {"json"}


def test_cycles_end() -> None:
    """An object graph that leads back to itself is walked once."""
    made = run_as("class Node:\n    pass\n", "not_installed")
    node = made.Node()
    node.self, node.all = node, [node]
    assert object_imports(node) == set()


def test_is_carried() -> None:
    """Lambdas and what no module offers under its name are written whole."""
    made = run_as("class Made: pass\n", "not_installed")
    assert is_carried(lambda: 0)
    assert is_carried(made.Made)
    assert not is_carried(json.loads)
    assert not is_carried(json.JSONDecoder.decode)

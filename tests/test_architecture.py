"""What holds the code base together: the order of imports, the cost of `import palate`, the promises of names."""

from __future__ import annotations

import ast
import graphlib
import importlib
import inspect
import os
import re
import statistics
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import palate
from palate import hookspecs

ROOT = Path(__file__).resolve().parents[1]
CORE = ROOT / "core" / "src" / "palate"
PLUGINS = sorted((ROOT / "plugins").glob("*/src/*/__init__.py"))

# A module may import from its own layer and from those before it, and nothing may import in a circle.
LAYERS = {
    "errors": "errors amounts _data_errors _environment_errors _flavor_errors _identity_errors _late _plugin_failures "
    "_problems _process_errors _remote_errors _storage_errors",
    "what a model takes": "_warning _field_types schema _containers matrix _enforcement _schema_json signature "
    "_inference",
    "what it returns": "_outputs",
    "documents and files": "_disk _archive locations _signing signing model_file _stored",
    "what surrounds a model": "_code _coroutines _environment _process_lock _random_state",
    "plugins": "hook_values hookspecs _plugin_sources _allow_list _plugin_activation _plugin_contract "
    "_hook_answers _hook_trace _flavor _plugin_record _unowned _registry _flavor_project flavors",
    "paths": "pyfunc _native_failures _opened _opening _environment_check _rebuilding environments _isolation loading "
    "golden inspection _diff model_diff _save_request packing _save_signature saving verification mlflow_loader "
    "storage",
    "the built-in flavor": "_python_function",
    "the front door": "__init__",
    "bytes": "codecs",
    "models elsewhere": "remote",
    "models under names": "store",
    "rows in files": "datasets",
    "predictions in files": "batch",
    "what a model is worth": "evaluation",
    "a server": "serving",
    "the conformance kit": "testing",
    "the command line": "cli __main__",
}
LAYER = {module: level for level, modules in enumerate(LAYERS.values()) for module in modules.split()}

# Inside of the server the same: its folders, and the modules beside them.
SERVER_LAYERS = {
    "what is asked, answered and set": "errors _setting_forms settings _wire _contract _directory _json _content "
    "_problems _statuses",
    "what bodies mean": "protocols",
    "the document that says so": "_openapi",
    "connections, numbers and logs": "_http _watching",
    "predictions": "_predicting",
    "the application": "_shared _information _app",
    "processes": "_process",
    "the front door": "checking _running __init__",
}

PUBLIC_NAMES = {
    "PythonModel",
    "Schema",
    "Signature",
    "errors",
    "hookimpl",
    "infer_signature",
    "inspect_model",
    "load_model",
    "load_native",
    "save_model",
    "verify_model",
}
RING_0_MAY_IMPORT = sys.stdlib_module_names | {"palate", "pluggy", "yaml", "packaging"}
# What the extra of a package brings, by the folder that may import it at module level besides.
SERVER = {"httptools", "orjson", "prometheus_client", "starlette", "uvicorn", "uvloop"}
EXTRAS = {
    "testing": {"pytest"},
    "evaluation": {"numpy"},
    "serving": SERVER,
    "serving/protocols": {"numpy"},
    "_isolation": {"numpy"},
}
RING_1 = ("batch", "codecs", "datasets", "evaluation", "remote", "serving", "store")
FRAMEWORKS = "numpy pandas pyarrow polars scipy sklearn skops torch tensorflow keras xgboost mlflow"
WEB_AND_MORE = f"pydantic cloudpickle fastapi requests click matplotlib {' '.join(sorted(SERVER))}"


def modules(root: Path = CORE) -> list[Path]:
    """Return every Python file of a package."""
    return sorted(root.rglob("*.py"))


def unit(name: str) -> str:
    """Return the module or subpackage of palate that a dotted name belongs to."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def unit_of(file: Path) -> str:
    """Return the same for a file."""
    return file.relative_to(CORE).parts[0].removesuffix(".py")


def dotted(file: Path) -> str:
    """Return the full name of a module."""
    return ".".join(["palate", *file.relative_to(CORE).with_suffix("").parts]).removesuffix(".__init__")


MODULES = {dotted(file) for file in modules()}


def imports(tree: ast.AST) -> Iterator[tuple[ast.stmt, str]]:
    """Yield every import with the full name of what is imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in line {node.lineno}"
            for alias in node.names:
                # "from palate import hookspecs" names a module, "from palate import save_model" the front door
                full = f"{node.module}.{alias.name}"
                yield node, full if full in MODULES else str(node.module)


def late(tree: ast.AST) -> set[ast.stmt]:
    """Return the imports that stand inside functions."""
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {n for f in functions for n in ast.walk(f) if isinstance(n, ast.Import | ast.ImportFrom)}


def typing_only(tree: ast.AST) -> set[ast.stmt]:
    """Return the imports that only a type checker sees."""
    blocks = [n for n in ast.walk(tree) if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]
    return {n for b in blocks for n in ast.walk(b) if isinstance(n, ast.Import | ast.ImportFrom)}


def relative(file: Path) -> str:
    """Return a test id."""
    return file.relative_to(ROOT).as_posix()


def is_folder_note(file: Path) -> bool:
    """Whether a file only tells what its folder is for."""
    return file.name == "__init__.py" and len(ast.parse(file.read_text()).body) == 1


def offered(module: str) -> list[str]:
    """Return a module's `__all__`."""
    return list(importlib.import_module(module).__all__)


def run_python(code: str, *flags: str) -> str:
    """Run *code* in a fresh interpreter."""
    command = [sys.executable, *flags, "-c", code]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


# -- imports -----------------------------------------------------------------------------------------------------------


def test_every_module_has_its_place() -> None:
    """Each module stands in one layer, and nothing else does: a new module is given its place in LAYERS."""
    listed = sorted(module for line in LAYERS.values() for module in line.split())
    assert listed == sorted({unit_of(file) for file in modules()})


@pytest.mark.parametrize("file", modules(), ids=relative)
def test_imports_point_down(file: Path) -> None:
    """A module imports nothing from a layer above its own."""
    here = LAYER[unit_of(file)]
    upward = [
        f"line {node.lineno}: {name}"
        for node, name in imports(ast.parse(file.read_text()))
        if name.split(".")[0] == "palate" and LAYER[unit(name)] > here
    ]
    assert upward == []


def test_imports_inside_of_the_server_point_down() -> None:
    """A part of the server imports nothing from a layer above its own, and each part has its place."""
    serving = CORE / "serving"
    layer = {part: level for level, parts in enumerate(SERVER_LAYERS.values()) for part in parts.split()}
    parts = {file: file.relative_to(serving).parts[0].removesuffix(".py") for file in modules(serving)}
    assert sorted(set(parts.values())) == sorted(layer)
    upward = [
        f"{relative(file)}, line {node.lineno}: {name}"
        for file, part in parts.items()
        for node, name in imports(ast.parse(file.read_text()))
        if name.startswith("palate.serving.") and layer[name.split(".")[2]] > layer[part]
    ]
    assert upward == []


def test_imports_have_no_circles() -> None:
    """The modules of the package can be put in one order in which each imports only earlier ones."""
    needs: dict[str, set[str]] = {}
    for file in modules():
        names = {name for _, name in imports(ast.parse(file.read_text())) if name in MODULES}
        needs[dotted(file)] = names - {dotted(file)}
    units = {name: {unit(other) for other in others} - {unit(name)} for name, others in needs.items()}
    merged: dict[str, set[str]] = {}
    for name, others in units.items():
        merged.setdefault(unit(name), set()).update(others)
    graphlib.TopologicalSorter(merged).prepare()
    graphlib.TopologicalSorter(needs).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize("file", modules(), ids=relative)
def test_no_import_of_palate_waits_for_a_call(file: Path) -> None:
    """An import inside a function hides a cycle."""
    tree = ast.parse(file.read_text())
    inside = late(tree)
    assert [name for node, name in imports(tree) if node in inside and name.split(".")[0] == "palate"] == []


@pytest.mark.parametrize("file", modules(), ids=relative)
def test_what_modules_take_from_each_other_is_offered(file: Path) -> None:
    """A name that another module imports stands in the `__all__` of its own."""
    taken = [
        (node.module, alias.name)
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("palate.")
        for alias in node.names
    ]
    assert [(home, name) for home, name in taken if f"{home}.{name}" not in MODULES and name not in offered(home)] == []


@pytest.mark.parametrize("file", [f for f in modules() if unit_of(f) not in ("cli", "__main__")], ids=relative)
def test_kernel_imports_little(file: Path) -> None:
    """At module level the kernel imports the standard library, pluggy, PyYAML and packaging, and no framework; what has
    an extra of its own also what that brings."""
    tree = ast.parse(file.read_text())
    passed_over = late(tree) | typing_only(tree)
    roots = {name.split(".")[0] for node, name in imports(tree) if node not in passed_over}
    folders = {folder.as_posix() for folder in file.relative_to(CORE).parents}
    assert roots <= RING_0_MAY_IMPORT.union(*(packages for folder, packages in EXTRAS.items() if folder in folders))


@pytest.mark.parametrize("file", [f for f in modules() if unit_of(f) in RING_1], ids=relative)
def test_ring_1_uses_public_names(file: Path) -> None:
    """What is built on the kernel gets no more than a stranger's package, so it could become one by a rename."""
    own = rf"palate\.{unit_of(file)}\."
    names = {name for _, name in imports(ast.parse(file.read_text())) if not re.match(own, name)}
    assert [name for name in names if re.search(r"\._", name)] == []


def test_what_places_for_models_stand_on_is_used() -> None:
    """`palate.storage` opens no more of the kernel than the packages on top of it need."""
    used = {
        alias.name
        for file in modules()
        if unit_of(file) in RING_1
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module == "palate.storage"
        for alias in node.names
    }
    assert used == set(offered("palate.storage"))


@pytest.mark.parametrize("package", RING_1)
def test_the_kernel_does_without_ring_1(package: str) -> None:
    """Nothing of ring 0 imports what is built on it, and to import that brings no framework and no pandas."""
    users = {unit_of(f) for f in modules() if any(unit(n) == package for _, n in imports(ast.parse(f.read_text())))}
    assert users <= {*RING_1, "testing", "cli"}
    heavy = set(FRAMEWORKS.split()) - {"numpy"}
    code = f"import sys, palate.{package}; print([n for n in {sorted(heavy)!r} if n in sys.modules])"
    assert run_python(code).strip() == "[]"


@pytest.mark.parametrize("package", ["httptools", "orjson", "prometheus_client", "starlette", "uvicorn"])
@pytest.mark.parametrize("command", ["serve", "openapi"])
def test_command_says_which_extra_it_needs(command: str, package: str) -> None:
    """Where the extra is not installed, the commands of the server name what to install, in one line."""
    code = f"import sys; sys.modules[{package!r}] = None; from palate.cli import main; main([{command!r}, 'model'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("palate: ")
    assert "palate[serve]" in done.stderr
    assert package in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("file", [f for f in modules() if unit_of(f) == "cli"], ids=relative)
def test_command_line_uses_public_names(file: Path) -> None:
    """The command line is built on what everybody may use, so a poor public API is noticed."""
    names = {name for _, name in imports(ast.parse(file.read_text()))}
    private = [n for n in names if n.startswith("palate._") or re.match(r"palate\.(?!cli\.)\w+\._", n)]
    assert private == []


@pytest.mark.parametrize("file", [f for init in PLUGINS for f in modules(init.parent)], ids=relative)
def test_flavors_use_public_names(file: Path) -> None:
    """A flavor in this repository gets no more than a stranger's."""
    tree = ast.parse(file.read_text())
    assert [name for _, name in imports(tree) if name.startswith("palate._")] == []


def flavor_modules() -> list[str]:
    """Return what the entry points of the plugins in this repository name."""
    tables = (tomllib.loads(file.read_text())["project"] for file in sorted(ROOT.glob("plugins/*/pyproject.toml")))
    return [module for table in tables for module in table["entry-points"]["palate.flavors"].values()]


@pytest.mark.parametrize("module", flavor_modules())
def test_flavor_does_not_import_its_framework(module: str) -> None:
    """Activating a flavor, as `palate flavors list` does, loads no framework, not even numpy."""
    packages = run_python(f"import {module} as flavor; print(*flavor.NATIVE_PACKAGES)").split()
    heavy = {*FRAMEWORKS.split(), *packages}
    code = f"import sys, {module}; print([n for n in {heavy!r} if n in sys.modules])"
    assert run_python(code).strip() == "[]"


# -- the cost of `import palate` ---------------------------------------------------------------------------------------


def test_import_brings_nothing_heavy() -> None:
    """`import palate` loads no framework, no numpy, no pandas, no web package and no command line."""
    heavy = [*FRAMEWORKS.split(), *WEB_AND_MORE.split()]
    code = f"import sys, palate; print([n for n in {heavy!r} if n in sys.modules])"
    assert run_python(code).strip() == "[]"


def test_import_is_quick() -> None:
    """`import palate` costs at most 30 ms over bare Python at rest; twice that is allowed on a busy machine."""
    clock = "import time; start = time.perf_counter(); {}; print(time.perf_counter() - start)"
    times = [float(run_python(clock.format("import palate"))) for _ in range(7)]
    assert min(statistics.median(times), min(times) * 2) < 0.060


# -- names -------------------------------------------------------------------------------------------------------------


def test_front_door() -> None:
    """`palate.__all__` is sorted, has every promised name and nothing that is not there."""
    assert palate.__all__ == sorted(palate.__all__)
    assert set(palate.__all__) >= PUBLIC_NAMES
    for name in palate.__all__:
        assert getattr(palate, name) is not None


def test_front_door_shows_nothing_else() -> None:
    """What `dir(palate)` shows is `__all__`, the submodules and Python's own names."""
    submodules = {file.stem for file in CORE.iterdir() if not file.name.startswith("__")}
    shown = {name for name in dir(palate) if not name.startswith("__")}
    assert shown - submodules == set(palate.__all__) - submodules


def test_front_door_only_opens() -> None:
    """The package's `__init__` has no classes, reads no environment and configures nothing."""
    tree = ast.parse((CORE / "__init__.py").read_text())
    allowed = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.Expr, ast.If, ast.FunctionDef)
    assert all(isinstance(node, allowed) for node in tree.body)
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert set(functions) <= {"__getattr__", "__dir__"}


@pytest.mark.parametrize(
    "file",
    [f for f in modules() if unit_of(f) not in ("__main__", "_python_function") and not is_folder_note(f)],
    ids=relative,
)
def test_module_names_what_it_offers(file: Path) -> None:
    """Each module has an `__all__` in which every name exists; a flavor offers its hooks instead."""
    tree = ast.parse(file.read_text())
    lists = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        and ast.unparse(node.targets[0] if isinstance(node, ast.Assign) else node.target) == "__all__"
    ]
    assert len(lists) == 1
    names = ast.literal_eval(lists[0])
    if file == CORE / "__init__.py":
        return
    defined = {n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            defined.add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            defined |= {alias.asname or alias.name for alias in node.names}
    assert set(names) <= defined


def sizes() -> Iterator[tuple[Path, int]]:
    """Yield every product module with its number of lines."""
    for file in [*modules(), *(f for init in PLUGINS for f in modules(init.parent))]:
        yield file, len(file.read_text().splitlines())


def test_modules_are_small() -> None:
    """No module is longer than 400 lines."""
    assert {relative(file): lines for file, lines in sizes() if lines > 400} == {}


def test_functions_are_small() -> None:
    """No function is longer than 40 lines, its docstring not counted."""
    long = {}
    for file, _ in sizes():
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                lines = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
                if lines > 40:
                    long[f"{relative(file)}:{node.name}"] = lines
    assert long == {}


def test_no_vague_module_names() -> None:
    """Modules are named after what they are about."""
    vague = {"utils", "util", "helpers", "helper", "common", "misc", "core", "base"}
    assert [relative(file) for file, _ in sizes() if file.stem.strip("_") in vague] == []


# -- distributions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("package", [CORE, *(init.parent for init in PLUGINS)], ids=lambda path: path.name)
def test_distribution_is_typed(package: Path) -> None:
    """Each distribution tells type checkers that it has types."""
    assert (package / "py.typed").is_file()


@pytest.mark.parametrize("project", [ROOT, *sorted((ROOT / "plugins").iterdir())], ids=lambda path: path.name)
def test_distribution_is_complete(project: Path) -> None:
    """Each distribution has a licence, a README and names them; flavors are found by their keyword."""
    table = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    assert (project / "LICENSE").is_file()
    assert (project / table["readme"]).is_file()
    assert table["requires-python"] == ">=3.11"
    if project != ROOT:
        assert "palate-plugin" in table["keywords"]
        assert table["entry-points"][hookspecs.ENTRY_POINT_GROUP]


def test_files_name_no_machine() -> None:
    """No file of the project holds a path of the machine it was written on."""
    names = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split("\0")
    homes = {str(Path.home()), str(ROOT)} - {"/"}
    pattern = re.compile("|".join(rf"(?<![\w/]){re.escape(home)}(?![\w.-])" for home in homes).encode())
    found = [n for n in names if n and not n.startswith("tests/data/") and (ROOT / n).is_file()]
    assert [n for n in found if pattern.search((ROOT / n).read_bytes())] == []


def test_test_files_have_unique_names() -> None:
    """pytest's importlib mode, and people, tell test files apart by name."""
    names = [file.name for folder in ("tests", "plugins") for file in (ROOT / folder).rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))


# -- the page of hooks -------------------------------------------------------------------------------------------------

HOOKS = {name: fn for name, fn in vars(hookspecs).items() if hasattr(fn, "palate_spec")}
HOOKS_PAGE = (ROOT / "docs" / "hooks.md").read_text()


def source_signature(name: str) -> str:
    """Return a hook's signature as it is written in the source."""
    definition = ast.parse(inspect.getsource(HOOKS[name])).body[0]
    assert isinstance(definition, ast.FunctionDef)
    assert definition.returns is not None
    return f"{name}({ast.unparse(definition.args)}) -> {ast.unparse(definition.returns)}"


@pytest.mark.parametrize("name", HOOKS)
def test_hook_is_documented(name: str) -> None:
    """Each hook has a heading with its exact signature, and nothing else looks like a hook."""
    assert f"\n## `{source_signature(name)}`\n" in HOOKS_PAGE


def test_documented_hooks_exist() -> None:
    """Every heading with a signature is that of a hook."""
    assert re.findall(r"^## `(\w+)\(", HOOKS_PAGE, re.MULTILINE) == list(HOOKS)


def test_examples_of_hooks_fit() -> None:
    """Each example is Python, and implements hooks that exist with arguments that they have."""
    blocks = re.findall(r"```python\n(.*?)```", HOOKS_PAGE, re.DOTALL)
    functions = [n for block in blocks for n in ast.parse(block).body if isinstance(n, ast.FunctionDef)]
    assert len(functions) >= 6
    for function in functions:
        taken = {argument.arg for argument in function.args.args}
        assert taken <= set(inspect.signature(HOOKS[function.name]).parameters), function.name


def test_hooks_page_quotes_the_toy_plugin() -> None:
    """The examples that are also the toy plugin's are its very code, docstrings apart."""
    source = ast.parse((ROOT / "tests" / "toy_plugin" / "src" / "palate_toy" / "__init__.py").read_text())
    toys = {}
    for node in source.body:
        if isinstance(node, ast.FunctionDef):
            node.body = node.body[1:] if ast.get_docstring(node) else node.body
            toys[node.name] = ast.unparse(node)
    blocks = re.findall(r"```python\n(@hookimpl\n.*?)```", HOOKS_PAGE, re.DOTALL)
    quoted = {ast.parse(block).body[0].name: ast.unparse(ast.parse(block)) for block in blocks}  # type: ignore[attr-defined]
    for name in ("save_model", "load_model", "predict", "requirements", "infer_input_schema"):
        assert quoted[name] == toys[name]


def test_contract_is_short() -> None:
    """A third party reads one file of at most 150 lines."""
    assert len(Path(hookspecs.__file__).read_text().splitlines()) <= 150


def test_environment_is_not_read_at_import() -> None:
    """`import palate` does the same whatever the environment variables say."""
    code = "import os; os.environ = None; os.getenv = None; import palate; palate.__all__"
    environment = {**os.environ, "PALATE_STRICT_PLUGINS": "1"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)

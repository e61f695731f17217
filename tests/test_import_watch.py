"""What a model's code imports while it predicts on its example ends up in its requirements, and nothing else does."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from installed_site import Site

import palate
from palate._code.import_watch import ImportWatch


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """An empty folder of installed distributions; what is imported from it is forgotten afterwards."""
    before = set(sys.modules)
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    yield Site(folder)
    for name in set(sys.modules) - before:
        if str(folder) in str(vars(sys.modules[name]).get("__file__")):
            del sys.modules[name]


def requirements_of(tmp_path: Path, body: str, *, with_example: bool = True) -> set[str]:
    """Save a model whose function has this body, and return the names that its requirements have besides Palate's."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    file = tmp_path / "model.py"
    file.write_text(
        "import importlib\nfrom importlib import import_module\nimport palate\n"
        f"def predict(model_input):\n{lines}    return model_input\npalate.set_model(predict)\n"
    )
    example = {"input_example": ["x"]} if with_example else {}
    info = palate.save_model(str(file), tmp_path / "saved", **example)
    return {line.partition("=")[0] for line in info.requirements} - {"palate"}


@pytest.mark.parametrize(
    "body",
    [
        "importlib.import_module('dyna' + 'mic')",
        "import_module('dyna' + 'mic')",
        "__import__('dyna' + 'mic')",
        "name = 'dyna' + 'mic'\nexec(f'import {name}')",
    ],
)
def test_import_by_variable_is_seen(site: Site, tmp_path: Path, body: str) -> None:
    """No reader of the source could tell what is imported; the prediction on the example does."""
    site.install("dynamic-dist", "1", {"dynamic.py": ""})
    assert requirements_of(tmp_path, body) == {"dynamic-dist"}


def test_what_is_loaded_already_is_seen(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not matter whether this process had imported it before."""
    site.install("dynamic-dist", "1", {"dynamic.py": ""})
    monkeypatch.delitem(sys.modules, "dynamic", raising=False)
    __import__("dynamic")
    assert requirements_of(tmp_path, "import_module('dyna' + 'mic')") == {"dynamic-dist"}


def test_without_an_example_nothing_is_seen(site: Site, tmp_path: Path) -> None:
    """What is not run shows nothing."""
    site.install("dynamic-dist", "1", {"dynamic.py": ""})
    assert requirements_of(tmp_path, "import_module('dyna' + 'mic')", with_example=False) == set()


LIBRARY = "def read():\n    import engine\n    return engine\n"


def test_what_a_library_imports_when_it_is_called(site: Site, tmp_path: Path) -> None:
    """An optional dependency that the prediction made the library use is required, though no metadata says so."""
    site.install("library", "1", {"library.py": LIBRARY})
    site.install("engine", "2", {"engine.py": ""})
    assert requirements_of(tmp_path, "import library\nlibrary.read()") == {"library", "engine"}


def test_what_a_library_would_import(site: Site, tmp_path: Path) -> None:
    """The same library's optional dependency is not required where the prediction does without it."""
    site.install("library", "1", {"library.py": LIBRARY})
    site.install("engine", "2", {"engine.py": ""})
    assert requirements_of(tmp_path, "import library") == {"library"}


def test_what_a_library_tries_at_its_own_import(site: Site, tmp_path: Path) -> None:
    """What it imports if it happens to be there is no need of the model's."""
    site.install("library", "1", {"library.py": "try:\n    import engine\nexcept ImportError:\n    pass\n"})
    site.install("engine", "2", {"engine.py": ""})
    assert requirements_of(tmp_path, "import library") == {"library"}


def test_dependencies_explain_imports(site: Site, tmp_path: Path) -> None:
    """What something else that is required brings along is not listed again."""
    site.install("library", "1", {"library.py": LIBRARY}, requires=["middle"])
    site.install("middle", "1", {"middle.py": ""}, requires=["engine"])
    site.install("engine", "2", {"engine.py": ""}, requires=["library"])
    assert requirements_of(tmp_path, "import library\nlibrary.read()") == {"library"}
    (tmp_path / "saved").rename(tmp_path / "first")
    body = "import_module('engi' + 'ne')\nimport_module('midd' + 'le')"
    # In a circle each explains the others; one of them stays.
    assert len(requirements_of(tmp_path, body)) == 1


def test_module_of_this_machine_is_reported(site: Site, tmp_path: Path) -> None:
    """A module that no distribution provides is found here and missing elsewhere, so it is told."""
    (site.folder / "stray.py").touch()
    assert requirements_of(tmp_path, "import_module('str' + 'ay')") == set()
    assert any("stray" in note for note in palate.inspect_model(tmp_path / "saved").notes)


def test_import_that_fails_is_no_need(site: Site, tmp_path: Path) -> None:
    """A model that goes on without a module does not need it."""
    assert requirements_of(tmp_path, "try:\n    import_module('no' + 'where')\nexcept ImportError:\n    pass") == set()
    assert not any("nowhere" in note for note in palate.inspect_model(tmp_path / "saved").notes)


def test_namespace_package(site: Site, tmp_path: Path) -> None:
    """Of the distributions that share a namespace, the one whose part was imported is required."""
    site.install("space-one", "1", {"space/one/__init__.py": ""})
    site.install("space-two", "1", {"space/two/__init__.py": ""})
    assert requirements_of(tmp_path, "import_module('space.' + 'two')") == {"space-two"}


def test_other_threads_leave_no_trace(site: Site, tmp_path: Path) -> None:
    """What the host imports while the model is being proved is none of the model's needs."""
    site.install("engine", "2", {"engine.py": ""})
    site.install("stranger", "1", {"stranger.py": LIBRARY})
    watch = ImportWatch()
    watch.belong_to({})
    with watch.watching():
        thread = threading.Thread(target=lambda: __import__("stranger").read())
        thread.start()
        thread.join()
    assert "engine" in sys.modules
    assert watch.names == set()


def test_safe_model_has_its_flavors_requirements(tmp_path: Path) -> None:
    """A model without code of its own asks for what its flavor says, whatever the process imports meanwhile."""
    from sklearn.linear_model import LinearRegression

    model = LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0])
    with_example = palate.save_model(model, tmp_path / "a", input_example=[[1.0]])
    assert with_example.requirements == palate.save_model(model, tmp_path / "b").requirements


def test_safe_model_is_saved_without_a_watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the model brings no code, the interpreter's finders stay as they are."""
    from sklearn.linear_model import LinearRegression

    monkeypatch.setattr(sys, "meta_path", [finder for finder in sys.meta_path if "import_watch" not in repr(finder)])
    model = LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0])
    palate.save_model(model, tmp_path / "model", input_example=[[1.0]])
    assert not [finder for finder in sys.meta_path if "import_watch" in repr(finder)]
    palate.save_model(len, tmp_path / "function", input_example=[1])
    assert [finder for finder in sys.meta_path if "import_watch" in repr(finder)]


def test_watch_ends_with_the_save(site: Site, tmp_path: Path) -> None:
    """What the model's code imports later is not noted, and a second save adds no second finder."""
    site.install("dynamic-dist", "1", {"dynamic.py": ""})
    requirements_of(tmp_path, "pass")
    before = list(sys.meta_path)
    (tmp_path / "saved").rename(tmp_path / "first")
    requirements_of(tmp_path, "pass")
    assert sys.meta_path == before
    watch, builtins = ImportWatch(), {"__builtins__": {**vars(sys.modules["builtins"])}}
    watch.belong_to(builtins["__builtins__"])
    with watch.watching():
        exec("def load(name):\n    return __import__(name)\n", builtins)
    builtins["load"]("dynamic")  # type: ignore[operator]
    assert watch.names == set()


def test_imports_of_other_threads_are_not_disturbed(site: Site) -> None:
    """Watches that come and go never hide a module from an import that is under way in another thread."""
    names = [f"module{number}" for number in range(200)]
    site.install("many", "1", {f"{name}.py": "" for name in names})
    failures: list[ImportError] = []

    def load() -> None:
        for name in names:
            try:
                __import__(name)
            except ImportError as exc:
                failures.append(exc)

    thread = threading.Thread(target=load)
    thread.start()
    while thread.is_alive():
        with ImportWatch().watching():
            pass
    thread.join()
    assert failures == []

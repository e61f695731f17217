"""Each model's code is its own: same-named modules of two models, and of the host, never meet."""

from __future__ import annotations

import importlib
import importlib.util
import io
import pickle
import subprocess
import sys
import sysconfig
import textwrap
from pathlib import Path

import cloudpickle
import pytest
from carried_code import two_models, write

from palate._code.model_code import ModelCode
from palate.errors import DependencyMissing


@pytest.fixture(autouse=True)
def untouched():
    """Whatever a test loads: sys.path is as before, only one finder stays, and no module of a model is left behind."""
    path, finders, modules = list(sys.path), set(sys.meta_path), dict(sys.modules)
    yield
    assert sys.path == path
    assert {type(finder).__name__ for finder in {*sys.meta_path} ^ finders} <= {"_StageFinder"}
    for name, module in modules.items():
        assert sys.modules.get(name) is module, name
    added = {name for name, module in sys.modules.items() if name not in modules}
    files = {name: str(getattr(sys.modules[name], "__file__", "")) for name in added}
    assert not [name for name, file in files.items() if "pytest" in file and "/code" in file]
    assert not [name for name in added if name.startswith(("mlflow", "model_code_"))]


@pytest.fixture
def two(tmp_path):
    """Two models whose code has the same module names."""
    return two_models(tmp_path)


def test_two_models_with_the_same_modules(two) -> None:
    """The second model runs its own code, at import, and in imports that happen at prediction time."""
    modules = [code.import_module("entry") for code in two]
    for module, word in zip(modules, ("first", "second"), strict=True):
        assert module.now() == word
        assert module.late() == f"{word}-{word}"
        assert module.later() == f"{word}-{word}"


def test_the_hosts_module_of_that_name_stays_the_hosts(two, tmp_path, monkeypatch) -> None:
    """A model's module neither replaces nor is replaced by one that the host has imported."""
    monkeypatch.syspath_prepend(str(write(tmp_path / "host", entry="def now(): return 'host'")))
    host = importlib.import_module("entry")
    assert two[0].import_module("entry").now() == "first"
    assert sys.modules["entry"] is host
    assert importlib.import_module("entry").now() == "host"
    del sys.modules["entry"]


def test_installed_modules_are_shared(two) -> None:
    """What a model does not bring is the host's own module."""
    assert two[0].import_module("json") is importlib.import_module("json")


def test_code_wins_over_installed_packages_inside_the_model_only(tmp_path) -> None:
    """A vendored package shadows the installed one for the model, and is not used by third parties."""
    code = ModelCode(
        write(tmp_path / "code", yaml__="MINE = True", user="import yaml\nimport palate._disk.strict_yaml as ours")
    )
    module = code.import_module("user")
    assert module.yaml.MINE
    assert module.ours.read_yaml(b"a: 1", source="x") == {"a": 1}
    assert not hasattr(importlib.import_module("yaml"), "MINE")


def test_the_interpreters_own_modules_come_first(tmp_path) -> None:
    """As on sys.path, a file called sys.py or os.py shadows nothing."""
    code = ModelCode(write(tmp_path / "code", sys="x = 1", os="x = 1"))
    assert code.import_module("sys") is sys
    assert code.import_module("os").path is not None


def test_kinds_of_imports(tmp_path) -> None:
    """Packages, relative imports, star imports, aliases, cycles and import_module all resolve privately."""
    root = write(
        tmp_path / "code",
        pkg__="__all__ = ['star']",
        pkg__star="STAR = 1",
        pkg__a="from . import b\nfrom .b import B\nA = 'a'",
        pkg__b="import pkg.a\nB = 'b'\ndef get(): return pkg.a.A",
        pkg__deep__="",
        pkg__deep__x="from ..a import A\nfrom .. import b as up\nfrom . import y\nVALUE = A + up.B + y.Y",
        pkg__deep__y="Y = 'y'",
        main="""
            import importlib, importlib.util as util
            from importlib import import_module
            from pkg import *
            import pkg.deep.x as x
            import pkg.a
            assert star.STAR == 1
            assert importlib.import_module('pkg.deep.y') is x.y
            assert import_module('.y', 'pkg.deep') is x.y
            assert __import__('pkg.deep.y').deep.y is x.y
            assert util.find_spec and importlib.machinery.SourceFileLoader
            RESULT = (x.VALUE, pkg.a.b.get(), pkg.__name__, x.__name__, x.__spec__.parent)
        """,
    )
    assert ModelCode(root).import_module("main").RESULT == ("aby", "a", "pkg", "pkg.deep.x", "pkg.deep")


def test_missing_modules(tmp_path) -> None:
    """What is not there is a ModuleNotFoundError that names it, and can be tried again."""
    root = write(tmp_path / "code", pkg__="", plain="import json", bad="import pkg.nowhere")
    code = ModelCode(root)
    for name in ("pkg.nowhere", "plain.x", "not_here_at_all"):
        with pytest.raises(ModuleNotFoundError, match=name.partition(".")[0]):
            code.import_module(name)
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match=r"pkg\.nowhere"):
            code.import_module("bad")
    with pytest.raises(ImportError, match="nothing"):
        code.run_file(write(tmp_path, f="from pkg import nothing") / "f.py")


def test_a_module_that_fails_leaves_nothing(tmp_path) -> None:
    """An error at import propagates unchanged; the next import runs the module again."""
    root = write(tmp_path / "code", fails="import json\nraise KeyError('mine')")
    code = ModelCode(root)
    for _ in range(2):
        with pytest.raises(KeyError, match="mine"):
            code.import_module("fails")
    assert "fails" not in sys.modules


def test_namespace_packages(tmp_path, monkeypatch) -> None:
    """A folder without __init__.py is a package; the installed rest of a namespace is found through it."""
    monkeypatch.syspath_prepend(str(write(tmp_path / "site", space__installed="WHERE = 'site'", real__="REAL = 1")))
    root = write(tmp_path / "code", space__mine="WHERE = 'code'", real__data="X = 1")
    code = ModelCode(root)
    assert code.import_module("space.mine").WHERE == "code"
    assert code.import_module("space.installed").WHERE == "site"
    module = code.run_file(write(tmp_path, f="from space import mine, installed\nimport real") / "f.py")
    assert (module.mine.WHERE, module.installed.WHERE, module.real.REAL) == ("code", "site", 1)
    for name in ("space", "space.installed", "real"):
        sys.modules.pop(name, None)


def test_libraries_that_look_classes_up_by_name(tmp_path) -> None:
    """Dataclasses with string annotations, named tuples, enums and type hints work while a module is run."""
    text = """
        from __future__ import annotations
        import dataclasses, enum, sys, typing
        @dataclasses.dataclass
        class Point:
            names: typing.ClassVar[list[str]] = []
            x: int
            y: Point | None = None
        class Color(enum.Enum):
            RED = 1
        class Pair(typing.NamedTuple):
            a: Point
        HINTS = typing.get_type_hints(Point)
        assert sys.modules[__name__].Point is Point
    """
    module = ModelCode(write(tmp_path / "code", shapes=text)).import_module("shapes")
    assert [f.name for f in module.dataclasses.fields(module.Point)] == ["x", "y"]
    assert module.HINTS["x"] is int


def test_a_module_can_replace_itself(tmp_path) -> None:
    """Lazy modules put an object of their own into sys.modules."""
    text = "import sys\nclass Lazy:\n    value = 7\nsys.modules[__name__] = Lazy()"
    code = ModelCode(write(tmp_path / "code", lazy=text))
    assert code.import_module("lazy").value == 7
    assert code.import_module("lazy") is code.import_module("lazy")


def test_nothing_is_written(tmp_path) -> None:
    """Importing leaves no byte code in the model directory, and stale byte code is not read."""
    root = write(tmp_path / "code", pkg__="", pkg__m="X = 1")
    cached = Path(importlib.util.cache_from_source(str(root / "pkg" / "m.py")))
    assert ModelCode(root).import_module("pkg.m").X == 1
    assert not cached.parent.exists()


def test_extension_modules(tmp_path) -> None:
    """A compiled module in code/ is loaded by the interpreter's own loader."""
    folder = Path(sysconfig.get_path("stdlib")) / "lib-dynload"
    source = next(iter(folder.glob("_json*.so")), None)
    if source is None:
        pytest.skip("this interpreter has no _json as a file")
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / source.name).write_bytes(source.read_bytes())
    module = ModelCode(tmp_path / "code").import_module("_json")
    assert Path(module.__file__).parent == tmp_path / "code"
    assert module.encode_basestring("a") == '"a"'


def test_activated_serves_libraries_that_import_by_name(two) -> None:
    """Inside the block the ordinary import system gives the model's modules, afterwards it knows nothing of them."""
    for code, word in zip(two, ("first", "second"), strict=True):
        with code.activated():
            module = importlib.import_module("shop.prices")
            assert pickle.loads(b"cshop.late\nLATE\n.") == f"{word}-{word}"
        assert word == module.WORD
        assert module is code.import_module("shop.prices")
        assert module.__spec__.name == "shop.prices"
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("shop.prices")


def test_activated_blocks_nest(two) -> None:
    """A model whose loading loads another one gets its own modules back afterwards."""
    first, second = two
    with first.activated():
        with second.activated():
            assert importlib.import_module("shop.prices").WORD == "second"
        assert importlib.import_module("shop.prices").WORD == "first"


def test_ordinary_imports_run_off_stage(tmp_path, monkeypatch) -> None:
    """A third-party module that a model imports first sees the host's helpers, not the model's of the same name."""
    monkeypatch.syspath_prepend(
        str(write(tmp_path / "site", third_party="import helper_x\nWHO = helper_x.WHO", helper_x="WHO = 'site'"))
    )
    root = write(tmp_path / "code", helper_x="import third_party\nWHO = 'code'")
    module = ModelCode(root).import_module("helper_x")
    assert (module.WHO, module.third_party.WHO) == ("code", "site")
    for name in ("third_party", "helper_x"):
        sys.modules.pop(name)


# -- pickles -------------------------------------------------------------------------------------------------------


def dump(path: Path, code: ModelCode, source: str, name: str) -> Path:
    """Pickle what *source* defines as if it stood in __main__."""
    space = {"__name__": "__main__", "__builtins__": code._builtins}
    exec(textwrap.dedent(source), space)
    buffer = io.BytesIO()
    with code.activated():
        cloudpickle.dump(space[name], buffer)
    path.write_bytes(buffer.getvalue())
    return path


CARRIED = """
    from entry import Thing
    class Model:
        def predict(self):
            import shop.late
            def nested():
                from shop import late
                return late.LATE
            return [shop.late.LATE, nested(), Thing().word, (lambda: __import__("shop").prices.WORD)()]
    model = Model()
"""


def test_carried_functions_import_privately(two, tmp_path) -> None:
    """Functions that cloudpickle wrote whole find their model's modules, when loaded and whenever they run."""
    models = []
    for code in two:
        file = dump(tmp_path / "m.pkl", code, CARRIED, "model")
        fresh = ModelCode(code.root)
        models.append(fresh.load_pickle(file))
    assert models[0].predict() == ["first-first", "first-first", "first", "first"]
    assert models[1].predict() == ["second-second", "second-second", "second", "second"]


def test_loading_a_class_again_does_not_change_the_first(two, tmp_path) -> None:
    """cloudpickle shares a class between pickles by an id and overwrites its methods; here each load has its own."""
    file = dump(tmp_path / "m.pkl", two[0], CARRIED, "model")
    first = ModelCode(two[0].root).load_pickle(file)
    second = ModelCode(two[1].root).load_pickle(file)
    assert type(first) is not type(second)
    assert first.predict()[0] == "first-first"
    assert second.predict()[0] == "second-second"


def test_plain_pickles_resolve_in_code_first(two, tmp_path) -> None:
    """Classes by reference come from the model's modules, everything else from where it is installed."""
    (tmp_path / "m.pkl").write_bytes(b"(centry\nThing\n)\x81cpathlib\nPurePosixPath\n(S'x'\ntRt.")
    thing, path = two[1].load_pickle(tmp_path / "m.pkl")
    assert type(thing) is two[1].import_module("entry").Thing
    assert str(path) == "x"


def test_old_protocols_are_translated(tmp_path) -> None:
    """Names of Python 2 in old pickles mean their modules of today."""
    (tmp_path / "m.pkl").write_bytes(b"c__builtin__\nxrange\n.")
    assert ModelCode().load_pickle(tmp_path / "m.pkl") is range


@pytest.mark.parametrize("compression", ["gzip", "bzip2", "lzma"])
def test_compressed_pickles(compression, tmp_path) -> None:
    """The compressions that MLflow writes are read."""
    import bz2
    import gzip
    import lzma

    opener = {"gzip": gzip.open, "bzip2": bz2.open, "lzma": lzma.open}[compression]
    with opener(tmp_path / "m", "wb") as file:
        pickle.dump({"a": 1}, file)
    assert ModelCode().load_pickle(tmp_path / "m", compression=compression) == {"a": 1}


# -- stand-ins for mlflow --------------------------------------------------------------------------------------------


@pytest.mark.skipif(importlib.util.find_spec("mlflow") is not None, reason="mlflow is installed here")
def test_stand_ins_answer_for_mlflow(tmp_path) -> None:
    """Code that imports mlflow for its base class and set_model runs, and nobody else sees the stand-ins."""
    source = """
        import mlflow, mlflow.pyfunc
        from mlflow.pyfunc.model import PythonModel
        from mlflow.models import set_model
        class M(mlflow.pyfunc.PythonModel): pass
        assert issubclass(M, PythonModel)
        try:
            mlflow.no_such_part
        except AttributeError as exc:
            SAID = str(exc)
    """
    module = ModelCode().run_file(write(tmp_path, f=source) / "f.py")
    assert "mlflow.no_such_part" in module.SAID
    assert "pip install mlflow" in module.SAID
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("mlflow")


@pytest.mark.skipif(importlib.util.find_spec("mlflow") is not None, reason="mlflow is installed here")
@pytest.mark.parametrize(
    "line", ["from mlflow import log_metric as x", "from mlflow.xgboost import x", "from mlflow.tracking import x"]
)
def test_other_parts_of_mlflow_are_asked_for_when_they_are_used(line, tmp_path) -> None:
    """Naming what has no stand-in is harmless; calling or subclassing it says what to install."""
    module = ModelCode().run_file(write(tmp_path, f=line) / "f.py")
    with pytest.raises(DependencyMissing, match="pip install mlflow"):
        module.x("a", 1)
    with pytest.raises(DependencyMissing, match="pip install mlflow"):
        ModelCode().run_file(write(tmp_path, g=f"{line}\nclass Y(x): pass") / "g.py")


@pytest.mark.skipif(importlib.util.find_spec("mlflow") is not None, reason="mlflow is installed here")
def test_a_model_opens_another_by_mlflows_name(tmp_path) -> None:
    """mlflow.sklearn.load_model and mlflow.pyfunc.load_model in a model's code open directories without mlflow."""
    import palate._opening  # fills in what opens them

    inner = Path(__file__).parent / "data" / "mlflow_models" / "sk_cloudpickle" / "model"
    source = f"""
        import mlflow
        NATIVE = mlflow.sklearn.load_model({str(inner)!r})
        ADAPTED = mlflow.pyfunc.load_model(model_uri={str(inner)!r})
    """
    module = ModelCode().run_file(write(tmp_path, f=source) / "f.py")
    assert hasattr(module.NATIVE, "predict_proba")
    assert isinstance(module.ADAPTED, palate._opening.PyFuncModel)


def test_a_real_mlflow_is_never_shadowed(mlflow_python, tmp_path) -> None:
    """Where mlflow can be imported, a model's code gets it."""
    root = Path(importlib.import_module("palate").__file__).parents[1]
    (tmp_path / "f.py").write_text("import mlflow\nVERSION = mlflow.__version__")
    program = f"""
import sys; sys.path[:0] = [{str(root)!r}]
from pathlib import Path
from types import ModuleType
from palate._code.model_code import ModelCode
print(ModelCode().run_file(Path({str(tmp_path / "f.py")!r})).VERSION)
"""
    done = subprocess.run([mlflow_python, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip().count(".") == 2, done.stderr


def test_a_stray_folder_called_mlflow_is_not_mlflow(tmp_path, monkeypatch) -> None:
    """A folder without __init__.py on sys.path, as working directories have, does not count as installed."""
    if importlib.util.find_spec("mlflow") is not None:
        pytest.skip("mlflow is installed here")
    (tmp_path / "mlflow").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert ModelCode().import_module("mlflow.pyfunc").PythonModel


def test_pickle_module_reads_with_the_models_own(two):
    """A library that takes a pickle module builds the model's classes with it, also through a subclass."""
    for code, word in zip(two, ("first", "second"), strict=True):
        with code.activated():
            data = pickle.dumps(code.import_module("entry").now)
            module = code.pickle_module()
            assert module.load(io.BytesIO(data), encoding="utf-8")() == word

            class Wrapper(module.Unpickler):
                pass

            assert Wrapper(io.BytesIO(data)).load()() == word

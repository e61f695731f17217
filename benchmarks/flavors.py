"""What each flavor costs beside its framework's own save and load, and beside stock MLflow.

Run: python benchmarks/flavors.py [--mlflow PYTHON] [--repeat N] [--large GIB] [--only FLAVOR ...]. Five questions, each
answered by a ratio of figures that were measured in turn in the same run:

* import: milliseconds that a plugin's own import adds to `import palate.hookspecs`; no framework comes along.
* load: a whole process that loads a model and predicts once, over the same with the framework alone, and over MLflow.
* predict: seconds of one call on one row in a running process, over the framework's own.
* save: seconds of save_model without an input example, over the framework's own save of the same object.
* memory: the highest resident size while saving and while loading a large model, over the framework's own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import textwrap
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from _timing import ENVIRONMENT, in_turn, medians


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One flavor as programs: each is given ``target``, a path, and some leave ``model`` and ``rows`` behind.

    Attributes:
        module: the plugin's module.
        small, large: make a trained ``model`` and its ``rows``; *large* has ``gib`` too.
        options: further arguments of palate.save_model, as code.
        save: write ``model`` to ``target`` with the framework alone.
        load: set ``predict`` to what answers for the file at ``target``, likewise.
    """

    module: str
    small: str
    large: str
    save: str
    load: str
    options: str = ""


DIGITS = """
from sklearn.datasets import load_digits
X, y = load_digits(return_X_y=True)
X = X.astype("float32")
rows = X[:8]
"""
LINE = """
import tensorflow as tf
class Line(tf.Module):
    def __init__(self, side, width):
        self.weight = tf.Variable(tf.ones((side, width)))
    @tf.function
    def __call__(self, x):
        return tf.matmul(x, self.weight)
"""
QUIET = "import os; os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'\n"

CASES = {
    "sklearn": Case(
        module="sklearn_flavor",
        small=DIGITS
        + "from sklearn.ensemble import RandomForestClassifier\n"
        + "model = RandomForestClassifier(100, random_state=0).fit(X, y)",
        large="""
import numpy as np
from sklearn.neighbors import KNeighborsRegressor
X = np.random.default_rng(0).random((int(gib * 2**30) // 8 // 1024, 1024))
rows = X[:8].copy()
model = KNeighborsRegressor(algorithm="brute").fit(X, np.arange(len(X), dtype=float))
del X
""",
        save="import skops.io; skops.io.dump(model, target)",
        load="import skops.io\n"
        "predict = skops.io.load(target, trusted=skops.io.get_untrusted_types(file=target)).predict",
    ),
    "xgboost": Case(
        module="xgboost_flavor",
        small=DIGITS + "import xgboost\nmodel = xgboost.XGBRegressor(n_estimators=50).fit(X, y)",
        large="""
import numpy as np, xgboost
# Random labels, so that every tree grows to its full depth: about 17 MB of nodes each.
generator = np.random.default_rng(0)
X = generator.random((500_000, 8), dtype="float32")
rows = X[:8].copy()
model = xgboost.XGBRegressor(n_estimators=max(1, int(gib * 60)), max_depth=25, min_child_weight=0, reg_lambda=0)
model.fit(X, generator.random(len(X)))
del X
""",
        save="model.save_model(target)",
        load="import xgboost; native = xgboost.XGBRegressor(); native.load_model(target); predict = native.predict",
    ),
    "pytorch": Case(
        module="torch_flavor",
        small=DIGITS
        + "import torch\n"
        + "model = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 10)).eval()",
        large="""
import numpy as np, torch
side = int((gib * 2**30 / 4) ** 0.5)
model = torch.nn.Sequential(torch.nn.Linear(side, side)).eval()
rows = np.ones((8, side), dtype="float32")
""",
        save="import torch\n"
        "torch.export.save(torch.export.export(model, (torch.from_numpy(rows),),"
        " dynamic_shapes=({0: torch.export.Dim.DYNAMIC},)), target)",
        load="import torch; native = torch.export.load(target).module()\n"
        "predict = lambda rows: native(torch.from_numpy(rows)).detach().numpy()",
        options="signature=palate.infer_signature(rows)",
    ),
    "keras": Case(
        module="tf_flavor.keras_models",
        small=QUIET
        + DIGITS
        + "import keras\n"
        + "layers = [keras.Input((64,)), keras.layers.Dense(256, activation='relu'), keras.layers.Dense(10)]\n"
        + "model = keras.Sequential(layers)",
        large=QUIET
        + """
import numpy as np, keras
side = int((gib * 2**30 / 4) ** 0.5)
model = keras.Sequential([keras.Input((side,)), keras.layers.Dense(side)])
rows = np.ones((8, side), dtype="float32")
""",
        save="model.save(target)",
        load=QUIET + "import keras; native = keras.saving.load_model(target, compile=False)\n"
        "predict = lambda rows: native.predict(rows, verbose=0)",
    ),
    "tensorflow": Case(
        module="tf_flavor.saved_models",
        small=QUIET
        + DIGITS
        + LINE
        + """
model = Line(64, 10)
model(tf.constant(rows))
model.__call__.get_concrete_function(tf.TensorSpec((None, 64), tf.float32))
""",
        large=QUIET
        + LINE
        + """
import numpy as np
side = int((gib * 2**30 / 4) ** 0.5)
model = Line(side, side)
rows = np.ones((8, side), dtype="float32")
model.__call__.get_concrete_function(tf.TensorSpec((None, side), tf.float32))
""",
        save="import tensorflow as tf; tf.saved_model.save(model, target)",
        load=QUIET + "import tensorflow as tf; native = tf.saved_model.load(target)\n"
        "predict = lambda rows: native(tf.constant(rows)).numpy()",
        options="signature=palate.infer_signature(rows)",
    ),
}
# The suffix tells the framework the format; TensorFlow writes a directory.
SUFFIXES = {"sklearn": ".skops", "xgboost": ".ubj", "pytorch": ".pt2", "keras": ".keras", "tensorflow": ""}

PRELUDE = """
import json, sys, time
target, gib = sys.argv[1], float(sys.argv[2])
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) * 1024
def forget_peak():
    with open("/proc/self/clear_refs", "w") as refs:
        refs.write("5")
"""
LOAD_ROWS = "import numpy; rows = numpy.load(target + '.npy')\n"
PALATE_LOAD = "import palate; predict = palate.load_model(target).predict\n"
MLFLOW_LOAD = QUIET + "import mlflow; predict = mlflow.pyfunc.load_model(target).predict\n"


def run(code: str, target: object, gib: float = 0.0, *, python: str = sys.executable) -> str:
    """Run a program in a process of its own and return what it prints last."""
    command = [python, "-W", "ignore", "-c", PRELUDE + code, str(target), str(gib)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT)
    if done.returncode:
        raise SystemExit(f"this program failed:\n{textwrap.indent(code, '    ')}\n{done.stderr}")
    return done.stdout.strip().rpartition("\n")[2]


def process_seconds(code: str, target: object, python: str) -> float:
    """Return the seconds that a whole process takes."""
    started = time.perf_counter()
    run(code, target, python=python)
    return time.perf_counter() - started


def measure_import(case: Case) -> None:
    """Print what importing the plugin adds."""
    code = f"""
import palate.hookspecs
before = set(sys.modules)
started = time.perf_counter()
import {case.module}
taken = time.perf_counter() - started
heavy = {{"sklearn", "skops", "xgboost", "torch", "tensorflow", "keras", "pandas"}} & set(sys.modules)
print(json.dumps([taken, sorted(heavy)]))
"""
    results = [json.loads(run(code, "-")) for _ in range(5)]
    assert not any(heavy for _, heavy in results), results
    print(f"  import of the plugin            {min(taken for taken, _ in results) * 1000:9.2f} ms")


def write_both(name: str, case: Case, make: str, folder: Path, gib: float) -> tuple[Path, Path]:
    """Save one model with the framework and with Palate; return both paths, with the rows beside them."""
    native, ours = folder / f"native-{gib:g}{SUFFIXES[name]}", folder / f"palate-{gib:g}"
    code = f"""
{make}
import numpy, palate
ours = {str(ours)!r}
palate.save_model(model, ours, {case.options or "signature=palate.infer_signature(rows)"})
for path in (target, ours):
    numpy.save(path + ".npy", rows)
{case.save}
"""
    run(code, native, gib)
    return native, ours


def measure_load(case: Case, native: Path, ours: Path, repeat: int, mlflow: str | None) -> None:
    """Print whole processes that load a small model and predict once."""
    answer = "predict(rows)\n"
    programs = {
        "native": (LOAD_ROWS + case.load + "\n" + answer, native, sys.executable),
        "Palate": (LOAD_ROWS + PALATE_LOAD + answer, ours, sys.executable),
    }
    if mlflow:
        programs["MLflow"] = (LOAD_ROWS + MLFLOW_LOAD + answer, ours, mlflow)
    middle = medians(
        in_turn({label: partial(process_seconds, *program) for label, program in programs.items()}, repeat)
    )
    for label, value in middle.items():
        ratio = value / middle["native"]
        print(f"  load + predict, process: {label:<7}{value * 1000:9.0f} ms {ratio:6.2f} x native")


def measure_predict(case: Case, native: Path, ours: Path) -> None:
    """Print the median of calls on one row, after some that warm up, in one process."""
    code = f"""
import numpy, palate, statistics
row = numpy.load(target + ".npy")[:1]
mine = palate.load_model({str(ours)!r}).predict
{case.load}
def median(call):
    for _ in range(20):
        call(row)
    times = []
    for _ in range(200):
        started = time.perf_counter()
        call(row)
        times.append(time.perf_counter() - started)
    return statistics.median(times)
print(json.dumps([median(predict), median(mine)]))
"""
    theirs, own = json.loads(run(code, native))
    print(
        f"  predict one row      native {theirs * 1e3:9.3f} ms, Palate {own * 1e3:9.3f} ms {own / theirs:6.2f} x native"
    )


def measure_save(label: str, name: str, case: Case, make: str, folder: Path, repeat: int, gib: float) -> None:
    """Print the seconds of a save without an example, in one process, both in turn."""
    code = f"""
{make}
import palate, statistics, os, shutil
rounds = []
for number in range({repeat} + 1):
    path = target + f"/{{number}}"
    os.makedirs(path)
    native, started = path + "/native{SUFFIXES[name]}", time.perf_counter()
    kept, target = target, native
    {textwrap.indent(case.save, "    ").lstrip()}
    target, between = kept, time.perf_counter()
    palate.save_model(model, path + "/palate", {case.options})
    rounds.append((between - started, time.perf_counter() - between))
    shutil.rmtree(path)
print(json.dumps([statistics.median(values) for values in zip(*rounds[1:])]))
"""
    native, ours = json.loads(run(code, folder, gib))
    print(
        f"  save, {label:<14} native {native * 1000:9.1f} ms, Palate {ours * 1000:9.1f} ms"
        f" {ours / native:6.2f} x native"
    )


def measure_memory(name: str, case: Case, folder: Path, gib: float) -> None:
    """Print the highest resident size of saving and of loading a large model."""
    ending = "\nprint(peak())"
    save_native = run(f"{case.large}\nforget_peak()\n{case.save}{ending}", folder / f"large{SUFFIXES[name]}", gib)
    save_ours = run(
        f"{case.large}\nimport palate\nforget_peak()\npalate.save_model(model, target, {case.options}){ending}",
        folder / "large-palate",
        gib,
    )
    native, ours = write_both(name, case, case.large, folder, gib)
    load_native = run(LOAD_ROWS + case.load + "\npredict(rows)" + ending, native)
    load_ours = run(LOAD_ROWS + PALATE_LOAD + "predict(rows)" + ending, ours)
    for label, one, other in (("saving", save_native, save_ours), ("loading", load_native, load_ours)):
        theirs, mine = int(one) / 2**20, int(other) / 2**20
        print(
            f"  peak memory, {label:<8}   native {theirs:7.0f} MiB, Palate {mine:7.0f} MiB"
            f" {mine / theirs:6.2f} x native"
        )


def main() -> None:
    """Print one block of figures for each flavor."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mlflow", metavar="PYTHON", help="an interpreter with stock MLflow, to measure beside")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--large", type=float, default=1.0, metavar="GIB", help="size of the large model; 0 for none")
    parser.add_argument("--only", nargs="*", choices=list(CASES), default=list(CASES))
    options = parser.parse_args()
    for name in options.only:
        case = CASES[name]
        print(name)
        with tempfile.TemporaryDirectory() as directory:
            folder = Path(directory)
            measure_import(case)
            native, ours = write_both(name, case, case.small, folder, 0)
            measure_load(case, native, ours, options.repeat, options.mlflow)
            measure_predict(case, native, ours)
            measure_save("small model", name, case, case.small, folder / "small", options.repeat, 0)
            if options.large:
                measure_save("large model", name, case, case.large, folder / "big", 1, options.large)
                measure_memory(name, case, folder, options.large)


if __name__ == "__main__":
    main()

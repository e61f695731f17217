"""A model in a process of its own: the same adapter, and what becomes of calls that go wrong."""

from __future__ import annotations

import copy
import gc
import multiprocessing
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import palate
from palate import IsolatedModel, Isolation, errors

MOODY = Path(__file__).parent / "shared" / "moody.py"
HERE = Isolation(environment="here", timeout=30.0)


@pytest.fixture(scope="module")
def moody_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where a model is that does what it is told."""
    path = tmp_path_factory.mktemp("moody") / "model"
    palate.save_model(str(MOODY), path, signature=None, model_config={"at_load": ""})
    return path


@pytest.fixture(scope="module")
def shared_model(moody_path: Path) -> Iterator[IsolatedModel]:
    """Yield one isolated model for tests that leave its process alone."""
    with palate.load_model(moody_path, trust=True, isolate=HERE) as model:
        yield model


@pytest.fixture
def model(moody_path: Path) -> Iterator[IsolatedModel]:
    """Yield an isolated model of the test's own."""
    with palate.load_model(moody_path, trust=True, isolate=HERE) as opened:
        yield opened


@pytest.fixture(scope="module")
def regression(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where a classifier with a signature is."""
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    data = load_iris(as_frame=True)
    path = tmp_path_factory.mktemp("iris") / "model"
    fitted = LogisticRegression(max_iter=500).fit(data.data, data.target)
    palate.save_model(fitted, path, input_example=data.data.head(3))
    return path


def is_running(pid: int) -> bool:
    """Whether a process is there and has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_until(condition: object, seconds: float = 10.0) -> bool:
    """Wait for a condition and return whether it came true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():  # type: ignore[operator]
            return True
        time.sleep(0.01)
    return False


# -- the same adapter --------------------------------------------------------------------------------------------------


def test_predictions_are_those_of_this_process(regression: Path) -> None:
    """Each method of each container answers the same bits, in a process of another number."""
    data = pd.read_json(regression / "serving_input_example.json")["dataframe_split"]
    frame = pd.DataFrame(data["data"], columns=data["columns"])
    direct = palate.load_model(regression)
    with palate.load_model(regression, isolate=HERE) as isolated:
        assert isinstance(isolated, palate.PyFuncModel)
        assert isolated.pid not in (None, os.getpid())
        assert isolated.methods == direct.methods
        assert isolated.signatures == direct.signatures
        assert (isolated.flavor, isolated.path, isolated.default_method) == ("sklearn", direct.path, "predict")
        for given in (frame, frame.to_dict("records"), frame.to_dict("list"), frame.iloc[::-1]):
            np.testing.assert_array_equal(isolated.predict(given), direct.predict(given))
            np.testing.assert_array_equal(isolated.predict_proba(given), direct.predict_proba(given))
        table = isolated.call("predict_proba", frame, output="pandas")
        pd.testing.assert_frame_equal(table, direct.call("predict_proba", frame, output="pandas"))
        batches = list(isolated.predict_batches([frame, frame]))
        np.testing.assert_array_equal(batches[1], direct.predict(frame))
        assert [isolated.rows_are_independent(name) for name in direct.methods] == [True] * len(direct.methods)


def test_input_is_enforced_before_it_crosses(regression: Path) -> None:
    """What does not fit is refused here with every problem, and the process hears nothing of it."""
    with palate.load_model(regression, isolate=HERE) as isolated:
        os.kill(isolated.pid or 0, signal.SIGSTOP)
        with pytest.raises(errors.InvalidInput) as caught:
            isolated.predict({"sepal length (cm)": ["x"]})
        assert len(caught.value.problems) == 4
        with pytest.raises(errors.MethodNotFound):
            isolated.call("transform", [[1]])
        os.kill(isolated.pid or 0, signal.SIGCONT)


async def _predict_twice(model: IsolatedModel) -> list[object]:
    import asyncio

    return list(await asyncio.gather(model.apredict([1]), model.apredict([2])))


def test_coroutines_wait_without_blocking(shared_model: IsolatedModel) -> None:
    """``apredict`` answers, several at once."""
    import asyncio

    assert asyncio.run(_predict_twice(shared_model)) == [[2], [3]]


def test_native_object_is_elsewhere(shared_model: IsolatedModel) -> None:
    """The framework's own object is not here, and the error says so."""
    with pytest.raises(errors.NotTransferable, match=r"model\.native"):
        _ = shared_model.native


def test_pickle_is_a_reference(shared_model: IsolatedModel) -> None:
    """A pickled isolated model is loaded anew, isolated as before; a copy is the model itself."""
    assert copy.copy(shared_model) is shared_model
    with pickle.loads(pickle.dumps(shared_model)) as again:
        assert isinstance(again, IsolatedModel)
        assert again.pid != shared_model.pid
        assert again.predict([1]) == [2]


def save_marker(path: Path, marker: Path) -> None:
    """Save a model whose code leaves a file when it runs."""
    source = path.parent / "marking.py"
    source.write_text(f"import palate\nopen({str(marker)!r}, 'x').close()\npalate.set_model(lambda model_input: 1)\n")
    palate.save_model(str(source), path, signature=None, overwrite=True)


def test_pickle_is_for_its_model_alone(tmp_path: Path) -> None:
    """Another model in its place is refused before any of its code runs; where there is none, the error says so."""
    path = tmp_path / "model"
    save_marker(path, tmp_path / "first")
    with palate.load_model(path, trust=True, isolate=HERE) as first:
        data = pickle.dumps(first)
    assert (tmp_path / "first").exists()
    save_marker(path, tmp_path / "another")
    with pytest.raises(errors.ModelChanged, match="not the model that was loaded before"):
        pickle.loads(data)
    assert not (tmp_path / "another").exists()
    shutil.rmtree(path)
    with pytest.raises(errors.ModelNotFound, match=r"reference to its directory.*Hint: put the directory"):
        pickle.loads(data)


def test_a_model_replaced_under_it_is_refused(tmp_path: Path) -> None:
    """The process that takes the place of one that crashed opens the same model, or none."""
    path = tmp_path / "model"
    save_marker(path, tmp_path / "first")
    with palate.load_model(path, trust=True, isolate=HERE) as model:
        save_marker(path, tmp_path / "another")
        os.kill(model.pid or 0, signal.SIGKILL)
        with pytest.raises(errors.ModelCrashed):
            model.predict([1])
        with pytest.raises(errors.ModelChanged, match="not the model that was loaded before"):
            model.predict([1])
    assert not (tmp_path / "another").exists()


def test_a_model_that_is_being_replaced_opens(tmp_path: Path) -> None:
    """One that is replaced while its process starts is opened anew, as it is in this process."""
    path, following, python = tmp_path / "model", tmp_path / "next", tmp_path / "python"
    save_marker(path, tmp_path / "first")
    save_marker(following, tmp_path / "another")
    replace = f"if [ -d {following} ]; then rm -r {path}; mv {following} {path}; fi"
    python.write_text(f'#!/bin/sh\n{replace}\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    with palate.load_model(path, trust=True, isolate=Isolation(environment=str(python), timeout=30.0)) as model:
        assert model.predict([1]) == 1
    assert [(tmp_path / name).exists() for name in ("first", "another")] == [False, True]


def test_what_a_model_prints_stays_off_standard_output(moody_path: Path) -> None:
    """Standard output is the program's alone; the model's words go to standard error."""
    code = f"""
import palate
model = palate.load_model({str(moody_path)!r}, trust=True, isolate=palate.Isolation(environment="here"))
print(model.predict(["speak", "hello"]).upper())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("HELLO\n", "hello\n")


def test_iterators_come_whole(shared_model: IsolatedModel) -> None:
    """Answers that come one by one may be taken one by one."""
    answer = shared_model.predict(["count", 3])
    assert next(answer) == 0
    assert list(answer) == [1, 2]


def test_threads_take_turns(shared_model: IsolatedModel) -> None:
    """Calls of many threads each get their own answer."""
    wrong: list[int] = []

    def work(number: int) -> None:
        for _ in range(50):
            if shared_model.predict([number]) != [number + 1]:
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_large_arrays_cross(shared_model: IsolatedModel) -> None:
    """Arrays beyond what a socket holds come back as they went, large and small by turns."""
    for size in (3, 10**6, 5, 3 * 10**6, 10**4):
        array = np.arange(size, dtype=np.float64)
        np.testing.assert_array_equal(shared_model.predict(array), array)


# -- trust, and errors of loading --------------------------------------------------------------------------------------


def test_trust_is_asked_for_there_too(moody_path: Path) -> None:
    """Isolation grants nothing: a model that carries code needs trust, and its process is gone."""
    before = set(_children())
    with pytest.raises(errors.TrustRequired) as caught:
        palate.load_model(moody_path, isolate=HERE)
    assert caught.value.reasons
    assert isinstance(caught.value, PermissionError)
    assert wait_until(lambda: set(_children()) <= before)


def _children() -> list[int]:
    return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


def test_changed_files_are_refused(moody_path: Path, tmp_path: Path) -> None:
    """The process checks every byte, this one the document."""
    import shutil

    for name in ("moody.py", "MLmodel"):
        changed = tmp_path / name
        shutil.copytree(moody_path, changed)
        (changed / name).write_text((changed / name).read_text() + "\n# changed\n")
        with pytest.raises(errors.ModelChanged, match=name):
            palate.load_model(changed, trust=True, isolate=HERE)


def test_missing_model_and_wrong_options(moody_path: Path, tmp_path: Path) -> None:
    """Errors of loading are those of a model in this process."""
    with pytest.raises(errors.ModelNotFound):
        palate.load_model(tmp_path / "nothing", isolate=True)
    with pytest.raises(errors.InvalidOption, match="takes no such option"):
        palate.load_model(moody_path, trust=True, isolate=HERE, nothing=1)
    with pytest.raises(errors.FlavorNotFound):
        palate.load_model(moody_path, trust=True, isolate=HERE, flavor="nothing")


@pytest.mark.parametrize(
    ("order", "error", "words"),
    [
        ("segfault", errors.ModelCrashed, "signal SIGSEGV"),
        ("leave", errors.FlavorBroken, "SystemExit"),
    ],
)
def test_failure_at_load(moody_path: Path, order: str, error: type[Exception], words: str) -> None:
    """A model that ends its process while it is loaded is an error of loading."""
    with pytest.raises(error, match=words):
        palate.load_model(moody_path, trust=True, isolate=HERE, model_config={"at_load": order})


@pytest.mark.parametrize(
    "wrong",
    [
        {"memory_limit": 10},
        {"memory_limit": "2GiB"},
        {"timeout": 0},
        {"timeout": float("inf")},
        {"timeout": True},
        {"start_timeout": None},
        {"environment": ""},
        {"environment": None},
    ],
)
def test_limits_are_checked(wrong: dict[str, object]) -> None:
    """A limit that is none is refused where it is written."""
    with pytest.raises(errors.InvalidOption, match=next(iter(wrong))):
        Isolation(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", ["yes", 1, None, {"timeout": 1}])
def test_isolate_is_a_switch_or_an_isolation(moody_path: Path, wrong: object) -> None:
    """What is neither is refused, texts that are true values among them."""
    with pytest.raises(errors.InvalidOption, match="isolate"):
        palate.load_model(moody_path, isolate=wrong)  # type: ignore[call-overload]


def test_environment_without_palate(moody_path: Path, tmp_path: Path) -> None:
    """An interpreter that has no Palate, or is none, is named with its own words."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    with pytest.raises(errors.ModelCrashed, match="No module named 'palate'"):
        palate.load_model(moody_path, trust=True, isolate=Isolation(environment=tmp_path / "bare"))
    (tmp_path / "python").write_text("")
    with pytest.raises(errors.ModelCrashed, match="could not be started"):
        palate.load_model(moody_path, trust=True, isolate=Isolation(environment=tmp_path / "python"))
    with pytest.raises(errors.InvalidOption, match="'auto', 'here', 'model'"):
        palate.load_model(moody_path, trust=True, isolate=Isolation(environment="modle"))


LIAR = """#!{python}
import socket, sys
from palate._isolation.channel import Channel
channel = Channel(socket.socket(fileno=int(sys.argv[-3])))
channel.receive()
channel.send({first})
channel.receive()
channel.send({second})
"""
READY = {
    "protocol": 1,
    "ready": {"flavor": "toy", "methods": ("predict",), "independent": {"predict": True}, "python": "3.14.0"},
}
LIES = [
    7,
    [1],
    {},
    {"protocol": 99, "ready": READY["ready"]},
    {"protocol": 1},
    {"protocol": 1, "raised": 3},
    {"protocol": 1, "raised": {"kinds": ["builtins.ValueError"]}},
    {"protocol": 1, "ready": 3},
    {"protocol": 1, "ready": {}},
    {"protocol": 1, "ready": {**READY["ready"], "methods": ["predict"]}},  # type: ignore[dict-item]
    {"protocol": 1, "ready": {**READY["ready"], "methods": (1,), "independent": {1: True}}},  # type: ignore[dict-item]
    {"protocol": 1, "ready": {**READY["ready"], "independent": {"predict": "no"}}},  # type: ignore[dict-item]
]


def write_liar(path: Path, first: object, second: object = None) -> Isolation:
    """Return an isolation whose worker says these two things, whatever it is asked."""
    path.write_text(LIAR.format(python=sys.executable, first=first, second=second))
    path.chmod(0o755)
    return Isolation(environment=path)


@pytest.mark.parametrize("lie", LIES, ids=repr)
def test_worker_that_lies_at_its_start(moody_path: Path, tmp_path: Path, lie: object) -> None:
    """A worker that says what none says is found out, and nothing of it is left."""
    before, files = set(_children()), len(os.listdir("/proc/self/fd"))
    isolation = write_liar(tmp_path / "python", lie)
    with pytest.raises(errors.ModelCrashed, match="junk"):
        palate.load_model(moody_path, trust=True, isolate=isolation)
    assert wait_until(lambda: set(_children()) <= before)
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == files


@pytest.mark.parametrize("lie", [7, {}, {"raised": None}, {"raised": {"kinds": 3}}], ids=repr)
def test_worker_that_lies_when_it_is_asked(moody_path: Path, tmp_path: Path, lie: object) -> None:
    """The same when it shall predict: the call fails, and nothing but that error is raised."""
    with palate.load_model(moody_path, trust=True, isolate=write_liar(tmp_path / "python", READY, lie)) as model:
        assert (model.flavor, model.python) == ("toy", "3.14.0")
        with pytest.raises(errors.ModelCrashed, match="junk"):
            model.predict([1])


def test_flavor_that_cannot_say_whether_rows_are_independent(tmp_path: Path) -> None:
    """It fails whoever asks, here as there, and not the load."""
    code = """
import palate
class Unsure(palate.PythonModel):
    @property
    def rows_are_independent(self):
        raise ValueError("who knows")
    def predict(self, context, model_input, params=None):
        return model_input
palate.set_model(Unsure())
"""
    (tmp_path / "unsure.py").write_text(code)
    palate.save_model(str(tmp_path / "unsure.py"), tmp_path / "model", signature=None)
    direct = palate.load_model(tmp_path / "model", trust=True)
    with palate.load_model(tmp_path / "model", trust=True, isolate=HERE) as isolated:
        told = []
        for model in (direct, isolated):
            with pytest.raises(errors.FlavorBroken) as caught:
                model.rows_are_independent("predict")
            told.append(str(caught.value))
        assert told[0] == told[1]
        assert isolated.predict([1]) == [1]


# -- errors of predicting ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [("ValueError", ["no"]), ("KeyError", ["a"]), ("ZeroDivisionError", []), ("FileNotFoundError", [2, "gone"])],
)
def test_builtin_exceptions_come_back(shared_model: IsolatedModel, kind: str, arguments: list[object]) -> None:
    """An exception of Python's own is raised here with its arguments, and with where it came from."""
    with pytest.raises((ValueError, LookupError, ArithmeticError, OSError)) as caught:
        shared_model.predict(["fail", kind, *arguments])
    assert type(caught.value).__name__ == kind
    assert list(caught.value.args) == arguments
    assert "moody.py" in str(caught.value.__cause__)


def test_strange_exceptions_come_back_as_their_base(shared_model: IsolatedModel) -> None:
    """Of a class that only the model knows, the nearest one of Python's own is raised, with its name."""
    with pytest.raises(KeyError, match="NotHappy: 'today'"):
        shared_model.predict(["fail_strangely"])


def test_exit_ends_a_call_only(shared_model: IsolatedModel) -> None:
    """sys.exit() in a model is an error of the call."""
    before = shared_model.pid
    with pytest.raises(errors.PalateError, match="SystemExit"):
        shared_model.predict(["leave"])
    assert shared_model.predict([1]) == [2]
    assert shared_model.pid == before


def test_what_cannot_cross(shared_model: IsolatedModel) -> None:
    """A type that does not cross is named, whichever way it went, and costs the call alone."""
    before = shared_model.pid
    with pytest.raises(errors.NotTransferable, match=r"_thread\.lock"):
        shared_model.predict([threading.Lock()])
    with pytest.raises(errors.NotTransferable, match=r"Moody.*in the predictions"):
        shared_model.predict(["strange"])
    assert shared_model.predict([1]) == [2]
    assert shared_model.pid == before


@pytest.mark.parametrize(("order", "words"), [(["segfault"], "signal SIGSEGV"), (["end", 7], "exit code 7")])
def test_crash_costs_one_call(model: IsolatedModel, order: list[object], words: str) -> None:
    """A process that ends is an error that says how; the next call finds a new one."""
    before = model.pid
    with pytest.raises(errors.ModelCrashed, match=words):
        model.predict(order)
    assert model.predict([1]) == [2]
    assert model.pid != before
    assert not is_running(before or 0)


def test_crash_is_seen_though_children_live_on(model: IsolatedModel) -> None:
    """What the model has started may hold what it likes: that the process has ended is seen at once."""
    begin = time.monotonic()
    with pytest.raises(errors.ModelCrashed, match="SIGSEGV"):
        model.predict(["fork_and_end", 20])
    assert time.monotonic() - begin < 5
    assert model.predict([1]) == [2]


def test_child_of_the_model_answers_nobody(model: IsolatedModel) -> None:
    """A model that forks comes back twice, and one of the two is heard."""
    assert [model.predict(["fork"]), model.predict([1]), model.predict([2])] == ["parent", [2], [3]]


def test_signal_handler_cannot_ask(model: IsolatedModel) -> None:
    """A handler that asks amid a call of its own thread is refused, and both know whose answer it is."""
    told: list[object] = []

    def ask(*_: object) -> None:
        try:
            told.append(model.predict([1]))
        except RuntimeError as exc:
            told.append(str(exc))

    before = signal.signal(signal.SIGALRM, ask)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        assert model.predict(["sleep", 0.6]) == "awake"
    finally:
        signal.signal(signal.SIGALRM, before)
    assert len(told) == 1
    assert "this thread waits" in str(told[0])
    assert model.predict([5]) == [6]


def test_working_directory_is_not_imported_from(moody_path: Path, tmp_path: Path) -> None:
    """A file of a module's name beside the data is no module of the worker's."""
    (tmp_path / "json.py").write_text("open('ran', 'w').close()\nraise SystemExit(9)\n")
    command = [sys.executable, "-P", "-m", "palate", "predict", str(moody_path), "--trust", "--environment", "here"]
    done = subprocess.run([*command, "--format", "json"], cwd=tmp_path, input="[1]", capture_output=True, text=True)
    assert (done.returncode, (tmp_path / "ran").exists()) == (0, False), done.stderr


def test_next_process_starts_at_once(model: IsolatedModel) -> None:
    """After a crash the model is loaded again before anybody asks for it."""
    with pytest.raises(errors.ModelCrashed):
        model.predict(["segfault"])
    after = model.pid
    assert after is not None
    assert model.predict(["pid"]) == after


@pytest.mark.parametrize("order", [["sleep", 60], ["hold"]])
def test_time_limit(moody_path: Path, order: list[object]) -> None:
    """A call that takes too long ends with its process, also when the model holds the interpreter's lock."""
    with palate.load_model(moody_path, trust=True, isolate=Isolation(environment="here", timeout=0.5)) as model:
        before = model.pid
        begin = time.monotonic()
        with pytest.raises(errors.ModelTimeout, match=r"0\.5 s to predict") as caught:
            model.predict(order)
        assert time.monotonic() - begin < 3
        assert isinstance(caught.value, TimeoutError)
        assert not is_running(before or 0)
        assert model.predict([1]) == [2]


def test_time_to_start_is_limited(moody_path: Path) -> None:
    """A model that does not load in time is an error, and its process is gone."""
    isolation = Isolation(environment="here", start_timeout=0.05)
    before = set(_children())
    with pytest.raises(errors.ModelTimeout, match="to load"):
        palate.load_model(moody_path, trust=True, isolate=isolation)
    assert wait_until(lambda: set(_children()) <= before)


def test_memory_limit(moody_path: Path) -> None:
    """A call that needs more than its limit is a MemoryError; the next one finds a process with all of it."""
    limited = Isolation(environment="here", memory_limit=1 << 30)
    with palate.load_model(moody_path, trust=True, isolate=limited) as model:
        before = model.pid
        assert model.predict(["eat", 100 << 20]) == 100 << 20
        with pytest.raises(errors.ModelOutOfMemory, match="1,073,741,824 bytes") as caught:
            model.predict(["eat", 2 << 30])
        assert isinstance(caught.value, MemoryError)
        assert model.predict([1]) == [2]
        assert model.pid != before


def test_interrupt_leaves_no_half_answer(model: IsolatedModel) -> None:
    """Ctrl-C amid a call ends its process, so that the next answer is not the last one's."""
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        model.predict(["sleep", 5])
    assert model.predict([1]) == [2]


# -- the end -----------------------------------------------------------------------------------------------------------


def test_close_ends_the_process(moody_path: Path) -> None:
    """A closed model has no process, and says so when it is asked."""
    model = palate.load_model(moody_path, trust=True, isolate=HERE)
    before = model.pid or 0
    model.close()
    model.close()
    assert not is_running(before)
    with pytest.raises(errors.ModelCrashed, match="it was closed"):
        model.predict([1])


def test_close_from_another_thread(moody_path: Path) -> None:
    """Closing amid a call ends the call."""
    model = palate.load_model(moody_path, trust=True, isolate=HERE)
    threading.Timer(0.3, model.close).start()
    begin = time.monotonic()
    with pytest.raises(errors.ModelCrashed):
        model.predict(["sleep", 20])
    assert time.monotonic() - begin < 10


def test_forgotten_model_ends_its_process(moody_path: Path) -> None:
    """A model that nobody holds any more leaves no process."""
    model = palate.load_model(moody_path, trust=True, isolate=HERE)
    before = model.pid or 0
    del model
    assert wait_until(lambda: not is_running(before))


PROGRAM = """
import os, palate, sys, time
model = palate.load_model({path!r}, trust=True, isolate=palate.Isolation(environment="here"))
print(*model.predict(["parent"]), flush=True)
{end}
"""


@pytest.mark.parametrize(
    ("end", "by"),
    [
        ("", None),
        ("sys.exit(0)", None),
        ("os._exit(0)", None),
        ("raise SystemError", None),
        ("time.sleep(60)", signal.SIGKILL),
        ("time.sleep(60)", signal.SIGTERM),
        ("model.predict(['hold'])", signal.SIGKILL),
    ],
)
def test_no_orphans(moody_path: Path, end: str, by: signal.Signals | None) -> None:
    """However the program ends, the model's process and what that has started end too."""
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(path=str(moody_path), end=end)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert program.stdout is not None
    pids = [int(word) for word in program.stdout.readline().split()]
    assert len(pids) == 2
    if by is not None:
        time.sleep(0.2)
        program.send_signal(by)
    program.wait(20)
    program.stdout.close()
    assert wait_until(lambda: not any(map(is_running, pids)), 5)


def _ask_for_pid(model: IsolatedModel, answers: object) -> None:
    answers.put(model.predict(["pid"]))  # type: ignore[attr-defined]


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_forked_child_has_a_process_of_its_own(model: IsolatedModel) -> None:
    """A fork does not share a process with its parent, whose goes on."""
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    child = context.Process(target=_ask_for_pid, args=(model, answers))
    child.start()
    theirs = answers.get(timeout=30)
    child.join(30)
    assert theirs != model.predict(["pid"]) == model.pid
    assert wait_until(lambda: not is_running(theirs))


def test_host_imports_nothing_of_the_model(regression: Path) -> None:
    """The program needs none of the model's framework."""
    code = f"""
import sys, palate
model = palate.load_model({str(regression)!r}, isolate=palate.Isolation(environment="here"))
model.predict([{{column.name: 1.0 for column in model.signature.inputs.columns}}])
print("sklearn" in sys.modules, "skops" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"

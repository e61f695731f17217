"""A model in a process of its own behind the same adapter: answers, pickles, threads, output."""

from __future__ import annotations

import copy
import os
import pickle
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from isolated import HERE

import palate
from palate import IsolatedModel, Isolation, errors
from palate.testing._threads import at_once


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
    with pytest.raises(errors.NativeElsewhere, match="in another process"):
        _ = shared_model.native
    assert not hasattr(shared_model, "native")


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
    with pytest.raises(errors.ModelChanged, match="is not the model that was asked for"):
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
        with pytest.raises(errors.ModelChanged, match="is not the model that was asked for"):
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

    def work(number: int) -> None:
        for _ in range(50):
            assert shared_model.predict([number]) == [number + 1]

    at_once(work, 8)


def test_large_arrays_cross(shared_model: IsolatedModel) -> None:
    """Arrays beyond what a socket holds come back as they went, large and small by turns."""
    for size in (3, 10**6, 5, 3 * 10**6, 10**4):
        array = np.arange(size, dtype=np.float64)
        np.testing.assert_array_equal(shared_model.predict(array), array)

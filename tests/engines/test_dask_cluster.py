"""Models on a cluster of Dask: a scheduler and two workers, in processes of their own."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from engine_clusters import Cluster, Done, dask_cluster
from processes import wait_until

pytestmark = pytest.mark.slow

Columns = list[list[object]]
Read = Callable[[Path], Columns]
Expect = Callable[..., Columns]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Return the cluster."""
    with dask_cluster(tmp_path_factory.mktemp("dask")) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def done(cluster: Cluster, models: Path, rows: Path) -> Done:
    """Run the driver once."""
    return cluster.run(Path(__file__).with_name("dask_driver.py"), models, rows)


def test_no_archive_is_left(done: Done, cluster: Cluster) -> None:
    """What drivers and workers have written for the moment is gone."""
    assert not list(cluster.temporary.glob("palate-*"))


@pytest.mark.parametrize(
    ("answer", "model", "method"),
    [
        ("here", "labels", None),
        ("labels", "labels", None),
        ("forest", "forest", "predict_proba"),
        ("boosted", "boosted", "predict_proba"),
        ("telling", "telling", None),
        ("job", "boosted", None),
    ],
)
def test_answers_are_those_of_one_process(
    done: Done, expected: Expect, read_answer: Read, answer: str, model: str, method: str | None
) -> None:
    """Text, floats, times, lists and structs are what the model gives here, bit for bit, and each key is there once."""
    assert read_answer(done.out / answer) == expected(model, method)


def test_both_workers_open_the_model_once(done: Done, cluster: Cluster) -> None:
    """The model that tells predicted in two processes, below two workers, and each has opened it once."""
    workers = {told.pid: told.parent for told in cluster.told() if told.what == "predicted 500"}
    assert len(set(workers.values())) == 2
    opened = [told.pid for told in cluster.told() if told.what == "opened" and told.pid in workers]
    assert sorted(opened) == sorted(workers)


def test_the_index_stays(done: Done) -> None:
    """Predictions stand under the index of their rows."""
    assert done.report["index"] == [0, 5_999, 6_000]


def test_mistakes_are_told_before_any_task(done: Done) -> None:
    """Columns, keys, trust, places and signatures are judged by the driver."""
    refused = done.report["refused"]
    assert {name: error.partition(":")[0] for name, error in refused.items()} == {
        "missing": "InvalidInput",
        "text": "InvalidInput",
        "key": "InvalidInput",
        "untrusted": "TrustRequired",
        "nowhere": "ModelNotFound",
        "silent": "InvalidOption",
    }
    assert "inputs.b: this column is missing" in refused["missing"]
    assert "inputs.b: needs double, got text" in refused["text"]


def test_tasks_say_what_does_not_fit(done: Done) -> None:
    """Rows that do not fit raise InvalidInput on the driver."""
    said = "InvalidInput: The input does not fit the model's signature: inputs.c: "
    assert done.report["failed"]["gaps"].startswith(said)


def test_a_worker_that_dies_loses_no_rows(
    cluster: Cluster, done: Done, models: Path, rows: Path, expected: Expect, read_answer: Read
) -> None:
    """A worker process, and later a worker with its nanny, are killed in the middle; all rows are there, once."""
    cluster.log.unlink()
    out = cluster.folder / "killed"
    driver = cluster.begin(Path(__file__).with_name("slow_driver.py"), "dask", models / "telling", rows, out, 0.8)

    def predicting() -> dict[int, int]:
        return {told.pid: told.parent for told in cluster.told() if told.what == "predicted 500"}

    wait_until(lambda: len(predicting()) >= 2, 60)
    nannies = [node.pid for node in cluster.nodes]
    first, second = sorted(predicting(), key=lambda pid: nannies.index(predicting()[pid]))
    os.kill(first, signal.SIGKILL)  # its nanny starts another, which gets the model
    wait_until(lambda: predicting().keys() - {first, second}, 60)
    cluster.nodes[1].kill()
    os.kill(second, signal.SIGKILL)
    cluster.end(driver)
    assert read_answer(out) == expected("telling")
    assert sum(told.what == "predicted 500" for told in cluster.told()) > 12, "something was done again"

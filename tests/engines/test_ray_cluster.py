"""Models on a cluster of Ray: two nodes, each on a machine of its own as far as the network is concerned."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from engine_clusters import Cluster, Done, ray_cluster
from processes import is_running, wait_until

pytestmark = pytest.mark.slow

Columns = list[list[object]]
Read = Callable[[Path], Columns]
Expect = Callable[..., Columns]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Return the cluster."""
    with ray_cluster(tmp_path_factory.mktemp("ray")) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def done(cluster: Cluster, models: Path, rows: Path) -> Done:
    """Run the driver once."""
    return cluster.run(Path(__file__).with_name("ray_driver.py"), models, rows)


def test_no_archive_is_left(done: Done, cluster: Cluster) -> None:
    """What drivers and workers have written for the moment is gone; an actor that is ended while it opens the model,
    as on the node that is killed, has no time for that."""
    left = list(cluster.temporary.glob("palate-*"))
    assert len(left) <= 2
    assert {file.name for folder in left for file in folder.iterdir()} <= {"model.palate"}


@pytest.mark.parametrize(
    ("answer", "model", "method"),
    [
        ("forest", "forest", "predict_proba"),
        ("boosted", "boosted", "predict_proba"),
        ("telling", "telling", None),
        ("job", "labels", None),
    ],
)
def test_answers_are_those_of_one_process(
    done: Done, expected: Expect, read_answer: Read, answer: str, model: str, method: str | None
) -> None:
    """Text, floats, times, lists and structs are what the model gives here, bit for bit, and each key is there once."""
    assert read_answer(done.out / answer) == expected(model, method)


def test_both_nodes_open_the_model_once_per_actor(done: Done, cluster: Cluster) -> None:
    """Two actors predicted, on two nodes, and each has opened the model once."""
    assert done.report["nodes"] == 2
    actors = {told.pid: (told.machine, told.parent) for told in cluster.told() if told.what == "predicted 500"}
    assert len(actors) == 2
    assert len(set(actors.values())) == 2
    opened = [told.pid for told in cluster.told() if told.what == "opened" and told.pid in actors]
    assert sorted(opened) == sorted(actors)


def test_mistakes_are_told_before_any_task(done: Done) -> None:
    """Columns that are known, keys, trust, places and the pool are judged by the driver."""
    refused = done.report["refused"]
    assert {name: error.partition(":")[0] for name, error in refused.items()} == {
        "missing": "InvalidInput",
        "column": "InvalidInput",
        "text": "InvalidInput",
        "key": "InvalidInput",
        "untrusted": "TrustRequired",
        "nowhere": "ModelNotFound",
        "pool": "InvalidOption",
        "size": "InvalidOption",
    }
    assert "inputs.b: this column is missing" in refused["column"]
    assert "inputs.b: needs double, got text" in refused["text"]


def test_tasks_say_what_does_not_fit(done: Done) -> None:
    """Rows that do not fit end the job with the words of InvalidInput."""
    said = "InvalidInput: The input does not fit the model's signature: inputs.c: holds 1 missing value"
    assert said in done.report["failed"]["gaps"]


def test_a_node_that_dies_loses_no_rows(
    cluster: Cluster, done: Done, models: Path, rows: Path, expected: Expect, read_answer: Read
) -> None:
    """A raylet, with which its actors and objects go, is killed in the middle; all rows are there, once."""
    cluster.log.unlink()
    out = cluster.folder / "killed"
    script = Path(__file__).with_name("slow_driver.py")
    driver = cluster.begin(script, "ray", models / "telling", rows, out, 0.6)

    def raylets() -> set[int]:
        return {told.parent for told in cluster.told() if told.what.startswith("predicted")}

    wait_until(lambda: len(raylets()) >= 2, 90)
    told = len(cluster.told())
    wait_until(lambda: len(cluster.told()) >= told + 4, 60)
    (raylet,) = [pid for pid in raylets() if pid in _descendants(cluster.nodes[1].pid)]
    os.kill(raylet, signal.SIGKILL)
    wait_until(lambda: not is_running(raylet))
    cluster.end(driver)
    assert read_answer(out) == expected("telling")
    predicted = sum(int(told.what.split()[1]) for told in cluster.told() if told.what.startswith("predicted"))
    assert predicted > 6_000, "something was done again"


def _descendants(pid: int) -> set[int]:
    """Return all processes below one."""
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            found |= {child, *_descendants(child)}
    return found

"""Models on a standalone cluster of Spark: a master and two workers, in processes of their own."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from engine_clusters import Cluster, Done, spark_cluster
from processes import is_running, wait_until

pytestmark = pytest.mark.slow

Columns = list[list[object]]
Read = Callable[[Path], Columns]
Expect = Callable[..., Columns]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Return the cluster."""
    with spark_cluster(tmp_path_factory.mktemp("spark")) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def done(cluster: Cluster, models: Path, rows: Path) -> Done:
    """Run the driver once."""
    return cluster.run(Path(__file__).with_name("spark_driver.py"), models, rows)


def test_no_archive_is_left(done: Done, cluster: Cluster) -> None:
    """What drivers and workers have written for the moment is gone."""
    assert not list(cluster.temporary.glob("palate-*"))


def test_executors_need_no_home(done: Done) -> None:
    """Where the user of the executors has no home, they unpack the model in Spark's own folder."""
    assert not (done.out / "nobody").exists()


@pytest.mark.parametrize(
    ("answer", "model", "method"),
    [
        ("labels", "labels", None),
        ("forest", "forest", "predict_proba"),
        ("boosted", "boosted", "predict_proba"),
        ("telling", "telling", None),
        ("isolated", "labels", None),
        ("job", "boosted", None),
        ("typed", "boosted", None),
        ("sql", "labels", None),
    ],
)
def test_answers_are_those_of_one_process(
    done: Done, expected: Expect, read_answer: Read, answer: str, model: str, method: str | None
) -> None:
    """Text, floats, times, lists and structs are what the model gives here, bit for bit, and each key is there once."""
    assert read_answer(done.out / answer) == expected(model, method)


def test_a_function_takes_columns_in_three_ways(done: Done, expected: Expect, read_answer: Read) -> None:
    """A struct in any order, columns in the signature's order, and no columns, are the same."""
    assert read_answer(done.out / "columns") == expected("labels") * 3


def test_a_function_gives_arrays_and_structs(done: Done, expected: Expect, read_answer: Read) -> None:
    """A matrix is an array; several outputs are a struct."""
    scores, told = read_answer(done.out / "nested")
    assert scores == [list(pair) for pair in zip(*expected("boosted", "predict_proba"), strict=True)]
    names = ("label", "at", "parts", "deep")
    assert told == [dict(zip(names, row, strict=True)) for row in zip(*expected("telling"), strict=True)]


def test_times_keep_their_clock_face(done: Done) -> None:
    """Times without a zone stay so in Spark, whatever the session's zone."""
    assert pq.read_schema(next((done.out / "telling").glob("*.parquet"))).field("at").type.tz is None


def test_a_caller_says_the_type(done: Done) -> None:
    """What result_type says is what the column is."""
    assert pq.read_schema(next((done.out / "typed").glob("*.parquet"))).field("prediction").type == pa.float64()


def test_both_executors_open_the_model_once_per_process(done: Done, cluster: Cluster) -> None:
    """The model that tells was opened by Python workers of two executors, and by none of them twice."""
    assert done.report["executors"] == 2
    predicting = {
        told.pid: told.parent for told in cluster.told() if told.what != "opened" and told.parent in _daemons(cluster)
    }
    assert len(set(predicting.values())) >= 2
    opened = [told.pid for told in cluster.told() if told.what == "opened" and told.pid in predicting]
    assert sorted(opened) == sorted(predicting)


def _daemons(cluster: Cluster) -> set[int]:
    """Return the parents of the processes that predicted more than once: Spark's daemons, not the shell of a driver."""
    return {told.parent for told in cluster.told() if told.what.startswith("predicted")} - {os.getpid()}


def test_mistakes_are_told_before_any_job(done: Done) -> None:
    """Columns, keys, trust, places, digests, types and params are judged on the driver, and no job runs for that."""
    refused = done.report["refused"]
    assert {name: error.partition(":")[0] for name, error in refused.items()} == {
        "missing": "InvalidInput",
        "text": "InvalidInput",
        "interval": "InvalidInput",
        "key": "InvalidInput",
        "clash": "InvalidOption",
        "untrusted": "TrustRequired",
        "nowhere": "ModelNotFound",
        "other": "WrongModel",
        "silent": "InvalidOption",
        "type": "InvalidOption",
        "few": "InvalidInput",
        "column": "AnalysisException",
    }
    assert done.report["jobs"] == 0
    assert "inputs.b: this column is missing" in refused["missing"]
    assert "inputs.b: needs double, got text" in refused["text"]
    assert refused["silent"].startswith("InvalidOption: result_type: the signature does not tell")


@pytest.mark.parametrize(
    ("case", "said"), [("gaps", r"inputs\.c: holds 1 missing value"), ("field", r"inputs\.c: this column is missing")]
)
def test_tasks_say_what_does_not_fit(done: Done, case: str, said: str) -> None:
    """Rows that do not fit end the job with the words of InvalidInput."""
    assert re.search(
        rf"InvalidInput: The input does not fit the model's signature: {said}", done.report["failed"][case]
    )


def test_a_job_from_files_to_files(done: Done) -> None:
    """It counts its rows, does not replace what is there, and leaves nothing where it fails."""
    job = done.report["job"]
    assert (job["engine"], job["rows"], job["again"]) == ("spark", 6_000, 6_000)
    assert job["taken"].startswith("OutputExists")
    assert job["gaps"].startswith(
        "EngineFailed: The job on Spark failed, and nothing was written: The input does not fit"
    )
    assert job["left"] == ["gaps", "job"]


def test_executors_and_workers_that_die_lose_no_rows(
    cluster: Cluster, done: Done, models: Path, rows: Path, expected: Expect, read_answer: Read
) -> None:
    """An executor, and then a worker with its executor, are killed in the middle; all rows are there, once."""
    cluster.log.unlink()
    out = cluster.folder / "killed"
    # A task for each file, and so something to be done again.
    small = "--conf spark.sql.files.openCostInBytes=1 --conf spark.sql.files.maxPartitionBytes=20000"
    cluster.settings["PYSPARK_SUBMIT_ARGS"] = f"{small} pyspark-shell"
    script = Path(__file__).with_name("slow_driver.py")
    driver = cluster.begin(script, "spark", models / "telling", rows, out, 0.8)

    def predicting() -> set[int]:
        return {told.parent for told in cluster.told() if told.what == "predicted 500"}

    wait_until(lambda: len(predicting()) >= 2, 90)
    first, _ = predicting()
    executor = _parent(first)
    os.kill(executor, signal.SIGKILL)
    wait_until(lambda: not is_running(executor))
    told = len(cluster.told())
    wait_until(lambda: len(cluster.told()) > told, 60)
    cluster.nodes[1].kill()
    cluster.end(driver)
    assert read_answer(out) == expected("telling")
    assert len([told for told in cluster.told() if told.what == "predicted 500"]) > 12, "something was done again"


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])

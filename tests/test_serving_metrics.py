"""What a server counts: in memory that its workers share, and on the page for Prometheus."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import timeit
from pathlib import Path

import counting_workers
import prometheus_client
import pytest
from counting_workers import EACH, MODEL, WORKERS
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from palate import errors as kernel_errors
from palate.serving import errors
from palate.serving._watching.counters import Carver, Histogram, SharedRows
from palate.serving._watching.exposition import Exposition
from palate.serving._watching.metrics import ErrorKind, Metrics, error_kind
from palate.serving.settings import ProtocolName


def in_workers(what: str):
    """Run a part of ``counting_workers`` in a process of its own, and return what it found."""
    script = str(Path(counting_workers.__file__))
    done = subprocess.run([sys.executable, "-W", "error", script, what], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def samples(metrics: Metrics, accept: bytes = b"") -> dict[tuple[str, ...], float]:
    """Return what the page says, by the sample's name and labels."""
    page, content_type = Exposition(metrics).render(accept)
    parse = parse_openmetrics if b"openmetrics" in content_type else parse_text
    return {
        (sample.name, *(f"{label}={value}" for label, value in sorted(sample.labels.items()))): sample.value
        for family in parse(page.decode())
        for sample in family.samples
    }


def test_workers_that_count_at_once_lose_nothing() -> None:
    """The sum over all workers is exact, and never falls while they count and another process reads."""
    found = in_workers("together")
    assert found == {
        "codes": [0] * WORKERS,
        "rising": True,
        "requests": EACH * WORKERS,
        "seconds": pytest.approx(0.002 * EACH * WORKERS),
        "predicts": EACH * WORKERS,
        "in_flight": EACH * WORKERS,
        "ready": WORKERS,
    }


def test_a_worker_that_takes_over_counts_on() -> None:
    """Of a worker that was killed the counts stay, so that no counter falls; what was current of it is gone."""
    found = in_workers("taken_over")
    assert found["codes"] == [-9, 0]
    assert found["before"] == {"requests": 1, "seconds": 1.0, "predicts": 0, "in_flight": 1, "ready": 1}
    assert found["after"] == {"requests": 2, "seconds": 2.0, "predicts": 0, "in_flight": 1, "ready": 1}


def test_every_process_answers_for_all_workers() -> None:
    """The page has the sum of all workers, whichever renders it, and each running worker's process by its number."""
    pages = in_workers("pages")
    assert len(pages) == WORKERS
    for page in pages:
        assert f'palate_requests_total{{model="iris",protocol="v2",status="200",version="1"}} {WORKERS - 1}.0' in page
    for worker in range(WORKERS - 1):
        assert f'palate_process_resident_memory_bytes{{worker="{worker}"}}' in pages[0]
    assert f'worker="{WORKERS - 1}"' not in pages[0], "it was never started"


def test_what_was_counted_is_on_the_page_in_both_formats() -> None:
    """Each number appears under its name and labels, as the client library's own parsers read them."""
    metrics = Metrics(models=[MODEL, ("iris", "2")], protocols=("mlflow", "v2"))
    worker = metrics.bind()
    model = worker.model("iris", "2")
    model.protocols["mlflow"].done(200, 0.003)
    model.protocols["mlflow"].done(422, 0.003)
    model.stages["decode"].observe(0.00002)
    model.batch_rows.observe(7)
    model.queued_rows.set(12)
    model.ready.set(1)
    model.errors.count("invalid_input")
    worker.server.responses.count(404)
    worker.server.errors.count("unknown_model")
    worker.server.in_flight.add(3)
    worker.server.in_flight.add(-1)
    worker.server.lost_lines.count(4)
    served = ("model=iris", "version=2")
    wanted = {
        ("palate_requests_total", "model=iris", "protocol=mlflow", "status=200", "version=2"): 1,
        ("palate_requests_total", "model=iris", "protocol=mlflow", "status=422", "version=2"): 1,
        ("palate_requests_total", "model=iris", "protocol=v2", "status=200", "version=1"): 0,
        ("palate_requests_total", "model=", "protocol=", "status=404", "version="): 1,
        ("palate_request_seconds_sum", "model=iris", "protocol=mlflow", "version=2"): 0.006,
        ("palate_request_seconds_bucket", "le=0.0025", "model=iris", "protocol=mlflow", "version=2"): 0,
        ("palate_request_seconds_bucket", "le=0.005", "model=iris", "protocol=mlflow", "version=2"): 2,
        ("palate_stage_seconds_bucket", "le=2.5e-05", "model=iris", "stage=decode", "version=2"): 1,
        ("palate_stage_seconds_count", "model=iris", "stage=predict", "version=2"): 0,
        ("palate_batch_rows_sum", *served): 7,
        ("palate_batch_rows_count", *served): 1,
        ("palate_queue_rows", *served): 12,
        ("palate_model_ready", *served): 1,
        ("palate_model_ready", "model=iris", "version=1"): 0,
        ("palate_errors_total", "kind=invalid_input", *served): 1,
        ("palate_errors_total", "kind=timeout", *served): 0,
        ("palate_errors_total", "kind=unknown_model", "model=", "version="): 1,
        ("palate_requests_in_flight",): 2,
        ("palate_workers",): 1,
        ("palate_log_lines_lost_total",): 4,
    }
    for accept in (b"", b"application/openmetrics-text; version=1.0.0,text/plain;q=0.5"):
        found = samples(metrics, accept)
        assert {name: found.get(name) for name in wanted} == pytest.approx(wanted)
        assert ("palate_requests_total", "model=iris", "protocol=v2", "status=500", "version=2") not in found


@pytest.mark.parametrize(
    "accept",
    [b"text/plain; version=x", b"application/json", b"\xff", b";;,=", b"application/openmetrics-text;version=x"],
)
def test_no_accept_header_costs_the_page(accept) -> None:
    """Whatever a client claims to take, it gets a page that can be parsed, with the type that the page has."""
    page, content_type = Exposition(Metrics(models=[MODEL])).render(accept)
    assert content_type.startswith(b"application/openmetrics-text" if b"openmetrics" in accept else b"text/plain")
    assert page.endswith(b"# EOF\n") is (b"openmetrics" in accept)


def test_a_models_name_cannot_break_the_page() -> None:
    """Quotes, backslashes and line ends in a label are escaped, and read back as they were."""
    name = 'a"b\\c\nd} 1\n# TYPE x counter'
    assert ("palate_model_ready", f"model={name}", "version=1") in samples(Metrics(models=[(name, "1")]))


def test_what_is_not_foreseen_is_counted_as_other() -> None:
    """A status or a kind outside of the closed sets raises nothing and is not lost."""
    metrics = Metrics(models=[MODEL], protocols=("v2",))
    model = metrics.bind().model(*MODEL)
    model.protocols["v2"].done(299, 0.1)
    model.errors.count("no such kind")
    found = samples(metrics)
    assert found["palate_requests_total", "model=iris", "protocol=v2", "status=other", "version=1"] == 1
    assert found["palate_errors_total", "kind=other", "model=iris", "version=1"] == 1


def test_every_error_has_its_kind() -> None:
    """No error that is meant for clients is counted as other; what nobody foresaw is."""
    leaves = [getattr(errors, name) for name in errors.__all__ if name != "ServingError"]
    kinds = [error_kind(leaf.__new__(leaf)) for leaf in leaves]
    assert len(set(kinds)) == len(leaves)
    assert set(kinds) <= set(ErrorKind.__args__) - {"other"}
    assert error_kind(kernel_errors.InvalidInput([])) == "invalid_input"
    assert error_kind(KeyError("x")) == error_kind(errors.ServingError()) == "other"
    assert error_kind(type("Slower", (errors.BodyTooSlow,), {})(1.0)) == "too_slow"


@given(st.lists(st.floats(0, 100) | st.sampled_from([0.005, 0.01, 60.0])))
def test_a_histogram_is_prometheus_clients(observed) -> None:
    """The buckets are those that the client library's own histogram has after the same observations."""
    carver = Carver()
    Histogram(carver, (0.005, 0.01, 1.0, 60.0))
    ours = Histogram(Carver(SharedRows(width=carver.used, workers=1).row(0)), (0.005, 0.01, 1.0, 60.0))
    theirs = prometheus_client.Histogram("h", "h", registry=None, buckets=(0.005, 0.01, 1.0, 60.0))
    for value in observed:
        ours.observe(value)
        theirs.observe(value)
    (family,) = theirs.collect()
    assert ours.buckets == [sample.value for sample in family.samples if sample.name == "h_bucket"]
    assert ours.sum == pytest.approx(next(sample.value for sample in family.samples if sample.name == "h_sum"))


def test_models_and_workers_do_not_share_cells() -> None:
    """What is counted of one model in one worker changes nothing else: all cells of all rows are told apart."""
    models = [("a", "1"), ("a", "2"), ("b", "1")]
    metrics = Metrics(models=models, workers=2)
    for number, model in enumerate(models, 1):
        for worker in range(2):
            counted = metrics.bind(worker).model(*model)
            for protocol in ProtocolName.__args__:
                counted.protocols[protocol].done(200, number)
            counted.batch_rows.observe(number)
            counted.errors.count("other")
    for number, model in enumerate(models, 1):
        counted = metrics.total().model(*model)
        assert [of.seconds.sum for of in counted.protocols.values()] == [2 * number] * len(ProtocolName.__args__)
        assert counted.batch_rows.sum == 2 * number
        assert dict(counted.errors.items())["other"] == 2
        assert counted.queued_rows.value == 0
    with pytest.raises(KeyError):
        metrics.total().model("b", "2")


def test_observing_costs_less_than_the_client_librarys() -> None:
    """The hot path does without its locks: a third of the time, of which the bound leaves what noise needs."""
    ours = Metrics(models=[MODEL]).bind().model(*MODEL).stages["predict"].observe
    theirs = prometheus_client.Histogram("h", "h", registry=None, buckets=(0.001, 0.01, 0.1, 1.0)).observe
    ours_took, theirs_took = (
        min(timeit.repeat(lambda observe=observe: observe(0.002), number=2000, repeat=20)) for observe in (ours, theirs)
    )
    assert ours_took < theirs_took


def test_the_page_about_operation_names_every_metric() -> None:
    """Each of our families with its labels, and each kind of error, is documented, and nothing else is."""
    page = (Path(__file__).parent.parent / "docs" / "serving-settings.md").read_text()
    rows = [[cell.strip() for cell in row.split("|")[1:3]] for row in page.splitlines() if row.startswith("| `palate_")]
    documented = {name.strip("`"): set(filter(None, labels.split(", "))) for name, labels in rows}
    metrics = Metrics(models=[MODEL])
    metrics.bind()
    found: dict[str, set[str]] = {}
    for sample, *labels in samples(metrics):
        name = re.sub("_(bucket|sum|count)$", "", re.sub("^palate_process_.*", "palate_process_*", sample))
        found.setdefault(name, set()).update(label.partition("=")[0] for label in labels)
    del found["python_info"]
    assert documented == {name: labels - {"le"} for name, labels in found.items()}
    kinds = page.partition("An error's `kind` is one of ")[2].partition(".")[0]
    assert re.findall(r"`(\w+)`", kinds) == list(ErrorKind.__args__)

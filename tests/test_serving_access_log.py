"""The logs of a server: what a line says, and that nobody who reads, or does not read, can stop the server."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import logging_workers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from logging_workers import EACH, WORKERS

from palate.serving._watching.access_log import AccessLog, IncidentLog
from palate.serving._watching.counters import Carver, Counter, SharedRows
from palate.serving._watching.log_lines import AccessLines, AccessRecord, Served
from palate.serving._watching.log_writer import LogWriter
from palate.serving._watching.request_ids import RequestIds, accept_id

SERVED = Served("iris", "1", "mlflow")
PLAIN = ("id-1", "127.0.0.1", b"POST", b"/invocations", 200, 0.0012345, 512, 34)


@pytest.fixture
def writer() -> Iterator[LogWriter]:
    """A writer that has written all when the test ends."""
    made = LogWriter()
    yield made
    made.close()


@pytest.fixture
def written(writer, tmp_path) -> Callable[..., str]:
    """Log into a file, as a server would, and return what is in it."""

    def log(*records: tuple[Any, ...], **options: Any) -> str:
        path = tmp_path / "log"
        with path.open("wb") as file:
            made = AccessLog(writer, descriptor=file.fileno(), **options)
        asyncio.run(add(made, *records))
        made.flush()
        writer.close()
        return path.read_text()

    return log


async def add(log: AccessLog, *records: tuple[Any, ...]) -> None:
    """Note requests on an event loop."""
    for record in records:
        log.add(*record)


def in_workers(what: str, **options: Any) -> subprocess.Popen[bytes]:
    """Start a part of ``logging_workers`` in a process of its own."""
    script = str(Path(logging_workers.__file__))
    return subprocess.Popen([sys.executable, "-W", "error", script, what], stderr=subprocess.PIPE, **options)


def test_a_line_says_what_was_asked_and_answered(written) -> None:
    """Every fact of a request is a key of one JSON object in one line; what there is none of has no key."""
    plain, whole = written(PLAIN, (*PLAIN[:4], 500, *PLAIN[5:], SERVED, 3, 64, "model_failed", "id-1")).splitlines()
    found = json.loads(plain)
    moment = datetime.strptime(found.pop("ts"), "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - moment) < timedelta(seconds=30)
    assert found == {
        "request_id": "id-1",
        "client": "127.0.0.1",
        "method": "POST",
        "path": "/invocations",
        "status": 200,
        "ms": 1.234,
        "bytes_in": 512,
        "bytes_out": 34,
    }
    assert {k: v for k, v in json.loads(whole).items() if k not in found and k != "ts"} == {
        "model": "iris",
        "version": "1",
        "protocol": "mlflow",
        "rows": 3,
        "batch": 64,
        "error": "model_failed",
        "incident": "id-1",
    }


def test_a_line_for_people_has_the_same_facts(written) -> None:
    """In text, the line has them in a fixed order."""
    plain, whole = written(PLAIN, (*PLAIN, SERVED, 3, 64, "other", "id-1"), form="text").splitlines()
    assert re.fullmatch(r"\S+Z id-1 127\.0\.0\.1 POST /invocations 200 1\.234ms in=512 out=34", plain)
    assert whole.endswith(
        "POST /invocations iris/1 mlflow 200 1.234ms in=512 out=34 rows=3 batch=64 error=other incident=id-1"
    )


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        (b'/a\r\n{"status":200}', '/a\\r\\n{"status":200}'),
        (b"/\x1b[2J\x7f\x00", "/\\x1b[2J\\x7f\\x00"),
        ("/é\u2028".encode(), "/\\xc3\\xa9\\xe2\\x80\\xa8"),
        (b"/" + b"x" * 70_000, "/" + "x" * 511 + "..."),
    ],
)
def test_a_stranger_cannot_write_the_log(written, form, sent, shown) -> None:
    """Line ends, escape sequences and what is not ASCII are escaped, and what is long is cut."""
    text = written(("id", "::1", sent, sent, 400, 0.1, 0, 0), form=form)
    assert text.count("\n") == 1
    assert text.rstrip("\n").isascii()
    assert text.rstrip("\n").isprintable()
    if form == "json":
        assert (json.loads(text)["method"], json.loads(text)["path"]) == (shown, shown)
    else:
        assert f" {shown} {shown} 400 " in text


@given(st.binary(max_size=40), st.binary(max_size=40), st.text(max_size=20))
def test_whatever_is_sent_is_one_line_of_json(method, path, model) -> None:
    """Any bytes in the request line, and any name of a model, leave a line that is JSON and says the same status."""
    record = AccessRecord(1e9, "id", "", method, path, 400, 0.1, 0, 0, Served(model, "1", "v2"), 1, 2, None, None)
    line = AccessLines("json").line(record).encode()
    assert line.count(b"\n") == 1
    assert json.loads(line)["status"] == 400
    assert json.loads(line)["model"] == model
    assert AccessLines("text").line(record).count("\n") == 1


def test_only_errors_or_nothing(written) -> None:
    """The setting decides which requests are noted at all."""
    records = [(*PLAIN[:4], status, *PLAIN[5:]) for status in (200, 302, 400, 404, 503)]
    assert [json.loads(line)["status"] for line in written(*records, logged="errors").splitlines()] == [400, 404, 503]
    assert written(*records, logged="off") == ""


def test_more_paths_than_are_kept_are_still_told_apart(written) -> None:
    """The parts of lines that are kept are bounded in number, and never mixed up."""
    records = [("id", f"10.0.0.{n % 7}", b"GET", b"/%d" % n, 200, 0.1, 0, 0) for n in range(3000)]
    lines = [json.loads(line) for line in written(*records).splitlines()]
    assert [(line["path"], line["client"]) for line in lines] == [(f"/{n}", f"10.0.0.{n % 7}") for n in range(3000)]


def test_a_line_is_written_soon_and_nothing_wakes_an_idle_server(writer, tmp_path) -> None:
    """A lone line is on the disk within half a second, without anything else happening; then no timer is left."""
    path = tmp_path / "log"

    async def run() -> tuple[str, str, int]:
        with path.open("wb") as file:
            log = AccessLog(writer, descriptor=file.fileno())
        log.add(*PLAIN)
        at_once = path.read_text()
        await asyncio.sleep(0.5)
        return at_once, path.read_text(), len(asyncio.get_running_loop()._scheduled)

    at_once, later, timers = asyncio.run(run())
    assert (at_once, later.count("\n"), timers) == ("", 1, 0)


def test_many_lines_do_not_wait_for_the_timer(writer, tmp_path) -> None:
    """Under load the lines go out in groups, however soon they come."""
    path = tmp_path / "log"
    with path.open("wb") as file:
        log = AccessLog(writer, descriptor=file.fileno())
    asyncio.run(add(log, *[PLAIN] * 1100))
    writer.close()
    assert path.read_text().count("\n") == 1024


def test_a_full_disk_costs_lines_and_nothing_else(writer, capfd) -> None:
    """What cannot be written is counted and told once on standard error; the server is not disturbed."""
    with Path("/dev/full").open("wb") as full:
        counter = Counter(Carver(SharedRows(width=1, workers=1).row(0)))
        log = AccessLog(writer, descriptor=full.fileno(), lost=counter)
    for _ in range(3):
        asyncio.run(add(log, *[PLAIN] * 10))
        log.flush()
        writer.close()
    assert log.lost == 30
    assert counter.value == 20, "of the last ones it will hear when the next is written"
    told = capfd.readouterr().err
    assert told.count("\n") == 1
    assert "the access log cannot be written (No space left on device)" in told


def test_a_reader_that_has_gone_costs_lines_and_nothing_else(writer, capfd) -> None:
    """A closed pipe, as `palate serve | head` leaves it, is a disk that is full."""
    read, write = os.pipe()
    log = AccessLog(writer, descriptor=write)
    os.close(write)
    os.close(read)
    asyncio.run(add(log, *[PLAIN] * 1000))
    log.flush()
    writer.close()
    assert log.lost == 1000
    assert capfd.readouterr().err.count("Broken pipe") == 1


def test_a_reader_that_stops_is_not_waited_for(writer, capfd) -> None:
    """With a pipe that nobody reads, noting stays quick, memory stays bounded, and what was dropped is counted."""
    read, write = os.pipe()
    log = AccessLog(writer, descriptor=write)
    os.close(write)
    slowest = 0.0
    for _ in range(75):
        before = time.perf_counter()
        asyncio.run(add(log, *[PLAIN] * 1024))
        slowest = max(slowest, time.perf_counter() - before)
    lost = log.lost
    assert 10_000 < lost < 75 * 1024
    assert slowest < 1
    with os.fdopen(read, "rb") as pipe:
        asyncio.run(add(log, PLAIN))
        lines = 0
        while lines < 75 * 1024 - lost:
            lines += json.loads(pipe.readline())["status"] == 200
    writer.close()
    assert "the access log cannot be written (its reader is too slow)" in capfd.readouterr().err


def test_a_pipe_that_does_not_block_is_waited_for_in_the_writer(writer) -> None:
    """A standard output that its maker made non-blocking loses nothing while it is read."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    log = AccessLog(writer, descriptor=write)
    os.close(write)
    asyncio.run(add(log, *[PLAIN] * 2048))
    with os.fdopen(read, "rb") as pipe:
        assert [json.loads(pipe.readline())["status"] for _ in range(2048)] == [200] * 2048
    assert log.lost == 0


def test_a_closed_standard_output_is_nobodys(writer, tmp_path, capfd) -> None:
    """Without a standard output lines are lost; they do not end up in the file that is opened next."""
    descriptor = os.open(tmp_path / "first", os.O_WRONLY | os.O_CREAT)
    os.close(descriptor)
    log = AccessLog(writer, descriptor=descriptor)
    assert os.open(tmp_path / "second", os.O_WRONLY | os.O_CREAT) == descriptor
    asyncio.run(add(log, PLAIN))
    log.flush()
    writer.close()
    os.close(descriptor)
    assert (log.lost, (tmp_path / "second").read_text()) == (1, "")
    assert "Bad file descriptor" in capfd.readouterr().err


def test_lines_of_several_workers_stay_whole() -> None:
    """Workers that write to one pipe, more than it takes at once, never mix their lines, nor their order."""
    process = in_workers("together", stdout=subprocess.PIPE)
    printed, told = process.communicate(timeout=30)
    assert (process.returncode, told) == (0, b"")
    numbers: dict[str, list[str]] = {}
    for line in printed.splitlines():
        found = json.loads(line)
        numbers.setdefault(found["client"], []).append(found["request_id"])
    assert numbers == {f"w{w}": [f"w{w}-{n:06d}" for n in range(EACH)] for w in range(WORKERS)}


def test_a_worker_that_dies_while_it_writes_stops_no_other() -> None:
    """The lock between the workers is the dead one's no more; at most the line that it was in is broken."""
    process = in_workers("killed", stdout=subprocess.PIPE)
    assert process.stderr is not None
    assert process.stderr.readline() == b"killed\n"
    printed, told = process.communicate(timeout=30)
    assert (process.returncode, told) == (0, b"")
    seconds = [line for line in printed.splitlines()[-9:] if json.loads(line)["client"] == "second"]
    assert len(seconds) == 9, "the tenth may stand behind what the dead worker had begun"


def test_a_line_that_was_cut_off_spoils_no_other(tmp_path) -> None:
    """What the disk took of a line before it was full is ended before the next one, and what was lost is counted."""
    path = tmp_path / "log"
    with path.open("wb") as file:
        process = in_workers("torn", stdout=file)
    _, told = process.communicate(timeout=30)
    *notices, lost = told.decode().splitlines()
    lines = path.read_text().splitlines()
    broken = [line for line in lines if not line.endswith("}")]
    assert process.returncode == 0
    assert len(notices) == len(broken) == 1
    assert int(lost) == 15 - (len(lines) - 1)
    assert [json.loads(line)["client"] for line in lines[-5:]] == ["third"] * 5


def test_an_incident_tells_the_cause(writer, capfd) -> None:
    """The traceback that no client sees is in one JSON object in one line, under the id that the client got."""
    log = IncidentLog(writer)
    try:
        {}["a\nb"]
    except KeyError as exc:
        log.failed("id-7", exc, model="iris", method=None)
    log.tell("worker_died", level="warning", worker=1, exit=-9)
    writer.close()
    failed, died = map(json.loads, capfd.readouterr().err.splitlines())
    assert failed.pop("traceback").startswith("Traceback (most recent call last):\n")
    assert {k: v for k, v in failed.items() if k != "ts"} == {
        "level": "error",
        "event": "model_failed",
        "request_id": "id-7",
        "model": "iris",
        "cause": "KeyError: 'a\\nb'",
    }
    assert {**died, "ts": 0} == {"ts": 0, "level": "warning", "event": "worker_died", "worker": 1, "exit": -9}


def test_an_error_that_cannot_be_written_is_an_incident_nevertheless(writer, capfd) -> None:
    """What a model raises may fail to say what it is; the request is answered, and the log tells that."""

    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    IncidentLog(writer).failed("id-7", Mute())
    writer.close()
    assert json.loads(capfd.readouterr().err)["cause"] == "Mute: it has no text, since its __str__ raised RuntimeError"


def test_an_incident_for_people(writer, capfd) -> None:
    """In text, the traceback follows the line; neither that nor what an error quotes can pass for another line."""
    IncidentLog(writer, form="text").failed("id-7", ValueError("a\nb\x1b \ud800"), model="iris")
    writer.close()
    line, *story = capfd.readouterr().err.splitlines()
    assert line.endswith("Z error model_failed request_id=id-7 model=iris cause=ValueError: a\\nb\\x1b \\ud800")
    assert story == ["  ValueError: a", "  b\\x1b \\ud800"]


def test_a_model_that_always_fails_does_not_fill_the_disk(writer, capfd) -> None:
    """Each incident has its line; of many in one second only the first few have a traceback, and none a long one."""

    def deep(left: int) -> None:
        if left:
            return deep(left - 1)
        raise RuntimeError("\ud800" + "x" * 100_000)

    log = IncidentLog(writer)
    for number in range(50):
        try:
            deep(200)
        except RuntimeError as exc:
            log.failed(str(number), exc)
    writer.close()
    printed = capfd.readouterr().err
    lines = [json.loads(line) for line in printed.splitlines()]
    assert [line["request_id"] for line in lines] == [str(number) for number in range(50)]
    assert 5 <= sum("traceback" in line for line in lines) <= 10, "two seconds at most"
    assert len(printed) < 400_000


def test_request_ids_are_never_given_twice() -> None:
    """Ids of one process and of several differ, and are what a client may send back."""
    several = [RequestIds() for _ in range(4)]
    given_ids = [ids.next() for ids in several for _ in range(5000)]
    assert len(set(given_ids)) == 20_000
    assert all(accept_id(given_id.encode()) == given_id for given_id in given_ids[::500])


@pytest.mark.parametrize(
    ("sent", "taken"),
    [
        (b"a", "a"),
        (b"0af7651916cd43dd8448eb211c80319c", "0af7651916cd43dd8448eb211c80319c"),
        (b"A.b_c-1", "A.b_c-1"),
        (b"x" * 128, "x" * 128),
        (b"x" * 129, None),
        (b"", None),
        (b"a b", None),
        (b"a\n", None),
        (b'a"b', None),
        (b"\xc3\xa9", None),
        ("\u0661".encode(), None),
    ],
)
def test_a_clients_own_id_is_taken_if_it_is_harmless(sent, taken) -> None:
    """Letters, digits, dot, underscore and hyphen, at most 128: anything else gets an id of ours."""
    assert accept_id(sent) == taken

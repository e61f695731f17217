"""``palate predict`` on files: which way rows go, what is told meanwhile, and how it ends."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner, Result
from pyarrow import parquet

from palate.batch import Progress
from palate.cli import main
from palate.cli._progress import ProgressLine, duration_text

Run = Callable[..., Result]
COMMAND = [sys.executable, "-m", "palate"]


@pytest.fixture
def run(rows_model: str) -> Run:
    """Run the command on the model."""

    def runner(*arguments: object, given: str | None = None) -> Result:
        return CliRunner().invoke(main, ["predict", rows_model, "--trust", *map(str, arguments)], input=given)

    return runner


def command(model: str, *arguments: str) -> list[str]:
    """Return the command line of a process of its own."""
    return [*COMMAND, "predict", model, "--trust", "in.parquet", "-o", "o.parquet", "--key", "id", *arguments]


# -- which way ---------------------------------------------------------------------------------------------------------


def test_files_to_a_file_go_row_by_row(run, make_rows) -> None:
    """With keys, and a line of what was done."""
    make_rows(30)
    done = run("in.parquet", "-o", "o.csv", "--key", "id")
    assert done.exit_code == 0, done.output
    assert re.fullmatch(r"30 rows to o\.csv in [0-9.]+ s\n", done.stderr)
    assert pd.read_csv("o.csv").to_dict("list") == {"id": list(range(30)), "prediction": [2 * row for row in range(30)]}


def test_the_report_may_be_json(run, make_rows) -> None:
    """On standard output."""
    make_rows(30, bad=(3,))
    done = run("--input", "in.parquet", "-o", "out", "--on-error", "skip", "--errors", "e.jsonl", "--json")
    told = json.loads(done.stdout)
    assert told.pop("seconds") >= 0
    side = str(Path("e.jsonl").absolute())
    assert told == {"output": "out", "rows": 29, "rejected": 1, "rejects": side, "resumed": 0}
    assert len(Path("e.jsonl").read_text().splitlines()) == 1


def test_standard_input_and_documents_go_as_a_whole(run) -> None:
    """Also pipes and devices, which are no files of rows."""
    document = json.dumps([{"x": 1.0}, {"x": 2.0}])
    assert json.loads(run("--format", "json", given=document).stdout) == {"predictions": [2.0, 4.0]}
    Path("in.json").write_text(document)
    assert json.loads(run("in.json").stdout) == {"predictions": [2.0, 4.0]}
    run("in.json", "-o", "o.csv")
    assert pd.read_csv("o.csv").iloc[:, 0].tolist() == [2.0, 4.0]
    Path("in.csv").write_text("x\n1\n")
    assert run("in.csv", "-o", "/dev/null").exit_code == 0
    assert run("in.csv", "-o", "/dev/null", "--output-format", "csv").exit_code == 0


def test_a_pipe_is_read_as_a_whole(rows_model) -> None:
    """As it was before there were jobs: what a shell makes of <(…)."""
    script = 'exec "$@" <(printf "x\\n1.5\\n") --format csv --output-format csv -o o.csv'
    done = subprocess.run(
        ["bash", "-c", script, "bash", *COMMAND, "predict", rows_model, "--trust"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert Path("o.csv").read_text().splitlines()[-1] == "3.0"


@pytest.mark.parametrize(
    "arguments",
    [
        ["in.parquet", "-o", "o.parquet", "--max-errors", "0", "--on-error", "skip"],
        ["in.parquet", "-o", "o.parquet", "--max-errors", "1", "--on-error", "skip"],
    ],
)
def test_no_row_may_be_bad_if_none_may(run, make_rows, arguments) -> None:
    """0 is a number of rows, and not the default."""
    make_rows(10, bad=(2, 3))
    done = run(*arguments)
    assert done.exit_code == 1
    assert "may be set aside" in done.stderr


def test_every_option_reaches_the_job(run, make_rows) -> None:
    """Formats, delimiter, method, param, batches, workers."""
    Path("in.txt").write_text("id;x\n1;2\n2;3,5\n".replace(",", "."))
    done = run(
        *("in.txt", "--format", "csv", "--delimiter", ";", "-o", "o.txt", "--output-format", "jsonl", "--key", "id"),
        *("--method", "predict", "--param", "mode=double", "--batch-rows", 1, "--workers", 2, "--json"),
    )
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["rows"] == 2
    (part,) = Path("o.txt").iterdir()
    assert [json.loads(line) for line in part.read_text().splitlines()] == [
        {"id": 1, "prediction": 4.0},
        {"id": 2, "prediction": 7.0},
    ]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["in.parquet", "--key", "id"], "row by row"),
        (["-", "--resume"], "row by row"),
        (["in.json", "-o", "o.csv", "--on-error", "skip"], "row by row"),
        (["in.parquet", "-o", "o.json", "--key", "id"], "row by row"),
        (["in.parquet", "in.parquet"], "row by row"),
        (["in.parquet", "-o", "o.parquet", "--batch-rows", "0"], "batch_rows"),
        (["in.parquet", "-o", "o.parquet", "--workers", "0"], "workers"),
        (["in.parquet", "-o", "o.parquet", "--max-errors", "-1"], "max_errors"),
        (["in.parquet", "-o", "o.parquet", "--errors", "e.jsonl"], "errors"),
        (["in.parquet", "-o", "in.parquet"], "is the input"),
        (["in.parquet", "-o", "o.parquet", "--delimiter", "ab"], "one character"),
        (["in.parquet", "-o", "o.parquet", "--method", "nothing"], "nothing"),
        (["in.parquet", "-o", "o.parquet", "--param", "mode"], "no '='"),
        (["in.parquet", "-o", "o.parquet", "--address", "x"], "--engine"),
        (["in.parquet", "--engine", "dask"], "--output"),
        (["in.parquet", "-o", "out", "--engine", "dask", "--workers", "2"], "--workers"),
        (["in.parquet", "-o", "out", "--engine", "dask", "--output-format", "csv"], "--output-format"),
        (["in.parquet", "--errors", "fail"], "row by row"),
        (["in.parquet", "-o", "o.parquet", "--on-error", "mend"], "mend"),
        (["in.parquet", "-o", "o.parquet", "--workers", "many"], "many"),
        (["in.txt", "-o", "o.parquet"], "format"),
    ],
)
def test_wrong_use_has_its_own_exit_code_and_one_line(run, make_rows, arguments, reason) -> None:
    """2, with what to do; nothing is written."""
    make_rows(10)
    Path("in.json").write_text("[]")
    Path("in.txt").write_text("x\n1\n")
    done = run(*arguments, given="")
    assert done.exit_code == 2, done.output
    assert reason in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith(("palate:", "Error:"))]) == 1
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in Path().iterdir()) == ["in.json", "in.parquet", "in.txt"]


@pytest.mark.parametrize("needs", [[], ["--key", "id"]])
def test_without_pyarrow_only_what_needs_it_fails(rows_model, needs) -> None:
    """csv to csv goes as a whole then, as before there were jobs; keys are told what to install."""
    Path("in.csv").write_text("id,x\n1,2\n")
    script = (
        "import sys, importlib.abc, palate.cli\n"
        "class Absent(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'pyarrow':\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "import importlib.util\n"
        "find = importlib.util.find_spec\n"
        "import palate.cli.predict as command\n"
        "command.find_spec = lambda name: None if name == 'pyarrow' else find(name)\n"
        "palate.cli.main()\n"
    )
    arguments = ["predict", rows_model, "--trust", "in.csv", "-o", "o.csv", *needs]
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False)
    if needs:
        assert done.returncode == 2
        assert "palate[parquet]" in done.stderr
    else:
        assert done.returncode == 0, done.stderr
        assert Path("o.csv").read_text().splitlines()[-1] == "4.0"


def test_a_bad_row_ends_with_one_line(run, make_rows) -> None:
    """And the exit code of a check that failed."""
    make_rows(10, bad=(4,))
    done = run("in.parquet", "-o", "o.parquet")
    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("palate: Row 4 of 'in.parquet'")
    assert "--on-error skip" in done.stderr


# -- signals -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_it_soon_and_what_was_done_is_kept(rows_model, make_rows, monkeypatch, number, code) -> None:
    """It says how to go on; nobody waits for threads."""
    make_rows(600, group=10)
    script = "import palate.batch._parts as parts, palate.cli; parts._PART_BYTES = 1; palate.cli.main()"
    line = [sys.executable, "-c", script, *command(rows_model, "--param", "mode=slow")[3:]]
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True) as process:
        stage = Path(".o.parquet.palate-batch")
        end = time.monotonic() + 60
        while not list(stage.glob("0*.json")) and time.monotonic() < end:
            time.sleep(0.05)
        process.send_signal(number)
        began = time.monotonic()
        said = process.communicate(timeout=60)[1]
        assert time.monotonic() - began < 5
    assert process.returncode == code
    assert "--resume goes on with what is done" in said
    assert said.count("\n") == 1
    assert not Path("o.parquet").exists()
    line = [*line[:3], *command(rows_model, "--param", "mode=slow", "--resume", "--json")[3:]]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert told["rows"] == 600
    assert told["resumed"] >= 10
    assert parquet.read_table("o.parquet")["id"].to_pylist() == list(range(600))


# -- progress ----------------------------------------------------------------------------------------------------------


def progress(**given: Any) -> Progress:
    """Return how far something is."""
    numbers = {"rows": 300, "rejected": 0, "done": 50, "resumed": 20, "size": 80, "seconds": 60.0}
    return Progress(**{**numbers, **given})


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, " 62%  300 rows  5 rows/s  1:00 left"),
        ({"rejected": 1234}, " 62%  300 rows  5 rows/s  1:00 left  1,234 bad"),
        ({"done": 20, "rows": 0}, " 25%  0 rows  0 rows/s"),
        ({"done": 80}, "100%  300 rows  5 rows/s  0.0 s left"),
        ({"done": 90}, "100%  300 rows  5 rows/s  0.0 s left"),
        ({"size": 0, "done": 0, "resumed": 0, "seconds": 0.0}, "100%  300 rows  0 rows/s"),
    ],
)
def test_what_is_left_follows_from_what_this_run_has_done(capsys, monkeypatch, given, text) -> None:
    """Parts of earlier runs count for the share, and not for the time."""
    monkeypatch.setattr("palate.cli._progress._PLAIN_SECONDS", 0.0)
    ProgressLine()(progress(**given))
    assert capsys.readouterr().err == f"{text}\n"


def test_progress_of_a_resumed_job_counts_all_bytes_and_its_own_rows(job, make_rows) -> None:
    """From the first word to the last."""
    make_rows(60, bad=(33,))
    with pytest.raises(ValueError, match="Row 33"):
        job("in.parquet", "o.parquet")
    seen: list[Progress] = []
    job("in.parquet", "o.parquet", on_error="skip", resume=True, progress=seen.append)
    last = seen[-1]
    assert (last.rows, last.rejected) == (29, 1)
    assert 0.4 < last.resumed / last.size < 0.6
    assert 0.95 < last.done / last.size <= 1.0
    assert [step.done for step in seen] == sorted(step.done for step in seen)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (59.94, "59.9 s"), (60, "1:00"), (3599.4, "59:59"), (11045, "3:04:05")]
)
def test_durations_read_as_people_say_them(seconds, text) -> None:
    """Seconds, minutes, hours."""
    assert duration_text(seconds) == text


def test_a_terminal_has_one_line_that_changes(rows_model, make_rows) -> None:
    """It is gone in the end; elsewhere there are whole lines, and only now and then."""
    make_rows(400, group=10)
    script = "import palate.batch._parts as parts, palate.cli; parts._PART_BYTES = 1; palate.cli.main()"
    line = [sys.executable, "-c", script, *command(rows_model, "--param", "mode=slow")[3:]]
    main_end, other_end = pty.openpty()
    with subprocess.Popen(line, stderr=other_end) as process:
        os.close(other_end)
        said = b""
        while True:
            try:
                piece = os.read(main_end, 4096)
            except OSError:  # how Linux says that the other end is closed
                break
            if not piece:
                break
            said += piece
    os.close(main_end)
    assert process.returncode == 0
    shown = said.decode().split("\r")
    assert len(re.findall(r"%  [0-9,]+ rows  [0-9,]+ rows/s", said.decode())) > 3
    assert "left" in said.decode()
    assert said.decode().rstrip().count("\n") == 0
    assert shown[-2].startswith("400 rows to o.parquet in ")
    plain = subprocess.run([*line, "--overwrite"], capture_output=True, text=True, check=True).stderr
    assert "\r" not in plain
    assert plain.splitlines()[-1].startswith("400 rows to o.parquet in ")


def test_work_goes_on_when_nobody_looks_any_more(rows_model, make_rows) -> None:
    """A closed standard error costs no rows."""
    make_rows(40, group=10)
    script = (
        "import palate.batch._parts as parts, palate.cli, palate.cli._progress as line\n"
        "parts._PART_BYTES = 1; line._PLAIN_SECONDS = 0.0; palate.cli.main()"
    )
    read_end, write_end = os.pipe()
    os.close(read_end)
    subprocess.run([sys.executable, "-c", script, *command(rows_model)[3:]], stderr=write_end, check=False)
    os.close(write_end)
    assert parquet.read_table("o.parquet").num_rows == 40

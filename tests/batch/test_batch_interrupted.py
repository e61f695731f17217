"""An interrupted job leaves no half output, and goes on to each row's only prediction."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

import palate
from palate.batch import BadRow, JobBusy, JobDiffers, JobUnfinished, OutputExists, WriteFailed, predict_files
from palate.errors import InvalidData, InvalidOption

PROCESS = Path(__file__).with_name("job_process.py")


def run_process(model: str, output: str, kill_at: int = 0, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the job in a process of its own, which is killed at one of the things that it does."""
    command = [sys.executable, PROCESS, model, output, str(kill_at), json.dumps(options)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def content(output: str) -> list[tuple[str, bytes]] | None:
    """Return what is at the output, byte for byte."""
    path = Path(output)
    if path.is_dir():
        return [(file.name, file.read_bytes()) for file in sorted(path.iterdir())]
    return [("", path.read_bytes())] if path.exists() else None


def left_over() -> list[str]:
    """Return the hidden files that are there."""
    return [path.name for path in Path().iterdir() if path.name.startswith(".")]


def check_kills(model: str, output: str, *, old: bool, every: int) -> None:
    """Kill a job at each thing it does; see what is there, and go on with it."""
    make = {"on_error": "skip", "overwrite": old}
    done = run_process(model, "whole" + output, **make)
    assert done.returncode == 0, done.stderr
    want, wanted_side = content("whole" + output), content(f"whole{output}.errors.jsonl")
    count = int(Path("count").read_text())
    assert count > 30
    before = [("part-0.parquet", b"old")] if old and "." not in output else [("", b"old")] if old else None
    for kill_at in range(1, count + 1, every):
        for path in (Path(output), *map(Path, left_over())):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        if old:
            target = Path(output, "part-0.parquet") if "." not in output else Path(output)
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(b"old")
        killed = run_process(model, output, kill_at, **make)
        found = content(output)
        assert killed.returncode == -9 or found == want, (kill_at, killed.stderr)
        assert found in (before, want) or (old and found is None and (Path(left_over()[0]) / "replaced").exists()), (
            kill_at
        )
        try:
            predict_files(
                model, "in.parquet", output, keys=["id"], on_error="skip", resume=True, overwrite=old, trust=True
            )
        except OutputExists:  # it had come to its end
            assert found == want
        assert content(output) == want, kill_at
        assert content(f"{output}.errors.jsonl") == wanted_side, kill_at
    rows = parquet.read_table("whole" + output)["id"].to_pylist()
    assert sorted(rows) == [row for row in range(30) if row not in (5, 23)]


@pytest.mark.parametrize("output", ["o.parquet", "folder"])
def test_a_killed_job_leaves_nothing_or_all(rows_model, make_rows, monkeypatch, output) -> None:
    """Killed at some of the things that it does to its disk; a resumed one ends with the same bytes."""
    monkeypatch.setattr("palate.batch._parts._PART_BYTES", 1)
    make_rows(30, bad=(5, 23))
    check_kills(rows_model, output, old=False, every=13)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("output", "old", "every"),
    [("o.parquet", False, 3), ("o.parquet", True, 3), ("folder", False, 3), ("folder", True, 1)],
)
def test_a_job_may_be_killed_at_any_time(rows_model, make_rows, monkeypatch, output, old, every) -> None:
    """At each single thing that it does, also when it replaces an output, which is there until the new one is."""
    monkeypatch.setattr("palate.batch._parts._PART_BYTES", 1)
    make_rows(30, bad=(5, 23))
    check_kills(rows_model, output, old=old, every=every)


# -- going on ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def interrupted(job, make_rows) -> str:
    """Return the output of a job that has done three of its parts."""
    make_rows(60, bad=(33,))
    with pytest.raises(BadRow):
        job("in.parquet", "o.parquet")
    assert not Path("o.parquet").exists()
    return "o.parquet"


def test_an_unfinished_job_is_not_dropped_without_a_word(job, interrupted) -> None:
    """It says that it is there, and what can be done."""
    with pytest.raises(JobUnfinished, match=r"has finished 3 parts.*resume=True.*overwrite=True"):
        job("in.parquet", interrupted)
    report = job("in.parquet", interrupted, on_error="skip", overwrite=True)
    assert (report.rows, report.resumed) == (59, 0)
    assert left_over() == []


def test_resuming_what_never_began_is_beginning(job, make_rows) -> None:
    """So that the same command can be run until it is done."""
    make_rows(10)
    assert job("in.parquet", "o.parquet", resume=True).resumed == 0


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ({"mode": "missing"}, "params"),
        ({"keys": []}, "keys"),
        ({"input": "again"}, "input"),
        ({"input": "touched"}, "input"),
        ({"input": ["in.parquet", "in2.parquet"]}, "input"),
        ({"format": "parquet"}, "format"),
        ({"model": "other"}, "model"),
    ],
)
def test_another_job_does_not_go_on_with_it(job, interrupted, rows_model, change, differs, tmp_path) -> None:
    """Other data, another model, other params: parts of both would not belong together."""
    source: Any = "in.parquet"
    match change.get("input"):
        case "again":
            parquet.write_table(pa.table({"id": [1], "x": [1.0]}), source)
        case "touched":
            os.utime(source, ns=(1, 1))
        case list(names):
            shutil.copy(source, names[1])
            source = names
    options = {name: value for name, value in change.items() if name != "input"}
    if "model" in options:
        code = tmp_path / "other_model.py"
        code.write_text(PROCESS.with_name("rows_model.py").read_text() + "# another one\n")
        signature = palate.load_model(rows_model, trust=True).signature
        palate.save_model(str(code), tmp_path / "other", signature=signature)
        options["model"] = str(tmp_path / "other")
    with pytest.raises(JobDiffers, match=f"other values of {differs}"):
        job(source, interrupted, resume=True, **options)
    assert not Path(interrupted).exists()


def test_a_stage_of_another_form_is_not_gone_on_with(job, interrupted) -> None:
    """What another release of Palate has left there may mean something else."""
    (stage,) = (Path(name) for name in left_over())
    described = json.loads((stage / "job.json").read_text())
    (stage / "job.json").write_text(json.dumps({**described, "stage format": described["stage format"] + 1}))
    with pytest.raises(JobDiffers, match="stage format"):
        job("in.parquet", interrupted, resume=True)


@pytest.mark.parametrize("damage", ["no job", "no piece", "cut mark", "odd mark"])
def test_what_a_stage_says_is_held_against_what_it_has(job, interrupted, damage) -> None:
    """After a power cut, parts whose files are not all there are done again; without a description nothing is."""
    (stage,) = (Path(name) for name in left_over())
    match damage:
        case "no job":
            (stage / "job.json").unlink()
            with pytest.raises(JobDiffers, match="cannot be read"):
                job("in.parquet", interrupted, on_error="skip", resume=True)
            return
        case "no piece":
            (stage / "00000001.0.arrow").unlink()
        case "cut mark":
            (stage / "00000001.json").write_text('{"rows": 1')
        case _:
            (stage / "00000001.json").write_text('{"rows": 1, "other": 2}')
    report = job("in.parquet", interrupted, on_error="skip", resume=True)
    assert (report.rows, report.resumed) == (59, 20)
    assert parquet.read_table(interrupted)["id"].to_pylist() == [row for row in range(60) if row != 33]


def test_an_old_output_comes_back_when_its_replacement_does_not(job, make_rows) -> None:
    """A job that is killed while it takes the new output's place has the old one moved away."""
    make_rows(10)
    job("in.parquet", "folder")
    before = content("folder")
    stage = Path(".folder.palate-batch")
    stage.mkdir()
    Path("folder").rename(stage / "replaced")
    make_rows(10, bad=(3,))
    with pytest.raises(BadRow):
        job("in.parquet", "folder", overwrite=True)
    assert content("folder") == before


def test_an_input_that_changes_meanwhile_gives_no_output(job, make_rows) -> None:
    """Some of its rows would be of before, and some of after."""
    source = make_rows(30)

    def change(progress: Any) -> None:
        if progress.rows == 20:
            os.utime(source, ns=(1, 1))

    with pytest.raises(InvalidData, match="changed while it was read"):
        job("in.parquet", "o.parquet", progress=change)
    assert not Path("o.parquet").exists()


# -- two at once -------------------------------------------------------------------------------------------------------


def test_two_jobs_do_not_write_one_output(job, make_rows) -> None:
    """The second one says so at once; afterwards its turn comes."""
    make_rows(60)
    begun, go_on = threading.Event(), threading.Event()

    def hold(_: Any) -> None:
        begun.set()
        assert go_on.wait(30)

    first = threading.Thread(target=job, args=("in.parquet", "o.parquet"), kwargs={"progress": hold})
    first.start()
    assert begun.wait(30)
    try:
        for options in ({}, {"resume": True}, {"overwrite": True}):
            with pytest.raises(JobBusy, match=r"Another process is writing 'o\.parquet' now"):
                job("in.parquet", "o.parquet", **options)
    finally:
        go_on.set()
        first.join()
    assert parquet.read_table("o.parquet").num_rows == 60
    assert job("in.parquet", "o.parquet").rows == 60


@pytest.mark.slow
def test_many_at_once_give_one_whole_output(rows_model, make_rows) -> None:
    """Of processes that begin together, some end well and the others are told of them."""
    make_rows(60)
    command = [sys.executable, PROCESS, rows_model, "o.parquet", "0", "{}"]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    errors = [process.communicate()[1] for process in running]
    codes = [process.returncode for process in running]
    assert set(codes) <= {0, 3}, errors
    assert 0 in codes
    assert all(
        "JobBusy" in error or "JobUnfinished" in error for code, error in zip(codes, errors, strict=True) if code
    )
    assert parquet.read_table("o.parquet")["id"].to_pylist() == list(range(60))


# -- disks and folders -------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def mounted(*arguments: str | Path) -> Iterator[None]:
    """Mount something for a while."""
    if subprocess.run(["mount", *map(str, arguments)], capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(arguments[-1])], check=True)


def test_a_full_disk_costs_nothing_that_was_done(job, make_rows) -> None:
    """WriteFailed tells of it; with room again, the job goes on."""
    make_rows(20_000, group=1000)
    Path("small").mkdir()
    with mounted("-t", "tmpfs", "-o", "size=300k", "tmpfs", "small"):
        with pytest.raises(WriteFailed, match=r"No space left.*--resume") as failure:
            job("in.parquet", "small/o.arrow")
        assert failure.value.errno == errno.ENOSPC
        assert [name for name in os.listdir("small") if not name.startswith(".")] == []
        subprocess.run(["mount", "-o", "remount,size=10m", "small"], check=True)
        report = job("in.parquet", "small/o.arrow", resume=True)
        assert report.rows == 20_000
        assert report.resumed > 0
        assert os.listdir("small") == ["o.arrow"]


def test_a_disk_that_fails_keeps_what_was_there(job, make_rows, monkeypatch) -> None:
    """An error of the last sync is an error of the job; the old file stays."""
    make_rows(20)
    Path("o.parquet").write_bytes(b"old")
    sync = os.fsync

    def fail(descriptor: int) -> None:
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith("/output"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(WriteFailed, match="Input/output error"):
        job("in.parquet", "o.parquet")
    assert Path("o.parquet").read_bytes() == b"old"
    monkeypatch.undo()


def test_a_folder_that_may_not_be_written_to_is_refused(job, make_rows, tmp_path) -> None:
    """Before any row is read; nothing can be kept there."""
    source = make_rows(10).absolute()
    place = tmp_path / "locked"
    place.mkdir()
    with mounted("--bind", "-o", "ro", place, place), pytest.raises(WriteFailed, match="Read-only"):
        job(source, place / "o.parquet")


@pytest.mark.parametrize("kind", ["link", "file", "stranger"])
def test_a_stage_that_is_not_ones_own_is_refused(job, make_rows, tmp_path, kind) -> None:
    """Whoever put a link there would have other files removed; whoever owns the folder could put rows into it."""
    make_rows(10)
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "precious").write_text("x")
    stage = Path(".o.parquet.palate-batch")
    match kind:
        case "link":
            stage.symlink_to(victim)
        case "file":
            stage.write_text("x")
        case _:
            stage.mkdir()
            if os.geteuid():
                pytest.skip("only root can give a folder away")
            os.chown(stage, 12345, 12345)
    for options in ({}, {"resume": True}, {"overwrite": True}):
        with pytest.raises(InvalidOption, match="no folder of this user"):
            job("in.parquet", "o.parquet", **options)
    assert (victim / "precious").read_text() == "x"
    assert stage.is_symlink() or stage.exists()


@pytest.mark.parametrize("output", ["link.parquet", "dangling.parquet", "linked"])
def test_a_link_is_replaced_and_what_it_leads_to_is_not(job, make_rows, tmp_path, output) -> None:
    """In a folder that others write to, it could lead anywhere."""
    make_rows(10)
    (tmp_path / "precious").write_text("x")
    (tmp_path / "empty").mkdir()
    leads = {"link.parquet": "precious", "dangling.parquet": "nothing", "linked": "empty"}[output]
    Path(output).symlink_to(tmp_path / leads)
    job("in.parquet", output)
    assert not Path(output).is_symlink()
    assert parquet.read_table(output).num_rows == 10
    assert (tmp_path / "precious").read_text() == "x"
    assert not (tmp_path / "nothing").exists()


def test_what_is_no_file_is_not_replaced(job, make_rows) -> None:
    """A pipe, a device, a folder that is called like a file."""
    make_rows(10)
    os.mkfifo("o.parquet")
    for output in ("o.parquet", "/dev/null", "in.parquet/o.parquet"):
        with pytest.raises((OutputExists, WriteFailed, InvalidOption)):
            job("in.parquet", output)
    Path("d.parquet").mkdir()
    assert job("in.parquet", "d.parquet").rows == 10
    assert [path.name for path in Path("d.parquet").iterdir()] == ["part-00000.parquet"]


def test_names_may_be_as_long_as_the_disk_takes_them(job, make_rows) -> None:
    """255 bytes; the side file of such an output needs a name of its own."""
    make_rows(10, bad=(3,))
    output = "é" * 123 + ".parquet"
    assert len(output.encode()) == 254
    with pytest.raises(InvalidOption, match="too long"):
        job("in.parquet", output, on_error="skip")
    assert job("in.parquet", output, on_error="skip", errors="e.jsonl").rows == 9
    assert sorted(path.name for path in Path().iterdir()) == ["e.jsonl", "in.parquet", output]
    with pytest.raises((WriteFailed, InvalidOption)):
        job("in.parquet", "x" * 256 + ".parquet")


def test_missing_folders_are_made(job, make_rows) -> None:
    """Of the output, as for a model that is saved."""
    make_rows(10)
    job("in.parquet", "a/b/o.parquet")
    assert parquet.read_table("a/b/o.parquet").num_rows == 10


def test_a_job_that_fails_ends_all_of_its_threads(job, make_rows) -> None:
    """Soon, and with those that read ahead."""
    make_rows(600, bad=(33,))
    before = threading.active_count()
    began = time.monotonic()
    with pytest.raises(BadRow):
        job("in.parquet", "o.parquet", batch_rows=1)
    assert time.monotonic() - began < 10
    assert threading.active_count() == before

"""A job on this machine: parts are read, predicted and written side by side, and each is done once."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Literal, TypeAlias

from palate.batch._bad_rows import Reject, find_bad_row, score_good_rows
from palate.batch._parts import Part, plan_parts
from palate.batch._pieces import PieceWriter
from palate.batch._reading_ahead import read_ahead
from palate.batch._scoring import Scorer
from palate.batch._stage import Mark, Stage
from palate.batch.errors import TooManyBadRows
from palate.datasets import Chunk, Dataset

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Job", "OnError", "Progress"]

OnError: TypeAlias = Literal["fail", "skip"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a job is.

    Attributes:
        rows: rows that were predicted by this run of it.
        rejected: bad rows that it set aside.
        done: bytes of the input that are done, by earlier runs too.
        resumed: those of them that earlier runs did.
        size: bytes of the input in all.
        seconds: since this run of it began.
    """

    rows: int
    rejected: int
    done: int
    resumed: int
    size: int
    seconds: float


class _Stopped(Exception):
    """Another worker failed, so this one need not go on."""


@dataclass(frozen=True, slots=True)
class _Step:
    """Something that was read: rows of a part, or, without any, the end of it."""

    part: Part
    chunk: Chunk | None = None
    size: int = 0


class Job:
    """Predicts on the parts of a dataset.

    As many models as there are work at the same time, each on a part of its own; while one predicts, what it gets next
    is read.

    Args:
        scorers: the models, each for one call at a time.
        dataset: the rows.
        stage: where predictions go.
        batch_rows: how many rows a call has at most.
        on_error: what becomes of bad rows.
        max_errors: how many there may be.
        report: is told of the progress, in any thread, one call at a time.
    """

    def __init__(
        self,
        scorers: Sequence[Scorer],
        dataset: Dataset,
        stage: Stage,
        *,
        batch_rows: int,
        on_error: OnError,
        max_errors: int,
        report: Callable[[Progress], object] | None,
    ) -> None:
        self._scorers = scorers
        self._dataset = dataset
        self._stage = stage
        self._batch_rows = batch_rows
        self._on_error = on_error
        self._max_errors = max_errors
        self._report = report
        self._parts = plan_parts(dataset.units())
        self._planning = threading.Lock()
        self._counting = threading.Lock()
        self._stop = threading.Event()
        self._rows = self._done = self._resumed = 0
        self._rejected = stage.rejected
        self._began = time.monotonic()

    def run(self) -> None:
        """Do all parts that are not done yet.

        Raises:
            BadRow, TooManyBadRows: a row is bad, or too many are.
            InvalidData, RemoteFailed: the input cannot be read.
            RowsDiffer, UnsupportedOutput: see ``Scorer.score``.
            OSError: the disk refuses.
        """
        with ThreadPoolExecutor(len(self._scorers), thread_name_prefix="palate-batch") as pool:
            workers = [pool.submit(self._work, scorer) for scorer in self._scorers]
            try:
                for worker in as_completed(workers):
                    worker.result()
            except BaseException:
                self._stop.set()
                raise

    def _work(self, scorer: Scorer) -> None:
        """Do parts until there are no more."""
        with ExitStack() as stack:
            steps = read_ahead(self._read(scorer.columns))
            stack.callback(steps.close)
            for part, own in groupby(steps, attrgetter("part")):
                self._do(part, own, scorer)

    def _read(self, columns: Sequence[str] | None) -> Iterator[_Step]:
        while (part := self._next_part()) is not None:
            for unit in part.units:
                told = 0
                for chunk in unit.read(columns, self._batch_rows):
                    share = unit.size * len(chunk) // max(unit.rows, 1)
                    told += share
                    yield _Step(part, chunk, share)
                    del chunk
                yield _Step(part, None, unit.size - told)

    def _next_part(self) -> Part | None:
        with self._planning:
            for part in self._parts:
                if part.number not in self._stage.done:
                    return part
                self._advance(0, 0, part.size, resumed=part.size)
        return None

    def _do(self, part: Part, steps: Iterator[_Step], scorer: Scorer) -> None:
        writer = PieceWriter(self._stage, part.number)
        rejects: list[Reject] = []
        try:
            for step in steps:
                if self._stop.is_set():
                    raise _Stopped
                before, known = writer.rows, len(rejects)
                if step.chunk is not None:
                    self._predict(step.chunk, scorer, writer, rejects)
                self._advance(writer.rows - before, len(rejects) - known, step.size)
                del step
            writer.close()
        except BaseException:
            writer.abandon()
            raise
        if rejects:
            _write_lines(self._stage, part.number, rejects)
        self._stage.finish(part.number, Mark(rows=writer.rows, rejected=len(rejects), pieces=writer.pieces))

    def _predict(self, chunk: Chunk, scorer: Scorer, writer: PieceWriter, rejects: list[Reject]) -> None:
        if self._on_error == "fail":
            writer.write(_score_or_name(scorer, chunk))
            return
        known = len(rejects)
        for answer in score_good_rows(scorer, chunk):
            if isinstance(answer, Reject):
                rejects.append(answer)
                # At once: each of them may have cost a process.
                self._check_rejected(answer, self._rejected + len(rejects) - known)
            else:
                writer.write(answer)

    def _check_rejected(self, last: Reject, count: int) -> None:
        if count > self._max_errors:
            told = f"row {last.row:,} of '{last.file}': {last.reason}"
            raise TooManyBadRows(count, most=self._max_errors, last=told)

    def _advance(self, rows: int, rejected: int, size: int, *, resumed: int = 0) -> None:
        with self._counting:
            self._rows += rows
            self._rejected += rejected
            self._done += size
            self._resumed += resumed
            if self._report is not None:
                self._report(self.progress)

    @property
    def progress(self) -> Progress:
        """How far it is."""
        return Progress(
            rows=self._rows,
            rejected=self._rejected,
            done=self._done,
            resumed=self._resumed,
            size=self._dataset.size,
            seconds=time.monotonic() - self._began,
        )


def _score_or_name(scorer: Scorer, chunk: Chunk) -> pa.Table:
    """Return predictions. Raises BadRow, which names the first bad row, where it can be told."""
    try:
        return scorer.score_chunk(chunk)
    except Exception as exc:
        found = find_bad_row(scorer, chunk, exc)
        if found is exc:
            raise
        raise found from exc


def _write_lines(stage: Stage, part: int, rejects: Sequence[Reject]) -> None:
    with stage.rejects(part).open("wb") as file:
        file.writelines(reject.to_line() for reject in rejects)
        file.flush()
        os.fsync(file.fileno())

"""A job on this machine: parts are read, predicted and written side by side, and each is done once."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, Literal, TypeAlias

from palate.batch._bad_rows import Reject, find_bad_row, score_good_rows
from palate.batch._parts import Part, plan_parts
from palate.batch._pieces import PieceWriter
from palate.batch._scoring import Scorer
from palate.batch._stage import Mark, Stage
from palate.batch.errors import TooManyBadRows
from palate.datasets import Chunk, Dataset, Unit

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
    """Another part failed, so this one need not go on."""


class Job:
    """Predicts on the parts of a dataset.

    As many models as there are work at the same time, and one part more than that is under way, so that reading and
    writing go on while they do.

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
        self._free: SimpleQueue[Scorer] = SimpleQueue()
        for scorer in scorers:
            self._free.put(scorer)
        self._at_once = len(scorers) + 1
        self._columns = scorers[0].columns
        self._dataset = dataset
        self._stage = stage
        self._batch_rows = batch_rows
        self._on_error = on_error
        self._max_errors = max_errors
        self._report = report
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._rows = self._done = self._resumed = 0
        self._rejected = sum(mark.rejected for mark in stage.done.values())
        self._began = time.monotonic()

    def run(self) -> None:
        """Do all parts that are not done yet.

        Raises:
            BadRow, TooManyBadRows: a row is bad, or too many are.
            InvalidData, RemoteFailed: the input cannot be read.
            RowsDiffer, UnsupportedOutput: see ``Scorer.score``.
            OSError: the disk refuses.
        """
        running: set[Future[None]] = set()
        with ThreadPoolExecutor(self._at_once, thread_name_prefix="palate-batch") as pool:
            try:
                for part in plan_parts(self._dataset.units()):
                    if part.number in self._stage.done:
                        self._skip(part)
                        continue
                    running.add(pool.submit(self._do, part))
                    if len(running) >= self._at_once:
                        running = _settle(running, FIRST_COMPLETED)
                while running:
                    running = _settle(running, FIRST_COMPLETED)
            except BaseException:
                self._stop.set()
                raise

    def _do(self, part: Part) -> None:
        writer = PieceWriter(self._stage, part.number)
        rejects: list[Reject] = []
        try:
            for unit in part.units:
                self._predict_unit(unit, writer, rejects)
            writer.close()
        except BaseException:
            writer.abandon()
            raise
        if rejects:
            _write_lines(self._stage, part.number, rejects)
        self._stage.finish(part.number, Mark(rows=writer.rows, rejected=len(rejects), pieces=writer.pieces))

    def _predict_unit(self, unit: Unit, writer: PieceWriter, rejects: list[Reject]) -> None:
        told = 0
        for chunk in unit.read(self._columns, self._batch_rows):
            if self._stop.is_set():
                raise _Stopped
            written, bad = self._predict(chunk, writer)
            rejects += bad
            share = unit.size * len(chunk) // max(unit.rows, 1)
            told += share
            self._advance(written, len(bad), share)
            if self._rejected > self._max_errors:
                last = rejects[-1]
                told_last = f"row {last.row:,} of '{last.file}': {last.reason}"
                raise TooManyBadRows(self._rejected, most=self._max_errors, last=told_last)
        self._advance(0, 0, unit.size - told)

    def _predict(self, chunk: Chunk, writer: PieceWriter) -> tuple[int, list[Reject]]:
        before, bad = writer.rows, list[Reject]()
        if self._on_error == "skip":
            with self._scorer() as scorer:
                answers = list(score_good_rows(scorer, chunk))
            for answer in answers:
                if isinstance(answer, Reject):
                    bad.append(answer)
                else:
                    writer.write(answer)
        else:
            with self._scorer() as scorer:
                answer = _score_or_name(scorer, chunk)
            writer.write(answer)
        return writer.rows - before, bad

    @contextmanager
    def _scorer(self) -> Iterator[Scorer]:
        scorer = self._free.get()
        try:
            yield scorer
        finally:
            self._free.put(scorer)

    def _skip(self, part: Part) -> None:
        with self._lock:
            self._resumed += part.size
        self._advance(0, 0, part.size)

    def _advance(self, rows: int, rejected: int, size: int) -> None:
        with self._lock:
            self._rows += rows
            self._rejected += rejected
            self._done += size
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


def _settle(running: set[Future[None]], when: str) -> set[Future[None]]:
    """Wait for one part, raise what went wrong with it, and return those that are still under way."""
    done, left = wait(running, return_when=when)
    for part in done:
        part.result()
    return left


def _write_lines(stage: Stage, part: int, rejects: Sequence[Reject]) -> None:
    with stage.rejects(part).open("w", encoding="utf-8") as file:
        file.writelines(reject.to_line() for reject in rejects)
        file.flush()
        os.fsync(file.fileno())

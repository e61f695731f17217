"""``predict_files``: files of rows in, files of predictions out."""

from __future__ import annotations

import difflib
import os
import secrets
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

from palate import IsolatedModel, Isolation, load_model
from palate.batch._bad_rows import Reject
from palate.batch._destinations import Destination, choose_destination, writing
from palate.batch._job import Job, OnError, Progress
from palate.batch._output_types import NAMELESS
from palate.batch._scoring import Scorer
from palate.batch._stage import Stage, open_stage
from palate.batch._writing import check_schema
from palate.batch.errors import JobDiffers
from palate.codecs import DataFormat
from palate.datasets import Dataset, open_dataset, require_pyarrow
from palate.errors import InvalidData, InvalidInput, InvalidOption
from palate.pyfunc import PyFuncModel
from palate.storage import sync_directory

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["BatchReport", "predict_files"]

_BATCH_ROWS: Final = 32_768
_MOST_BAD: Final = 10_000
_LONGEST_NAME: Final = 255  # in bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReport:
    """What a job has done.

    Attributes:
        output: where the predictions are.
        rows: how many there are.
        rejected: how many rows were bad.
        rejects: the file with these rows and their reasons; None where the first one would have ended the job.
        resumed: how many rows had been done by earlier runs.
        seconds: how long this run took.
    """

    output: str
    rows: int
    rejected: int
    rejects: str | None
    resumed: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return asdict(self)


def predict_files(
    model: PyFuncModel | str | os.PathLike[str],
    inputs: str | Path | Sequence[str | Path],
    output: str | Path,
    *,
    method: str | None = None,
    params: Mapping[str, object] | None = None,
    keys: Sequence[str] = (),
    format: DataFormat | None = None,
    delimiter: str | None = None,
    output_format: DataFormat | None = None,
    on_error: OnError = "fail",
    errors: str | Path | None = None,
    max_errors: int = _MOST_BAD,
    resume: bool = False,
    overwrite: bool = False,
    batch_rows: int | None = None,
    workers: int = 1,
    trust: bool = False,
    isolate: bool | Isolation = False,
    signed_by: Any = None,
    progress: Callable[[Progress], object] | None = None,
) -> BatchReport:
    """Predict on files of any size, in memory for a few batches of rows.

    The output has a row for each row of the input, in the same order: the keys, then the predictions, under the names
    that the signature or the model gives them, else as ``prediction``. It appears when all of it is there. What an
    interrupted job has done stays beside it, in a hidden folder, until it is resumed.

    Args:
        model: a model, or the URI of one.
        inputs: paths, patterns, folders or addresses (``s3://``) of parquet, Arrow, csv, JSON lines or npy.
        output: a file whose name ends in one of these formats, which is replaced if it exists; or a folder, which
            gets several files; either may be an address.
        method: another method than the default one.
        params: values for the signature's params.
        keys: columns of the input that the output has too.
        format: of the input, where names do not tell.
        delimiter: of csv.
        output_format: of the output, where its name does not tell; parquet by default.
        on_error: "fail" at the first row that does not fit, or on which the model fails; or "skip" such rows, which are
            written to a side file with their reasons.
        errors: that file; by default the output's name with ``.errors.jsonl`` behind it.
        max_errors: how many rows may be skipped.
        resume: go on with an interrupted job for this output, if there is one.
        overwrite: replace an output folder; drop what an interrupted job has done.
        batch_rows: how many rows the model is given at once, at most; by default 32,768. Where a row's prediction
            may depend on the others of its call, it has to be said.
        workers: how many processes, each with the model, predict at the same time. One is in this process, unless
            *isolate* says otherwise; several are always isolated.
        trust: see ``load_model``, as *isolate* and *signed_by*.
        isolate: run the model in a process of its own.
        signed_by: a key that must have signed it.
        progress: is told how far the job is, after each batch.

    Returns:
        What was done.

    Raises:
        BadRow, TooManyBadRows: a row is bad, or too many are.
        InvalidInput: params do not fit.
        InvalidOption: an argument does not work, or not with this model.
        DataNotFound, InvalidData: there are no files, they cannot be read, or have not the model's columns.
        OutputExists, JobUnfinished, JobDiffers, JobBusy: something else is where the output shall be.
        RowsDiffer, UnsupportedOutput: the predictions are no table, or not one for each row.
        WriteFailed: the disk refuses.
        RemoteFailed: a server that has the input, or gets the output, failed.
        PalateError: the model cannot be opened; see ``load_model``.
    """
    _check_numbers(batch_rows=_BATCH_ROWS if batch_rows is None else batch_rows, workers=workers)
    _check_errors(on_error, errors, max_errors)
    require_pyarrow()
    with writing(os.fspath(output)):
        place = choose_destination(output, output_format)
        place.check_free(overwrite=overwrite)
        side = _side_file(place, errors) if on_error == "skip" else None
    with ExitStack() as stack:
        opened = _open_models(model, workers, stack, trust=trust, isolate=isolate, signed_by=signed_by)
        scorers = [Scorer(one, method=method, params=params, keys=keys) for one in opened]
        first = scorers[0]
        if batch_rows is None:
            first.require_independent()
        schema = first.model.signature.inputs if first.model.signature is not None else None
        dataset = open_dataset(inputs, format=format, delimiter=delimiter, schema=schema, texts=keys)
        _check_fit(first, place, side, dataset)
        described = _describe(first, dataset, params, format, delimiter, batch_rows)
        begun = open_stage(
            place.stage_folder, place.output, described, resume=resume, overwrite=overwrite, restore=place.restore
        )
        with writing(place.output):
            stage = stack.enter_context(begun)
        if side is None and stage.rejected:
            raise JobDiffers(place.output, differs="on_error: bad rows are set aside already")
        resumed = stage.rows
        job = Job(
            scorers,
            dataset,
            stage,
            batch_rows=batch_rows or _BATCH_ROWS,
            on_error=on_error,
            max_errors=max_errors,
            report=progress,
        )
        with writing(place.output):
            job.run()
        _require_unchanged(dataset)
        _publish(place, stage, first, side, texts=dataset.untyped, overwrite=overwrite)
        return _report(place, stage, side, resumed, job.progress.seconds)


def _check_numbers(**numbers: int) -> None:
    for name, value in numbers.items():
        if type(value) is not int or value < 1:
            raise InvalidOption(name, reason=f"it is {value!r:.60}", hint="give a number of at least 1")


def _check_errors(on_error: OnError, errors: str | Path | None, max_errors: int) -> None:
    if on_error not in get_args(OnError):
        told = ", ".join(get_args(OnError))
        raise InvalidOption("on_error", reason=f"it is {on_error!r:.60}", hint=f"give one of {told}")
    if errors is not None and on_error != "skip":
        raise InvalidOption("errors", reason="no rows are set aside", hint="say so with on_error='skip'")
    if type(max_errors) is not int or max_errors < 0:
        raise InvalidOption("max_errors", reason=f"it is {max_errors!r:.60}", hint="give a number of at least 0")


def _open_models(
    model: PyFuncModel | str | os.PathLike[str],
    workers: int,
    stack: ExitStack,
    *,
    trust: bool,
    isolate: bool | Isolation,
    signed_by: Any,
) -> list[PyFuncModel]:
    if isinstance(model, PyFuncModel):
        if workers > 1:
            hint = "give the URI of the model, so that each process can open it"
            raise InvalidOption("workers", reason="the model is open in this process", hint=hint)
        return [model]
    apart = isolate or workers > 1
    opened = [load_model(model, trust=trust, isolate=apart, signed_by=signed_by) for _ in range(workers)]
    for one in opened:
        if isinstance(one, IsolatedModel):
            stack.callback(one.close)
    return opened


def _require_columns(scorer: Scorer, data: str, columns: Sequence[str]) -> None:
    """Raise InvalidOption for a key that is not there, InvalidData for columns of the model that are not."""
    for key in scorer.keys:
        if key not in columns:
            near = difflib.get_close_matches(key, columns, n=3) or list(columns[:20])
            hint = f"there is {', '.join(near)}{' …' if len(near) < len(columns) else ''}"
            raise InvalidOption("keys", reason=f"{data} has no column '{key:.60}'", hint=hint)
    try:
        scorer.check_names(columns)
    except InvalidInput as exc:
        missing = [str(problem.where[-1]) for problem in exc.problems]
        more = f" and {len(missing) - 1} more columns" if len(missing) > 1 else ""
        reason = f"it has no '{missing[0]:.60}'{more} that the model takes; it has {', '.join(columns[:10])}"
        mark = next((mark for mark in ";\t|" if len(columns) == 1 and mark in columns[0]), None)
        hint = "give the file that the model was made for, with a line of names if it is csv"
        if mark is not None:
            told = "tab" if mark == "\t" else mark
            hint = f"if '{told}' stands between its cells, say so: delimiter (CLI: --delimiter '{told}')"
        raise InvalidData(data, reason=reason, hint=hint) from exc


def _check_fit(scorer: Scorer, place: Destination, side: Path | None, dataset: Dataset) -> None:
    """Hold model, input and output against each other before any row is read. Raises InvalidInput, InvalidOption."""
    if scorer.outputs is not None:
        check_schema(place.format, scorer.outputs)
    _refuse_own_input(place, side, dataset)
    if dataset.columns is not None:
        _require_columns(scorer, dataset.description, dataset.columns)


def _refuse_own_input(place: Destination, side: Path | None, dataset: Dataset) -> None:
    for name, _, _ in dataset.fingerprint:
        if place.holds(name):
            raise InvalidOption("output", reason=f"'{name}' is the input", hint="choose another place")
        if side is not None and os.path.realpath(name) == os.path.realpath(side):
            raise InvalidOption("errors", reason=f"'{name}' is the input", hint="choose another file")


def _require_unchanged(dataset: Dataset) -> None:
    if (changed := dataset.find_changed()) is not None:
        hint = "run it again, with overwrite, when nobody writes to it"
        raise InvalidData(changed, reason="it changed while it was read", hint=hint)


def _describe(
    scorer: Scorer,
    dataset: Dataset,
    params: Mapping[str, object] | None,
    format: DataFormat | None,
    delimiter: str | None,
    batch_rows: int | None,
) -> dict[str, Any]:
    """Return what the predictions follow from, in the words of ``JobDiffers``."""
    location = scorer.model.location
    return {
        "model": location.digest or location.uri,
        "method": scorer.method,
        "params": {name: repr(value) for name, value in (params or {}).items()},
        "keys": scorer.keys,
        "input": dataset.fingerprint,
        "format": format,
        "delimiter": delimiter,
        # Where rows may depend on the others of their call, it matters which these are.
        "batch_rows": None if scorer.model.rows_are_independent(scorer.method) else batch_rows,
    }


def _side_file(place: Destination, errors: str | Path | None) -> Path:
    """Return where bad rows go. Raises InvalidOption where no file can be, or where the output will be."""
    side = Path(place.rejects if errors is None else errors).absolute()
    hint = "name a file beside the output"
    if len(os.fsencode(side.name)) > _LONGEST_NAME:
        raise InvalidOption("errors", reason=f"the name '{side.name}' is too long", hint=hint)
    if side.is_dir() or (errors is not None and not side.parent.is_dir()):
        raise InvalidOption("errors", reason=f"'{side}' is a folder, or in none", hint=hint)
    if place.holds(str(side)):
        raise InvalidOption("errors", reason=f"'{side}' is the output, or in it", hint=hint)
    if side.exists() and not _is_side_file(side):
        raise InvalidOption("errors", reason=f"'{side}' is there, and no file of bad rows", hint=hint)
    return side


def _is_side_file(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(Reject.BEGIN)) in (b"", Reject.BEGIN)


def _publish(
    place: Destination, stage: Stage, scorer: Scorer, side: Path | None, *, texts: Collection[str], overwrite: bool
) -> None:
    schema = place.find_schema(stage, _empty_schema(scorer), texts)
    if side is not None:
        with writing(str(side)):
            _gather_rejects(stage, side)
    place.publish(stage, schema, overwrite=overwrite)
    stage.remove()


def _gather_rejects(stage: Stage, side: Path) -> None:
    made = side.with_name(f".palate-errors-{secrets.token_hex(8)}")
    try:
        with made.open("wb") as file:
            for part, mark in stage.parts:
                if mark.rejected:
                    with stage.rejects(part).open("rb") as lines:
                        shutil.copyfileobj(lines, file)
            file.flush()
            os.fsync(file.fileno())
        made.replace(side)
        sync_directory(side.parent)
    finally:
        made.unlink(missing_ok=True)


def _empty_schema(scorer: Scorer) -> pa.Schema:
    """Return the columns of an output without rows, of which nobody knows the types of the keys."""
    import pyarrow as pa

    keys = [pa.field(key, pa.null()) for key in scorer.keys]
    return pa.schema([*keys, *(scorer.outputs or [pa.field(NAMELESS, pa.null())])])


def _report(place: Destination, stage: Stage, side: Path | None, resumed: int, seconds: float) -> BatchReport:
    return BatchReport(
        output=place.output,
        rows=stage.rows,
        rejected=stage.rejected,
        rejects=None if side is None else str(side),
        resumed=resumed,
        seconds=seconds,
    )

"""What can go wrong when files, or the rows of an engine, are predicted; those of a model itself are in palate.errors.

PalateError
├── RowsDiffer (RuntimeError)           the model does not give one prediction for each row
├── BadRow (ValueError)                 a row does not fit, or the model fails on it
├── TooManyBadRows (ValueError)         more rows are bad than may be set aside
├── OutputExists (InvalidOption, FileExistsError)  something is where the output shall be
├── JobUnfinished (InvalidOption, FileExistsError)  an interrupted job for the same output has left what it did
├── JobDiffers (InvalidOption, ValueError)  the job to be resumed was another one
├── JobBusy (RuntimeError)              another process is writing the same output
├── WriteFailed (OSError)               the disk refused
└── EngineFailed (RuntimeError)         a job on Spark, Ray or Dask ended without its result
"""

from __future__ import annotations

from palate.errors import InvalidOption, PalateError

__all__ = [
    "BadRow",
    "EngineFailed",
    "JobBusy",
    "JobDiffers",
    "JobUnfinished",
    "OutputExists",
    "RowsDiffer",
    "TooManyBadRows",
    "WriteFailed",
]

_KEPT = "What was done so far is kept: run the same again with resume=True (CLI: --resume)"


class RowsDiffer(PalateError, RuntimeError):
    """A model does not give one prediction for each row, so none of them can be told whose it is."""

    def __init__(self, method: str, *, given: int, answered: int) -> None:
        self.method, self.given, self.answered = method, given, answered
        super().__init__(
            f"'{method}' gave {answered:,} predictions for {given:,} rows. "
            "Hint: use a method that answers for each row."
        )


class BadRow(PalateError, ValueError):
    """A row does not fit the model's signature, or the model fails on it."""

    def __init__(self, file: str, *, row: int, reason: str, like_others: bool = False) -> None:
        self.file, self.row, self.reason, self.like_others = file, row, reason, like_others
        hint = "mend it; or set such rows aside with on_error='skip' (CLI: --on-error skip)"
        if like_others:
            hint = "other rows are like that, too: see whether the file is the model's, and is read as it was written"
        super().__init__(f"Row {row:,} of '{file}', counted from 0: {reason.rstrip('.')}. Hint: {hint}.")


class TooManyBadRows(PalateError, ValueError):
    """More rows are bad than may be set aside."""

    def __init__(self, count: int, *, most: int, last: str) -> None:
        self.count, self.most = count, most
        super().__init__(
            f"{count:,} rows are bad, and {most:,} may be set aside; the last one: {last.rstrip('.')}. "
            "Hint: see whether the data are the model's; max_errors (CLI: --max-errors) sets how many may be bad."
        )


class OutputExists(InvalidOption, FileExistsError):
    """Something is where the output shall be."""

    def __init__(self, output: str, *, what: str) -> None:
        self.output, self.what = output, what
        hint = "choose another output, or replace it with overwrite=True (CLI: --overwrite)"
        InvalidOption.__init__(self, "output", reason=f"'{output}' is {what}", hint=hint)


class JobUnfinished(InvalidOption, FileExistsError):
    """An earlier job for the same output was interrupted, and what it had done is still there."""

    def __init__(self, output: str, *, parts: int) -> None:
        self.output, self.parts = output, parts
        told = f"an interrupted job for '{output}' has finished {parts:,} part{'' if parts == 1 else 's'}"
        hint = "go on with it with resume=True (CLI: --resume), or drop what it has done and begin anew with "
        InvalidOption.__init__(self, "output", reason=told, hint=f"{hint}overwrite=True (CLI: --overwrite)")


class JobDiffers(InvalidOption, ValueError):
    """A job is to be resumed that was begun with another model, other data or other options."""

    def __init__(self, output: str, *, differs: str) -> None:
        self.output, self.differs = output, differs
        told = f"the interrupted job for '{output}' was begun with other values of {differs}, so its parts and new ones"
        hint = "begin anew with overwrite=True (CLI: --overwrite without --resume)"
        InvalidOption.__init__(self, "resume", reason=f"{told} do not belong together", hint=hint)


class JobBusy(PalateError, RuntimeError):
    """Another process is writing the same output."""

    def __init__(self, output: str) -> None:
        self.output = output
        super().__init__(f"Another process is writing '{output}' now. Hint: wait for it, or choose another output.")


class WriteFailed(PalateError, OSError):
    """The disk refused; no output was written."""

    def __init__(self, output: str, *, cause: OSError) -> None:
        self.output = output
        reason = cause.strerror or str(cause)
        super().__init__(f"'{output}' could not be written: {reason}. {_KEPT}. Hint: see that there is room.")
        self.errno = cause.errno


class EngineFailed(PalateError, RuntimeError):
    """A job on an engine ended without its result; *reason* is what a task, or the engine, said."""

    def __init__(self, engine: str, *, reason: str) -> None:
        self.engine, self.reason = engine, reason
        super().__init__(f"The job on {engine} failed, and nothing was written: {reason}")

"""Errors of a model that runs in a process of its own; ``palate.errors`` offers them."""

from __future__ import annotations

from palate._problems import PalateError

__all__ = ["ModelCrashed", "ModelOutOfMemory", "ModelTimeout", "NativeElsewhere", "NotTransferable"]


class ModelCrashed(PalateError, RuntimeError):
    """The process of an isolated model ended, or could not begin; a later call gets a new one."""

    def __init__(
        self,
        uri: str,
        *,
        task: str,
        ending: str,
        last_words: str = "",
        hint: str = "",
        memory_limit: int | None = None,
    ) -> None:
        self.uri, self.task, self.ending, self.memory_limit = uri, task, ending, memory_limit
        said = f" It said: {last_words}" if last_words else ""
        begins = "see whether it loads without isolate=, or in another environment"
        goes_on = "what it said last is on standard error; the next call gets a new process"
        way_on = hint or (begins if task == "load" else goes_on)
        if memory_limit is not None:
            way_on += f"; some frameworks end so when memory is short, and memory_limit is {memory_limit:,} bytes"
        super().__init__(f"The process of '{uri}' ended while it was to {task}: {ending}.{said} Hint: {way_on}.")


# MemoryError comes first: it makes its instances in a way of its own, which unpickling has to find.
class ModelOutOfMemory(MemoryError, PalateError):
    """An isolated model ran out of memory, which cost this call; the next one gets a new process."""

    def __init__(self, uri: str, *, task: str, limit: int | None) -> None:
        self.uri, self.task, self.limit = uri, task, limit
        bound = "the memory that there is" if limit is None else f"its limit of {limit:,} bytes"
        ways = ["send fewer rows at once"] if task == "predict" else []
        ways += ["raise memory_limit"] if limit is not None else []
        way_on = ", or ".join(ways) or "free memory, or choose a larger machine"
        told = f"'{uri}' ran out of memory while it was to {task}: it needs more than {bound}"
        super().__init__(f"{told}. Hint: {way_on}.")


class ModelTimeout(PalateError, TimeoutError):
    """An isolated model did not answer in time; its process was ended, and the next call gets a new one."""

    def __init__(self, uri: str, *, task: str, seconds: float, memory_limit: int | None = None) -> None:
        self.uri, self.task, self.seconds, self.memory_limit = uri, task, seconds, memory_limit
        way_on = "raise start_timeout" if task == "load" else "send fewer rows at once, or raise timeout"
        if memory_limit is not None:
            way_on += f"; or memory_limit, which is {memory_limit:,} bytes: some libraries wait for memory for ever"
        super().__init__(
            f"The process of '{uri}' was ended: it had {seconds:g} s to {task}, and was not done. Hint: {way_on}."
        )


class NativeElsewhere(PalateError, AttributeError):
    """An isolated model has no native object in this process."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        super().__init__(
            f"'{uri}' is isolated: its native object is in another process. Hint: ask the model by its methods, or "
            "load it without isolate=."
        )


class NotTransferable(PalateError, TypeError):
    """A value is of a type that does not cross to the process of an isolated model, or back."""

    def __init__(self, kind: str, *, where: str = "") -> None:
        self.kind, self.where = kind, where
        place = f" in {where}" if where else ""
        super().__init__(
            f"A value of type {kind}{place} cannot cross between processes. Hint: what can are numbers, texts, dates, "
            "lists, dicts, and the arrays and frames of numpy, scipy, pandas, polars and Arrow; or open the model "
            "without isolate=."
        )

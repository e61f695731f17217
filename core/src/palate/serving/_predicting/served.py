"""A model that is served: ready or not, its requests enforced one by one and predicted together."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any, NamedTuple

from palate import IsolatedModel
from palate.errors import InvalidInput, MethodNotFound, PalateError, PredictionChanged, Problem
from palate.golden import replay_golden
from palate.matrix import Matrix
from palate.pyfunc import PyFuncModel
from palate.serving._contract import ModelContract
from palate.serving._predicting.joining import count_rows, find_join_key
from palate.serving._predicting.lane import Lane, Waiting
from palate.serving._watching.access_log import IncidentLog
from palate.serving._watching.metrics import ModelMetrics
from palate.serving._wire import NO_ROWS, Call
from palate.serving.errors import NotReady
from palate.serving.settings import ServingSettings

__all__ = ["Prepared", "ServedModel"]

# Of so many it takes longer to enforce them than to find out that there is something to enforce.
_MOST_RECORDS = 64


class Prepared(NamedTuple):
    """A call as it goes to the model: what fits the signature, or records of which that is not known yet."""

    key: Hashable | None
    method: str
    data: Any
    params: Mapping[str, Any] | None
    rows: int


class ServedModel:
    """One model of a server.

    Attributes:
        contract: what clients see of it.
        model: the model.
        reason: why it is not ready, or None when it is.
        metrics: where its work is counted; another worker's after a fork.
    """

    def __init__(
        self, contract: ModelContract, model: PyFuncModel, settings: ServingSettings, metrics: ModelMetrics
    ) -> None:
        self.contract = contract
        self.model = model
        self.reason: str | None = "it has not been started"
        self._settings = settings
        self.metrics = metrics
        self._lane: Lane | None = None
        self._retry_after: int | None = None
        together = settings.batching == "auto"
        self._joins = {name: together and model.rows_are_independent(name) for name in model.methods}
        self._takes_records = _are_enforced_row_by_row(model)
        self._matrix_keys = {name: (name, "matrix") if joins else None for name, joins in self._joins.items()}

    @property
    def is_ready(self) -> bool:
        """Whether it takes requests."""
        return self.reason is None

    @property
    def is_stuck(self) -> bool:
        """Whether so many calls never came back that the process should be replaced."""
        return self._lane is not None and self._lane.is_stuck

    def prove(self) -> None:
        """Hold its predictions against the golden ones, if the settings ask for that and there are some.

        Raises:
            PredictionChanged: it does not predict what it predicted when it was saved.
            PalateError: it does not predict at all.
        """
        if self._settings.golden == "require" and (found := replay_golden(self.model)):
            raise PredictionChanged(str(self.model.path), differences=found)

    def start(self, log: IncidentLog, *, on_stuck: Callable[[], None]) -> None:
        """Take requests on the running event loop, if the golden predictions pass; else *log* says why not.

        *on_stuck* is called when so many calls never came back that the process should be replaced.
        """
        waits = isinstance(self.model, IsolatedModel)
        self._lane = Lane(_Caller(self.model), self._settings, self.metrics, on_stuck=on_stuck, waits=waits)
        try:
            self.prove()
        except PalateError as exc:
            log.tell("not_ready", level="error", model=self.contract.name, cause=str(exc))
            self.reason = "its golden predictions failed; the server's log says how"
        else:
            self.reason = None
        self.metrics.ready.set(float(self.is_ready))

    def stop(self, reason: str) -> None:
        """Take no more requests; those that are waiting are still answered, and what comes is for another server."""
        self.reason, self._retry_after = reason, 1
        self.metrics.ready.set(0)

    def close(self) -> None:
        """Let its threads end."""
        if self._lane is not None:
            self._lane.close()

    def prepare(self, call: Call) -> Prepared:
        """Return a call as it goes to the model; may run in any thread.

        Raises:
            InvalidInput: listing every way in which data or params do not fit the signature.
            MethodNotFound: the model does not answer to the method.
        """
        method, data = call.method, call.data
        if data is NO_ROWS:
            self._check_params(call)
            return Prepared(None, method, data, None, 0)
        if type(data) is Matrix and not call.params and self.model.fits(data):
            if method not in self._matrix_keys:
                raise MethodNotFound(method, available=self.model.methods)
            return Prepared(self._matrix_keys[method], method, data, None, len(data.values))
        if type(data) is list and self._takes_records and not call.params:
            key = self._find_record_key(method, data)
            if key is not None:
                return Prepared(key, method, data, None, len(data))
        data, params = self.model.enforce(data, call.params, method=method)
        if type(data) is dict and self._joins[method]:
            _check_lengths(data)
        return Prepared(self._find_key(method, data, params), method, data, params or None, count_rows(data))

    def submit(self, prepared: Prepared, done: Callable[[Any], None]) -> Waiting:
        """Have the model called; *done* gets its answer, or ``Failed``, on the event loop.

        Raises:
            NotReady: it takes no requests.
            QueueFull: too many are waiting.
        """
        if self.reason is not None or self._lane is None:
            raise NotReady(self.contract.name, reason=str(self.reason), retry_after=self._retry_after)
        request = Waiting(*prepared, done)
        if prepared.rows == 0:
            request.resolve(self._no_rows(prepared.method))  # frameworks raise on none
        else:
            self._lane.submit(request)
        return request

    def _check_params(self, call: Call) -> None:
        """Raise InvalidInput for the params of a call without rows."""
        try:
            self.model.enforce(None, call.params, method=call.method)
        except InvalidInput as exc:
            if problems := [problem for problem in exc.problems if problem.where[:1] == ("params",)]:
                raise InvalidInput(problems) from exc

    def _no_rows(self, method: str) -> Any:
        """Return the answer for no rows: none, under the names that the outputs have."""
        outputs = self.contract.signatures[method].outputs if method in self.contract.signatures else None
        if outputs is not None and outputs.is_tensor and outputs.is_named:
            return {str(tensor.name): [] for tensor in outputs}
        return []

    def _find_key(self, method: str, data: Any, params: Mapping[str, Any]) -> Hashable | None:
        shared = find_join_key(data) if self._joins[method] else None
        return None if shared is None else (method, shared, repr(sorted(params.items())))

    def _find_record_key(self, method: str, data: list[Any]) -> Hashable | None:
        """Return the key of a few records, all with the same members: enforcing them together costs as much as one.

        Where a value is missing there is none: what stands for it depends on the column's other values.
        """
        if not 0 < len(data) <= _MOST_RECORDS or not self._joins.get(method):
            return None
        first = data[0]
        if not all(type(record) is dict and record.keys() == first.keys() for record in data):
            return None
        if any(value is None for record in data for value in record.values()):
            return None
        return (method, "records", frozenset(first))


def _check_lengths(arrays: Mapping[str, Any]) -> None:
    """Raise InvalidInput for named inputs of which rows belong together, and one has more than another."""
    lengths = {name: len(array) for name, array in arrays.items() if getattr(array, "ndim", 0)}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {length:,}" for name, length in lengths.items())
        raise InvalidInput([Problem(("inputs",), "wrong_shape", f"the inputs have different numbers of rows ({told})")])


class _Caller:
    """The model as its lane calls it."""

    __slots__ = ("_model",)

    def __init__(self, model: PyFuncModel) -> None:
        self._model = model

    def predict(self, method: str, data: Any, params: Mapping[str, Any] | None) -> Any:
        """Return what a method answers."""
        return self._model.call(method, data, params)

    def check(self, method: str, data: Any) -> Any:
        """Return data as the model takes it. Raises InvalidInput."""
        return self._model.enforce(data, method=method)[0]


def _are_enforced_row_by_row(model: PyFuncModel) -> bool:
    """Tell whether what becomes of a record by the signature is the same with other records around it.

    So it is for columns with names and types of their own; "any" takes what pandas makes of all rows together.
    """
    signature = model.signature
    if signature is None or signature.inputs is None or signature.from_type_hints or model.metadata.type_from_example:
        return False
    columns = signature.inputs.columns
    return bool(columns) and all(isinstance(c.type, str) and isinstance(c.name, str) for c in columns)

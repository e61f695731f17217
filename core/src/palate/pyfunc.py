"""The framework-neutral adapter: every model answers the same ``predict``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from functools import partial
from types import CoroutineType
from typing import TYPE_CHECKING, Any, TypeAlias

from palate._containers.kinds import is_ndarray, is_sparse, is_tabular
from palate._coroutines import in_thread
from palate._enforcement.features import ByFeatureNames
from palate._enforcement.params import enforce_params
from palate._enforcement.plan import ColumnPlan, InputPlan, compile_inputs
from palate._flavor import Flavor
from palate._late import LateModule
from palate._outputs.container import Container, check_container
from palate.errors import InvalidInput, MethodNotFound, Problem
from palate.hookspecs import ModelSource
from palate.locations import Location
from palate.matrix import Matrix
from palate.model_file import ModelFile
from palate.schema import ParamSpec
from palate.signature import Signature

if TYPE_CHECKING:
    from palate._outputs import conversion
    from palate._stored import like_example
else:
    conversion = LateModule("palate._outputs.conversion")
    like_example = LateModule("palate._stored.like_example")

__all__ = ["PyFuncModel", "Reopen", "default_method"]

Reopen: TypeAlias = tuple[Callable[..., "PyFuncModel"], tuple[Any, ...]]
"""What a pickled model consists of: a function that opens its directory, and the arguments of the call."""

_UNDECLARED = Signature()


class PyFuncModel:
    """A loaded model of any framework.

    It is the only caller of a flavor's predict hook, and safe to share between threads as far as the native model is.
    Every method in ``methods`` can be called by name: ``model.predict_proba(data)``. Pickled, it is a reference to its
    directory, from which the receiver loads it anew.

    Attributes:
        signature: what is enforced before every call, or None.
        signatures: the same for each method, with the method's own outputs and params.
        metadata: the parsed MLmodel document.
        methods: what the model answers to.
        default_method: the one of them that ``predict`` calls.
        path: the model directory.
        location: where it was found: its URI, its digest, and the name and version under which it is kept.

    Args:
        flavor: what answers for the native object.
        prepared: what the flavor made of it to predict with, which may be the native object itself.
        source: which model it is, for whoever watches the flavor's hooks.
        reopen: what its pickle consists of; None for a model that is just being saved.
    """

    __slots__ = (
        "_columns",
        "_features",
        "_flavor",
        "_named",
        "_native",
        "_plan",
        "_prepared",
        "_reopen",
        "_source",
        "default_method",
        "location",
        "metadata",
        "methods",
        "path",
        "signature",
        "signatures",
    )

    def __init__(
        self,
        native: object,
        *,
        flavor: Flavor,
        metadata: ModelFile,
        signature: Signature | None,
        location: Location,
        prepared: object,
        source: ModelSource | None = None,
        reopen: Reopen | None = None,
    ) -> None:
        self._native = native
        self._flavor = flavor
        self._prepared = prepared
        self._source = source
        self._reopen = reopen
        self._declare(metadata, signature, location, flavor.methods(native))

    def _declare(
        self, metadata: ModelFile, signature: Signature | None, location: Location, methods: tuple[str, ...]
    ) -> None:
        """Become the model that a document describes and that answers to *methods*, whoever will be asked."""
        self.metadata = metadata
        self.signature = signature
        self.location = location
        self.path = location.path
        self.methods = methods
        self.default_method = default_method(metadata.default_method, self.methods)
        declared = signature or _UNDECLARED
        self.signatures: Mapping[str, Signature] = {
            name: declared.of(name, default=self.default_method) for name in self.methods
        }
        self._named = declared.inputs is not None and declared.inputs.is_named
        plan = compile_inputs(declared.inputs, from_type_hints=declared.from_type_hints)
        self._features = ByFeatureNames(plan, metadata.features) if metadata.features else None
        self._plan: InputPlan = self._features or plan
        if metadata.type_from_example:
            self._plan = like_example.LikeExample(plan, self.path, metadata.saved_input_example_info)
        # Only a plan that asks for columns by name and type takes a Matrix as it is.
        self._columns = plan if self._plan is plan and isinstance(plan, ColumnPlan) else None

    @property
    def native(self) -> object:
        """The framework's own object."""
        return self._native

    @property
    def flavor(self) -> str:
        """The name of the flavor that answers."""
        return self._flavor.name

    def predict(
        self, data: object, params: Mapping[str, object] | None = None, *, output: Container | None = None
    ) -> Any:
        """Return the model's predictions for *data*.

        Args:
            data: what the signature's inputs describe: a DataFrame, an array, a dict of columns, a list of records, …
            params: values for the signature's params; those left out take their defaults.
            output: "pandas", "polars", "arrow" or "numpy" for predictions in that container; by default they are what
                the model returns.

        Raises:
            InvalidInput: listing every way in which data or params do not fit the signature.
            MethodNotFound: the model predicts nothing, such as a clustering that only labels what it was fitted on.
            InvalidOption: *output* is no container.
            UnsupportedOutput: the predictions have no form there.
        """
        return self.call(self.default_method, data, params, output=output)

    def call(
        self, method: str, data: object, params: Mapping[str, object] | None = None, *, output: Container | None = None
    ) -> Any:
        """Call any method that the model answers to; the rest is as for ``predict``."""
        if output is not None:
            check_container(output)
        answer, _held = self._answer(method, data, params)
        return self._finish(answer, method, data, output)

    async def apredict(
        self, data: object, params: Mapping[str, object] | None = None, *, output: Container | None = None
    ) -> Any:
        """Return the model's predictions without blocking the event loop; the rest is as for ``predict``.

        Checks and the model run in a thread; a model whose own ``predict`` is a coroutine is awaited in the loop. When
        the caller is cancelled, a thread that already predicts finishes unheard.
        """
        return await self.acall(self.default_method, data, params, output=output)

    async def acall(
        self, method: str, data: object, params: Mapping[str, object] | None = None, *, output: Container | None = None
    ) -> Any:
        """Call any method without blocking the event loop; the rest is as for ``apredict``."""
        if output is not None:
            check_container(output)
        answer, _held = await in_thread(self._answer, method, data, params)
        if type(answer) is CoroutineType:
            answer = await self._flavor.wait_for(answer)
        return answer if output is None else await in_thread(self._convert, answer, method, data, output)

    def predict_batches(
        self,
        batches: Iterable[object],
        params: Mapping[str, object] | None = None,
        *,
        method: str | None = None,
        output: Container | None = None,
    ) -> Iterator[Any]:
        """Yield the predictions for each of *batches*, one at a time: memory holds one batch, whatever their number.

        Args:
            batches: an iterable of what ``predict`` takes, such as a ``pyarrow.RecordBatchReader``, the chunks of
                ``pandas.read_csv(chunksize=…)``, or a generator. It is asked for the next batch only when the
                predictions for the last one have been taken.
            params: as for ``predict``; checked once, before the first batch.
            method: another method than the default one.
            output: as for ``predict``.

        Raises:
            InvalidInput: *batches* is one table or array and not an iterable of them; or, while iterating, a batch
                does not fit, and its problems stand under ``("batches", number)``, from 0. Earlier ones are done.
                What else is raised has a note with that number.
            MethodNotFound, InvalidOption: see ``call``; raised at once.
        """
        name = self.default_method if method is None else method
        _check_batches(batches)
        given = enforce_params(params, self._signature_of(name).params)
        if output is not None:
            check_container(output)
        return self._predict_each(batches, given, name, output)

    def enforce(
        self, data: object, params: Mapping[str, object] | None = None, *, method: str | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Return data and params as the model takes them, without asking it.

        Both fit then, so that the same call with them converts nothing: a server holds each request against the
        signature by itself, and predicts on several at once.

        Raises:
            InvalidInput: listing every way in which data or params do not fit the signature.
            MethodNotFound: see ``call``.
        """
        checked, given = self._check(self.default_method if method is None else method, data, params)
        return checked, dict(given)

    def fits(self, matrix: Matrix) -> bool:
        """Whether the model takes *matrix* as it is, so that ``enforce`` would find nothing to do."""
        return self._columns is not None and self._columns.fits(matrix)

    def rows_are_independent(self, method: str) -> bool:
        """Whether a row's answer depends on that row alone, up to rounding, so that requests may be joined.

        Raises:
            MethodNotFound: see ``call``.
            FlavorBroken: the flavor failed to say.
        """
        self._signature_of(method)
        return self._flavor.rows_are_independent(self._native, method)

    @property
    def fork_after_load(self) -> bool:
        """Whether the process may fork now that the model is open."""
        return self._flavor.fork_after_load

    def _predict_each(
        self, batches: Iterable[object], params: Mapping[str, Any], method: str, output: Container | None
    ) -> Iterator[Any]:
        number = 0
        for batch in batches:
            try:
                checked = self._enforce(batch)
                # A copy: the model may change a list it is given.
                answer = self._finish(self._ask(method, batch, checked, deepcopy(params)), method, batch, output)
            except InvalidInput as exc:
                raise InvalidInput(_of_batch(number, exc.problems)) from exc
            except Exception as exc:
                exc.add_note(f"while predicting batch {number}, counted from 0")
                raise
            # Nothing of this batch is held while its predictions are looked at and the source makes the next one.
            del batch, checked
            yield answer
            del answer
            number += 1  # noqa: SIM113 - enumerate would hold on to the batch

    def _answer(self, method: str, data: object, params: Mapping[str, object] | None) -> tuple[Any, object]:
        """Return what the model answers, and the data that it was given.

        Whoever runs a coroutine holds the data meanwhile: it may be memory that is safe only as long as it is whole.
        """
        checked, given = self._check(method, data, params)
        return self._ask(method, data, checked, given), checked

    def _check(
        self, method: str, data: object, params: Mapping[str, object] | None
    ) -> tuple[object, Mapping[str, Any]]:
        """Return data and params as the model takes them. Raises InvalidInput with the problems of both."""
        declared = self._signature_of(method).params
        try:
            checked = self._enforce(data)
        except InvalidInput as exc:
            raise InvalidInput([*exc.problems, *_problems_of(params, declared)]) from exc
        return checked, enforce_params(params, declared) if params is not None or declared else {}

    def _enforce(self, data: object) -> object:
        if type(data) is Matrix:
            if self.fits(data):
                return data
            data = data.to_frame()
        return self._plan.enforce(data)

    def _ask(self, method: str, data: object, checked: object, params: Mapping[str, Any]) -> Any:
        if type(checked) is Matrix:
            as_array = self._flavor.takes_array(self._prepared, method, checked.columns)
            checked = checked.values if as_array else checked.to_frame()
        enforced = self._named or (self._features is not None and self._features.takes_names(data))
        return self._flavor.predict(self._prepared, checked, method, params, enforced=enforced, source=self._source)

    def _finish(self, answer: Any, method: str, data: object, output: Container | None) -> Any:
        if type(answer) is CoroutineType:
            answer = self._flavor.run(answer)
        return answer if output is None else self._convert(answer, method, data, output)

    def _signature_of(self, method: str) -> Signature:
        try:
            return self.signatures[method]
        except (KeyError, TypeError):
            raise MethodNotFound(method, available=self.methods) from None

    def _convert(self, answer: object, method: str, data: object, container: Container) -> object:
        schema = self.signatures[method].outputs
        return conversion.convert_output(answer, container, method=method, schema=schema, given=data)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        # Copying and unpickling look attributes up on an object that has no state yet: answer without reading any.
        if name.startswith("_") or name in PyFuncModel.__slots__:
            raise AttributeError(name)
        if name not in self.methods:
            raise MethodNotFound(name, available=self.methods)
        return partial(self.call, name)

    def __copy__(self) -> PyFuncModel:
        return self  # nothing of it changes; a deep copy is loaded anew, with a native object of its own

    def __reduce__(self) -> Reopen:
        if self._reopen is None:
            raise TypeError("this model is just being saved; pickle the one that load_model returns")
        return self._reopen

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.methods})

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.flavor} at '{self.path}', methods: {', '.join(self.methods) or 'none'}>"


def default_method(recorded: str, methods: tuple[str, ...]) -> str:
    """Return what ``predict`` calls: what MLmodel names (MLflow's predict_fn); of a transformer, its transform."""
    if recorded in methods or not methods:
        return recorded
    return methods[0]


def _check_batches(batches: object) -> None:
    """Refuse one table or array, which would be taken apart into its columns or rows."""
    if isinstance(batches, Iterator):
        return  # a reader of record batches is a table too, but one that has to be read
    one = isinstance(batches, str | bytes | Mapping) or is_tabular(batches) or is_ndarray(batches) or is_sparse(batches)
    if one or not isinstance(batches, Iterable):
        message = f"needs an iterable of batches, got one {type(batches).__name__}. Hint: pass [data], or a generator"
        raise InvalidInput([Problem(("batches",), "wrong_type", message)])


def _problems_of(params: Mapping[str, object] | None, declared: tuple[ParamSpec, ...]) -> Sequence[Problem]:
    try:
        enforce_params(params, declared)
    except InvalidInput as exc:
        return exc.problems
    return ()


def _of_batch(number: int, problems: Iterable[Problem]) -> list[Problem]:
    return [Problem(("batches", number, *problem.where), problem.kind, problem.message) for problem in problems]

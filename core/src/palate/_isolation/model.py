"""``load_model(uri, isolate=...)``: the adapter of a model whose native object is in another process."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from palate._containers.kinds import is_dataframe
from palate._isolation.launching import here
from palate._isolation.options import Isolation
from palate._isolation.supervision import Supervisor
from palate._late import LateModule
from palate._opened import OpenedModel, open_model
from palate._opening import reopening
from palate.errors import InvalidOption, NativeElsewhere
from palate.locations import Location, read_one_model
from palate.pyfunc import PyFuncModel, Reopen

if TYPE_CHECKING:
    from palate import _environment_check, environments
    from palate._isolation import frame_wire
    from palate._rebuilding import places
else:
    _environment_check = LateModule("palate._environment_check")
    environments = LateModule("palate.environments")
    frame_wire = LateModule("palate._isolation.frame_wire")
    places = LateModule("palate._rebuilding.places")

__all__ = ["IsolatedModel", "load_isolated"]


class IsolatedModel(PyFuncModel):
    """A model in a process of its own, behind the same adapter.

    What it is given is held against the signature here, and predicted there. A call that ends the process, that takes
    too long or too much memory is an error; the next call finds a new process. Calls of several threads take turns.

    Also a context manager, which ends the process; so do ``close()`` and the end of the program, however that comes.
    """

    __slots__ = ("__weakref__", "_introduction", "_supervisor")

    def __init__(self, opened: OpenedModel, supervisor: Supervisor, reopen: Reopen) -> None:
        self._supervisor = supervisor
        weakref.finalize(self, supervisor.close)
        self._introduction = supervisor.open()
        self._reopen = reopen
        self._declare(opened.model_file, opened.model_file.signature, opened.place, self._introduction.methods)

    @property
    def native(self) -> NoReturn:
        """There is none here: raises NativeElsewhere."""
        raise NativeElsewhere(str(self.path))

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name == "native":  # Python asks here once a property has raised an AttributeError
            raise NativeElsewhere(str(self.path))
        return super().__getattr__(name)

    @property
    def flavor(self) -> str:
        """The name of the flavor that answers."""
        return self._introduction.flavor

    @property
    def fork_after_load(self) -> bool:
        """False: workers that a server forks would each start a process of their own at their first call."""
        return False

    @property
    def pid(self) -> int | None:
        """The number of the model's process; another one after a crash."""
        return self._supervisor.pid

    @property
    def python(self) -> str:
        """The version of the Python that runs the model."""
        return self._introduction.python

    def rows_are_independent(self, method: str) -> bool:
        """Whether a row's answer depends on that row alone, up to rounding, so that requests may be joined.

        Raises:
            MethodNotFound: see ``call``.
            FlavorBroken: the flavor failed to say.
        """
        self._signature_of(method)
        answer = self._introduction.independent[method]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        """End the model's process; the model cannot be asked any more."""
        self._supervisor.close()

    def __enter__(self) -> IsolatedModel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, method: str, data: object, checked: object, params: Mapping[str, Any]) -> Any:
        del data  # the process is given what fits, and finds it so
        if is_dataframe(checked):
            matrix = frame_wire.as_matrix(checked)
            checked = checked if matrix is None else matrix
        return self._supervisor.call(method, checked, params)

    def _finish(self, answer: Any, method: str, data: object, output: Any) -> Any:
        # The process has awaited what had to be awaited.
        return answer if output is None else self._convert(answer, method, data, output)


def load_isolated(
    uri: str | os.PathLike[str] | Location,
    isolation: Isolation,
    *,
    trust: bool,
    flavor: str | None,
    verify: bool,
    options: Mapping[str, Any],
    digest: str | None = None,
    signed_by: tuple[bytes, ...] = (),
) -> IsolatedModel:
    """Open the model at *uri* in a process of its own; see ``palate.load_model``.

    With a *digest* it must be that very model, which is checked before any of its code runs.
    """

    def read(location: Location) -> tuple[OpenedModel, IsolatedModel]:
        opened = open_model(location, verify=verify, document_only=True, signed_by=signed_by)
        opened.require_digest(digest)
        command, foreign = _choose_command(opened, isolation, trust=trust)
        checked = verify or bool(location.keys or signed_by)
        request = {
            "path": str(opened.path),
            "digest": opened.digest,
            "trust": trust,
            "flavor": flavor,
            "verify": checked,
            "options": dict(options),
            "memory_limit": isolation.memory_limit,
        }
        supervisor = Supervisor(opened.uri, command, foreign=foreign, request=request, isolation=isolation)
        place = location.lasting or str(opened.path)
        reopen = (_reopen, (place, opened.digest, signed_by, isolation, trust, flavor, checked, dict(options)))
        return opened, IsolatedModel(opened, supervisor, reopen)

    # The process checks the digest, and the files against it.
    return read_one_model(uri, read, is_whole=lambda result: verify and result[0].digest is not None)[1]


def _choose_command(opened: OpenedModel, isolation: Isolation, *, trust: bool) -> tuple[list[str], bool]:
    """Return the command that starts the model's process, and whether it is another environment's."""
    place = isolation.place
    if place == "here" or (place == "auto" and not _environment_check.find_differences_that_matter(opened)):
        return here(), False
    if place is None:
        given = Path(isolation.environment)
        python = places.interpreter_of(given) if given.is_dir() else given
        if not python.exists():
            hint = "give 'auto', 'here', 'model', or the path of an environment, such as 'palate env create' prints"
            raise InvalidOption("environment", reason=f"there is no {python}", hint=hint)
    else:
        python = environments.create_environment(opened.path, trust=trust, replay=False).python
    return [str(python), "-I", "-m", "palate._isolation.worker"], True


def _reopen(
    path: str,
    digest: str | None,
    signed_by: tuple[bytes, ...],
    isolation: Isolation,
    trust: bool,
    flavor: str | None,
    verify: bool,
    options: Mapping[str, Any],
) -> IsolatedModel:
    """Load a pickled model from the directory that its pickle refers to, isolated as before."""
    with reopening(path):
        return load_isolated(
            path,
            isolation,
            trust=trust,
            flavor=flavor,
            verify=verify,
            options=options,
            digest=digest,
            signed_by=signed_by,
        )

"""What an operator can set, said once: file, environment, command line, documentation and checks are made from it.

The fields are a plain dataclass with a form (``_setting_forms``) in each one's metadata. pydantic would do the same,
but importing it takes three times the time and eight times the memory, and a server promises to be small in both.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from palate import Isolation
from palate.errors import InvalidOption, Problem
from palate.serving._setting_forms import (
    PREFIX,
    Form,
    Setting,
    choice,
    choices,
    count,
    duration,
    names,
    paths,
    size,
    switch,
    text,
)

__all__ = [
    "CONFIG_VARIABLE",
    "PREFIX",
    "SETTINGS",
    "Batching",
    "GoldenCheck",
    "InvalidSettings",
    "LogFormat",
    "LoggedRequests",
    "ProtocolName",
    "ServingSettings",
    "Setting",
    "load_settings",
    "settings_table",
]

CONFIG_VARIABLE = "PALATE_SERVE_CONFIG"

LoggedRequests = Literal["all", "errors", "off"]
Batching = Literal["auto", "off"]
GoldenCheck = Literal["require", "skip"]
LogFormat = Literal["json", "text"]
ProtocolName = Literal["mlflow", "v2", "tf", "sagemaker", "palate"]

_LOCAL = ("localhost", "127.0.0.1", "[::1]")
# What Kubernetes tells every pod of a service that somebody called palate-serve.
_SERVICE_LINK = re.compile(r"SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?")


class InvalidSettings(InvalidOption):
    """Settings do not work; ``problems`` lists all of them, each with the place where it was set."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        hint = "'palate serve --help' lists the settings"
        if len(problems) == 1:
            super().__init__(str(problems[0].where[0]), reason=problems[0].message, hint=hint)
            return
        listed = "".join(f"\n  - {problem}" for problem in problems)
        super().__init__("settings", reason=f"{len(problems)} of them do not work:{listed}", hint=hint)


def _as(form: Form, told: str) -> dict[str, Any]:
    return {"form": form, "help": told}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingSettings:
    """How a server serves. Sizes are in bytes, times in seconds; text such as "16MiB" or "30s" is taken for them too.

    Raises:
        InvalidSettings: a value does not work, or two of them contradict each other.
    """

    host: str = field(
        default="127.0.0.1",
        metadata=_as(text(r"[0-9A-Za-z.:_-]+", "a host name or an address", longest=253), "The address to listen on."),
    )
    port: int = field(default=8080, metadata=_as(count(0, 65535), "The port to listen on; 0 takes any that is free."))
    # Linux has 108 bytes for the path, with the NUL that ends it.
    uds: str | None = field(
        default=None,
        metadata=_as(
            text(r"[^\0]+", "a path", longest=107, optional=True),
            "A Unix socket to listen on, instead of host and port.",
        ),
    )
    allow_public: bool = field(
        default=False,
        metadata=_as(
            switch(),
            "Permit a host that other machines reach. There is no authentication: whoever reaches it can predict.",
        ),
    )
    allowed_hosts: tuple[str, ...] = field(
        default=(),
        metadata=_as(
            names(r"\*|[0-9A-Za-z._-]+|\[[0-9A-Fa-f:.]+\]", "a host as in a Host header, without a port"),
            "Names in Host headers that are answered, besides localhost and the address listened on; * is any. "
            "It keeps web pages from reaching a server on their reader's own machine by a name of theirs.",
        ),
    )
    workers: int = field(
        default=1, metadata=_as(count(1, 256), "Processes that predict; they share the memory of the loaded model.")
    )
    name: str | None = field(
        default=None,
        metadata=_as(
            text(r"[A-Za-z0-9][A-Za-z0-9._-]*", "a name for URLs (letters, digits, . _ -)", longest=128, optional=True),
            "The model's name in URLs; by default that in its store, or of its directory or file.",
        ),
    )
    protocols: tuple[ProtocolName, ...] = field(
        default=get_args(ProtocolName),
        metadata=_as(choices(get_args(ProtocolName)), "The protocols that are answered."),
    )
    trust: bool = field(default=False, metadata=_as(switch(), "Allow code that comes with the model to run."))
    signed_by: tuple[str, ...] = field(
        default=(),
        metadata=_as(
            paths(),
            "Files of public keys (PEM), one of which must have signed the model; otherwise the server does not start.",
        ),
    )
    isolate: bool = field(
        default=False,
        metadata=_as(
            switch(),
            "Run the model in a process of its own, in an environment of its own if it needs one: a crash costs its "
            "own requests only, and a call that takes too long is ended. Each worker has such a process.",
        ),
    )
    memory_limit: int | None = field(
        default=None,
        metadata=_as(
            size(Isolation.LEAST_MEMORY, Isolation.MOST_MEMORY, optional=True),
            "The memory that the process of an isolated model may have for data, its model included. Implies isolate.",
        ),
    )
    golden: GoldenCheck = field(
        default="require",
        metadata=_as(
            choice(get_args(GoldenCheck)),
            "Whether the server is ready only after the model has predicted what was recorded when it was saved.",
        ),
    )
    max_body_bytes: int = field(
        default=16 << 20,
        metadata=_as(size(1 << 10, 1 << 40), "The longest body that is read, counted as sent and as decompressed."),
    )
    max_header_bytes: int = field(
        default=32 << 10,
        metadata=_as(size(1 << 10, 1 << 20), "The longest head of a request: its first line and all headers."),
    )
    max_headers: int = field(default=100, metadata=_as(count(8, 10_000), "The most headers in a request."))
    max_connections: int = field(
        default=1000, metadata=_as(count(1, 1_000_000), "The most connections at once, for each worker.")
    )
    header_timeout: float = field(
        default=10.0, metadata=_as(duration(0.05, 3600), "The time for a request's headers to arrive.")
    )
    body_timeout: float = field(
        default=30.0, metadata=_as(duration(0.05, 86400), "The time for a request's body to arrive.")
    )
    write_timeout: float = field(
        default=30.0, metadata=_as(duration(0.05, 86400), "The time for a client to take its answer.")
    )
    predict_timeout: float = field(
        default=60.0, metadata=_as(duration(0.05, 86400), "The time for the model to answer, waiting included.")
    )
    # A balancer that reuses a connection in the moment the server drops it answers its client 502; so the server has to
    # be the more patient one. nginx and AWS drop idle connections after 60 s, uvicorn's own default is 5 s.
    keep_alive_timeout: float = field(
        default=75.0,
        metadata=_as(
            duration(0, 86400),
            "How long an idle connection is kept. Keep it above that of the load balancer in front.",
        ),
    )
    drain_timeout: float = field(
        default=30.0,
        metadata=_as(
            duration(0, 86400), "The time for requests under way to be answered when the server is told to stop."
        ),
    )
    # Rows are what takes memory; bodies of max_body_bytes have some ten thousands of them.
    max_queue_rows: int = field(
        default=1_000_000,
        metadata=_as(
            count(1, 1_000_000_000),
            "The most rows that wait for a model in each worker; what comes then is answered 503 at once. A single "
            "request of more rows is taken when nothing waits.",
        ),
    )
    # With as many waiting as answered in one call, who is accepted waits about twice as long as without any queue.
    max_queue_requests: int = field(
        default=64,
        metadata=_as(
            count(1, 1_000_000),
            "The most requests that wait for a model in each worker, if the last of them would wait for longer than a "
            "tenth of a second; what comes then is answered 503 at once.",
        ),
    )
    max_batch_rows: int = field(
        default=1024, metadata=_as(count(1, 1_000_000_000), "The most rows of several requests in one call.")
    )
    threads: int = field(
        default=1,
        metadata=_as(
            count(1, 256),
            "The most calls of one model at once, in threads beside the event loop. More than one is for models that "
            "wait (for a network, a disk) and that may be called from several threads.",
        ),
    )
    batching: Batching = field(
        default="auto",
        metadata=_as(
            choice(get_args(Batching)),
            "Whether requests that came while the model was busy go to it in one call, where its flavor permits that.",
        ),
    )
    openapi: bool = field(default=True, metadata=_as(switch(), "Answer /openapi.json."))
    docs: bool = field(
        default=True, metadata=_as(switch(), "Answer /docs, a page made from the OpenAPI document; none without that.")
    )
    metrics: bool = field(default=True, metadata=_as(switch(), "Answer /metrics, for Prometheus."))
    access_log: LoggedRequests = field(
        default="all",
        metadata=_as(choice(get_args(LoggedRequests)), "Which requests are logged, one line each on standard output."),
    )
    log_format: LogFormat = field(
        default="json", metadata=_as(choice(get_args(LogFormat)), "What the lines of the logs look like.")
    )

    def __post_init__(self) -> None:
        given = {setting.name: (setting.name, getattr(self, setting.name)) for setting in SETTINGS}
        read, problems = _read(given)
        problems += _contradictions(read, given)
        if problems:
            raise InvalidSettings(tuple(problems))
        for name, value in read.items():
            object.__setattr__(self, name, value)

    @property
    def isolation(self) -> Isolation | None:
        """How models are isolated; None if they are not."""
        if not self.isolate and self.memory_limit is None:
            return None
        return Isolation(memory_limit=self.memory_limit, timeout=self.predict_timeout)

    @property
    def accepted_hosts(self) -> frozenset[str] | None:
        """The hosts that a Host header may name, in lower case and without a port; None is any."""
        if "*" in self.allowed_hosts:
            return None
        bound = f"[{self.host}]" if ":" in self.host else self.host
        return frozenset(host.lower() for host in (*_LOCAL, bound, *self.allowed_hosts))


SETTINGS: tuple[Setting, ...] = tuple(
    Setting(name=made.name, default=made.default, form=made.metadata["form"], help=made.metadata["help"])
    for made in fields(ServingSettings)
)
_NAMED = {setting.name: setting for setting in SETTINGS}


def load_settings(file: Path | None, environ: Mapping[str, str], flags: Mapping[str, object]) -> ServingSettings:
    """Return the settings of a server: flags before the environment, that before the file, that before the defaults.

    Args:
        file: a TOML file with a table ``[serve]``; None is the one that ``PALATE_SERVE_CONFIG`` names, if it names one.
        environ: the environment; of it, what begins with ``PALATE_SERVE_``.
        flags: by the setting's name; None and () are flags that were not given.

    Raises:
        InvalidSettings: with everything that is wrong in any of the three.
    """
    if file is None and environ.get(CONFIG_VARIABLE):
        file = Path(environ[CONFIG_VARIABLE])
    given: dict[str, tuple[str, object]] = {}
    problems: list[Problem] = []
    for source in (_file_values(file) if file else (), _variables(environ), _flags(flags)):
        for found in source:
            if isinstance(found, Problem):
                problems.append(found)
            else:
                name, place, value = found
                given[name] = (place, value)
    read, unread = _read(given)
    problems += unread + _contradictions(read, given)
    if problems:
        raise InvalidSettings(tuple(problems))
    return ServingSettings(**read)


def settings_table() -> str:
    """Return the settings as a table in Markdown, for the documentation."""
    rows = [setting.row for setting in SETTINGS]
    return "\n".join(["| setting | default | value | what it does |", "|---|---|---|---|", *rows]) + "\n"


_Found = Problem | tuple[str, str, object]


def _file_values(file: Path) -> Iterator[_Found]:
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as exc:
        yield Problem((str(file),), "missing", f"it cannot be read ({exc.strerror})")
        return
    except ValueError as exc:
        yield Problem((str(file),), "wrong_value", f"it is not TOML ({exc})")
        return
    table = document.get("serve", {})
    for key in document.keys() - {"serve"} if isinstance(table, dict) else ():
        yield Problem((f"{file}: {key}",), "extra", "only the table [serve] is known here")
    if not isinstance(table, dict):
        yield Problem((f"{file}: serve",), "wrong_type", "it is not a table; write [serve] above the settings")
        return
    for key, value in table.items():
        place = f"{file}: [serve] {key}"
        yield (key, place, value) if key in _NAMED else _unknown(place, key, {name: name for name in _NAMED})


def _variables(environ: Mapping[str, str]) -> Iterator[_Found]:
    for variable in sorted(environ):
        if not variable.startswith(PREFIX) or variable == CONFIG_VARIABLE or _is_service_link(variable, environ):
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name in _NAMED and variable == _NAMED[name].variable:
            yield name, variable, environ[variable]
        else:
            spelled = {setting.name: setting.variable for setting in SETTINGS}
            yield _unknown(variable, name, {**spelled, "config": CONFIG_VARIABLE})


def _is_service_link(variable: str, environ: Mapping[str, str]) -> bool:
    if f"{PREFIX}SERVICE_HOST" not in environ:
        return False
    rest = variable.removeprefix(PREFIX)
    return bool(_SERVICE_LINK.fullmatch(rest)) or (rest == "PORT" and "://" in environ[variable])


def _flags(flags: Mapping[str, object]) -> Iterator[_Found]:
    for name, value in flags.items():
        if value is not None and value != ():
            place = _NAMED[name].flag if name in _NAMED else name
            yield (name, place, value) if name in _NAMED else _unknown(name, name, {name: name for name in _NAMED})


def _unknown(place: str, name: str, spelled: Mapping[str, str]) -> Problem:
    close = difflib.get_close_matches(name, spelled, n=1, cutoff=0.7)
    meant = f"; {spelled[close[0]]} may be meant" if close else ""
    return Problem((place,), "extra", f"there is no such setting{meant}")


def _read(given: Mapping[str, tuple[str, object]]) -> tuple[dict[str, Any], list[Problem]]:
    """Return the values that can be read, and what is wrong with the others."""
    read: dict[str, Any] = {}
    problems = []
    for name, (place, value) in given.items():
        try:
            read[name] = _NAMED[name].form.read(value)
        except ValueError as exc:
            problems.append(Problem((place,), "wrong_value", str(exc)))
    return read, problems


def _contradictions(read: Mapping[str, Any], given: Mapping[str, tuple[str, object]]) -> list[Problem]:
    """Return what is wrong of values that can be read, but not together."""
    settled = {setting.name: read.get(setting.name, setting.default) for setting in SETTINGS}
    if settled["uds"] or settled["allow_public"] or _is_loopback(settled["host"]):
        return []
    told = f"other machines reach {settled['host']}, and there is no authentication"
    told += "; if they may, set allow_public (--allow-public) too"
    return [Problem((given["host"][0],), "wrong_value", told)]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        # Which address a name has is known only once it is bound; of this one name RFC 6761 says it.
        return host.lower() == "localhost"

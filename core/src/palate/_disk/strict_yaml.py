"""YAML as model directories use it: plain data, read strictly and written in one way.

The reader walks libyaml's events itself. PyYAML's safe loader would build alias bombs, keep the last of two equal keys,
overflow the stack on deep nesting, and turn ``3.10`` into 3.1, ``no`` into False and ``12:30`` into 750.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final, NoReturn

from palate.errors import InvalidModelFile, Problem, ProblemKind

__all__ = ["MAX_BYTES", "find_unplain", "read_yaml", "write_yaml"]

# The JSON texts of a signature with 60,000 gene columns take 4 MB, Palate's facts about those columns about as much.
# Nothing else in an honest file grows with the data, so nothing else of a hostile one may be large.
MAX_BYTES: Final = 32 * 2**20
_MAX_PALATE: Final = 8 * 2**20
_MAX_REST: Final = 2**20
_MAX_DEPTH: Final = 64
_MAX_NODES: Final = 500_000
_MAX_INT_DIGITS: Final = 40
_MAX_FLOAT_CHARS: Final = 64

# Each pattern takes no more than PyYAML's own resolver does, so that what stock MLflow reads as text is text here too.
_INT: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT: Final = re.compile(r"[-+]?[0-9]+\.[0-9]*(?:[eE][-+][0-9]+)?|\.[0-9]+(?:[eE][-+][0-9]+)?")
_WORDS: Final[dict[str, object]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}

Where = tuple[str | int, ...]
_NO_KEY: Final = object()
_SIGNATURE_PARTS: Final = frozenset({("signature", part) for part in ("inputs", "outputs", "params")})
_NO_ALIASES: Final = (
    "anchors and aliases (& and *) are refused, because a small file can mean a huge one with them. MLflow writes them "
    "where one dict or list is given in two places: save again with copies, or write out what they mean"
)
_NOT_TEXT: Final = "holds a character that is not text (NUL or half a surrogate pair)"


class _Open:
    """A collection whose end has not come yet."""

    __slots__ = ("key", "value", "where")

    def __init__(self, value: dict[Any, Any] | list[Any], where: Where) -> None:
        self.value = value
        self.where = where
        self.key: object = _NO_KEY

    @property
    def awaits_key(self) -> bool:
        return self.key is _NO_KEY and isinstance(self.value, dict)

    def place(self) -> Where:
        """Return where the value that comes next stands."""
        if isinstance(self.value, list):
            return (*self.where, len(self.value))
        return (*self.where, self.key if isinstance(self.key, str | int) else str(self.key))

    def add(self, value: object) -> None:
        if isinstance(self.value, list):
            self.value.append(value)
        else:
            self.value[self.key] = value
            self.key = _NO_KEY


class _Composer:
    """Builds plain data from parser events, refusing what plain data does not need."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.open: list[_Open] = []
        self.root: object = _NO_KEY
        self.nodes = 0
        self.in_signature = self.in_palate = 0  # characters taken by the two parts that may be large
        self.palate_start: int | None = None

    def refuse(
        self, message: str, event: Any = None, *, where: Where = (), kind: ProblemKind = "wrong_value"
    ) -> NoReturn:
        line = f"line {event.start_mark.line + 1}: " if event is not None else ""
        raise InvalidModelFile([Problem(where, kind, line + message)], source=self.source)

    def take(self, event: Any) -> None:
        """Take one event into account."""
        self.weigh(event)
        match type(event).__name__:
            case "ScalarEvent":
                self.scalar(event)
            case "MappingStartEvent":
                self.start(event, {})
            case "SequenceStartEvent":
                self.start(event, [])
            case "MappingEndEvent" | "SequenceEndEvent":
                self.end(event)
            case "AliasEvent":
                self.refuse(_NO_ALIASES, event)
            case "DocumentStartEvent":
                self.document(event)

    def weigh(self, event: Any) -> None:
        position = event.start_mark.index
        pending = 0 if self.palate_start is None else position - self.palate_start
        if self.in_palate + pending > _MAX_PALATE:
            self.refuse(f"is larger than {_MAX_PALATE >> 20} MiB", event, where=("palate",))
        if position - self.in_signature - self.in_palate - pending > _MAX_REST:
            self.refuse(f"more than {_MAX_REST >> 20} MiB stand outside the signature", event)

    def document(self, event: Any) -> None:
        if self.root is not _NO_KEY:
            self.refuse("a second document starts; there must be one", event)
        if event.version or event.tags:
            self.refuse("directives (%YAML, %TAG) are not used in model files", event)

    def check_node(self, event: Any) -> None:
        self.nodes += 1
        if self.nodes > _MAX_NODES:
            self.refuse(f"holds more than {_MAX_NODES} values", event)
        if event.anchor is not None:
            self.refuse(_NO_ALIASES, event)
        if event.tag is not None:
            self.refuse(f"tag {event.tag!r:.60}: explicit tags are not used in model files", event)

    def start(self, event: Any, value: dict[Any, Any] | list[Any]) -> None:
        self.check_node(event)
        if self.open and self.open[-1].awaits_key:
            self.refuse("a key must be a single value, not a list or a mapping", event, where=self.open[-1].where)
        if len(self.open) >= _MAX_DEPTH:
            self.refuse(f"is nested deeper than {_MAX_DEPTH}", event)
        where = self.open[-1].place() if self.open else ()
        if where == ("palate",):
            self.palate_start = event.start_mark.index
        self.open.append(_Open(value, where))

    def end(self, event: Any) -> None:
        done = self.open.pop()
        if done.where == ("palate",) and self.palate_start is not None:
            self.in_palate += event.end_mark.index - self.palate_start
            self.palate_start = None
        self.add(done.value)

    def scalar(self, event: Any) -> None:
        self.check_node(event)
        if self.open and self.open[-1].awaits_key:
            self.key(event, self.open[-1])
            return
        where = self.open[-1].place() if self.open else ()
        if where in _SIGNATURE_PARTS:
            self.in_signature += event.end_mark.index - event.start_mark.index
        self.add(self.resolve(event, where))

    def key(self, event: Any, mapping: _Open) -> None:
        if event.value == "<<" and not event.style:
            self.refuse("merge keys (<<) are not used in model files", event, where=mapping.where)
        key = self.resolve(event, (*mapping.where, "a key"))
        if isinstance(key, float) and math.isnan(key):
            self.refuse("not-a-number cannot be a key", event, where=mapping.where)
        if key in mapping.value:
            self.refuse(f"the key {key!r:.60} stands there twice", event, where=mapping.where)
        mapping.key = key

    def resolve(self, event: Any, where: Where) -> object:
        """Return the value that a scalar stands for; quoted ones are text."""
        text: str = event.value
        if not _is_text(text):
            self.refuse(_NOT_TEXT, event, where=where)
        if event.style:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _names_version(where):
            return text
        if _INT.fullmatch(text):
            if len(text.lstrip("+-")) > _MAX_INT_DIGITS:
                self.refuse(f"is an integer of more than {_MAX_INT_DIGITS} digits", event, where=where)
            return int(text)
        if _FLOAT.fullmatch(text):
            if len(text) > _MAX_FLOAT_CHARS or math.isinf(value := float(text)):
                self.refuse("is a number that a float cannot hold", event, where=where)
            return value
        return text

    def add(self, value: object) -> None:
        if self.open:
            self.open[-1].add(value)
        else:
            self.root = value


def _is_text(text: str) -> bool:
    if text.isascii():
        return "\0" not in text
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def _names_version(where: Where) -> bool:
    """Whether a number there is a version, which is text: ``sklearn_version: 1.10`` is not 1.1.

    Only Palate's and MLflow's own keys count. In metadata and model configs, ``version: 1.5`` is the author's number.
    """
    named = len(where) == 1 or (len(where) == 3 and where[0] == "flavors")
    return named and isinstance(where[-1], str) and where[-1].endswith("version")


def _events(text: str) -> Iterator[Any]:
    # Importing yaml takes 20 ms, more than all of palate; only those who read or write a model pay for it.
    import yaml

    # A loader is a parser too; its constructor, which would build the objects, is never called.
    parser: Any = yaml.CSafeLoader(text) if yaml.__with_libyaml__ else yaml.SafeLoader(text)
    while parser.check_event():
        yield parser.get_event()


def _decode(data: bytes, composer: _Composer) -> str:
    if len(data) > MAX_BYTES:
        composer.refuse(f"is larger than {MAX_BYTES >> 20} MiB")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as exc:
        problem = Problem((), "wrong_value", f"is not UTF-8 text (byte {exc.start})")
        raise InvalidModelFile([problem], source=composer.source) from exc
    if text.startswith("\ufeff"):
        composer.refuse("starts with a byte order mark; write it as UTF-8 without one")
    return text


def read_yaml(text: bytes, *, source: str) -> object:
    """Read one YAML (or JSON) document of plain data; *source* names it in errors.

    Plain data is dict, list, str, int, float, bool and None. Unquoted text is resolved narrowly: null, true and false,
    decimal numbers; dates, ``yes``, octal, ``1_000`` and the like stay text, and so do version numbers.

    Raises:
        InvalidModelFile: for anything else, including aliases, tags, equal keys, and sizes no honest file has.
    """
    import yaml

    composer = _Composer(source)
    decoded = _decode(text, composer)
    try:
        for event in _events(decoded):
            composer.take(event)
    except InvalidModelFile:
        raise
    except yaml.YAMLError as exc:
        raise InvalidModelFile([Problem((), "wrong_value", _syntax(exc))], source=source) from exc
    except (ValueError, OverflowError) as exc:
        # PyYAML's own parser hands escapes such as "\UFFFFFFFF" to chr() unchecked.
        problem = Problem((), "wrong_value", f"is not YAML: {exc!s:.200}")
        raise InvalidModelFile([problem], source=source) from exc
    if composer.root is _NO_KEY:
        composer.refuse("is empty", kind="missing")
    return composer.root


def _syntax(exc: Any) -> str:
    mark = getattr(exc, "problem_mark", None)
    line = f" at line {mark.line + 1}" if mark is not None else ""
    reason = getattr(exc, "problem", None) or getattr(exc, "reason", None) or "it cannot be parsed"
    return f"is not YAML{line}: {reason}"


def find_unplain(value: object, where: Where = ()) -> Iterator[Problem]:
    """Yield what in *value* is not plain data that a model file can hold."""
    if len(where) > _MAX_DEPTH:
        yield Problem(where[:3], "wrong_value", f"is nested deeper than {_MAX_DEPTH}")
    elif type(value) is dict:
        for key, inner in value.items():
            if isinstance(key, float) and math.isnan(key):
                yield Problem(where, "wrong_value", "not-a-number cannot be a key")
            elif isinstance(key, dict | list):
                yield Problem(where, "wrong_type", "a key must be a single value")
            else:
                yield from find_unplain(key, where)
                yield from find_unplain(inner, (*where, key if isinstance(key, str | int) else str(key)))
    elif type(value) is list:
        for index, inner in enumerate(value):
            yield from find_unplain(inner, (*where, index))
    elif type(value) is str:
        if not _is_text(value):
            yield Problem(where, "wrong_value", _NOT_TEXT)
    elif type(value) is int:
        if abs(value) >= 10**_MAX_INT_DIGITS:
            yield Problem(where, "wrong_value", f"is an integer of more than {_MAX_INT_DIGITS} digits")
    elif type(value) not in (bool, float, type(None)):
        kind = type(value)
        name = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
        yield Problem(where, "wrong_type", f"is a {name}; use dict, list, str, int, float, bool or None")


def _ordered(value: object) -> object:
    """Return *value* with its mappings sorted: by key, or by type and text where the keys do not compare."""
    if isinstance(value, list):
        return [_ordered(inner) for inner in value]
    if isinstance(value, dict):
        keys = sorted(value) if all(type(key) is str for key in value) else sorted(value, key=_sort_key)
        return {key: _ordered(value[key]) for key in keys}
    return value


def _sort_key(key: object) -> tuple[str, str]:
    return type(key).__name__, str(key)


@cache
def _dumper() -> Any:
    import yaml

    base: Any = yaml.CSafeDumper if yaml.__with_libyaml__ else yaml.SafeDumper

    class PlainDumper(base):  # type: ignore[misc]
        def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
            return True

    return PlainDumper


def write_yaml(document: object) -> str:
    """Write plain data as YAML, the same data always as the same text.

    Text that another reader would take for a number, a date or a truth value is quoted.

    Raises:
        InvalidModelFile: if *document* is not plain data, or is larger than ``read_yaml`` would take back.
    """
    import yaml

    if problems := list(find_unplain(document)):
        raise InvalidModelFile(problems, source="The document")
    # Without folding, both of PyYAML's emitters write the same lines.
    text: str = yaml.dump(
        _ordered(document),
        Dumper=_dumper(),
        default_flow_style=False,
        allow_unicode=True,
        sort_keys=False,
        width=2**31 - 1,
    )
    read_yaml(text.encode(), source="The document")
    return text

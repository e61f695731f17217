"""The rules of a gate: their grammar, and the values that they are read into.

::

    rule       = subject comparator limit [certainty] [scope]        the last two in any order
    subject    = NAME | "rows" | ("p50" | "p95" | "p99" | "mean") "latency"
    comparator = ">=" | "<=" | ">" | "<"
    limit      = NUMBER [UNIT] | [NUMBER "*"] "baseline" [("+" | "-") NUMBER [UNIT]]
    certainty  = "with" NUMBER "%" "confidence"
    scope      = "for" COLUMN "=" VALUE | "for" "each" COLUMN ["of" "at" "least" NUMBER "rows"]

A UNIT (s, ms, us) belongs to a latency, and to nothing else. Names, columns and values with anything but letters,
digits and underscores stand in quotes.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final, Literal, NoReturn, get_args

__all__ = ["Comparator", "Limit", "Rule", "RuleSyntax", "Scope", "parse_rule"]

Comparator = Literal[">=", "<=", ">", "<"]
Kind = Literal["metric", "rows", "latency"]

_COMPARATORS: Final = {**{sign: sign for sign in get_args(Comparator)}, "≥": ">=", "≤": "<="}
_UNITS: Final = {"ms": 1.0, "s": 1000.0, "us": 0.001, "µs": 0.001, "μs": 0.001}
_LATENCIES: Final = ("p50", "p95", "p99", "mean")
_NUMBER: Final = r"(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
_NAME: Final = r"[^\W\d]\w*"
_QUOTED: Final = r"\"[^\"]+\"|'[^']+'"
_LONGEST: Final = 1000
"""Characters of a rule: ten times as many as the longest that says something."""


class RuleSyntax(ValueError):
    """A rule cannot be read; the text says what it should be, as the end of a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What a figure is held against: ``factor * baseline + number``; of a latency, in milliseconds.

    Attributes:
        number: what is added, or all of it where no baseline is named.
        factor: by which the baseline's figure is multiplied; 0 where none is named.
    """

    number: float = 0.0
    factor: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The slices that a rule is about.

    Attributes:
        column: by which rows are divided.
        value: the one slice of these rows; None for each of them.
        least_rows: slices with fewer rows are passed over.
    """

    column: str
    value: str | None = None
    least_rows: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of a gate.

    Attributes:
        text: as it was written.
        kind: whether it is about a metric, about how many rows there are, or about a latency.
        subject: the metric; or which latency: "p50", "p95", "p99", "mean".
        comparator: how the figure must stand to the limit.
        limit: the limit.
        confidence: if given, all of the confidence interval must be on the right side of the limit.
        scope: if given, it is about slices, not about all rows.
    """

    text: str
    kind: Kind
    subject: str
    comparator: Comparator
    limit: Limit
    confidence: float | None = None
    scope: Scope | None = None

    @property
    def needs_baseline(self) -> bool:
        """Whether it compares with another model."""
        return self.limit.factor != 0


def parse_rule(text: str) -> Rule:
    """Return the rule that a text holds.

    Raises:
        RuleSyntax: it holds none.
    """
    if len(text) > _LONGEST:
        raise RuleSyntax(f"it has {len(text)} characters, which no rule has")
    rule = _Reader(text).rule()
    _check(rule)
    return rule


def _check(rule: Rule) -> None:
    """Raise where the parts of a rule do not go together."""
    if rule.kind == "latency" and (rule.confidence is not None or rule.scope is not None):
        raise RuleSyntax("a latency has no interval and no slices: end it after the limit")
    if rule.kind == "rows" and (rule.confidence is not None or rule.needs_baseline):
        raise RuleSyntax("a number of rows has no interval and no baseline: give a number")
    if rule.needs_baseline and rule.confidence is not None:
        if rule.limit.factor != 1:
            raise RuleSyntax("only a difference has a confidence interval: write baseline - 0.01 instead of a factor")
        if rule.scope is not None:
            raise RuleSyntax("differences of slices have no confidence interval: leave out 'with', or 'for'")


class _Reader:
    """Reads a rule from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text.strip()
        self._place = 0

    def rule(self) -> Rule:
        kind, subject = self._subject()
        comparator = self._comparator()
        limit = self._limit(is_latency=kind == "latency")
        confidence, scope = None, None
        while self._place < len(self._text):
            if confidence is None and self._word("with"):
                confidence = self._confidence()
            elif scope is None and self._word("for"):
                scope = self._scope()
            else:
                open_parts = [("'with 95% confidence'", confidence), ("'for each COLUMN'", scope)]
                self._refuse(" or ".join([*(part for part, found in open_parts if found is None), "nothing more"]))
        return Rule(
            text=self._text,
            kind=kind,
            subject=subject,
            comparator=comparator,
            limit=limit,
            confidence=confidence,
            scope=scope,
        )

    def _subject(self) -> tuple[Kind, str]:
        quoted = self._take(_QUOTED)
        if quoted is not None:
            return "metric", quoted[1:-1]
        name = self._take(_NAME)
        if name is None:
            self._refuse("the name of a metric, such as accuracy")
        if self._word("latency"):
            if name not in _LATENCIES:
                raise RuleSyntax(f"there is no latency {name!r}: write one of {', '.join(_LATENCIES)}")
            return "latency", name
        if name in _LATENCIES:
            raise RuleSyntax(f"{name} of what? Write '{name} latency'")
        return ("rows", name) if name == "rows" else ("metric", name)

    def _comparator(self) -> Comparator:
        sign = self._take(r">=|<=|≥|≤|=[<>=]?|!=|>|<")
        found = _COMPARATORS.get(sign or "")
        if found is None:
            self._refuse(f"one of {', '.join(get_args(Comparator))}", instead_of=sign)
        return found  # type: ignore[no-any-return]  # the table's values are those of the Literal

    def _limit(self, *, is_latency: bool) -> Limit:
        sign = self._sign()
        number = self._take(_NUMBER)
        if number is None or self._take(r"\*") is not None:
            factor = 1.0 if number is None else self._float(number)
            if sign or not self._word("baseline"):
                self._refuse("a number, baseline, or a number * baseline")
            if factor <= 0:
                raise RuleSyntax("a baseline is multiplied with a number above 0")
            return Limit(factor=factor, number=self._offset(is_latency=is_latency))
        value = self._float(number) * self._unit(is_latency=is_latency)
        return Limit(number=-value if sign == "-" else value)

    def _offset(self, *, is_latency: bool) -> float:
        sign = self._sign()
        if not sign:
            return 0.0
        number = self._take(_NUMBER)
        if number is None:
            self._refuse("a number")
        value = self._float(number) * self._unit(is_latency=is_latency)
        return -value if sign == "-" else value

    def _unit(self, *, is_latency: bool) -> float:
        if self._take("%") is not None:
            raise RuleSyntax(
                "a percent sign could mean two things: write a share as 0.9, and baseline - 1% as 0.99 * "
                "baseline or as baseline - 0.01"
            )
        unit = self._take(r"(?:ms|s|us|µs|μs)\b")
        if is_latency and unit is None:
            self._refuse("a unit of time: ms, s or us")
        if unit is not None and not is_latency:
            raise RuleSyntax(f"only a latency has a unit such as {unit}")
        return _UNITS[unit] if unit else 1.0

    def _confidence(self) -> float:
        number = self._take(_NUMBER)
        if number is None or self._take("%") is None or not self._word("confidence"):
            self._refuse("a number and '% confidence', as in 'with 95% confidence'")
        share = round(self._float(number) / 100, 12)
        if not 0.5 <= share < 1:
            raise RuleSyntax("a confidence is between 50% and 100%")
        return share

    def _scope(self) -> Scope:
        is_quoted = self._place + 1 < len(self._text) and self._text[self._place :].lstrip()[:1] in ("'", '"')
        name = self._name("a column, or 'each' and a column")
        if self._take("=") is not None:
            return Scope(column=name, value=self._value())
        if name != "each" or is_quoted:
            self._refuse(f"'=' and a value; or write 'for each {name}'")
        return Scope(column=self._name("a column"), least_rows=self._least_rows())

    def _least_rows(self) -> int:
        if not self._word("of"):
            return 0
        number = self._take("[0-9]{1,15}") if self._word("at") and self._word("least") else None
        if number is None or not self._word("rows"):
            self._refuse("'at least', a number, and 'rows'")
        return int(number)

    def _name(self, expected: str) -> str:
        found = self._take(f"{_QUOTED}|{_NAME}")
        if found is None:
            self._refuse(expected)
        return found[1:-1] if found[0] in "'\"" else found

    def _value(self) -> str:
        quoted = self._take(_QUOTED)
        found = quoted[1:-1] if quoted is not None else self._take(r"[^\s'\"]+")
        if found is None:
            self._refuse("a value")
        return found

    def _sign(self) -> str:
        sign = self._take("[-+\N{MINUS SIGN}]")
        return "-" if sign == "\N{MINUS SIGN}" else sign or ""

    def _word(self, word: str) -> bool:
        return self._take(rf"{word}\b") is not None

    def _take(self, pattern: str) -> str | None:
        found = re.compile(rf"\s*({pattern})").match(self._text, self._place)
        if found is None:
            return None
        self._place = found.end()
        return found[1]

    def _float(self, number: str) -> float:
        value = float(number)
        if math.isinf(value):
            raise RuleSyntax(f"{number:.20} is no number that a figure could have")
        return value

    def _refuse(self, expected: str, *, instead_of: str | None = None) -> NoReturn:
        end = self._place - len(instead_of or "")
        before, after = self._text[:end].strip(), self._text[end:].strip()
        where = f"after {before!r}" if before else "at its beginning"
        found = f", not {after!r:.60}" if after else ""
        raise RuleSyntax(f"{where} there must be {expected}{found}")

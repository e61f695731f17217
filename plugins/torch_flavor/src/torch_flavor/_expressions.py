"""The grammar of symbolic sizes: what sympy, which evaluates text as Python, may be handed.

torch writes a size as nested calls and nothing else: ``Add(Symbol('s77', positive=True, integer=True), Integer(1))``.
Just that is let through: operators, attributes, subscripts, other names, large powers, what becomes large by
multiplication, and deep nesting are refused.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from math import prod

from palate.hookspecs import PARSING

__all__ = ["expression_problem", "is_symbol"]

_MAX_LENGTH = 2000
_MAX_NODES = 400
_MAX_INT = 2**63
# sympy multiplies sums and powers out, and computes with numbers of any length.
_MAX_TERMS = 64
_MAX_DEGREE = 32
_FLOAT_BITS = 53

# A number of four digits at most: torch counts up to the number of a symbol that data decides on.
_SYMBOL = re.compile(r"(s|u|zf|zuf)\d{1,4}", re.ASCII)
_SMALL_POWER = re.compile(r"-?[0-8]")
_FLOAT_DIGITS = re.compile(r"-?\d{1,30}(\.\d{0,30})?(e[+-]?\d{1,3})?", re.ASCII)

_FUNCTIONS = frozenset(
    """Add Mul Max Min Mod FloorDiv CleanDiv CeilDiv CeilToInt FloorToInt ToFloat PythonMod ModularIndexing Where Eq Ne
    Lt Le Gt Ge LessThan GreaterThan StrictLessThan StrictGreaterThan Equality Unequality And Or Not IntTrueDiv
    FloatTrueDiv TruncToInt TruncToFloat RoundToInt Identity Abs""".split()
)
_NUMBERS = frozenset({"Integer", "Float", "Rational"})
_POWERS = frozenset({"Pow", "FloatPow", "PowByNatural"})
_CONSTANTS = frozenset({"true", "false", "oo", "int_oo"})
_ASSUMPTIONS = frozenset({"positive", "integer", "nonnegative", "real"})


def is_symbol(name: object) -> bool:
    """Return whether *name* is one of the names that torch gives to sizes."""
    return isinstance(name, str) and _SYMBOL.fullmatch(name) is not None


def expression_problem(text: object) -> str | None:
    """Return why *text* is not a symbolic size as torch writes it, or None if it is one."""
    if not isinstance(text, str) or not 0 < len(text) <= _MAX_LENGTH or not text.isascii():
        return "is not a short text"
    try:
        with PARSING.held:
            tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return "is not an expression"
    if sum(1 for _ in ast.walk(tree)) > _MAX_NODES:
        return "is too long"
    try:
        _extent(tree.body)
    except _InvalidTerm as exc:
        return str(exc)
    return None


class _InvalidTerm(ValueError):
    """A term that sympy may not be handed; its text says why."""


@dataclass(frozen=True, slots=True)
class _Extent:
    """How large a term becomes when sympy multiplies it out.

    Attributes:
        terms: how many summands it has.
        degree: how many numbers or symbols are multiplied in each.
    """

    terms: int = 1
    degree: int = 1


def _extent(node: ast.expr) -> _Extent:
    found = _unbounded_extent(node)
    if found.terms > _MAX_TERMS or found.degree > _MAX_DEGREE:
        raise _InvalidTerm("becomes too large when it is multiplied out")
    return found


def _unbounded_extent(node: ast.expr) -> _Extent:
    if isinstance(node, ast.Name):
        if node.id not in _CONSTANTS:
            raise _InvalidTerm(f"has the name {node.id!r:.40}")
        return _Extent()
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        raise _InvalidTerm(f"has a {type(node).__name__.lower()} in it")
    name = node.func.id
    if name == "Symbol":
        _check_symbol(node)
        return _Extent()
    if name in _NUMBERS:
        _check_number(name, node)
        return _Extent()
    if node.keywords or not node.args or name not in _FUNCTIONS | _POWERS:
        raise _InvalidTerm(f"calls {name!r:.40}")
    if name in _POWERS:
        return _power_extent(node)
    parts = [_extent(argument) for argument in node.args]
    if name == "Add":
        return _Extent(sum(part.terms for part in parts), max(part.degree for part in parts))
    degree = sum(part.degree for part in parts)
    return _Extent(prod(part.terms for part in parts) if name == "Mul" else 1, degree)


def _power_extent(node: ast.Call) -> _Extent:
    if len(node.args) != 2 or not isinstance(node.args[1], ast.Call):
        raise _InvalidTerm("has a power that is no small number")
    base, power = _extent(node.args[0]), node.args[1]
    _extent(power)
    digits = ast.unparse(power.args[0]) if ast.unparse(power.func) == "Integer" else ""
    if not _SMALL_POWER.fullmatch(digits):
        raise _InvalidTerm("has a power that is no small number")
    number = abs(int(digits))
    return _Extent(base.terms**number, base.degree * max(number, 1))


def _check_symbol(node: ast.Call) -> None:
    named = len(node.args) == 1 and isinstance(node.args[0], ast.Constant) and is_symbol(node.args[0].value)
    assumed = all(
        k.arg in _ASSUMPTIONS and isinstance(k.value, ast.Constant) and type(k.value.value) is bool
        for k in node.keywords
    )
    if not named or not assumed:
        raise _InvalidTerm("makes a symbol that torch would not make")


def _check_number(name: str, node: ast.Call) -> None:
    values = [_plain_value(argument) for argument in node.args]
    if name == "Float":
        # The digits are a text; of more bits than a float has, sympy would take any number.
        plain = len(values) == 1 and isinstance(values[0], str) and _FLOAT_DIGITS.fullmatch(values[0]) is not None
        known = all(k.arg == "precision" and _plain_value(k.value) == _FLOAT_BITS for k in node.keywords)
    else:
        plain = len(values) == (2 if name == "Rational" else 1) and all(type(value) is int for value in values)
        known = not node.keywords and (name == "Integer" or values[-1] != 0)
    if not plain or not known:
        raise _InvalidTerm("makes a number of something else")


def _plain_value(node: ast.expr) -> object:
    """Return the value of a text, or of a whole number of 64 bits; None for anything else."""
    sign = -1 if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) else 1
    operand = node.operand if isinstance(node, ast.UnaryOp) and sign < 0 else node
    value = operand.value if isinstance(operand, ast.Constant) else None
    if type(value) is int and value <= _MAX_INT:
        return sign * value
    return value if isinstance(value, str) and sign > 0 else None

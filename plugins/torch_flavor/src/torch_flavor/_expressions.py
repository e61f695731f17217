"""The grammar of symbolic sizes: what sympy, which evaluates text as Python, may be handed.

torch writes a size as nested calls and nothing else: ``Add(Symbol('s77', positive=True, integer=True), Integer(1))``.
Just that is let through: operators, attributes, subscripts, other names, large powers and deep nesting are refused.
"""

from __future__ import annotations

import ast
import re

__all__ = ["expression_problem", "is_symbol"]

_MAX_LENGTH = 2000
_MAX_NODES = 400
_MAX_POWER = 8
_MAX_INT = 2**63

# A number of four digits at most: torch counts up to the number of a symbol that data decides on.
_SYMBOL = re.compile(r"(s|u|zf|zuf)\d{1,4}", re.ASCII)
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
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return "is not an expression"
    if sum(1 for _ in ast.walk(tree)) > _MAX_NODES:
        return "is too long"
    return _term_problem(tree.body)


def _term_problem(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name):
        return None if node.id in _CONSTANTS else f"has the name {node.id!r:.40}"
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        return f"has a {type(node).__name__.lower()} in it"
    name = node.func.id
    if name == "Symbol":
        return _symbol_problem(node)
    if name in _NUMBERS:
        return _number_problem(node)
    if node.keywords or not node.args or name not in _FUNCTIONS | _POWERS:
        return f"calls {name!r:.40}"
    if name in _POWERS and not (len(node.args) == 2 and _is_small_power(node.args[1])):
        return "has a power that is no small number"
    return next((problem for problem in map(_term_problem, node.args) if problem), None)


def _symbol_problem(node: ast.Call) -> str | None:
    named = len(node.args) == 1 and isinstance(node.args[0], ast.Constant) and is_symbol(node.args[0].value)
    assumed = all(
        k.arg in _ASSUMPTIONS and isinstance(k.value, ast.Constant) and type(k.value.value) is bool
        for k in node.keywords
    )
    return None if named and assumed else "makes a symbol that torch would not make"


def _number_problem(node: ast.Call) -> str | None:
    plain = node.args and all(map(_is_number, node.args))
    precise = all(k.arg == "precision" and _is_number(k.value) for k in node.keywords)
    return None if plain and precise else "makes a number of something else"


def _is_number(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node = node.operand
    if not isinstance(node, ast.Constant):
        return False
    value = node.value
    if isinstance(value, str):  # the digits of a float
        return _FLOAT_DIGITS.fullmatch(value) is not None
    return type(value) is int and value <= _MAX_INT


def _is_small_power(node: ast.expr) -> bool:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id != "Integer":
        return False
    return _number_problem(node) is None and abs(int(ast.literal_eval(node.args[0]))) <= _MAX_POWER

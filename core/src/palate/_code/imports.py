"""Which modules code imports: read from source files and from code objects, nothing is imported."""

from __future__ import annotations

import ast
import functools
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from palate._process_lock import PARSING

__all__ = ["is_carried", "object_imports", "source_imports"]

# Written whole into python_function models, though they can be imported here.
_BY_VALUE = ("__main__", "palate._code.python_model", "palate._code.standins")
_MAX_OBJECTS = 100_000  # of a model's object graph; big data sits in arrays, which are not walked


def source_imports(files: Iterable[Path]) -> set[str]:
    """Return the modules that Python source files import, as dotted names that may go on into the module.

    Files that are not Python are passed over: nothing can import those either. Imports that only a type checker sees
    and relative imports are left out.
    """
    found: set[str] = set()
    for file in files:
        try:
            with PARSING.held:
                tree = ast.parse(file.read_bytes())
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        found.update(_tree_imports(tree))
    return found


def _tree_imports(tree: ast.AST) -> Iterator[str]:
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and _is_type_checking(node.test):
            waiting.extend(node.orelse)
            continue
        yield from _node_imports(node)
        waiting.extend(ast.iter_child_nodes(node))


def _is_type_checking(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else test.id if isinstance(test, ast.Name) else ""
    return name == "TYPE_CHECKING"


def _node_imports(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Import(names=names):
            yield from (alias.name for alias in names)
        case ast.ImportFrom(module=str(module), names=names, level=0):
            yield from _members(module, [alias.name for alias in names])
        case ast.Call(
            func=ast.Name(id="import_module" | "__import__") | ast.Attribute(attr="import_module"),
            args=[ast.Constant(value=str(module)), *_],
        ) if module and not module.startswith("."):
            yield module


def _members(module: str, names: Iterable[str]) -> Iterator[str]:
    """Yield what ``from module import names`` may import: in a namespace package each name is another's."""
    yield from (module if name == "*" else f"{module}.{name}" for name in names)


def is_carried(obj: Any) -> bool:
    """Return whether cloudpickle writes a function or class itself instead of a reference to its module."""
    module = sys.modules.get(getattr(obj, "__module__", None) or "")
    if module is None or module.__name__ in _BY_VALUE:
        return True
    found: Any = module
    for step in obj.__qualname__.split("."):
        found = getattr(found, step, None)
    return found is not obj


def object_imports(obj: object) -> set[str]:
    """Return the modules that the code carried by *obj* needs, as dotted names that may go on into the module.

    That is the code of functions and classes that cloudpickle would write whole: what their import statements name,
    and the modules that they use as globals. What is only referred to stands in the pickle itself.
    """
    found: set[str] = set()
    seen: dict[int, object] = {}
    waiting: list[object] = [obj]
    while waiting and len(seen) < _MAX_OBJECTS:
        item = waiting.pop()
        if id(item) in seen:
            continue
        seen[id(item)] = item  # keeps it alive, so that no other object gets its id
        if isinstance(item, ModuleType):
            found.add(item.__name__)
        else:
            waiting.extend(_parts(item, found))
    return found - {"__main__", "builtins"}


def _parts(item: object, found: set[str]) -> Iterator[object]:
    """Yield what an object brings along, adding its code's imports to *found*."""
    match item:
        case FunctionType():
            if is_carried(item):
                yield from _function_parts(item, found)
            elif item.__module__:
                found.add(item.__module__)
        case MethodType():
            yield from (item.__func__, item.__self__)
        case functools.partial():
            yield from (item.func, *item.args, *item.keywords.values())
        case property():
            yield from (item.fget, item.fset, item.fdel)
        case staticmethod() | classmethod():
            yield item.__func__
        case type():
            yield from _class_parts(item, found)
        case dict():
            yield from item.values()
        case list() | tuple() | set() | frozenset():
            yield from item
        case _:
            yield type(item)
            yield from _state(item)


def _function_parts(function: FunctionType, found: set[str]) -> Iterator[object]:
    found.update(_code_imports(function.__code__))
    names = _used_names(function.__code__)
    yield from (function.__globals__[name] for name in names if name in function.__globals__)
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # the cell of a name that is not bound yet
            continue
    yield function.__defaults__ or ()
    yield function.__kwdefaults__ or {}
    yield function.__dict__


def _class_parts(cls: type, found: set[str]) -> Iterator[object]:
    if not is_carried(cls):
        found.add(cls.__module__)
        return
    yield from cls.__bases__
    yield from list(vars(cls).values())


def _state(item: object) -> Iterator[object]:
    state = getattr(item, "__dict__", None)
    if isinstance(state, dict):
        yield from list(state.values())


def _used_names(code: CodeType) -> set[str]:
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _used_names(constant)
    return names


def _code_imports(code: CodeType) -> Iterator[str]:
    import dis

    # IMPORT_NAME is preceded by the loads of its level and its from-list.
    before: list[Any] = [None, None]
    for instruction in dis.get_instructions(code):
        if instruction.opname == "IMPORT_NAME" and before[0] == 0:
            yield from _members(str(instruction.argval), before[1] or "*")
        before = [before[1], instruction.argval]
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _code_imports(constant)

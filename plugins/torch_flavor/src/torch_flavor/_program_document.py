"""Reads the JSON of an exported program into a new document that holds only what this module knows.

torch evaluates, looks up and compiles what stands in this JSON: expressions of sizes, operators by dotted name, names
of nodes and inputs that become Python source. So nothing is handed on as it was found: each value is checked, and put
into a new document. What is not known, or not needed to run the graph (traces, sources, guards), is left behind.
"""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Mapping
from typing import Any

from torch_flavor._document_checks import InvalidDocument, Maybe, exactly, listed, mapped, record, union, within
from torch_flavor._expressions import expression_problem, is_symbol
from torch_flavor._operators import is_operator
from torch_flavor._treespecs import InvalidSpec, rebuild_spec

__all__ = ["InvalidDocument", "rebuild_payloads", "rebuild_program"]

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,299}", re.ASCII)
# The source that is made of a graph refers to these by name.
_TAKEN = frozenset({"self", "torch", "device", "inf", "nan", "NoneType", "fx_pytree", "pytree", "math"})
_ATTRIBUTE = re.compile(r"(?!__)[\w\- ]{1,200}(\.(?!__)[\w\- ]{1,200}){0,50}", re.ASCII)
# Equations of einsum, modes of rounding and padding.
_TEXT = re.compile(r"[\w ,.:;>=<+*/()\[\]-]{0,300}", re.ASCII)
_DEVICES = frozenset({"cpu", "cuda", "mps", "xpu", "meta", "hpu", "xla", "mtia", "privateuseone"})
_DTYPES = frozenset({*range(1, 14), *range(28, 36)})
_STRIDED = 7
_MAX_INT = 2**63
_DIALECTS = frozenset({"TRAINING", "ATEN"})


# -- the values of a graph ------------------------------------------------------------------------------------------


def _refuse(rule: str) -> InvalidDocument:
    return InvalidDocument(f" {rule}")


def _name(value: Any) -> str:
    if not isinstance(value, str) or not _IDENTIFIER.fullmatch(value) or keyword.iskeyword(value) or value in _TAKEN:
        raise _refuse(f"the name {value!r:.80} cannot be a variable's")
    return value


def _argument_name(value: Any) -> str:
    """Names of operators' arguments; those of the aten namespace may well be ``self``."""
    if value in ("", "self", "device") or (isinstance(value, str) and keyword.iskeyword(value)):
        return str(value)
    return _name(value)


def _attribute(value: Any) -> str:
    if not isinstance(value, str) or not _ATTRIBUTE.fullmatch(value):
        raise _refuse(f"the name {value!r:.80} cannot be a parameter's or buffer's")
    return value


def _integer(value: Any) -> int:
    if type(value) is not int or not -_MAX_INT <= value < _MAX_INT:
        raise InvalidDocument(" must be an integer of 64 bits")
    return value


def _number(value: Any) -> float | int | str:
    if value in ("Infinity", "-Infinity", "NaN"):  # so torch writes what JSON has no number for
        return str(value)
    return value if type(value) is float else _integer(value)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not _TEXT.fullmatch(value):
        raise _refuse(f"the text {value!r:.80} has characters that no operator asks for")
    return value


def _target(value: Any) -> str:
    if not is_operator(value):
        raise _refuse(f"calls {value!r:.120}, which is not on the list of operators")
    return str(value)


def _dtype(value: Any) -> int:
    if type(value) is not int or value not in _DTYPES:
        raise InvalidDocument(" is no data type")
    return value


def _small(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 100:
        raise InvalidDocument(" is no such number")
    return value


def _memory_format(value: Any) -> int:
    if type(value) is not int or not 1 <= value <= 4:
        raise InvalidDocument(" is no memory format")
    return value


def _layout(value: Any) -> int:
    if type(value) is not int or value != _STRIDED:
        raise _refuse("a tensor is not laid out densely")
    return value


def _device(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or value.get("type") not in _DEVICES:
        raise InvalidDocument(" is no device")
    # Where a model was made says nothing about where it is opened: it is opened here, and moved afterwards.
    return {"type": "cpu", "index": None}


def _expression(value: Any) -> str:
    if problem := expression_problem(value):
        raise _refuse(f"the size {value!r:.80} {problem}")
    return str(value)


def _symbol(value: Any) -> str:
    if not is_symbol(value):
        raise _refuse(f"{value!r:.80} is no symbol of a size")
    return str(value)


# -- the schema of torch, as far as models need it -------------------------------------------------------------------

_BOOL = exactly(bool)
_NONE = exactly(bool)  # torch writes None as {"as_none": true}
_TENSOR = record(name=_name)
_SYM_EXPR = record(expr_str=_expression, hint=Maybe(union(as_int=_integer, as_bool=_BOOL, as_float=_number)))
_SYM_INT = union(as_expr=_SYM_EXPR, as_int=_integer)
_SYM_FLOAT = union(as_expr=_SYM_EXPR, as_float=_number)
_SYM_BOOL = union(as_expr=_SYM_EXPR, as_bool=_BOOL)
_TENSOR_META = record(
    dtype=_dtype,
    sizes=listed(_SYM_INT),
    requires_grad=_BOOL,
    device=_device,
    strides=listed(_SYM_INT),
    storage_offset=_SYM_INT,
    layout=_layout,
)
_SYM_INT_ARGUMENT = union(as_name=_name, as_int=_integer)
_SYM_FLOAT_ARGUMENT = union(as_name=_name, as_float=_number)
_SYM_BOOL_ARGUMENT = union(as_name=_name, as_bool=_BOOL)
_OPTIONAL_TENSOR = union(as_tensor=_TENSOR, as_none=_NONE)


def _graph(value: Any) -> Any:
    return _GRAPH(value)  # branches of a condition are graphs inside of a graph


_ARGUMENT = union(
    as_none=_NONE,
    as_tensor=_TENSOR,
    as_tensors=listed(_TENSOR),
    as_int=_integer,
    as_ints=listed(_integer),
    as_float=_number,
    as_floats=listed(_number),
    as_string=_text,
    as_strings=listed(_text),
    as_sym_int=_SYM_INT_ARGUMENT,
    as_sym_ints=listed(_SYM_INT_ARGUMENT),
    as_scalar_type=_dtype,
    as_memory_format=_memory_format,
    as_layout=_layout,
    as_device=_device,
    as_bool=_BOOL,
    as_bools=listed(_BOOL),
    as_sym_bool=_SYM_BOOL_ARGUMENT,
    as_sym_bools=listed(_SYM_BOOL_ARGUMENT),
    as_graph=record(name=_name, graph=_graph),
    as_optional_tensors=listed(_OPTIONAL_TENSOR),
    as_sym_float=_SYM_FLOAT_ARGUMENT,
    as_sym_floats=listed(_SYM_FLOAT_ARGUMENT),
    as_optional_tensor=_OPTIONAL_TENSOR,
    as_complex=record(real=_number, imag=_number),
    as_nested_tensors=listed(listed(_TENSOR)),
)
_INPUT = record(name=_argument_name, arg=_ARGUMENT, kind=Maybe(_small))
# Arguments that torch's own code turns into indices of tables; it takes any number for one (tried: a segmentation
# fault). Nobody who predicts needs pinned memory, or a generator of random numbers of his own.
_TYPED = {
    "dtype": "as_scalar_type",
    "out_dtype": "as_scalar_type",
    "layout": "as_layout",
    "device": "as_device",
    "memory_format": "as_memory_format",
}
_UNUSED = frozenset({"pin_memory", "generator"})


# Of an assertion torch says in free text where it comes from, which nobody who predicts needs.
_MESSAGE = {"name": "assert_msg", "arg": {"as_string": "a size or value in the graph breaks a rule"}, "kind": 1}


def _input(value: Any) -> dict[str, Any]:
    if isinstance(value, dict) and value.get("name") == "assert_msg":
        return dict(_MESSAGE)
    given: dict[str, Any] = _INPUT(value)
    name = given["name"]
    ((kind, content),) = given["arg"].items()
    typed = kind in (_TYPED.get(name, kind), "as_none")
    if not typed or (name in _UNUSED and content is not False and kind != "as_none"):
        raise _refuse(f"the argument {name!r} is given as {kind}")
    return given


_NODE = record(
    target=_target,
    inputs=listed(_input),
    outputs=listed(_ARGUMENT),
    is_hop_single_tensor_return=Maybe(_BOOL),
    name=Maybe(_name),
)


def _node(value: Any) -> dict[str, Any]:
    return {**_NODE(value), "metadata": {}}


_GRAPH = record(
    inputs=listed(_ARGUMENT),
    outputs=listed(_ARGUMENT),
    nodes=listed(_node),
    tensor_values=mapped(_name, _TENSOR_META),
    sym_int_values=mapped(_name, _SYM_INT),
    sym_bool_values=mapped(_name, _SYM_BOOL),
    sym_float_values=Maybe(mapped(_name, _SYM_FLOAT)),
    is_single_tensor_return=Maybe(_BOOL),
)
_SIGNATURE = record(
    input_specs=listed(
        union(
            user_input=record(arg=_ARGUMENT),
            parameter=record(arg=_TENSOR, parameter_name=_attribute),
            buffer=record(arg=_TENSOR, buffer_name=_attribute, persistent=_BOOL),
            tensor_constant=record(arg=_TENSOR, tensor_constant_name=_attribute),
            constant_input=record(
                name=_name,
                value=union(as_none=_NONE, as_int=_integer, as_float=_number, as_string=_text, as_bool=_BOOL),
            ),
        )
    ),
    output_specs=listed(
        union(
            user_output=record(arg=_ARGUMENT),
            buffer_mutation=record(arg=_TENSOR, buffer_name=_attribute),
            user_input_mutation=record(arg=_TENSOR, user_input_name=_name),
        )
    ),
)


def _dialect(value: Any) -> str:
    if value not in _DIALECTS:
        raise _refuse(f"the dialect {value!r:.60} is unknown")
    return str(value)


_PROGRAM = record(
    opset_version=mapped(_name, _integer),
    range_constraints=mapped(_symbol, record(min_val=Maybe(_integer), max_val=Maybe(_integer))),
    schema_version=record(major=_integer, minor=_integer),
    verifiers=Maybe(listed(_dialect)),
    torch_version=Maybe(_text),
)
_GRAPH_MODULE = record(graph=_GRAPH, signature=_SIGNATURE)
_CALL = record(forward_arg_names=Maybe(listed(_name)))
_FIELDS = mapped(str, record(field_names=listed(_name)))
_PAYLOADS = record(config=mapped(_attribute, lambda value: value))
_PAYLOAD = record(path_name=exactly(str), is_param=_BOOL, use_pickle=_BOOL, tensor_meta=_TENSOR_META)


def rebuild_program(document: object) -> dict[str, Any]:
    """Return the program that a ``models/model.json`` describes.

    Raises:
        InvalidDocument: saying which rule it breaks, and where.
    """
    if not isinstance(document, dict) or not isinstance(document.get("graph_module"), dict):
        raise InvalidDocument("it describes no graph")
    module = document["graph_module"]
    named = within("treespec_namedtuple_fields", _FIELDS, module.get("treespec_namedtuple_fields", {}))
    fields_of = {name: fields.get("field_names", []) for name, fields in named.items()}
    return {
        **_PROGRAM(document),
        "graph_module": {
            **within("graph_module", _GRAPH_MODULE, module),
            "module_call_graph": [_call_entry(module.get("module_call_graph"), fields_of)],
            "metadata": {},
            "treespec_namedtuple_fields": {},
        },
        "guards_code": [],
    }


def _call_entry(entries: Any, fields_of: Mapping[str, Any]) -> dict[str, Any]:
    """Return how the whole module is called; how its parts were called is not needed to run it."""
    first = entries[0] if isinstance(entries, list) and entries else None
    signature = first.get("signature") if isinstance(first, dict) and first.get("fqn") == "" else None
    if not isinstance(signature, dict):
        raise InvalidDocument("it does not say how the module is called")
    specs = {}
    for side in ("in_spec", "out_spec"):
        try:
            specs[side] = rebuild_spec(signature.get(side), fields_of)
        except (InvalidSpec, RecursionError) as exc:
            raise InvalidDocument(f"{side}: {exc}") from exc
    _check_arguments(json.loads(specs["in_spec"])[1])
    return {"fqn": "", "signature": {"inputs": [], "outputs": [], **specs, **_CALL(signature)}}


def _check_arguments(spec: Mapping[str, Any]) -> None:
    """Check that the structure of inputs is that of a call: a tuple, and a dict whose keys become Python source."""
    parts = spec["children_spec"]
    if [spec["type"], *(part["type"] for part in parts)] != ["builtins.tuple", "builtins.tuple", "builtins.dict"]:
        raise InvalidDocument("in_spec: it is not the structure of a call")
    for name in json.loads(parts[1]["context"]):
        _name(name)


def rebuild_payloads(document: object) -> dict[str, dict[str, Any]]:
    """Return which record holds which tensor, from a ``..._config.json``; pickled ones are refused."""
    config = _PAYLOADS(document)["config"]
    return {name: within(name, _payload, payload) for name, payload in config.items()}


def _payload(value: Any) -> dict[str, Any]:
    if isinstance(value, dict) and value.get("use_pickle") is not False:
        raise _refuse("a tensor is stored as a pickle")
    return dict(_PAYLOAD(value))

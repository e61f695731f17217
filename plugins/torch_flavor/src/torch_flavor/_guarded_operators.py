"""Operators that believe what they are told: checked here before they run.

Some kernels read as many numbers as one argument says, out of another argument that may have fewer (tried: segmentation
faults). A stranger's graph calls them through the functions below.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

__all__ = ["find_scalar_operator", "guard_operators"]

_aten = torch.ops.aten


def guard_operators(module: torch.fx.GraphModule) -> None:
    """Let every graph in *module* call the checked operators."""
    for part in module.modules():
        if not isinstance(part, torch.fx.GraphModule):
            continue
        guarded = [node for node in part.graph.nodes if node.op == "call_function" and node.target in _GUARDED]
        for node in guarded:
            node.target = _GUARDED[node.target]
        if guarded:
            part.recompile()


def find_scalar_operator(module: torch.fx.GraphModule) -> str | None:
    """Return an operator of TorchScript's that a graph calls: one for plain numbers, which torch.export never uses.

    Some of them divide by zero in native code, which ends the process.
    """
    for part in module.modules():
        for node in part.graph.nodes if isinstance(part, torch.fx.GraphModule) else ():
            target = node.target
            if isinstance(target, torch._ops.OpOverload) and target not in _ASSERTIONS and not _takes_tensor(target):
                return str(target)
    return None


def _takes_tensor(operator: torch._ops.OpOverload) -> bool:
    schema = operator._schema
    return any("Tensor" in str(argument.type) for argument in (*schema.arguments, *schema.returns))


def checked_lstm(
    data: torch.Tensor,
    states: Sequence[torch.Tensor],
    params: Sequence[torch.Tensor],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> Any:
    """Run ``aten.lstm.input`` if its weights have the shapes that its states ask for."""
    directions = 2 if bidirectional else 1
    hidden, cell = states if len(states) == 2 else (states[0], states[0])
    batch = data.shape[0 if batch_first else 1] if data.dim() == 3 else None
    blocks = num_layers * directions
    _require(batch is not None and hidden.dim() == cell.dim() == 3 and num_layers > 0, "lstm: number of dimensions")
    _require(hidden.shape[:2] == cell.shape[:2] == (blocks, batch), "lstm: shape of the states")
    size, output = cell.shape[2], hidden.shape[2]
    _require(size > 0 and output > 0, "lstm: size of the states")
    width = (4 if has_biases else 2) + (size != output)
    _require(len(params) == blocks * width, "lstm: number of weights")
    for block in range(blocks):
        inputs = data.shape[2] if block < directions else output * directions
        expected: list[tuple[int, ...]] = [(4 * size, inputs), (4 * size, output)]
        expected += [(4 * size,)] * 2 if has_biases else []
        expected += [(output, size)] if size != output else []
        found = [tuple(weight.shape) for weight in params[block * width : (block + 1) * width]]
        _require(found == expected, "lstm: shape of the weights")
    return _aten.lstm.input(data, states, params, has_biases, num_layers, dropout, train, bidirectional, batch_first)


def checked_attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *args: Any, **options: Any
) -> torch.Tensor:
    """Run ``aten.scaled_dot_product_attention`` if keys and values are of one length and go together with queries."""
    _require(min(query.dim(), key.dim(), value.dim()) >= 2, "attention: number of dimensions")
    _require(query.shape[-1] == key.shape[-1], "attention: size of queries and keys")
    _require(key.shape[-2] == value.shape[-2], "attention: number of keys and values")
    grouped = bool(options.get("enable_gqa", len(args) > 4 and args[4]))
    _require(not grouped or min(query.dim(), key.dim(), value.dim()) > 2, "attention: number of dimensions")
    leading = torch.broadcast_shapes(*(tensor.shape[: -3 if grouped else -2] for tensor in (query, key, value)))
    shape = (*leading, *(query.shape[-3:-1] if grouped else query.shape[-2:-1]), value.shape[-1])
    if 0 in shape:
        return query.new_zeros(shape)  # no rows; the kernel divides by some of these sizes
    _require(min(query.numel(), key.numel(), value.numel()) > 0, "attention: no keys, or no heads")
    return _aten.scaled_dot_product_attention.default(query, key, value, *args, **options)


def checked_weight_norm(v: torch.Tensor, g: torch.Tensor, dim: int = 0) -> torch.Tensor:
    """Run ``aten._weight_norm`` if there is one length for each direction."""
    _require(v.numel() > 0 and v.dim() > 0 and -1 <= dim < v.dim(), "weight norm: dimension")
    lengths = 1 if dim == -1 else v.shape[dim]
    _require(g.numel() == lengths and g.dtype == v.dtype, "weight norm: number of lengths")
    return _aten._weight_norm.default(v, g, dim)


def _require(holds: bool, rule: str) -> None:
    if not holds:
        raise ValueError(f"the graph calls an operator with arguments that do not fit together ({rule})")


_ASSERTIONS = {
    _aten._assert_scalar.default,
    _aten.sym_constrain_range.default,
    _aten.sym_constrain_range_for_size.default,
}
_GUARDED = {
    _aten.lstm.input: checked_lstm,
    _aten._weight_norm.default: checked_weight_norm,
    _aten.scaled_dot_product_attention.default: checked_attention,
}

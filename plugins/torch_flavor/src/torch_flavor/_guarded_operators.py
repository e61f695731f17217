"""Operators that believe what they are told: checked here before they run.

Some kernels read as many numbers as one argument says, out of another argument that may have fewer (tried: segmentation
faults). A stranger's graph calls them through what is made below.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

__all__ = ["GUARDED", "find_scalar_operator", "guard_operators"]

_aten = torch.ops.aten
_LSTM_GATES = 4
_EXACT = float(1 << 53)  # up to here a double counts exactly


def guard_operators(module: torch.fx.GraphModule) -> None:
    """Let every graph in *module* call the checked operators."""
    for part in module.modules():
        if not isinstance(part, torch.fx.GraphModule):
            continue
        guarded = [node for node in part.graph.nodes if node.op == "call_function" and node.target in GUARDED]
        for node in guarded:
            node.target = GUARDED[node.target]
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


# -- checks before an operator runs; each is given the operator's arguments by name ---------------------------------


def _check_recurrent(gates: int) -> Callable[..., None]:
    """Check that a recurrent layer's weights have the shapes that its states ask for."""

    def check(
        *,
        input: torch.Tensor,
        hx: torch.Tensor | Sequence[torch.Tensor],
        params: Sequence[torch.Tensor],
        has_biases: bool,
        num_layers: int,
        bidirectional: bool,
        batch_first: bool,
        **_: Any,
    ) -> None:
        directions = 2 if bidirectional else 1
        states = [hx] if isinstance(hx, torch.Tensor) else list(hx)
        batch = input.shape[0 if batch_first else 1] if input.dim() == 3 else None
        blocks = num_layers * directions
        _require(len(states) == (2 if gates == _LSTM_GATES else 1), "number of states")
        hidden, cell = states[0], states[-1]
        _require(batch is not None and hidden.dim() == cell.dim() == 3 and num_layers > 0, "number of dimensions")
        _require(hidden.shape[:2] == cell.shape[:2] == (blocks, batch), "shape of the states")
        size, output = cell.shape[2], hidden.shape[2]
        _require(size > 0 and output > 0, "size of the states")
        width = (4 if has_biases else 2) + (size != output)
        _require(len(params) == blocks * width, "number of weights")
        for block in range(blocks):
            inputs = input.shape[2] if block < directions else output * directions
            expected: list[tuple[int, ...]] = [(gates * size, inputs), (gates * size, output)]
            expected += [(gates * size,)] * 2 if has_biases else []
            expected += [(output, size)] if size != output else []
            found = [tuple(weight.shape) for weight in params[block * width : (block + 1) * width]]
            _require(found == expected, "shape of the weights")

    return check


def _check_cell(gates: int) -> Callable[..., None]:
    """Check the same of one step of a recurrent layer."""

    def check(
        *,
        input: torch.Tensor,
        hx: torch.Tensor | Sequence[torch.Tensor],
        w_ih: torch.Tensor,
        w_hh: torch.Tensor,
        b_ih: torch.Tensor | None,
        b_hh: torch.Tensor | None,
    ) -> None:
        states = [hx] if isinstance(hx, torch.Tensor) else list(hx)
        _require(len(states) == (2 if gates == _LSTM_GATES else 1) and input.dim() == 2, "number of states")
        size = states[0].shape[-1] if states[0].dim() else 0
        _require(size > 0 and all(state.shape == (input.shape[0], size) for state in states), "shape of the states")
        _require(w_ih.shape == (gates * size, input.shape[1]) and w_hh.shape == (gates * size, size), "weights")
        _require(all(bias is None or bias.shape == (gates * size,) for bias in (b_ih, b_hh)), "biases")

    return check


def _check_normalization(
    *,
    input: torch.Tensor,
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    running_mean: torch.Tensor | None,
    running_var: torch.Tensor | None,
    training: bool = False,
    use_input_stats: bool = False,
    **_: Any,
) -> None:
    """Check that there is one number for each channel."""
    _require(input.dim() > 1, "number of dimensions")
    given = [tensor for tensor in (weight, bias, running_mean, running_var) if tensor is not None]
    _require(all(tensor.shape == (input.shape[1],) for tensor in given), "number of channels")
    stored = running_mean is not None and running_var is not None
    _require(training or use_input_stats or stored, "no mean, or no variance")


def _check_weight_norm(*, v: torch.Tensor, g: torch.Tensor, dim: int) -> None:
    """Check that there is one length for each direction."""
    _require(v.numel() > 0 and v.dim() > 0 and -1 <= dim < v.dim(), "dimension")
    lengths = 1 if dim == -1 else v.shape[dim]
    _require(g.numel() == lengths and g.dtype == v.dtype, "number of lengths")


def _check_scales(
    *, self: torch.Tensor, output_size: Sequence[int], scales_h: float | None, scales_w: float | None, **_: Any
) -> None:
    """Check that scales are those that make the output's size of the input's: from them a window's size is made."""
    for size, length, scale in zip(self.shape[-2:], output_size, (scales_h, scales_w), strict=False):
        _require(scale is None or length - 1e-3 <= size * scale < length + 1 + 1e-3, "scale of an image")


def _check_repeats(*, repeats: torch.Tensor, **_: Any) -> None:
    """Check that the number of all repeats is one that 64 bits hold."""
    _require(not bool((repeats < 0).any()) and float(repeats.double().sum()) < _EXACT, "number of repeats")


def _check_division(*, self: torch.Tensor, other: Any, rounding_mode: str | None) -> None:
    """Check that no quotient is the one whole number that does not fit: the processor stops the process for it."""
    kind = torch.result_type(self, other)
    if rounding_mode == "trunc" and kind in (torch.int32, torch.int64):
        lowest = self.to(kind) == torch.iinfo(kind).min
        _require(not bool((lowest & (other == -1)).any()), "the lowest number, divided by -1")


def _checked_attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *args: Any, **options: Any
) -> torch.Tensor:
    """Run ``aten.scaled_dot_product_attention`` if keys and values are of one length and go together with queries."""
    _require(min(query.dim(), key.dim(), value.dim()) >= 2, "number of dimensions")
    _require(query.shape[-1] == key.shape[-1], "size of queries and keys")
    _require(key.shape[-2] == value.shape[-2], "number of keys and values")
    grouped = bool(options.get("enable_gqa", len(args) > 4 and args[4]))
    _require(not grouped or min(query.dim(), key.dim(), value.dim()) > 2, "number of dimensions")
    leading = torch.broadcast_shapes(*(tensor.shape[: -3 if grouped else -2] for tensor in (query, key, value)))
    shape = (*leading, *(query.shape[-3:-1] if grouped else query.shape[-2:-1]), value.shape[-1])
    if 0 in shape:
        return query.new_zeros(shape)  # no rows; the kernel divides by some of these sizes
    _require(min(query.numel(), key.numel(), value.numel()) > 0, "no keys, or no heads")
    return _aten.scaled_dot_product_attention.default(query, key, value, *args, **options)


def _checked(operator: Any, check: Callable[..., None]) -> Callable[..., Any]:
    """Return what runs *operator* after a check of its arguments."""
    names = [argument.name for argument in operator._schema.arguments]
    defaults = {
        argument.name: argument.default_value for argument in operator._schema.arguments if argument.has_default_value()
    }

    def call(*args: Any, **kwargs: Any) -> Any:
        check(**{**defaults, **dict(zip(names, args, strict=False)), **kwargs})
        return operator(*args, **kwargs)

    return call


def _require(holds: bool, rule: str) -> None:
    if not holds:
        raise ValueError(f"the graph calls an operator with arguments that do not fit together ({rule})")


_ASSERTIONS = {
    _aten._assert_scalar.default,
    _aten.sym_constrain_range.default,
    _aten.sym_constrain_range_for_size.default,
}
_CHECKS: Mapping[Any, Callable[..., None]] = {
    _aten.lstm.input: _check_recurrent(_LSTM_GATES),
    _aten.gru.input: _check_recurrent(3),
    _aten.rnn_tanh.input: _check_recurrent(1),
    _aten.rnn_relu.input: _check_recurrent(1),
    _aten.lstm_cell.default: _check_cell(_LSTM_GATES),
    _aten.gru_cell.default: _check_cell(3),
    _aten.rnn_tanh_cell.default: _check_cell(1),
    _aten.rnn_relu_cell.default: _check_cell(1),
    _aten.batch_norm.default: _check_normalization,
    _aten.instance_norm.default: _check_normalization,
    _aten.native_batch_norm.default: _check_normalization,
    _aten._native_batch_norm_legit_no_training.default: _check_normalization,
    _aten._weight_norm.default: _check_weight_norm,
    _aten._upsample_bilinear2d_aa.default: _check_scales,
    _aten._upsample_bicubic2d_aa.default: _check_scales,
    _aten.repeat_interleave.Tensor: _check_repeats,
    _aten.repeat_interleave.self_Tensor: _check_repeats,
    _aten.div.Tensor_mode: _check_division,
    _aten.div.Scalar_mode: _check_division,
    _aten.div_.Tensor_mode: _check_division,
    _aten.div_.Scalar_mode: _check_division,
    _aten.divide.Tensor_mode: _check_division,
    _aten.divide.Scalar_mode: _check_division,
    _aten.divide_.Tensor_mode: _check_division,
    _aten.divide_.Scalar_mode: _check_division,
}
# What a graph calls in the place of an operator.
GUARDED: Mapping[Any, Callable[..., Any]] = {
    **{operator: _checked(operator, check) for operator, check in _CHECKS.items()},
    _aten.scaled_dot_product_attention.default: _checked_attention,
}

"""From a module to an exported program whose batch size is free, and proved to be."""

from __future__ import annotations

import io
import logging
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from typing import Any

import torch

from palate.errors import InvalidOption, UnsupportedModel
from palate.hookspecs import SaveOptions
from palate.signature import Signature
from torch_flavor._calling import evaluating, flatten_outputs, is_frame, named_parts, open_program, plan_of, unwrapped
from torch_flavor._examples import ExampleCall, example_call
from torch_flavor._export_errors import OTHERWISE, explain_export, explain_forward
from torch_flavor._signatures import input_values, is_fixed, program_signature, shape_of, signature_source

__all__ = ["export_module"]

# One row broadcasts, a prime number is divided by nothing that code pads or splits rows to, and many rows take other
# kernels. What only holds up to some number of rows is seen in the graph itself.
_BATCHES = (1, 2, 7, 64)
# Kernels for other batch sizes add up in another order.
_TOLERANCES = {torch.float16: 2e-2, torch.bfloat16: 5e-2, torch.float32: 1e-4, torch.complex64: 1e-4}


def export_module(model: Any, options: SaveOptions) -> torch.export.ExportedProgram:
    """Return the program of *model*.

    Raises:
        UnsupportedModel: torch has no graph for it, or only one of a fixed batch size.
        InvalidOption: the signature says something else than the graph.
    """
    dynamic = options.extra.get("dynamic_batch", True)
    if not isinstance(dynamic, bool):
        raise InvalidOption("dynamic_batch", reason=f"it is {type(dynamic).__name__}", hint="pass True or False")
    if isinstance(model, torch.export.ExportedProgram):
        _check_signature(model, options.signature)
        return model
    if isinstance(model, torch.jit.ScriptModule):
        raise UnsupportedModel(
            type(model).__name__,
            reason="it is a TorchScript module, whose code torch.export cannot follow",
            hint="save the module that it was scripted from, or use format='pickle', which keeps TorchScript as it "
            "is, and loads with trust=True",
        )
    model = unwrapped(model)
    _check_params(model, options.signature)
    with _undisturbed(model):
        call = example_call(
            model, options.example, options.signature, options.extra.get("example_inputs"), dynamic=dynamic
        )
        _check_forward(model, call, framed=is_frame(options.example))
        shapes = options.extra.get("dynamic_shapes")
        program = _export(model, call, call.dynamic_shapes() if shapes is None else shapes)
        if dynamic and shapes is None:
            _check_batch(model, program, call)
        _check_signature(program, options.signature)
        _prove(model, program, call, _BATCHES if dynamic and shapes is None and call.batched else (call.rows,))
    return program


@contextmanager
def _undisturbed(model: torch.nn.Module) -> Iterator[None]:
    """Run and trace *model* without leaving a trace: its mode, its buffers, and the random state stay as they are."""
    buffers = {name: buffer.detach().clone() for name, buffer in model.named_buffers()}
    fast = torch.backends.mha.get_fastpath_enabled()
    with _kept_random_state(model), evaluating(model), torch.no_grad():
        # The fast path of transformers is one operator, which no reader could check.
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            yield
        finally:
            torch.backends.mha.set_fastpath_enabled(fast)
            for name, buffer in model.named_buffers():
                if name in buffers and not torch.equal(buffer, buffers[name]):
                    buffer.copy_(buffers[name])


@contextmanager
def _kept_random_state(module: torch.nn.Module) -> Iterator[None]:
    """Put back the generators of the CPU and of the devices that hold *module*'s tensors; no other is drawn from."""
    tensors = (*module.parameters(), *module.buffers())
    devices = {tensor.device.index for tensor in tensors if tensor.device.type == "cuda"}
    with torch.random.fork_rng(devices=devices, device_type="cuda"):
        yield


def _check_params(model: Any, signature: Signature | None) -> None:
    taken = [param.name for param in (signature.params if signature else ()) if param.name in plan_of(model).names]
    if taken:
        raise UnsupportedModel(
            type(model).__name__,
            reason=f"a graph has no params, and its forward takes {', '.join(taken)}: the value would be fixed",
            hint="make it an input, as a tensor, and give it with the example; or use format='pickle', which keeps "
            "params, and loads with trust=True",
        )


def _check_forward(model: Any, call: ExampleCall, *, framed: bool) -> None:
    """Call the module as it is: what is wrong then is no matter of graphs."""
    try:
        outputs = _run(model, *call.with_rows(call.rows))
    except Exception as exc:  # the user's forward raises what it likes
        raise explain_forward(model, exc, framed=framed) from exc
    _check_outputs(model, outputs)


def _export(model: Any, call: ExampleCall, shapes: Any) -> torch.export.ExportedProgram:
    # torch writes no named tuples and data classes into a file unless their classes are registered.
    hook = model.register_forward_hook(lambda _module, _args, result: _plain(result))
    try:
        with warnings.catch_warnings(), _without_dump():
            # Recurrent layers keep a list of their weights, which torch sees them make anew.
            warnings.filterwarnings("ignore", message="The tensor attributes? .*assigned during export")
            return torch.export.export(model, call.args, call.kwargs or None, dynamic_shapes=shapes, strict=False)
    except Exception as exc:  # torch raises what it likes, the user's forward too
        raise explain_export(model, exc) from exc
    finally:
        hook.remove()


@contextmanager
def _without_dump() -> Iterator[None]:
    """Keep back what torch prints of a graph that it could not finish: our error says it in the user's terms."""
    logger, printed = logging.getLogger("torch.fx.experimental.symbolic_shapes"), io.StringIO()
    logger.addFilter(_is_no_dump)
    try:
        with redirect_stderr(printed):
            yield
        sys.stderr.write(printed.getvalue())
    finally:
        logger.removeFilter(_is_no_dump)


def _is_no_dump(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("Unable to find user code")


def _plain(value: Any) -> Any:
    """Return tuples, lists and dicts in the place of everything that has parts."""
    parts = named_parts(value)
    if parts is None:
        return value
    plain = {name: _plain(part) for name, part in parts.items()}
    return type(value)(plain.values()) if type(value) in (tuple, list) else plain


# -- is the batch size free? -----------------------------------------------------------------------------------------


def _check_batch(model: object, program: Any, call: ExampleCall) -> None:
    values = input_values(program) or {}
    for name in (name for name in call.batched if name in values):
        size = values[name].shape[call.batched[name]]
        if is_fixed(size):
            raise _fixed_batch(model, f"its code holds on to batches of {size}, the example's, in {name!r}")
        bounds = program.range_constraints.get(size.node.expr)
        if bounds is None:
            raise _fixed_batch(model, f"its code only takes batches of {size.node.expr} rows in {name!r}")
        if bounds.lower > 2 or bounds.upper < 1 << 31:
            raise _fixed_batch(
                model,
                f"its code takes {bounds.lower} to {bounds.upper} rows in {name!r}, and goes another way, or none, for "
                "others",
                # torch.cdist measures in one way up to 25 points, and in another beyond, unless it is told which.
                first="pass compute_mode='use_mm_for_euclid_dist' to torch.cdist; or " if bounds.upper == 25 else "",
            )


def _fixed_batch(model: object, reason: str, first: str = "") -> UnsupportedModel:
    return UnsupportedModel(
        type(model).__name__,
        reason=reason,
        hint=f"{first}take the number of rows from x.shape[0] in forward, not as a fixed number; if another dimension "
        "counts the rows, pass a signature with -1 there; or pass dynamic_batch=False with a signature that says the "
        f"fixed size; or else {OTHERWISE}",
    )


def _check_signature(program: Any, signature: Signature | None) -> None:
    """Refuse a signature that promises sizes which the graph does not take."""
    specs = signature.inputs.tensors if signature is not None and signature.inputs is not None else ()
    values = input_values(program) or {}
    for spec in specs:
        value = values.get(spec.name) if spec.name is not None else next(iter(values.values()), None)
        if not isinstance(value, torch.Tensor):
            continue
        shape = shape_of(value)
        fits = len(shape) == len(spec.shape) and all(a in (-1, b) for a, b in zip(shape, spec.shape, strict=True))
        if not fits:
            known = program_signature(program)
            text = f": {signature_source(known)}" if known else ""
            raise InvalidOption(
                "signature",
                reason=f"the input {spec.name or 'of the model'} is declared with the shape {list(spec.shape)}, and "
                f"the model takes {list(shape)} (-1 is any size)",
                hint=f"pass a signature= with the sizes that the model takes{text}",
            )


# -- proof -----------------------------------------------------------------------------------------------------------


def _prove(model: Any, program: Any, call: ExampleCall, batches: tuple[int, ...]) -> None:
    """Compare the graph with the module, for batches of these sizes."""
    graph = open_program(program)
    for count in batches:
        args, kwargs = call.with_rows(count)
        try:
            expected = _run(model, args, kwargs)
        except Exception as exc:
            raise UnsupportedModel(
                type(model).__name__,
                reason=f"its forward fails for a batch of {count} ({type(exc).__name__}: {exc!s:.200})",
                hint="pass dynamic_batch=False with a signature that says the size it works for",
            ) from exc
        args, kwargs = call.with_rows(count)
        try:
            found = _run(graph, args, kwargs)
        except Exception as exc:
            raise _fixed_batch(model, f"its graph fails for a batch of {count} ({exc!s:.200})") from exc
        if difference := _difference(expected, found):
            raise _fixed_batch(model, f"for a batch of {count}, its graph gives another result: {difference}")


def _check_outputs(model: object, outputs: Mapping[str, Any]) -> None:
    for name, value in outputs.items():
        if not isinstance(value, torch.Tensor | bool | int | float):
            raise UnsupportedModel(
                type(model).__name__,
                reason=f"it returns a {type(value).__name__} as {name!r}, which is no tensor",
                hint="leave it out of what forward returns",
            )


def _run(module: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    # What forward draws is the same each time, without a seed: every run starts from the state that the last one kept.
    with _kept_random_state(module):
        return flatten_outputs(module(*args, **kwargs))


def _difference(expected: Mapping[str, Any], found: Mapping[str, Any]) -> str | None:
    if set(expected) != set(found):
        return f"{', '.join(found)} in the place of {', '.join(expected)}"
    for name, right in expected.items():
        left = found[name]
        if not isinstance(right, torch.Tensor) or not isinstance(left, torch.Tensor):
            if left != right:
                return f"{name} is {left!r:.60} in the place of {right!r:.60}"
            continue
        if left.dtype != right.dtype or left.shape != right.shape:
            return f"{name} is {left.dtype} of shape {list(left.shape)}, not {right.dtype} of {list(right.shape)}"
        tolerance = _TOLERANCES.get(right.dtype, 1e-9)
        if not torch.allclose(left, right, rtol=tolerance, atol=tolerance, equal_nan=True):
            return f"the values of {name} differ"
    return None

"""Execution providers and session options: the caller's, and what of them a file may ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from palate.errors import InvalidOption, UnsafeModel

__all__ = [
    "DEFAULT_PROVIDERS",
    "PROVIDERS",
    "SESSION_OPTIONS",
    "Provider",
    "Settings",
    "read_call_options",
    "read_settings",
]

PROVIDERS, SESSION_OPTIONS = "onnx_execution_providers", "onnx_session_options"

# What MLflow writes when nothing is asked for: the GPU where there is one.
DEFAULT_PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")

Provider = str | tuple[str, Mapping[str, Any]]

# Of what a file asks for, only this reaches onnxruntime: nothing that names a file, a library or an address.
_FILE_PROVIDERS: frozenset[str] = frozenset(
    f"{name}ExecutionProvider"
    for name in "CPU CUDA TensorRT ROCM MIGraphX OpenVINO CoreML Dml Xnnpack ACL DNNL".split()
)
_FILE_PROVIDER_OPTIONS = frozenset(
    "device_id gpu_mem_limit arena_extend_strategy cudnn_conv_algo_search cudnn_conv_use_max_workspace use_tf32 "
    "cudnn_conv1d_pad_to_nc1d do_copy_in_default_stream enable_cuda_graph prefer_nhwc trt_fp16_enable trt_int8_enable "
    "trt_max_workspace_size device_type precision num_of_threads use_arena".split()
)
_FILE_SESSION_ENTRIES = frozenset(
    "session.set_denormal_as_zero session.disable_prepacking session.intra_op.allow_spinning "
    "session.inter_op.allow_spinning session.dynamic_block_base session.use_device_allocator_for_initializers "
    "session.qdqisint8allowed session.disable_quant_qdq".split()
)
_LEVELS = (0, 1, 2, 99)  # onnxruntime.GraphOptimizationLevel
_MODES = ("sequential", "parallel")
_MOST_THREADS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How sessions are made.

    Attributes:
        providers: execution providers, the preferred one first.
        session_options: MLflow's keys: intra_op_num_threads, inter_op_num_threads (integers, 0 leaves it to
            onnxruntime), execution_mode, graph_optimization_level, extra_session_config.
        must_have: whether it is an error when none of the providers is there; else the CPU takes their place.
    """

    providers: tuple[Provider, ...] = DEFAULT_PROVIDERS
    session_options: Mapping[str, Any] = field(default_factory=dict)
    must_have: bool = False


def read_call_options(extra: Mapping[str, Any]) -> Settings:
    """Return what the caller of ``save_model`` or ``load_model`` asks for. Raises InvalidOption."""
    providers, session_options = extra.get(PROVIDERS), extra.get(SESSION_OPTIONS)
    parsed = DEFAULT_PROVIDERS if providers is None else _parse_providers(providers)
    if parsed is None:
        reason = "it must be a list of names, or of pairs of a name and a dict of options"
        raise InvalidOption(PROVIDERS, reason=reason, hint="onnxruntime.get_available_providers() lists the names")
    given = {} if session_options is None else session_options
    if wrong := _find_wrong_session_options(given):
        raise InvalidOption(SESSION_OPTIONS, reason=wrong, hint='give a dict such as {"intra_op_num_threads": 1}')
    return Settings(providers=parsed, session_options=dict(given), must_have=providers is not None)


def read_settings(config: Mapping[str, Any], extra: Mapping[str, Any]) -> Settings:
    """Return how to make sessions of a directory: as the caller says, else as far as the file may say.

    Raises:
        InvalidOption: the caller's part is malformed.
        UnsafeModel: the file's part is malformed, or asks for more than a file may.
    """
    call = read_call_options(extra)
    return Settings(
        providers=call.providers if call.must_have else _read_file_providers(config.get("providers")),
        session_options=_read_file_options(config.get(SESSION_OPTIONS))
        if extra.get(SESSION_OPTIONS) is None
        else call.session_options,
        must_have=call.must_have,
    )


def _parse_providers(given: object) -> tuple[Provider, ...] | None:
    if not isinstance(given, Sequence) or isinstance(given, str) or not given:
        return None
    parsed: list[Provider] = []
    for entry in given:
        if isinstance(entry, str):
            parsed.append(entry)
        elif isinstance(entry, list | tuple) and len(entry) == 2 and _is_provider_pair(*entry):
            parsed.append((entry[0], dict(entry[1])))
        else:
            return None
    return tuple(parsed)


def _is_provider_pair(name: object, options: object) -> bool:
    if not isinstance(name, str) or not isinstance(options, Mapping):
        return False
    return all(isinstance(key, str) and isinstance(value, str | int | float) for key, value in options.items())


def _read_file_providers(given: object) -> tuple[Provider, ...]:
    # MLflow reads one name, and nothing, as lists too.
    providers = _parse_providers([given] if isinstance(given, str) else given or DEFAULT_PROVIDERS)
    if providers is None:
        raise UnsafeModel("MLmodel", rule="flavors.onnx.providers must be a list of names, or of names with options")
    for entry in providers:
        name, options = (entry, {}) if isinstance(entry, str) else entry
        if name not in _FILE_PROVIDERS or not options.keys() <= _FILE_PROVIDER_OPTIONS:
            hint = f"if you want it, pass {PROVIDERS}= to palate.load_model yourself"
            raise UnsafeModel("MLmodel", rule="flavors.onnx.providers asks for more than a file may", hint=hint)
    return providers


def _read_file_options(given: object) -> Mapping[str, Any]:
    options = {} if given is None else given
    if reason := _find_wrong_session_options(options):
        raise UnsafeModel("MLmodel", rule=f"flavors.onnx.{SESSION_OPTIONS}: {reason}")
    assert isinstance(options, Mapping)
    if not dict(options.get("extra_session_config") or {}).keys() <= _FILE_SESSION_ENTRIES:
        hint = f"if you want it, pass {SESSION_OPTIONS}= to palate.load_model yourself"
        raise UnsafeModel("MLmodel", rule="extra_session_config asks for more than a file may", hint=hint)
    return options


def _find_wrong_session_options(options: object) -> str | None:
    if not isinstance(options, Mapping):
        return "it must be a dict"
    for key, value in options.items():
        if key not in _KINDS:
            return f"{key!r:.60} is none of {', '.join(_KINDS)}"
        if value is not None and not _KINDS[key][0](value):
            return f"{key} must be {_KINDS[key][1]}"
    return None


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value <= _MOST_THREADS


def _is_mode(value: object) -> bool:
    return isinstance(value, str) and value.lower() in _MODES


def _is_level(value: object) -> bool:
    return type(value) is int and value in _LEVELS


def _is_text_dict(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(text, str) for pair in value.items() for text in pair)


_KINDS = {
    "intra_op_num_threads": (_is_count, f"an integer from 0 to {_MOST_THREADS}"),
    "inter_op_num_threads": (_is_count, f"an integer from 0 to {_MOST_THREADS}"),
    "execution_mode": (_is_mode, " or ".join(map(repr, _MODES))),
    "graph_optimization_level": (_is_level, f"one of {', '.join(map(str, _LEVELS))}"),
    "extra_session_config": (_is_text_dict, "a dict of texts"),
}

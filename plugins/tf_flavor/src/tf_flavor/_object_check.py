"""The rules for the objects of a SavedModel, which TensorFlow makes again, names, and calls, while it loads."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Any

from tf_flavor._refusing import refuse

__all__ = ["Loading", "check_objects"]

# Kinds of objects that TensorFlow itself revives; for others it would ask what other libraries registered.
_IDENTIFIERS = re.compile(
    r"_generic_user_object|signature_map|trackable_(list|dict|tuple|set)_wrapper|_tf_keras_[a-z_]+|optimizer|", re.ASCII
)
_TABLE = "tf.StaticHashTable"
_REGISTERED = frozenset(("", _TABLE, "tf.TrackableConstant"))
_OBJECT_KINDS = frozenset(
    "user_object variable function bare_concrete_function constant resource asset captured_tensor".split()
)
_FUNCTIONS = ("function", "bare_concrete_function")
_SEQUENCES = ("trackable_list_wrapper", "trackable_tuple_wrapper")
_MAX_GAPS = 1 << 20  # what is left out of lists: only what TensorFlow tracks is saved
_REGISTERED_TYPE_SPEC = 12
# What TensorFlow calls of a table.
_TABLE_METHODS = frozenset(("_create_resource", "_destroy_resource", "_initialize"))
# Attributes of TensorFlow's own objects that are no state of theirs: it calls some while loading, others later.
_RESERVED = frozenset(
    """
    __class__ __del__ __dict__ _add_trackable_child _add_variable_with_custom_getter _checkpoint_adapter
    _checkpoint_dependencies _copy_trackable_to_cpu _create_or_restore_slot_variable _deferred_dependencies
    _delete_tracking _deserialization_dependencies _deserialize_from_proto _destruction_context
    _export_to_saved_model_graph _gather_saveables_for_checkpoint _handle_deferred_dependencies _lookup_dependency
    _maybe_initialize_trackable _name_based_attribute_restore _name_based_restores _no_dependency _object_identifier
    _preload_simple_restoration _resource_handle _resource_type _restore_from_tensors _serialize_to_proto
    _serialize_to_tensors _setattr_tracking _tf_api_names _tf_api_names_v1 _track_trackable _trackable_children
    _unconditional_checkpoint_dependencies _unconditional_dependency_names _update_uid add_slot resource_handle
    """.split()
)


@dataclass(frozen=True, slots=True)
class Loading:
    """What TensorFlow does with a graph of objects, each as often as it does it."""

    loading: list[str]  # functions that it calls
    constants: list[str]  # nodes whose value it makes a tensor
    tensors: list[Any]  # constants that are part of signatures


def check_objects(graph: Any, functions: Container[str], label: str) -> Loading:
    """Check the objects of a SavedModel; return what loading them takes, to be checked with the graphs.

    Args:
        graph: the objects, as a message.
        functions: the names of the functions that there are.
        label: what the file is called in errors.

    Raises:
        UnsafeModel: an object breaks a rule.
    """
    objects = graph.nodes
    for name, concrete in graph.concrete_functions.items():
        if name not in functions or not all(0 <= place < len(objects) for place in concrete.bound_inputs):
            refuse(label, f"its function {name!r:.80} refers to an object that is not there, or is not there itself")
    for node in objects:
        _check_kind(node, label)
        _check_references(node, graph, label)
    _check_sequences(objects, label)
    signatures = [
        *((c.canonicalized_input_signature, c.output_signature) for c in graph.concrete_functions.values()),
        *((spec.fullargspec, spec.input_signature) for node in objects for spec in _specs(node)),
    ]
    return Loading(
        loading=[name for node in objects for called in _called(node, objects, label) for name in _names(called)],
        constants=[node.constant.operation for node in objects],
        tensors=[tensor for pair in signatures for value in pair for tensor in _tensors(value, label)],
    )


def _specs(node: Any) -> Iterator[Any]:
    yield node.function.function_spec
    yield node.bare_concrete_function.function_spec


def _check_kind(node: Any, label: str) -> None:
    kind = node.WhichOneof("kind")
    if kind not in _OBJECT_KINDS or node.registered_name not in _REGISTERED or node.registered_saver:
        refuse(label, "it holds an object of an unknown kind, or of a class that somebody registered")
    if kind == "user_object" and not _IDENTIFIERS.fullmatch(node.user_object.identifier):
        refuse(label, f"it holds a {node.user_object.identifier!r:.80}, which is not TensorFlow's own")


def _check_references(node: Any, graph: Any, label: str) -> None:
    for child in (*node.children, *node.dependencies):
        if not 0 <= child.node_id < len(graph.nodes):
            refuse(label, "an object refers to one that is not there")
        if child.local_name in _RESERVED:
            refuse(label, f"an object has a {child.local_name!r}, which TensorFlow would call in place of its own")
    if any(name not in graph.concrete_functions for name in _names(node)):
        refuse(label, "an object is a function that is not there")


def _names(node: Any) -> list[str]:
    """Name the functions of the graph that an object stands for."""
    if node.WhichOneof("kind") == "bare_concrete_function":
        return [node.bare_concrete_function.concrete_function_name]
    return list(node.function.concrete_functions)


def _check_sequences(objects: Any, label: str) -> None:
    """Refuse lists that are longer than what they hold: TensorFlow makes them as long as the largest index asks for."""
    total = 0
    for node in objects:
        if node.user_object.identifier in _SEQUENCES:
            total += max((_index(child.local_name) for child in node.children), default=0)
    if total > len(objects) + _MAX_GAPS:
        refuse(label, f"its lists come to {total:,} places")


def _index(name: str) -> int:
    try:
        return int(name)  # as TensorFlow reads it, which ignores the others
    except ValueError:
        return 0


def _called(node: Any, objects: Any, label: str) -> Iterator[Any]:
    """Yield the functions that make, fill and restore what is no plain object."""
    called = []
    if node.WhichOneof("kind") == "resource" or node.registered_name == _TABLE:
        for child in (*node.children, *node.dependencies):
            if child.local_name in _TABLE_METHODS:
                called.append(child.node_id)
    for saveable in node.saveable_objects.values():
        called += (saveable.save_function, saveable.restore_function)
    for place in called:
        if not 0 <= place < len(objects) or objects[place].WhichOneof("kind") not in _FUNCTIONS:
            refuse(label, "what would be called while loading is no function")
        yield objects[place]


def _tensors(value: Any, label: str) -> Iterator[Any]:
    """Yield the constants in what describes the arguments of a function."""
    kind = value.WhichOneof("kind")
    if kind in ("tensor_value", "numpy_value"):
        yield getattr(value, kind)
    elif kind == "bounded_tensor_spec_value":
        yield from (value.bounded_tensor_spec_value.minimum, value.bounded_tensor_spec_value.maximum)
    elif kind == "type_spec_value":
        spec = value.type_spec_value
        if spec.type_spec_class == _REGISTERED_TYPE_SPEC and not spec.type_spec_class_name.startswith("tf."):
            refuse(label, f"a function takes a {spec.type_spec_class_name!r:.80}, a class that somebody registered")
        yield from _tensors(spec.type_state, label)
    elif kind in ("list_value", "tuple_value"):
        for item in getattr(value, kind).values:
            yield from _tensors(item, label)
    elif kind == "dict_value":
        for item in value.dict_value.fields.values():
            yield from _tensors(item, label)
    elif kind == "named_tuple_value":
        for pair in value.named_tuple_value.values:
            yield from _tensors(pair.value, label)

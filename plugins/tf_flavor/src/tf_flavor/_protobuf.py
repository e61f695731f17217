"""The protocol buffers of a SavedModel, read without TensorFlow, which takes seconds to import.

Field numbers and types are those of TensorFlow's ``saved_model.proto`` and of what it includes, where the meaning of
each field is told. What is not described here is dropped while reading, and TensorFlow is given what was read: so it
never sees a field that was not checked, nor another value of a field than the one that was. They live in a descriptor
pool of their own, so TensorFlow's messages and these never meet.
"""

from __future__ import annotations

from functools import cache
from typing import Any

__all__ = ["parse_message"]

# name:number:type, then the oneof that it belongs to; * is repeated, "map X" maps texts to X, "map uint32 X" numbers.
# Left out: what only TensorFlow 1, debuggers and gradients of gradients read.
_SCHEMA = {
    "SavedModel": ["saved_model_schema_version:1:int64", "*meta_graphs:2:MetaGraphDef"],
    "MetaGraphDef": [
        *("meta_info_def:1:MetaInfoDef", "graph_def:2:GraphDef", "saver_def:3:SaverDef"),
        *("*asset_file_def:6:AssetFileDef", "object_graph_def:7:SavedObjectGraph"),
    ],
    "MetaInfoDef": [
        *("meta_graph_version:1:string", "*tags:4:string", "tensorflow_version:5:string"),
        *("tensorflow_git_version:6:string", "stripped_default_attrs:7:bool", "*function_aliases:8:map string"),
    ],
    "GraphDef": ["*node:1:NodeDef", "versions:4:VersionDef", "library:2:FunctionDefLibrary"],
    "NodeDef": ["name:1:string", "op:2:string", "*input:3:string", "device:4:string", "*attr:5:map AttrValue"],
    "AttrValue": [
        *("s:2:bytes:value", "i:3:int64:value", "f:4:float:value", "b:5:bool:value", "type:6:int32:value"),
        *("shape:7:TensorShapeProto:value", "tensor:8:TensorProto:value", "list:1:ListValue:value"),
        *("func:10:NameAttrList:value", "placeholder:9:string:value"),
    ],
    "ListValue": [
        *("*s:2:bytes", "*i:3:int64", "*f:4:float", "*b:5:bool", "*type:6:int32", "*shape:7:TensorShapeProto"),
        *("*tensor:8:TensorProto", "*func:9:NameAttrList"),
    ],
    "NameAttrList": ["name:1:string", "*attr:2:map AttrValue"],
    "TensorProto": [
        *("dtype:1:int32", "tensor_shape:2:TensorShapeProto", "version_number:3:int32", "tensor_content:4:bytes"),
        *("*half_val:13:int32", "*float_val:5:float", "*double_val:6:double", "*int_val:7:int32"),
        *("*string_val:8:bytes", "*scomplex_val:9:float", "*int64_val:10:int64", "*bool_val:11:bool"),
        *("*dcomplex_val:12:double", "*uint32_val:16:uint32", "*uint64_val:17:uint64", "float8_val:18:bytes"),
    ],
    "TensorShapeProto": ["*dim:2:Dim", "unknown_rank:3:bool"],
    "Dim": ["size:1:int64", "name:2:string"],
    "FunctionDefLibrary": ["*function:1:FunctionDef", "*registered_gradients:3:RegisteredGradient"],
    "RegisteredGradient": ["gradient_func:1:string", "registered_op_type:2:string"],
    "FunctionDef": [
        *("signature:1:OpDef", "*attr:5:map AttrValue", "*arg_attr:7:map uint32 ArgAttrs"),
        *("*resource_arg_unique_id:8:map uint32 uint32", "*node_def:3:NodeDef", "*ret:4:map string"),
        "*control_ret:6:map string",
    ],
    "ArgAttrs": ["*attr:1:map AttrValue"],
    "OpDef": [
        *("name:1:string", "*input_arg:2:ArgDef", "*output_arg:3:ArgDef", "*control_output:20:string"),
        *("description:6:string", "is_stateful:17:bool"),
    ],
    "ArgDef": ["name:1:string", "description:2:string", "type:3:int32", "*handle_data:7:DtypeAndShape"],
    "DtypeAndShape": ["dtype:1:int32", "shape:2:TensorShapeProto"],
    "SaverDef": [
        *("filename_tensor_name:1:string", "save_tensor_name:2:string", "restore_op_name:3:string"),
        *("max_to_keep:4:int32", "sharded:5:bool", "keep_checkpoint_every_n_hours:6:float", "version:7:int32"),
    ],
    "AssetFileDef": ["tensor_info:1:TensorInfo", "filename:2:string"],
    "TensorInfo": ["name:1:string", "dtype:2:int32", "tensor_shape:3:TensorShapeProto"],
    "SavedObjectGraph": ["*nodes:1:SavedObject", "*concrete_functions:2:map SavedConcreteFunction"],
    "SavedConcreteFunction": [
        *("*bound_inputs:2:int32", "canonicalized_input_signature:3:StructuredValue"),
        "output_signature:4:StructuredValue",
    ],
    "SavedObject": [
        *("*children:1:ObjectReference", "*dependencies:15:ObjectReference", "*slot_variables:3:SlotVariableReference"),
        *("*saveable_objects:11:map SaveableObject", "registered_name:13:string", "registered_saver:16:string"),
        *("user_object:4:SavedUserObject:kind", "asset:5:SavedAsset:kind", "function:6:SavedFunction:kind"),
        *("variable:7:SavedVariable:kind", "bare_concrete_function:8:SavedBareConcreteFunction:kind"),
        *("constant:9:SavedConstant:kind", "resource:10:SavedResource:kind", "captured_tensor:12:CapturedTensor:kind"),
    ],
    "ObjectReference": ["node_id:1:int32", "local_name:2:string"],
    "SlotVariableReference": [
        *("original_variable_node_id:1:int32", "slot_name:2:string", "slot_variable_node_id:3:int32"),
    ],
    "SavedUserObject": ["identifier:1:string", "version:2:VersionDef", "metadata:3:string"],
    "SavedAsset": ["asset_file_def_index:1:int32"],
    "SavedFunction": ["*concrete_functions:1:string", "function_spec:2:FunctionSpec"],
    "SavedBareConcreteFunction": [
        *("concrete_function_name:1:string", "*argument_keywords:2:string", "allowed_positional_arguments:3:int64"),
        "function_spec:4:FunctionSpec",
    ],
    "FunctionSpec": [
        *("fullargspec:1:StructuredValue", "is_method:2:bool", "input_signature:5:StructuredValue"),
        "jit_compile:6:int32",
    ],
    "SavedVariable": [
        *("dtype:1:int32", "shape:2:TensorShapeProto", "trainable:3:bool", "synchronization:4:int32"),
        *("aggregation:5:int32", "name:6:string", "device:7:string"),
    ],
    "SavedConstant": ["operation:1:string"],
    "SavedResource": ["device:1:string"],
    "CapturedTensor": ["name:1:string", "concrete_function:2:string"],
    "SaveableObject": ["save_function:2:int32", "restore_function:3:int32"],
    "StructuredValue": [
        *("none_value:1:Nothing:kind", "float64_value:11:double:kind", "int64_value:12:sint64:kind"),
        *("string_value:13:string:kind", "bool_value:14:bool:kind", "tensor_shape_value:31:TensorShapeProto:kind"),
        *("tensor_dtype_value:32:int32:kind", "tensor_spec_value:33:TensorSpecProto:kind"),
        *("type_spec_value:34:TypeSpecProto:kind", "bounded_tensor_spec_value:35:BoundedTensorSpecProto:kind"),
        *("list_value:51:StructuredValues:kind", "tuple_value:52:StructuredValues:kind"),
        *("dict_value:53:DictValue:kind", "named_tuple_value:54:NamedTupleValue:kind"),
        *("tensor_value:55:TensorProto:kind", "numpy_value:56:TensorProto:kind"),
    ],
    "TensorSpecProto": ["name:1:string", "shape:2:TensorShapeProto", "dtype:3:int32"],
    "BoundedTensorSpecProto": [
        *("name:1:string", "shape:2:TensorShapeProto", "dtype:3:int32", "minimum:4:TensorProto"),
        "maximum:5:TensorProto",
    ],
    "TypeSpecProto": [
        *("type_spec_class:1:int32", "type_state:2:StructuredValue", "type_spec_class_name:3:string"),
        "num_flat_components:4:int32",
    ],
    "StructuredValues": ["*values:1:StructuredValue"],
    "DictValue": ["*fields:1:map StructuredValue"],
    "NamedTupleValue": ["name:1:string", "*values:2:PairValue"],
    "PairValue": ["key:1:string", "value:2:StructuredValue"],
    "BundleHeaderProto": ["num_shards:1:int32", "endianness:2:int32", "version:3:VersionDef"],
    "BundleEntryProto": [
        *("dtype:1:int32", "shape:2:TensorShapeProto", "shard_id:3:int32", "offset:4:int64", "size:5:int64"),
        "*slices:7:Nothing",
    ],
    "TrackableObjectGraph": ["*nodes:1:TrackableObject"],
    "TrackableObject": ["*attributes:2:SerializedTensor", "registered_saver:4:RegisteredSaver"],
    "SerializedTensor": ["checkpoint_key:3:string"],
    "RegisteredSaver": ["name:1:string"],
    "VersionDef": ["producer:1:int32", "min_consumer:2:int32", "*bad_consumers:3:int32"],
    "Nothing": [],
}
_PACKAGE = "palate_tf"


def parse_message(kind: str, data: bytes) -> Any | None:
    """Return *data* as a message of that kind, without what is not described here, or None if it is not one."""
    from google.protobuf.message import DecodeError

    message = _classes()[kind]()
    try:
        message.ParseFromString(data)
    except DecodeError:
        return None
    message.DiscardUnknownFields()
    return message


@cache
def _classes() -> dict[str, Any]:
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="palate_tf.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _SCHEMA.items():
        message = file.message_type.add(name=name)
        for field in fields:
            _add_field(message, field)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in _SCHEMA}


def _add_field(message: Any, text: str) -> None:
    name, number, kind, *oneof = text.lstrip("*").split(":")
    field = message.field.add(name=name, number=int(number), label=3 if text.startswith("*") else 1)
    if kind.startswith("map "):
        entry = message.nested_type.add(name="".join(part.title() for part in name.split("_")) + "Entry")
        entry.options.map_entry = True
        keys, values = (["string", *kind.split()[1:]])[-2:]
        _add_field(entry, f"key:1:{keys}")
        _add_field(entry, f"value:2:{values}")
        kind = f"{message.name}.{entry.name}"
    if kind[0].isupper():
        field.type, field.type_name = field.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
    else:
        field.type = getattr(field, f"TYPE_{kind.upper()}")
    if oneof:
        if oneof[0] not in [declared.name for declared in message.oneof_decl]:
            message.oneof_decl.add(name=oneof[0])
        field.oneof_index = [declared.name for declared in message.oneof_decl].index(oneof[0])

"""The protocol buffers of a SavedModel, as far as they are checked, read without TensorFlow, which takes seconds.

Field numbers and types are those of TensorFlow's ``saved_model.proto`` and of what it includes, where the meaning of
each field is told. They live in a descriptor pool of their own, so TensorFlow's messages and these never meet.
"""

from __future__ import annotations

from functools import cache
from typing import Any

__all__ = ["parse_message"]

# name:number:type, then the oneof that it belongs to; * is repeated, "map X" maps texts to X.
_SCHEMA = {
    "SavedModel": ["saved_model_schema_version:1:int64", "*meta_graphs:2:MetaGraphDef"],
    "MetaGraphDef": [
        *("graph_def:2:GraphDef", "saver_def:3:SaverDef", "*asset_file_def:6:AssetFileDef"),
        "object_graph_def:7:SavedObjectGraph",
    ],
    "GraphDef": ["*node:1:NodeDef", "library:2:FunctionDefLibrary"],
    "NodeDef": ["name:1:string", "op:2:string", "*attr:5:map AttrValue"],
    "AttrValue": ["tensor:8:TensorProto:value", "list:1:ListValue:value", "func:10:NameAttrList:value"],
    "ListValue": ["*tensor:8:TensorProto", "*func:9:NameAttrList"],
    "NameAttrList": ["name:1:string"],
    "TensorProto": ["dtype:1:int32", "tensor_shape:2:TensorShapeProto", "tensor_content:4:bytes"],
    "TensorShapeProto": ["*dim:2:Dim", "unknown_rank:3:bool"],
    "Dim": ["size:1:int64"],
    "FunctionDefLibrary": ["*function:1:FunctionDef"],
    "FunctionDef": ["signature:1:OpDef", "*node_def:3:NodeDef"],
    "OpDef": ["name:1:string"],
    "SaverDef": ["save_tensor_name:2:string", "restore_op_name:3:string"],
    "AssetFileDef": ["filename:2:string"],
    "SavedObjectGraph": ["*nodes:1:SavedObject", "*concrete_functions:2:map Nothing"],
    "SavedObject": [
        *("*children:1:ObjectReference", "*saveable_objects:11:map SaveableObject"),
        *("registered_name:13:string", "registered_saver:16:string", "user_object:4:SavedUserObject:kind"),
        *("asset:5:Nothing:kind", "function:6:SavedFunction:kind", "variable:7:Nothing:kind"),
        *("bare_concrete_function:8:SavedBareConcreteFunction:kind", "constant:9:Nothing:kind"),
        *("resource:10:Nothing:kind", "captured_tensor:12:Nothing:kind"),
    ],
    "SavedFunction": ["*concrete_functions:1:string"],
    "SavedBareConcreteFunction": ["concrete_function_name:1:string"],
    "SavedUserObject": ["identifier:1:string"],
    "SaveableObject": ["save_function:2:int32", "restore_function:3:int32"],
    "ObjectReference": ["node_id:1:int32"],
    "BundleHeaderProto": ["num_shards:1:int32", "endianness:2:int32", "version:3:VersionDef"],
    "BundleEntryProto": [
        *("dtype:1:int32", "shape:2:TensorShapeProto", "shard_id:3:int32", "offset:4:int64", "size:5:int64"),
        "*slices:7:Nothing",
    ],
    "VersionDef": ["producer:1:int32"],
    "Nothing": [],
}
_PACKAGE = "palate_tf"


def parse_message(kind: str, data: bytes) -> Any | None:
    """Return *data* as a message of that kind, or None if it is not one."""
    from google.protobuf.message import DecodeError

    message = _classes()[kind]()
    try:
        message.ParseFromString(data)
    except DecodeError:
        return None
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
        _add_field(entry, "key:1:string")
        _add_field(entry, f"value:2:{kind.removeprefix('map ')}")
        kind = f"{message.name}.{entry.name}"
    if kind[0].isupper():
        field.type, field.type_name = field.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
    else:
        field.type = getattr(field, f"TYPE_{kind.upper()}")
    if oneof:
        if oneof[0] not in [declared.name for declared in message.oneof_decl]:
            message.oneof_decl.add(name=oneof[0])
        field.oneof_index = [declared.name for declared in message.oneof_decl].index(oneof[0])

"""What a .skops file would build, read without building it and without importing anything it names.

Skops' own audit asks one question, "is this type trusted?", wherever the name stands. This one also asks *how* a name
is used: skops would call a class named by a ListNode, and resolve a FunctionNode, with the same permission. And it
follows skops' memory of ``__id__``: a node whose id was seen before is replaced by the earlier one, so two nodes of
one id must have one structure, or what was audited would not be what is built.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NoReturn

from palate.errors import UnsafeModel
from palate.hookspecs import EmbeddedType
from sklearn_flavor._archive import SkopsArchive
from sklearn_flavor._curated import (
    BIT_GENERATORS,
    CALLED,
    FUNCTIONS,
    LOADER_CLASSES,
    LOSS_MODULES,
    OBJECTS,
    TYPES,
    UFUNC_MODULES,
)

__all__ = ["Contents", "audit_archive"]

_PROTOCOLS = (1, 2)  # the skops formats whose nodes this module knows; 0 came from skops before 0.8
_MAX_DEPTH = 100
_MAX_TEXT = 16 << 20
# What skops' nodes of several parts call them.
_PARTS = {
    "DefaultDictNode": ("main", "default_factory"),
    "MaskedArrayNode": ("data", "mask"),
    "PartialNode": ("func", "args", "kwds", "namespace"),
}

Node = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Contents:
    """What a file names.

    Attributes:
        named: every class and function that is not skops' own business, for skops' ``trusted=``.
        unknown: those of them that our list does not allow, with how each is used.
        lossy: dict keys that skops reads back as something else.
    """

    named: frozenset[str]
    unknown: Mapping[str, str]
    lossy: frozenset[str]


def audit_archive(
    archive: SkopsArchive,
    *,
    embedded: Callable[[str], EmbeddedType | None],
    allow: frozenset[str] = frozenset(),
    trust: bool = False,
) -> Contents:
    """Return what *archive* names; *allow* adds names to our list, *trust* lets any name and any node pass.

    *embedded* finds what other flavors say of their own classes.

    Raises:
        UnsafeModel: when the document is not one that skops writes.
    """
    protocol = archive.schema.get("protocol")
    if isinstance(protocol, bool) or protocol not in _PROTOCOLS:
        newer = isinstance(protocol, int) and protocol > max(_PROTOCOLS)
        raise UnsafeModel(
            archive.file,
            rule=f"its skops protocol is {protocol!r:.40}, and this version reads {_PROTOCOLS[0]} and {_PROTOCOLS[1]}",
            hint="upgrade palate-sklearn" if newer else "save the model again with a current version of skops",
        )
    auditor = _Auditor(archive, embedded, allow, trust)
    auditor.visit(archive.schema, 0)
    if unused := archive.members - auditor.owners.keys():
        raise UnsafeModel(archive.file, rule=f"it has {len(unused)} member(s) that its schema does not mention")
    return Contents(frozenset(auditor.named), dict(sorted(auditor.unknown.items())), frozenset(auditor.lossy))


@dataclass(slots=True)
class _Auditor:
    archive: SkopsArchive
    embedded: Callable[[str], EmbeddedType | None]
    allow: frozenset[str]
    trust: bool
    named: set[str] = field(default_factory=set)
    unknown: dict[str, str] = field(default_factory=dict)
    lossy: set[str] = field(default_factory=set)
    # The __id__ of the object that each member belongs to.
    owners: dict[str, object] = field(default_factory=dict)
    vouched: set[tuple[str, tuple[Any, ...]]] = field(default_factory=set)
    # Structures are numbered as they are met, so that comparing two of any size is comparing two numbers.
    structures: dict[tuple[Any, ...], int] = field(default_factory=dict)
    of_id: dict[int, int] = field(default_factory=dict)

    def refuse(self, rule: str) -> NoReturn:
        raise UnsafeModel(self.archive.file, rule=rule)

    def visit(self, node: object, depth: int) -> int:
        """Audit *node* and everything in it; return the number of its structure."""
        if depth > _MAX_DEPTH:
            self.refuse(f"its objects are nested deeper than {_MAX_DEPTH}")
        if not isinstance(node, dict):
            self.refuse("a node of its schema is not a mapping")
        loader, module, name = (self.text(node, key) for key in ("__loader__", "__module__", "__class__"))
        handler = self.HANDLERS.get(loader)
        if handler is None:
            self.refuse(f"it has a node of kind {loader!r:.60}, which no current version of skops writes")
        content = handler(self, node, f"{module}.{name}", depth)
        structure = self.structures.setdefault((loader, module, name, content), len(self.structures))
        return self.remember(node, structure)

    def remember(self, node: Node, structure: int) -> int:
        identity = node.get("__id__")
        if identity is None:
            return structure
        if isinstance(identity, bool) or not isinstance(identity, int):
            self.refuse("an __id__ of its schema is not an integer")
        if self.of_id.setdefault(identity, structure) != structure:
            self.refuse("one __id__ of its schema stands for two different objects")
        return structure

    def text(self, node: Node, key: str) -> str:
        value = node.get(key)
        if not isinstance(value, str) or len(value) > _MAX_TEXT:
            self.refuse(f"a node of its schema has no text under {key!r}")
        return value

    def part(self, node: Node, key: str, kind: type) -> Any:
        value = node.get(key)
        if not isinstance(value, kind):
            self.refuse(f"a {node.get('__loader__', 'part')} of its schema is malformed at {key!r}")
        return value

    def require(self, name: str, permitted: frozenset[str], use: str) -> None:
        """Note that the file uses *name*, and whether that is permitted."""
        self.named.add(name)
        if name not in permitted and name not in self.allow:
            self.unknown.setdefault(name, use)

    # -- one method for each kind of node ------------------------------------------------------------------------

    def json_value(self, node: Node, name: str, _depth: int) -> tuple[Any, ...]:
        self.fixed_class(node, name)
        content = self.text(node, "content")
        if content.lstrip()[:1] in ("[", "{", ""):
            self.refuse("a JsonNode of its schema holds a container")
        return (content,)

    def sequence(self, node: Node, name: str, depth: int) -> tuple[Any, ...]:
        self.fixed_class(node, name)
        return tuple(self.visit(item, depth + 1) for item in self.part(node, "content", list))

    def mapping(self, node: Node, name: str, depth: int) -> tuple[Any, ...]:
        self.fixed_class(node, name)
        content = self.part(node, "content", dict)
        key_types = self.part(node, "key_types", dict)
        if _loader_of(key_types) != "ListNode":
            self.refuse("the key types of a dict are not a list")
        types = self.part(key_types, "content", list)
        kinds = [kind.get("__class__") if isinstance(kind, dict) else None for kind in types]
        if len(kinds) != len(content) or any(_loader_of(kind) != "TypeNode" for kind in types):
            self.refuse("the key types of a dict do not match its keys")
        # Skops reads a key back as its type called on its text: bool("false") is True, and NoneType takes no text.
        self.lossy.update(kind for kind in kinds if kind in ("bool", "bool_", "NoneType"))
        first = self.visit(key_types, depth + 1)
        return (first, *((key, self.visit(value, depth + 1)) for key, value in content.items()))

    def binary(self, node: Node, name: str, _depth: int) -> tuple[Any, ...]:
        self.fixed_class(node, name)
        # Skops takes the content of the first node of an __id__ for all of them, so the content is part of it.
        return (hashlib.sha256(self.archive.content(self.member(node, ".bin"))).digest(),)

    def slicing(self, node: Node, name: str, _depth: int) -> tuple[Any, ...]:
        self.fixed_class(node, name)
        content = self.part(node, "content", dict)
        steps = tuple(content.get(key) for key in ("start", "stop", "step"))
        if any(not (step is None or isinstance(step, int | str)) for step in steps):
            self.refuse("a slice of its schema is malformed")
        return steps

    def function(self, _node: Node, name: str, _depth: int) -> tuple[Any, ...]:
        if not _is_ufunc(name):
            self.require(name, FUNCTIONS, "a function")
        return ()

    def type_reference(self, _node: Node, name: str, _depth: int) -> tuple[Any, ...]:
        # A function written in C, such as numpy.array, is stored in the same kind of node as a class.
        if name not in TYPES:
            self.require(name, FUNCTIONS, "a class or function")
        else:
            self.named.add(name)
        return ()

    def called(self, node: Node, name: str, depth: int) -> tuple[Any, ...]:
        self.require(name, CALLED, "a class to call")
        return (self.visit(node.get("content"), depth + 1),)

    def instance(self, node: Node, name: str, depth: int) -> tuple[Any, ...]:
        # Estimators are left to skops, which lists those of the installed scikit-learn for this kind of node alone.
        foreign = self.embedded(name) if not name.startswith("sklearn.") and name not in OBJECTS else None
        if self.trust or name in OBJECTS | self.allow or not name.startswith("sklearn."):
            self.require(name, OBJECTS | {foreign.name} if foreign else OBJECTS, "a class")
        content = node.get("content")
        structure = () if content is None else (self.visit(content, depth + 1),)
        if foreign is not None and (name, structure) not in self.vouched:
            if broken := foreign.check(self.attributes(node)):
                self.refuse(f"its {name}: {broken}")
            self.vouched.add((name, structure))
        return structure

    def attributes(self, node: Node) -> Mapping[str, object]:
        """Return the attributes of an object whose parts have been visited, as ``EmbeddedType.check`` takes them."""
        content = node.get("content")
        values = self.plain(content) if content is not None else {}
        if not isinstance(values, dict):
            self.refuse("the attributes of an object are not a dict")
        return values

    def number_or_text(self, content: str) -> object:
        try:
            return json.loads(content)
        except ValueError as exc:
            raise UnsafeModel(self.archive.file, rule="a JsonNode of its schema holds no JSON") from exc

    def plain(self, node: Node) -> object:
        match node["__loader__"]:
            case "JsonNode":
                return self.number_or_text(node["content"])
            case "BytesNode" | "BytearrayNode":
                return self.archive.content(node["file"])
            case "ListNode" | "TupleNode":
                return [self.plain(item) for item in node["content"]]
            case "DictNode":
                return {key: self.plain(value) for key, value in node["content"].items()}
            case _:
                return ...

    def array(self, node: Node, name: str, depth: int) -> tuple[Any, ...]:
        kind = node.get("type")
        if kind == "numpy":
            header = self.archive.arrays[self.member(node, ".npy")]
            is_scalar = name in TYPES and name.startswith("numpy.") and header[0] == ()
            if name != "numpy.ndarray" and not is_scalar:
                self.require(name, frozenset(), "a class to call")
            return header
        if kind != "json" or name != "numpy.ndarray":
            self.refuse("an array of its schema is malformed")
        items = tuple(self.visit(item, depth + 1) for item in self.part(node, "content", list))
        return (*items, self.visit(node.get("shape"), depth + 1))

    def composed(self, node: Node, name: str, depth: int) -> tuple[Any, ...]:
        self.fixed_class(node, name)
        content = self.part(node, "content", dict)
        return tuple(self.visit(content.get(key), depth + 1) for key in _PARTS[node["__loader__"]])

    def wrapped(self, node: Node, name: str, depth: int) -> tuple[Any, ...]:
        self.fixed_class(node, name)
        return (self.visit(node.get("content"), depth + 1),)

    def generator(self, node: Node, name: str, depth: int) -> tuple[Any, ...]:
        self.fixed_class(node, name)
        content = self.part(node, "content", dict)
        label: Any = content
        for key in ("bit_generator", "content", "bit_generator", "content"):
            label = label.get(key) if isinstance(label, dict) else None
        if label not in {json.dumps(known) for known in BIT_GENERATORS}:
            self.refuse(f"a random generator is of kind {label!r:.40}")
        return tuple(self.visit(content[key], depth + 1) for key in ("bit_generator", "seed_seq") if key in content)

    def sparse(self, node: Node, name: str, _depth: int) -> tuple[Any, ...]:
        self.fixed_class(node, name)
        self.member(node, ".npz")
        return ()

    def loss(self, node: Node, name: str, depth: int) -> tuple[Any, ...]:
        if node["__module__"] not in LOSS_MODULES:
            self.require(name, frozenset(), "a class to call")
        reduced = self.part(node, "__reduce__", dict)
        return tuple(self.visit(part, depth + 1) for part in (node.get("content"), reduced.get("args")))

    def tree(self, node: Node, name: str, depth: int) -> tuple[Any, ...]:
        """Check what the constructor of a Tree reads beyond the end of: the number of outputs against n_classes."""
        self.fixed_class(node, name)
        args = self.part(self.part(node, "__reduce__", dict), "args", dict)
        given = self.part(args, "content", list) if args.get("__loader__") == "TupleNode" else []
        if len(given) != 3 or any(not isinstance(arg, dict) for arg in given):
            self.refuse("a decision tree is malformed")
        classes, outputs = given[1], given[2]
        structure = tuple(self.visit(part, depth + 1) for part in (node.get("content"), args))
        shape = self.archive.arrays.get(str(classes.get("file")), ((), ""))[0]
        if outputs.get("__loader__") != "JsonNode" or shape != (_small_int(outputs.get("content")),):
            self.refuse("a decision tree says it has more outputs than it lists")
        return structure

    def opaque(self, node: Node, name: str, depth: int) -> tuple[Any, ...]:
        """Pass a node that runs what it names, under trust only."""
        self.require(name, frozenset(), f"used through skops' {node['__loader__']}")
        parts = [node.get("attrs"), node.get("content")]
        return tuple(self.visit(part, depth + 1) for part in parts if isinstance(part, dict) and "__loader__" in part)

    def bound_method(self, node: Node, name: str, depth: int) -> tuple[Any, ...]:
        content = self.part(node, "content", dict)
        method = f"{name}.{self.text(content, 'func')}"
        self.require(method, frozenset(), "a method")
        return (content["func"], self.visit(content.get("obj"), depth + 1))

    # -- what the handlers share -------------------------------------------------------------------------------

    def fixed_class(self, node: Node, name: str) -> None:
        self.require(name, LOADER_CLASSES[node["__loader__"]], "a class to call")

    def member(self, node: Node, suffix: str) -> str:
        file = node.get("file")
        if not isinstance(file, str) or file not in self.archive.members or not file.endswith(suffix):
            self.refuse(f"a {node['__loader__']} of its schema names no member of the file")
        # Skops reads a member anew for each object that names it: a small file would become a large model.
        identity = (id(node),) if node.get("__id__") is None else node["__id__"]
        if self.owners.setdefault(file, identity) != identity:
            self.refuse(f"two objects of its schema name the member {file}")
        return file

    HANDLERS: ClassVar[Mapping[str, Callable[[_Auditor, Node, str, int], tuple[Any, ...]]]] = {
        "JsonNode": json_value,
        "ListNode": sequence,
        "TupleNode": sequence,
        "SetNode": sequence,
        "DictNode": mapping,
        "DefaultDictNode": composed,
        "BytesNode": binary,
        "BytearrayNode": binary,
        "SliceNode": slicing,
        "FunctionNode": function,
        "TypeNode": type_reference,
        "ConstructorFromReduceNode": called,
        "ObjectNode": instance,
        "PartialNode": composed,
        "NdArrayNode": array,
        "MaskedArrayNode": composed,
        "DTypeNode": wrapped,
        "RandomStateNode": wrapped,
        "RandomGeneratorNode": generator,
        "SparseMatrixNode": sparse,
        "LossNode": loss,
        "TreeNode": tree,
        "MethodNode": bound_method,
        "OperatorFuncNode": opaque,
    }


def _loader_of(node: object) -> object:
    return node.get("__loader__") if isinstance(node, dict) else None


def _small_int(text: object) -> int | None:
    return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 10 else None


def _is_ufunc(name: str) -> bool:
    module, _, attribute = name.rpartition(".")
    if module not in UFUNC_MODULES:
        return False
    import numpy

    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ImportError:
        # numpy moved these modules between 1 and 2; a name from the other side cannot be loaded anyway.
        return False
    return isinstance(found, numpy.ufunc)

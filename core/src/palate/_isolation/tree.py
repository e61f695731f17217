"""What the modules that encode one family of types see of a message: a tree of JSON, and bytes beside it."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

__all__ = ["Junk", "Node", "TreeReader", "TreeWriter"]

Node: TypeAlias = Any
"""A part of the tree: JSON data."""


class Junk(ValueError):
    """A message is not what Palate writes."""


class TreeWriter(Protocol):
    """Encodes values; their bytes gather beside the tree."""

    def add(self, content: Any) -> int:
        """Take bytes that shall lie beside the tree, and return the number that refers to them."""

    def encode(self, value: object) -> Node:
        """Return *value* as a part of the tree. Raises NotTransferable if it is of a type that does not cross."""


class TreeReader(Protocol):
    """Decodes what a writer wrote."""

    def take(self, number: object) -> memoryview:
        """Return the bytes that a number refers to, which the value may keep. Raises Junk if there are none."""

    def decode(self, node: Node) -> Any:
        """Return the value of a part of the tree. Raises Junk if it is none."""

"""What is known of a served model without opening it; protocols, documents and validation are made from this alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from palate.signature import Signature

__all__ = ["ModelContract"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelContract:
    """A model as clients see it.

    Attributes:
        name: its name in URLs.
        version: its version in URLs: digits.
        default_method: what a protocol without methods calls.
        signatures: by method, the default one first; a signature without inputs takes whatever comes.
        flavor: the flavor that opens it.
        example: a request body for it in MLflow's form, as saved beside the model, or None.
        facts: what a page or a metadata answer may show besides: digest, model_uuid, created, mlflow_version.
    """

    name: str
    version: str
    default_method: str
    signatures: Mapping[str, Signature]
    flavor: str
    example: bytes | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Which model it is, in words: its name, its version and its identity."""
        digest = self.facts.get("digest")
        return f"{self.name} version {self.version}" + (f" (sha256 {digest})" if digest else "")

    @property
    def signature(self) -> Signature:
        """The signature of the default method."""
        return self.signatures[self.default_method]

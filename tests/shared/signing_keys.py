"""Keys for tests, and a model to sign with them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from sklearn.linear_model import LinearRegression

import palate

__all__ = ["make_key", "save_model", "write_key"]

CURVES: dict[str, ec.EllipticCurve] = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}


def make_key(curve: str = "P-256") -> ec.EllipticCurvePrivateKey:
    """Return a new key."""
    return ec.generate_private_key(CURVES[curve])


def write_key(key: ec.EllipticCurvePrivateKey, folder: Path, name: str, *, password: str = "") -> tuple[Path, Path]:
    """Write a key and its public half; return their files."""
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    secrecy = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secrecy))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public


def save_model(path: Path, *, slope: float = 1.0) -> Path:
    """Save a model of one line, with a folder in it, and a file whose name sorts before or after what is in that."""
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0]})
    palate.save_model(LinearRegression().fit(frame, frame["a"] * slope), path, input_example=frame)
    (path / "notes").mkdir()
    (path / "notes" / "card.md").write_text(f"# A line of slope {slope}\n")
    (path / "notes-of-a-day.txt").write_text("dry\n")
    palate.accept_changes(path)
    return path

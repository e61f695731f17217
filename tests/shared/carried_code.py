"""Modules that models bring, for tests of how each keeps its own."""

from __future__ import annotations

import textwrap
from pathlib import Path

from palate._code.model_code import ModelCode


def write(root: Path, **files: str) -> Path:
    """Write Python files; "a__b" is a/b.py and "a__" is the __init__.py of a."""
    for name, text in files.items():
        path = root / (
            name.replace("__", "/") + "__init__.py" if name.endswith("__") else name.replace("__", "/") + ".py"
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return root


def two_models(folder: Path) -> list[ModelCode]:
    """Return the code of two models, whose modules have the same names."""
    codes = []
    for word in ("first", "second"):
        root = write(
            folder / word / "code",
            shop__="from . import prices",
            shop__prices=f"WORD = {word!r}",
            shop__late=f"from .prices import WORD\nLATE = WORD + '-{word}'",
            entry="""
                import shop.prices as p
                def now(): return p.WORD
                def late():
                    import shop.late
                    return shop.late.LATE
                def later():
                    from shop import late
                    return late.LATE
                class Thing:
                    def __init__(self): self.word = now()
            """,
        )
        codes.append(ModelCode(root))
    return codes

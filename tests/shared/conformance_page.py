"""The list of the kit's checks in docs/conformance.md, made from the checks; run as a script, it rewrites the page."""

from __future__ import annotations

from pathlib import Path

from palate.testing import FlavorContract
from palate.testing._contract import CHECKS, why

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"
BEGIN, END = "<!-- begin: written by tests/shared/conformance_page.py -->\n", "<!-- end -->\n"


def render_checks() -> str:
    """Return a table of checks for each class that the kit is made of, in the order of the classes."""
    sections = []
    for part in FlavorContract.__mro__[1:]:
        checks = [name for name in vars(part) if name in CHECKS]
        if checks:
            title = (part.__doc__ or "").strip().splitlines()[0].rstrip(".")
            rows = [f"| `{check}` | {why(check)} |" for check in checks]
            sections.append("\n".join([f"### {title}", "", "| check | why |", "|---|---|", *rows, ""]))
    return "\n".join([f"There are {len(CHECKS)}.", "", *sections])


def written_checks() -> str:
    """Return what stands in the page."""
    return PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    head, tail = text.partition(BEGIN)[0], text.partition(END)[2]
    PAGE.write_text(f"{head}{BEGIN}{render_checks()}{END}{tail}", encoding="utf-8")

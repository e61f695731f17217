"""The list of the kit's checks in docs/conformance.md, made from the checks; run as a script, it rewrites the page."""

from __future__ import annotations

from pathlib import Path

from palate.testing._contract import CHECKS, TOPICS, why

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"
BEGIN, END = "<!-- begin: written by tests/shared/conformance_page.py -->\n", "<!-- end -->\n"


def render_checks() -> str:
    """Return a table of checks for each topic, in the order of the kit."""
    sections = []
    for topic, checks in TOPICS.items():
        rows = [f"| `{check}` | {why(check)} |" for check in checks]
        sections.append("\n".join([f"### {topic}", "", "| check | why |", "|---|---|", *rows, ""]))
    return "\n".join([f"There are {len(CHECKS)}.", "", *sections])


def written_checks() -> str:
    """Return what stands in the page."""
    return PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    head, tail = text.partition(BEGIN)[0], text.partition(END)[2]
    PAGE.write_text(f"{head}{BEGIN}{render_checks()}{END}{tail}", encoding="utf-8")

"""A page of documentation as its reader would follow it: files are written, commands run, their output compared.

Blocks are taken in the order of the page. What stands after the language says what a block is:

* ```` ```python file=NAME ````, any language: the file of that name, as it is now.
* ```` ```python append=NAME ````: what is added to it, below two blank lines.
* ```` ```diff file=NAME ````: what is changed in it, each place after a line ``@@``.
* ```` ```console ````: commands, each after ``$ ``, and below each what it prints: of its lines these, in this order;
  where ``…`` stands, anything may. ``fails`` says that the commands of the block do not succeed. ``cd``, ``export`` and
  ``unset`` hold for those that follow.

Other blocks are only shown, and a test may refuse them.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
import venv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Block", "follow", "make_environment", "read_blocks"]

_BLOCK = re.compile(r"^```(\w+)([^\n`]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_COMMAND = re.compile(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Block:
    """One fenced block of a page.

    Attributes:
        language: ``python``, ``console``, …
        facts: what else is said of it, such as ``file=train.py``.
        text: what is in it.
    """

    language: str
    facts: Mapping[str, str]
    text: str


def read_blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page, in their order."""
    found = []
    for language, words, text in _BLOCK.findall(page.read_text(encoding="utf-8")):
        facts = {word.partition("=")[0]: word.partition("=")[2] for word in words.split()}
        found.append(Block(language=language, facts=facts, text=text))
    return found


def follow(blocks: list[Block], folder: Path, environment: Mapping[str, str]) -> None:
    """Do in *folder* what the blocks say; fail with the first command that does something else."""
    place, variables = folder, dict(environment)
    for block in blocks:
        if name := block.facts.get("file") or block.facts.get("append"):
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(_new_text(block, file))
        elif block.language == "console":
            for command, output in _COMMAND.findall(block.text):
                verb, _, rest = command.partition(" ")
                if verb == "cd":
                    place = place / rest
                elif verb == "unset":
                    del variables[rest]
                elif verb == "export":
                    name, _, value = rest.partition("=")
                    variables[name] = value.replace("$PWD", str(place))
                else:
                    _run(command, output.splitlines(), place, variables, fails="fails" in block.facts)


def make_environment(folder: Path) -> dict[str, str]:
    """Make a virtual environment in *folder* with all that this one has, and return the variables that it is used by.

    What is installed there stays there. ``python`` and ``palate`` are found by name.
    """
    venv.EnvBuilder(with_pip=False, symlinks=True).create(folder)
    scripts = folder / "bin"
    ours = Path(sys.executable).parent
    [site] = folder.glob("lib/python*/site-packages")
    here = next(path for path in map(Path, sys.path) if path.name == "site-packages")
    (site / "all_of_the_other.pth").write_text(f"import site; site.addsitedir({str(here)!r})\n")
    palate = f"#!{scripts / 'python'}\nfrom palate.cli import main\nmain()\n"
    (scripts / "palate").write_text(palate)
    (scripts / "palate").chmod(0o755)
    # Not those of the tests themselves: pytest would be told to write its report where ours goes, and the like.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "PALATE_", "PYTHON"))}
    path = os.pathsep.join([str(scripts), str(ours), kept.get("PATH", "")])
    return {**kept, "PATH": path, "VIRTUAL_ENV": str(folder), "COLUMNS": "80", "PYTHONDONTWRITEBYTECODE": "1"}


def _new_text(block: Block, file: Path) -> str:
    if "append" in block.facts:
        return f"{file.read_text()}\n\n{block.text}"  # two blank lines, as between functions
    if block.language != "diff":
        return block.text
    text = file.read_text()
    for hunk in block.text.split("@@\n"):
        lines = hunk.splitlines(keepends=True)
        old, new = ("".join(line[1:] for line in lines if line[0] in signs) for signs in (" -", " +"))
        assert not hunk or text.count(old) == 1, f"{file.name} does not have this once:\n{old}"
        text = text.replace(old, new) if hunk else text
    return text


def _run(command: str, wanted: list[str], place: Path, environment: Mapping[str, str], *, fails: bool) -> None:
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=place,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    told = f"$ {command}\n{textwrap.indent(done.stdout[-8000:], '    ')}"
    assert (done.returncode != 0) is fails, f"it exited with {done.returncode}\n{told}"
    printed = iter(done.stdout.splitlines())
    for line in filter(None, (line.strip() for line in wanted)):
        if line != "…":
            assert _is_printed(line, printed), f"the page says that this is printed: {line}\n{told}"


def _is_printed(line: str, printed: Iterator[str]) -> bool:
    """Whether *line* is among the rest of what was printed, which is read up to there."""
    pattern = re.compile(".*".join(map(re.escape, (" ".join(part.split()) for part in line.split("…")))))
    return any(pattern.fullmatch(" ".join(other.split())) for other in printed)

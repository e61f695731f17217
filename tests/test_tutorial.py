"""The tutorial is true: who follows it to the letter ends with a flavor that keeps every promise."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import nullcontext
from pathlib import Path

import pytest
from executed_page import follow, make_environment, read_blocks

PAGE = Path(__file__).parent.parent / "docs" / "writing-a-flavor.md"


def test_nothing_on_the_page_is_only_shown() -> None:
    """Each block is a file, a change of one, or commands: none is left out of the run."""
    for block in read_blocks(PAGE):
        assert block.language == "console" or block.facts.keys() & {"file", "append"}, block.text
    assert PAGE.read_text().count("\n```") == 2 * len(read_blocks(PAGE))


SAID = """
```text file=a.txt
one
two
```
```text append=a.txt
three
```
```diff file=a.txt
@@
 one
-two
+2
```
```console
$ export WORD=three
$ cat a.txt
one
…
t…e
$ grep "$WORD" a.txt
```
```console fails
$ cat b.txt
```
"""


@pytest.mark.parametrize(
    ("said", "instead"),
    [
        ("", ""),
        ("one\n…", "2\n…\none"),
        ("t…e", "t…n"),
        (" one\n-two", " one\n-2"),
        ("WORD=three", "WORD=two"),
        ("console fails", "console"),
        ("cat b.txt", "cat a.txt"),
        ("append=", "file="),
    ],
)
def test_a_page_that_is_wrong_is_found(tmp_path: Path, said: str, instead: str) -> None:
    """A line that is not printed or comes earlier, a change that does not fit, a command that fails or does not."""
    page = tmp_path / "page.md"
    page.write_text(SAID.replace(said, instead))
    with nullcontext() if said == "" else pytest.raises(AssertionError):
        follow(read_blocks(page), tmp_path, os.environ)


@pytest.mark.slow
def test_following_the_page_leads_to_a_flavor(tmp_path: Path) -> None:
    """Files are written, commands succeed or fail as it says and print what it says; the kit asks all but MLflow, and
    of arrays."""
    environment = make_environment(tmp_path / "environment")
    folder = tmp_path / "an empty folder"
    folder.mkdir()
    follow(read_blocks(PAGE), folder, environment)
    command = ["palate", "flavors", "check", "bayes", "--json"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    [case] = json.loads(done.stdout)["cases"]
    assert case["conforms"]
    missing = [result["check"] for result in case["checks"] if result["outcome"] != "passed"]
    assert missing == ["test_array_is_predicted_as_its_table", "test_stock_mlflow_predicts_the_same"]

"""The grammar of symbolic sizes, asked by several threads at once."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import gc, sys, threading
from torch_flavor._expressions import expression_problem

# Each garbage collection runs Python, which lets other threads in: amid the making of a tree, too.
gc.callbacks.append(lambda *_: [None for _ in range(20)])
gc.set_threshold(5, 2, 2)
sys.setswitchinterval(1e-6)
found = []

def ask():
    for _ in range(500):
        found.append(expression_problem("Add(" * 20 + "Integer(1)" + ")" * 20))

threads = [threading.Thread(target=ask) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(found), set(found))
"""


def test_threads_parse_one_after_the_other() -> None:
    """Python 3.11 mixes up threads that parse at once, and calls it a fault of its own."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout.split(maxsplit=1) == ["2000", "{None}\n"], done.stderr

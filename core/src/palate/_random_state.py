"""Keep the process's random number generators as they were."""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Iterator

__all__ = ["keep_random_state"]


@contextlib.contextmanager
def keep_random_state() -> Iterator[None]:
    """Restore the global generators of Python, numpy and torch on exit.

    A model that draws numbers while it proves itself must not change the experiment around it. What other threads draw
    from them meanwhile is drawn again.
    """
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch.random")
    python_state = random.getstate()
    numpy_state = numpy.random.get_state() if numpy else None
    torch_state = torch.get_rng_state() if torch else None
    try:
        yield
    finally:
        random.setstate(python_state)
        if numpy is not None:
            numpy.random.set_state(numpy_state)
        if torch is not None:
            torch.set_rng_state(torch_state)

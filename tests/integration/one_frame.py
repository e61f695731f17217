"""Thirty-two threads read one and the same polars DataFrame as a pyarrow Table, again and again; prints how often."""

from __future__ import annotations

import sys

import polars as pl

from palate._containers.arrow import to_arrow
from palate.testing._threads import at_once

_TIMES = 50


def main() -> None:
    """Read it in threads that change places all the time."""
    # To tell the type of a column of times polars runs Python, amid which another thread's turn comes.
    frame = pl.DataFrame([pl.Series(f"time_{number}", [0], pl.Datetime("us")) for number in range(30)])
    wanted = to_arrow(frame)
    sys.setswitchinterval(1e-5)
    print(sum(at_once(lambda _: sum(to_arrow(frame).equals(wanted) for _ in range(_TIMES)))))


if __name__ == "__main__":
    main()

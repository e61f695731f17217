"""Computing in a forked process, which has none of the threads that its parent computed with."""

from __future__ import annotations

import os

import torch

__all__ = ["settle"]

_settled = os.getpid()


def settle() -> None:
    """Let torch compute in one thread, from the first call in a forked process on.

    GNU's OpenMP waits for ever for threads that stayed with the parent. The workers of torch's own DataLoader do the
    same; who wants more threads in a child, and has computed nothing in its parent, calls ``torch.set_num_threads``
    after the first prediction.
    """
    global _settled
    if os.getpid() != _settled:
        torch.set_num_threads(1)
        _settled = os.getpid()

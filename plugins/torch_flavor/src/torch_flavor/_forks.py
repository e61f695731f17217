"""Computing in a forked process, which has none of the threads that its parent computed with."""

from __future__ import annotations

import os

import torch

__all__ = ["use_one_thread_if_forked"]

_known_process = os.getpid()


def use_one_thread_if_forked() -> None:
    """Let torch compute in one thread, from the first call in a forked process on.

    GNU's OpenMP waits for ever for threads that stayed with the parent. The workers of torch's own DataLoader do the
    same; who wants more threads in a child, and has computed nothing in its parent, calls ``torch.set_num_threads``
    after the first prediction.
    """
    global _known_process
    if os.getpid() != _known_process:
        torch.set_num_threads(1)
        _known_process = os.getpid()

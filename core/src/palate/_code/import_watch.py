"""What the code of one model imports while it is loaded and predicts.

Its own import statements and calls of ``import_module`` come through its private import (``model_code``), which notes
them here. What libraries import only when the model calls them, as pandas does with openpyxl, is seen by a finder in
``sys.meta_path`` that finds nothing. It looks at who asks: the code of the model has builtins of its own, so its frames
are told apart from the host's, and other threads and models that import at the same moment leave no trace. What a
library imports while it is being imported itself is a matter of its own requirements.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from types import FrameType, ModuleType
from typing import Any

__all__ = ["ImportWatch"]


class ImportWatch:
    """Collects what is imported while ``watching()``.

    Attributes:
        names: the modules, once the watch is over; dotted where the dots tell distributions apart.
    """

    def __init__(self) -> None:
        self.names: frozenset[str] = frozenset()
        self._seen: set[str] = set()
        self._builtins: dict[str, Any] | None = None

    def belong_to(self, builtins: dict[str, Any]) -> None:
        """Watch the code that has these *builtins*."""
        self._builtins = builtins

    def note(self, name: str, members: Sequence[str] = ()) -> None:
        """Note a module that the model's code has imported, and those of its *members* that may be modules."""
        self._seen.add(name)
        if _is_shared(sys.modules.get(name)):
            self._seen.update(f"{name}.{member}" for member in members)

    def see(self, name: str, frame: FrameType | None) -> None:
        """Note a module that is being looked for from *frame*, if the model's code called what asks for it."""
        while frame is not None and frame.f_builtins is not self._builtins:
            if frame.f_code.co_name == "<module>":
                return
            frame = frame.f_back
        if frame is not None:
            self._seen.add(name)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """See what libraries import for the model while the block runs."""
        _finder.watches.append(self)
        if _finder not in sys.meta_path:
            sys.meta_path.insert(0, _finder)
        try:
            yield
        finally:
            _finder.watches.remove(self)
            # An import that failed is no need, and a namespace package belongs to nobody in particular.
            found = {name: sys.modules.get(name) for name in list(self._seen)}
            self.names = frozenset(
                name for name, module in found.items() if module is not None and not _is_shared(module)
            )


class _Finder(MetaPathFinder):
    """Finds nothing; shows to the watches what is looked for.

    There is one for the process, and once it is among the interpreter's finders it stays there: an import of another
    thread goes over them one by one, and would pass over the next if one were taken away meanwhile.
    """

    def __init__(self) -> None:
        self.watches: list[ImportWatch] = []

    def find_spec(self, name: str, *_: object) -> None:
        parent = name.rpartition(".")[0]
        if self.watches and (not parent or _is_shared(sys.modules.get(parent))):
            for watch in list(self.watches):
                watch.see(name, sys._getframe(1))


_finder = _Finder()


def _is_shared(module: ModuleType | None) -> bool:
    """Whether it is a namespace package, which several distributions may have parts of."""
    return module is not None and hasattr(module, "__path__") and getattr(module, "__file__", None) is None

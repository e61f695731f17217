"""The command line: ``palate``. One module per command; each imports what it needs when it runs."""

from palate.cli._group import main

__all__ = ["main"]

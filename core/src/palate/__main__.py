"""``python -m palate``: the command line, for environments whose scripts are not on PATH."""

from palate.cli import main

main(prog_name="palate")

"""What versions, archives and identity cost, each beside the plain way to move or read the same bytes, in one run.

Run: python benchmarks/store.py [--size MIB] [--repeat N] [--versions N] [--markdown PAGE] [--directory PLACE]. A model
of that size is added to a store beside a copy with ``cp -r`` that is forced to disk, as the store's is; packed and
unpacked; read beside ``sha256sum``; loaded from its directory and from one file. Then a version is found among many.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from _tables import Table, milli, times, write_page
from _timing import Measure, in_turn, medians

import palate
from palate.locations import locate
from palate.store import Store, open_store

MEBIBYTE = 1 << 20


class Weights(palate.PythonModel):
    """A model whose weights are one file."""

    def predict(self, model_input):  # noqa: D102
        return model_input


def make_model(folder: Path, size: int) -> Path:
    """Save a model of *size* bytes that do not compress."""
    block = os.urandom(MEBIBYTE)
    with (folder / "weights").open("wb") as file:
        for _ in range(size // MEBIBYTE):
            file.write(block)
    palate.save_model(Weights(), folder / "model", artifacts={"weights": folder / "weights"}, requirements=["numpy"])
    (folder / "weights").unlink()
    return folder / "model"


def timed(act: Callable[[], object], clean: Callable[[], object] = lambda: None) -> Measure:
    """Return what times *act*, with nothing left to write before, and cleans up after it."""

    def measure() -> float:
        os.sync()
        started = time.perf_counter()
        act()
        taken = time.perf_counter() - started
        clean()
        return taken

    return measure


def copy(model: Path, target: Path) -> None:
    """Copy a model as a person would, and wait until it is on disk."""
    subprocess.run(["cp", "-r", model, target], check=True)
    subprocess.run(["sync", *filter(Path.is_file, target.rglob("*")), target], check=True)


def write_table(folder: Path, model: Path, repeat: int) -> Table:
    """Compare each thing that writes a model with a copy, with which it takes turns.

    In pairs: the more memory is used and given back in between, the more of it is such as the machine has to find anew.
    """
    store = open_store(folder / "store")
    target, packed = folder / "target", folder / "model.palate"
    palate.pack_model(model, packed)
    size = sum(path.stat().st_size for path in model.rglob("*") if path.is_file())

    def remove() -> None:
        shutil.rmtree(target, ignore_errors=True)
        target.unlink(missing_ok=True)

    copying = timed(lambda: copy(model, target), remove)
    measures = {
        "store.add": timed(lambda: store.add("weights", model), lambda: store.delete("weights/latest")),
        "palate.pack_model": timed(lambda: palate.pack_model(model, target), remove),
        "palate.unpack_model": timed(lambda: palate.unpack_model(packed, target), remove),
    }
    rows = []
    for name, measure in measures.items():
        middle = medians(in_turn({"copy": copying, name: measure}, repeat))
        seconds = [f"{middle[name]:.2f}", f"{middle['copy']:.2f}", f"{size / middle[name] / 1e9:.2f}"]
        rows.append([name, *seconds, times(middle[name] / middle["copy"])])
    return Table(f"Writing a model of {size / 1e9:.2f} GB", ["", "s", "cp -r, and sync, s", "GB/s", "x the copy"], rows)


def read_table(folder: Path, model: Path, repeat: int) -> Table:
    """Compare what reads a model with a sum over its files, and the file with the directory."""
    packed = folder / "model.palate"
    files = [path for path in model.rglob("*") if path.is_file()]
    palate.load_model(packed, trust=True)
    measures = {
        "sha256sum": timed(lambda: subprocess.run(["sha256sum", *files], check=True, capture_output=True)),
        "palate.inspect_model": timed(lambda: palate.inspect_model(model)),
        "palate.load_model, a directory": timed(lambda: palate.load_model(model, trust=True)),
        "palate.load_model, one file": timed(lambda: palate.load_model(packed, trust=True)),
    }
    return compare("Reading", measures, repeat, model)


def compare(title: str, measures: dict[str, Measure], repeat: int, model: Path) -> Table:
    """Return a table in which the first is what the others are compared with."""
    size = sum(path.stat().st_size for path in model.rglob("*") if path.is_file())
    middle = medians(in_turn(measures, repeat))
    first = next(iter(middle.values()))
    rows = [[name, f"{value:.2f}", f"{size / value / 1e9:.2f}", times(value / first)] for name, value in middle.items()]
    return Table(f"{title} a model of {size / 1e9:.2f} GB", ["", "s", "GB/s", "x the first"], rows)


def fill(store: Store, folder: Path, count: int) -> None:
    """Give a store *count* versions of a tiny model, most of them copied by hand: what is measured is finding one."""
    palate.save_model(len, folder / "tiny")
    store.add("tiny", folder / "tiny")
    root = folder / "store" / "tiny"
    for number in range(2, count + 1):
        shutil.copytree(root / "1", root / str(number), copy_function=os.link)
    store.set_alias("tiny", "champion", count // 2)


def find_table(folder: Path, count: int, repeat: int) -> Table:
    """Measure how long it takes to find a version among many."""
    store = open_store(folder / "store")
    fill(store, folder, count)
    os.environ["PALATE_STORE"] = str(folder / "store")
    measures = {
        f"{form}, among {count:,} versions": timed_calls(f"models:/tiny{form}")
        for form in ("@champion", "/7", "/latest")
    }
    measures["store.add of a tiny model there"] = timed(lambda: store.add("tiny", folder / "tiny"))
    middle = medians(in_turn(measures, repeat))
    return Table("Finding a version", ["", "ms"], [[name, milli(value)] for name, value in middle.items()])


def timed_calls(uri: str) -> Measure:
    """Return what times a location, without the disk being written to before."""

    def measure() -> float:
        started = time.perf_counter()
        locate(uri)
        return time.perf_counter() - started

    return measure


def tables(folder: Path, size: int, versions: int, repeat: int) -> Iterator[Table]:
    """Measure, and yield the tables."""
    os.environ["PALATE_CACHE"] = str(folder / "cache")
    model = make_model(folder, size)
    yield write_table(folder, model, repeat)
    yield read_table(folder, model, repeat)
    yield find_table(folder, versions, repeat)


def main() -> None:
    """Print three tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=1024, help="of the model in MiB")
    parser.add_argument("--versions", type=int, default=10_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--directory", type=Path, help="where to write, instead of the folder for temporary files")
    parser.add_argument("--markdown", type=Path, metavar="PAGE", help="write the tables into this page, too")
    options = parser.parse_args()
    measured = []
    with tempfile.TemporaryDirectory(dir=options.directory) as folder:
        for table in tables(Path(folder), options.size * MEBIBYTE, options.versions, options.repeat):
            print(table.text(), end="\n\n", flush=True)
            measured.append(table.markdown())
    if options.markdown is not None:
        write_page(options.markdown, "benchmarks/store.py", measured)


if __name__ == "__main__":
    main()

"""Malicious pickles (P01-P37) under their own names and under those of safe files: refused, and never run."""

from __future__ import annotations

import gzip
import io
import lzma
import pickle
import pickletools
import struct
import time
import zipfile
import zlib
from typing import Any

import pytest

import sklearn_flavor
from palate.errors import UnsafeModel, UnsafePath

MARKER = "/MARKER"  # replaced by a path in the test's own directory


class Call:
    """Pickles as a call."""

    def __init__(self, function: Any, *arguments: object) -> None:
        self.reduced = function, arguments

    def __reduce__(self) -> Any:
        return self.reduced


def named(module: str, name: str, *arguments: object) -> bytes:
    """Return a pickle that calls a function by its name, without importing it here."""
    body = b"".join(_argument(argument) for argument in arguments)
    return b"\x80\x02c" + module.encode() + b"\n" + name.encode() + b"\n(" + body + b"tR."


def _argument(value: object) -> bytes:
    return pickletools.optimize(pickle.dumps(value, 2))[2:-1]


def packed(data: bytes, member: str = "archive/data.pkl") -> bytes:
    """Return a zip of one pickle, as torch writes it."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(member, data)
    return stream.getvalue()


def spoiled(data: bytes, pattern: bytes, offset: int, value: bytes) -> bytes:
    """Return *data* with bytes replaced after each occurrence of a pattern."""
    start, changed = 0, bytearray(data)
    while (place := data.find(pattern, start)) >= 0:
        changed[place + offset : place + offset + len(value)] = value
        start = place + 1
    return bytes(changed)


def object_array(data: bytes) -> bytes:
    """Return an .npy file whose array is a pickle."""
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (), }".ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


TOUCH = f"touch {MARKER}"
CODE = f"open({MARKER!r}, 'w').close()"
SYSTEM = named("posix", "system", TOUCH)

PICKLES: dict[str, bytes] = {
    "P01 os.system": SYSTEM,
    "P02 exec": named("builtins", "exec", CODE),
    "P03 eval": named("builtins", "eval", CODE),
    "P04 Popen": named("subprocess", "Popen", ["touch", MARKER]),
    "P05 runpy": named("runpy", "run_path", MARKER),
    "P06 timeit": named("timeit", "timeit", "pass", CODE),
    "P07 write_text": named("pathlib", "Path.write_text", MARKER, "x"),
    "P08 copy": named("shutil", "copy", "/etc/hostname", MARKER),
    "P09 open": named("builtins", "open", MARKER, "w"),
    "P10 importlib": named("importlib", "import_module", "antigravity"),
    "P11 getattr": named("builtins", "getattr", "x", "__class__"),
    "P12 partial": named("functools", "partial", CODE),
    "P13 logging": named("logging.config", "fileConfig", MARKER),
    "P14 np.load": named("numpy", "load", MARKER, None, True),
    "P15 torch.hub": named("torch.hub", "load", "evil/evil", "x"),
    "P16 pip": named("pip._internal.cli.main", "main", ["install", "x"]),
    "P17 pty": named("pty", "spawn", ["touch", MARKER]),
    "P18 ctypes": named("ctypes", "CDLL", "libevil.so"),
    "P19 doctest": named("doctest", "debug_script", CODE),
    "P20 cProfile": named("cProfile", "run", CODE),
    "P21 protocol 0": b"cposix\nsystem\n(V" + TOUCH.encode() + b"\ntR.",
    "P22 names through the memo": pickle.dumps(Call(eval, CODE), 4),
    "P23 broken tail": SYSTEM[:-1] + b"\xff",
    "P24 second stream": pickle.dumps(1) + SYSTEM,
    "P25 text": SYSTEM,
    "P26 json": SYSTEM,
    "P27 safetensors": struct.pack("<Q", 2) + b"{}" + SYSTEM,
    "P28 torch zip": packed(SYSTEM),
    "P29 bad CRC": spoiled(packed(SYSTEM), b"PK\x01\x02", 16, b"\0\0\0\0"),
    "P30 encrypted flag": spoiled(packed(SYSTEM), b"PK\x01\x02", 8, b"\x01\x00"),
    "P31 other member": packed(SYSTEM, "model/evil.bin"),
    "P31b schema that is a pickle": packed(SYSTEM, "schema.json"),
    "P32 zlib": zlib.compress(SYSTEM),
    "P33 lzma": lzma.compress(SYSTEM),
    "P34 gzip": gzip.compress(SYSTEM),
    "P35 7z magic": b"7z\xbc\xaf\x27\x1c" + SYSTEM,
    "P36 object array": object_array(SYSTEM),
    "P37 padded start": b"\x00" * 512 + SYSTEM,
}


@pytest.mark.parametrize("name", sorted(PICKLES))
def test_pickle_is_never_run(name, load, tmp_path):
    """A pickle is refused under every name and every claim about its format, at once, and leaves no trace."""
    marker = tmp_path / "marker"
    data = PICKLES[name].replace(MARKER.encode(), bytes(marker))
    claims: list[Any] = ["skops", "pickle", "cloudpickle", None, "joblib", 5, ["skops"]]
    for file in ("model.pkl", "model.skops", "model.txt", "data/model.json"):
        path = tmp_path / file
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        for claim in claims:
            started = time.perf_counter()
            with pytest.raises(UnsafeModel, match=f"^{file} was refused: "):
                load(tmp_path, {"pickled_model": file, "serialization_format": claim})
            assert time.perf_counter() - started < 5
    assert not marker.exists()
    assert not any(tmp_path.rglob("*.draft"))


def test_payload_is_real(load, tmp_path):
    """With trust the same pickle runs, so its refusal above means something."""
    marker = tmp_path / "marker"
    data = named("posix", "system", f"touch {marker}")
    (tmp_path / "model.pkl").write_bytes(data)
    load(tmp_path, {"pickled_model": "model.pkl"}, trust=True)
    assert marker.exists()


@pytest.mark.parametrize("written", ["pickle", "cloudpickle", None, "", "joblib", "Skops", 5])
def test_reasons(written, tmp_path):
    """Every format but skops is a reason why opening would run code; an absent format means pickle."""
    section = {"pickled_model": "model.skops", "serialization_format": written}
    (reason,) = sklearn_flavor.executes_code(config=section)
    assert reason.file == "model.skops"
    assert sklearn_flavor.executes_code(config={**section, "serialization_format": "skops"}) == ()


@pytest.mark.parametrize("path", ["../model.skops", "/etc/passwd", "a/../../x", "model\0.skops", "link", "fifo", ""])
def test_path_stays_inside(path, load, tmp_path):
    """A file outside of the directory, or one that is no ordinary file, is not opened."""
    import os

    (tmp_path / "link").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(UnsafePath, match=r"flavors\.sklearn\.pickled_model"):
        load(tmp_path, {"pickled_model": path, "serialization_format": "skops"})


def test_unknown_format_with_trust(load, tmp_path):
    """A format that this version does not know is refused with trust too."""
    (tmp_path / "model.pkl").write_bytes(SYSTEM)
    with pytest.raises(UnsafeModel, match="serialization_format is 'joblib'"):
        load(tmp_path, {"pickled_model": "model.pkl", "serialization_format": "joblib"}, trust=True)

"""What another process might say that is no message: nothing of it is taken for a value."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from palate._isolation.channel import Channel, Closed
from palate._isolation.regions import ReadRegion, WriteRegion
from palate._isolation.tree import Junk
from palate._isolation.wire import Reader, Writer

HOSTILE = [
    {"t": "nothing"},
    {},
    {"t": []},
    {"t": "tuple"},
    {"t": "tuple", "v": 3},
    {"t": "dict", "k": [1], "v": []},
    {"t": "dict", "k": [[1]], "v": [1]},
    {"t": "bytes", "b": 7},
    {"t": "bytes", "b": True},
    {"t": "bytes", "b": -1},
    {"t": "array", "s": [10**18], "d": "<f8", "b": 0},
    {"t": "array", "s": [1], "d": "O", "b": 0},
    {"t": "array", "s": [1], "d": {"names": ["a"], "formats": ["O"], "offsets": [0], "itemsize": 8}, "b": 0},
    {"t": "array", "s": [-1], "d": "<f8", "b": 0},
    {"t": "array", "s": "x", "d": "<f8", "b": 0},
    {"t": "array", "s": [3], "v": [1]},
    {"t": "array", "s": [1], "texts": [0, 9]},
    {"t": "sparse", "f": "__class__", "s": [1, 1], "array": True, "v": []},
    {"t": "sparse", "f": "csr", "s": [1, 1], "array": True, "v": [1, 2, 3]},
    {
        "t": "frame",
        "l": {"t": "index", "range": [0, 2, 1], "n": None},
        "i": {"t": "index", "range": [0, 1, 1], "n": None},
        "blocks": [],
    },
    {"t": "timestamp", "a": {"t": "array", "s": [], "d": "<f8", "b": 0}, "z": None},
    {"t": "arrow", "batch": False, "b": 0},
    {"t": "polars", "frame": True, "b": 0},
    {"t": "timedelta", "v": [10**12, 0, 0]},
    {"t": "datetime", "v": "yesterday", "fold": 0},
    {"t": "datetime", "v": "2020-01-01", "fold": 0, "zone": "../../etc/passwd"},
    {"t": "decimal", "v": "x"},
    {"t": "uuid", "v": 3},
    {"t": "matrix", "a": 3, "c": []},
]


@pytest.mark.parametrize("node", HOSTILE, ids=repr)
def test_junk_is_no_value(node: object) -> None:
    """What is no value is Junk: nothing else is raised, and no memory is read but what came."""
    with pytest.raises(Junk):
        Reader([memoryview(bytearray(8))]).decode(node)


def test_sparse_indices_stay_inside() -> None:
    """Indices that lead native code out of its memory are refused."""
    writer = Writer()
    node = writer.encode(sp.csr_matrix(np.eye(3)))
    wrong = [memoryview(bytearray(buffer)) for buffer in writer.buffers]
    np.frombuffer(wrong[1], dtype=np.int32)[:] = 10**6
    with pytest.raises(Junk):
        Reader(wrong).decode(node)


@pytest.fixture
def ends() -> Any:
    """Yield a channel and the bare socket at its other end."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    channel = Channel(ours)
    channel.set_timeout(5)
    yield channel, theirs
    channel.close()
    theirs.close()


HEAD = struct.Struct("<4sIQ")


def framed(text: bytes, following: bytes = b"", mark: bytes = b"PLT\x01") -> bytes:
    """Return a message as a channel writes it."""
    return HEAD.pack(mark, len(text), len(following)) + text + following


@pytest.mark.parametrize(
    "content",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        framed(b"{}", mark=b"PLT\x02"),
        framed(b"null"),
        framed(b"[1]"),
        framed(b"[" * 100_000),
        framed(b"\xff"),
        framed(b"[1,[-1],true]"),
        framed(b"[1,[1.5],true]"),
        framed(b"[1,[true],true]", b"x"),
        framed(b"[1,7,true]"),
        framed(b"[1,[5],true]", b"x"),
        framed(b"[1,[5],false]"),
        HEAD.pack(b"PLT\x01", 0xFFFFFFFF, 0),
        HEAD.pack(b"PLT\x01", 1, 1 << 40),
    ],
    ids=lambda content: repr(content[:40]),
)
def test_junk_is_no_message(ends: Any, content: bytes) -> None:
    """A side that says what no side says is found out at once; nothing is allocated on its word."""
    channel, theirs = ends
    theirs.sendall(content)
    with pytest.raises(Junk):
        channel.receive()


def test_half_a_message_is_an_end(ends: Any) -> None:
    """A side that ends amid a message has gone."""
    channel, theirs = ends
    theirs.sendall(framed(b"[1,[],true]")[:-2])
    theirs.close()
    with pytest.raises(Closed):
        channel.receive()


def test_memory_that_shrinks_is_no_memory(ends: Any) -> None:
    """Shared memory is sealed before it is read, so that its owner cannot take it away meanwhile."""
    channel, theirs = ends
    descriptor = os.memfd_create("test", os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, 4096)
    socket.send_fds(theirs, [framed(b'[{"t":"bytes","b":0},[4096],false]')], [descriptor])
    assert channel.receive() == bytes(4096)
    with pytest.raises(PermissionError):
        os.ftruncate(descriptor, 0)
    os.close(descriptor)


@pytest.mark.parametrize("kind", ["file", "unsealable", "pipe"])
def test_other_descriptors_are_no_memory(ends: Any, kind: str, tmp_path: Any) -> None:
    """A descriptor of anything but memory that can be sealed is refused, and closed."""
    channel, theirs = ends
    (tmp_path / "file").write_bytes(bytes(4096))
    if kind == "file":
        descriptor = os.open(tmp_path / "file", os.O_RDWR)
    elif kind == "unsealable":
        descriptor = os.memfd_create("test", 0)
        os.ftruncate(descriptor, 4096)
    else:
        descriptor, other = os.pipe()
        os.close(other)
    before = len(os.listdir("/proc/self/fd"))
    socket.send_fds(theirs, [framed(b"[1,[],true]")], [descriptor])
    with pytest.raises(Junk, match="no memory"):
        channel.receive()
    assert len(os.listdir("/proc/self/fd")) == before
    os.close(descriptor)


def test_more_than_one_descriptor_is_junk(ends: Any) -> None:
    """Whatever else is sent along is closed, and found out."""
    channel, theirs = ends
    made = [os.memfd_create("test", os.MFD_ALLOW_SEALING) for _ in range(2)]
    before = len(os.listdir("/proc/self/fd"))
    socket.send_fds(theirs, [framed(b"[1,[],true]")], made)
    with pytest.raises(Junk, match="more than one"):
        channel.receive()
    assert len(os.listdir("/proc/self/fd")) == before
    for descriptor in made:
        os.close(descriptor)


def test_own_memory_cannot_be_taken_away(ends: Any) -> None:
    """The other side has the descriptor of what this one writes into, and cannot make it smaller."""
    channel, theirs = ends
    channel.send({"array": np.zeros(10**6)})
    _, (descriptor,), _, _ = socket.recv_fds(theirs, 1 << 16, 1)
    with pytest.raises(PermissionError):
        os.ftruncate(descriptor, 0)
    os.close(descriptor)


def test_time_is_for_a_whole_message(ends: Any) -> None:
    """A side that drips is no answer in time: the time counts from the beginning."""
    channel, theirs = ends
    channel.set_timeout(0.5)
    done = threading.Event()

    def drip() -> None:
        for byte in framed(b"[1,[],true]") + bytes(100):
            if done.wait(0.1):
                return
            theirs.send(bytes([byte]))

    thread = threading.Thread(target=drip)
    thread.start()
    begin = time.monotonic()
    with pytest.raises(TimeoutError):
        channel.receive()
    assert time.monotonic() - begin < 2
    done.set()
    thread.join()


def test_regions_grow_and_shrink() -> None:
    """Memory is made anew when it is too small, and given back when it is far too large."""
    written, read = WriteRegion(), ReadRegion()
    made = []
    for size in (10, 5 << 20, 1 << 20, 200 << 20, 100):
        buffer = memoryview(bytearray(os.urandom(16)) + bytearray(size))
        descriptor = written.write([buffer, memoryview(b"end")])
        made.append(descriptor is not None)
        if descriptor is not None:
            read.replace(os.dup(descriptor))
        found = read.read([len(buffer), 3])
        assert found is not None
        assert (found[0], bytes(found[1])) == (buffer, b"end")
    assert made == [True, True, False, True, True]
    written.close()
    read.close()


def test_messages_of_all_sizes(ends: Any) -> None:
    """Small and large messages follow each other over one channel, whatever the socket holds at a time."""
    channel, theirs = ends
    other = Channel(theirs)
    sizes = (0, 1, 60_000, 10**6, 10**7, 5)

    def echo() -> None:
        for _ in sizes:
            other.send(other.receive())

    thread = threading.Thread(target=echo)
    thread.start()
    for size in sizes:
        message = {"array": np.arange(size, dtype=np.uint8), "text": "x" * (size // 10)}
        channel.send(message)
        answer = channel.receive()
        np.testing.assert_array_equal(answer["array"], message["array"])
        assert answer["text"] == message["text"]
        assert answer["array"].flags.writeable
    thread.join()

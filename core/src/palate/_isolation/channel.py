"""Messages between a process and the one it started: JSON over a socket, large arrays in shared memory beside it."""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import sys
import time
from collections.abc import Sequence
from typing import Any

from palate._isolation.regions import ReadRegion, WriteRegion
from palate._isolation.tree import Junk
from palate._isolation.wire import Reader, Writer
from palate._problems import PalateError
from palate._process_errors import NotTransferable

__all__ = ["PROTOCOL", "Channel", "Closed"]

PROTOCOL = 1
"""The version of what both sides say; the environment of a model may have another Palate."""

_HEAD = struct.Struct("<4sIQ")  # a mark, the length of the text, the length of the bytes that follow it
_MARK = b"PLT\x01"
# So many bytes go through the socket as soon as through memory that has to be laid out.
_INLINE = 64 << 10
_LONGEST_TEXT = 1 << 28
_MOST_BUFFERS = 1 << 20


class Closed(Exception):
    """The other side has gone."""


class Channel:
    """One end of a conversation in which each side waits for the other's answer; for one thread at a time.

    Args:
        connection: a connected stream socket of the family AF_UNIX.
        watched: a descriptor that becomes readable when the other side's process has ended, or None. Whoever that has
            started may still hold the other end of the socket.
    """

    def __init__(self, connection: socket.socket, watched: int | None = None) -> None:
        connection.setblocking(False)
        self._connection = connection
        self._written, self._read = WriteRegion(), ReadRegion()
        self._deadline: float | None = None
        self._readable, self._writable = select.poll(), select.poll()
        self._readable.register(connection, select.POLLIN)
        self._writable.register(connection, select.POLLOUT)
        for poll in (self._readable, self._writable):
            if watched is not None:
                poll.register(watched, select.POLLIN)

    def send(self, message: object) -> None:
        """Send a message.

        Raises:
            NotTransferable: something in it is of a type that does not cross.
            Closed: the other side has gone.
            TimeoutError: it did not read in time.
        """
        writer = Writer()
        try:
            tree = writer.encode(message)
        except (PalateError, MemoryError):
            raise
        except Exception as exc:  # of a class whose own methods raise
            raise NotTransferable(f"that raises {type(exc).__name__} when it is read") from exc
        sizes = [len(buffer) for buffer in writer.buffers]
        inline = sum(sizes) <= _INLINE
        text = json.dumps([tree, sizes, inline], separators=(",", ":")).encode()
        descriptor = None if inline else self._written.write(writer.buffers)
        following = b"".join(writer.buffers) if inline else b""
        self._send_all(_HEAD.pack(_MARK, len(text), len(following)) + text + following, descriptor)

    def _send_all(self, content: bytes, descriptor: int | None) -> None:
        left = memoryview(content)
        while left:
            self._wait(self._writable)
            try:
                if descriptor is None:
                    sent = self._connection.send(left)
                else:
                    sent, descriptor = socket.send_fds(self._connection, [left], [descriptor]), None
            except BlockingIOError:
                continue
            except (BrokenPipeError, ConnectionResetError) as exc:
                raise Closed from exc
            left = left[sent:]

    def _wait(self, poll: select.poll) -> None:
        """Wait until the socket can go on. Raises TimeoutError at the deadline, Closed if the other side has ended."""
        left = None if self._deadline is None else max(0.0, self._deadline - time.monotonic()) * 1000
        ready = [descriptor for descriptor, _ in poll.poll(left)]
        if not ready:
            raise TimeoutError
        if self._connection.fileno() not in ready:
            raise Closed

    def receive(self) -> Any:
        """Wait for the next message and return it.

        Raises:
            Closed: the other side has gone.
            Junk: it says what no side says.
            TimeoutError: nothing came in time.
            DependencyMissing: what came is of a package that is not installed here.
        """
        head = self._receive_exactly(_HEAD.size)
        mark, length, following = _HEAD.unpack(head)
        if mark != _MARK or length > _LONGEST_TEXT or following > _INLINE:
            raise Junk("it does not begin as a message does")
        text = self._receive_exactly(length)
        inline = self._receive_exactly(following)
        try:
            tree, sizes, is_inline = json.loads(bytes(text))
        except (ValueError, TypeError, RecursionError) as exc:
            raise Junk("its text is no message") from exc
        reader = Reader(self._buffers(sizes, memoryview(inline) if is_inline is True else None))
        try:
            return reader.decode(tree)
        except RecursionError as exc:
            raise Junk("it is nested too deep") from exc

    def _buffers(self, sizes: Any, inline: memoryview | None) -> list[memoryview]:
        if type(sizes) is not list or not all(type(size) is int and size >= 0 for size in sizes):
            raise Junk("its buffers have no sizes")
        if len(sizes) > _MOST_BUFFERS:
            raise Junk("it has more buffers than any message")
        if inline is None:
            found = self._read.read(sizes)
            if found is None:
                raise Junk("its buffers are larger than the memory that they shall lie in")
            return found
        if sum(sizes) != len(inline):
            raise Junk("its buffers are not those that follow it")
        cut, at = [], 0
        for size in sizes:
            cut.append(memoryview(bytearray(inline[at : at + size])))  # aligned for any dtype
            at += size
        return cut

    def _receive_exactly(self, length: int) -> bytearray:
        content = bytearray(length)
        view, got = memoryview(content), 0
        while got < length:
            self._wait(self._readable)
            try:
                count, ancillary, flags, _ = self._connection.recvmsg_into(
                    [view[got:]], socket.CMSG_SPACE(4), socket.MSG_CMSG_CLOEXEC
                )
            except BlockingIOError:
                continue
            except ConnectionResetError as exc:
                raise Closed from exc
            self._take_descriptors(ancillary, cut=bool(flags & socket.MSG_CTRUNC))
            if not count:
                raise Closed
            got += count
        return content

    def _take_descriptors(self, ancillary: Sequence[tuple[int, int, bytes]], *, cut: bool) -> None:
        found = [
            int.from_bytes(data[at : at + 4], sys.byteorder)
            for level, kind, data in ancillary
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
            for at in range(0, len(data) - 3, 4)
        ]
        if len(found) > 1 or cut:
            for descriptor in found:
                os.close(descriptor)
            raise Junk("it shares more than one piece of memory at a time")
        for descriptor in found:
            try:
                self._read.replace(descriptor)
            except OSError as exc:
                raise Junk(f"what it shares is no memory ({exc.strerror})") from exc

    def set_timeout(self, seconds: float | None) -> None:
        """Let all that is sent and received from now on take at most so long together; None is for ever."""
        self._deadline = None if seconds is None else time.monotonic() + seconds

    def close(self) -> None:
        """Hang up, and give the memory back."""
        self._connection.close()
        self._written.close()
        self._read.close()

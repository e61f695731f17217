"""Messages between a process and the one it started: JSON over a socket, large arrays in shared memory beside it."""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

from palate._isolation.regions import ReadRegion, WriteRegion
from palate._isolation.tree import Junk
from palate._isolation.wire import Reader, Writer

__all__ = ["PROTOCOL", "Channel", "Closed"]

PROTOCOL = 1
"""The version of what both sides say; the environment of a model may have another Palate."""

_HEAD = struct.Struct("<4sIQ")  # a mark, the length of the text, the length of the bytes that follow it
_MARK = b"PLT\x01"
# So many bytes go through the socket as soon as through memory that has to be laid out.
_INLINE = 64 << 10
_LONGEST_TEXT = 1 << 30


class Closed(Exception):
    """The other side has gone."""


class Channel:
    """One end of a conversation in which each side waits for the other's answer; for one thread at a time.

    Args:
        connection: a connected stream socket of the family AF_UNIX, blocking.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._written, self._read = WriteRegion(), ReadRegion()

    def send(self, message: object) -> None:
        """Send a message.

        Raises:
            NotTransferable: something in it is of a type that does not cross.
            Closed: the other side has gone.
            TimeoutError: it did not read in time.
        """
        writer = Writer()
        tree = writer.encode(message)
        sizes = [len(buffer) for buffer in writer.buffers]
        inline = sum(sizes) <= _INLINE
        text = json.dumps([tree, sizes, inline], separators=(",", ":")).encode()
        descriptor = None if inline else self._written.write(writer.buffers)
        following = b"".join(writer.buffers) if inline else b""
        self._send_all(_HEAD.pack(_MARK, len(text), len(following)) + text + following, descriptor)

    def _send_all(self, content: bytes, descriptor: int | None) -> None:
        try:
            if descriptor is None:
                self._connection.sendall(content)
                return
            sent = socket.send_fds(self._connection, [content], [descriptor])
            self._connection.sendall(content[sent:])
        except (BrokenPipeError, ConnectionResetError) as exc:
            raise Closed from exc

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
        return Reader(self._buffers(sizes, memoryview(inline) if is_inline is True else None)).decode(tree)

    def _buffers(self, sizes: Any, inline: memoryview | None) -> list[memoryview]:
        if type(sizes) is not list or not all(type(size) is int and size >= 0 for size in sizes):
            raise Junk("its buffers have no sizes")
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
            try:
                count, ancillary, _, _ = self._connection.recvmsg_into(
                    [view[got:]], socket.CMSG_SPACE(4), socket.MSG_CMSG_CLOEXEC
                )
            except ConnectionResetError as exc:
                raise Closed from exc
            for level, kind, data in ancillary:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    self._take_descriptor(data)
            if not count:
                raise Closed
            got += count
        return content

    def _take_descriptor(self, data: bytes) -> None:
        try:
            self._read.replace(int.from_bytes(data[:4], "little"))
        except OSError as exc:
            raise Junk(f"what it shares is no memory ({exc.strerror})") from exc

    def set_timeout(self, seconds: float | None) -> None:
        """Let each wait for the other side take at most so long; None is for ever."""
        self._connection.settimeout(seconds)

    def close(self) -> None:
        """Hang up, and give the memory back."""
        self._connection.close()
        self._written.close()
        self._read.close()

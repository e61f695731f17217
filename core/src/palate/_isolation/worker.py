"""The process of an isolated model: it loads the model, answers calls one by one, and ends with the process that
started it.

Started as ``python -m palate._isolation.worker SOCKET LIFELINE STDERR``, with three inherited descriptors.
"""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from palate._isolation.channel import PROTOCOL, Channel, Closed
from palate._isolation.failures import describe_exception
from palate._isolation.tree import Junk
from palate._opening import load
from palate.errors import DependencyMissing, MethodNotFound, NotTransferable

__all__ = ["main"]


def main(arguments: list[str]) -> None:
    """Serve the process at the other end of a socket until it hangs up."""
    connection, lifeline, standard_error = map(int, arguments)
    for descriptor in (connection, lifeline, standard_error):
        os.set_inheritable(descriptor, False)  # or what the model starts would hold them, and hide that it ended
    _end_with_parent(lifeline)
    # What a model prints is not what the program that loaded it prints.
    os.dup2(2, 1)
    channel = Channel(socket.socket(fileno=connection))
    # A child that the model forks is none of this conversation.
    os.register_at_fork(after_in_child=channel.close)
    try:
        _serve(channel, standard_error)
    except Closed:
        sys.exit(0)


def _end_with_parent(lifeline: int) -> None:
    """Have the kernel kill this process and what it started when the other end of a pipe is closed, however it was.

    So neither a model that holds the interpreter's lock nor a ``kill -9`` of the parent leaves a process behind. A
    signal at the parent's death (prctl) would come when the thread ends that started this process.
    """
    fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
    os.set_blocking(lifeline, False)
    try:
        gone = os.read(lifeline, 1) == b""
    except BlockingIOError:
        return
    if gone:  # before anybody was told to look
        os._exit(1)


def _serve(channel: Channel, standard_error: int) -> None:
    request = channel.receive()
    model, answer = _answer(lambda: _open(request))
    if model is not None:
        introduced, answer = _answer(lambda: _introduce(model))
        answer = answer if introduced is None else {"ready": introduced}
        model = model if introduced is not None else None
    _show_words(standard_error)
    channel.send({"protocol": PROTOCOL, **answer})
    own = os.getpid()
    while model is not None:
        try:
            request = channel.receive()
        except (DependencyMissing, MemoryError, Junk) as exc:
            # Of a package that is not in this environment; too large; a value that another version does not know.
            failure = NotTransferable(str(exc), where="the call") if isinstance(exc, Junk) else exc
            channel.send({"raised": describe_exception(failure)})
            continue
        answer = _reply(model, request)
        if os.getpid() != own:  # a child that the model forked has come back from its call
            os._exit(0)
        _send(channel, answer)
        del request, answer  # or they would be held while the next one is waited for


def _show_words(standard_error: int) -> None:
    """Hand on what was said until now, which was kept for the error of a start that fails; say the rest there, too."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.write(standard_error, os.pread(2, os.fstat(2).st_size, 0))
    os.dup2(standard_error, 2)
    os.dup2(2, 1)
    os.close(standard_error)


def _reply(model: Any, request: Mapping[str, Any]) -> dict[str, Any]:
    predictions, answer = _answer(lambda: _call(model, request))
    if isinstance(predictions, Iterator):
        # The process has them whole; whoever asked may still take them one by one.
        listed, answer = _answer(lambda: list(predictions))
        answer["iterated"] = listed is not None
    return {**answer, "number": request["number"]}


def _send(channel: Channel, answer: dict[str, Any]) -> None:
    try:
        channel.send(answer)
    except (NotTransferable, MemoryError) as exc:
        refused = exc if isinstance(exc, MemoryError) else NotTransferable(exc.kind, where="the predictions")
        channel.send({"raised": describe_exception(refused), "number": answer["number"]})


def _answer(task: Any) -> tuple[Any, dict[str, Any]]:
    try:
        result = task()
    except KeyboardInterrupt:
        raise
    except BaseException as exc:  # sys.exit() in a model ends a call, not its process
        return None, {"raised": describe_exception(exc)}
    return result, {"value": result}


def _open(request: Mapping[str, Any]) -> Any:
    if request["memory_limit"] is not None:
        _limit_memory(request["memory_limit"])
    return load(
        request["path"],
        trust=request["trust"],
        flavor=request["flavor"],
        verify=request["verify"],
        options=request["options"],
        digest=request["digest"],
    )


def _limit_memory(count: int) -> None:
    # Address space would count what frameworks only reserve; this counts memory that the process can write to.
    resource.setrlimit(resource.RLIMIT_DATA, (count, count))


def _introduce(model: Any) -> dict[str, Any]:
    return {
        "flavor": model.flavor,
        "methods": tuple(model.methods),
        "independent": {name: _ask_independence(model, name) for name in model.methods},
        "python": sys.version.partition(" ")[0],
    }


def _ask_independence(model: Any, method: str) -> Any:
    """Return the flavor's answer, or what it raises, which is for whoever asks for it."""
    independent, answer = _answer(lambda: model.rows_are_independent(method))
    return answer["raised"] if independent is None else independent


def _call(model: Any, request: Mapping[str, Any]) -> Any:
    if request["method"] not in model.methods:
        raise MethodNotFound(request["method"], available=model.methods)
    return model.call(request["method"], request["data"], request["params"])


if __name__ == "__main__":
    main(sys.argv[1:])

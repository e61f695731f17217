"""The processes of a server: how they listen, stop, die and are replaced."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import echo_server
import pytest
from live_server import LiveServer, Reply, live_server
from processes import children_of, is_running, wait_until
from raw_http import connect, post

from palate.serving._process.sockets import AddressUnavailable, address_of, bind_sockets
from palate.serving._process.watchdog import STOOD_STILL, StillnessGauge
from palate.serving._process.workers import Worker
from palate.serving.settings import ServingSettings

SCRIPT = Path(echo_server.__file__)
WORKERS = ["1", "2"]


@contextmanager
def echo(*settings: str) -> Iterator[LiveServer]:
    """Start an echo server that is ready."""
    with live_server(sys.executable, SCRIPT, *settings, ready="/asgi/facts") as running:
        yield running


@contextmanager
def under_way(server: LiveServer, path: str) -> Iterator[Callable[[], Reply]]:
    """Ask for something that takes time; yields a function that waits for the answer."""
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(server.request, "GET", path)
        time.sleep(0.3)
        yield lambda: asked.result(20)


def worker_pid(server: LiveServer) -> int:
    """Return the process that answers just now."""
    return int(server.request("GET", "/asgi/facts").body.split()[0])


# Stopping


@pytest.mark.parametrize(("number", "workers"), [(signal.SIGINT, "1"), (signal.SIGTERM, "1"), (signal.SIGTERM, "2")])
def test_what_is_under_way_is_answered_before_the_end(number: int, workers: str) -> None:
    """The server takes nothing new, answers what it has, and exits with 0."""
    with echo(f"workers={workers}") as server, under_way(server, "/asgi/slow?0.8") as answer:
        server.process.send_signal(number)
        time.sleep(0.3)
        with pytest.raises(ConnectionRefusedError):
            server.request("GET", "/asgi/facts")
        reply = answer()
        assert (reply.body, reply.headers["connection"]) == (b"slow", "close")
        assert server.process.wait(10) == 0


def test_a_body_that_is_on_its_way_still_comes() -> None:
    """A request that has begun is under way; a connection between requests ends at once; ready says no."""
    with echo() as server, connect(server.host, server.port) as idle, connect(server.host, server.port) as begun:
        idle.send(post("/asgi/echo", b"1"))
        idle.reply()
        request = post("/asgi/facts", b"1234")
        begun.send(request[:-2])
        time.sleep(0.2)
        server.process.send_signal(signal.SIGTERM)
        assert idle.closes_within(1.0) < 1.0
        begun.send(request[-2:])
        reply = begun.reply()
        assert (reply.status, reply.header("connection")) == (503, "close")
        assert server.process.wait(10) == 0


@pytest.mark.parametrize("workers", WORKERS)
def test_the_drain_has_an_end(workers: str) -> None:
    """What is not answered by then is cut off, and the exit code tells."""
    with echo(f"workers={workers}", "drain_timeout=0.4") as server, connect(server.host, server.port) as line:
        line.send(post("/asgi/wait"))
        time.sleep(0.3)
        began = time.monotonic()
        assert server.stop() == 1
        assert 0.3 < time.monotonic() - began < 5.0


@pytest.mark.parametrize("workers", WORKERS)
def test_a_second_signal_ends_it_now(workers: str) -> None:
    """Whoever presses Ctrl-C twice means it."""
    with echo(f"workers={workers}") as server, connect(server.host, server.port) as line:
        line.send(post("/asgi/wait"))
        time.sleep(0.3)
        server.process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        began = time.monotonic()
        assert server.stop(signal.SIGINT) == 1
        assert time.monotonic() - began < 2.0


def test_signals_to_all_processes_are_one_signal() -> None:
    """A terminal and a service manager signal the workers too, which still answer what they have."""
    with echo("workers=2") as server, under_way(server, "/asgi/slow?0.7") as answer:
        os.killpg(server.process.pid, signal.SIGTERM)
        assert answer().body == b"slow"
        assert server.process.wait(10) == 0


# Workers


@pytest.mark.parametrize("preload", ["yes", "no"])
def test_a_worker_that_dies_is_replaced(preload: str) -> None:
    """Killed or by itself: the next answer comes within two seconds (H62), and the parent says what happened."""
    with echo("workers=2", f"preload={preload}") as server:
        first = worker_pid(server)
        for end in (lambda: os.kill(first, signal.SIGKILL), lambda: _ask_to_die(server)):
            began = time.monotonic()
            end()
            replies = [server.request("POST", "/asgi/echo", b"good") for _ in range(20)]
            assert {reply.body for reply in replies} == {b"good"}
            assert time.monotonic() - began < 2.0
        server.wait_for("ended (signal SIGKILL); it is started again")
        server.wait_for("ended (exit code 11); it is started again")
        wait_until(lambda: len(children_of(server.process.pid)) == 2)
        assert server.stop() == 0


def _ask_to_die(server: LiveServer) -> None:
    with pytest.raises(ConnectionError):
        server.request("GET", "/asgi/die")


@pytest.mark.slow
def test_a_worker_whose_loop_stands_still_is_replaced() -> None:
    """The parent sees that it gives no sign of life; the other one answers all the while (H65)."""
    with echo("workers=2", "predict_timeout=0.1") as server:
        with connect(server.host, server.port, timeout=20.0) as line:
            line.send(post("/asgi/block?60"))
            time.sleep(0.3)
            assert server.request("POST", "/asgi/echo", b"good", timeout=5.0).body == b"good"
            assert line.rest() == b""
        server.wait_for("answers nothing for 2.1 s; it is killed and replaced")
        wait_until(lambda: len(children_of(server.process.pid)) == 2)
        assert server.request("POST", "/asgi/echo", b"good").body == b"good"


def test_workers_end_with_their_parent() -> None:
    """Even if that is killed: nobody would look after them, and the port would stay taken."""
    with echo("workers=2") as server:
        workers = children_of(server.process.pid)
        server.process.kill()
        server.process.wait(5)
        wait_until(lambda: not any(map(is_running, workers)))


def test_a_burst_of_connections_is_spread_over_the_workers() -> None:
    """Not taken by the one who happens to be awake."""
    with echo("workers=2") as server, ExitStack() as opened:
        wait_until(lambda: len(children_of(server.process.pid)) == 2)
        lines = [opened.enter_context(connect(server.host, server.port)) for _ in range(64)]
        for line in lines:
            line.send(post("/asgi/facts"))
        served = Counter(line.reply().body.split()[0] for line in lines)
        assert len(served) == 2
        assert min(served.values()) > 10


def test_what_was_loaded_before_the_fork_is_in_memory_once() -> None:
    """Workers share it: each has a few megabytes of its own, of whatever size the models are."""
    script = (
        "import echo_server, sys\n"
        "from palate.serving._process.workers import serve\n"
        "from palate.serving.settings import ServingSettings\n"
        "class Large(echo_server.EchoApp):\n"
        "    weights = b'x' * (200 << 20)\n"
        "serve(Large, ServingSettings(port=0, workers=3), on_listening=echo_server.announce)\n"
    )
    with live_server(sys.executable, "-c", script, ready="/asgi/facts") as server:
        wait_until(lambda: len(children_of(server.process.pid)) == 3)
        assert server.request("POST", "/direct/echo", b"good").body == b"good"
        together = sum(map(_proportional_memory, [server.process.pid, *children_of(server.process.pid)]))
        assert (200 << 10) < together < (350 << 10)


def _proportional_memory(pid: int) -> int:
    found = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(next(line.split()[1] for line in found.splitlines() if line.startswith("Pss:")))


def test_a_worker_that_keeps_dying_is_waited_for() -> None:
    """Longer each time, up to a limit; one that lived for a while is started again at once."""
    worker = Worker(0, 1.0)
    waits = []
    for _ in range(9):
        worker.began(1)
        worker.ended()
        waits.append(round(worker.due - time.monotonic(), 1))
    assert waits == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]
    worker.began(1)
    worker.started_at -= 10
    worker.ended()
    assert worker.due <= time.monotonic()


@pytest.mark.slow
def test_an_application_that_cannot_start_ends_the_server() -> None:
    """With one worker or several, loaded before the fork or after it: a failure, not an endless attempt."""
    script = (
        "import sys, echo_server\n"
        "from palate.serving._process.workers import serve\n"
        "from palate.serving.settings import ServingSettings\n"
        "class Broken(echo_server.EchoApp):\n"
        "    async def live(self, receive, send):\n"
        "        await receive()\n"
        "        await send({'type': 'lifespan.startup.failed', 'message': 'the model is gone'})\n"
        "settings = ServingSettings(port=0, workers=int(sys.argv[1]))\n"
        "sys.exit(serve(Broken, settings, preload=sys.argv[2] == 'yes', on_listening=print))\n"
    )
    for workers, preload in (("1", "yes"), ("2", "yes"), ("2", "no")):
        done = _run(script, workers, preload)
        assert done.returncode != 0
        assert "the model is gone" in done.stderr
        assert done.stdout == ""


def _run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(SCRIPT.parent)}
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20, check=False)


# Alone


@pytest.mark.slow
def test_a_loop_that_stands_still_ends_the_process() -> None:
    """With a code and a line that say why, and where each thread stands, so that it can be started again."""
    with echo("predict_timeout=0.1") as server, connect(server.host, server.port) as line:
        line.send(post("/asgi/block?60"))
        assert server.process.wait(10) == STOOD_STILL
        assert "a prediction does not come back" in server.errors()
        assert "do_block" in server.errors()


def test_one_worker_is_one_process() -> None:
    """Without a parent, which would cost its memory; and it may open as many files as it has connections."""
    with echo("max_connections=3000") as server:
        assert worker_pid(server) == server.process.pid
        assert children_of(server.process.pid) == []
        limits = Path(f"/proc/{server.process.pid}/limits").read_text()
        soft, hard = re.findall(r"Max open files +(\d+) +(\d+)", limits)[0]
        assert int(soft) >= min(3256, int(hard))


def test_time_in_which_nobody_looked_does_not_count() -> None:
    """A process that was stopped for an hour has not stood still for an hour."""
    gauge = StillnessGauge(limit=1.0, pause=0.4)
    assert [gauge.look(count) for count in (0, 0, 0, 0, 0)] == [False] * 5
    assert [gauge.look(count) for count in (1, 1, 1, 2, 2, 2, 2)] == [False] * 6 + [True]


@pytest.mark.slow
def test_a_server_that_was_stopped_goes_on() -> None:
    """As a container that is paused, or a laptop that sleeps."""
    with echo("predict_timeout=0.1") as server:
        server.process.send_signal(signal.SIGSTOP)
        time.sleep(2.5)
        server.process.send_signal(signal.SIGCONT)
        assert server.request("POST", "/asgi/echo", b"good").body == b"good"


# Listening


def test_a_port_that_is_taken_is_an_error() -> None:
    """It names the address and what to do, before anything is loaded."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(
            AddressUnavailable, match=rf"127\.0\.0\.1:{port}: address already in use.*Hint: choose another"
        ):
            bind_sockets(ServingSettings(port=port))


def test_an_unknown_host_is_an_error() -> None:
    """As the resolver says it."""
    with pytest.raises(AddressUnavailable, match="the host is not known"):
        bind_sockets(ServingSettings(host="no-such-host.invalid", port=0, allow_public=True))


def test_localhost_is_every_local_address_at_one_port() -> None:
    """A client that resolves the name differently finds the server too."""
    bound = bind_sockets(ServingSettings(host="localhost", port=0))
    assert len({address_of(one).rpartition(":")[2] for one in bound}) == 1
    for one in bound:
        one.close()


@pytest.mark.parametrize("host", ["::1", "0.0.0.0", "::"])
def test_every_address_there_is(host: str) -> None:
    """IPv6 too; and a server bound to all of them answers for any number, but not for any name."""
    if ":" in host and not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    target = "::1" if host == "::1" else "127.0.0.1"
    with live_server(sys.executable, SCRIPT, f"host={host}", "allow_public=true") as server:
        for named, status in (("[::1]:1" if host == "::1" else "192.0.2.7", 200), ("attacker.example", 421)):
            with connect(target, server.port) as line:
                line.send(post("/asgi/echo", b"1", host=named))
                assert line.reply().status == status


def test_a_socket_file(tmp_path: Path) -> None:
    """One that nobody answers at is taken over, one that is in use is not, and none is left behind."""
    path = tmp_path / "serve.sock"
    with socket.socket(socket.AF_UNIX) as abandoned:
        abandoned.bind(str(path))
    command = [sys.executable, str(SCRIPT), f"uds={path}", "workers=2"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        assert running.stderr.readline() == f"Serving an echo on unix:{path}\n"
        with pytest.raises(AddressUnavailable, match="address already in use"):
            bind_sockets(ServingSettings(uds=str(path)))
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(str(path))
            raw.sendall(post("/direct/echo", b"local", "Connection: close", host="anything"))
            answer = b""
            while piece := raw.recv(1000):
                answer += piece
            assert answer.endswith(b"local")
        running.terminate()
        assert running.wait(10) == 0
    assert not path.exists()


def test_what_was_loaded_is_out_of_the_collectors_sight() -> None:
    """A full collection over a model's libraries takes tens of milliseconds, in the middle of a request."""
    script = (
        "import gc, signal, os, threading, echo_server\n"
        "from palate.serving._process.workers import serve\n"
        "from palate.serving.settings import ServingSettings\n"
        "def end(addresses):\n"
        "    print(gc.get_freeze_count() > 10_000)\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "serve(echo_server.EchoApp, ServingSettings(port=0), on_listening=end)\n"
    )
    assert _run(script).stdout == "True\n"

"""Owners of leases, and the ways to tell a process to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from sopilot.core.child_process import load_function
from sopilot.jobs.owner import is_owner_dead, new_owner
from sopilot.jobs.stop import SignalStop, stop_on_signals
from sopilot.jobs.transport import TableTransport


def owner_of_another_process(ending: str) -> str:
    script = f"from sopilot.jobs.owner import new_owner; print(new_owner(), flush=True); {ending}"
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        owner = process.stdout.readline().decode().strip()
        if ending == "pass":
            process.wait()
        else:
            assert not is_owner_dead(owner)
            process.kill()
    return owner


def test_process_is_dead_when_it_ended_or_was_killed() -> None:
    assert is_owner_dead(owner_of_another_process("pass"))
    assert is_owner_dead(owner_of_another_process("import time; time.sleep(60)"))


def test_own_owner_is_alive_fits_the_column_and_is_unique() -> None:
    first, second = new_owner(), new_owner()
    assert first != second
    assert not is_owner_dead(first)
    assert len(first) <= 128


@pytest.mark.parametrize("owner", ["", "a:b:c:d:e", "h:0123456789abcdef:1:1:x", "x" * 200])
def test_unknown_owners_are_never_judged(owner: str) -> None:
    assert not is_owner_dead(owner)


def test_owner_without_a_start_is_never_judged() -> None:
    host, node, pid, _start, nonce = new_owner().split(":")
    assert not is_owner_dead(":".join((host, node, pid, "0", nonce)))


def test_signal_sets_the_stop_and_ends_the_wait() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    try:
        stop = stop_on_signals(signal.SIGUSR1)
        assert not stop.wait(0.01)
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        assert stop.wait(30.0)
        os.kill(os.getpid(), signal.SIGUSR1)
        assert stop.is_set()
    finally:
        signal.signal(signal.SIGUSR1, before)
        stop.close()


def test_table_transport_looks_less_often_after_a_while() -> None:
    stop = SignalStop()
    transport = TableTransport(shortest_sec=0.0, longest_sec=0.1)
    started = time.monotonic()
    transport.wait(stop, idle_sec=0.0)
    middle = time.monotonic()
    transport.wait(stop, idle_sec=60.0)
    assert time.monotonic() - middle >= 0.09 > middle - started
    stop.set()
    transport.wait(stop, idle_sec=60.0)
    stop.close()


def test_target_is_found_by_name() -> None:
    assert load_function("os.path:join") is os.path.join

"""Runs one function of ours in a limited child process, so that a file can only kill the child.

The parent calls `run_limited`; the child is `python -m sopilot.media.isolate`. One JSON request
goes in through stdin, progress and the result come back as JSON lines on a pipe of their own;
the child's stderr keeps its last lines for the error message. Called by `library.ingest`.
"""

from __future__ import annotations

import json
import os
import resource
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import IO, Any

from sopilot.core import errors
from sopilot.core.child_process import die_with_parent, load_function
from sopilot.core.errors import DecodeError, SopilotError, WorkerLost
from sopilot.core.records import Progress, no_progress

Target = Callable[[Mapping[str, Any], Progress], Mapping[str, Any]]

_MEGABYTE_BYTES = 1 << 20
_MEMORY_EXIT_CODE = 97
# Far above what a video of the longest length needs; a child that runs wild fills no disk.
_MAX_FILE_BYTES = 8 << 30
_MAX_OPEN_FILES = 256
# Words by which C libraries report an exhausted limit before they give up.
_MEMORY_WORDS = ("MemoryError", "bad_alloc", "Insufficient memory", "Cannot allocate memory")
# One thread each: the child's CPU time is honest and thread stacks do not eat the memory limit.
_THREAD_SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")
_PROGRESS_SEC = 0.2
# The parent asks `progress` this often even when the child is silent: a cancel must not wait.
_POLL_SEC = 0.25
_STDERR_KEPT_BYTES = 4000


def run_limited(
    target: str,
    arguments: Mapping[str, Any],
    *,
    memory_mb: int,
    cpu_seconds: int,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Call `pkg.module:function` as function(arguments, progress) in a fresh python child.

    arguments and the result are JSON objects. The child has RLIMIT_DATA memory_mb (numpy and the
    decoder included) and RLIMIT_CPU cpu_seconds, and dies with the calling thread's process.
    A SopilotError of the function is raised here again with its class, message and details; a
    crash or an exhausted limit becomes DecodeError, a kill from outside WorkerLost (retryable), any
    other exception (a defect of ours) a plain SopilotError with the traceback in its details.
    `progress` is called at every change and at least every 0.25 s; whatever it raises kills the
    child at once and passes on.
    """
    # Here, because this module is the child's too, which starts without the settings' imports.
    from sopilot.core.environment import child_environment

    request = {
        "target": target,
        "arguments": dict(arguments),
        "memory_bytes": memory_mb * _MEGABYTE_BYTES,
        "cpu_seconds": cpu_seconds,
        "parent_pid": os.getpid(),
    }
    read_end, write_end = os.pipe()
    try:
        child = subprocess.Popen(
            [sys.executable, "-m", "sopilot.media.isolate", str(write_end)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=(write_end,),
            env=child_environment(),
            start_new_session=True,
        )
    except OSError:
        os.close(read_end)
        raise
    finally:
        os.close(write_end)
    try:
        _send(child, request)
        outcome = _follow(child, read_end, progress)
        child.wait()
    finally:
        _end(child)
        os.close(read_end)
    return _conclude(child.returncode, outcome, memory_mb, cpu_seconds)


@dataclass(slots=True)
class _Outcome:
    """What came through the pipe: the result or a typed error, and the tail of stderr."""

    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    share: float = 0.0
    stderr: bytearray = field(default_factory=bytearray)


def _send(child: subprocess.Popen[bytes], request: Mapping[str, Any]) -> None:
    assert child.stdin is not None
    try:
        child.stdin.write(json.dumps(request).encode())
        child.stdin.close()
    except BrokenPipeError:
        # The child is dead already; its exit code says why.
        return


def _follow(child: subprocess.Popen[bytes], read_end: int, progress: Progress) -> _Outcome:
    """Read both pipes to their end; call progress for every change and at every poll."""
    assert child.stderr is not None
    outcome = _Outcome()
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(read_end, selectors.EVENT_READ, "lines")
        selector.register(child.stderr.fileno(), selectors.EVENT_READ, "stderr")
        while selector.get_map():
            events = selector.select(timeout=_POLL_SEC)
            for key, _ in events:
                block = os.read(key.fd, 1 << 16)
                if not block:
                    selector.unregister(key.fd)
                elif key.data == "stderr":
                    outcome.stderr += block
                    del outcome.stderr[:-_STDERR_KEPT_BYTES]
                else:
                    *lines, rest = (rest + block).split(b"\n")
                    for line in lines:
                        _accept(outcome, line)
            progress(outcome.share)
    return outcome


def _accept(outcome: _Outcome, line: bytes) -> None:
    """Take one line; a line that is not ours (a crashing child wrote it) is left out."""
    try:
        message = json.loads(line)
    except ValueError:
        return
    if not isinstance(message, dict):
        return
    if isinstance(message.get("share"), int | float):
        outcome.share = min(1.0, max(0.0, float(message["share"])))
    elif isinstance(message.get("result"), dict):
        outcome.result = message["result"]
    elif isinstance(message.get("error"), dict):
        outcome.error = message["error"]


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.kill()
        child.wait()
    for stream in (child.stdin, child.stderr):
        if stream is not None:
            _close(stream)


def _close(stream: IO[bytes]) -> None:
    try:
        stream.close()
    except BrokenPipeError:
        return


def _conclude(
    return_code: int, outcome: _Outcome, memory_mb: int, cpu_seconds: int
) -> dict[str, Any]:
    if outcome.error is not None:
        raise _typed_error(outcome.error)
    if return_code == 0 and outcome.result is not None:
        return outcome.result
    stderr = outcome.stderr.decode(errors="replace").strip()
    details = {
        "exit_code": return_code,
        "progress_ratio": round(outcome.share, 3),
        "stderr": stderr[-1000:],
    }
    cause = _cause(return_code, stderr, memory_mb, cpu_seconds)
    if return_code == -signal.SIGKILL and cause is None:
        # Nothing that the file can do by itself: the system or an operator ended the child.
        raise WorkerLost(
            "the decoder process was killed by the system (SIGKILL, usually for lack of memory); "
            "the job is tried again, give the machine more free memory",
            details,
        )
    if cause is None:
        last_line = stderr.rsplit("\n", 1)[-1] or f"exit code {return_code}"
        raise SopilotError(f"the decoder process stopped with a defect: {last_line}", details)
    raise DecodeError(
        f"the decoder process {cause} after {100 * outcome.share:.0f} % of the video; the file "
        "is damaged or too demanding, re-encode it to H.264",
        details,
    )


def _cause(return_code: int, stderr: str, memory_mb: int, cpu_seconds: int) -> str | None:
    """What the file did to the child; None when the child failed by itself."""
    if return_code == _MEMORY_EXIT_CODE or any(word in stderr for word in _MEMORY_WORDS):
        return f"needed more than {memory_mb} MB (SOPILOT_DECODER_MEMORY_MB)"
    if return_code == -signal.SIGXCPU:
        return f"used more than {cpu_seconds} s of CPU (SOPILOT_DECODER_CPU_SECONDS)"
    if return_code < 0 and return_code != -signal.SIGKILL:
        return f"crashed with {signal.Signals(-return_code).name}"
    return None


def _typed_error(message: Mapping[str, Any]) -> SopilotError:
    kind = getattr(errors, str(message.get("class")), None)
    if not (isinstance(kind, type) and issubclass(kind, SopilotError)):
        kind = DecodeError
    details = message.get("details")
    return kind(str(message.get("message")), details if isinstance(details, dict) else None)


def _child_main(write_end: int) -> int:
    request = json.loads(sys.stdin.buffer.read())
    die_with_parent(int(request["parent_pid"]))
    for name in _THREAD_SETTINGS:
        os.putenv(name, "1")
    # The soft limit sends SIGXCPU, which ends the process; one second later comes SIGKILL.
    cpu_seconds = int(request["cpu_seconds"])
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _lower(resource.RLIMIT_FSIZE, _MAX_FILE_BYTES)
    _lower(resource.RLIMIT_NOFILE, _MAX_OPEN_FILES)
    resource.setrlimit(resource.RLIMIT_DATA, (request["memory_bytes"], request["memory_bytes"]))
    with os.fdopen(write_end, "w", encoding="utf-8", buffering=1) as lines:
        try:
            function: Target = load_function(str(request["target"]))
            result = function(request["arguments"], _Reporter(lines).report)
        except SopilotError as error:
            # A fault of the file or the settings: the parent raises it again.
            _write(lines, {"error": _as_message(error)})
            return 0
        except MemoryError:
            return _MEMORY_EXIT_CODE
        _write(lines, {"result": dict(result)})
    return 0


def _lower(limit: int, value: int) -> None:
    """Set a limit to a value, or to what an outer limit leaves of it."""
    hard = resource.getrlimit(limit)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(limit, (value, value))


class _Reporter:
    """Writes progress lines, at most one per _PROGRESS_SEC."""

    def __init__(self, lines: IO[str]) -> None:
        self._lines = lines
        self._last_sec = 0.0

    def report(self, share: float) -> None:
        now_sec = time.monotonic()
        if now_sec - self._last_sec >= _PROGRESS_SEC or share >= 1.0:
            self._last_sec = now_sec
            _write(self._lines, {"share": share})


def _write(lines: IO[str], message: Mapping[str, Any]) -> None:
    lines.write(json.dumps(message) + "\n")


def _as_message(error: SopilotError) -> dict[str, Any]:
    details = json.loads(json.dumps(error.details, default=str))
    return {"class": type(error).__name__, "message": error.message, "details": details}


if __name__ == "__main__":
    sys.exit(_child_main(int(sys.argv[1])))

"""`transformers serve` as a process on a free port of the loopback."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ADDRESS = re.compile(r"running on (http://\S+)")
_PATIENCE_SEC = 180.0


@contextmanager
def serving_checkpoint(cache: Path, name: str, log: Path) -> Iterator[str]:
    """The address of a server of the model `name` in the hub cache, ready for questions."""
    # The server must not outlive the tests, even when those are killed.
    command = ["setpriv", "--pdeathsig=KILL"] if shutil.which("setpriv") else []
    command += [sys.executable, "-m", "transformers.cli.transformers", "serve", name]
    command += ["--host", "127.0.0.1", "--port", "0", "--device", "cpu"]
    own = {"HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, stdout=stream, stderr=stream, env=os.environ | own, cwd=log.parent
        )
    try:
        yield _address(process, log)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    latest = time.monotonic() + _PATIENCE_SEC
    while True:
        said = log.read_text(encoding="utf-8", errors="replace")
        found = _ADDRESS.search(said)
        if found:
            return found[1]
        if process.poll() is not None or time.monotonic() > latest:
            raise AssertionError(f"no server ({process.poll()})\n{said}")
        time.sleep(0.1)

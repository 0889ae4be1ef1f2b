"""`sopilot serve` as a process on a free port, and small clips to send to it."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from sopilot.media.encode import VideoWriter
from sopilot.store.audit import breaks, rows_from
from sopilot.store.engine import open_database

KEY = "acceptance-key"
_ADDRESS = re.compile(r"listening on (http://\S+)")
_PATIENCE_SEC = 120.0
_SETTLE_SEC = 30.0


class Server:
    """One data folder and the processes that serve it, one after the other.

    name: of its log; two servers of different names may serve one folder at the same time.
    """

    def __init__(self, folder: Path, name: str = "serve", **variables: str) -> None:
        self.data_dir = folder / "data"
        self._log = folder / f"{name}.log"
        self._variables = variables
        self._process: subprocess.Popen[bytes] | None = None
        self.client = httpx.Client()

    def start(self) -> None:
        """Start the service and wait until it is healthy."""
        command = [sys.executable, "-m", "sopilot.cli.app", "serve", "--port", "0"]
        command += ["--data-dir", str(self.data_dir), "--workers", "1"]
        own = {"SOPILOT_API_KEY": KEY, "SOPILOT_RATE_LIMIT_RPM": "0", "OMP_NUM_THREADS": "1"}
        own |= self._variables
        self._log.write_bytes(b"")
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, env=os.environ | own, start_new_session=True
            )
        address = self.wait_for(lambda: _ADDRESS.search(self.log()))[1]
        self.client = httpx.Client(base_url=address, headers={"X-API-Key": KEY}, timeout=120)
        self.wait_for(self._is_healthy)

    def _is_healthy(self) -> bool:
        try:
            return self.client.get("/health").status_code == 200
        except httpx.TransportError:
            return False

    def log(self) -> str:
        """What the present process has written."""
        return self._log.read_text(errors="replace")

    def wait_for(self, look: Any, patience_sec: float = _PATIENCE_SEC) -> Any:
        """The first true answer of `look`; fails with the log when the service dies."""
        deadline = time.monotonic() + patience_sec
        while True:
            found = look()
            if found:
                return found
            process = self._process
            if process is not None and process.poll() is not None:
                raise AssertionError(f"the service ended with {process.returncode}\n{self.log()}")
            if time.monotonic() > deadline:
                raise AssertionError(f"nothing happened in {patience_sec} s\n{self.log()}")
            time.sleep(0.05)

    def workers(self) -> list[int]:
        """Process numbers of the living worker processes."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task").glob("*/children")
        numbers = {int(pid) for path in children for pid in path.read_text().split()}
        return sorted(pid for pid in numbers if b"sopilot.jobs.child" in _command(pid))

    def kill_worker(self) -> None:
        """SIGKILL to every worker."""
        for pid in self.workers():
            os.kill(pid, signal.SIGKILL)

    def kill(self) -> None:
        """SIGKILL to the service itself."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self.client.close()

    def stop(self) -> bool:
        """SIGTERM; whether the service closed everything before it ended."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.terminate()
        self.client.close()
        # uvicorn ends by the signal itself once its shutdown is complete.
        is_orderly = self._process.wait(60) in {0, -signal.SIGTERM}
        return is_orderly and "service.stopped" in self.log()

    def upload(self, route: str, path: Path, query: str = "", **fields: str) -> httpx.Response:
        """Send a file as a form."""
        with path.open("rb") as stream:
            return self.client.post(route + query, files={"file": (path.name, stream)}, data=fields)

    def job_state(self, uid: str) -> str:
        """State of an ingest job."""
        return str(self.client.get(f"/videos/jobs/{uid}").json()["status"])

    def ended_score(self, job_id: int) -> Any:
        """A score job's answer once it has ended, else None."""
        body = self.client.get(f"/score/{job_id}").json()
        return body if body["status"] in {"completed", "failed", "cancelled"} else None

    def files(self) -> set[str]:
        """Every stored file but the database's, the index's and a killed process' notes."""
        found = {str(p.relative_to(self.data_dir)) for p in self.data_dir.rglob("*") if p.is_file()}
        return {
            name
            for name in found
            if not name.startswith(("sopilot.db", "vectors/", "raw/.unsettled/"))
        }

    def check_files(self, due: set[str]) -> None:
        """The stored files are these, or soon: what no row stands on any more goes just after the
        row tells the end (`library.remove`)."""
        deadline = time.monotonic() + _SETTLE_SEC
        while (found := self.files()) != due and time.monotonic() < deadline:
            time.sleep(0.05)
        assert found == due

    def audit_problems(self) -> list[str]:
        """What is wrong with the chain of the audit log."""
        database = open_database(f"sqlite:///{self.data_dir / 'sopilot.db'}", ensure=False)
        try:
            with database.read() as connection:
                return list(breaks(rows_from(connection)))
        finally:
            database.close()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What stands in the database."""
        with closing(sqlite3.connect(self.data_dir / "sopilot.db")) as connection:
            return connection.execute(query).fetchall()


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def write_bench(path: Path, seconds: float = 12.0, level: float = 1.0, seed: int = 0) -> Path:
    """A textured bench over which a block moves; level 0.1 = far too dark."""
    rng = np.random.default_rng(seed)
    bench = np.kron(rng.integers(60, 200, (27, 48, 3)), np.ones((4, 4, 1))).astype(np.uint8)
    with VideoWriter(path, (192, 108), fps=10.0) as writer:
        for index in range(round(seconds * 10)):
            picture = bench.copy()
            x = int(70 + 50 * np.sin(index / 7) + 20 * np.sin(index / 23))
            y = int(40 + 25 * np.cos(index / 5))
            picture[y : y + 24, x : x + 30] = (40, 80, 230) if index % 80 < 40 else (60, 220, 60)
            writer.write((picture * level).astype(np.uint8))
    return path

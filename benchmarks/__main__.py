"""`python -m benchmarks [GROUP ...]`: measure, print the table, mark what misses its target."""

from __future__ import annotations

import argparse
import compileall
import importlib
import json
import os
import sys
from pathlib import Path

from benchmarks.harness import Options, Row, as_record, table

GROUPS = (
    "decode",
    "ingest",
    "incidents",
    "vigil",
    "comparison",
    "service",
    "analytics",
    "texts",
    "upload",
    "cli",
    "latency",
    "faces",
)
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Exit code 0; with --check 3 when a row misses its target."""
    arguments = _arguments()
    # Before numpy is imported by a group: one thread, so that CPU time is comparable.
    for name in THREAD_VARIABLES:
        os.environ[name] = "1"
    _compile()
    options = Options(rounds=arguments.rounds, folder=arguments.folder)
    options.folder.mkdir(parents=True, exist_ok=True)
    found: list[Row] = []
    for group in arguments.groups or GROUPS:
        rows = _run(group, options)
        found += rows
        if arguments.write:
            _write(group, rows)
    print(table(found))
    missed = [row for row in found if row.verdict == "MISS"]
    left_out = [row for row in found if row.verdict == "not run"]
    print(f"\n{len(found)} rows, {len(missed)} miss their target, {len(left_out)} not run")
    return 3 if arguments.check and missed else 0


def _compile() -> None:
    """Let child processes find the bytecode that every installed package has; this environment may
    forbid Python to keep it, and each child would then compile what it imports."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    compileall.compile_dir(ROOT / "src", quiet=1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    # Python 3.11 holds the empty list of `nargs="*"` against choices, so they are checked by hand.
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=", ".join(GROUPS))
    parser.add_argument("--rounds", type=int, default=5, help="interleaved repeats (5)")
    parser.add_argument("--folder", type=Path, default=ROOT / "build/benchmarks")
    parser.add_argument("--write", action="store_true", help="JSON under benchmarks/results/")
    parser.add_argument("--check", action="store_true", help="exit 3 when a target is missed")
    arguments = parser.parse_args()
    unknown = [group for group in arguments.groups if group not in GROUPS]
    if unknown:
        parser.error(f"no group {', '.join(unknown)}; choose from {', '.join(GROUPS)}")
    return arguments


def _run(group: str, options: Options) -> list[Row]:
    """Rows of one group; each is announced as soon as it is known."""
    rows: list[Row] = []
    for row in importlib.import_module(f"benchmarks.{group}").rows(options):
        shown = f"not run: {row.reason}" if row.value is None else f"{row.value:.3g} {row.unit}"
        print(f"[{group}] {row.name} against {row.peer}: {shown}", file=sys.stderr, flush=True)
        rows.append(row)
    return rows


def _write(group: str, rows: list[Row]) -> None:
    path = ROOT / "benchmarks" / "results" / f"{group}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(as_record(rows), indent=2) + "\n", encoding="utf-8")
    print(f"wrote {path.relative_to(ROOT)}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())

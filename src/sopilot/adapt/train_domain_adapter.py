"""`python -m sopilot.adapt.train_domain_adapter`: the built-in learning as a command of its own.

For SOPILOT_ADAPT_COMMAND and for hand; the learning is `sop.training`. Options of the older
product that no longer mean anything are taken and named on stderr.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from sopilot.core.config import load_settings
from sopilot.core.errors import SopilotError
from sopilot.core.records import Actor, no_progress
from sopilot.runtime import close_runtime, open_runtime
from sopilot.sop.training import adopt, learn_all
from sopilot.store.audit import Action, record

BY = Actor("cli:train_domain_adapter", "admin")
_UNUSED = {"embedding_source": "auto", "max_videos": 0, "min_clips": 2, "eps": 1e-6, "since": ""}


def main(given: list[str] | None = None) -> int:
    """Learn every task, adopt what helps, write the report and print it; the exit status."""
    options = _parser().parse_args(given)
    for name, default in _UNUSED.items():
        if getattr(options, name) != default:
            print(f"--{name.replace('_', '-')} has no effect here", file=sys.stderr)  # noqa: T201
    try:
        report = _learn(options.data_dir, options.job_id)
    except SopilotError as error:
        print(f"{error.code}: {error.message}", file=sys.stderr)  # noqa: T201
        return 1
    text = json.dumps(report, indent=2, sort_keys=True)
    for folder in (options.models_dir, options.reports_dir):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"feature_adapter_{Path(options.job_id).name}.json").write_text(text)
    print(text)  # noqa: T201
    return 0


def _learn(data_dir: Path, job_id: str) -> dict[str, object]:
    runtime = open_runtime(load_settings(data_dir=data_dir))
    try:
        found = learn_all(runtime, no_progress)
        with runtime.database.write() as connection:
            for item in found:
                adopt(connection, item, None)
            adopted = {item.task_id: item.version for item in found if item.is_adopted}
            detail = {"status": "completed", "adopted": adopted}
            resource = f"training:{job_id}"
            record(connection, BY, Action.TRAINING_ENDED, resource, detail=detail)
    finally:
        close_runtime(runtime)
    return {"job_id": job_id, "tasks": [asdict(item) for item in found]}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="train_domain_adapter", description=__doc__)
    parser.add_argument("--job-id", required=True)
    for name in ("data", "models", "reports"):
        parser.add_argument(f"--{name}-dir", type=Path, required=True)
    parser.add_argument("--since", default="")
    parser.add_argument("--embedding-source", default="auto")
    parser.add_argument("--max-videos", type=int, default=0)
    parser.add_argument("--min-clips", type=int, default=2)
    parser.add_argument("--eps", type=float, default=1e-6)
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""`sopilot profile`, and the scripts of older installations that hand their arguments on."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from sopilot.cli.options import DataDir

_WEIGHTS = ("w_miss", "w_swap", "w_dev", "w_time")


def profile(
    task_id: Annotated[str, typer.Option("--task-id", help="Task whose profile changes.")],
    data_dir: DataDir = None,
    db_path: Annotated[
        Path | None, typer.Option("--db-path", help="SQLite file of the data folder.")
    ] = None,
    task_name: Annotated[str | None, typer.Option("--task-name")] = None,
    pass_score: Annotated[float | None, typer.Option("--pass-score")] = None,
    retrain_score: Annotated[float | None, typer.Option("--retrain-score")] = None,
    w_miss: Annotated[float | None, typer.Option("--w-miss")] = None,
    w_swap: Annotated[float | None, typer.Option("--w-swap")] = None,
    w_dev: Annotated[float | None, typer.Option("--w-dev")] = None,
    w_time: Annotated[float | None, typer.Option("--w-time")] = None,
    policy_json: Annotated[
        str | None, typer.Option("--policy-json", help="Severity per deviation type, as JSON.")
    ] = None,
    policy_file: Annotated[
        Path | None, typer.Option("--policy-file", help="The same from a file.")
    ] = None,
    create_if_missing: Annotated[
        bool, typer.Option("--create-if-missing", help="Make a task that does not exist.")
    ] = False,
) -> None:
    """Change a task's thresholds, weights or policy; prints the profile that holds now."""
    from sopilot.cli.local import opened, requester
    from sopilot.cli.output import write_json
    from sopilot.core.config import load_settings
    from sopilot.core.errors import TaskNotFound
    from sopilot.sop import queries
    from sopilot.sop.profile import profile_columns
    from sopilot.sop.tasks import change_profile

    weights = dict(zip(_WEIGHTS, (w_miss, w_swap, w_dev, w_time), strict=True))
    changes = {
        "task_name": task_name,
        "pass_score": pass_score,
        "retrain_score": retrain_score,
        "default_weights": {k: v for k, v in weights.items() if v is not None} or None,
        "deviation_policy": _policy(policy_json, policy_file),
    }
    url = None if db_path is None else f"sqlite:///{db_path.resolve()}"
    folder = data_dir if data_dir is not None or db_path is None else db_path.resolve().parent
    settings = load_settings(data_dir=folder, database_url=url)
    with opened(settings) as runtime, runtime.database.write() as connection:
        if queries.find_task(connection, task_id) is None and not create_if_missing:
            raise TaskNotFound(f"there is no task {task_id!r}; add --create-if-missing to make it")
        found = change_profile(connection, settings, task_id, changes, requester())
    write_json(profile_columns(found), "-")


def _policy(text: str | None, path: Path | None) -> dict[str, Any] | None:
    """Raises InputError for what is no JSON object."""
    from sopilot.core.errors import InputError

    if text is not None and path is not None:
        raise InputError("--policy-json and --policy-file exclude each other; give one")
    try:
        if path is not None:
            text = path.read_text(encoding="utf-8")
        found = None if text is None else json.loads(text)
    except (OSError, ValueError) as error:
        raise InputError(f"the policy cannot be read ({error}); give a JSON object") from error
    if found is not None and not isinstance(found, dict):
        raise InputError('the policy is no JSON object; write {"over_time": "efficiency"}')
    return found


def backup_script() -> None:
    """`--data-dir --out-dir` as `sopilot backup` reads it."""
    parser = argparse.ArgumentParser(description="Back up a data folder.")
    parser.add_argument("--data-dir", default="data")
    parser.add_argument("--out-dir", default="backups")
    given = parser.parse_args()
    Path(given.out_dir).mkdir(parents=True, exist_ok=True)
    _run("backup", given.out_dir, "--data-dir", given.data_dir)


def restore_script() -> None:
    """`--backup --data-dir --force` as `sopilot restore` reads it."""
    parser = argparse.ArgumentParser(description="Put a backup into a data folder.")
    parser.add_argument("--backup", required=True)
    parser.add_argument("--data-dir", default="data")
    parser.add_argument("--force", action="store_true")
    given = parser.parse_args()
    force = ("--force",) if given.force else ()
    _run("restore", given.backup, "--data-dir", given.data_dir, *force)


def profile_script() -> None:
    """All arguments as `sopilot profile` reads them."""
    _run("profile", *sys.argv[1:])


def _run(*arguments: str) -> None:
    from sopilot.cli.app import main

    sys.argv[1:] = arguments
    main()

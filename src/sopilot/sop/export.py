"""Completed scores as CSV lines, in pieces, newest first. Called by the service.

Spreadsheets run a cell that begins like a formula: such texts get an apostrophe in front, which
they show as text. Where a spreadsheet takes another character than the comma to part cells (`;` in
many countries), a text may begin a cell in its middle: it gets one there too. Source of the rule:
OWASP, CSV injection.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from sqlalchemy import Connection

from sopilot.core.records import Actor
from sopilot.runtime import Runtime
from sopilot.sop import queries
from sopilot.sop.queries import ExportFilter, ExportRow
from sopilot.store.audit import Action, record

PIECE = 500
METRICS = (
    "miss_steps",
    "swap_steps",
    "deviation_steps",
    "over_time_ratio",
    "dtw_normalized_cost",
)
COLUMNS = (
    "job_id",
    "task_id",
    "gold_video_id",
    "trainee_video_id",
    "operator_id_hash",
    "site_id",
    "score",
    "decision",
    *METRICS,
    "created_at",
    "finished_at",
)
_RISKY = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_BEGINS_INSIDE = re.compile(r"""([;,|\t\r\n]["' ]*)(?=[=+\-@＝＋－＠])""")


def csv_lines(runtime: Runtime, chosen: ExportFilter) -> Iterator[str]:
    """The header, then pieces of lines; each piece is read by itself, so memory stays bounded."""
    yield _text([COLUMNS])
    below_id: int | None = None
    while True:
        with runtime.database.read() as connection:
            rows = queries.export_rows(connection, chosen, below_id, PIECE)
        if rows:
            yield _text([_cells(row) for row in rows])
            below_id = rows[-1].id
        if len(rows) < PIECE:
            return


def csv_export(runtime: Runtime, chosen: ExportFilter, by: Actor) -> Iterator[str]:
    """Record the export with its filters, then hand out `csv_lines`."""
    with runtime.database.write() as connection:
        given = {name: value for name, value in asdict(chosen).items() if value is not None}
        record_export(connection, by, "scores", chosen.task_id, form="csv", filters=given)
    return csv_lines(runtime, chosen)


def record_export(
    connection: Connection, by: Actor, resource: str, task_id: str | None, **detail: object
) -> None:
    """Say in the audit log that results left the service."""
    record(connection, by, Action.SCORES_EXPORTED, resource, task_id=task_id, detail=detail)


def safe_cell(value: object) -> object:
    """The value as a spreadsheet takes it: numbers as they are, None empty, texts harmless."""
    if value is None:
        return ""
    if isinstance(value, str):
        plain = _BEGINS_INSIDE.sub(r"\1'", value.replace("\x00", ""))
        return f"'{plain}" if plain.lstrip(" ").startswith(_RISKY) else plain
    return value


def _cells(row: ExportRow) -> list[object]:
    values = (
        row.id,
        row.task_id,
        row.gold_video_id,
        row.trainee_video_id,
        row.operator_id_hash,
        row.site_id,
        row.score,
        row.decision,
        *(row.metrics.get(name) for name in METRICS),
        row.created_at,
        row.finished_at,
    )
    return [safe_cell(value) for value in values]


def _text(rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()

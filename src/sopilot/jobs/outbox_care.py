"""What an operator does about webhooks: look at them, send dead ones again, throw old ones away.

Called by `sopilot outbox`. A connection comes first; nobody here commits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import ColumnElement, Connection, delete, or_, select, update

from sopilot.core.errors import Conflict, NotFound
from sopilot.core.records import Actor
from sopilot.jobs.outbox import DEAD, DELIVERED, PENDING
from sopilot.store.audit import Action, record
from sopilot.store.ids import row_name
from sopilot.store.tables import outbox
from sopilot.store.times import after_text, now_text

State = Literal["pending", "delivered", "dead"]
_DAY_SEC = 86_400.0


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """A webhook as it stands. uid: its delivery id; last_error: of the last failed attempt."""

    id: int
    uid: str
    event: str
    state: State
    attempt: int
    created_at: str
    run_after: str
    delivered_at: str | None
    last_error: str | None


def list_deliveries(connection: Connection, state: State | None, limit: int) -> list[DeliveryRow]:
    """At most `limit` rows of a state (None = any), newest first."""
    columns = [outbox.c[name] for name in DeliveryRow.__dataclass_fields__]
    query = select(*columns).order_by(outbox.c.id.desc()).limit(limit)
    if state is not None:
        query = query.where(outbox.c.state == state)
    return [DeliveryRow(**row._mapping) for row in connection.execute(query)]


def retry_dead(connection: Connection, wanted: Sequence[int | str] | None, by: Actor) -> list[str]:
    """Make dead rows (None = all) due now, with all their attempts ahead; their delivery ids.

    The delivery id stays, so a receiver that had one after all knows it. Raises NotFound, and
    Conflict for one that is not dead; then nothing is changed.
    """
    chosen: ColumnElement[bool] = outbox.c.state == DEAD
    if wanted is not None:
        chosen = outbox.c.id.in_([_dead_id(connection, item) for item in wanted])
    values = {"state": PENDING, "attempt": 0, "run_after": now_text()}
    query = update(outbox).where(chosen, outbox.c.state == DEAD).values(values)
    uids = sorted(connection.execute(query.returning(outbox.c.uid)).scalars())
    if uids:
        detail = {"delivery_ids": uids[:100], "count": len(uids)}
        record(connection, by, Action.OUTBOX_RETRIED, "outbox", detail=detail)
    return uids


def clean(
    connection: Connection, states: Sequence[State], older_than_days: float, by: Actor
) -> int:
    """Delete rows that ended so long ago (a dead one: was written); how many.

    Raises Conflict for pending ones: they are still to be delivered.
    """
    if PENDING in states:
        raise Conflict("a pending webhook is still to be delivered; only ended ones are cleaned")
    limit = after_text(-older_than_days * _DAY_SEC)
    is_old = or_(
        (outbox.c.state == DELIVERED) & (outbox.c.delivered_at <= limit),
        (outbox.c.state == DEAD) & (outbox.c.created_at <= limit),
    )
    query = delete(outbox).where(outbox.c.state.in_(states), is_old)
    count = connection.execute(query).rowcount
    if count:
        detail = {"states": [*states], "older_than_days": older_than_days, "count": count}
        record(connection, by, Action.OUTBOX_CLEANED, "outbox", detail=detail)
    return count


def _dead_id(connection: Connection, wanted: int | str) -> int:
    name = row_name(wanted)
    column = outbox.c.id if isinstance(name, int) else outbox.c.uid
    row = connection.execute(select(outbox.c.id, outbox.c.state).where(column == name)).first()
    if row is None:
        raise NotFound(f"there is no webhook {wanted}; see `sopilot outbox list`")
    if row.state != DEAD:
        raise Conflict(f"webhook {wanted} is {row.state}; only dead ones are sent again")
    return int(row.id)

"""Sessions of browsers: a random token in a cookie, of which only a digest is stored.

The digest covers the credential too that opened the session, so that a session ends when that
credential is changed or taken away.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence

from sqlalchemy import Connection, delete, insert, select

from sopilot.store.tables import ui_sessions
from sopilot.store.times import after_text, now_text

TOKEN_BYTES = 32


def open_session(
    connection: Connection, actor: str, role: str, credential: bytes, hours: float
) -> tuple[str, str]:
    """A new session: (token, moment of its end). Ended sessions are cleared away."""
    connection.execute(delete(ui_sessions).where(ui_sessions.c.expires_at <= now_text()))
    token = secrets.token_urlsafe(TOKEN_BYTES)
    ends = after_text(hours * 3600.0)
    connection.execute(
        insert(ui_sessions).values(
            token_sha256=_digest(token, credential),
            actor=actor,
            role=role,
            created_at=now_text(),
            expires_at=ends,
        )
    )
    return token, ends


def find_session(
    connection: Connection, token: str, credentials: Sequence[bytes]
) -> tuple[int, str] | None:
    """(place of the credential that opened a session which still holds, moment of its end).

    credentials: digests of all that are in force.
    """
    digests = [_digest(token, credential) for credential in credentials]
    row = connection.execute(
        select(ui_sessions.c.token_sha256, ui_sessions.c.expires_at).where(
            ui_sessions.c.token_sha256.in_(digests), ui_sessions.c.expires_at > now_text()
        )
    ).one_or_none()
    return None if row is None else (digests.index(row.token_sha256), row.expires_at)


def close_session(connection: Connection, token: str, credentials: Sequence[bytes]) -> bool:
    """End a session; False where there is none."""
    digests = [_digest(token, credential) for credential in credentials]
    gone = connection.execute(delete(ui_sessions).where(ui_sessions.c.token_sha256.in_(digests)))
    return gone.rowcount > 0


def _digest(token: str, credential: bytes) -> str:
    return hashlib.sha256(token.encode() + credential).hexdigest()

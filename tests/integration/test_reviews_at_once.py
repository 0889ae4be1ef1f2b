"""Two reviewers of one score at the same moment: the audit log names what the later replaced."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet

import pytest
from score_rows import Made, store
from sqlalchemy import select

from sopilot.core.records import Actor
from sopilot.sop.reviews import review_score
from sopilot.store.audit import Action
from sopilot.store.engine import Database
from sopilot.store.tables import audit_log, score_reviews, scores


def test_the_later_of_two_reviews_names_the_earlier(database: Database) -> None:
    with database.write() as connection:
        store(connection, [Made()])
        score_id = connection.execute(select(scores.c.id)).scalar_one()

    def review(verdict: str, name: str) -> None:
        with database.write() as connection:
            review_score(connection, score_id, verdict, None, Actor(name, "admin"))

    with ThreadPoolExecutor(1) as pool:
        with database.write() as connection:
            review_score(connection, score_id, "pass", "seen", Actor("first", "admin"))
            waiting = pool.submit(review, "retrain", "second")
            with pytest.raises(NotYet):
                waiting.result(timeout=0.5)
        waiting.result(timeout=60)
    with database.read() as connection:
        reviewed = audit_log.c.action == str(Action.SCORE_REVIEWED)
        query = select(audit_log.c.detail).where(reviewed).order_by(audit_log.c.seq)
        details = connection.execute(query).scalars().all()
        kept = connection.execute(select(score_reviews.c.verdict)).scalars().all()
    assert kept == ["retrain"]
    assert [detail["old"] for detail in details] == [None, {"verdict": "pass", "note": "seen"}]

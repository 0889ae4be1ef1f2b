"""Answers to questions of known truth: does one abstain where it must, and cite what is so?

Pure functions on records. Called by `sopilot eval retrieval`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sopilot.core.rates import Share, share
from sopilot.evaluation.retrieval import Moment


@dataclass(frozen=True, slots=True)
class AnsweredQuestion:
    """truth: the moments that answer it; none = it cannot be answered from the footage.

    sentences: of the answer, each the moments that it cites; none = the answer abstains.
    """

    question: str
    truth: tuple[Moment, ...]
    sentences: tuple[tuple[Moment, ...], ...]

    @property
    def abstains(self) -> bool:
        """Is there no answer?"""
        return not self.sentences


def abstention(questions: Sequence[AnsweredQuestion]) -> Share:
    """Questions that cannot be answered, and of which the answer says so."""
    return share(own.abstains for own in questions if not own.truth)


def answer_rate(questions: Sequence[AnsweredQuestion]) -> Share:
    """Questions that can be answered, and are."""
    return share(not own.abstains for own in questions if own.truth)


def faithfulness(questions: Sequence[AnsweredQuestion]) -> Share:
    """Sentences of all answers that cite at least one moment, each sharing time with a true one.

    An answer to a question that has none is unfaithful in every sentence.
    """
    return share(_is_true(own, cited) for own in questions for cited in own.sentences)


def _is_true(question: AnsweredQuestion, cited: Sequence[Moment]) -> bool:
    return bool(cited) and all(
        any(moment.tiou(true) > 0.0 for true in question.truth) for moment in cited
    )

"""Words that carry a question's grammar and not its subject, in English and Russian.

Japanese needs no list: what carries its grammar is written in hiragana, and a term of hiragana
alone is left out. Used by question answering, which must know whether a text speaks of the subject
at all; search itself has no stop words.
"""

from __future__ import annotations

import re
from functools import cache

from sopilot.text.analyze import terms

_ENGLISH = """
a about after all also am an and any are as at be because been before being between both but by can
could did do does doing during each few for from further had has have having he her here him his how
i if in into is it its just let like me more most my no nor not now of off on once only or other our
out over own please same say see seen she should show shown so some such tell than that the their
them then there these they this those through to too under until up us very was we were what when
where which while who whom whose why will with would you your anybody anyone anything happen
happened happens somebody someone something video footage recording camera moment many much
"""
_RUSSIAN = """
а без бы был была были было быть в вам вас весь во вот все всё вы где да для до его ее её если есть
еще ещё же за и из или им их к как какая какие какой когда кто куда ли либо меня мне мог может мы на
над нам нас не него нее неё нет ни них но о об однако он она они оно от очень по под после потом
потому почему при про с сколько со так также такой там те тебя тем то того тоже той только том ты у
уже чего чем что чтобы чья чьё чьи эта эти это этого этом этот я видео запись камера камере момент
происходит произошло случилось видно показано покажи скажи
"""
_HIRAGANA = re.compile("[\u3041-\u3096\u309d-\u309f\u30fc]+")


@cache
def _stop_terms() -> frozenset[str]:
    return frozenset(terms(_ENGLISH)) | frozenset(terms(_RUSSIAN))


def content_terms(text: str) -> tuple[str, ...]:
    """The terms of a question that name its subject, each once, in order."""
    return tuple(
        dict.fromkeys(
            term
            for term in terms(text)
            if term not in _stop_terms() and not _HIRAGANA.fullmatch(term)
        )
    )


def content_words(text: str) -> tuple[str, ...]:
    """The words of a question that have such a term, as they are written."""
    return tuple(word for word in text.split() if content_terms(word))

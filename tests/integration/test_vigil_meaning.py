"""Texts found by what they mean, through a server of text vectors that knows a few concepts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from httpx import Client
from service_parts import work
from sqlalchemy import select
from test_vigil import Open, found, indexed, opener, put_talk
from vigil_parts import TALK, answers_with, write_footage
from vlm_server import MODEL, Asked, Script, serving_model

from sopilot.core.errors import BadSettings, ModelReplyError
from sopilot.jobs.records import JobState
from sopilot.runtime import Runtime
from sopilot.store.tables import jobs
from sopilot.vigil.meaning import MEANING_KIND
from sopilot.vigil.rebuild import rebuild_texts
from sopilot.vlm.client import Endpoint
from sopilot.vlm.text_vectors import TextEmbedder

CONCEPTS = (
    ("forklift", "погрузчик", "フォークリフト", "vehicle that lifts"),
    ("blocked", "остановил", "停止", "cannot go on"),
    ("lunch",),
)


def concepts(text: str) -> list[float]:
    """One number per concept that the text speaks of, and a little of its length."""
    said = [float(any(word in text for word in words)) for words in CONCEPTS]
    return [*said, 0.05 + 0.001 * len(text)]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_footage(tmp_path_factory.mktemp("footage") / "yard.mp4")


@pytest.fixture
def opened_on_both(tmp_path: Path, database_url: str) -> Iterator[Open]:
    with ExitStack() as stack:
        yield opener(stack, tmp_path, database_url)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    with ExitStack() as stack:
        yield opener(stack, tmp_path, None)


@pytest.fixture
def script() -> Script:
    return Script(lambda _: {}, embed=concepts)


@pytest.fixture
def url(script: Script) -> Iterator[str]:
    with serving_model(script) as address:
        yield address


def waiting(runtime: Runtime) -> list[int]:
    query = select(jobs.c.id).where(jobs.c.kind == MEANING_KIND, jobs.c.state == "queued")
    with runtime.database.read() as connection:
        return [int(number) for number in connection.execute(query).scalars()]


def embed(runtime: Runtime) -> None:
    for job_id in waiting(runtime):
        assert work(runtime, job_id).state is JobState.COMPLETED


def starts(body: dict[str, Any]) -> list[float]:
    return [item["start_sec"] for item in body["results"]]


def filled(open_: Open, url: str, clip: Path, **changes: Any) -> tuple[Runtime, Client, str]:
    runtime, client = open_(
        text_embedding_url=url, text_embedding_model=MODEL, vlm_attempts=1, **changes
    )
    video = indexed(runtime, client, clip)
    put_talk(client, video)
    embed(runtime)
    return runtime, client, video


def test_a_paraphrase_finds_what_was_said_in_three_languages(
    opened_on_both: Open, url: str, script: Script, clip: Path
) -> None:
    _, client, _ = filled(opened_on_both, url, clip)
    body = found(client, query="vehicle that lifts pallets cannot go on")
    assert sorted(starts(body)) == [8.0, 30.0, 44.0]
    assert "transcript text of like meaning" in body["results"][0]["why_relevant"]
    assert body["timings_sec"]["meaning"] > 0
    assert body["results"][0]["transcript_text"]
    spans = found(client, query="cannot go on", time_range={"start_sec": 29, "end_sec": 34})
    assert starts(spans) == [30.0]
    assert script.embedded[:3] == [
        "The forklift is blocked by a red crate.",
        "Водитель остановил погрузчик у ворот.",
        "フォークリフトが停止しました。",
    ]


def test_changed_texts_get_new_vectors_and_old_ones_are_not_found(
    opened: Open, url: str, script: Script, clip: Path
) -> None:
    runtime, client, video = filled(opened, url, clip)
    put_talk(client, video, "WEBVTT\n\n00:20.000 --> 00:22.000\nWe go to lunch.\n")
    before = found(client, query="vehicle that lifts")
    assert starts(before) == []
    assert any("vectors are still being made" in told for told in before["unknowns"])
    assert len(waiting(runtime)) == 1
    embed(runtime)
    after = found(client, query="what about a lunch break")
    assert starts(after) == [20.0]
    assert not any("vectors" in told for told in after["unknowns"])
    (texts,) = (item for item in runtime.vectors.collections() if item.kind == "texts")
    assert (runtime.vectors.count(texts), texts.dim) == (1, 4)
    client.delete(f"/vigil/videos/{video}")
    assert runtime.vectors.count(texts) == 0


def test_without_the_server_words_still_find_and_it_is_told(
    opened: Open, url: str, script: Script, clip: Path
) -> None:
    runtime, client, video = filled(opened, url, clip)
    script.lasting_fault = "broken"
    body = found(client, query="forklift")
    assert starts(body) == [8.0]
    assert any("what the words mean" in told and "500" in told for told in body["unknowns"])
    put_talk(client, video, TALK.replace("crate", "box"))
    (job_id,) = waiting(runtime)
    assert work(runtime, job_id).state is not JobState.COMPLETED
    script.lasting_fault = None
    assert rebuild_texts(runtime) == 1
    assert sorted(starts(found(client, query="vehicle that lifts"))) == [8.0, 30.0, 44.0]


def test_another_model_sees_only_what_it_made(
    opened: Open, url: str, script: Script, clip: Path, tmp_path: Path
) -> None:
    runtime, client, _ = filled(opened, url, clip)
    runtime, client = opened(
        text_embedding_url=url,
        text_embedding_model=MODEL,
        text_embedding_passage_prefix="passage: ",
    )
    body = found(client, query="vehicle that lifts")
    assert starts(body) == []
    assert any("vectors are still being made" in told for told in body["unknowns"])
    assert rebuild_texts(runtime) == 1
    assert script.embedded[-1].startswith("passage: ")
    assert starts(found(client, query="vehicle that lifts"))[0] in (8.0, 30.0, 44.0)
    kept = [item for item in runtime.vectors.collections() if item.kind == "texts"]
    assert [runtime.vectors.count(item) for item in kept if runtime.vectors.count(item)] == [3]


def test_a_question_reaches_the_model_by_its_meaning(opened: Open, url: str, clip: Path) -> None:
    def see(asked: Asked) -> Any:
        return answers_with(asked, {"sentences": [("The forklift.", None)]})

    model = Script(see, wants_schema=True)
    with serving_model(model) as vlm_url:
        _, client, _ = filled(opened, url, clip, vlm_url=vlm_url, vigil_rerank_count=0)
        told = client.post(
            "/vigil/query", json={"question": "Which vehicle that lifts pallets was there?"}
        ).json()
    assert told["answer"].startswith("The forklift.")
    assert len(told["evidence"]) == 3


def test_the_address_needs_a_model() -> None:
    from sopilot.core.config import load_settings

    with pytest.raises(BadSettings, match="SOPILOT_TEXT_EMBEDDING_MODEL"):
        load_settings(text_embedding_url="http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("vectors", "said"),
    [
        ([[1.0, 0.0], [1.0]], "different lengths"),
        ([[1.0, 0.0], [0.0, 0.0]], "zero or not finite"),
        ([[1.0, 0.0], [1e300, 1e300]], "zero or not finite"),
    ],
)
def test_vectors_that_are_none_are_refused(vectors: Sequence[list[float]], said: str) -> None:
    by_text = dict(zip(("a", "b"), vectors, strict=True))
    with serving_model(Script(lambda _: {}, embed=lambda text: by_text[text])) as address:
        with TextEmbedder(Endpoint(address, MODEL, attempts=1)) as embedder:
            with pytest.raises(ModelReplyError, match=said):
                embedder.of_passages(["a", "b"])


def test_vectors_come_in_the_order_of_the_texts(script: Script, url: str) -> None:
    texts = [f"lunch {'x' * place}" for place in range(150)]
    with TextEmbedder(Endpoint(url, MODEL), passage_prefix="p: ") as embedder:
        rows = embedder.of_passages(texts)
    expected = np.array([concepts(f"p: {text}") for text in texts])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert rows == pytest.approx(expected, abs=1e-6)
    assert script.embedded == [f"p: {text}" for text in texts]


def test_a_query_has_a_prefix_of_its_own(
    opened: Open, url: str, script: Script, clip: Path
) -> None:
    _, client, _ = filled(opened, url, clip, text_embedding_query_prefix="query: ")
    found(client, query="lunch")
    assert script.embedded[-1] == "query: lunch"
    assert not any(text.startswith("query: ") for text in script.embedded[:-1])


def test_the_key_is_sent(opened: Open, url: str, script: Script, clip: Path) -> None:
    script.key = "text-key"
    _, client, _ = filled(opened, url, clip, text_embedding_api_key="text-key")
    assert len(script.embedded) == 3
    script.key = "another"
    body = found(client, query="lunch")
    assert any("SOPILOT_TEXT_EMBEDDING_API_KEY" in told for told in body["unknowns"])


def test_missing_vectors_are_refused(script: Script, url: str) -> None:
    script.faults.append("truncated")
    with TextEmbedder(Endpoint(url, MODEL, attempts=1)) as embedder:
        with pytest.raises(ModelReplyError, match="1 vectors for 2 texts"):
            embedder.of_passages(["a", "b"])

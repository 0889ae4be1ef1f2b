"""Our client and our job against a server that is not ours, with a model of random weights.

The model babbles; what holds is the protocol, and that nothing is ever made of babble.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from pydantic import BaseModel, ConfigDict

from sopilot.core.errors import ModelRefused, ModelReplyError
from sopilot.core.records import Actor
from sopilot.incidents import queries
from sopilot.incidents.schemas import LogEvent, Status
from sopilot.incidents.submit import Order, submit_file
from sopilot.library import queries as library
from sopilot.library.play import file_of
from sopilot.media.encode import VideoWriter
from sopilot.runtime import close_runtime
from sopilot.sop.tasks import task_opener
from sopilot.vlm.client import Endpoint, Picture, Question, VlmClient, picture_text
from sopilot.vlm.probability import probability_of
from tests.integration.service_parts import open_test_runtime, work
from tests.ml.transformers_server import serving_checkpoint

pytestmark = pytest.mark.ml

NAME = "tiny/llava"
TOKENS_PER_PICTURE = 4


class Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    is_red: bool
    caption: str


@pytest.fixture(scope="module")
def url(backend: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    from tests.ml.tiny_checkpoints import write_llava

    folder = tmp_path_factory.mktemp("llava")
    write_llava(folder / "hub", NAME)
    with serving_checkpoint(folder / "hub", NAME, folder / "serve.log") as address:
        yield address


@pytest.fixture
def client(url: str) -> Iterator[VlmClient]:
    with opened(url) as made:
        yield made


def opened(url: str, model: str = NAME) -> VlmClient:
    endpoint = Endpoint(url, model, timeout_sec=120.0, attempts=2)
    return VlmClient(endpoint, sleep=lambda _: None)


def picture(time_sec: float, blue_green_red: tuple[int, int, int]) -> Picture:
    pixels = np.full((252, 448, 3), blue_green_red, np.uint8)
    _, data = cv2.imencode(".jpg", pixels)
    return Picture(time_sec, data.tobytes())


def question(
    schema: type[BaseModel] | None = None, max_tokens: int = 100, red: int = 200
) -> Question:
    parts = ("Look.", picture(1.0, (90, 90, 90)), picture(2.0, (0, 0, red)), "Red?")
    return Question(parts, schema, max_tokens)


def test_the_server_tells_the_model_it_serves(client: VlmClient) -> None:
    assert client.models() == (NAME,)


def test_two_pictures_and_their_times_are_read_and_answered(client: VlmClient) -> None:
    reply = client.ask(question())
    words = f"user: Look.{picture_text(1.0)}{picture_text(2.0)}Red?\nassistant: "
    assert reply.prompt_tokens == len(words) + 2 * TOKENS_PER_PICTURE  # a token per letter
    assert reply.finish_reason == "stop"
    assert reply.completion_tokens == len(reply.text) + 1  # the end is a token too
    assert reply.model.split("@")[0] == NAME
    assert (reply.attempts, reply.tokens) == (1, ())


def test_the_same_question_has_the_same_answer(client: VlmClient) -> None:
    assert client.ask(question()).text == client.ask(question()).text


def test_an_answer_longer_than_allowed_is_no_answer(client: VlmClient) -> None:
    with pytest.raises(ModelReplyError, match="cut off after 8 tokens") as failure:
        client.ask(question(max_tokens=4))
    assert failure.value.details["attempts"] == 2
    assert len(str(failure.value.details["text"])) == 8


def test_babble_is_never_an_answer_of_the_wanted_shape(client: VlmClient) -> None:
    babble = client.ask(question()).text
    with pytest.raises(ModelReplyError, match="not of the shape") as failure:
        client.ask_for(question(Answer))
    assert failure.value.details == {"text": babble, "attempts": 2}


def test_a_server_that_tells_no_probabilities_gives_none(client: VlmClient) -> None:
    asked = question()
    reply = client.ask(Question(asked.parts, None, asked.max_tokens, wants_probability=True))
    assert reply.tokens == ()
    assert probability_of(reply, "is_red") is None


def test_a_model_that_is_not_served_is_refused_once(url: str) -> None:
    with opened(url, "tiny/other") as client, pytest.raises(ModelRefused) as failure:
        client.ask(question())
    assert failure.value.details["status"] == 400
    assert NAME in failure.value.message


def test_a_saved_qwen_takes_our_pictures_and_answers_as_before(tmp_path: Path) -> None:
    import torch
    from PIL import Image
    from transformers import Qwen2_5_VLForConditionalGeneration as Qwen
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    from tests.ml.tiny_checkpoints import QWEN_MERGED_PX, write_qwen

    made, tokenizer = write_qwen(tmp_path)
    shown = [item for item in question().parts if isinstance(item, Picture)]
    opened_pictures = [Image.open(BytesIO(item.jpeg)) for item in shown]
    seen = Qwen2VLImageProcessorPil()(images=opened_pictures, return_tensors="pt")
    count = (448 // QWEN_MERGED_PX) * (252 // QWEN_MERGED_PX)
    assert [int(grid.prod()) // 4 for grid in seen["image_grid_thw"]] == [count, count]
    words = f"<|start|>{'<|image|>' * count}<|stop|>"
    inputs = dict(tokenizer(f"{words}{words}Red?", return_tensors="pt"))
    is_picture = inputs["input_ids"] == tokenizer.convert_tokens_to_ids("<|image|>")
    inputs |= {**seen, "mm_token_type_ids": is_picture.int()}
    answers = []
    for model in (made.eval(), Qwen.from_pretrained(tmp_path).eval()):
        with torch.no_grad():
            told = model.generate(**inputs, do_sample=False, max_new_tokens=64)
        answers.append(tokenizer.decode(told[0, is_picture.shape[1] :], skip_special_tokens=True))
    assert answers[0] == answers[1]
    assert 4 <= len(answers[0]) < 64


def test_an_incident_seen_by_a_babbling_model_ends_in_error(url: str, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    dice = np.random.default_rng(5)
    with VideoWriter(film, (320, 180), fps=10.0) as writer:
        for _ in range(40):
            blocks = dice.integers(0, 255, (18, 32, 3)).astype(np.uint8)
            writer.write(np.kron(blocks, np.ones((10, 10, 1), np.uint8)))
    runtime = open_test_runtime(tmp_path, vlm_url=url, vlm_attempts=2, job_max_retries=0)
    try:
        opener = task_opener(runtime.settings)
        order = Order("production", "en")
        row = submit_file(runtime, film, order, open_task=opener, by=Actor("test"))
        with runtime.database.read() as connection:
            video = library.get_video(connection, row.video_id)
        assert video.ingest_job_id is not None
        work(runtime, video.ingest_job_id)
        with runtime.database.read() as connection:
            row = queries.get_incident(connection, row.id)
        assert row.job_id is not None
        work(runtime, row.job_id)
        with runtime.database.read() as connection:
            row = queries.get_incident(connection, row.id)
            log = queries.list_logs(connection, row.id)
            events = queries.list_events(connection, row.id)
            video = library.get_video(connection, row.video_id)
            kept = file_of(runtime, connection, video, is_raw=True).path
        assert (row.status, row.error_code) == (Status.ERROR, "MODEL_REPLY_INVALID")
        assert row.error_message
        assert (row.has_event, list(events)) == (None, [])
        assert log[-1].event is LogEvent.ERROR
        assert kept.read_bytes() == film.read_bytes()
    finally:
        close_runtime(runtime)

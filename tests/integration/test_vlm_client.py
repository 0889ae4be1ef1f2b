"""The model's client against a server that checks every request and looks at every picture."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import pytest
from pydantic import BaseModel, ConfigDict, Field
from vlm_server import KEY, MODEL, Asked, Script, burn_clock, clocks, read_clock, serving_model

from sopilot.core.errors import ModelError, ModelRefused, ModelReplyError, ModelUnavailable
from sopilot.vlm.client import Endpoint, Picture, Question, VlmClient
from sopilot.vlm.probability import probability_of


class Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    is_red: bool
    caption: str = Field(max_length=100)


def picture(time_sec: float, *, is_red: bool = False, width_px: int = 448) -> Picture:
    pixels = np.full((252, width_px, 3), 90, np.uint8)
    if is_red:
        pixels[100:160, 100:160] = (0, 0, 255)
    burn_clock(pixels, time_sec)
    _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 70])
    return Picture(time_sec, data.tobytes())


def see(asked: Asked) -> dict[str, Any]:
    from vlm_server import red_share

    return {"is_red": any(red_share(p.pixels) > 0.01 for p in asked.pictures), "caption": "seen"}


QUESTION = Question(("Look.", picture(1.0), picture(1.5, is_red=True), "Red?"), Answer, 100)


@pytest.fixture
def script() -> Script:
    return Script(see)


@pytest.fixture
def client(script: Script) -> Iterator[VlmClient]:
    with serving_model(script) as url, opened(url) as made:
        yield made


def opened(url: str, **changes: Any) -> VlmClient:
    values = {"url": url, "model": MODEL, "timeout_sec": 20.0, "attempts": 3, "concurrency": 4}
    return VlmClient(Endpoint(**{**values, **changes}), sleep=lambda _: None)


def test_an_answer_is_checked_and_comes_from_the_pictures(
    client: VlmClient, script: Script
) -> None:
    found, reply = client.ask_for(QUESTION)
    assert found == Answer(is_red=True, caption="seen")
    assert (reply.model, reply.attempts, reply.completion_tokens) == (MODEL, 1, 5)
    (asked,) = script.asked
    assert asked.schema == Answer.model_json_schema()
    assert script.refused == []


def test_every_picture_has_its_own_time_before_it(client: VlmClient, script: Script) -> None:
    times = [0.0, 3.37, 61.5]
    client.ask_for(Question((*map(picture, times), "?"), Answer, 50))
    (asked,) = script.asked
    assert [item.time_sec for item in asked.pictures] == times
    assert clocks(asked.pictures) == times


def test_the_clock_survives_jpeg_and_scaling() -> None:
    for time_sec in (0.0, 7.36, 599.999, 1048.575):
        data = np.frombuffer(picture(time_sec, width_px=1280).jpeg, np.uint8)
        small = cv2.resize(cv2.imdecode(data, cv2.IMREAD_COLOR), (448, 252))
        assert read_clock(np.asarray(small, np.uint8)) == pytest.approx(time_sec, abs=5e-4)


def test_a_text_is_asked_for_without_a_shape(client: VlmClient, script: Script) -> None:
    script.see = lambda asked: "a quiet hall"
    assert client.ask(Question(("Describe.", picture(0.0)), None, 20)).text == "a quiet hall"
    assert client.models() == (MODEL,)


def test_the_probability_of_a_yes_is_read_from_its_token(client: VlmClient, script: Script) -> None:
    script.has_logprobs = True
    asked = Question(QUESTION.parts, Answer, 100, wants_probability=True)
    _, reply = client.ask_for(asked)
    assert probability_of(reply, "is_red") == pytest.approx(0.9, abs=1e-3)
    assert probability_of(reply, "caption") is None
    assert probability_of(reply, "absent") is None
    script.see = lambda _: {"is_red": False, "caption": "none"}
    assert probability_of(client.ask_for(asked)[1], "is_red") == pytest.approx(0.1, abs=1e-3)


def test_no_probability_is_made_up(client: VlmClient) -> None:
    assert probability_of(client.ask_for(QUESTION)[1], "is_red") is None


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("truncated", ModelReplyError),
        ("html", ModelReplyError),
        ("prose", ModelReplyError),
        ("empty", ModelReplyError),
        ("foreign", ModelReplyError),
        ("busy", ModelUnavailable),
        ("broken", ModelUnavailable),
        ("cut", ModelUnavailable),
    ],
)
def test_a_passing_fault_is_outlived_and_a_lasting_one_has_a_name(
    client: VlmClient, script: Script, fault: str, error: type[ModelError]
) -> None:
    script.faults = [fault, fault]
    found, reply = client.ask_for(QUESTION)
    assert (found.is_red, reply.attempts) == (True, 3)  # type: ignore[attr-defined]
    script.lasting_fault = fault
    with pytest.raises(error) as caught:
        client.ask_for(QUESTION)
    assert caught.value.details["attempts"] == 3
    assert len(script.asked) == 6


def test_an_answer_that_was_cut_off_gets_more_room(client: VlmClient, script: Script) -> None:
    script.faults = ["truncated", "truncated"]
    client.ask_for(QUESTION)
    assert [asked.max_tokens for asked in script.asked] == [100, 200, 200]


def test_the_pause_follows_what_a_busy_server_wishes(script: Script) -> None:
    pauses: list[float] = []
    script.faults = ["busy", "broken"]
    with serving_model(script) as url:
        with VlmClient(Endpoint(url, MODEL, attempts=3), sleep=pauses.append) as client:
            client.ask_for(QUESTION)
    assert pauses == [1.0, 1.0]


def test_a_server_that_is_too_slow_is_unavailable(script: Script) -> None:
    script.lasting_fault, script.slow_sec = "slow", 1.5
    with serving_model(script) as url, opened(url, timeout_sec=0.2, attempts=2) as client:
        with pytest.raises(ModelUnavailable, match="SOPILOT_VLM_TIMEOUT_SEC"):
            client.ask_for(QUESTION)


def test_nobody_at_the_address_is_unavailable() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with opened(url) as client, pytest.raises(ModelUnavailable, match="SOPILOT_VLM_URL"):
        client.ask_for(QUESTION)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"model": "other"}, "vlm check"),
        ({"api_key": "wrong"}, "SOPILOT_VLM_API_KEY"),
        ({"api_key": None}, "SOPILOT_VLM_API_KEY"),
    ],
)
def test_what_is_refused_is_not_asked_again(
    script: Script, changes: dict[str, Any], told: str
) -> None:
    script.key = KEY
    with serving_model(script) as url:
        with opened(url, **{"api_key": KEY, **changes}) as client:
            with pytest.raises(ModelRefused, match=told) as caught:
                client.ask_for(QUESTION)
        assert len(script.refused) == 1
        assert "wrong key" not in caught.value.message or KEY not in caught.value.message


def test_too_many_pictures_are_explained(client: VlmClient, script: Script) -> None:
    script.max_images = 1
    with pytest.raises(ModelRefused, match="limit-mm-per-prompt"):
        client.ask_for(QUESTION)


def test_the_key_is_sent_and_never_shown(script: Script) -> None:
    script.key = KEY
    with serving_model(script) as url, opened(url, api_key=KEY) as client:
        client.ask_for(QUESTION)
        assert KEY not in repr(Endpoint(url, MODEL, KEY))


def test_no_more_questions_are_open_than_allowed(script: Script) -> None:
    both_in = threading.Barrier(2, timeout=30)

    def see_together(asked: Asked) -> dict[str, Any]:
        both_in.wait()  # passes only when two requests are there at the same time
        return see(asked)

    script.see = see_together
    with serving_model(script) as url, opened(url, concurrency=2) as client:
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(client.ask_for, [QUESTION] * 6))
    assert script.most_at_once == 2


def test_a_key_that_the_server_repeats_is_not_told(script: Script) -> None:
    told = json.dumps({"error": {"message": f"Incorrect API key provided: {KEY}"}}).encode()
    script.replies = [(401, told, {})]
    with serving_model(script) as url, opened(url, api_key=KEY) as client:
        with pytest.raises(ModelRefused, match="Incorrect API key provided") as caught:
            client.ask_for(QUESTION)
    assert KEY not in f"{caught.value.message} {caught.value.details}"


def test_a_key_with_a_line_end_around_it_is_taken(script: Script) -> None:
    script.key = KEY
    with serving_model(script) as url, opened(url, api_key=f"{KEY}\n") as client:
        assert client.ask_for(QUESTION)[1].attempts == 1


@pytest.mark.parametrize("key", ["two words", "line\nend", "schlüssel"])
def test_a_key_that_no_header_carries_is_refused_unshown(key: str) -> None:
    with pytest.raises(ModelRefused, match="SOPILOT_VLM_API_KEY") as caught:
        opened("http://127.0.0.1:9", api_key=key)
    assert key not in caught.value.message


@pytest.mark.parametrize("fault", ["drip", "drip_headers"])
def test_a_server_that_drips_is_too_slow(script: Script, fault: str) -> None:
    script.lasting_fault = fault
    with serving_model(script) as url, opened(url, timeout_sec=0.5, attempts=2) as client:
        with pytest.raises(ModelUnavailable, match="did not answer in time") as caught:
            client.ask_for(QUESTION)
        assert caught.value.details["attempts"] == 2
        assert (len(script.asked), script.dripped_whole_count) == (2, 0)
        script.lasting_fault = None
        assert client.ask_for(QUESTION)[1].attempts == 1


def test_a_server_that_takes_a_question_too_slowly_is_too_slow() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        ended = threading.Event()

        def sip() -> None:
            connection, _ = server.accept()
            while not ended.wait(0.05) and connection.recv(1 << 15):
                pass
            connection.close()

        thread = threading.Thread(target=sip, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        asked = Question((Picture(1.0, bytes(12 << 20)), "?"), Answer, 100)
        with opened(url, timeout_sec=0.5, attempts=1) as client:
            with pytest.raises(ModelUnavailable, match=r"did not answer in time \(WriteTimeout"):
                client.ask_for(asked)
        ended.set()
        thread.join()


@pytest.mark.parametrize(
    ("header", "pause_sec"),
    [
        ("7", 7.0),
        ("86400", 20.0),
        ("Fri, 31 Dec 2100 23:59:59 GMT", 20.0),
        ("Fri, 31 Dec 1999 23:59:59 -0000", 0.5),
        ("soon", 0.5),
        ("\u00b2", 0.5),
    ],
)
def test_a_wished_pause_is_kept_up_to_a_bound(
    script: Script, header: str, pause_sec: float
) -> None:
    pauses: list[float] = []
    script.replies = [(429, b"{}", {"retry-after": header})]
    with serving_model(script) as url:
        with VlmClient(Endpoint(url, MODEL), sleep=pauses.append) as client:
            client.ask_for(QUESTION)
    assert pauses == [pause_sec]


@pytest.mark.parametrize(
    ("status", "told", "advice"),
    [
        (400, "At most 1 image(s) may be provided in one prompt.", "limit-mm-per-prompt"),
        (400, "max_tokens must be at most 4096", "see the server's log"),
        (400, f"{'x' * 400} use --trust-request-mm-kwargs", "picture options per request"),
        (302, "", "sends elsewhere"),
    ],
)
def test_a_refusal_says_what_to_do(
    client: VlmClient, script: Script, status: int, told: str, advice: str
) -> None:
    script.replies = [(status, json.dumps({"message": told}).encode(), {"location": "/login"})]
    with pytest.raises(ModelRefused) as caught:
        client.ask_for(QUESTION)
    assert advice in caught.value.message.rpartition("): ")[2]
    assert script.asked == []


def test_half_a_character_is_refused_by_name(client: VlmClient) -> None:
    with pytest.raises(ModelRefused, match="UTF-8"):
        client.ask(Question(("\ud800",), None, 10))


def test_members_that_a_server_leaves_null_do_no_harm(client: VlmClient, script: Script) -> None:
    token = {"token": "hall", "logprob": -0.5, "top_logprobs": None}
    choice = {"message": {"content": "hall"}, "logprobs": {"content": [token]}}
    body = json.dumps({"model": None, "choices": [choice], "usage": None}).encode()
    script.replies = [(200, body, {})]
    reply = client.ask(Question(("?",), None, 10))
    assert (reply.text, reply.model, reply.tokens[0].others) == ("hall", "", {})


def test_a_retry_never_gets_less_room(client: VlmClient, script: Script) -> None:
    script.faults = ["truncated"]
    client.ask_for(Question(QUESTION.parts, Answer, 10_000))
    assert [asked.max_tokens for asked in script.asked] == [10_000, 10_000]


def test_a_cut_connection_is_not_taken_for_a_slow_server(script: Script) -> None:
    script.lasting_fault = "cut"
    with serving_model(script) as url, opened(url, attempts=1) as client:
        with pytest.raises(ModelUnavailable, match="cannot be reached"):
            client.ask_for(QUESTION)


def completion(text: str, **choice: Any) -> bytes:
    told = {"message": {"content": text}, "finish_reason": "stop", **choice}
    return json.dumps({"choices": [told]}).encode()


def test_what_no_page_can_show_is_left_out_of_an_answer(client: VlmClient, script: Script) -> None:
    text = json.dumps({"is_red": True, "caption": "a\0 man\x1b[2J falls"})
    script.replies = [(200, completion(text), {})]
    found, reply = client.ask_for(QUESTION)
    assert found == Answer(is_red=True, caption="a man[2J falls")
    assert reply.text == text  # word for word


def test_an_answer_without_end_is_none(client: VlmClient, script: Script) -> None:
    script.replies = [(200, completion("{" + " " * 100_000), {})] * 3
    with pytest.raises(ModelReplyError, match="at most 65536 are read") as caught:
        client.ask_for(QUESTION)
    assert len(caught.value.details["text"]) <= 4000


@pytest.mark.parametrize("logprob", ["1e9", "NaN", "Infinity", "0.5"])
def test_what_is_no_log_probability_makes_no_score(
    client: VlmClient, script: Script, logprob: str
) -> None:
    token = {"token": "true", "logprob": "LP", "top_logprobs": []}
    body = completion('{"is_red": true}', logprobs={"content": [token]})
    script.replies = [(200, body.replace(b'"LP"', logprob.encode()), {})] * 3
    with pytest.raises(ModelReplyError, match="OpenAI form"):
        client.ask_for(QUESTION)


def test_a_certain_token_and_an_impossible_one_make_a_score(
    client: VlmClient, script: Script
) -> None:
    others = [{"token": "false", "logprob": "LP"}]
    tokens = [{"token": '{"is_red": ', "logprob": 0.0, "top_logprobs": []}]
    tokens += [{"token": "true", "logprob": 1e-6, "top_logprobs": others}]
    body = completion('{"is_red": true, "caption": ""}', logprobs={"content": tokens})
    script.replies = [(200, body.replace(b'"LP"', b"-Infinity"), {})]
    assert probability_of(client.ask_for(QUESTION)[1], "is_red") == 1.0


def test_a_key_in_an_answer_of_another_form_is_not_told(script: Script) -> None:
    script.replies = [(200, json.dumps({"headers": f"Bearer {KEY}"}).encode(), {})]
    with serving_model(script) as url, opened(url, api_key=KEY, attempts=1) as client:
        with pytest.raises(ModelReplyError, match=r"Bearer \*\*\*") as caught:
            client.ask_for(QUESTION)
    assert KEY not in f"{caught.value.message} {caught.value.details}"


def test_a_refusal_with_a_nul_can_be_stored(client: VlmClient, script: Script) -> None:
    script.replies = [(400, b"no\x00 such \x1b[31mthing", {})]
    with pytest.raises(ModelRefused, match=r"\(no such \[31mthing\)"):
        client.ask_for(QUESTION)


def test_a_closed_client_waits_for_what_is_open_and_asks_no_more(script: Script) -> None:
    is_in, may_go = threading.Event(), threading.Event()

    def see_late(asked: Asked) -> dict[str, Any]:
        is_in.set()
        assert may_go.wait(30)
        return see(asked)

    script.see = see_late
    with serving_model(script) as url, ThreadPoolExecutor(3) as pool:
        client = opened(url, concurrency=1)
        first = pool.submit(client.ask_for, QUESTION)
        assert is_in.wait(30)
        second = pool.submit(client.ask_for, QUESTION)
        closing = pool.submit(client.close)
        may_go.set()
        closing.result()
        assert first.result()[1].attempts == 1
        assert second.exception() is None or isinstance(second.exception(), ModelRefused)
        with pytest.raises(ModelRefused, match="has ended"):
            client.ask_for(QUESTION)

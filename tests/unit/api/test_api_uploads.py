"""Receiving an upload: any cutting of the body gives the same file and fields."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sopilot.api.uploads import Received, clean_filename, receive
from sopilot.core.errors import BadUpload, FileTooLarge, InputError
from sopilot.core.records import Role
from sopilot.store.blobs import open_blobs

BOUNDARY = "limit-7"
VIDEO = bytes(range(256)) * 8 + b"\r\n--limit-" + b"\r\n"


def part(name: str, content: bytes, filename: str | None = None) -> bytes:
    named = f'; filename="{filename}"' if filename is not None else ""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'
    return head.encode() + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def make_request(body: list[bytes], kind: str, query: str = "", **headers: str) -> Request:
    messages = [{"type": "http.request", "body": b, "more_body": True} for b in body]
    messages.append({"type": "http.request", "body": b"", "more_body": False})

    async def take() -> dict[str, Any]:
        return messages.pop(0)

    named = {"content-type": kind} | {k.replace("_", "-"): v for k, v in headers.items()}
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/videos",
        "query_string": query.encode(),
        "headers": [(k.encode(), v.encode()) for k, v in named.items()],
    }
    return Request(scope, take)


FORM = f"multipart/form-data; boundary={BOUNDARY}"


def send(folder: Path, request: Request, max_bytes: int = 1 << 20) -> tuple[bytes, Received]:
    async def run() -> tuple[bytes, Received]:
        with open_blobs(folder).stage(max_bytes=max_bytes) as staged:
            received = await receive(request, staged)
            staged.flush()
            return staged.path.read_bytes(), received

    return asyncio.run(run())


def left_over(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@given(cuts=st.lists(st.integers(0, 2400), max_size=30))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_cutting_of_a_form_gives_the_same_file(tmp_path: Path, cuts: list[int]) -> None:
    body = form(
        part("task_id", "作業1".encode()),
        part("file", VIDEO, "clip.mp4"),
        part("enforce_quality", b"true"),
    )
    edges = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    blocks = [body[a:b] for a, b in pairwise(edges)]
    data, received = send(tmp_path, make_request(blocks, FORM))
    assert data == VIDEO
    assert received == Received({"task_id": "作業1", "enforce_quality": "true"}, "clip.mp4")
    assert left_over(tmp_path) == []


def test_a_raw_body_takes_its_fields_from_the_query(tmp_path: Path) -> None:
    request = make_request([VIDEO[:100], VIDEO[100:]], "video/mp4", "task_id=t&filename=a%2Fb.mp4")
    data, received = send(tmp_path, request)
    upload = received.form().upload(role=None, task_id="other", filename=received.filename)
    assert data == VIDEO
    assert (upload.task_id, upload.role, received.filename) == ("t", Role.TRAINEE, "b.mp4")


@pytest.mark.parametrize("kind", [FORM, "video/mp4"])
def test_a_body_over_the_limit_is_refused_while_it_streams(tmp_path: Path, kind: str) -> None:
    file = b"x" * 3_000_000
    body = form(part("file", file, "a.mp4")) if kind == FORM else file
    blocks = [body[i : i + 65_536] for i in range(0, len(body), 65_536)]
    with pytest.raises(FileTooLarge, match="1048576"):
        send(tmp_path, make_request(blocks, kind))
    assert left_over(tmp_path) == []


def test_what_follows_the_last_part_counts_too(tmp_path: Path) -> None:
    body = form(part("file", VIDEO, "a.mp4"))
    endless = [body, *[b"x" * 65_536] * 17]
    with pytest.raises(FileTooLarge, match="1048576"):
        send(tmp_path, make_request(endless, FORM))
    data, _ = send(tmp_path, make_request(endless[:15], FORM))
    assert data == VIDEO


def test_an_announced_length_over_the_limit_is_refused_unread(tmp_path: Path) -> None:
    request = make_request([], "video/mp4", content_length="9000000")
    with pytest.raises(FileTooLarge, match="9000000"):
        send(tmp_path, request)


@pytest.mark.parametrize(
    ("kind", "body", "error", "words"),
    [
        ("application/json", b"{}", BadUpload, "application/json"),
        ("", b"x", BadUpload, "content type"),
        ("multipart/form-data", b"x", BadUpload, "boundary"),
        (FORM, b"no form at all", BadUpload, "broken"),
        (FORM, form(part("task_id", b"t")), InputError, "file"),
        (FORM, form(part("file", b"text without name")), InputError, "file"),
        (FORM, part("file", b"cut", "a.mp4"), BadUpload, "early"),
        (FORM, form(part("file", b"1", "a"), part("file", b"2", "b")), InputError, "two files"),
        (FORM, form(part("note", b"x" * 20_000)), InputError, "longer"),
        (FORM, form(*[part(f"f{i}", b"") for i in range(40)]), InputError, "parts"),
    ],
)
def test_broken_bodies(
    tmp_path: Path, kind: str, body: bytes, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        send(tmp_path, make_request([body], kind))
    assert left_over(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("clip.mp4", "clip.mp4"),
        ("C:\\fake\\clip.mp4", "clip.mp4"),
        ("../../etc/passwd", "passwd"),
        ("a\r\nSet-Cookie: x.mp4", "aSet-Cookie: x.mp4"),
        ("動画.mp4", "動画.mp4"),
        ("x" * 400, "x" * 255),
        ("", None),
        ("/", None),
        (None, None),
    ],
)
def test_file_names_lose_their_folders_and_control_characters(
    name: str | None, expected: str | None
) -> None:
    assert clean_filename(name) == expected


@pytest.mark.parametrize(
    "fields",
    [
        {"role": "judge"},
        {"enforce_quality": "perhaps"},
        {"site_id": "x" * 129},
        {"camera_id": "a\x00b"},
    ],
)
def test_bad_fields_are_refused_by_name(fields: dict[str, str]) -> None:
    with pytest.raises(RequestValidationError) as caught:
        Received(fields).form()
    assert caught.value.errors()[0]["loc"] == ("body", next(iter(fields)))


def test_blank_fields_count_as_absent() -> None:
    form_fields = Received({"task_id": " ", "site_id": "", "operator_id_hash": " h "}).form()
    upload = form_fields.upload(role=Role.GOLD, task_id="pilot", filename=None)
    assert (upload.task_id, upload.meta.site_id) == ("pilot", None)
    assert upload.meta.operator_id_hash == "h"

"""The client that the settings ask for."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from sopilot.core.config import Settings
from sopilot.core.errors import ModelRefused
from sopilot.vlm.client import Endpoint, VlmClient
from sopilot.vlm.text_vectors import TextEmbedder
from sopilot.vlm.wire import WireClient

PRESETS = {
    "internvideo_chat": "OpenGVLab/InternVideo2_5_Chat_8B",
    "llava_video": "lmms-lab/LLaVA-Video-7B-Qwen2",
}
"""Names that older settings have for models, as model servers know them."""

_WAIT_SEC = 10.0
SEED = 7
"""Any fixed number: the same question gets the same answer where the server honours it."""


def endpoint_of(settings: Settings) -> Endpoint | None:
    """Where the model is; None where none is configured."""
    if not settings.vlm_url:
        return None
    key = settings.vlm_api_key
    return Endpoint(
        url=settings.vlm_url,
        model=settings.vlm_model,
        api_key=None if key is None else key.get_secret_value(),
        timeout_sec=settings.vlm_timeout_sec,
        attempts=settings.vlm_attempts,
        concurrency=settings.vlm_concurrency,
        seed=SEED,
    )


@contextmanager
def open_client(settings: Settings) -> Iterator[VlmClient | WireClient | None]:
    """The client for one piece of work; None where no model is configured.

    Where no model is named the only one of the server is taken. Raises ModelUnavailable,
    ModelRefused.
    """
    endpoint = endpoint_of(settings)
    if endpoint is None:
        yield None
    elif settings.vlm_protocol == "analyze_video":
        with WireClient(endpoint) as service:
            yield service
    else:
        with VlmClient(named(endpoint)) as client:
            yield client


@contextmanager
def open_text_embedder(
    settings: Settings, *, is_waited_for: bool = False
) -> Iterator[TextEmbedder | None]:
    """The client of text vectors; None where no server is configured. is_waited_for: by a person,
    who is answered without them rather than late."""
    if not settings.text_embedding_url:
        yield None
        return
    key = settings.text_embedding_api_key
    endpoint = Endpoint(
        url=settings.text_embedding_url,
        model=settings.text_embedding_model,
        api_key=None if key is None else key.get_secret_value(),
        timeout_sec=min(settings.vlm_timeout_sec, _WAIT_SEC if is_waited_for else math.inf),
        attempts=1 if is_waited_for else settings.vlm_attempts,
    )
    with TextEmbedder(
        endpoint, settings.text_embedding_query_prefix, settings.text_embedding_passage_prefix
    ) as embedder:
        yield embedder


def named(endpoint: Endpoint) -> Endpoint:
    """The endpoint with its model's name, asked from the server where none is given."""
    if endpoint.model:
        return endpoint
    with VlmClient(endpoint) as client:
        served = client.models()
    if len(served) != 1:
        raise ModelRefused(
            f"{endpoint.url} serves {len(served)} models ({', '.join(served[:5])}); name one in "
            "SOPILOT_VLM_MODEL"
        )
    return replace(endpoint, model=served[0])

"""The credentials that the settings name, and the one that a request carries.

Secrets are kept and compared as SHA-256 digests, in constant time and against all of them, so that
neither their length nor their place in the settings shows in the time of an answer.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from starlette.datastructures import Headers

from sopilot.core.config import AccessRole, Settings, split_role_tokens

Scheme = Literal["token", "basic"]


@dataclass(frozen=True, slots=True)
class Credential:
    """One configured way in. digest: (32,) bytes, SHA-256 of the secret."""

    actor: str
    role: AccessRole
    scheme: Scheme
    digest: bytes


@dataclass(frozen=True, slots=True)
class Given:
    """What a request carries; not yet known to be right."""

    scheme: Scheme
    digest: bytes


def configured(settings: Settings) -> tuple[Credential, ...]:
    """Every credential that opens the service; empty = none is configured."""
    found: list[Credential] = []
    if settings.api_key:
        role = settings.api_key_role
        key = settings.api_key.get_secret_value()
        found.append(Credential("token:api", role, "token", _digest(key.encode())))
    if settings.api_token:
        role = settings.api_token_role
        token = settings.api_token.get_secret_value()
        found.append(Credential(f"token:{role}", role, "token", _digest(token.encode())))
    for role, token in split_role_tokens(settings.api_role_tokens):
        found.append(Credential(f"token:{role}", role, "token", _digest(token.encode())))
    if settings.basic_user and settings.basic_password:
        pair = f"{settings.basic_user}:{settings.basic_password.get_secret_value()}"
        actor = f"basic:{settings.basic_user}"
        found.append(Credential(actor, settings.basic_role, "basic", _digest(pair.encode())))
    return tuple(found)


def given_in(headers: Headers) -> Given | None:
    """The credential of a request's headers; `X-API-Key` before `Authorization`.

    What cannot be read (another scheme, no base64) is a credential that matches nothing.
    """
    # HTTP libraries hand header bytes over as Latin-1; secrets are sent as UTF-8.
    key = headers.get("x-api-key")
    if key is not None:
        return Given("token", _digest(key.encode("latin-1", "replace")))
    if "authorization" not in headers:
        return None
    scheme, _, value = headers["authorization"].partition(" ")
    if scheme.lower() == "basic":
        try:
            return Given("basic", _digest(base64.b64decode(value.strip(), validate=True)))
        except (binascii.Error, ValueError):
            return Given("basic", b"")
    if scheme.lower() == "bearer":
        return Given("token", _digest(value.strip().encode("latin-1", "replace")))
    return Given("token", b"")


def match(credentials: Iterable[Credential], given: Given) -> Credential | None:
    """The configured credential that a request's is; of equal ones the first."""
    # All are compared: where the right one stands must not show.
    found = [
        item
        for item in credentials
        if hmac.compare_digest(item.digest, given.digest) and item.scheme == given.scheme
    ]
    return found[0] if found else None


def _digest(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()

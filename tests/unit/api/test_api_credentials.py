"""Which credentials the settings name, and which one a request carries."""

from __future__ import annotations

import base64

import pytest
from starlette.datastructures import Headers

from sopilot.api.credentials import configured, given_in, match
from sopilot.core.config import Settings, load_settings
from sopilot.core.errors import BadSettings

SETTINGS = load_settings(
    api_key="key",
    api_token="token",
    api_token_role="operator",
    api_role_tokens="viewer:gl4nce; admin: all ,operator:do:it",
    basic_user="anna",
    basic_password="pass:wörd",
    basic_role="viewer",
)


def basic(pair: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def actor_of(headers: dict[str, str], settings: Settings = SETTINGS) -> tuple[str, str] | None:
    given = given_in(Headers(headers))
    assert given is not None
    found = match(configured(settings), given)
    return None if found is None else (found.actor, found.role)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"x-api-key": "key"}, ("token:api", "admin")),
        ({"authorization": "Bearer key"}, ("token:api", "admin")),
        ({"authorization": "bearer  token"}, ("token:operator", "operator")),
        ({"x-api-key": "gl4nce"}, ("token:viewer", "viewer")),
        ({"authorization": "Bearer all"}, ("token:admin", "admin")),
        ({"authorization": "Bearer do:it"}, ("token:operator", "operator")),
        (basic("anna:pass:wörd"), ("basic:anna", "viewer")),
        ({"x-api-key": "gl4nce", "authorization": "Bearer all"}, ("token:viewer", "viewer")),
    ],
)
def test_every_form_of_a_credential(headers: dict[str, str], expected: tuple[str, str]) -> None:
    assert actor_of(headers) == expected


@pytest.mark.parametrize(
    "headers",
    [
        {"x-api-key": ""},
        {"x-api-key": "ke"},
        {"x-api-key": "keys"},
        {"x-api-key": "Key"},
        {"x-api-key": "秘密".encode().decode("latin-1")},
        {"x-api-key": "anna:pass:wörd"},
        {"authorization": "Bearer"},
        {"authorization": "key"},
        {"authorization": "Digest key"},
        {"authorization": "Basic !!!"},
        basic("anna"),
        basic("anna:"),
        basic("bert:pass:wörd"),
        basic("key"),
    ],
)
def test_no_other_text_is_a_credential(headers: dict[str, str]) -> None:
    assert actor_of(headers) is None


def test_a_key_beyond_ascii_is_known_in_the_form_in_which_headers_arrive() -> None:
    settings = load_settings(api_key="秘密-é")
    sent = "秘密-é".encode().decode("latin-1")
    assert actor_of({"x-api-key": sent}, settings) == ("token:api", "admin")


def test_the_key_has_the_role_of_the_settings() -> None:
    settings = load_settings(api_key="key", api_key_role="viewer")
    assert actor_of({"x-api-key": "key"}, settings) == ("token:api", "viewer")


def test_an_empty_secret_is_no_credential() -> None:
    nothing = {"api_key": "", "api_token": "", "basic_user": "", "basic_password": ""}
    assert configured(load_settings(**nothing)) == ()


def test_a_secret_may_be_named_twice_for_one_role() -> None:
    settings = load_settings(api_key="same", api_token="same", api_role_tokens="admin:same")
    assert actor_of({"x-api-key": "same"}, settings) == ("token:api", "admin")


def test_a_request_may_carry_none() -> None:
    assert given_in(Headers({"host": "a"})) is None
    assert configured(load_settings()) == ()


def test_secrets_are_not_kept() -> None:
    shown = repr(configured(SETTINGS)) + repr(SETTINGS)
    for secret in ("pass:wörd", "gl4nce", "do:it"):
        assert secret not in shown


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"api_role_tokens": "viewer"}, "entry 1 of the role tokens"),
        ({"api_role_tokens": "viewer:a,chief:secret"}, "entry 2 of the role tokens"),
        ({"api_role_tokens": "viewer:"}, "entry 1 of the role tokens"),
        ({"api_role_tokens": "viewer:same,admin:same"}, "repeats a token"),
        ({"basic_user": "anna"}, "SOPILOT_BASIC_PASSWORD"),
        ({"basic_password": "x"}, "SOPILOT_BASIC_USER"),
        ({"basic_user": "a:b", "basic_password": "x"}, "colon"),
        ({"api_key": "secret", "api_role_tokens": "viewer:secret"}, "roles admin and viewer"),
        ({"api_key": "secret", "api_token": "secret", "api_token_role": "viewer"}, "one token"),
        ({"api_token_role": "chief"}, "api_token_role"),
        ({"api_key_role": "chief"}, "api_key_role"),
        ({"auth_required": "perhaps"}, "auth_required"),
        ({"trusted_proxies": "10.0.0.1, proxy.local"}, "'proxy.local'"),
        ({"rate_limit_rpm": -1}, "rate_limit_rpm"),
    ],
)
def test_what_cannot_be_honoured_stops_the_start(values: dict[str, object], message: str) -> None:
    with pytest.raises(BadSettings, match=message) as caught:
        load_settings(**values)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("word", "value"), [("1", "true"), ("Yes", "true"), ("off", "false"), ("AUTO", "auto")]
)
def test_the_mode_is_read_from_the_words_for_yes_and_no(word: str, value: str) -> None:
    assert load_settings(auth_required=word).auth_required == value

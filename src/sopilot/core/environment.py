"""What is in force of the settings and of the environment: for people, and for child processes.

Called by the commands that tell of the settings, and by all that start a process of ours.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any, Literal

from sopilot.core.config import PREFIX, SERVER_SECRETS, Settings, variable_names
from sopilot.core.unread import unread

# What follows a user's name in an address, to the last @; without an @ all but a plain port.
_PASSWORD = re.compile(r"(://[^:/@]*:)(?![0-9]*(?:/|$))(?:.*(?=@)|[^@]*$)")


@dataclass(frozen=True, slots=True)
class EffectiveSetting:
    """One setting in force: its winning variable name, shown value, and origin."""

    name: str
    value: str
    origin: Literal["environment", "argument", "default"]


def effective_settings(settings: Settings) -> list[EffectiveSetting]:
    """Every setting with the variable that set it; secrets are shown as `********`."""
    rows = []
    for field_name in Settings.model_fields:
        names = variable_names(field_name)
        present = next((name for name in names if os.environ.get(name)), None)
        given = field_name in settings.model_fields_set
        origin: Literal["environment", "argument", "default"] = "default"
        if given:
            origin = "environment" if present else "argument"
        value = getattr(settings, field_name)
        rows.append(EffectiveSetting(present or names[0], _shown(value), origin))
    return rows


def _shown(value: Any) -> str:
    """A value for the eye: lists joined, nothing for None, passwords in addresses masked."""
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ",".join(value)
    return _PASSWORD.sub(r"\1********", str(value))


def child_environment(*, keeps_settings: bool = False) -> dict[str, str]:
    """The environment for a process of ours that has no use for the service's secrets.

    keeps_settings: without the server's secrets only; else without every setting of ours, so
    that what a hostile video makes of the decoder finds no address or password.
    """
    hidden = SERVER_SECRETS if keeps_settings else ("database_url",)
    secret = {name for field in hidden for name in variable_names(field)}
    prefixes = () if keeps_settings else (PREFIX,)
    return {
        name: value
        for name, value in os.environ.items()
        if name.upper() not in secret and not name.upper().startswith(prefixes)
    }


def unknown_variables() -> dict[str, str]:
    """SOPILOT_* variables of the environment that no field reads, and why; each deserves a
    warning."""
    read = {name for field in Settings.model_fields for name in variable_names(field)}
    read |= {"SOPILOT_TEST_DATA", "SOPILOT_TEST_REQUIRE"}
    found = {}
    for name in sorted(os.environ):
        known = unread(name)
        if name.startswith(PREFIX) and name not in read and not (known and known.is_refused):
            found[name] = known.reason if known else "no setting reads it; check its spelling"
    return found

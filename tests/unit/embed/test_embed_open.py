"""Which backend makes the features: chosen once, from the settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from sopilot.core.config import load_settings
from sopilot.core.errors import BadSettings
from sopilot.core.records import Role
from sopilot.embed.open import choose_backend, open_embedder
from sopilot.runtime import open_runtime


@pytest.mark.parametrize("asked", ["color-motion", "heuristic", "auto"])
def test_every_name_of_the_backend_without_weights_opens_it(asked: str) -> None:
    settings = load_settings(embedder_backend=asked)
    choice = choose_backend(settings)
    assert (choice.backend, choice.has_failed_over) == ("color-motion", False)
    assert open_embedder(settings).producer_for(Role.GOLD).version == "color-motion-v2"


def test_another_backend_stands_in_only_where_it_may(tmp_path: Path) -> None:
    choice = choose_backend(load_settings(embedder_backend="vjepa2"))
    assert (choice.backend, choice.failed_from) == ("color-motion", "vjepa2")
    strict = load_settings(
        embedder_backend="vjepa2", allow_embedder_fallback=False, data_dir=tmp_path / "data"
    )
    with pytest.raises(BadSettings, match="SOPILOT_ALLOW_EMBEDDER_FALLBACK"):
        open_runtime(strict)


@pytest.mark.parametrize("name", ["SOPILOT_ALLOW_EMBEDDER_FALLBACK", "SOPILOT_EMBEDDER_FALLBACK"])
def test_both_names_of_the_fallback_are_read(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "false")
    assert load_settings().allow_embedder_fallback is False

"""What the analysis is keyed by, and how it names a refused file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sopilot.core.config import Settings, load_settings
from sopilot.core.errors import BadUpload, SopilotError
from sopilot.core.records import Role, no_progress
from sopilot.embed.base import comparison_key
from sopilot.embed.open import COLOR_MOTION, open_embedder
from sopilot.library.analyze import (
    analysis_arguments,
    analyze,
    feature_producer,
    media_producer,
)

MASKED = {"privacy_mask_enabled": True, "privacy_mask_rects": "0:0:0.5:0.5"}


def fingerprints(settings: Settings) -> tuple[str, str]:
    features = feature_producer(settings, open_embedder(settings), Role.GOLD)
    return features.fingerprint, media_producer(settings).fingerprint


def test_a_privacy_mask_is_part_of_both_keys() -> None:
    plain, masked = fingerprints(load_settings()), fingerprints(load_settings(**MASKED))
    other = fingerprints(load_settings(**MASKED | {"privacy_mask_mode": "blur"}))
    assert len({*plain, *masked, *other}) == 6


def test_masked_and_unmasked_features_are_not_comparable() -> None:
    keys = {
        comparison_key(feature_producer(settings, open_embedder(settings), role))
        for settings in (load_settings(), load_settings(**MASKED))
        for role in (Role.GOLD, Role.TRAINEE)
    }
    assert len(keys) == 2


@pytest.mark.parametrize("content", [b"", b"no video\n" * 50])
def test_a_refusal_names_the_senders_file_not_ours(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / ("ab" * 32)
    path.write_bytes(content)
    arguments = analysis_arguments(
        load_settings(),
        path,
        name="shift 7.mp4",
        sha256=path.name,
        role=Role.TRAINEE,
        folder=tmp_path,
        backend=COLOR_MOTION,
    )
    with pytest.raises(SopilotError, match=r"shift 7\.mp4") as caught:
        analyze(arguments, no_progress)
    assert path.name not in caught.value.message
    assert str(tmp_path) not in caught.value.message
    assert isinstance(caught.value, BadUpload) is (content == b"")


@pytest.mark.parametrize("module", ["sopilot.library.analyze", "sopilot.library.child"])
def test_what_decodes_in_a_child_loads_neither_settings_nor_database(module: str) -> None:
    script = (
        f"import sys, {module}\n"
        "sys.exit(sorted({'pydantic', 'sqlalchemy', 'fastapi'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

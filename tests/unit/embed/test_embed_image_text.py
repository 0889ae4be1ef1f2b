"""A folder that cannot be an image-text model is refused before anything is loaded."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from sopilot.core.config import Settings
from sopilot.core.errors import BadSettings
from sopilot.embed import image_text
from sopilot.embed.image_text import ImageTextEmbedder
from sopilot.embed.open import open_stills


def checkpoint(folder: Path, **config: object) -> Path:
    folder.mkdir()
    told = {"model_type": "siglip", "architectures": ["SiglipModel"], **config}
    (folder / "config.json").write_text(json.dumps(told))
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def test_the_folder_must_be_named() -> None:
    with pytest.raises(BadSettings, match="SOPILOT_STILL_MODEL_DIR"):
        open_stills(Settings(still_backend="image-text"))


def test_a_folder_without_a_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match=r"config\.json cannot be read"):
        ImageTextEmbedder(tmp_path)


def test_a_model_of_another_class_is_refused(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "a", model_type="llama")
    with pytest.raises(BadSettings, match=r"'llama'.*siglip, siglip2, clip, qwen3_vl"):
        ImageTextEmbedder(folder)


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "a")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(BadSettings, match="no weights as safetensors"):
        ImageTextEmbedder(folder)


def test_without_torch_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(BadSettings, match=r"needs torch and transformers; install sopilot\[ml\]"):
        ImageTextEmbedder(checkpoint(tmp_path / "a"))


def test_the_version_is_of_the_bytes_not_of_the_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_text.importlib.util, "find_spec", lambda _: True)
    one, same = checkpoint(tmp_path / "a"), checkpoint(tmp_path / "b")
    other = checkpoint(tmp_path / "c")
    (other / "model.safetensors").write_bytes(b"weightz")
    made = [ImageTextEmbedder(folder).producer for folder in (one, same, other)]
    assert made[0] == made[1]
    assert made[0].fingerprint != made[2].fingerprint
    assert (made[0].name, len(made[0].version)) == ("SiglipModel", 12)

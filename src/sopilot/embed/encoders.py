"""Checkpoints of the two kinds of image-text models, read by transformers. Imports torch.

A dual encoder has a tower for pictures and one for words. A language model reads either, after an
instruction, and the last token's hidden state is the vector. Called by `embed.image_text`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import transformers
from numpy.typing import NDArray

_PICTURE = "<|image_pad|>"
_MOST_TOKENS = 2048
"""Of a query to a language model."""


class Encoder(Protocol):
    """Pictures and words to rows of the same length, not yet of unit length."""

    def of_pictures(self, pictures: Sequence[Any]) -> NDArray[np.float32]:
        """(n, dim) of (h, w, 3) rgb pictures."""
        ...

    def of_text(self, text: str) -> NDArray[np.float32]:
        """(dim,)."""
        ...


class _Checkpoint:
    """Model, picture processor and tokenizer of a folder. Raises ValueError where weights are
    missing, and what the libraries raise."""

    def __init__(self, folder: Path, device: str) -> None:
        where: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        self.model, loaded = transformers.AutoModel.from_pretrained(
            folder, use_safetensors=True, output_loading_info=True, **where
        )
        if loaded["missing_keys"] or loaded["mismatched_keys"]:
            # They would be filled with chance, and say so in a log only.
            raise ValueError(f"weights are missing: {sorted(loaded['missing_keys'])[:5]}")
        self.processor = transformers.AutoImageProcessor.from_pretrained(
            folder, backend="pil", **where
        )
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **where)
        self.model.eval().to(device)
        self.device = device


class DualEncoder:
    """SigLIP, SigLIP 2, CLIP: raises as `_Checkpoint`."""

    def __init__(self, folder: Path, device: str) -> None:
        self._own = _Checkpoint(folder, device)
        config = self._own.model.config
        self._most_tokens = int(config.text_config.max_position_embeddings)
        # The SigLIP family is trained on texts filled up to their whole length, without a mask.
        self._has_mask = config.model_type == "clip"

    def of_pictures(self, pictures: Sequence[Any]) -> NDArray[np.float32]:
        """See `Encoder`."""
        inputs = self._own.processor(images=list(pictures), return_tensors="pt")
        return self._features(self._own.model.get_image_features, inputs)

    def of_text(self, text: str) -> NDArray[np.float32]:
        """See `Encoder`; what is longer than the model reads is cut off."""
        inputs = self._own.tokenizer(
            [text],
            padding="max_length",
            truncation=True,
            max_length=self._most_tokens,
            return_attention_mask=self._has_mask,
            return_token_type_ids=False,
            return_tensors="pt",
        )
        return np.asarray(self._features(self._own.model.get_text_features, inputs)[0], np.float32)

    def _features(self, function: Any, inputs: Any) -> NDArray[np.float32]:
        with torch.inference_mode():
            told = function(**inputs.to(self._own.device))
        tensor = told if isinstance(told, torch.Tensor) else told.pooler_output
        return _numbers(tensor)


class LanguageEncoder:
    """Qwen3-VL-Embedding: the checkpoint's own chat template around an instruction and the picture
    or the words. Raises as `_Checkpoint`."""

    def __init__(self, folder: Path, device: str, instruction: str) -> None:
        self._own = _Checkpoint(folder, device)
        self._instruction = instruction
        self._picture_id = int(self._own.model.config.image_token_id)

    def of_pictures(self, pictures: Sequence[Any]) -> NDArray[np.float32]:
        """See `Encoder`; one by one, for each has a length of its own in tokens."""
        return np.stack([self._of_picture(picture) for picture in pictures])

    def _of_picture(self, picture: Any) -> NDArray[np.float32]:
        own = self._own
        seen = own.processor(images=[picture], return_tensors="pt")
        count = int(seen["image_grid_thw"].prod()) // own.processor.merge_size**2
        said = self._prompt([{"type": "image"}]).replace(_PICTURE, _PICTURE * count)
        tokens = own.tokenizer([said], return_tensors="pt", return_token_type_ids=False)
        kinds = (tokens["input_ids"] == self._picture_id).int()
        return self._last({**tokens, **seen, "mm_token_type_ids": kinds})

    def of_text(self, text: str) -> NDArray[np.float32]:
        """See `Encoder`; what is longer than 2048 tokens is cut off, the template around it not."""
        tokenizer = self._own.tokenizer
        ids = tokenizer(text, add_special_tokens=False)["input_ids"][:_MOST_TOKENS]
        said = self._prompt([{"type": "text", "text": tokenizer.decode(ids)}])
        tokens = tokenizer([said], return_tensors="pt", return_token_type_ids=False)
        return self._last(dict(tokens))

    def _prompt(self, content: list[dict[str, str]]) -> str:
        told = [
            {"role": "system", "content": [{"type": "text", "text": self._instruction}]},
            {"role": "user", "content": content},
        ]
        return str(
            self._own.tokenizer.apply_chat_template(
                told, tokenize=False, add_generation_prompt=True
            )
        )

    def _last(self, inputs: dict[str, Any]) -> NDArray[np.float32]:
        on_device = {name: tensor.to(self._own.device) for name, tensor in inputs.items()}
        with torch.inference_mode():
            hidden = self._own.model(**on_device).last_hidden_state
        return np.asarray(_numbers(hidden[:, -1])[0], np.float32)


def _numbers(tensor: Any) -> NDArray[np.float32]:
    return np.asarray(tensor.float().cpu().numpy(), np.float32)

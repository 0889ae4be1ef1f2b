"""Vision-language models of random weights, with tokenizer, chat template and picture processor.

Their words mean nothing; that they are read, served and answer at all is what the tests need. Only
tests marked ml import this: it needs torch and transformers.
"""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    CLIPVisionConfig,
    GenerationConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    SiglipConfig,
    SiglipModel,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

REVISION = "0" * 40
END, PAD = "<|end|>", "<|pad|>"
STOPS_AFTER_TOKENS = 16
"""From here on the end of the answer gets likelier with every token."""
_LONGEST_TOKENS = 32768
_PICTURE_PX, _PATCH_PX = 28, 14
QWEN_MERGED_PX = 28
"""Side of the square of pixels that is one token to a Qwen-VL."""
_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] }}{% else %}<image>{% endif %}{% endfor %}"
    "{{ '\\n' }}{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"
)


def byte_tokenizer(*special: str) -> PreTrainedTokenizerFast:
    """One token per byte, then the special ones."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(alphabet)}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        eos_token=END,
        pad_token=PAD,
        extra_special_tokens=list(special),
        model_max_length=_LONGEST_TOKENS,
    )


def babbling(tokenizer: PreTrainedTokenizerFast) -> GenerationConfig:
    """Answers of printable ASCII without blanks, which end by themselves: never empty, and short of
    what a question allows."""
    end = tokenizer.convert_tokens_to_ids(END)
    said = {tokenizer.convert_tokens_to_ids(chr(code)) for code in range(33, 127)} | {end}
    return GenerationConfig(
        eos_token_id=end,
        pad_token_id=tokenizer.convert_tokens_to_ids(PAD),
        suppress_tokens=[i for i in range(len(tokenizer)) if i not in said],
        exponential_decay_length_penalty=(STOPS_AFTER_TOKENS, 1.5),
        min_new_tokens=4,
    )


def write_llava(cache: Path, name: str) -> Path:
    """A LLaVA in a hub cache, where a server finds it under its name. 0.3 MB."""
    owner, model_name = name.split("/")
    repository = cache / f"models--{owner}--{model_name}"
    folder = repository / "snapshots" / REVISION
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(REVISION, encoding="utf-8")
    tokenizer = byte_tokenizer("<image>")
    torch.manual_seed(3)
    model = LlavaForConditionalGeneration(
        LlavaConfig(
            vision_config=CLIPVisionConfig(
                hidden_size=32,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=2,
                image_size=_PICTURE_PX,
                patch_size=_PATCH_PX,
            ),
            text_config=LlamaConfig(
                vocab_size=len(tokenizer),
                hidden_size=32,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=2,
                num_key_value_heads=2,
                max_position_embeddings=_LONGEST_TOKENS,
                bos_token_id=None,
                eos_token_id=tokenizer.convert_tokens_to_ids(END),
                pad_token_id=tokenizer.convert_tokens_to_ids(PAD),
            ),
            image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
            image_seq_length=(_PICTURE_PX // _PATCH_PX) ** 2,
        )
    )
    model.generation_config = babbling(tokenizer)
    model.save_pretrained(folder)
    side = {"height": _PICTURE_PX, "width": _PICTURE_PX}
    LlavaProcessor(
        CLIPImageProcessorPil(size=side, crop_size=side),
        tokenizer,
        patch_size=_PATCH_PX,
        vision_feature_select_strategy="default",
        chat_template=_TEMPLATE,
        num_additional_image_tokens=1,
    ).save_pretrained(folder)
    return folder


def write_qwen(folder: Path) -> tuple[Qwen2_5_VLForConditionalGeneration, PreTrainedTokenizerFast]:
    """A Qwen2.5-VL, which is saved in the folder too, and the tokenizer of its numbers."""
    tokenizer = byte_tokenizer("<|start|>", "<|stop|>", "<|image|>", "<|video|>")
    start, stop, image, video = tokenizer.convert_tokens_to_ids(
        ["<|start|>", "<|stop|>", "<|image|>", "<|video|>"]
    )
    torch.manual_seed(3)
    model = Qwen2_5_VLForConditionalGeneration(
        Qwen2_5_VLConfig(
            vision_config={
                "depth": 2,
                "hidden_size": 64,
                "intermediate_size": 128,
                "num_heads": 4,
                "out_hidden_size": 64,
                "fullatt_block_indexes": [1],
            },
            text_config={
                "vocab_size": len(tokenizer),
                "hidden_size": 64,
                "intermediate_size": 128,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "num_key_value_heads": 2,
                "rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3]},
                "bos_token_id": None,
                "eos_token_id": tokenizer.convert_tokens_to_ids(END),
                "pad_token_id": tokenizer.convert_tokens_to_ids(PAD),
            },
            image_token_id=image,
            video_token_id=video,
            vision_start_token_id=start,
            vision_end_token_id=stop,
        )
    )
    model.generation_config = babbling(tokenizer)
    model.save_pretrained(folder)
    return model, tokenizer


def write_siglip(folder: Path, seed: int = 3) -> Path:
    """A SigLIP with its tokenizer and picture processor. 0.3 MB."""
    tokenizer = byte_tokenizer()
    side_px, longest = 32, 64
    tokenizer.model_max_length = longest
    small = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    torch.manual_seed(seed)
    SiglipModel(
        SiglipConfig(
            text_config={
                **small,
                "vocab_size": len(tokenizer),
                "max_position_embeddings": longest,
                "projection_size": 32,
                "bos_token_id": None,
                "eos_token_id": tokenizer.convert_tokens_to_ids(END),
                "pad_token_id": tokenizer.convert_tokens_to_ids(PAD),
            },
            vision_config={**small, "image_size": side_px, "patch_size": 16},
        )
    ).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    SiglipImageProcessorPil(size={"height": side_px, "width": side_px}).save_pretrained(folder)
    return folder


def write_qwen_embedding(folder: Path) -> Path:
    """A model of the class of Qwen3-VL-Embedding, as its checkpoint is saved: with a head for words
    that embedding does not use. 0.5 MB."""
    marks = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
    tokenizer = byte_tokenizer(*marks)
    tokenizer.chat_template = _TEMPLATE.replace(
        "<image>", "<|vision_start|><|image_pad|><|vision_end|>"
    )
    start, stop, image, video = tokenizer.convert_tokens_to_ids(list(marks))
    torch.manual_seed(3)
    Qwen3VLForConditionalGeneration(
        Qwen3VLConfig(
            vision_config={
                "depth": 2,
                "hidden_size": 64,
                "intermediate_size": 128,
                "num_heads": 4,
                "out_hidden_size": 64,
                "deepstack_visual_indexes": [0],
            },
            text_config={
                "vocab_size": len(tokenizer),
                "hidden_size": 64,
                "intermediate_size": 128,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "num_key_value_heads": 2,
                "head_dim": 16,
                "rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3]},
                "bos_token_id": None,
                "eos_token_id": tokenizer.convert_tokens_to_ids(END),
                "pad_token_id": tokenizer.convert_tokens_to_ids(PAD),
            },
            image_token_id=image,
            video_token_id=video,
            vision_start_token_id=start,
            vision_end_token_id=stop,
        )
    ).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    Qwen2VLImageProcessorPil(patch_size=16, temporal_patch_size=2, merge_size=2).save_pretrained(
        folder
    )
    return folder


def write_whisper(folder: Path) -> Path:
    """A Whisper for CTranslate2, as its converter writes it. 0.5 MB."""
    from ctranslate2.converters import TransformersConverter
    from faster_whisper.tokenizer import _LANGUAGE_CODES
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration

    end, start, none = "<|endoftext|>", "<|startoftranscript|>", "<|notimestamps|>"
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(alphabet)}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    tasks = "translate transcribe startoflm startofprev nospeech".split()
    times = [f"<|{0.02 * place:.2f}|>" for place in range(1501)]
    named = [f"<|{name}|>" for name in (*_LANGUAGE_CODES, *tasks)]
    made.add_special_tokens([end, start, *named, none, *times])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, eos_token=end, pad_token=end)
    end_id, start_id, none_id = tokenizer.convert_tokens_to_ids([end, start, none])
    torch.manual_seed(3)
    model = WhisperForConditionalGeneration(
        WhisperConfig(
            vocab_size=len(tokenizer),
            d_model=64,
            encoder_layers=1,
            decoder_layers=1,
            encoder_attention_heads=1,
            decoder_attention_heads=1,
            encoder_ffn_dim=64,
            decoder_ffn_dim=64,
            bos_token_id=end_id,
            eos_token_id=end_id,
            pad_token_id=end_id,
            decoder_start_token_id=start_id,
            suppress_tokens=[],
            begin_suppress_tokens=[],
        )
    )
    model.generation_config = GenerationConfig(
        eos_token_id=end_id, pad_token_id=end_id, decoder_start_token_id=start_id
    )
    model.generation_config.no_timestamps_token_id = none_id
    model.generation_config.alignment_heads = [[0, 0]]
    model.generation_config.suppress_tokens = []
    model.generation_config.begin_suppress_tokens = []
    source = folder / "source"
    model.save_pretrained(source)
    tokenizer.save_pretrained(source)
    WhisperFeatureExtractor(feature_size=80).save_pretrained(source)

    class Converter(TransformersConverter):
        def load_tokenizer(self, _: object, path: str, **__: object) -> PreTrainedTokenizerFast:
            return PreTrainedTokenizerFast.from_pretrained(path)

    copied = ["tokenizer.json", "preprocessor_config.json"]
    Converter(str(source), copy_files=copied).convert(str(folder / "model"))
    return folder / "model"

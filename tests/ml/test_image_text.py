"""Footage found by words through a SigLIP of random weights: the right numbers of the right chunks.

What its words mean is chance; what holds is that every number is the model's own, and that the
order is the order of those numbers.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from sopilot.core.config import Settings
from sopilot.core.errors import BadSettings, ProducerMismatch
from sopilot.core.records import Actor
from sopilot.embed.image_text import INSTRUCTION, ImageTextEmbedder
from sopilot.embed.open import open_stills
from sopilot.library import queries as library
from sopilot.library.look import thumbnails_file
from sopilot.media.keyframes import StripFile
from sopilot.runtime import Runtime, close_runtime
from sopilot.sop.tasks import task_opener
from sopilot.vigil import queries
from sopilot.vigil.add import Order, add_footage_file, request_index
from sopilot.vigil.scope import Scope
from sopilot.vigil.search import search
from tests.integration.service_parts import open_test_runtime, work
from tests.integration.vigil_parts import write_footage

pytestmark = pytest.mark.ml

QUERY = "a red crate"
BY = Actor("test")


@pytest.fixture(scope="module")
def folder(backend: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.ml.tiny_checkpoints import write_siglip

    return write_siglip(tmp_path_factory.mktemp("models") / "siglip")


@pytest.fixture(scope="module")
def pictures() -> list[NDArray[np.uint8]]:
    dice = np.random.default_rng(1)
    return [dice.integers(0, 256, (90 + i, 160, 3)).astype(np.uint8) for i in range(19)]


def expected(folder: Path, pictures: list[NDArray[np.uint8]], text: str) -> tuple[object, object]:
    """The model's own numbers, one picture at a time."""
    import torch
    from transformers import AutoTokenizer, SiglipModel
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    model = SiglipModel.from_pretrained(folder).eval()
    processor = SiglipImageProcessorPil.from_pretrained(folder)
    ids = AutoTokenizer.from_pretrained(folder)(
        text, padding="max_length", max_length=64, return_tensors="pt"
    )["input_ids"]
    with torch.no_grad():
        shown = [
            model.get_image_features(
                **processor(cv2.cvtColor(item, cv2.COLOR_BGR2RGB), return_tensors="pt")
            ).pooler_output[0]
            for item in pictures
        ]
        said = model.get_text_features(input_ids=ids).pooler_output[0]
    rows = torch.nn.functional.normalize(torch.stack(shown), dim=1)
    return rows.numpy(), torch.nn.functional.normalize(said, dim=0).numpy()


def test_pictures_and_words_get_the_models_numbers(
    folder: Path, pictures: list[NDArray[np.uint8]]
) -> None:
    stills = ImageTextEmbedder(folder)
    rows, said = expected(folder, pictures, QUERY)
    assert stills.dim == 32
    assert stills.of_pictures(pictures) == pytest.approx(rows, abs=1e-5)
    assert stills.of_text(QUERY) == pytest.approx(said, abs=1e-5)
    assert stills.of_pictures([]).shape == (0, 32)


@pytest.fixture(scope="module")
def qwen(backend: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.ml.tiny_checkpoints import write_qwen_embedding

    return write_qwen_embedding(tmp_path_factory.mktemp("models") / "qwen")


def test_a_language_model_gives_its_last_hidden_state(
    qwen: Path, pictures: list[NDArray[np.uint8]]
) -> None:
    import torch
    from transformers import AutoTokenizer, Qwen3VLForConditionalGeneration

    stills = ImageTextEmbedder(qwen)
    model = Qwen3VLForConditionalGeneration.from_pretrained(qwen).eval()
    said = f"system: {INSTRUCTION}\nuser: {QUERY}\nassistant: "
    ids = AutoTokenizer.from_pretrained(qwen)(said, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        hidden = model(input_ids=ids, output_hidden_states=True).hidden_states[-1][0, -1]
    expected_row = torch.nn.functional.normalize(hidden, dim=0).numpy()
    assert stills.of_text(QUERY) == pytest.approx(expected_row, abs=1e-5)
    rows = stills.of_pictures(pictures[:3])
    assert rows.shape == (3, 64)
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1.0, abs=1e-5)
    assert not np.allclose(rows[0], rows[1], atol=1e-3)
    assert stills.of_pictures([pictures[1]])[0] == pytest.approx(rows[1], abs=1e-5)
    assert stills.producer.settings == (("instruction", INSTRUCTION),)


def test_a_text_beyond_what_the_model_reads_is_cut_off(folder: Path) -> None:
    stills = ImageTextEmbedder(folder)
    assert np.array_equal(stills.of_text("crate " * 200), stills.of_text("crate " * 300))


def test_damaged_weights_are_told(folder: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(folder, tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"\0" * 100)
    with pytest.raises(BadSettings, match="cannot be loaded as an image-text model on cpu"):
        ImageTextEmbedder(broken).of_text(QUERY)


def test_a_device_that_is_not_there_is_told(folder: Path) -> None:
    stills = open_stills(
        Settings(still_backend="image-text", still_model_dir=folder, still_device="cuda:99")
    )
    with pytest.raises(BadSettings, match=r"on cuda:99 .*SOPILOT_STILL_DEVICE"):
        stills.of_text(QUERY)


def test_weights_that_are_not_all_there_are_told(folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    partial = shutil.copytree(folder, tmp_path / "partial")
    weights = load_file(partial / "model.safetensors")
    del weights["text_model.head.weight"]
    save_file(weights, partial / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BadSettings, match=r"weights are missing: \['text_model.head.weight'\]"):
        ImageTextEmbedder(partial).of_text(QUERY)


def test_code_of_a_checkpoint_is_never_run(folder: Path, tmp_path: Path) -> None:
    hostile = shutil.copytree(folder, tmp_path / "hostile")
    config = json.loads((hostile / "config.json").read_text())
    config["auto_map"] = {"AutoModel": "evil.Model", "AutoConfig": "evil.Config"}
    (hostile / "config.json").write_text(json.dumps(config))
    (hostile / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    assert ImageTextEmbedder(hostile).dim == 32
    assert not (tmp_path / "ran").exists()


@pytest.fixture
def runtime(folder: Path, tmp_path: Path) -> Iterator[Runtime]:
    opened = open_test_runtime(tmp_path, still_backend="image-text", still_model_dir=folder)
    yield opened
    close_runtime(opened)


def indexed(runtime: Runtime, path: Path) -> int:
    order = Order(filename=path.name)
    opener = task_opener(runtime.settings)
    added = add_footage_file(runtime, path, order, open_task=opener, by=BY)
    with runtime.database.read() as connection:
        job = library.get_video(connection, added.footage.video_id).ingest_job_id
    work(runtime, job)
    with runtime.database.write() as connection:
        asked = request_index(runtime, connection, added.footage.uid, by=BY)
    if asked.job_id is not None:
        work(runtime, asked.job_id)
    return added.footage.video_id


def test_words_find_the_chunk_whose_pictures_fit_them_best(
    runtime: Runtime, folder: Path, tmp_path: Path
) -> None:
    video_id = indexed(runtime, write_footage(tmp_path / "yard.mp4", length_sec=30.0))
    with runtime.database.read() as connection:
        video = library.get_video(connection, video_id)
        micro = queries.chunks_of(connection, video_id, "micro")
    with StripFile(thumbnails_file(runtime, video)) as strip:
        shown = [cv2.imdecode(np.frombuffer(strip.jpeg(i), np.uint8), 1) for i in range(len(strip))]
        times = np.round(strip.times_sec, 3)
    rows, said = expected(folder, shown, QUERY)
    means = []
    for chunk in micro:
        own = np.mean([rows[list(times).index(t)] for t in chunk.keyframes_sec], axis=0)
        means.append(float(own @ said / np.linalg.norm(own)))
    best = micro[int(np.argmax(means))]
    result = search(runtime, QUERY, Scope(), 5)
    assert result.model.startswith("SiglipModel ")
    hits = [item for moment in result.found.moments for item in moment.evidence]
    fitting = {
        (item.hit.span.start_sec, item.hit.span.end_sec): item.hit.score
        for item in hits
        if item.ranking == "shown" and item.hit.level == "micro"
    }
    assert fitting[(best.span.start_sec, best.span.end_sec)] == pytest.approx(max(means), abs=1e-4)
    assert max(fitting.values()) == pytest.approx(max(means), abs=1e-4)


def test_words_are_not_held_against_pictures_of_another_model(
    runtime: Runtime, tmp_path: Path
) -> None:
    from tests.ml.tiny_checkpoints import write_siglip

    video_id = indexed(runtime, write_footage(tmp_path / "short.mp4", length_sec=6.0))
    close_runtime(runtime)
    other = open_test_runtime(
        tmp_path,
        still_backend="image-text",
        still_model_dir=write_siglip(tmp_path / "other", seed=4),
    )
    try:
        result = search(other, QUERY, Scope(), 5)
        assert result.found.moments == ()
        assert "another model than SiglipModel" in result.where.left_out[0]
        picture = cv2.imencode(".png", np.zeros((20, 30, 3), np.uint8))[1].tobytes()
        with pytest.raises(ProducerMismatch, match=r"SiglipModel .* SiglipModel ") as told:
            search(other, "", Scope(), 5, picture=picture)
        assert told.value.details["video_id"]
        indexed_again(other, video_id)
        assert search(other, QUERY, Scope(), 5).found.moments
    finally:
        close_runtime(other)


def indexed_again(runtime: Runtime, video_id: int) -> None:
    with runtime.database.write() as connection:
        asked = request_index(runtime, connection, video_id, by=BY)
    assert asked.job_id is not None
    work(runtime, asked.job_id)

"""Addresses of the Hugging Face hub: the cache is read by name, nothing is sent without leave; cards by folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from fullcast.models.cards import card_of
from fullcast.models.hub import from_hub
from fullcast.store.errors import FullcastError

pytest.importorskip("huggingface_hub")


def cached(cache: Path, repo: str, *files: str) -> None:
    """The layout of huggingface_hub's cache: refs/main names the snapshot that holds the files."""
    root = cache / f"models--{repo.replace('/', '--')}"
    (root / "refs").mkdir(parents=True)
    (root / "refs" / "main").write_text("0" * 40)
    for file in files:
        path = root / "snapshots" / ("0" * 40) / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_a_cached_folder_is_found_without_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *_, **__: pytest.fail("asked the network"))
    cached(tmp_path, "deepghs/anime_head_detection", "head_detect_v2.0_s/model.onnx")
    folder = from_hub(
        "hf:deepghs/anime_head_detection/head_detect_v2.0_s", ["model.onnx"], ["threshold.json"], cache_dir=tmp_path
    )
    assert (folder / "model.onnx").is_file()
    card = card_of(folder)
    assert card is not None and (card.task, card.threshold, card.iou) == ("head", 0.4, 0.7)


def test_what_is_not_cached_is_downloaded_only_when_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def download(repo: str, name: str, cache_dir: Path | None = None) -> str:
        asked.append((repo, name))
        return str(tmp_path / name)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    address = "hf:SmilingWolf/wd-swinv2-tagger-v3"
    with pytest.raises(FullcastError, match=r"not in the Hugging Face cache; download it with models\.download = true"):
        from_hub(address, ["model.onnx"], cache_dir=tmp_path)
    assert asked == []
    assert from_hub(address, ["model.onnx", "selected_tags.csv"], cache_dir=tmp_path, download=True) == tmp_path
    assert asked == [("SmilingWolf/wd-swinv2-tagger-v3", name) for name in ("model.onnx", "selected_tags.csv")]


@pytest.mark.parametrize("address", ["hf:", "hf:owner", "hf:owner/../x"])
def test_an_address_is_owner_and_repository(address: str) -> None:
    with pytest.raises(FullcastError, match="wanted is hf:owner/repository"):
        from_hub(address, ["model.onnx"])


@pytest.mark.parametrize(
    ("path", "task", "threshold"),
    [
        ("m/person_detect_v1.1_x/model.onnx", "person", 0.3),
        ("ccip-caformer-5_fp32/model_feat.onnx", "identity", 0.184),
        ("hub/models--SmilingWolf--wd-v1-4-convnextv2-tagger-v2/snapshots/0/model.onnx", "tags", 0.35),
        ("ch_PP-OCRv4_det/model.onnx", "text", 0.7),
        ("hand_detect_v1.0_s.onnx", "hand", 0.35),
    ],
)
def test_a_copy_keeps_its_card(path: str, task: str, threshold: float) -> None:
    card = card_of(Path(path))
    assert card is not None and (card.task, card.threshold) == (task, threshold) and card.licence


def test_nobody_has_a_card_by_chance() -> None:
    assert card_of(Path("weights/pocket-detector.onnx")) is None

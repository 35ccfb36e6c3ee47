"""Datasets of the seed pipeline written from their documented formats: the first version's JSON, the second's meta."""

from __future__ import annotations

import base64
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from fullcast.store.pictures import write_png

FIRST: dict[str, dict[str, Any]] = {
    "series/screenshots/2_characters/KuraueHinata Hairdown+YukimuraAoi/face_height_ratio_25-50/EP1_12": {
        "n_faces": 2,
        "facepos": [[0.6, 0.2, 0.8, 0.5], [0.1, 0.25, 0.3, 0.55]],
        "fh_ratio": 0.3,
        "cropped": False,
        "characters": ["YukimuraAoi", "KuraueHinata Hairdown"],
        "general": "aniscreen",
        "tags": ["multiple girls", "2girls", "blush"],
        "n_people": 2,
    },
    "series/screenshots/1_character/YukimuraAoi/face_height_ratio_50-75/EP1_12_0": {
        "n_faces": 1,
        "facepos": [[0.25, 0.25, 0.75, 0.75]],
        "fh_ratio": 0.5,
        "cropped": True,
        "characters": ["YukimuraAoi"],
        "general": "aniscreen",
        "tags": ["1girl"],
        "n_people": 1,
    },
    "series/screenshots/1_character/KuraueHinata/face_height_ratio_0-25/第1話, 山_7": {
        "n_faces": 3,
        "facepos": [[0.1, 0.1, 0.2, 0.3], [0.4, 0.1, 0.5, 0.3], [0.7, 0.1, 0.8, 0.3]],
        "fh_ratio": 0.2,
        "cropped": False,
        "character": ["KuraueHinata", "unknown"],
        "general": "aniscreen",
        "tags": [],
        "n_people": "many",
    },
    "series/fanart/1_character/YukimuraAoi/face_height_ratio_75-100/art_1": {
        "n_faces": 1,
        "facepos": [[0.1, 0.05, 0.9, 0.95]],
        "fh_ratio": 0.9,
        "cropped": False,
        "characters": ["YukimuraAoi"],
        "general": "",
        "tags": ["1girl", "solo"],
        "n_people": 1,
        "copyright": ["yama no susume"],
        "artist": ["someone", "絵師"],
        "rating": "safe",
    },
    "series/regularization/手, 足/hand_1": {
        "n_faces": 0,
        "facepos": [],
        "characters": [],
        "tags": ["hands"],
        "n_people": 0,
    },
}
"""Path without suffix: what its JSON says, where the seed's sorting leaves it: a crop by its own name, away from its
picture. Another number of names than of faces, ``character`` for ``characters``."""

CAPTIONS = {
    "EP1_12": "2people, KuraueHinata Hairdown YukimuraAoi, aniscreen, fhmr fvmt fhml fvmd, multiple girls",
    "第1話, 山_7": "あおい" * 100,
    "art_1": "",
}
"""By stem; the others have none."""

MULTIPLIES = {
    "series/screenshots/2_characters/KuraueHinata Hairdown+YukimuraAoi/face_height_ratio_25-50": "26.67",
    "series/fanart/1_character/YukimuraAoi/face_height_ratio_75-100": "1.0",
}

SECOND: dict[str, dict[str, Any]] = {
    "training/screenshots/1_character/Terakomari/ひき_EP1_3": {
        "path": "/home/somebody/raw/ひき_EP1_3.png",
        "current_path": "/home/somebody/training/ひき_EP1_3.png",
        "filename": "ひき_EP1_3.png",
        "group_id": "ひき_EP1",
        "image_size": [1280, 720],
        "crop": {"type": "person", "score": 0.81},
        "characters": ["Terakomari|none|red dress"],
        "type": "screenshots",
        "tags": {"1girl": 0.99, "blonde hair": 0.8, "dress": 0.95},
        "processed_tags": ["1girl", "dress"],
        "dropped_character_tags": ["blonde hair"],
        "caption": "Terakomari red dress, screenshots, 1girl, dress",
    },
    "training/booru/2_characters/Terakomari+Vill/123_pic": {
        "path": "/x/123_pic.webp",
        "characters": ["Terakomari", "Vill|twintails"],
        "type": "booru",
        "tags": ["2girls", "smile"],
        "caption": "Terakomari Vill",
        "artist": "someone",
        "rating": "s",
        "score": 33,
        "fav_count": 7,
        "md5": "0" * 32,
        "site": "danbooru",
    },
    "training/screenshots/0_characters/empty_9": {
        "path": "/x/empty_9.png",
        "characters": [],
        "type": "screenshots",
        "tags": {},
    },
}
EMBEDDING = np.linspace(-1, 1, 768, dtype=np.float32)


def write_first(root: Path) -> None:
    for number, (name, meta) in enumerate(FIRST.items()):
        path = _picture(root, name, number)
        path.with_suffix(".json").write_text(json.dumps(meta, ensure_ascii=False), encoding="utf-8")
        path.with_name(path.name + ".tags").write_text(", ".join(meta["tags"]), encoding="utf-8")
        if path.stem in CAPTIONS:
            path.with_suffix(".txt").write_text(CAPTIONS[path.stem], encoding="utf-8")
    for folder, multiply in MULTIPLIES.items():
        (root / folder / "multiply.txt").write_text(multiply)
    (root / "concept_weights.csv").write_text("1_character,2\nYukimuraAoi,1.2\n")


def write_second(root: Path) -> None:
    for number, (name, meta) in enumerate(SECOND.items()):
        path = _picture(root, name, 50 + number)
        path.with_name(f".{path.stem}_meta.json").write_text(json.dumps(meta), encoding="utf-8")
        if "caption" in meta:
            path.with_suffix(".txt").write_text(meta["caption"], encoding="utf-8")
        if "crop" in meta:
            np.save(path.with_name(f".{path.stem}_ccip.npy"), EMBEDDING[None])
    (root / "training/core_tag.json").write_text(json.dumps({"Terakomari": ["blonde hair"]}))


def write_pickled(root: Path, witness: Path) -> None:
    """A picture whose meta holds a pickle in waifuc's way, which writes a file when it is opened."""
    path = _picture(root, "training/screenshots/trap_1", 99)
    data = base64.b64encode(pickle.dumps(_Trap(str(witness)))).decode()
    meta = {"characters": ["Terakomari"], "extra": [{"__type": "numpy.float32", "base64": data}]}
    path.with_name(".trap_1_meta.json").write_text(json.dumps(meta))


class _Trap:
    def __init__(self, witness: str) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (self.witness, "w"))


def _picture(root: Path, name: str, number: int) -> Path:
    path = root / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 256, (60, 100, 3), dtype=np.uint8)
    write_png(path, pixels)
    return path

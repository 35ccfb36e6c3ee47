"""What is known of the foreign networks that anime people use: where they are, their licence, size and thresholds.

Thresholds and sizes are those with which their authors call them (dghs-imgutils 0.19, the models' own cards). A card is
found by the name of the folder that a network lies in, as its repository has it, so a plain copy keeps its card.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

UNVERIFIED = "not stated; the detectors were trained with Ultralytics (AGPL-3.0) tools: ask before you redistribute"
NOT_STATED = "not stated by its makers: ask before you redistribute"
OPENRAIL = "OpenRAIL"
APACHE = "Apache-2.0"


@dataclass(frozen=True, slots=True)
class Card:
    """One family of weights."""

    task: str
    """face | head | person | halfbody | hand | censor | text | class | quality | identity | tags."""
    prefix: str
    """How the names of its folders begin, "face_detect" of "face_detect_v1.4_s"."""
    address: str
    """What to write in the recipe: ``hf:owner/repository/folder``."""
    licence: str
    input_size: int = 0
    """Side of the square that the network takes; 0: the file says it."""
    threshold: float | None = None
    """Confidence or probability in [0, 1]; for CCIP the largest difference of one character."""
    iou: float | None = None
    """Of two boxes that overlap more, the weaker goes."""


CARDS: tuple[Card, ...] = (
    Card("face", "face_detect", "hf:deepghs/anime_face_detection/face_detect_v1.4_s", UNVERIFIED, 0, 0.25, 0.7),
    Card("head", "head_detect", "hf:deepghs/anime_head_detection/head_detect_v2.0_s", UNVERIFIED, 0, 0.4, 0.7),
    Card("person", "person_detect", "hf:deepghs/anime_person_detection/person_detect_v1.1_m", UNVERIFIED, 0, 0.3, 0.5),
    Card(
        "halfbody",
        "halfbody_detect",
        "hf:deepghs/anime_halfbody_detection/halfbody_detect_v1.0_s",
        UNVERIFIED,
        0,
        0.5,
        0.7,
    ),
    Card("hand", "hand_detect", "hf:deepghs/anime_hand_detection/hand_detect_v1.0_s", UNVERIFIED, 0, 0.35, 0.7),
    Card("censor", "censor_detect", "hf:deepghs/anime_censor_detection/censor_detect_v1.0_s", UNVERIFIED, 0, 0.3, 0.7),
    Card("text", "ch_PP-OCR", "hf:deepghs/paddleocr/det/ch_PP-OCRv4_det", APACHE, 0, 0.7),
    Card("class", "mobilenetv3_v1.5_dist", "hf:deepghs/anime_classification/mobilenetv3_v1.5_dist", NOT_STATED, 384),
    Card("quality", "swinv2pv3_v0_448", "hf:deepghs/anime_aesthetic/swinv2pv3_v0_448_ls0.2_x", NOT_STATED, 448),
    Card(
        "identity",
        "ccip-caformer-24-randaug-pruned",
        "hf:deepghs/ccip_onnx/ccip-caformer-24-randaug-pruned",
        OPENRAIL,
        384,
        0.178475,
    ),
    Card("identity", "ccip-caformer_b36-24", "hf:deepghs/ccip_onnx/ccip-caformer_b36-24", OPENRAIL, 384, 0.213),
    Card(
        "identity",
        "ccip-caformer-6-randaug-pruned_fp32",
        "hf:deepghs/ccip_onnx/ccip-caformer-6-randaug-pruned_fp32",
        OPENRAIL,
        384,
        0.195,
    ),
    Card("identity", "ccip-caformer-5_fp32", "hf:deepghs/ccip_onnx/ccip-caformer-5_fp32", OPENRAIL, 384, 0.184),
    Card("tags", "wd-v1-4-convnextv2-tagger-v2", "hf:SmilingWolf/wd-v1-4-convnextv2-tagger-v2", APACHE, 448, 0.35),
    Card("tags", "wd-v1-4", "hf:SmilingWolf/wd-v1-4-moat-tagger-v2", APACHE, 448, 0.35),
    Card("tags", "wd-", "hf:SmilingWolf/wd-swinv2-tagger-v3", APACHE, 448, 0.35),
)
"""The more particular before the more general: the first that fits counts."""


def card_of(path: Path) -> Card | None:
    """The card of a network's file or folder, by the folders' names from the innermost outwards; None: not known."""
    parts = [part.removeprefix("models--").replace("--", "/").rsplit("/", 1)[-1] for part in path.parts]
    for name in (Path(parts[-1]).stem if path.suffix == ".onnx" else parts[-1], *reversed(parts[:-1])):
        for card in CARDS:
            if name.startswith(card.prefix):
                return card
    return None

"""Our doors against dghs-imgutils on the same graphs and pictures (golden/make.py made the expected values)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fullcast.models.ccip import CcipEmbedder, CcipMetric
from fullcast.models.classify import AestheticScorer, AnimeClassifier
from fullcast.models.text import PaddleTextDetector
from fullcast.models.wd_tagger import WdTagger
from fullcast.models.yolo import YoloDetector
from fullcast.store.pictures import read_picture

HERE = Path(__file__).parent / "golden"
GRAPHS = HERE / "graphs"
EXPECTED: dict[str, Any] = json.loads((HERE / "expected.json").read_text())
PICTURES = {name: read_picture(HERE / f"{name}.png") for name in ("patches", "ramp", "scene")}

YOLO = {
    "face": "anime_face_detection/face_detect_v1.4_s",
    "head": "anime_head_detection/head_detect_v2.0_s",
    "person": "anime_person_detection/person_detect_v1.1_m",
    "halfbody": "anime_halfbody_detection/halfbody_detect_v1.0_s",
    "hand": "anime_hand_detection/hand_detect_v1.0_s",
    "censor": "anime_censor_detection/censor_detect_v1.0_s",
}
WD = {"SwinV2_v3": "wd-swinv2-tagger-v3", "ConvNextV2": "wd-v1-4-convnextv2-tagger-v2"}
CCIP = GRAPHS / "ccip-caformer-24-randaug-pruned"


@pytest.mark.parametrize("task", YOLO)
def test_detectors_give_the_original_boxes_with_thresholds_from_their_card(task: str) -> None:
    """Boxes equal to the pixel, in the same order; three labels of `censor` suppress one another there."""
    door = YoloDetector(GRAPHS / YOLO[task] / "model.onnx", class_aware=False, threads=1)
    assert door.card is not None and door.card.task == task
    total = 0
    for name, picture in PICTURES.items():
        found = door.detect([picture])[0]
        # the original also gives boxes without area, at the picture's edge; nothing can be cut out of them
        wanted = [row for row in EXPECTED[task][name] if row[0][2] > row[0][0] and row[0][3] > row[0][1]]
        assert [(list(d.xyxy), d.label) for d in found] == [(box, label) for box, label, _ in wanted]
        assert np.allclose([d.confidence for d in found], [score for *_, score in wanted], atol=1e-5)
        total += len(found)
    assert total > 10


@pytest.mark.parametrize("model", WD)
def test_taggers_give_the_original_tags_in_both_ways_of_thresholding(model: str) -> None:
    path = GRAPHS / WD[model] / "model.onnx"
    for way, by_gap in (("plain", False), ("by_gap", True)):
        answers = WdTagger(path, by_gap=by_gap, threads=1).tag_sets(list(PICTURES.values()))  # one batch
        for name, found in zip(PICTURES, answers, strict=True):
            rating, general, character = EXPECTED[model][name][way]
            for ours, theirs in ((found.ratings, rating), (found.general, general), (found.characters, character)):
                assert dict(ours) == pytest.approx(theirs, abs=1e-4)
    spelt = {tag for name in PICTURES for tag in EXPECTED[model][name]["plain"][1]}
    assert spelt & {"^_^", "o_o", "|_|"} and spelt & {"d d", "> @", "6+girls", "long hair"}  # both rules are met


def test_identity_features_and_metric_are_the_original() -> None:
    door, metric = CcipEmbedder(CCIP / "model_feat.onnx", threads=1), CcipMetric(CCIP, threads=1)
    features = door.features(list(PICTURES.values()))
    expected = EXPECTED["ccip"]
    assert np.allclose(features, expected["features"], atol=2e-4)
    assert np.allclose(metric.differences(features), expected["differences"], atol=1e-5)
    assert metric.threshold == expected["threshold"]
    assert (metric.same(features) == (np.array(expected["differences"]) <= expected["threshold"])).all()
    assert np.allclose(np.linalg.norm(door.embed(list(PICTURES.values())), axis=1), 1, atol=1e-5)


def test_text_boxes_are_the_original_but_for_a_pixel_of_rounding() -> None:
    door = PaddleTextDetector(GRAPHS / "ch_PP-OCRv4_det", threads=1)
    for name, picture in PICTURES.items():
        found, wanted = (
            door.detect([picture])[0],
            sorted(EXPECTED["text"][name], key=lambda row: (row[0][1], row[0][0])),
        )
        assert len(found) == len(wanted)
        for ours, (box, score) in zip(found, wanted, strict=True):
            assert np.abs(np.array(ours.xyxy) - box).max() <= 2, (ours.xyxy, box)
            assert ours.confidence == pytest.approx(score, abs=0.02)
    assert len(EXPECTED["text"]["scene"]) == 3


def test_classes_and_quality_are_the_original() -> None:
    door = AnimeClassifier(GRAPHS / "anime_classification/mobilenetv3_v1.5_dist", threads=1)
    scorer = AestheticScorer(GRAPHS / "anime_aesthetic/swinv2pv3_v0_448_ls0.2_x", threads=1)
    assert door.card is not None and door.card.task == "class"
    pictures = list(PICTURES.values())
    found = zip(PICTURES, door.classify(pictures), scorer.means(pictures), scorer.quality(pictures), strict=True)
    for name, classes, mean, place in found:
        assert dict(classes) == pytest.approx(EXPECTED["class"][name], abs=1e-5)
        assert mean == pytest.approx(EXPECTED["quality"][name]["score"], abs=1e-4)
        assert place == pytest.approx(EXPECTED["quality"][name]["percentile"], abs=1e-4)
    assert len({max(row, key=row.get) for row in EXPECTED["class"].values()}) > 1  # the graphs do look


def test_expected_values_name_what_made_them() -> None:
    assert EXPECTED["made_with"]["dghs-imgutils"]

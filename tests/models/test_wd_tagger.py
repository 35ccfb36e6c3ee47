"""The WD14 door: white square, bicubic, BGR in 0 to 255, categories and thresholds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fullcast.models.wd_tagger import WdTagger
from fullcast.store.errors import FullcastError
from tests import onnx_graphs

LABELS = "tag_id,name,category,count\n1,general,9,1\n2,sensitive,9,1\n3,long_hair,0,5\n4,^_^,0,5\n5,aoi_(show),4,5\n"


def tagger(tmp_path: Path, labels: str = LABELS, **options: object) -> WdTagger:
    """Every output but the first (bias only) is the sigmoid of one BGR channel less 128."""
    weights = np.array([[0, 0, 0, 0, 1], [0, 0, 0, 1, 0], [0, 0, 1, 0, 0]], dtype=float) / 16
    bias = np.array([0.5, 0.2, -8, -8, -8])
    path = onnx_graphs.mean_tagger(tmp_path / "model.onnx", 8, weights, bias)
    (tmp_path / "selected_tags.csv").write_text(labels)
    return WdTagger(path, threads=1, **options)  # type: ignore[arg-type]


def sigmoid(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))


def test_channels_arrive_as_blue_green_red_in_0_to_255(tmp_path: Path) -> None:
    found = tagger(tmp_path).tag_sets([np.full((8, 8, 3), (255, 136, 0), np.uint8)])[0]
    assert found.general == {"long hair": pytest.approx(sigmoid(255 / 16 - 8)), "^_^": pytest.approx(sigmoid(0.5))}
    assert found.characters == {}  # blue is 0
    assert list(found.ratings) == ["general", "sensitive"] and found.rating == "general"


def test_thresholds_are_of_their_category(tmp_path: Path) -> None:
    picture = np.full((8, 8, 3), 140, np.uint8)  # every tag at sigmoid(0.75) = 0.68
    assert set(tagger(tmp_path).tag([picture])[0]) == {"long hair", "^_^", "rating:general"}
    assert "aoi (show)" in tagger(tmp_path, character_threshold=0.6).tag([picture])[0]
    assert tagger(tmp_path, threshold=0.7, character_threshold=None).tag([picture])[0].keys() == {"rating:general"}


def test_pictures_are_padded_to_a_white_square_in_the_middle(tmp_path: Path) -> None:
    prepared = tagger(tmp_path).prepare(np.zeros((2, 8, 3), np.uint8))
    assert prepared.shape == (8, 8, 3)
    assert (prepared[3:5] == 0).all() and (prepared[:3] == 255).all() and (prepared[5:] == 255).all()


def test_the_filter_is_bicubic(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(picture).resize((8, 8), Image.Resampling.BICUBIC))[:, :, ::-1]
    assert np.array_equal(tagger(tmp_path).prepare(picture), expected.astype(np.float32))


def test_graph_and_list_must_be_a_pair(tmp_path: Path) -> None:
    with pytest.raises(FullcastError, match=r"names 3 tags but .* gives 5; they are not a pair"):
        tagger(tmp_path, "".join(LABELS.splitlines(keepends=True)[:4]))
    with pytest.raises(FullcastError, match="wanted is a csv with the columns name and category"):
        tagger(tmp_path, "a,b\n1,2\n")
    with pytest.raises(FullcastError, match=r"needs its selected_tags\.csv"):
        WdTagger(tmp_path / "model.onnx", tmp_path / "absent.csv")
    with pytest.raises(FullcastError, match="is no WD14 tagger"):
        WdTagger(onnx_graphs.colour_embedder(tmp_path / "e.onnx"), tmp_path / "selected_tags.csv")


def test_the_name_says_what_the_words_depend_on(tmp_path: Path) -> None:
    """It is in the key of kept words: another threshold or list of tags must not find the old ones."""
    plain = tagger(tmp_path)
    assert plain.name.endswith(",general>0.35,character>0.85")
    others = [
        tagger(tmp_path, threshold=0.5),
        tagger(tmp_path, character_threshold=None),
        tagger(tmp_path, by_gap=True),
    ]
    others.append(tagger(tmp_path, LABELS.replace("long_hair", "short_hair")))
    assert len({plain.name, *(other.name for other in others)}) == 5
    assert tagger(tmp_path).name == plain.name

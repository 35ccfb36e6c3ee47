"""TransNetV2's answers read as its authors read them. The network itself is compared by `make check-preparation-4`, in
an environment that holds it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fullcast.models.shots import TransNetCuts
from fullcast.models.shots.transnet import THRESHOLD, first_frames
from fullcast.store.errors import FullcastError

EXPECTED = json.loads((Path(__file__).parent / "golden" / "expected_shots.json").read_text())


def test_shots_begin_where_the_original_lets_its_scenes_begin() -> None:
    ours = first_frames(np.array(EXPECTED["probabilities"]), THRESHOLD)
    assert ours == [start for start, _ in EXPECTED["scenes"][1:]]
    assert 60 in ours and 150 in ours  # the two hard cuts of the drawn clip


def test_a_transition_over_several_frames_is_one_border_and_one_at_the_end_is_none() -> None:
    assert first_frames(np.array([0.0, 0.9, 0.9, 0.1, 0.0, 0.8]), 0.5) == [3]


def test_without_the_package_there_is_a_sentence_that_says_what_to_do() -> None:
    if TransNetCuts.installed():
        return
    with pytest.raises(FullcastError, match="transnet"):
        TransNetCuts()

"""The tiny show, drawn, encoded and taken in once for all tests of room 1."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from tiny_show import RATE, Truth, encode, make_episode

from fullcast.ingest.config import IngestConfig
from fullcast.ingest.extract import VideoResult, extract_video


@dataclass
class Taken:
    """One episode: its file, its truth and what `extract_video` made of it."""

    path: Path
    out_dir: Path
    truth: list[Truth]
    result: VideoResult

    @property
    def kept(self) -> list[Truth]:
        return [self.truth[i] for i in self.kept_frames]

    @property
    def kept_frames(self) -> list[int]:
        return [round(image.time_s * RATE) for image in self.result.images]


@pytest.fixture(scope="session")
def show(tmp_path_factory: pytest.TempPathFactory) -> list[Taken]:
    """Two episodes of 20 s, 720p would take three times as long; crf differs as it does between releases."""
    folder = tmp_path_factory.mktemp("show")
    taken = []
    for number, crf in ((1, 20), (2, 25)):
        episode = make_episode(number)
        path = encode(episode.frames, folder / f"ep{number}.mp4", crf=crf)
        out_dir = folder / f"frames{number}"
        taken.append(Taken(path, out_dir, episode.truth, extract_video(path, out_dir, IngestConfig())))
    return taken

"""One piece of work on one episode in a process of its own, timed from inside: ``python -m checks.preparation.timed``.

Prints a JSON object: seconds of processor time and of the wall, frames, and what was kept, as seconds of the episode.
Imports and the start of Python are not counted, for anybody.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def decode_alone(path: Path, out: Path) -> Callable[[], dict[str, Any]]:
    """PyAV with one thread, every frame decoded and let go."""
    import av

    def work() -> dict[str, Any]:
        frames = 0
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.thread_type, stream.codec_context.thread_count = "SLICE", 1
            for _ in container.decode(stream):
                frames += 1
        return {"frames": frames}

    return work


def ours(path: Path, out: Path, *, write: bool = False) -> Callable[[], dict[str, Any]]:
    """Decode, shots, sampling, fingerprints and near-duplicates; kept frames are made full-size RGB in any case, and
    with `write` also PNG files in `out`."""
    import cv2
    import sklearn.neighbors  # noqa: F401 - the index of near-duplicates imports it late

    from fullcast.ingest.config import IngestConfig
    from fullcast.ingest.decode import VideoReader
    from fullcast.ingest.dedup import find_duplicates
    from fullcast.ingest.extract import Extraction
    from fullcast.ingest.writing import FrameFiles
    from fullcast.models.shots import Cuts
    from fullcast.ports import silent

    cv2.setNumThreads(1)
    config = IngestConfig()

    class Nowhere(FrameFiles):
        """Everything but the encoding and the file."""

        def file(self, frame: Any, rgb: Any) -> tuple[str, str]:
            return f"{frame.index:020d}", ""

        def remove(self, image: Any) -> None:
            pass

    def work() -> dict[str, Any]:
        reader = VideoReader(path, config)
        kind = FrameFiles if write else Nowhere
        found = Extraction(reader, "video", kind(reader, "video", out, str), config, Cuts())
        found.run(silent)
        dropped = find_duplicates(found.images, found.fingerprints, config).dropped
        return {
            "frames": found.num_frames,
            "sampled": [[i.id, i.time_s, i.path] for i in found.images],
            "dropped": dict(dropped),
            "kept": [i.time_s for i in found.images if i.id not in dropped],
            "shots": [s.start_s for s in found.shots],
        }

    return work


def ours_writing(path: Path, out: Path) -> Callable[[], dict[str, Any]]:
    return ours(path, out, write=True)


def content_detector(path: Path, out: Path) -> Callable[[], dict[str, Any]]:
    """PySceneDetect's ContentDetector as it comes, over OpenCV's reader; of each scene its first, middle and last frame
    count as kept, which is what its save-images does."""
    import cv2
    from scenedetect import ContentDetector, SceneManager, open_video

    cv2.setNumThreads(1)

    def work() -> dict[str, Any]:
        video = open_video(str(path))
        manager = SceneManager()
        manager.add_detector(ContentDetector())
        frames = manager.detect_scenes(video)
        scenes = [(a.get_seconds(), b.get_seconds()) for a, b in manager.get_scene_list(start_in_scene=True)]
        step = 1 / video.frame_rate
        kept = [t for a, b in scenes for t in (a, (a + b) / 2, max(a, b - step))]
        return {"frames": frames, "kept": kept, "shots": [a for a, _ in scenes]}

    return work


def main(name: str, path: str, out: str) -> None:
    work = globals()[name](Path(path), Path(out))
    wall, cpu = time.perf_counter(), time.process_time()
    answer = work()
    answer |= {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}
    print(json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])

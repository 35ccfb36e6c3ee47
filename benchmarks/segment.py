"""How well masks follow figures, on pocket drawings with the true boxes: IoU of each segmenter, time per figure.

python -m benchmarks.segment [drawings]
"""

from __future__ import annotations

import sys
import time

import numpy as np

from fullcast.models.segment import BoxSegmenter, GraphCutSegmenter
from fullcast.pocket.bodies import POSES, random_outfit
from fullcast.pocket.cast import make_cast
from fullcast.pocket.heads import EXPRESSIONS
from fullcast.pocket.scene import Drawing, Figure, compose, seen_in
from fullcast.store.seeding import rng

SIZE = 960, 540


def draw(number: int, settings: tuple[str, ...]) -> Drawing:
    """One to three members of the cast of seed 7 beside each other."""
    generator = rng(7, "segment-benchmark", number)
    members = make_cast(7, "toon-head").members
    count = int(generator.integers(1, 4))
    figures = []
    for i in range(count):
        member = members[int(generator.integers(len(members)))]
        skull = int(generator.uniform(60, 130))
        x, y = SIZE[0] * (i + 0.5) / count + generator.uniform(-40, 40), generator.uniform(0.4, 0.6) * SIZE[1]
        outfit, expression = random_outfit(generator), str(generator.choice(EXPRESSIONS))
        pose = str(generator.choice(POSES))
        figures.append(Figure(member.look(""), outfit, expression, pose, x, y, skull, member.name))
    return Drawing(str(generator.choice(settings)), number, "day", 1.0, tuple(figures), width=SIZE[0], height=SIZE[1])


def main(num: int) -> None:
    from fullcast.pocket.backgrounds import SETTINGS as places

    scores: dict[str, list[float]] = {}
    seconds: dict[str, float] = {}
    for number in range(num):
        composed = compose(draw(number, tuple(places)))
        seen = seen_in(composed, (0.0, 0.0, float(SIZE[0]), float(SIZE[1])), *SIZE)
        people = [(s.xyxy, s.head_xyxy) for s in seen]
        for segmenter in (BoxSegmenter(), GraphCutSegmenter()):
            began = time.process_time()
            masks = segmenter.segment(composed.rgb, people)
            seconds[segmenter.name] = seconds.get(segmenter.name, 0) + time.process_time() - began
            for s, mask in zip(seen, masks, strict=True):
                x, y = int((s.head_xyxy[0] + s.head_xyxy[2]) / 2), int((s.head_xyxy[1] + s.head_xyxy[3]) / 2)
                true = composed.owner == composed.owner[y, x]
                scores.setdefault(segmenter.name, []).append(float((mask & true).sum() / (mask | true).sum()))
    for name, values in scores.items():
        low = np.percentile(values, 10)
        print(f"{name}: IoU mean {np.mean(values):.3f}, 10th percentile {low:.3f}, n {len(values)}, ", end="")
        print(f"{seconds[name] / len(values):.3f} s per figure")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 30)

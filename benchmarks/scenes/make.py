"""Writes `any-cast-of-8.jsonl`: 200 scenes for each of 1 to 5 people, for any cast of eight characters or more.

Run once; the file is committed so that every checkpoint is asked the same. `tests/judging/test_benchmark.py` holds it.
"""

from dataclasses import replace
from pathlib import Path

from fullcast.judging.benchmark import make_scenes, seed_of, template_cast, write_scenes

SETTINGS = ("park", "street", "classroom", "beach", "bedroom", "mountain")

if __name__ == "__main__":
    scenes = make_scenes(template_cast(), 200, 20261122, SETTINGS)
    # Noise that every tool can be given: what `fullcast judge` drew from by its default seed before the file said it.
    seeded = [replace(scene, seed=seed_of(scene, 0)) for scene in scenes]
    write_scenes(Path(__file__).with_name("any-cast-of-8.jsonl"), seeded)

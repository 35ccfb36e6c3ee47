"""Writes `any-cast-of-8.jsonl`: 200 scenes for each of 1 to 5 people, for any cast of eight characters or more.

Run once; the file is committed so that every checkpoint is asked the same. `tests/judging/test_benchmark.py` holds it.
"""

from pathlib import Path

from fullcast.judging.benchmark import make_scenes, template_cast, write_scenes

SETTINGS = ("park", "street", "classroom", "beach", "bedroom", "mountain")

if __name__ == "__main__":
    write_scenes(Path(__file__).with_name("any-cast-of-8.jsonl"), make_scenes(template_cast(), 200, 20261122, SETTINGS))

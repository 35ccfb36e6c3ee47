"""A show of noise that counts as prepared, with a base of a few thousand numbers: trainings in seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fullcast.captions.core import TraitCount
from fullcast.captions.count import CountCheck
from fullcast.journey import new_workspace
from fullcast.models.stable_diffusion.build import build_pocket_pipeline
from fullcast.models.stable_diffusion.folder import save_pipeline
from fullcast.recognition.castfile import write_cast
from fullcast.records import Cast, Character, Drop, Image, Person
from fullcast.store.atomic import write_json
from fullcast.store.pictures import write_png
from fullcast.store.tables import write_records
from tests.training.test_train import TINY

RECIPE = """
device = "cpu"
seed = 5
[models]
base = "base"
[mixture]
num_steps = 4
batch_size = 2
area_px = 1536
bucket_step_px = 16
[training]
warmup_steps = 2
checkpoint_every = 2
log_every = 1
probe_every = 0
sample_every = 0
validation_share = 0.5
validate_every = 4
masked_loss = true
prior_preservation = true
dollars_per_hour = 3.6
"""


def make_home(root: Path) -> Path:
    """Twelve pictures, one person in each; `root`, which becomes the workspace."""
    new_workspace(root, "show")
    (root / "fullcast.toml").write_text(RECIPE)
    save_pipeline(build_pocket_pipeline(TINY), root / "base")
    show = root / "data" / "show"
    images, people = [], []
    for n in range(12):
        path = root / "data" / "frames" / f"{n}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_png(path, np.random.default_rng(n).integers(0, 256, (64, 96, 3), dtype=np.uint8))
        source = "regularization" if n > 9 else "screenshots"
        image_id = f"{n:020x}"
        images.append(Image(image_id, f"data/frames/{n}.png", 96, 64, source, shot_id=f"shot-{n // 2}"))
        who = ("aoi", "mio", "unknown")[2 if n > 9 else n % 2]
        person = Person(f"{image_id}/20-8-60-60", image_id, (20, 8, 60, 60), 0.9, (30, 8, 50, 28), 0.9, character=who)
        people.append(person)
    write_records(show / "images.parquet", images, Image)
    write_records(show / "people.parquet", people, Person, {"embedder": "none"})
    write_records(show / "drops.parquet", [], Drop)
    write_records(show / "counts.parquet", [], CountCheck)
    write_records(show / "traits.parquet", [], TraitCount)
    write_json(show / "captions.json", {})
    write_json(show / "scenes.json", {"tags": {}, "settings": ["park"]})
    write_cast(show / "cast.json", Cast("show", (Character("aoi", "aoi"), Character("mio", "mio"))))
    return root

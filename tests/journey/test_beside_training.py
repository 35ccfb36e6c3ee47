"""What a training is given beside its stream."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from fullcast.journey import Journey, asking, new_workspace
from fullcast.journey.beside_training import CharacterJudge, same_pixels
from fullcast.journey.doors import Doors
from fullcast.judging.benchmark import seed_of
from fullcast.judging.judge import Entry, Judged
from fullcast.judging.rows import row_of
from fullcast.records import Cast, Character, Picture, Sample, Scene, Verdict


def test_samples_of_stages_that_differ_in_captions_alone_show_the_same_pixels() -> None:
    first = Sample("aoi", "im", "im.png", (0.0, 0.0, 16.0, 16.0), "screenshots")
    renamed = replace(first, id="aoi@late", tags=("park",))
    elsewhere = [
        replace(renamed, crop=(0.0, 0.0, 16.0, 8.0), id="cut@late"),
        replace(renamed, path="b.png", id="b@late"),
    ]
    assert same_pixels([first, renamed, *elsewhere]) == {"aoi@late": "aoi"}


def test_no_request_by_which_a_checkpoint_is_kept_is_one_on_which_it_is_judged_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kept as best on the judge's own scenes and noise, it would look better on them than it is."""
    new_workspace(tmp_path / "show", "show")
    (tmp_path / "show" / "fullcast.toml").write_text(
        "[judging]\nscenes_while_training = 6\npictures_per_count = 6\n[training]\njudge_every = 10\n"
    )
    journey, cast = Journey.open(tmp_path / "show"), Cast("show", tuple(Character(n, n) for n in "abcdef"))
    looked: list[Entry] = []

    def draw(model: object, scenes: list[Scene], *rest: object, seeds: list[int], **about: object) -> list[Picture]:
        return [Picture(s.id, s.id, s, "", "", n, 8, 8, 1, 1.0, "", "") for s, n in zip(scenes, seeds, strict=True)]

    def see(entries: list[Entry], *rest: object, **about: object) -> Judged:
        looked.extend(entries)
        counts = ((entry, entry.scene.num_people) for entry in entries)
        rows = tuple(row_of(e.scene, Verdict(e.picture_id, e.scene.id, n, n, (), success=True)) for e, n in counts)
        return Judged(rows, (), "nobody")

    monkeypatch.setattr("fullcast.models.stable_diffusion.family.StableDiffusion.of", lambda pipeline: pipeline)
    monkeypatch.setattr("fullcast.generation.generate.generate", draw)
    monkeypatch.setattr("fullcast.judging.judge.judge", see)
    monkeypatch.setattr(Doors, "look", lambda self, cast: None)
    monkeypatch.setattr("fullcast.journey.preparing.read_prepared", lambda j: SimpleNamespace(settings=("park",)))
    judge = CharacterJudge(journey, cast, ("park",), tmp_path)
    told = judge(None, 10)
    assert told == {"": 1.0, **dict.fromkeys("abcdef", 1.0)}
    first, numbers = list(looked), {entry.scene.num_people for entry in looked}
    assert numbers == {1, 2, 3, 4, 5}
    judge(None, 20)
    assert looked[len(first) :] == [replace(e, path=tmp_path / "step-000020" / e.picture_id) for e in first]
    afterwards, _ = asking.scenes_for(journey, None, cast)
    noise = {seed_of(scene, journey.recipe.judging.seed, i) for scene in afterwards for i in range(16)}
    assert not noise & {entry.seed for entry in looked}
    several = [entry.scene for entry in first if entry.scene.num_people > 1]
    assert len(several) == 4 * 6 and not [s for s in several if s in afterwards]

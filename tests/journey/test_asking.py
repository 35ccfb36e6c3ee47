"""What is judged anew and what is kept, which names rows carry, and what the card makes of them: stand-ins draw and
look, all else is real."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fullcast.generation.config import GenerationConfig
from fullcast.journey import Journey, asking, new_workspace, proving
from fullcast.journey.doors import Doors
from fullcast.journey.judged import keep_errors, read_errors
from fullcast.journey.making import Checkpoint
from fullcast.journey.mending import MENDED, Mended
from fullcast.journey.naming import judge_cast_path
from fullcast.judging.benchmark import seed_of
from fullcast.judging.cache import question_key
from fullcast.judging.measures import Error
from fullcast.judging.rows import read_rows
from fullcast.recipe import make_recipe
from fullcast.recognition.castfile import write_cast
from fullcast.records import UNKNOWN, Cast, Character, Form, Found, Picture, Placement, Scene
from fullcast.store.errors import FullcastError
from fullcast.store.tables import write_records
from tests.judging.test_judge import COLORS, ColorLook, draw


def character(name: str, axis: int) -> Character:
    return Character(name, name, (Form("", references=np.eye(4, dtype=np.float32)[[axis, axis]]),))


CAST = Cast("test", tuple(character(name, i) for i, name in enumerate(COLORS)))

SCENES = [
    {"id": f"n1-{i}", "prompt": "park", "people": [{"character": name, "cell": [i, 1]}]}
    for i, name in enumerate(("aoi", "hinata", "mio"))
]


class Look(ColorLook):
    """Knows nobody when the cast's threshold is above 1."""

    name = "d e"

    def __init__(self, cast: Cast) -> None:
        self.cast = cast

    def look(self, images: Sequence[np.ndarray]) -> list[list[Found]]:
        seen = super().look(images)
        if self.cast.threshold <= 1:
            return seen
        return [[replace(figure, character=UNKNOWN) for figure in figures] for figures in seen]


@pytest.fixture()
def journey(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Journey]:
    """A workspace with a base and a trained model; both draw what is asked for, the base only aoi."""
    new_workspace(tmp_path / "show", "Drawn show")
    (tmp_path / "show" / "fullcast.toml").write_text("[judging]\npictures_per_scene = 2\nbootstrap_repeats = 100\n")
    journey = Journey.open(tmp_path / "show")
    write_cast(judge_cast_path(journey.workspace), CAST)
    (tmp_path / "scenes.jsonl").write_text("".join(json.dumps(scene) + "\n" for scene in SCENES))

    def find(journey: Journey, given: str) -> Checkpoint:
        name = "base" if given == "base" else "runs/x/step-10"
        return Checkpoint(tmp_path / name.replace("/", "-"), CAST, name)

    def paint(journey: Journey, way: asking.Asked, scenes: Sequence[Scene]) -> list[Picture]:
        DRAWN.append(way.folder.name)
        pictures = []
        for scene in scenes:
            for i in range(2):
                path, seed = way.folder / "pictures" / f"{scene.id}-{i}.png", seed_of(scene, 0, i)
                name = "aoi" if way.checkpoint.name == "base" else scene.people[0].character
                draw(path, {2: name})
                told = journey.workspace.relative(path)
                pictures.append(Picture(told, told, scene, "", "", seed, 100, 100, 1, 1.0, "", way.checkpoint.name))
        return pictures

    DRAWN.clear()
    network = {role: SimpleNamespace(name=role, embed=one_direction) for role in ("d", "e")}
    monkeypatch.setattr(asking, "find_checkpoint", find)
    monkeypatch.setattr(asking, "_draw", paint)
    monkeypatch.setattr(proving, "mend", lambda j, folder, *rest: write_records(folder / MENDED, [], Mended))
    monkeypatch.setattr("fullcast.models.stable_diffusion.folder.folder_sha256", lambda folder: folder.name)
    for role in ("judge_detector", "detector"):
        monkeypatch.setattr(Doors, role, network["d"])
    for role in ("judge_embedder", "embedder"):
        monkeypatch.setattr(Doors, role, network["e"])
    monkeypatch.setattr(Doors, "look", lambda self, cast: Look(cast))
    monkeypatch.setattr(Doors, "scorer", lambda self, cast: Look(cast))
    yield journey


def one_direction(crops: Sequence[np.ndarray]) -> np.ndarray:
    return np.full((len(crops), 4), 0.5, np.float32)


DRAWN: list[str] = []
"""Folders of the ways for which pictures were asked from the model."""


def scenes_of(journey: Journey) -> Path:
    return journey.workspace.root.parent / "scenes.jsonl"


def test_one_model_judged_under_several_names_is_judged_once_and_found_by_each(journey: Journey) -> None:
    scenes = scenes_of(journey)
    compared = journey.judge("base", "latest", scenes=scenes)
    assert list(compared.data["series"]) == ["base", "latest"] and len(DRAWN) == 2
    both = journey.judge(scenes=scenes)
    assert {"main", "placed", "base"} <= set(both.data) and len(DRAWN) == 3  # with places is new
    assert both.data["main"]["checkpoint"] == "runs/x/step-10" and both.data["base"]["checkpoint"] == "base"
    alone = journey.judge(checkpoint="base", scenes=scenes)
    assert alone.data["main"]["by_count"] == both.data["base"]["by_count"] and len(DRAWN) == 4
    told = {(row.series, row.checkpoint, row.step) for row in page_rows(journey)}
    assert told == {("Prompts only", "base", -1), ("With places given", "base", -1)}
    journey.judge(scenes=scenes)
    assert len(DRAWN) == 4
    assert {row.step for row in page_rows(journey) if row.series == "Prompts only"} == {10}


def test_prompts_only_says_so_where_the_recipe_plans_places(journey: Journey) -> None:
    """Whoever has no place gets one drawn, and its region: that is more than the prompt."""
    planned = journey.with_recipe(make_recipe({"generation": {"plan_places": True}}))
    names = [asking.way_of(planned, "base", kind).name for kind in ("main", "placed", "base")]
    assert names == ["Prompts only, places planned by Fullcast", "With places given", "Before training"]
    assert asking.way_of(journey, "base", "main").name == "Prompts only"
    assert planned.judge(checkpoint="base", scenes=scenes_of(journey)).data["main"]["name"] == names[0]


def page_rows(journey: Journey) -> list:
    return read_rows(journey.workspace.judging_dir / "page" / "judge.parquet")


def success(journey: Journey) -> float:
    [count] = journey.judge(scenes=scenes_of(journey)).data["main"]["by_count"]
    return count["success"]["value"]


def test_what_the_best_of_several_and_repairs_give_is_judged_beside_the_pictures_as_they_come(
    journey: Journey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model draws mio wrong in the first picture and right in the second; those that labelled see it."""

    def paint(j: Journey, way: asking.Asked, model: object, scenes: Sequence[Scene], each: int, folder: Path) -> list:
        pictures = []
        for scene, i in [(scene, i) for scene in scenes for i in range(each)]:
            who, name = scene.people[0].character, f"{scene.id}-{i}.png"
            draw(folder / name, {2: "aoi" if who == "mio" and i == 0 else who})
            seed = seed_of(scene, 0, i)
            pictures.append(Picture(f"{way.kind} {name}", name, scene, "", "", seed, 100, 100, 1, 1.0, "", "x"))
        return pictures

    def as_it_comes(j: Journey, way: asking.Asked, scenes: Sequence[Scene]) -> list[Picture]:
        folder = way.folder / "pictures"
        drawn = paint(j, way, None, scenes, 1, folder)
        return [replace(p, path=j.workspace.relative(folder / p.path)) for p in drawn]

    monkeypatch.setattr(asking, "_generate", paint)
    monkeypatch.setattr(asking, "_draw", as_it_comes)
    monkeypatch.setattr(asking, "open_model", lambda j, folder: None)
    chosen = journey.with_recipe(make_recipe({"judging": {"best_of": 2, "bootstrap_repeats": 100}}))
    answer = chosen.judge(scenes=scenes_of(journey))
    assert answer.data["mended"]["name"] == "Prompts only, best of 2"
    success = {kind: answer.data[kind]["by_count"][0]["success"]["value"] for kind in ("main", "mended")}
    assert success == {"main": pytest.approx(2 / 3), "mended": 1.0}
    again = chosen.with_recipe(make_recipe({"judging": {"best_of": 3, "repairs": 2, "bootstrap_repeats": 100}}))
    monkeypatch.setattr(asking, "_draw", lambda *given: pytest.fail("drawn again for another choice"))
    data = again.judge(scenes=scenes_of(journey)).data
    assert data["mended"]["name"] == "Prompts only, best of 3, up to 2 figures drawn anew"


def test_a_judge_or_a_mender_that_cannot_look_says_so_before_anything_is_drawn(
    journey: Journey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It took five minutes of drawing to hear that the cast was embedded by another network."""

    def refuse(self: Doors, cast: Cast) -> None:
        raise FullcastError("embedded by another")

    for door in ("look", "scorer"):
        with monkeypatch.context() as patch:
            patch.setattr(Doors, door, refuse)
            with pytest.raises(FullcastError, match="embedded by another"):
                journey.judge(scenes=scenes_of(journey))
    assert not DRAWN


def test_a_corrected_judge_judges_anew(journey: Journey) -> None:
    assert success(journey) == 1
    scored = read_rows(next(journey.workspace.judging_dir.glob("runs*-prompts/scored.parquet")))
    write_cast(judge_cast_path(journey.workspace), replace(CAST, threshold=2.0))
    assert success(journey) == 0
    assert read_rows(next(journey.workspace.judging_dir.glob("runs*-prompts/scored.parquet"))) == scored
    write_cast(judge_cast_path(journey.workspace), CAST)
    assert success(journey) == 1


def test_other_words_for_somebody_are_other_pictures(journey: Journey, monkeypatch: pytest.MonkeyPatch) -> None:
    scenes, before = scenes_of(journey), asking.find_checkpoint
    journey.judge("base", scenes=scenes)
    journey.judge("base", scenes=scenes)
    assert len(DRAWN) == 1
    renamed = replace(CAST, characters=(replace(CAST.characters[0], trigger_word="aoichan"), *CAST.characters[1:]))
    monkeypatch.setattr(asking, "find_checkpoint", lambda j, given: replace(before(j, given), cast=renamed))
    journey.judge("base", scenes=scenes)
    assert len(DRAWN) == 2
    fewer = replace(CAST, characters=CAST.characters[:2])
    monkeypatch.setattr(asking, "find_checkpoint", lambda j, given: replace(before(j, given), cast=fewer))
    with pytest.raises(FullcastError, match=r"base cannot be asked for all scenes: .*'mio'"):
        journey.judge("base", scenes=scenes)


def test_other_words_in_regions_and_other_negatives_are_other_pictures(
    journey: Journey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The prompt of the picture stays; what is heard in a region, or kept out of the picture, is in the key too."""
    scenes, way = [Scene("s", "park", (Placement("aoi", cell=(1, 1), negative_prompt="hat"),))], SimpleNamespace()
    way.checkpoint = SimpleNamespace(name="x")
    planned, plain = GenerationConfig(plan_places=True), GenerationConfig()
    without = [scene.without_places() for scene in scenes]

    def words(asked: Sequence[Scene], config: GenerationConfig) -> list[str]:
        return asking._words(way, asked, CAST, config)

    before = words(scenes, plain), words(without, planned)
    assert words(without, plain) == ["1 person, aoi, park", "hat"]
    assert "hat" not in before[0] and "hat" in words(scenes, GenerationConfig(region_steps=0))
    monkeypatch.setattr("fullcast.generation.regions._words", lambda *given: "aoi alone")
    assert words(scenes, plain) != before[0] and words(without, planned) != before[1]
    assert "aoi alone" not in words(scenes, GenerationConfig(region_steps=0))


def test_card_reads_verdicts_over_the_cast_of_their_day(journey: Journey) -> None:
    """Somebody new who sorts first shifted every score by one: another name, or an IndexError."""
    journey.judge(scenes=scenes_of(journey))
    more = replace(CAST, characters=(character("adam", 3), *CAST.characters))
    write_cast(judge_cast_path(journey.workspace), more)
    answer = journey.card()
    page = Path(answer.data["report"]).read_text()
    assert "adam" not in page and "Who is there" in page


def test_card_does_not_mix_judgements_of_different_scenes(journey: Journey, tmp_path: Path) -> None:
    """A comparison on scenes of its own writes its verdicts where those of the last judgement lay."""
    scenes = scenes_of(journey)
    journey.judge(scenes=scenes)
    fewer = tmp_path / "fewer.jsonl"
    fewer.write_text("".join(scenes.read_text().splitlines(keepends=True)[:1]))
    journey.judge("base", "latest", scenes=fewer)
    page = Path(journey.card().data["report"]).read_text()
    assert "Judged on other scenes since" in page and "Who is there" not in page
    journey.judge(scenes=scenes)
    assert "Judged on other scenes since" not in Path(journey.card().data["report"]).read_text()


def test_card_tells_the_judge_s_own_errors_and_what_they_make_of_success(journey: Journey) -> None:
    journey.judge(scenes=scenes_of(journey))
    assert "Corrected success" not in Path(journey.card().data["card"]).read_text()
    keep_errors(journey, question_key("d e", CAST), {1: Error(0.9, 0.95, 40, 120)})
    for told in (Path(journey.card().data["card"]).read_text(), Path(journey.workspace.report_path).read_text()):
        assert "Corrected success" in told and "1.00 → 1.00" in told
        assert "own errors" in told and "0.900 (40)" in told
    assert read_errors(journey, question_key("d e", replace(CAST, threshold=0.5))) == {}
    stricter = Journey.open(journey.workspace.root, {"judging.min_confidence": "0.9"})
    assert read_errors(stricter, question_key("d e", CAST)) == {}, "who accepts otherwise errs otherwise"
    write_cast(judge_cast_path(journey.workspace), replace(CAST, threshold=0.5))
    assert "0.900 (40)" in Path(journey.card().data["card"]).read_text()  # the verdicts are still those of that judge


def test_a_folder_without_a_whole_picture_is_named(journey: Journey, tmp_path: Path) -> None:
    for name in "abc":
        draw(tmp_path / name / "n1-0.png", {2: "aoi"})
    (tmp_path / "a" / "holiday.png").write_bytes((tmp_path / "b" / "n1-0.png").read_bytes())
    (tmp_path / "a" / "n1-0.png").write_bytes(b"no picture")
    folders = [str(tmp_path / name) for name in "abc"]
    with pytest.raises(FullcastError, match=r"no picture in .*/a can be read; 1 were tried, the first, n1-0\.png: "):
        journey.judge(*folders, scenes=scenes_of(journey))
    with pytest.raises(FullcastError, match=r"no picture in .*/a can be read"):
        journey.judge(pictures=tmp_path / "a", scenes=scenes_of(journey))
    assert list(journey.judge(*folders[1:], scenes=scenes_of(journey)).data["series"]) == ["b", "c"]


def test_checkpoints_of_several_runs_bear_the_runs_name() -> None:
    assert proving._series_names(["runs/a/checkpoints/step-5", "runs/a/checkpoints/step-9"]) == ["step-5", "step-9"]
    assert proving._series_names(["base", "runs/a/checkpoints/step-5", "runs/b/checkpoints/step-9", "x/y"]) == [
        "base",
        "a/checkpoints/step-5",
        "b/checkpoints/step-9",
        "x/y",
    ]


def test_best_of_k_of_folders_is_picked_by_the_networks_that_labelled(journey: Journey, tmp_path: Path) -> None:
    """Where several pictures share a scene; the others are left out of it."""
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        for name, column in (("n1-0-1", 0), ("n1-0-2", 2), ("n1-1", 2)):
            draw(folder / f"{name}.png", {column: "mio" if name == "n1-0-1" else "aoi"})
    args = {"scenes": scenes_of(journey)}
    assert journey.judge(*map(str, folders), **args).data["best_of"] == {}  # nobody labelled here
    write_cast(journey.workspace.show_dir / "cast.json", CAST)
    found = journey.judge(*map(str, folders), **args).data["best_of"]
    assert set(found) == {"a", "b"}
    at = {row["k"]: row["success"] for row in found["a"]}
    assert at[1]["value"] == 0 and at[2]["value"] == 1 and at[1]["n"] == at[2]["n"] == 1
    journey.judge(pictures=folders[0], **args)
    page = (journey.workspace.judging_dir / "page" / "judge.html").read_text()
    assert "Best of k" in page and "Picked by the networks that labelled" in page


def bad_scenes(tmp_path: Path) -> Path:
    """A good scene, one with a name outside the cast whose id begins with that of the good one, and a misspelt key."""
    lines = [SCENES[0], {"id": "n1-0-more", "people": [{"character": "nobody"}]}, {"id": "n1-2", "poeple": []}]
    (tmp_path / "bad.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return tmp_path / "bad.jsonl"


def test_bad_scenes_are_counted_and_the_rest_of_a_folder_is_judged(journey: Journey, tmp_path: Path) -> None:
    for name in ("n1-0.png", "n1-0-more-1.png", "n1-2.png"):
        draw(tmp_path / "made" / name, {2: "aoi"})
    answer = journey.judge(pictures=tmp_path / "made", scenes=bad_scenes(tmp_path))
    [count] = answer.data["by_count"]
    assert count["num_pictures"] == 1 and count["success"]["value"] == 1
    assert [(drop["item"], drop["reason"]) for drop in answer.data["not_used"]] == [
        ("n1-0-more", "not-in-cast"),
        ("n1-2", "malformed"),
        ("n1-0-more-1.png", "scene-left-out"),
        ("n1-2.png", "scene-left-out"),
    ]
    assert "not used by scenes: 1 malformed, 1 not-in-cast" in answer.text
    assert "nobody in the cast is called 'nobody'; the cast is: aoi, hinata, mio" in answer.text
    (tmp_path / "made" / "n1-0.png").unlink()
    with pytest.raises(FullcastError, match="are of scenes that cannot be asked for"):
        journey.judge(pictures=tmp_path / "made", scenes=bad_scenes(tmp_path))


def test_models_are_asked_for_the_good_scenes(journey: Journey, tmp_path: Path) -> None:
    for answer in (journey.judge("base", scenes=bad_scenes(tmp_path)), journey.judge(scenes=bad_scenes(tmp_path))):
        assert [drop["item"] for drop in answer.data["not_used"]] == ["n1-0-more", "n1-2"]
        assert "1 not-in-cast" in answer.text and "'nobody'" in answer.text
    assert {row.scene.id for row in page_rows(journey)} == {"n1-0"}


def test_another_seed_in_the_scenes_is_other_pictures(journey: Journey, tmp_path: Path) -> None:
    for seed, drawn in ((5, 1), (5, 1), (6, 2)):
        (tmp_path / "seeded.jsonl").write_text("".join(json.dumps({**scene, "seed": seed}) + "\n" for scene in SCENES))
        journey.judge("base", scenes=tmp_path / "seeded.jsonl")
        assert len(DRAWN) == drawn


def test_one_benchmark_starts_from_one_noise_in_any_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Sequence[int]] = []
    monkeypatch.setattr("fullcast.generation.generate.generate", lambda *a, seeds, **k: asked.append(seeds) or [])
    monkeypatch.setattr("fullcast.journey.preparing.read_prepared", lambda j: SimpleNamespace(settings=("park",)))
    monkeypatch.setattr(asking, "open_model", lambda j, folder: None)
    monkeypatch.setattr(Doors, "painters", lambda self, folder: None)
    made = []
    for name, settings in (("a", "seed = 1"), ("b", "seed = 2"), ("c", "[judging]\nseed = 1")):
        new_workspace(tmp_path / name, name)
        (tmp_path / name / "fullcast.toml").write_text(settings + "\n")
        journey = Journey.open(tmp_path / name)
        made.append(asking.scenes_for(journey, None, CAST)[0])
        way = asking.Asked("main", Checkpoint(tmp_path, CAST, "x"), journey.workspace.judging_dir / "x")
        asking._draw(journey, way, made[0][:3])
    assert asked[0] == asked[1] and not set(asked[0]) & set(asked[2])
    assert made[0] == made[1] != made[2]

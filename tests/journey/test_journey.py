"""The whole journey over a drawn show with small real networks: every room, its result, and going on afterwards."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pytest

from fullcast.cli import main
from fullcast.journey.answers import drop_lines
from fullcast.journey.naming import judge_cast_path
from fullcast.journey.portraits import read_portraits
from fullcast.journey.preparing import read_prepared
from fullcast.recognition.castfile import read_cast, write_cast
from fullcast.records import UNKNOWN, Drop, Person, Sample
from fullcast.store.errors import FullcastError
from fullcast.store.pictures import read_picture
from fullcast.store.tables import read_records
from tests.journey.drawn_show import SHOTS, film, make_workspace, open_journey


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared workspace with bad files among the good ones; tests copy it before they change it."""
    root = make_workspace(tmp_path_factory.mktemp("show") / "show")
    (root / "episodes" / "lies.mp4").write_text("not a video")
    whole = (root / "episodes" / "1.mp4").read_bytes()
    (root / "episodes" / "cut.mp4").write_bytes(whole[: len(whole) // 3])
    (root / "fanart" / "zero.png").write_bytes(b"")
    (root / "references" / "nobody").mkdir()
    open_journey(root).prepare()
    return root


@pytest.fixture(scope="module")
def trained(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("trained") / "show"
    shutil.copytree(prepared, root)
    journey = open_journey(root)
    journey.plan()
    journey.train()
    return root


def names_by_shot(root: Path) -> dict[str, set[str]]:
    """Names from left to right in the kept frames of each shot of the good episode."""
    ready = read_prepared(open_journey(root))
    found: dict[str, set[str]] = {}
    for image in ready.images:
        if image.source == "screenshots" and not image.dropped:
            people = sorted((p for p in ready.people if p.image_id == image.id), key=lambda p: p.place_xy)
            found.setdefault(image.shot_id, set()).add(",".join(p.name for p in people))
    return found


def test_prepare_finds_everybody_in_every_shot_and_says_unknown_of_strangers(prepared: Path) -> None:
    told = names_by_shot(prepared)
    expected = ["aoi", "mio,aoi", "rin,mio,aoi/hairdown", UNKNOWN, ""]
    assert len(SHOTS) == len(expected)
    assert [told[shot] for shot in sorted(told)] == [{names} for names in expected]


def test_the_one_person_of_every_reference_picture_is_known_by_its_folder(prepared: Path) -> None:
    images, people = read_portraits(open_journey(prepared).workspace)
    shown = {image.id: image.path for image in images}
    assert {image.source for image in images} == {"reference"} and len(people) == len(images) > 4
    for person in people:
        assert shown[person.image_id].startswith(f"references/{person.name}/") and person.head_xyxy is not None
    assert {person.name for person in people} == {"aoi", "aoi/hairdown", "mio", "rin"}
    assert all(person.tags for person in people), "words of their own, for captions"


def test_bad_files_are_counted_with_their_reason_and_the_rest_is_done(prepared: Path) -> None:
    drops = read_records(prepared / "data" / "show" / "drops.parquet", Drop)
    reasons = {(Path(drop.item).name, drop.reason) for drop in drops}
    assert ("lies.mp4", "not-a-video") in reasons
    assert ("zero.png", "empty") in reasons
    assert ("nobody", "no-references") in reasons
    assert any(item == "cut.mp4" for item, _ in reasons)
    assert any("1 empty" in line for line in drop_lines(drops))


def test_words_stand_with_their_person_and_their_picture(prepared: Path) -> None:
    ready = read_prepared(open_journey(prepared))
    assert ready.settings == ("park",)
    assert any("smile" in person.tags for person in ready.people)
    assert all("park" not in person.tags for person in ready.people)


def test_tables_open_in_duckdb(prepared: Path) -> None:
    table = prepared / "data" / "show" / "people.parquet"
    rows = duckdb.sql(f"select character, count(*) from '{table}' group by character").fetchall()
    assert {"aoi", "mio", "rin", UNKNOWN} <= {name for name, _ in rows}


def test_a_second_prepare_computes_no_partition_and_changes_no_table(prepared: Path, tmp_path: Path) -> None:
    root = tmp_path / "show"
    shutil.copytree(prepared, root)
    show = root / "data" / "show"
    before = {path: path.read_bytes() for path in show.rglob("*") if path.is_file()}
    stamps = {path: path.stat().st_mtime_ns for path in (root / "data").glob("[fpt]*/*/*")}
    answer = open_journey(root).prepare()
    assert "(0 of " in answer.text
    assert {path: path.read_bytes() for path in show.rglob("*") if path.is_file()} == before
    assert {path: path.stat().st_mtime_ns for path in (root / "data").glob("[fpt]*/*/*")} == stamps


def test_another_episode_costs_that_episode_alone(prepared: Path, tmp_path: Path) -> None:
    root = tmp_path / "show"
    shutil.copytree(prepared, root)
    film(root / "episodes" / "2.mp4", SHOTS[1:3], seed=9)
    stamps = {path: path.stat().st_mtime_ns for path in (root / "data").glob("[fpt]*/*/*")}
    answer = open_journey(root).prepare()
    assert "(1 of " in answer.text and answer.data["videos"] == 2
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())


def test_another_tagger_retags_and_nothing_else(prepared: Path, tmp_path: Path) -> None:
    root = tmp_path / "show"
    shutil.copytree(prepared, root)
    stamps = {path: path.stat().st_mtime_ns for path in (root / "data").glob("[fp]*/*/*")}
    words = {path: path.stat().st_mtime_ns for path in (root / "data" / "tags").glob("*/words.parquet")}
    csv = root / "models" / "tagger" / "selected_tags.csv"
    csv.write_text(csv.read_text().replace("park", "beach"))
    graph = root / "models" / "tagger" / "model.onnx"
    graph.rename(root / "models" / "tagger" / "other.onnx")
    open_journey(root, models__tagger="models/tagger/other.onnx").prepare()
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())
    assert all(path.stat().st_mtime_ns != stamp for path, stamp in words.items())
    assert read_prepared(open_journey(root)).settings == ("beach",)


def test_plan_says_what_is_seen_and_writes_it_down(trained: Path) -> None:
    report = json.loads((trained / "data" / "plan" / "plan.json").read_text())
    assert report["num_steps"] == 6 and report["num_visits"] == 12 and report["estimated_s"] > 0
    shares = {row["path"][0]: row["planned"] for row in report["branches"] if len(row["path"]) == 1}
    assert shares["source=regularization"] == pytest.approx(0.5)
    samples = read_records(trained / "data" / "show" / "samples.parquet", Sample)
    assert len(samples) == report["num_samples"]


def test_training_in_two_slices_ends_in_the_same_weights(trained: Path, prepared: Path, tmp_path: Path) -> None:
    root = tmp_path / "山の show"  # and somewhere else: the workspace moves in between
    shutil.copytree(prepared, tmp_path / "first")
    early = open_journey(tmp_path / "first").train(minutes=0)
    assert early.data["encoded"].startswith("0 of ") and "0 of " in early.text and "run it again to go on" in early.text
    assert (early.data["finished"], early.data["step"], early.data["checkpoint"]) == (False, 0, "")
    shutil.copytree(trained / "data" / "latents", tmp_path / "first" / "data" / "latents", dirs_exist_ok=True)
    assert open_journey(tmp_path / "first").train(minutes=0).data["step"] == 1
    shutil.move(tmp_path / "first", root)
    answer = open_journey(root).train()
    assert answer.data["finished"]
    weights = "unet/diffusion_pytorch_model.safetensors"
    whole = open_journey(trained).train()
    assert (root / answer.data["checkpoint"] / weights).read_bytes() == (
        trained / whole.data["checkpoint"] / weights
    ).read_bytes()


def test_a_finished_training_is_left_alone_and_another_recipe_begins_another(trained: Path, tmp_path: Path) -> None:
    root = tmp_path / "show"
    shutil.copytree(trained, root)
    first = open_journey(root).train()
    stamp = (root / first.data["checkpoint"]).stat().st_mtime_ns
    assert (root / open_journey(root).train().data["checkpoint"]).stat().st_mtime_ns == stamp
    other = open_journey(root, training__learning_rate="1e-3").train()
    assert other.data["checkpoint"] != first.data["checkpoint"] and other.data["finished"]


def test_a_checkpoint_carries_its_cast_and_its_recipe(trained: Path) -> None:
    checkpoint = trained / open_journey(trained).train().data["checkpoint"]
    for name in ("model_index.json", "cast.json", "cast-judge.json", "fullcast.toml"):
        assert (checkpoint / name).is_file()
    assert str(trained) not in (checkpoint / "fullcast.toml").read_text()


def test_generate_twice_draws_once_and_inpaint_keeps_what_is_outside(trained: Path) -> None:
    journey = open_journey(trained)
    answer = journey.generate("3 people, park", cast="aoi,mio/,rin@4:1", count=2)
    paths = [Path(row["path"]) for row in answer.data["pictures"]]
    assert len(paths) == 2 and paths[0].read_bytes() != paths[1].read_bytes()
    assert "aoi" in answer.data["pictures"][0]["prompt"] and "rin at far right" in answer.data["pictures"][0]["prompt"]
    stamps = [path.stat().st_mtime_ns for path in paths]
    journey.generate("3 people, park", cast="aoi,mio/,rin@4:1", count=2)
    assert [path.stat().st_mtime_ns for path in paths] == stamps
    mended = journey.inpaint(paths[0], box="8,8,24,28", cast="mio", prompt="park", strength=1.0)
    before, after = read_picture(paths[0]), read_picture(Path(mended.data["path"]))
    outside = np.ones(before.shape[:2], bool)
    outside[8:28, 8:24] = False
    assert (before[outside] == after[outside]).all() and (before[~outside] != after[~outside]).any()


def test_grid_of_everybody_by_seed(trained: Path) -> None:
    answer = open_journey(trained).grid("character=all", "seed=1,2")
    assert len(answer.data["pictures"]) == 4 * 2  # aoi in two looks, mio, rin
    assert Path(answer.data["path"]).is_file()


def test_judge_and_card_tell_the_whole_story(trained: Path) -> None:
    journey = open_journey(trained)
    answer = journey.judge()
    assert set(answer.data) == {"main", "placed", "base", "not_used", "page"}
    assert [count["num_pictures"] for count in answer.data["main"]["by_count"]] == [2, 2]
    verdicts = next((trained / "data" / "judging").glob("*-prompts/verdicts.parquet"))
    stamp = verdicts.stat().st_mtime_ns
    journey.judge()
    assert verdicts.stat().st_mtime_ns == stamp
    journey.card()
    page = (trained / "report.html").read_text()
    assert "Drawn show" in page and "rin" in page and "Before training" in page
    assert "http" not in page.replace("http://www.w3.org", "")
    assert (trained / "card" / "README.md").read_text().startswith("---\n")


def test_a_corrected_judge_judges_the_same_pictures_anew(trained: Path) -> None:
    journey = open_journey(trained)
    journey.judge()
    drawn = {path: path.stat().st_mtime_ns for path in (trained / "data" / "judging").glob("*/pictures/*.png")}
    path = judge_cast_path(journey.workspace)
    cast = read_cast(path)
    verdicts = next((trained / "data" / "judging").glob("*-prompts/verdicts.parquet"))
    stamp = verdicts.stat().st_mtime_ns
    write_cast(path, replace(cast, threshold=cast.threshold / 2))
    try:
        journey.judge()
    finally:
        write_cast(path, cast)
    assert verdicts.stat().st_mtime_ns != stamp
    assert drawn and {path: path.stat().st_mtime_ns for path in drawn} == drawn


def test_pictures_from_elsewhere_can_be_judged(trained: Path, tmp_path: Path) -> None:
    row = {"id": "s1", "prompt": "park", "people": [{"character": "aoi"}, {"character": "mio"}]}
    (tmp_path / "scenes.jsonl").write_text(json.dumps(row) + "\n")
    ready = read_prepared(open_journey(trained))
    pair = next(p.image_id for p in ready.people if p.character == "mio")
    image = next(i for i in ready.images if i.id == pair and sum(q.image_id == pair for q in ready.people) == 2)
    (tmp_path / "pictures").mkdir()
    shutil.copy(trained / image.path, tmp_path / "pictures" / "s1-a.png")
    answer = open_journey(trained).judge(pictures=tmp_path / "pictures", scenes=tmp_path / "scenes.jsonl")
    assert answer.data["by_count"][0]["success"]["value"] == 1.0
    with pytest.raises(FullcastError, match="--scenes"):
        open_journey(trained).judge(pictures=tmp_path / "pictures")


def test_export_of_dataset_and_checkpoint(trained: Path, tmp_path: Path) -> None:
    journey = open_journey(trained)
    journey.export("dataset", tmp_path / "dataset")
    rows = [json.loads(line) for line in (tmp_path / "dataset" / "train" / "metadata.jsonl").read_text().splitlines()]
    assert all((tmp_path / "dataset" / "train" / row["file_name"]).is_file() for row in rows)
    assert any("mio" in row["text"] for row in rows)
    journey.export("checkpoint", tmp_path / "model")
    assert (tmp_path / "model" / "model_index.json").is_file() and not (tmp_path / "model" / "state").exists()
    with pytest.raises(FullcastError, match="dataset"):
        journey.export("datset", tmp_path / "x")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["generate", "park", "--cast", "aoi,hinat"], "hinat"),
        (["generate"], "nothing was asked for"),
        (["generate", "park", "--checkpoint", "gone"], "no model folder"),
        (["grid", "character=aoi", "sed=1"], "sed=1"),
        (["inpaint", "gone.png", "--box", "0,0,4,4"], "gone.png"),
        (["inpaint", "gone.png"], "--box"),
        (["judge", "--scenes", "gone.jsonl"], "gone.jsonl"),
        (["prepare", "--models.detector", "gone.onnx"], "gone.onnx"),
    ],
)
def test_wrong_words_get_one_sentence(
    words: list[str], said: str, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main([*words, "-w", str(trained)])
    err = capsys.readouterr().err
    assert stop.value.code == 2 and said in err and err.count("\n") == 1


def test_each_verb_says_which_one_comes_before_it(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "show")
    journey = open_journey(root)
    for verb in (journey.plan, journey.train):
        with pytest.raises(FullcastError, match="fullcast prepare"):
            verb()
    with pytest.raises(FullcastError, match="fullcast train"):
        journey.generate("park")
    with pytest.raises(FullcastError, match=r"has none yet.*fullcast prepare"):
        journey.card()


def test_people_are_told_apart_by_picture_and_box(prepared: Path) -> None:
    people = read_records(prepared / "data" / "show" / "people.parquet", Person)
    assert len({person.id for person in people}) == len(people)

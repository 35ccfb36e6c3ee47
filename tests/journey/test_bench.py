"""A bench measures every size of the plan in real steps, leaves nothing behind but its table, and the plan uses it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from fullcast.journey import Journey, speed
from fullcast.journey.bench import Measured, _efficiency, _lines, bench, known_speed, measured_of, overall, sizes_of
from fullcast.journey.captioning import caption_changes, captioned
from fullcast.journey.planning import make_plan, run_dir_of
from fullcast.journey.wording import survey_captions
from fullcast.mixture.cost_config import CostConfig
from fullcast.recipe import make_recipe
from fullcast.store.errors import FullcastError
from fullcast.training.watching import Closed
from tests.journey.drawn_show import make_workspace, open_journey
from tests.journey.test_packing import home  # noqa: F401  (a fixture: a show of twelve pictures)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Journey:
    journey = open_journey(make_workspace(tmp_path_factory.mktemp("bench") / "show"))
    journey.prepare()
    return journey


def test_a_bench_times_every_size_and_the_plan_reckons_with_it(prepared: Journey) -> None:
    planned = make_plan(prepared)
    sizes = sizes_of(planned.stream)
    answer = bench(prepared, steps=3)
    told = [(row["width"], row["height"], row["share"]) for row in answer.data["sizes"]]
    assert told == [(*size, len(steps) / planned.stream.num_steps) for size, steps in sizes.items()]
    assert all(0 < row["slowest"] <= row["images_per_s"] for row in answer.data["sizes"])
    assert all(f"{width}x{height}" in answer.text for width, height, _ in told)
    left = [path.name for path in prepared.workspace.data_dir.iterdir()]
    assert "bench.json" in left and not any(name.startswith("tmp") for name in left)
    assert not prepared.workspace.runs_dir.exists() or not any(prepared.workspace.runs_dir.iterdir())
    assert known_speed(prepared, planned) == answer.data["images_per_s"]
    root = prepared.workspace.root
    for changed in ({"training.lora_rank": 4}, {"training.optimizer": "muon"}, {"seed": 5}):
        other = Journey.open(root, changed)
        assert known_speed(other, make_plan(other)) is None, changed
    saved_more_often = Journey.open(root, {"training.checkpoint_every": 7})
    assert known_speed(saved_more_often, planned) is not None
    data = prepared.plan().data
    assert data["estimated_s"] == pytest.approx(data["num_visits"] / answer.data["images_per_s"])


def test_speed_is_of_this_plan_and_not_of_any_run(
    home: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    journey = Journey.open(shutil.copytree(home, tmp_path / "show"))
    planned = make_plan(journey)
    monkeypatch.setattr(speed, "_measure", lambda journey, planned: 3.0)
    other, own = journey.workspace.runs_dir / "zzz", run_dir_of(journey, planned)
    _trained_at(other, 1000.0)
    assert speed.images_per_s(journey, planned) == 3.0, "another run tells nothing of this plan"
    _trained_at(own, 5.0)
    assert speed.images_per_s(journey, planned) == 5.0
    data = {"images_per_s": 7.0, "of": measured_of(journey, planned)}
    (journey.workspace.data_dir / "bench.json").write_text(json.dumps(data))
    assert speed.images_per_s(journey, planned) == 7.0


def _trained_at(run: Path, images_per_s: float) -> None:
    run.mkdir(parents=True)
    lines = [json.dumps({"step": step, "images_per_s": images_per_s}) for step in range(1, 4)]
    (run / "metrics.jsonl").write_text("\n".join(lines) + "\n")


def test_minutes_a_picture_are_a_speed_too() -> None:
    told = Closed(1.0, 1.0, (), 0, 0.0012341).told_speed
    assert told == 0.001234 and Closed(1.0, 1.0, (), 0, 123.456).told_speed == 123.5
    row = Measured(512, 512, 9, images_per_s=told, slowest=told, share=1.0)
    assert overall([row]) == pytest.approx(told)
    assert "0.0012 pictures a second" in "\n".join(_lines([row], overall([row]), "", None))


def test_wrong_wishes_are_said(prepared: Journey) -> None:
    with pytest.raises(FullcastError, match=r"no card is called 'GTX 970'; cost.gpus has RTX 3090"):
        bench(prepared, gpu="GTX 970")
    with pytest.raises(FullcastError, match="2 steps of each size or more"):
        bench(prepared, steps=1)


def test_times_of_sizes_add_up_and_a_share_of_the_peak_can_be_priced_with() -> None:
    rows = [
        Measured(64, 64, 9, images_per_s=10, slowest=8, share=0.75, operations_per_s=31e12),
        Measured(96, 96, 9, images_per_s=5, slowest=4, share=0.25, operations_per_s=62e12),
    ]
    assert overall(rows) == pytest.approx(8), "three pictures at 0.1 s and one at 0.2 s"
    found = _efficiency(rows, CostConfig().gpus["A6000"])["efficiency"]
    assert found == pytest.approx([0.2, 0.25, 0.4])
    priced = make_recipe({"cost": {"gpus": {"A6000": {"efficiency": found}}}}).cost.gpus
    assert priced["A6000"].efficiency == tuple(found) and priced["A6000"].peak_tflops == 155 and "H100" in priced


def test_what_a_stage_writes_otherwise_is_counted(prepared: Journey) -> None:
    """The same draws with the same settings give the same words; another grammar changes those about people."""
    stages = [{"name": "one"}, {"name": "same"}, {"name": "other", "captions": {"grammars": {"seed": 1.0}}}]
    values = json.loads(prepared.recipe.model_dump_json())
    staged = prepared.with_recipe(make_recipe({**values, "stages": stages}))
    text, shares = caption_changes(staged, make_plan(staged))
    assert shares["same"] == 0 and 0.3 < shares["other"] <= 1
    assert f"captions of stage same: 0 of {len(make_plan(staged).mixture.samples)}" in text


def test_other_words_begin_another_run_and_other_saves_do_not(prepared: Journey) -> None:
    """Resumed with other captions a training would be neither the old one nor the new one."""
    root = prepared.workspace.root

    def run(**changed: object) -> str:
        own = Journey.open(root, {name.replace("__", "."): value for name, value in changed.items()})
        return run_dir_of(own, make_plan(own)).name

    assert run() == run() == run(training__checkpoint_every=3)
    assert len({run(), run(captions__keep_own_tag=0.9), run(captions__grammars={"seed": 1.0})}) == 3
    own = Journey.open(root)
    planned = make_plan(own)
    moved = [replace(s, people=tuple(replace(p, xyxy=(0, 0, 9, 9)) for p in s.people)) for s in planned.samples]
    elsewhere = replace(planned.stages[0], mixture=replace(planned.stages[0].mixture, samples=tuple(moved)))
    assert run_dir_of(own, replace(planned, stages=(elsewhere,))) != run_dir_of(own, planned), "masks go by boxes"


def test_captions_are_measured_as_the_stages_say_them(prepared: Journey) -> None:
    values = json.loads(prepared.recipe.model_dump_json())
    staged = prepared.with_recipe(
        make_recipe({**values, "stages": [{"name": "one", "captions": {"grammars": {"seed": 1.0}}}]})
    )
    plain, other = (
        survey_captions(captioned(own, make_plan(own)), make_plan(own).prepared.cast)[1] for own in (prepared, staged)
    )
    assert plain["captions"] == other["captions"] > 0 and plain["mean"] != other["mean"]

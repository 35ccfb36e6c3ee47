"""Stages under one counter, readers that change nothing, prices, other trainers' orders, two plans compared."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from fullcast.journey import Journey, new_workspace
from fullcast.journey.planning import compare_plans, make_plan, training_config
from fullcast.journey.pricing import _work_of
from fullcast.mixture.beside import compare
from fullcast.mixture.buckets import Bucket
from fullcast.mixture.cost import StageWork, _operations, disk, prices
from fullcast.mixture.cost_config import CostConfig
from fullcast.mixture.lag import bounds_of, worst_lag
from fullcast.mixture.loader import Loaded, load, of_rank
from fullcast.mixture.peers import ed1_order, ed2_epoch, ed2_order, iid_order
from fullcast.mixture.stages import StagedStream
from fullcast.mixture.stream import make_stream
from fullcast.models.stable_diffusion.work import Work
from fullcast.recipe import make_recipe, write_recipe
from fullcast.store.errors import FullcastError
from fullcast.store.seeding import rng

RECIPE = {
    "mixture": {"batch_size": 4, "crops": {"sources": []}, "area_px": 15360},
    "stages": [
        {"name": "one", "mixture": {"num_steps": 30}, "training": {"text_encoder_learning_rate": 0.0}},
        {"name": "two", "mixture": {"num_steps": 50, "area_px": 20480}, "training": {"learning_rate": 1e-5}},
    ],
    "inventory": [
        {"count": 40, "source": "screenshots", "people": ["aoi"], "per_shot": 4},
        {"count": 20, "source": "screenshots", "people": ["aoi", "hinata/hairdown"]},
        {"count": 9, "source": "fanart", "size": [800, 1200], "people": ["hinata"]},
        {"count": 60, "source": "regularization", "size": [900, 900]},
    ],
}


def journey(folder: Path, **changes: object) -> Journey:
    new_workspace(folder)
    write_recipe(folder / "fullcast.toml", make_recipe({**RECIPE, **changes}))
    return Journey.open(folder)


def test_two_stages_are_one_stream(tmp_path: Path) -> None:
    planned = make_plan(journey(tmp_path), may_imagine=True)
    stream = planned.stream
    assert (stream.num_steps, stream.batch_size) == (80, 4)
    assert [stream.batch(step).step for step in (0, 29, 30, 79)] == [0, 29, 30, 79]
    areas = [max(b.width * b.height for b in map(stream.batch, steps)) for steps in (range(30), range(30, 80))]
    assert areas[0] <= 15360 < areas[1] <= 20480
    ids = [{v.sample_id for step in steps for v in stream.batch(step).visits} for steps in (range(30), range(30, 80))]
    assert not ids[0] & ids[1] and all(name.endswith("@two") for name in ids[1]), "they are cut otherwise"
    assert {sample.id for sample in planned.samples} >= ids[0] | ids[1]


def test_visits_count_over_stages_of_the_same_samples(tmp_path: Path) -> None:
    stages = [{"name": "a", "mixture": {"num_steps": 30}}, {"name": "b", "mixture": {"num_steps": 50}}]
    planned = make_plan(journey(tmp_path, stages=stages), may_imagine=True)
    seen: dict[str, int] = {}
    for step in range(80):
        for visit in planned.stream.batch(step).visits:
            assert visit.visit == seen.get(visit.sample_id, 0)
            seen[visit.sample_id] = visit.visit + 1
    orders = [stage.mixture.stream.order for stage in planned.stages]
    assert (orders[0] != orders[1][:30]).mean() > 0.5, "another order, not the first one again"
    assert isinstance(planned.stream, StagedStream)


def test_the_trainer_is_told_what_stages_change(tmp_path: Path) -> None:
    config = training_config(journey(tmp_path).recipe)
    assert config.at(0).text_encoder_learning_rate == 0 and config.at(29).learning_rate == config.learning_rate
    assert config.at(30).text_encoder_learning_rate == config.text_encoder_learning_rate > 0
    assert config.at(79).learning_rate == 1e-5
    assert config.highest("text_encoder_learning_rate") > 0
    plain = training_config(make_recipe({}))
    assert plain.at(5) is plain and "changes" not in plain.about_weights(), "old runs keep their fingerprint"
    with pytest.raises(FullcastError, match="ema_decay, which is set once"):
        make_recipe({"stages": [{"name": "a", "training": {"ema_decay": 0.5}}]})


def test_a_plan_from_an_inventory_and_what_another_changes(tmp_path: Path) -> None:
    answer = journey(tmp_path / "a").plan()
    assert "these pictures are not here yet" in answer.text and "STAGE two: steps 30 to 79" in answer.text
    folder = tmp_path / "a" / "data" / "plan"
    plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    shares = {row["path"][0]: row["delivered"] for row in plan["branches"] if len(row["path"]) == 1}
    assert shares["source=fanart"] == pytest.approx(0.2, abs=0.02)
    visits = {row["value"]: row for row in plan["values"]["character"]}
    assert visits["aoi"]["least"] <= visits["aoi"]["median"] <= visits["aoi"]["most"]
    assert "<svg" in (folder / "plan.svg").read_text(encoding="utf-8")
    words = [e.text for e in ElementTree.parse(folder / "visits.svg").iter() if e.text and e.text.strip()]
    assert {"aoi", "hinata/hairdown", "never"} <= set(words), "who, and where nobody stands"
    assert sum(count for _, count in plan["histogram"]) == 129 and plan["histogram"][0][1] == len(_lines(folder))
    assert len(_lines(folder)) == plan["pictures_never_seen"]
    more = [RECIPE["stages"][0], {"name": "two", "mixture": {"num_steps": 90, "area_px": 20480}}]  # type: ignore[index]
    journey(tmp_path / "b", stages=more).plan()
    found = compare_plans(tmp_path / "a", tmp_path / "b")
    assert "num_steps" in found.text and "stage 2, learning rate" in found.text
    assert compare_plans(tmp_path / "a", folder).text == "the plans have the same order"
    with pytest.raises(FullcastError, match="there is no plan"):
        compare_plans(tmp_path / "nowhere", tmp_path / "a")


def _lines(folder: Path) -> list[str]:
    return (folder / "never-seen.txt").read_text(encoding="utf-8").splitlines()


def test_the_plan_says_what_a_stage_captions_otherwise_and_when_it_misses(tmp_path: Path) -> None:
    stages = [{"name": "one"}, {"name": "two", "captions": {"keep_own_tag": 0.8}}]
    capped = {**RECIPE["mixture"], "num_steps": 24, "max_repeats": 1.0}  # type: ignore[dict-item]
    text = journey(tmp_path, stages=stages, mixture=capped).plan().text
    assert text.count("captions.keep_own_tag 0.8") == 1
    (row,) = (line.split() for line in text.splitlines() if line.startswith("this plan"))
    assert row[-2] == "0%", (
        "nine fan arts cannot be a fifth of the visits at one visit each, and that is not called near"
    )


def test_a_plan_of_pictures_that_are_all_too_small_says_so(tmp_path: Path) -> None:
    small = [{"count": 3, "source": "fanart", "size": [40, 40]}]
    with pytest.raises(
        FullcastError, match="all 3 pictures are too small for the plan's area: 40x40 would be enlarged"
    ):
        journey(tmp_path, inventory=small).plan()


def test_others_deliver_what_their_rules_say(tmp_path: Path) -> None:
    planned = make_plan(journey(tmp_path), may_imagine=True)
    peers = {found.trainer: found for found in compare(planned.stages, 10)}
    assert set(peers) == {"EveryDream1", "EveryDream2", "i.i.d."}
    ed1 = next(r for r in peers["EveryDream1"].ranges if r.branch == "source=screenshots")
    assert ed1.planned == pytest.approx(0.3) and ed1.high - ed1.low > 0.05
    # The rejection walk of EveryDream2: 100 pictures at 0.5 give the first ten 0.61, the last ten 0.34.
    counts = np.zeros(100)
    for draw in range(600):
        counts[ed2_epoch(np.full(100, 0.5), np.random.default_rng(draw))] += 1
    assert counts[:10].mean() / 600 == pytest.approx(0.61, abs=0.03)
    assert counts[-10:].mean() / 600 == pytest.approx(0.34, abs=0.03)
    multiplies, buckets = np.array([2.9, 0.5, *[1.0] * 30]), np.array([0, 0, *[1] * 30])
    walk = ed1_order(multiplies, buckets, 4, 14, 1)
    assert not np.isin(walk, [0, 1]).any(), "2 of 2.9 and 0 of 0.5 fill no batch of 4"
    assert (walk[:7] == walk[7:]).all(), "every epoch is the same"
    everyone = ed2_order(np.array([0.0, *[1.0] * 7]), np.zeros(8, dtype=int), 4, 2, 1)
    assert set(everyone.ravel()) == set(range(8)), "0 counts as 1"


def test_ours_is_within_the_bound_where_others_are_not() -> None:
    """One small case of the check's first line."""
    draw = np.random.default_rng(3)
    weights, buckets = 10 ** draw.uniform(0, 4, 400), draw.integers(0, 5, 400)
    bounds = bounds_of(weights, buckets, 8)
    sizes = tuple(Bucket(16 * i, 96) for i in range(2, 7))
    ours = make_stream([str(i) for i in range(400)], weights, sizes, buckets, batch_size=8, num_steps=500, seed=1)
    assert worst_lag(ours.order.ravel(), weights, bounds) < 1
    multiplies = weights / weights.sum() * 4000
    for order in (ed1_order(multiplies, buckets, 8, 500, 1), ed2_order(multiplies, buckets, 8, 500, 1)):
        assert worst_lag(order.ravel(), weights, bounds) > 2
    assert worst_lag(iid_order(weights, buckets, 8, 500, 1).ravel(), weights, bounds) > 2


@dataclass(frozen=True)
class Drawn:
    """Pixels and captions from names; module-level, so that spawned workers find it."""

    def pixels(self, sample_id: str, width: int, height: int) -> np.ndarray:
        return rng(0, "pixels", sample_id).integers(0, 256, (height, width, 3), dtype=np.uint8)

    def caption(self, sample_id: str, visit: int) -> str:
        return f"{sample_id}/{visit}"


def test_workers_and_ranks_change_nothing() -> None:
    buckets = (Bucket(16, 16), Bucket(32, 16))
    names = [str(i) for i in range(30)]
    stream = make_stream(names, np.arange(1.0, 31), buckets, np.arange(30) % 2, batch_size=4, num_steps=12, seed=1)
    plain = list(load(stream, Drawn(), Drawn()))
    for others in (load(stream, Drawn(), Drawn(), workers=1), load(stream, Drawn(), Drawn(), start=0)):
        for one, other in zip(plain, others, strict=True):
            assert one.batch == other.batch and one.captions == other.captions
            assert one.pixels.tobytes() == other.pixels.tobytes()
    parts = [list(load(stream, Drawn(), Drawn(), rank=rank, ranks=2)) for rank in range(2)]
    for one, pair in zip(plain, zip(*parts, strict=True), strict=True):
        both = Loaded.joined(pair)
        assert both.batch == one.batch and both.pixels.tobytes() == one.pixels.tobytes()
    assert [step.batch for step in load(stream, Drawn(), Drawn(), start=7)] == [step.batch for step in plain[7:]]
    with pytest.raises(FullcastError, match="cannot be shared alike by 3 ranks"):
        of_rank(stream.batch(0), 0, 3)


def test_prices_are_the_formula() -> None:
    """100,000 visits at 512: (3 U + T) / (P eta) in hours, U = 0.80, T = 0.04 TFLOP, on 71 TFLOP/s at 0.3."""
    config = CostConfig(setup_s=0, save_s=0, sample_s=0)
    work = StageWork(((512 * 512, 100_000, 0),), 8, False, True, False, 1, 0)
    row = next(p for p in prices([work], Work(), config, 0.0) if p.gpu == "RTX 3090")
    assert row.memory_gb > 16, "weights, gradients and Adam of all that is trained"
    assert row.hours[1] == pytest.approx(100_000 * (3 * 0.80 + 0.04) / (71 * 0.3) / 3600, rel=0.01)
    assert row.hours[0] < row.hours[1] < row.hours[2] and row.dollars[0] == pytest.approx(row.hours[0] * 0.22)
    assert row.images_per_s == pytest.approx(8.7, abs=0.1), "as the layer sum's own table has it"
    for side, forward in ((512, 0.80), (576, 1.06), (640, 1.36), (704, 1.72), (768, 2.15)):
        assert Work().unet(side * side) / 1e12 == pytest.approx(forward, rel=0.012)


def test_a_lora_and_a_teacher_take_the_passes_that_they_need() -> None:
    """Forward, backward through the activations, backward to the weights, again with checkpointing, once more to ask
    the base: that many times 0.80 TFLOP at 512."""
    work, forward = replace(Work(), text_forward=0.0), 0.80e12
    for asked, passes in (
        ({}, 3),
        ({"lora": True}, 2),
        ({"checkpointing": True}, 4),
        ({"lora": True, "checkpointing": True}, 3),
        ({"taught": 0.5}, 3.5),
        ({"lora": True, "taught": 0.25}, 2.25),
    ):
        stage = replace(StageWork(((512 * 512, 10, 0),), 8, False, True, False, 1, 0), **asked)
        assert _operations(stage, work, CostConfig()) == pytest.approx(10 * passes * forward), asked
    frozen = dict(checkpointing=False, text_encoder=False)
    words = Work().train(512 * 512, **frozen, taught=0.5) - Work().train(512 * 512, **frozen)
    assert words == pytest.approx(0.5 * (forward + Work().text_forward)), "the base hears the caption too"


def test_the_base_is_asked_of_regularization_pictures_alone(tmp_path: Path) -> None:
    asked = journey(tmp_path, training={"prior_preservation": True})
    last, (_, of) = make_plan(asked, may_imagine=True).stages[-1], asked.recipe.of_stages()[-1]
    source = {sample.id: sample.source for sample in last.mixture.samples}
    stream = last.mixture.stream
    seen = [source[visit.sample_id] for step in range(stream.num_steps) for visit in stream.batch(step).visits]
    assert "regularization" in seen and "screenshots" in seen
    assert _work_of(last, of, last=True).taught == pytest.approx(seen.count("regularization") / len(seen))
    plain = of.model_copy(update={"training": of.training.model_copy(update={"prior_preservation": False})})
    assert _work_of(last, plain, last=True).taught == 0


def test_a_lora_asks_for_no_gradients_and_no_states_of_the_model() -> None:
    whole = StageWork(((512 * 512, 1000, 100),), 1, True, True, True, checkpoints=3, sample_rounds=0)
    merged = replace(whole, lora=True)
    alone = replace(merged, merged=False)
    card = [next(iter(prices([work], Work(), CostConfig(), 0.0))) for work in (whole, merged, alone)]
    assert card[0].memory_gb > 20 and card[1].memory_gb == card[2].memory_gb == pytest.approx(4 * 1.066 + 0.9, abs=0.1)
    needed = [disk([work], Work(), True, None, 1) for work in (whole, merged, alone)]
    assert needed[0].states_gb > 10 and needed[1].states_gb == needed[2].states_gb == 0
    assert needed[0].checkpoints_gb == needed[1].checkpoints_gb > 6 and needed[2].checkpoints_gb == 0
    assert len({found.latents_gb for found in needed}) == 1


def test_what_a_training_ends_with_is_priced(tmp_path: Path) -> None:
    """1,200 steps with a checkpoint every 500: at 500, 1,000 and at the end; a stage's end alone writes none."""
    every = {"checkpoint_every": 500, "sample_every": 400, "lora_rank": 4, "lora_merged": False}
    asked = journey(tmp_path, training=every)
    stages = make_plan(asked, may_imagine=True).stages
    long = [replace(stage, start=start) for stage, start in zip(stages, (0, 1150), strict=True)]
    of = [recipe for _, recipe in asked.recipe.of_stages()]
    assert [stage.num_steps for stage in long] == [30, 50]
    last = _work_of(replace(long[1], start=1150), of[1], last=True)
    assert (last.checkpoints, last.sample_rounds) == (1, 1), "the samples' round of step 1,200 is the last one's"
    assert (last.lora, last.merged) == (True, False)
    first = _work_of(long[0], of[0], last=False)
    assert (first.checkpoints, first.sample_rounds) == (0, 0)
    even = _work_of(replace(long[1], start=1450), of[1], last=True)
    assert even.checkpoints == 1, "step 1,500 is both"

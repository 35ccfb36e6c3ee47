"""The plan's report says what the stream does."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest

from fullcast.mixture.beside import top_of
from fullcast.mixture.config import MixtureConfig, Shares
from fullcast.mixture.drawing import POINTS, _so_far
from fullcast.mixture.plan import ledger, plan, shot_indices
from fullcast.mixture.preview import PlanReport, preview
from fullcast.mixture.preview_text import as_text
from fullcast.mixture.samples import Cut, cut_samples
from fullcast.mixture.stages import StagePlan
from fullcast.records import Image, Person, person_id
from fullcast.store.errors import FullcastError

WHO = ("aoi", "hinata", "mio", "unknown")


def show(num: int = 60) -> tuple[list[Image], list[Person]]:
    """Frames with zero to four people, fan art of one, regularization pictures of somebody else; sizes differ."""
    draw = np.random.default_rng(1)
    images: list[Image] = []
    people: list[Person] = []
    for i in range(num):
        source = ("screenshots", "fanart", "regularization")[min(2, i % 5)]
        size = (1280, 720) if source == "screenshots" else ((600, 900), (800, 800))[i % 2]
        images.append(Image(f"i{i}", f"pictures/{i}.png", *size, source, shot_id=f"v:{i // 5}" if i % 5 == 0 else ""))
        for slot in range(draw.integers(0, 5) if source == "screenshots" else 1):
            x, y, head = size[0] * (slot + 0.7) / 5, size[1] * 0.4, size[1] * 0.12
            box = (x - head, y - head, x + head, y + 3 * head)
            who = WHO[3] if source == "regularization" else WHO[int(draw.integers(0, 4))]
            face = (x - head / 2, y - head / 2, x + head / 2, y + head / 2)
            people.append(Person(person_id(f"i{i}", box), f"i{i}", box, 0.9, face, character=who))
    return images, people


CONFIG = MixtureConfig(num_steps=400, batch_size=4)


def reported(config: MixtureConfig, cut: Cut, **told: object) -> PlanReport:
    return preview([StagePlan("", 0, cut, plan(cut.samples, config, seed=3))], **told)  # type: ignore[arg-type]


def test_report_is_what_walking_through_the_stream_finds() -> None:
    cut = cut_samples(*show(), CONFIG)
    planned = plan(cut.samples, CONFIG, seed=3)
    report = preview([StagePlan("", 0, cut, planned)], images_per_s=8.0)
    of = {s.id: s for s in cut.samples}
    seen: Counter[str] = Counter()
    for step in range(400):
        batch = planned.stream.batch(step)
        assert len(batch.visits) == 4
        seen.update(v.sample_id for v in batch.visits)
    sources = Counter()
    for name, count in seen.items():
        sources[of[name].source] += count
    assert {row.value: row.visits for row in report.values["source"]} == dict(sources)
    by_path = {row.path: row for row in report.branches}
    for source, share in {"screenshots": 0.3, "fanart": 0.2, "regularization": 0.5}.items():
        row = by_path[(f"source={source}",)]
        assert row.planned == pytest.approx(share) and row.deliverable == pytest.approx(share)
        assert row.delivered == pytest.approx(sources[source] / 1600) and abs(row.delivered - share) < 0.01
    assert report.never_seen["too light for these steps"] == len(of) - len(seen)
    assert report.num_visits == 1600 and report.estimated_s == 200
    assert sum(b.batches for b in report.buckets) == 400 and sum(b.samples for b in report.buckets) == len(of)
    assert report.worst_lag < max(b.bound for b in report.buckets)
    aoi = sum(count for name, count in seen.items() if any(p.character == "aoi" for p in of[name].people))
    assert next(row.visits for row in report.values["name"] if row.value == "aoi") == aoi


def test_report_goes_to_json_and_text() -> None:
    cut = cut_samples(*show(), CONFIG)
    report = reported(CONFIG, cut, images_per_s=8.0)
    assert json.loads(json.dumps(report.to_dict()))["num_steps"] == 400
    text = as_text(report)
    for word in ("400 steps of 4: 1600 visits", "source=screenshots", "30.00%", "128x64", "aoi", "3.3 min"):
        assert word in text


def test_ledger_at_any_step() -> None:
    samples = cut_samples(*show(), CONFIG).samples
    planned = plan(samples, CONFIG, seed=3)
    assert ledger(planned, 0).visits.sum() == 0
    for step in (1, 37, 400):
        entry = ledger(planned, step)
        assert entry.visits.sum() == 4 * step
        assert (np.abs(entry.visits - 4 * step * planned.stream.weights) < planned.stream.bounds()).all()
    top = [v for k, v in ledger(planned, 400).shares.items() if len(k) == 1]
    assert sum(top) == pytest.approx(1)
    assert ledger(planned, 37).shares[("source=regularization",)] == pytest.approx(0.5, abs=0.1)


def test_cap_on_repeats_is_kept_and_its_cost_shown() -> None:
    cut = cut_samples(*show(), CONFIG)
    free = reported(CONFIG, cut)
    most = free.visits_per_picture["max"]
    limited = reported(CONFIG.model_copy(update={"max_repeats": most - 10}), cut)
    crops = max(sum(s.image_id == t.image_id for t in cut.samples) for s in cut.samples)
    assert limited.visits_per_picture["max"] <= most - 10 + crops, "each sample is within one visit of its part"
    for row in limited.branches:
        assert len(row.path) > 1 or row.deliverable == pytest.approx(row.planned), "sources keep their shares"
    assert any("visits each hold" in note for note in limited.notes)
    with pytest.raises(FullcastError, match="max_repeats is too low"):
        plan(cut.samples, CONFIG.model_copy(update={"max_repeats": 1.0}), seed=3)


def test_missing_source_is_noted() -> None:
    images, people = show()
    cut = cut_samples([i for i in images if i.source != "fanart"], people, CONFIG)
    report = reported(CONFIG, cut)
    assert any("source=fanart" in note for note in report.notes)
    row = next(row for row in report.branches if row.path == ("source=fanart",))
    assert row.planned == pytest.approx(0.2) and row.deliverable == row.delivered == 0


def test_tree_by_character_gives_every_name_its_share() -> None:
    config = CONFIG.model_copy(update={"shares": Shares(by="character", share={"unknown": 0, "nobody": 0})})
    planned = plan(cut_samples(*show(), config).samples, config, seed=3)
    shares = ledger(planned).shares
    assert {k[0]: round(v, 2) for k, v in shares.items()} == {f"character={w}": 0.33 for w in ("aoi", "hinata", "mio")}


def test_crops_of_one_picture_count_as_one_shot() -> None:
    samples = cut_samples(*show(), CONFIG).samples
    shots = shot_indices(samples)
    by_image: dict[str, set[int]] = {}
    for sample, shot in zip(samples, shots, strict=True):
        by_image.setdefault(sample.image_id, set()).add(int(shot))
    assert all(len(found) == 1 for found in by_image.values())


def test_outermost_branches_are_those_of_most_weight_and_their_course_adds_up() -> None:
    """By shot there are thousands: a table of branches by samples would not fit."""
    config = CONFIG.model_copy(update={"shares": Shares(by="character")})
    cut = cut_samples(*show(), config)
    stage = StagePlan("", 0, cut, plan(cut.samples, config, seed=3))
    names, of_sample, shares = top_of(stage)
    resolved = stage.mixture.resolved
    table = np.zeros((len(names), len(resolved.weights)))
    for leaf in resolved.leaves:
        np.add.at(table[names.index(leaf.path[0])], leaf.items, leaf.mass)
    assert len(names) > 2 and (of_sample == table.argmax(0)).all() and shares == pytest.approx(table.sum(1))
    course = _so_far(names, [stage], "")
    assert course is not None and course.shape == (POINTS, len(names)) and course.sum(1) == pytest.approx(1)
    visited = np.bincount(of_sample[stage.mixture.stream.order].ravel(), minlength=len(names))
    assert course[-1] == pytest.approx(visited / visited.sum())

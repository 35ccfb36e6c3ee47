"""The cap on repeats: nobody is over it, and the shares above hold as long as anybody below has room."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fullcast.mixture.caps import capped, fill, water_level
from fullcast.mixture.config import MixtureConfig, Shares, seed_shares
from fullcast.mixture.plan import ledger, picture_indices, plan
from fullcast.mixture.shares import resolve
from fullcast.records import Sample
from fullcast.store.errors import FullcastError
from tests.mixture.show import SHOW, sample


def test_water_level_is_the_nearest_split() -> None:
    """Wanted 0.6, 0.2, 0.2 with room for 0.3 in the first: the others share the rest alike; no room: all of it."""
    assert water_level(np.array([0.6, 0.2, 0.2]), np.array([0.3, 1, 1]), 1.0) == pytest.approx([0.3, 0.35, 0.35])
    assert water_level(np.array([0.6, 0.2, 0.0]), np.array([0.3, 0.1, 9]), 1.0) == pytest.approx([0.3, 0.1, 0])
    assert water_level(np.array([0.5, 0.3, 0.2]), np.array([0.4, 0.31, 1]), 1.0) == pytest.approx([0.4, 0.31, 0.29])
    assert water_level(np.array([0.5, 0.5]), np.array([1, 1]), 1.0) == pytest.approx([0.5, 0.5])


def test_what_a_branch_cannot_hold_stays_with_its_siblings() -> None:
    """4 fan arts hold 0.04 of 0.2: it goes to the other sources in proportion; where nobody is over, nothing moves."""
    resolved, pictures = resolve(SHOW, seed_shares()), picture_indices(SHOW)
    filled, costs = fill(resolved, pictures, 0.05)
    assert np.bincount(pictures, filled.weights).max() <= 0.05 + 1e-12
    assert filled.weights.sum() == pytest.approx(1)
    top = {path: share for path, share in filled.branch_shares().items() if len(path) == 1}
    assert top == pytest.approx(
        {("source=screenshots",): 0.3, ("source=fanart",): 0.2, ("source=regularization",): 0.5}
    )
    assert not costs, "nothing is over 0.05"
    filled, costs = fill(resolved, pictures, 0.01)
    assert np.bincount(pictures, filled.weights).max() <= 0.01 + 1e-12
    shares = filled.branch_shares()
    assert shares["source=fanart",] == pytest.approx(0.04), "4 pictures"
    assert shares["source=screenshots",] == pytest.approx(0.3 / 0.8 * 0.96)
    assert {cost.path[0] for cost in costs} >= {"source=fanart"}
    fanart = next(cost for cost in costs if cost.path[0] == "source=fanart")
    assert fanart.needed == pytest.approx(0.05) and fanart.kept_within == ()
    assert "4 pictures at 10 visits each hold 4.00% of the 20.00%" in fanart.sentence(1000, 10)


def test_all_crops_of_a_picture_share_its_cap() -> None:
    crops = [sample(f"crop{i}", "screenshots", "aoi", image="big") for i in range(9)]
    samples = [
        *crops,
        sample("small", "screenshots", "aoi"),
        *(sample(f"h{i}", "screenshots", "hinata") for i in range(9)),
    ]
    filled, _ = fill(resolve(samples, Shares(by="character")), picture_indices(samples), 0.2)
    assert filled.weights[:9].sum() == pytest.approx(0.2) and filled.weights[9] == pytest.approx(0.2)
    assert filled.branch_shares()["character=hinata",] == pytest.approx(0.6)


def of_crops(alone: int) -> list[Sample]:
    """30 pictures of 6 crops each in one bucket, and ``alone`` pictures of another shape."""
    crops = [sample(f"p{i}/{k}", "screenshots", "aoi", image=f"p{i}") for i in range(30) for k in range(6)]
    return [*crops, *(replace(sample(f"tall{i}", "screenshots", "aoi"), crop=(0, 0, 300, 500)) for i in range(alone))]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("max_repeats", "num_steps"), [(2, 7), (4, 14), (3, 10)])
def test_crops_of_a_picture_share_its_visits(max_repeats: int, num_steps: int, seed: int) -> None:
    """Each crop within a visit of its part would let a picture of six come six times too often."""
    config = MixtureConfig(shares=Shares(by="source"), max_repeats=max_repeats, num_steps=num_steps)
    planned = plan(of_crops(0), config, seed)
    visits = np.bincount(picture_indices(planned.samples), planned.stream.counts())
    assert visits.sum() == 8 * num_steps and visits.max() <= max_repeats and not planned.notes
    lag = np.abs(planned.stream.counts() - 8 * num_steps * planned.stream.weights)
    assert (lag < planned.stream.bounds()).all(), "each crop keeps its own bound"


def test_pictures_above_the_cap_are_told() -> None:
    """One sample alone in its bucket takes a whole batch of 8."""
    config = MixtureConfig(shares=Shares(by="source"), max_repeats=3, num_steps=10)
    planned = plan(of_crops(1), config, seed=3)
    assert planned.stream.counts()[-1] == 8
    (note,) = planned.notes
    assert note.startswith("max_repeats 3: 1 of the 31 pictures seen come more often, up to 8 times")


def test_pictures_of_two_branches_are_shared_until_the_whole_is_full() -> None:
    """Every pair of six characters, at a cap that leaves no slack but 10 %: full, and nobody over it."""
    names = "abcdef"
    samples = [sample(f"{a}{b}", "screenshots", a, b) for a in names for b in names if a < b] * 1
    samples.append(sample("solo", "screenshots", "a"))
    tree = Shares(by="character", share={name: 3.0**i for i, name in enumerate(names)})
    filled, costs = fill(resolve(samples, tree), picture_indices(samples), 1.1 / len(samples))
    assert filled.weights.sum() == pytest.approx(1) and filled.weights.max() <= 1.1 / len(samples) + 1e-9
    assert costs[0].path == ("character=f",)
    with pytest.raises(FullcastError, match="max_repeats is too low: 16 pictures"):
        fill(resolve(samples, tree), picture_indices(samples), 0.9 / len(samples))


@pytest.mark.parametrize("weigh_by", ["sample", "loss", "split"])
def test_the_weighted_sum_of_losses_is_the_same_whatever_weighs(weigh_by: str) -> None:
    """A loss of 1 on fan art alone has the mean 0.2, its target, in all three; loss weights average 1."""
    config = MixtureConfig(weigh_by=weigh_by, num_steps=2000, area_px=15360, crops={"sources": ()})
    planned = plan(SHOW, config, 1)
    visits = planned.stream.counts()
    told = [v.loss_weight for step in range(0, 2000) for v in planned.stream.batch(step).visits]
    assert np.mean(told) == pytest.approx(1, abs=0.01)
    shares = ledger(planned).shares
    assert shares["source=fanart",] == pytest.approx(0.2, abs=0.005)
    fanart = visits[[s.source == "fanart" for s in SHOW]].sum() / visits.sum()
    expected = {"sample": 0.2, "loss": 4 / 252}.get(weigh_by)
    assert expected is None or fanart == pytest.approx(expected, abs=0.003)
    assert weigh_by != "split" or 4 / 252 < fanart < 0.2
    spread = max(told) / min(told)
    assert (spread == 1) == (weigh_by == "sample")


def test_loss_weights_make_up_for_a_cap() -> None:
    config = MixtureConfig(weigh_by="split", max_repeats=40, num_steps=400, area_px=15360, crops={"sources": ()})
    planned = plan(SHOW, config, 1)
    assert planned.stream.counts().max() <= 41
    assert ledger(planned).shares["source=fanart",] == pytest.approx(0.2, abs=0.01)
    assert capped(np.array([0.6, 0.2, 0.2]), np.arange(3), 0.4) == pytest.approx([0.4, 0.3, 0.3])

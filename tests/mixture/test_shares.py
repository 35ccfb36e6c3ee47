"""The tree of shares: what was asked for is what the weights add up to."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from fullcast.mixture.config import MixtureConfig, Shares, bounds, seed_shares
from fullcast.mixture.shares import effective_sample_size, field_values, resolve
from fullcast.store.errors import FullcastError
from tests.mixture.show import SHOW, sample


def test_the_seeds_shares_by_source() -> None:
    resolved = resolve(SHOW, seed_shares())
    shares = resolved.branch_shares()
    assert resolved.weights.sum() == pytest.approx(1, abs=1e-12)
    for source, share in {"screenshots": 0.3, "fanart": 0.2, "regularization": 0.5}.items():
        assert shares[(f"source={source}",)] == pytest.approx(share, abs=1e-12)
        of_source = [s.source == source for s in SHOW]
        assert resolved.weights[of_source].sum() == pytest.approx(share, abs=1e-12)
    # 0 : 1 : 2 people at 0.5 : 1.5 : 1.0 of 0.3, and inside one person aoi and hinata alike though 30 to 10.
    assert shares[("source=screenshots", "num_people=1")] == pytest.approx(0.15)
    assert shares[("source=screenshots", "num_people=1", "character=hinata")] == pytest.approx(0.075)
    assert resolved.weights[0] == pytest.approx(0.075 / 30)


def test_a_picture_of_two_stands_in_both_branches() -> None:
    """Pictures: 30 of aoi, 10 of hinata, 5 of both. Each name has half: a picture of both gets 0.5/35 + 0.5/15."""
    pictures = [s for s in SHOW if s.source == "screenshots" and s.people]
    resolved = resolve(pictures, Shares(by="character"))
    assert resolved.weights[0] == pytest.approx(0.5 / 35)
    assert resolved.weights[-1] == pytest.approx(0.5 / 35 + 0.5 / 15)
    visits = resolved.weights * 1000
    assert resolved.branch_shares(visits)[("character=aoi",)] == pytest.approx(0.5)


def test_an_empty_branch_goes_to_its_siblings_and_that_is_said() -> None:
    without = [s for s in SHOW if s.source != "fanart"]
    resolved = resolve(without, seed_shares())
    shares = resolved.branch_shares()
    assert shares[("source=screenshots",)] == pytest.approx(0.3 / 0.8)
    assert shares[("source=regularization",)] == pytest.approx(0.5 / 0.8)
    assert any("source=fanart" in note and "20.00%" in note for note in resolved.notes)
    assert resolved.asked_shares()[("source=fanart",)] == pytest.approx(0.2)


def test_zero_and_unlisted_branches_are_never_seen_and_that_is_said() -> None:
    tree = Shares(by="source", share={"screenshots": 1, "regularization": 0}, otherwise=0)
    resolved = resolve(SHOW, tree)
    assert {s.source for s, w in zip(SHOW, resolved.weights, strict=True) if w > 0} == {"screenshots"}
    assert sum("never seen" in note for note in resolved.notes) == 2


def test_never_is_never_also_beside_others_and_the_note_counts_who_is_not_seen() -> None:
    pictures = [s for s in SHOW if s.source == "screenshots"]
    resolved = resolve(pictures, Shares(by="character", share={"hinata": 0}))
    seen = [s for s, w in zip(pictures, resolved.weights, strict=True) if w > 0]
    assert len(seen) == 33 and not any(p.character == "hinata" for s in seen for p in s.people)
    assert any("character=hinata: 15 samples are never seen" in note for note in resolved.notes)
    unlisted = resolve(pictures, Shares(by="character", share={"aoi": 1}, otherwise=0))
    assert sum(unlisted.weights > 0) == 35, "who is not listed may stand beside who is"
    assert any("character=hinata: 10 samples are never seen" in note for note in unlisted.notes)


def test_ranges_of_numbers() -> None:
    assert bounds("num_people", "2-3") == (2, 4)
    assert bounds("head_height", "0.25-0.5") == (0.25, 0.5)
    tree = Shares(by="num_people", share={"0": 0, "1": 1, "2+": 3})
    resolved = resolve(SHOW, tree)
    assert resolved.branch_shares()[("num_people=2+",)] == pytest.approx(0.75)
    with pytest.raises(ValidationError, match="overlap"):
        Shares(by="num_people", share={"1-3": 1, "2+": 1})
    with pytest.raises(ValidationError, match="write a number"):
        Shares(by="num_people", share={"many": 1})


def test_a_crop_is_no_second_original() -> None:
    """One picture with nine crops of it and one without: alike when originals count, nine to one when samples do."""
    samples = [
        sample("plain", "screenshots", "aoi"),
        *(sample(f"crop{i}", "screenshots", "aoi", image="big") for i in range(9)),
    ]
    tree = Shares(by="character")
    assert resolve(samples, tree).weights[0] == pytest.approx(0.5)
    assert resolve(samples, tree, "samples").weights[0] == pytest.approx(0.1)


def test_values_of_every_field() -> None:
    both = sample("b", "screenshots", "hinata", "aoi", form="down")
    assert field_values(both, "cast") == ("aoi+hinata",)
    assert field_values(both, "name") == ("hinata/down", "aoi/down")
    assert field_values(both, "form") == ("down",)
    assert field_values(both, "cell") == ("0,0", "1,0")
    assert field_values(both, "num_people") == ("2",)
    assert field_values(sample("u", "fanart", "unknown"), "character") == ("unknown",)
    assert field_values(sample("u", "fanart", "unknown", "aoi"), "character") == ("aoi",)
    assert field_values(sample("n", "fanart"), "character") == ("nobody",)


def test_forms_below_a_character_are_that_characters() -> None:
    """Aoi (plain) beside Hinata (hair down): below Aoi there is no hair down."""
    from dataclasses import replace

    both = sample("both", "screenshots", "aoi", "hinata")
    both = replace(both, people=(both.people[0], replace(both.people[1], form="down")))
    tree = Shares(by="character", children={"*": Shares(by="form", children={"*": Shares(by="cell")})})
    paths = {leaf.path for leaf in resolve([both, sample("one", "screenshots", "aoi")], tree).leaves}
    assert paths == {
        ("character=aoi", "form=plain", "cell=0,0"),
        ("character=hinata", "form=down", "cell=1,0"),
    }


def test_effective_sample_size() -> None:
    assert effective_sample_size(np.ones(40)) == pytest.approx(40)
    assert effective_sample_size(np.array([1.0, 0, 0])) == pytest.approx(1)


def test_wrong_settings_are_said() -> None:
    with pytest.raises(ValidationError, match="cannot be split by 'sauce'; fields are"):
        Shares(by="sauce")
    with pytest.raises(ValidationError, match="must be 0 or more"):
        Shares(by="source", share={"fanart": -1})
    with pytest.raises(ValidationError, match="write the lower end first"):
        Shares(by="num_people", share={"3-2": 1})
    with pytest.raises(FullcastError, match="gives no sample any weight"):
        resolve(SHOW, Shares(by="source", share={"composite": 1}, otherwise=0))
    assert MixtureConfig.model_validate(MixtureConfig().model_dump()) == MixtureConfig()

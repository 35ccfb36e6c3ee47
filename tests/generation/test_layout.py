"""Places for whoever has none: in the asked order, apart, drawn by the seed, around where the show has its heads."""

from fullcast.generation.layout import with_places
from fullcast.recognition.words import left_to_right
from fullcast.records import UNKNOWN, Cast, Placement, Scene

LAYOUT = {"x/2/0": 0.31, "x/2/1": 0.69, "head_y/2": 0.3, "x/1/0": 0.9, "head_y/1": 0.7}
CAST = Cast("show", (), layout=LAYOUT)


def asked(count: int, **given: Placement) -> Scene:
    return Scene("s", "park", tuple(given.get(f"p{i}", Placement(f"c{i}")) for i in range(count)))


def test_everybody_gets_a_column_of_his_own_in_the_asked_order():
    for count in range(1, 6):
        for seed in range(20):
            cells = [p.cell for p in with_places(asked(count), CAST, seed).people]
            columns = [cell[0] for cell in cells]
            assert columns == sorted(set(columns)) and all(0 <= c <= 4 and 0 <= r <= 4 for c, r in cells)


def test_places_follow_the_show_and_the_seed():
    twos = [tuple(p.cell for p in with_places(asked(2), CAST, seed).people) for seed in range(60)]
    assert twos == [tuple(p.cell for p in with_places(asked(2), CAST, seed).people) for seed in range(60)]
    assert len(set(twos)) > 5
    firsts = [cells[0][0] for cells in twos]
    assert max(set(firsts), key=firsts.count) == 1 and set(firsts) <= {0, 1, 2}
    alone = [with_places(asked(1), CAST, seed).people[0].cell for seed in range(60)]
    assert sum(c >= 3 for c, _ in alone) > 50 and sum(r == 3 for _, r in alone) > 30


def test_given_places_stay_and_others_stand_around_them():
    given = Placement("mio", cell=(2, 4))
    for seed in range(10):
        scene = with_places(asked(3, p1=given), CAST, seed)
        assert scene.people[1] == given
        assert len({p.cell[0] for p in scene.people}) == 3
        assert [p.character for p in left_to_right(scene.people)] == ["c0", "mio", "c2"]
    boxed = asked(2, p0=Placement("aoi", box=(0.0, 0.0, 0.4, 1.0)), p1=Placement("mio", cell=(4, 1)))
    assert with_places(boxed, CAST, 0) == boxed
    assert with_places(asked(0), CAST, 0) == asked(0)


def test_more_people_than_columns_are_placed_all_the_same():
    cells = [p.cell for p in with_places(asked(7), CAST, 3).people]
    assert all(cell is not None for cell in cells) and [c for c, _ in cells] == sorted(c for c, _ in cells)


def test_people_who_are_alike_get_places_of_their_own():
    """One object for all extras, as `scene_from_prompt` and callers may give it."""
    somebody = Placement(UNKNOWN)
    scene = Scene("s", "4 people, park", (Placement("aoi"), somebody, somebody, somebody))
    for seed in range(5):
        columns = [p.cell[0] for p in with_places(scene, CAST, seed).people]
        assert columns == sorted(set(columns))

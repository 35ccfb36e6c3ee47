"""Measures as tables of text: what the page, the card and the command line show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fullcast.judging.comparison import ALPHA, Comparison, Difference
from fullcast.judging.contrast import Contrast
from fullcast.judging.fidelity import Distance
from fullcast.judging.likeness import Likeness
from fullcast.judging.measures import Error, Measures
from fullcast.judging.memorisation import Memorisation
from fullcast.judging.report_data import Table
from fullcast.judging.statistics import Estimate

LEAST_FIGURES = 10
"""Below it resamples of a difference are a handful of values, and what lies between them says nothing."""


def measure_tables(measures: Mapping[str, Measures]) -> list[Table]:
    """One table for each question, a row for each series (or for each series and number of people)."""
    tables = [_per_person(measures), _counting(measures), _names(measures), _bleeding(measures)]
    makers = (_novelty, _places, _pairs, _sizes, _compared, _corrected)
    return [table for table in (*tables, *(make(measures) for make in makers)) if table is not None]


def comparison_table(comparison: Comparison) -> Table:
    """B against A, by number of people and for the endpoint."""
    rows = [_difference_row(str(d.num_people[0]), d, d.p_holm) for d in comparison.by_count]
    if comparison.endpoint is not None:
        end = comparison.endpoint
        numbers = ", ".join(map(str, end.num_people))
        rows.append(_difference_row(f"mean of {numbers}", end, end.p))
    noise = "the same noise" if comparison.same_noise else "noise that is not known to be the same"
    left = f" {comparison.unpaired} pictures have no partner and are left out." if comparison.unpaired else ""
    note = (
        f"Pairs of one scene and {noise}; the scene is the unit, with its swapped one. p: exact McNemar, or scenes' "
        "signs turned at random; "
        f"adjusted over the numbers of people (Holm). The mean is the endpoint that was named beforehand.{left}"
    )
    head = ("people asked for", "first", "second", "second - first", "p", "said")
    return Table(f"{comparison.b} against {comparison.a}", head, tuple(rows), note)


def fidelity_table(alike: Likeness) -> Table | None:
    rows = []
    for name in dict.fromkeys((*alike.kid, *alike.spread)):
        cells = [_distance(found[name]) if name in found else "–" for found in (alike.kid, alike.mmd)]
        rows.append((name, *cells, _spread(alike, name)))
    if not rows:
        return None
    note = (
        f"Features: {alike.features}, over the whole picture. KID and MMD: in brackets what two halves of the true "
        "pictures give (97.5 % of draws): below it nothing can be told from truth. Diversity: mean distance within a "
        "prompt, and how many different pictures its pictures are (RKE); in brackets as many true pictures of one "
        "episode. None of it says who is in the picture."
    )
    head = ("series", "KID", "MMD x 1000", "diversity")
    return Table("How far from true pictures", head, tuple(rows), note)


def memorisation_table(found: Mapping[str, Memorisation]) -> Table | None:
    if not found:
        return None
    rows = []
    for name, m in found.items():
        most = f"{m.attractors[0][0]} ({m.attractors[0][1]} times)" if m.attractors else "–"
        ratio = f"{_figure(m.ratio)} ({_figure(m.true_ratio)})"
        rows.append((name, _share(m.copied), ratio, most))
    first = next(iter(found.values()))
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in first.by_kind.items() if kind)
    note = (
        f"Compared with {first.num_training:,} training pictures{f' ({kinds})' if kinds else ''}. Copied: nearer to "
        "one, in features and in pixels, than 95 % of its kind are to any of another episode; true pictures would have "
        "5 % at most. Ratio: distance to the nearest over that to the next 50, median; in brackets training pictures'. "
        "A copy of a figure before another background is not found."
    )
    return Table("Are training pictures drawn again", ("series", "copied", "ratio", "draws most"), tuple(rows), note)


def best_of_table(found: Mapping[str, Mapping[tuple[int, int], Estimate]], scorer: str) -> Table | None:
    """``found``: series -> (people, k) -> S_N@k."""
    ks = sorted({k for rows in found.values() for _, k in rows})
    rows = [
        (f"{name}, {n}", *(_share(cells[n, k]) if (n, k) in cells else "–" for k in ks))
        for name, cells in found.items()
        for n in sorted({n for n, _ in cells})
    ]
    note = f"Picked by {scorer}; judged by the judge. A scorer that errs as the judge does would make this look better."
    return Table("Best of k", ("series, people", *(f"k = {k}" for k in ks)), tuple(rows), note) if rows else None


def error_table(errors: Mapping[int, Error]) -> Table | None:
    if not errors:
        return None
    rows = tuple(
        (str(n), f"{_figure(e.sensitivity, '.3f')} ({e.num_right})", f"{_figure(e.specificity, '.3f')} ({e.num_wrong})")
        for n, e in sorted(errors.items())
    )
    note = (
        "On pictures known to be right, and on the same with a request made wrong: another name, one person more, one "
        "less. In brackets how many. Corrected figures use these."
    )
    return Table("The judge's own errors", ("people", "right called right", "wrong called wrong"), rows, note)


def _per_person(measures: Mapping[str, Measures]) -> Table:
    numbers = _numbers(measures)
    rows = []
    for name, m in measures.items():
        by = {c.num_people: c.p_eff for c in m.summary.by_count}
        rows.append((name, *(_figure(by[n]) if n in by else "–" for n in numbers), _figure(m.summary.auc)))
    note = (
        "S_N to the power 1/N: success per person if people failed independently. Flat: the fall of S_N is only "
        "compounding. Falling: crowding or bleeding. Last column: mean of S_N."
    )
    return Table("Success per person", ("series", *map(str, numbers), "mean S_N"), tuple(rows), note)


def _counting(measures: Mapping[str, Measures]) -> Table:
    rows = [
        (
            f"{name}, {c.num_people}",
            _share(c.count_accuracy),
            _figure(c.count_bias, "+.2f"),
            _figure(c.count_mae),
            _figure(c.occm, ".0f"),
        )
        for name, m in measures.items()
        for c in m.summary.by_count
    ]
    note = "Bias: found less asked. OCCM: 100 exp(-|found - asked| / asked), mean. Says nothing of who they are."
    return Table("Counting people", ("series, people", "right number", "bias", "error", "OCCM"), tuple(rows), note)


def _names(measures: Mapping[str, Measures]) -> Table:
    rows = [
        (f"{name}, {c.num_people}", _share(c.id_recall), _share(c.id_precision), _figure(c.id_f1))
        for name, m in measures.items()
        for c in m.summary.by_count
    ]
    note = (
        "Recall: people asked for who are there. Precision: figures who were asked for, 0 where nobody was found. "
        "Intervals: the scene is the unit, for people of one picture fail together."
    )
    return Table("Who is there", ("series, people", "recall", "precision", "F1"), tuple(rows), note)


def _bleeding(measures: Mapping[str, Measures]) -> Table:
    rows = []
    for name, m in measures.items():
        leak = m.leakage.leak if m.leakage else None
        read = _share(m.leakage.right) if m.leakage else "–"
        rows.append((name, *_contrast(m.bleeding.lift), *_contrast(leak), read, _share(m.bleeding.hybrids)))
    note = (
        "Identity: how much more often somebody is taken for another character when that one is in the prompt too; "
        "hair: the same for hair colour. Above 0 is bleeding; around 0 with many mistakes is weak identity. Hybrids: "
        "figures nearest to two who were asked for. Pictures of two people and more. No interval: fewer than "
        f"{LEAST_FIGURES} figures, or all resamples alike."
    )
    head = ("series", "identity", "with / without", "hair colour", "with / without", "read right", "hybrids")
    return Table("Does one leak into another", head, tuple(rows), note)


def _novelty(measures: Mapping[str, Measures]) -> Table | None:
    kinds = ("seen", "moved", "new")
    rows = []
    for name, m in measures.items():
        for by in m.novelty:
            told = (f"{_share(by.success[k])}, {by.scenes[k]}" if k in by.scenes else "–" for k in kinds)
            rows.append((f"{name}, {by.num_people}", *told))
    note = (
        "S_N and scenes. Seen: the training's plan shows these people together, and where places were asked for each "
        "in that cell; moved: these people together, never all in those cells; new: never these people together. What "
        "was seen may be remembered: the figures to publish are those of moved and new ones."
    )
    head = ("series, people", "seen", "moved", "new")
    return Table("Compositions that were trained on", head, tuple(rows), note) if rows else None


def _places(measures: Mapping[str, Measures]) -> Table | None:
    rows = [
        (
            name,
            f"{_share(p.exact_cell)}, {_figure(p.exact_cell_chance)}",
            f"{_share(p.near_cell)}, {_figure(p.near_cell_chance)}",
            _share(p.lift, "+.2f"),
            _share(p.pair_order),
            _figure(p.distance, ".3f"),
        )
        for name, m in measures.items()
        if (p := m.summary.places) is not None
    ]
    note = (
        "Of people who are there. Behind the comma chance: the same pictures scored against all other scenes' places "
        "for as many people, which is what standing in the middle would give; lift is what is left. A dash: no scene "
        "has another one. Order: pairs that stand left and right as asked (0.5 by chance). Where places were not asked "
        "for, this is chance too."
    )
    head = ("series", "exact cell, chance", "one cell away, chance", "lift", "order", "distance")
    return Table("Places", head, tuple(rows), note) if rows else None


def _pairs(measures: Mapping[str, Measures]) -> Table | None:
    rows = [
        (name, _share(m.pairs.passed), _share(m.pairs.decided), _share(m.pairs.passed_if_decided))
        for name, m in measures.items()
        if m.pairs is not None
    ]
    note = (
        "The same noise twice, two people changing places. Passed: everybody right and in place both times. Intervals: "
        "the scene is the unit."
    )
    head = ("series", "passed", "decided", "passed of the decided")
    return Table("Counterfactual pairs", head, tuple(rows), note) if rows else None


def _sizes(measures: Mapping[str, Measures]) -> Table | None:
    rows = []
    for name, m in measures.items():
        for b in m.sizes:
            high = "" if b.high_px == float("inf") else f"{b.high_px:.0f}"
            told = f"{b.low_px:.0f} to {high}" if high else f"{b.low_px:.0f} and more"
            rows.append((f"{name}, {told} px", _share(b.named), str(b.named.n), _share(b.scenes), str(b.scenes.n)))
    note = "Head height in pixels of the judged picture. Small heads are hard for the judge too: see its own errors."
    head = ("series, head", "figures asked for", "figures", "scenes right (smallest head)", "pictures")
    return Table("By size of heads", head, tuple(rows), note) if rows else None


def _compared(measures: Mapping[str, Measures]) -> Table | None:
    numbers = _numbers(measures)
    rows = [
        (name, *(_figure(m.detect_and_compare[n]) if n in m.detect_and_compare else "–" for n in numbers))
        for name, m in measures.items()
        if m.detect_and_compare
    ]
    note = (
        "MuDI's Detect-and-Compare with the judge's embedder: 1 is like the references, 0 another number of figures. "
        "Its norm grows with the number of people: compare down a column, not along a row, and not with the paper."
    )
    return Table("Detect-and-Compare", ("series", *map(str, numbers)), tuple(rows), note) if rows else None


def _corrected(measures: Mapping[str, Measures]) -> Table | None:
    numbers = _numbers(measures)
    rows = [
        (name, *(_beside_raw(m, n) if n in m.corrected else "–" for n in numbers))
        for name, m in measures.items()
        if m.corrected
    ]
    note = (
        "S_N raw → as it would be if the judge made no errors (Rogan and Gladen), from its own errors below; they are "
        "taken as exact, so the intervals are too narrow. A dash: the judge is no better than a coin there."
    )
    return Table("Corrected success", ("series", *map(str, numbers)), tuple(rows), note) if rows else None


def _beside_raw(measures: Measures, num_people: int) -> str:
    [raw] = [c.success.value for c in measures.summary.by_count if c.num_people == num_people]
    return f"{raw:.2f} → {_share(measures.corrected[num_people])}"


def _difference_row(title: str, d: Difference, p: float) -> tuple[str, ...]:
    apart = "–" if p != p else "better" if d.difference.value > 0 else "worse"
    said = apart if p == p and p < ALPHA else "cannot be told"
    change = f"{d.difference.value:+.2f} ({d.difference.low:+.2f} to {d.difference.high:+.2f}, {d.num_pairs} pairs)"
    return title, f"{d.a:.2f}", f"{d.b:.2f}", change, _p(p), said


def _p(p: float) -> str:
    return "–" if p != p else "< 0.001" if p < 0.001 else f"{p:.3f}"


def _numbers(measures: Mapping[str, Measures]) -> list[int]:
    return sorted({c.num_people for m in measures.values() for c in m.summary.by_count})


def _figure(value: float, form: str = ".2f") -> str:
    """A dash for what has no value: nobody was there to be counted."""
    return "–" if value != value else f"{value:{form}}"


def _share(e: Estimate, form: str = ".2f") -> str:
    return "–" if e.value != e.value else f"{e.value:{form}} ({e.low:{form}} to {e.high:{form}})"


def _contrast(found: Contrast | None) -> tuple[str, str]:
    """The difference with its interval, where there is enough for one, and the two shares."""
    if found is None or found.difference.value != found.difference.value:
        return "–", "–"
    d = found.difference
    told = f" ({d.low:+.3f} to {d.high:+.3f})" if d.n >= LEAST_FIGURES and d.low < d.high else ""
    return f"{d.value:+.3f}{told}", f"{found.exposed:.3f} / {found.unexposed:.3f}"


def _spread(alike: Likeness, name: str) -> str:
    """Such as "0.412; 2.3 of 4 (0.520; 3.1)"."""
    found = alike.spread.get(name)
    if found is None:
        return "one picture a prompt"
    true = alike.true_spread.get(found.group_size)
    beside = f" ({true.distance:.3f}; {true.modes:.1f})" if true else ""
    return f"{found.distance:.3f}; {found.modes:.1f} of {found.group_size}{beside}"


def _distance(d: Distance) -> str:
    return f"{d.value:.4f} ({d.floor_high:.4f}, {d.num_pictures} pictures)"


def as_markdown(tables: Sequence[Table]) -> str:
    """Each with its title and its note."""
    return "\n\n".join(f"### {table.title}\n\n{_grid(table)}\n\n{table.note}".rstrip() for table in tables)


def _grid(table: Table) -> str:
    lines = [table.head, ("---",) * len(table.head), *table.rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)

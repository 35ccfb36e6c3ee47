"""A small show with invented figures, for tests of the page and for looking at it: ``python tests/judging/sample.py``.

Nothing in it was measured. Pictures are flat shapes, one colour a character, so that tests need no model.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from fullcast.judging.benchmark import make_scenes
from fullcast.judging.exhibits import count_table, failure_groups, galleries, identity_table, series
from fullcast.judging.report_data import (
    CastForm,
    CastMember,
    Command,
    Counted,
    Curve,
    Fact,
    Label,
    Material,
    MixtureShown,
    Repair,
    ReportData,
    Share,
    Shown,
    TrainingShown,
)
from fullcast.judging.summary import summarize
from fullcast.judging.verdict import judge_picture
from fullcast.records import Cast, Character, Form, Found, Scene, Verdict
from fullcast.store.pictures import write_png

NAMES = ("aoi", "hinata", "mio", "rin", "kaede", "sora", "yuki", "nao")
COLORS = {name: tuple(int(v) for v in np.random.default_rng(i).integers(40, 230, 3)) for i, name in enumerate(NAMES)}
CAST = Cast(
    "Pocket Show 7",
    tuple(
        Character(n, n, (Form(""), Form("hairdown", "hairdown")) if n in ("aoi", "hinata") else (Form(""),))
        for n in NAMES
    ),
)
WIDTH, HEIGHT = 160, 96
SETTINGS = ("park", "street", "classroom", "beach")


def draw(path: Path, people: list[tuple[str, float]], width: int = WIDTH, height: int = HEIGHT) -> None:
    """Flat figures (a head and a body in their colour) with heads at the given shares of the width."""
    image = np.full((height, width, 3), (186, 214, 235), np.uint8)
    image[int(0.7 * height) :] = (132, 176, 110)
    for name, x in people:
        cx, w = int(x * width), max(3, height // 9)
        image[int(0.45 * height) :, max(0, cx - w) : cx + w] = COLORS[name]
        image[int(0.22 * height) : int(0.45 * height), max(0, cx - w // 2) : cx + w // 2 + 1] = (240, 214, 190)
        image[int(0.18 * height) : int(0.27 * height), max(0, cx - w // 2 - 1) : cx + w // 2 + 2] = COLORS[name]
    write_png(path, image)


def found(name: str, x: float) -> Found:
    cx, w = x * WIDTH, HEIGHT / 9
    scores = tuple(0.86 if other == name else 0.31 for other in NAMES)
    head = (cx - w / 2 - 1, 0.18 * HEIGHT, cx + w / 2 + 2, 0.45 * HEIGHT)
    return Found((cx - w, 0.18 * HEIGHT, cx + w, HEIGHT), head, 0.9, name, "", 0.86, 0.5, scores=scores)


def judged(
    root: Path, skill: float, seed: int, per_count: int = 16
) -> tuple[list[Verdict], list[Scene], dict[str, str]]:
    """Pictures in which each person asked for is right with chance ``skill``, else another one, or absent."""
    generator = np.random.default_rng(seed)
    scenes = [s for s in make_scenes(CAST, per_count, seed, SETTINGS)]
    scenes = [Scene(s.id, s.prompt, tuple(type(p)(p.character, "", p.cell) for p in s.people)) for s in scenes]
    verdicts, paths = [], {}
    for scene in scenes:
        people = []
        for placement in scene.people:
            x = (placement.cell[0] + 0.5) / 5
            if generator.random() < skill:
                people.append((placement.character, x))
            elif generator.random() < 0.7:
                people.append((str(generator.choice(NAMES)), x))
        path = f"{seed}-{scene.id}.png"
        draw(root / path, people)
        paths[path] = path
        figures = [found(name, x) for name, x in people]
        verdicts.append(judge_picture(figures, scene, CAST, width=WIDTH, height=HEIGHT, picture_id=path))
    return verdicts, scenes, paths


def sample_report(root: Path) -> ReportData:
    """Report data over pictures written to ``root``."""
    verdicts, scenes, paths = judged(root, 0.93, 1)
    base, base_scenes, _ = judged(root, 0.1, 2)
    summary, base_summary = summarize(verdicts, scenes, CAST), summarize(base, base_scenes, CAST)
    for name in NAMES:
        for i in range(3):
            draw(root / f"{name}-{i}.png", [(name, 0.5)], 96, 96)
    for i in range(4):
        draw(root / f"frame-{i}.png", [(NAMES[i], 0.3), (NAMES[i + 1], 0.7)], 640, 360)
    labels = (Label((160, 60, 230, 360), "aoi", "good"), Label((400, 60, 480, 360), "?", "unknown"))
    steps = tuple(range(0, 4001, 4))
    noise = np.random.default_rng(0).normal(0, 0.05, len(steps))
    loss = tuple(float(0.25 + 0.75 * math.exp(-s / 900) + e) for s, e in zip(steps, noise, strict=True))
    probe_steps = tuple(range(0, 4001, 250))

    def probe(name: str, start: float, end: float) -> Curve:
        return Curve(name, probe_steps, tuple(end + (start - end) * math.exp(-s / 900) for s in probe_steps))

    forms = {c.name: c.forms for c in CAST.characters}
    return ReportData(
        show=CAST.show,
        made="22 November 2026",
        facts=(Fact("Version", "0.1.0"), Fact("Machine", "2 cores, no GPU"), Fact("Whole run", "13 min 40 s")),
        cast=tuple(
            CastMember(
                name,
                name,
                tuple(
                    CastForm(f.name, f.trigger_word, tuple(f"{name}-{i}.png" for i in range(3)), 212)
                    for f in forms[name]
                ),
            )
            for name in NAMES
        ),
        material=Material(
            facts=(Fact("Episodes", "2 (2 min 6 s)"), Fact("Frames decoded", "3,024"), Fact("Shots", "38")),
            funnel=(
                Counted("Frames decoded", 3024),
                Counted("Sharp, one of each drawing", 482),
                Counted("Without duplicates", 391),
                Counted("With people known by name", 337),
            ),
            drops=(Counted("same drawing as another", 2542), Counted("near-duplicate", 91), Counted("title card", 24)),
            frames=tuple(Shown(f"frame-{i}.png", f"episode 1, 0:{14 + 9 * i}", labels) for i in range(4)),
        ),
        mixture=MixtureShown(
            shares=(
                Share("screenshots", 0.3, 0.301, 0, 611),
                Share("1 person", 0.12, 0.121, 1, 402),
                Share("2 people and more", 0.18, 0.18, 1, 209),
                Share("fan art", 0.2, 0.198, 0, 96),
                Share("regularization", 0.5, 0.501, 0, 900),
            ),
            facts=(Fact("Samples", "1,607"), Fact("Visits", "64,000"), Fact("Batch", "16")),
            never_seen=12,
        ),
        training=TrainingShown(
            loss=Curve("loss", steps, loss),
            probes=(
                probe("right caption", 1.1, 0.3),
                probe("empty caption", 1.1, 0.83),
                probe("wrong caption", 1.1, 1.6),
            ),
            facts=(Fact("Steps", "4,000"), Fact("Learning rate", "1e-4"), Fact("Caption dropout", "15 %")),
            samples=tuple(Shown(f"1-n3-{i:04d}.png", f"step {1000 * i}") for i in range(5)),
        ),
        galleries=galleries(verdicts, scenes, paths),
        success=(
            series("Prompts only", summary),
            series("With places", summary, "placed", placed=True),
            series("Before training", base_summary, "base"),
        ),
        count_confusion=count_table(summary),
        identity_confusion=identity_table(summary),
        judge="Judged by nobody: sample figures.",
        failures=failure_groups(verdicts, scenes, paths),
        repairs=(Repair(Shown("1-n2-0000.png", "before"), Shown("1-n2-0001.png", "after")),),
        commands=(
            Command("The whole run", "fullcast demo --seed 7"),
            Command("One picture", 'fullcast generate "park"'),
        ),
        licence="Apache-2.0 (sample)",
        base_model="pocket base",
        cost="nothing: invented figures",
    )


if __name__ == "__main__":
    import sys

    from fullcast.judging.report import write_report

    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "/tmp/sample-report")
    folder.mkdir(parents=True, exist_ok=True)
    print(write_report(sample_report(folder), folder / "report.html", folder))

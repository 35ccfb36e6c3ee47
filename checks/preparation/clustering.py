"""Of line 1: 40,000 people of 60 identities clustered, beside exact clustering of 4,000; people per second of naming.

The people: 60 centres drawn at random, six pairs of them near-twins (cosine 0.45), about as far from their people as
the means of a prepared pocket show are, and around each the spread of that show's true heads, resampled. So the
vectors are made, but how a head of one person differs from the next is what the shipped embedder does. Some identities
have forty times as many people as others. Pictures hold one to four people; nobody has a track, which is harder than
a show.

Each size runs in a process of its own: ``python -m checks.preparation.clustering SPREAD.npz 40000`` prints JSON.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from checks.framework import ROOT, Context, Figure, Goal
from checks.shows import ShowFiles, command, must, prepared
from fullcast.audit import video_names
from fullcast.audit.measures import Pair, match_kept
from fullcast.audit.truth import Truth
from fullcast.people.clusters import cluster_people
from fullcast.people.config import PeopleConfig
from fullcast.people.naming import name_people
from fullcast.recognition.castfile import read_cast
from fullcast.recognition.cluster import CUT_OF_THRESHOLD
from fullcast.records import UNKNOWN, Image, Person
from fullcast.store.seeding import rng
from fullcast.store.tables import read_records
from fullcast.store.workspace import Workspace

MANY, FEW, IDENTITIES = 40_000, 4_000, 60
TWINS, TWIN_COSINE = 6, 0.45
THRESHOLD = 0.57
"""Stands for the embedder's own: the middle of what references of the pocket shows gave."""


def figures(context: Context) -> Iterator[Figure]:
    files = prepared(context, context.seeds("preparation clusters", 1)[0])
    spread = context.work_dir / "clusters" / f"spread-{files.seed}.npz"
    spread.parent.mkdir(parents=True, exist_ok=True)
    _write_spread(files, spread)
    many, few, exact = (_run(spread, n, how) for n, how in ((MANY, "ours"), (FEW, "ours"), (FEW, "exact")))
    note = f"{many['clusters']} clusters; precision {many['precision']:.4f}, recall {many['recall']:.4f}"
    yield Figure(f"{MANY} people clustered: B-cubed F1", many["f1"], Goal(">=", 0.95), MANY, note=note)
    yield Figure(f"{MANY} people clustered: seconds", many["wall_s"], Goal("<=", 120), MANY, note=_cpu(many))
    yield Figure(f"{MANY} people clustered: peak memory, GB", many["peak_gb"], Goal("<=", 2), MANY)
    yield Figure(f"{FEW} people: B-cubed F1, ours", few["f1"], None, FEW, note=_cpu(few))
    yield Figure(f"{FEW} people: B-cubed F1, exact average linkage (scipy)", exact["f1"], None, FEW, note=_cpu(exact))
    yield Figure(f"{FEW} people: exact less ours", exact["f1"] - few["f1"], Goal("<=", 0.01), FEW)
    yield from naming_speed(files)


def naming_speed(files: ShowFiles) -> Iterator[Figure]:
    """Tracks and names of the show over and over for a second; tables are read before."""
    workspace = Workspace.open(files.workspace)
    people = read_records(workspace.show_dir / "people.parquet", Person)
    images = read_records(workspace.show_dir / "images.parquet", Image)
    cast = read_cast(workspace.show_dir / "cast.json")
    began, rounds = time.process_time(), 0
    while time.process_time() - began < 1:
        name_people(people, images, cast, PeopleConfig())
        rounds += 1
    rate = rounds * len(people) / (time.process_time() - began)
    yield Figure("tracks and names: people per second of processor time", rate, n=len(people))


def b_cubed(truth: np.ndarray, found: np.ndarray) -> tuple[float, float, float]:
    """Precision, recall and F1 over items (Bagga and Baldwin 1998); truth, found: (N,) labels."""
    _, t = np.unique(truth, return_inverse=True)
    _, f = np.unique(found, return_inverse=True)
    _, cell, sizes = np.unique(t.astype(np.int64) * (f.max() + 1) + f, return_inverse=True, return_counts=True)
    precision = float((sizes[cell] / np.bincount(f)[f]).mean())
    recall = float((sizes[cell] / np.bincount(t)[t]).mean())
    return precision, recall, 2 * precision * recall / (precision + recall)


# --------------------------------------------------------------------------------------------------- the people


def _write_spread(files: ShowFiles, path: Path) -> None:
    """How the heads of one look differ from their mean in a prepared show, and how long such a mean is."""
    groups: dict[str, list[np.ndarray]] = {}
    for pair in _pairs(files):
        if pair.found.embedding is not None and pair.true.character != UNKNOWN:
            groups.setdefault(pair.true.name, []).append(pair.found.embedding)
    stacks = [np.stack(v) for v in groups.values() if len(v) >= 5]
    # n - 1 of n: a mean of few heads lies too near to each of them
    residuals = [(s - s.mean(axis=0)) * np.sqrt(len(s) / (len(s) - 1)) for s in stacks]
    length = float(np.mean([np.linalg.norm(s.mean(axis=0)) for s in stacks]))
    np.savez(path, residuals=np.concatenate(residuals), length=length)


def _pairs(files: ShowFiles) -> tuple[Pair, ...]:
    workspace = Workspace.open(files.workspace)
    images = read_records(workspace.show_dir / "images.parquet", Image)
    people = read_records(workspace.show_dir / "people.parquet", Person)
    return match_kept(images, people, Truth.read(files.truth), video_names(workspace)).pairs


def draw_people(spread: Path, count: int) -> tuple[list[Person], np.ndarray]:
    """(count) people and (count,) their identities; the same for the same spread."""
    with np.load(spread) as stored:
        residuals, length = stored["residuals"], float(stored["length"])
    draws = rng(0, "checks-clusters", str(count))
    dim = residuals.shape[1]
    centres = _unit(draws.normal(size=(IDENTITIES, dim)))
    for k in range(0, 2 * TWINS, 2):
        centres[k + 1] = _unit(TWIN_COSINE * centres[k] + np.sqrt(1 - TWIN_COSINE**2) * centres[k + 1])
    shares = 1 / np.arange(1, IDENTITIES + 1) ** 0.9
    shares /= shares.sum()
    people: list[Person] = []
    truth: list[int] = []
    picture = 0
    while len(people) < count:
        here = draws.choice(IDENTITIES, int(draws.integers(1, 5)), replace=False, p=shares)[: count - len(people)]
        for k, who in enumerate(here):
            two = residuals[draws.integers(0, len(residuals), 2)]  # two halves: more kinds of heads than the show had
            vector = _unit(length * centres[who] + two.sum(axis=0) / np.sqrt(2)).astype(np.float32)
            box = (100.0 + 250 * k, 100.0, 180.0 + 250 * k, 180.0)
            people.append(Person(f"{picture}/{k}", str(picture), box, 0.9, head_xyxy=box, embedding=vector))
            truth.append(int(who))
        picture += 1
    return people, np.array(truth)


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


# -------------------------------------------------------------------------------------- one size in its own process


def _run(spread: Path, count: int, how: str) -> dict[str, Any]:
    path = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    words = [sys.executable, "-m", "checks.preparation.clustering", spread, str(count), how]
    ran = must(command(words, environment={"PYTHONPATH": path}), f"clustering {count} people")
    return dict(json.loads(ran.out.strip().splitlines()[-1]))


def _cpu(row: dict[str, Any]) -> str:
    return f"{row['cpu_s']:.1f} s of processor time; of the wall {row['wall_s']:.1f} s"


def main(spread: Path, count: int, how: str) -> None:
    people, truth = draw_people(spread, count)
    cpu, wall = time.process_time(), time.perf_counter()
    if how == "exact":
        from scipy.cluster.hierarchy import fcluster, linkage

        vectors = np.stack([p.embedding for p in people if p.embedding is not None])
        found = fcluster(linkage(vectors, "average", "cosine"), 1 - CUT_OF_THRESHOLD * THRESHOLD, "distance")
    else:
        clusters = cluster_people(people, PeopleConfig(min_cluster=1), THRESHOLD)
        by_id = {row.person_id: row.cluster for row in clusters.rows}
        found = np.array([by_id.get(person.id, person.id) for person in people])
    seconds = {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}
    precision, recall, f1 = b_cubed(truth, found)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e9 if sys.platform == "darwin" else 1e6)
    scores = {"precision": precision, "recall": recall, "f1": f1, "clusters": len(np.unique(found)), "peak_gb": peak}
    print(json.dumps(seconds | scores))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "ours")

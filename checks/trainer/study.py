"""Line 6: does exact delivery teach better? Exact weights against EveryDream1's order, three seeds each.

A study of hours, done in slices: `make study SLICE=540` works for so many seconds, two runs at once, and is run again
until it says that it is done. What is half done lies under $FULLCAST_STATE (else in the checks' folder). Of each run
that is done `benchmarks/studies/order` keeps one JSON and a row for each judged picture, to be committed, and
`make check-trainer-6` tells what they say.
Same show, same samples, same shares, same number of steps, same seeds of noise: the arms differ by the order alone.
EveryDream1's is the one that its documents tell (`fullcast.mixture.peers`): multiplies cut to whole numbers, bucket
after bucket, what does not fill a batch dropped, and a prefix of the list where the steps end before it does.
A third arm tells the order from what was seen: exact weights again, of composites alone, which share one size.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from checks.framework import ROOT, Context, Figure, commit_hash, machine, short, work_dir
from checks.trainer import CHECK
from fullcast.journey import Journey
from fullcast.journey.beside_training import CharacterJudge
from fullcast.journey.demo import make_pocket_show
from fullcast.journey.doors import Doors
from fullcast.journey.planning import Planned, is_prepared, make_plan, staged_captions, training_config
from fullcast.judging.rows import Row, read_rows
from fullcast.mixture.beside import multiplies_of
from fullcast.mixture.config import Shares
from fullcast.mixture.peers import ed1_order
from fullcast.mixture.pixels import WorkspacePixels
from fullcast.mixture.stream import WeightedStream
from fullcast.ports import Batch, BatchStream, Visit
from fullcast.recipe import commented_toml, find_preset, read_recipe
from fullcast.records import UNKNOWN
from fullcast.store.atomic import write_json, write_text
from fullcast.store.errors import FullcastError
from fullcast.store.executors import num_workers, process_pool
from fullcast.store.locks import locked
from fullcast.store.workspace import Workspace
from fullcast.training.kept import latest_resumable, read_state
from fullcast.training.loop import train

SHOW_SEED = 11
SEEDS = (0, 1, 2)
ORDERS = ("exact", "everydream1")
CONTROL, CONTROL_SEEDS = "composites", (0, 1)
"""EveryDream1's order shows little else within these steps: if exact weights of composites alone do as well, then what
is seen makes the difference, and not the order of it."""
MEASURES = ("success", "nearest")
PICTURES = 24
"""Of each character, judged for each run: 72 for each arm, so an interval of about a fifth for one character."""
NUM_STEPS = 900
"""Of 16: a pocket model begins to draw who is asked for (docs/experiments.md); the demo's 280 are too few."""
ROWS = ROOT / "benchmarks" / "studies" / "order"


@dataclass(frozen=True)
class Ed1Stream:
    """`ports.BatchStream` of the plan's samples in EveryDream1's order."""

    plan: WeightedStream
    order: np.ndarray
    """(num_steps, batch_size) int64, samples of the plan."""
    seed: int

    @property
    def batch_size(self) -> int:
        return self.plan.batch_size

    @property
    def num_steps(self) -> int:
        return self.plan.num_steps

    @cached_property
    def visits(self) -> np.ndarray:
        """(num_steps, batch_size) int64: how often each sample had been seen before."""
        flat, seen = self.order.ravel(), np.zeros(len(self.plan.sample_ids), dtype=np.int64)
        before = np.empty_like(flat)
        for place, sample in enumerate(flat.tolist()):
            before[place] = seen[sample]
            seen[sample] += 1
        return before.reshape(self.order.shape)

    def batch(self, step: int) -> Batch:
        row = self.order[step].tolist()
        bucket = self.plan.buckets[int(self.plan.bucket_of[row[0]])]
        visits = tuple(Visit(self.plan.sample_ids[i], int(v)) for i, v in zip(row, self.visits[step], strict=True))
        return Batch(step, bucket.width, bucket.height, visits)

    def fingerprint(self) -> str:
        return f"EveryDream1/{self.seed}/{self.plan.fingerprint()}"


@dataclass(frozen=True)
class Arm:
    order: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.order}-{self.seed}"


ARMS = tuple(Arm(order, seed) for seed in SEEDS for order in ORDERS)
CONTROLS = tuple(Arm(CONTROL, seed) for seed in CONTROL_SEEDS)


@dataclass
class Study:
    """The show, and what has been trained and judged on it so far."""

    folder: Path

    @classmethod
    def here(cls) -> Study:
        given = os.environ.get("FULLCAST_STATE", "")
        return cls((Path(given) if given else work_dir()) / "trainer-study")

    @cached_property
    def journey(self) -> Journey:
        """The prepared show; drawn and prepared when it is first asked for."""
        root = self.folder / "show"
        if not (root / "fullcast.toml").exists():
            make_pocket_show(root, SHOW_SEED)
            workspace = Workspace.create(root, show="Study")
            write_text(workspace.recipe_path, commented_toml(read_recipe(find_preset("demo"))))
        journey = Journey.open(root, {"mixture.num_steps": str(NUM_STEPS), "training.processes": "1"})
        if not is_prepared(journey):
            journey.prepare()
        return journey

    @cached_property
    def planned(self) -> Planned:
        return make_plan(self.journey)

    @cached_property
    def planned_alone(self) -> Planned:
        """The control's plan: nothing but composites."""
        recipe = self.journey.recipe
        alone = Shares(by="source", share={"composite": 1.0}, otherwise=0.0)
        mixture = recipe.mixture.model_copy(update={"shares": alone})
        return make_plan(self.journey.with_recipe(recipe.model_copy(update={"mixture": mixture})))

    def planned_for(self, arm: Arm) -> Planned:
        return self.planned_alone if arm.order == CONTROL else self.planned

    def result(self, arm: Arm) -> Path:
        return ROWS / f"{arm.name}.json"

    def results(self, order: str, measure: str) -> list[dict[str, float]]:
        """A measure by character of the finished runs of an order; "" is that of all pictures."""
        arms = (arm for arm in (*ARMS, *CONTROLS) if arm.order == order)
        done = [path for path in map(self.result, arms) if path.exists()]
        return [json.loads(path.read_text(encoding="utf-8"))[measure] for path in done]

    def stream(self, arm: Arm) -> BatchStream:
        plan = self.planned.mixture.stream
        if arm.order != "everydream1":
            return self.planned_for(arm).stream
        multiplies = multiplies_of(self.planned.stages[0])
        order = ed1_order(multiplies, plan.bucket_of, plan.batch_size, plan.num_steps, arm.seed)
        return Ed1Stream(plan, order, arm.seed)

    def go(self, seconds: float, say: Callable[[str], None]) -> bool:
        """Works for about so long on what no other process works on; True when everything is done."""
        ends = time.monotonic() + seconds
        with locked(self.folder / "show.lock", "", timeout_s=-1):  # the show, its composites, all latents: once
            self.planned  # noqa: B018
        for arm in (*ARMS, *CONTROLS):
            with contextlib.suppress(Busy), _alone(self.folder / f"{arm.name}.lock"):
                if self.result(arm).exists():
                    continue
                if time.monotonic() > ends or not self.train(arm, ends - time.monotonic(), say):
                    return False
                self.judge(arm, say)
        return all(self.result(arm).exists() for arm in (*ARMS, *CONTROLS))

    def train(self, arm: Arm, seconds: float, say: Callable[[str], None]) -> bool:
        """A slice of one run; True when it is finished."""
        journey, planned = self.journey, self.planned_for(arm)
        quiet = {"seed": arm.seed, "sample_every": 0, "probe_every": 0, "keep_checkpoints": 1, "checkpoint_every": 100}
        done = train(
            Doors(journey.workspace, journey.recipe).path("base"),
            self.stream(arm),
            WorkspacePixels(journey.workspace.root, planned.samples),
            staged_captions(journey, planned),
            training_config(journey.recipe).model_copy(update=quiet),
            self.folder / arm.name,
            max_seconds=seconds,
        )
        say(f"{arm.name}: step {done.step} of {done.num_steps}")
        return done.finished

    def judge(self, arm: Arm, say: Callable[[str], None]) -> None:
        from fullcast.journey.making import open_model

        checkpoint = latest_resumable(self.folder / arm.name)
        assert checkpoint is not None
        recipe = self.journey.recipe
        asked = recipe.model_copy(update={"training": recipe.training.model_copy(update={"judge_pictures": PICTURES})})
        journey = self.journey.with_recipe(asked)
        folder = self.folder / f"{arm.name}-judged"
        planned = self.planned_for(arm)
        judge = CharacterJudge.of(journey, planned.prepared, folder)
        success = judge(open_model(journey, checkpoint).pipeline, planned.stream.num_steps)
        (verdicts,) = folder.rglob("verdicts.parquet")
        nearest = nearest_by_character(read_rows(verdicts), judge.cast.names)
        seen = _seen(planned, read_state(checkpoint).ledger)
        about = {"commit": commit_hash(), "num_steps": NUM_STEPS, "show": SHOW_SEED, "machine": machine()}
        ROWS.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(verdicts, self.result(arm).with_suffix(".parquet"))
        write_json(self.result(arm), {"success": success, "nearest": nearest, "seen": seen, **about})
        say(f"{arm.name}: success {success['']:.3f}, nearest to who was asked for {nearest['']:.3f}")


@CHECK.line(6, "exact weights against EveryDream1's order: success by character, three seeds each")
def study(context: Context) -> Iterable[Figure]:
    """What the slices have found so far. The finding goes into docs/experiments.md whichever way it falls."""
    here = Study.here()
    done = sum(here.result(arm).exists() for arm in ARMS)
    if done < len(ARMS):
        told = f"{done} of {len(ARMS)} runs are done; `make study SLICE=540` goes on with them"
        yield short("exact weights against EveryDream1's order", told)
        return
    exposure = here.results("exact", "seen")[0]
    rare = sorted(exposure, key=lambda name: (exposure[name], name))[: max(1, len(exposure) // 3)]
    for order in ORDERS:
        for name in sorted(exposure):
            visits = [run.get(name, 0) for run in here.results(order, "seen")]
            yield Figure(
                f"visits, {name}: {order}", float(np.mean(visits)), n=len(visits), low=min(visits), high=max(visits)
            )
    for measure in MEASURES:
        if control := [run[""] for run in here.results(CONTROL, measure)]:
            name = f"{measure}, all characters: exact, of composites alone"
            yield Figure(name, float(np.mean(control)), n=len(control), low=min(control), high=max(control))
        yield from _compared(here, measure, "all characters", [""])
        yield from _compared(here, measure, f"the rarest ({', '.join(rare)})", rare)
        for name in sorted(exposure):
            yield from _compared(here, measure, name, [name])


def nearest_by_character(rows: Sequence[Row], names: Sequence[str]) -> dict[str, float]:
    """By character the share of its pictures whose figures are one, nearer to it than to anybody else of the cast, sure
    or not; under "" that of all. Pictures that are too soft for the judge's threshold still tell who they look like."""
    right: dict[str, list[bool]] = {name: [] for name in names}
    for row in rows:
        found, asked = row.verdict.found, row.scene.people[0].character
        right[asked].append(len(found) == 1 and names[int(np.argmax(found[0].scores))] == asked)
    every = [one for own in right.values() for one in own]
    return {"": float(np.mean(every))} | {name: float(np.mean(own)) for name, own in right.items() if own}


def _compared(study: Study, measure: str, what: str, names: list[str]) -> Iterator[Figure]:
    """Mean of each order over its seeds, and their difference with its interval over seeds (Student's t)."""
    means = {order: [float(np.mean([r[n] for n in names])) for r in study.results(order, measure)] for order in ORDERS}
    what = f"{measure}, {what}"
    for order, found in means.items():
        yield Figure(f"{what}: {order}", float(np.mean(found)), n=len(found), low=min(found), high=max(found))
    gain = np.subtract(means["exact"], means["everydream1"])
    half = 4.303 * float(gain.std(ddof=1)) / math.sqrt(len(gain))  # t of 2 degrees of freedom, 95 %
    mean = float(gain.mean())
    yield Figure(f"{what}: exact less EveryDream1", mean, n=len(gain), low=mean - half, high=mean + half)


def _seen(planned: Planned, ledger: Mapping[str, int]) -> dict[str, int]:
    """Character to the visits of pictures in which it stands."""
    found: Counter[str] = Counter()
    for sample in planned.mixture.samples:
        for name in {p.character for p in sample.people if p.character not in ("", UNKNOWN)}:
            found[name] += ledger.get(sample.id, 0)
    return dict(sorted(found.items()))


class Busy(Exception):
    """Another process works on it."""


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(locked(path, "busy"))
        except FullcastError:
            raise Busy from None
        yield


def _slice(seconds: float) -> bool:
    return Study.here().go(seconds, lambda text: print(text, flush=True))


if __name__ == "__main__":
    with process_pool(num_workers(0, 2)) as pool:
        finished = all(pool.map(_slice, [float(sys.argv[1])] * num_workers(0, 2)))
    print("the study is done: make check-trainer-6" if finished else "there is more to do: run it again")

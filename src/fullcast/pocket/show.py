"""`fullcast pocket show`: an animated show with known truth, made from licensed art."""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from fullcast.pocket.cast import ShowCast, make_cast
from fullcast.pocket.film import FrameTruth, film
from fullcast.pocket.looks import STYLES
from fullcast.pocket.script import Episode, write_script
from fullcast.pocket.stills import write_fanart, write_references, write_regularization
from fullcast.pocket.truth import write_truth
from fullcast.ports import Progress, silent
from fullcast.store.atomic import write_text
from fullcast.store.errors import FullcastError

MIN_SECONDS = 24.0
"""Opening, cards, flashback and credits take 15 s."""


@dataclass(frozen=True, slots=True)
class ShowSettings:
    """How large a show to draw. The defaults are the pocket show; tests ask for less."""

    style: str = "toon-head"
    num_episodes: int = 2
    seconds: float = 60.0
    """Length of an episode."""
    num_fanart: int = 60
    num_regularization: int = 160
    num_workers: int = 2
    """Processes; the bytes do not depend on it."""


@dataclass(frozen=True, slots=True)
class Show:
    """Where everything is."""

    root: Path
    episodes: tuple[Path, ...]
    truth: Path
    cast: ShowCast


def make_show(out_dir: Path, seed: int, settings: ShowSettings | None = None, progress: Progress = silent) -> Show:
    """Draw a show: `episodes/`, `fanart/`, `regularization/`, `references/`, `truth.parquet`, `truth_cast.json`.

    The same seed gives the same bytes; another seed another cast and story. Raises FullcastError for an unknown style.
    """
    settings = settings or ShowSettings()
    if settings.style not in STYLES:
        raise FullcastError(f"no drawing style is called {settings.style!r}; choose one of: {', '.join(STYLES)}")
    if settings.num_episodes < 1 or settings.seconds < MIN_SECONDS:
        raise FullcastError(
            f"{settings.num_episodes} episodes of {settings.seconds} s were asked for; a show has at least one, of at least "
            f"{MIN_SECONDS} s, for its opening, a story and the credits"
        )
    cast = make_cast(seed, settings.style)
    episodes = write_script(cast, seed, settings.num_episodes, settings.seconds)
    write_references(cast, seed, out_dir / "references", progress)
    write_fanart(cast, seed, out_dir / "fanart", settings.num_fanart, progress)
    write_regularization(cast, seed, out_dir / "regularization", settings.num_regularization, progress)
    paths = [out_dir / "episodes" / f"ep{e.number:02d}.mp4" for e in episodes]
    truths = _film_all(episodes, paths, settings.num_workers, progress)
    write_truth(out_dir / "truth.parquet", {p.name: t for p, t in zip(paths, truths, strict=True)})
    write_text(out_dir / "truth_cast.json", json.dumps(_describe(cast), indent=1))
    return Show(out_dir, tuple(paths), out_dir / "truth.parquet", cast)


def _film_all(
    episodes: list[Episode], paths: list[Path], num_workers: int, progress: Progress
) -> list[list[FrameTruth]]:
    if num_workers <= 1 or len(episodes) == 1:
        return [film(e, p, progress) for e, p in zip(episodes, paths, strict=True)]
    progress.start("episodes", len(episodes))
    truths = []
    with ProcessPoolExecutor(min(num_workers, len(episodes)), mp_context=get_context("spawn")) as pool:
        for truth in pool.map(film, episodes, paths):
            truths.append(truth)
            progress.advance()
    progress.done()
    return truths


def _describe(cast: ShowCast) -> dict:
    return {
        "members": {m.name: {form: list(look.tags) for form, look in m.looks} for m in cast.members},
        "twins": [list(pair) for pair in cast.twins],
        "never_together": [list(pair) for pair in cast.never_together],
        "extras": [list(look.tags) for look in cast.extras],
    }

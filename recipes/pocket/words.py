"""The pocket base's text encoder, taught on captions alone before there is any picture, and frozen from then on.

Stable Diffusion's text encoder comes from CLIP and knows any word when the denoiser's training begins. One that is taught
by a denoiser learns to say nothing of words that mean nothing in the base's world, which are all names: after 89,600
pictures two unknown names moved the mean of its output by 0.08 where two settings moved it by 1.5 (docs/experiments.md).

The task: from the mean of the outputs say which tokens the caption holds, and from one look at all of them, for each
column of the grid, which tokens belong to whoever stands there.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fullcast.models.stable_diffusion.build import build_pocket_pipeline
from fullcast.models.stable_diffusion.family import token_ids
from fullcast.pocket.backgrounds import LIGHTS, SETTINGS
from fullcast.recognition.words import Phrase, sentence
from fullcast.records import GRID
from fullcast.store.seeding import rng as keyed
from recipes.pocket.state import Slice, weights_of
from recipes.pocket.tagger import PERSON_TAGS

BATCH = 64
NUM_STEPS = 900
LEARNING_RATE = 1.5e-3
NAME = "words"


@dataclass(frozen=True)
class Said:
    """A caption and, where it says places, what it says of whoever stands in each column ("" of nobody)."""

    text: str
    columns: tuple[str, ...] = ()


class Sayings:
    """Captions of the default grammar about anybody: names are words and syllables, drawn afresh each time."""

    def __init__(self, tokenizer: object, own_words: tuple[str, ...]) -> None:
        vocabulary = sorted(tokenizer.get_vocab())  # type: ignore[attr-defined]
        whole = (token.removesuffix("</w>") for token in vocabulary if token.endswith("</w>"))
        self.words = [word for word in whole if len(word) > 1 and word.isascii() and word.isalpha()]
        self.own = own_words

    def one(self, rng: np.random.Generator) -> Said:
        count = int(rng.choice(6, p=(0.04, 0.36, 0.15, 0.15, 0.15, 0.15)))
        columns = sorted(rng.choice(GRID, count, replace=False).tolist())
        placed, rows = bool(rng.random() < 0.75), bool(rng.random() < 0.5)
        told = float(rng.choice((0.0, 0.0, 0.4, 0.8))) / max(1, count - 2)
        phrases = [
            Phrase(self._who(rng), (c, int(rng.integers(GRID))) if placed else None, rows, self._own(rng, told))
            for c in columns
        ]
        scene = [w for w in (str(rng.choice(SETTINGS)), str(rng.choice(LIGHTS))) if rng.random() < 0.8]
        scene += [str(rng.choice(self.words))] * int(rng.random() < 0.3)
        rng.shuffle(scene)
        who = {c: " ".join((p.who, *p.own)) for c, p in zip(columns, phrases, strict=True)}
        said = tuple(who.get(c, "") for c in range(GRID)) if placed else ()
        return Said(sentence(phrases, scene), said)

    def _who(self, rng: np.random.Generator) -> str:
        if rng.random() < 0.15:
            return "person"
        words = [str(rng.choice(self.words)) for _ in range(1 + int(rng.random() < 0.25))]
        if rng.random() < 0.4:
            words[0] = "".join(str(rng.choice(self.words))[:2] for _ in range(int(rng.integers(2, 4))))
        return " ".join(words)

    def _own(self, rng: np.random.Generator, share: float) -> tuple[str, ...]:
        count = int(rng.binomial(3, share))
        return tuple(rng.choice(self.own, count, replace=False).tolist()) if self.own else ()


class Readers(nn.Module):
    """What is asked of the encoder's output (B, L, D): logits over the vocabulary V."""

    def __init__(self, width: int, vocabulary: int) -> None:
        super().__init__()
        self.queries = nn.Parameter(0.2 * torch.randn(GRID, width))
        self.key, self.value = nn.Linear(width, width), nn.Linear(width, width)
        self.column, self.mean = nn.Linear(width, vocabulary), nn.Linear(width, vocabulary)

    def forward(self, heard: Tensor) -> tuple[Tensor, Tensor]:
        """((B, GRID, V) of columns, (B, V) of the whole)."""
        looks = (self.queries @ self.key(heard).transpose(1, 2)).softmax(-1) @ self.value(heard)
        return self.column(looks), self.mean(heard.mean(1))


def bags(tokenizer: object, texts: list[str], size: int) -> Tensor:
    """(len(texts), size): shares of each text's tokens; the end mark alone for ""."""
    out = torch.zeros(len(texts), size)
    for row, text in zip(out, texts, strict=True):
        found = sorted(set(tokenizer(text).input_ids[1:-1])) or [tokenizer.eos_token_id]  # type: ignore[operator,attr-defined]
        row[found] = 1 / len(found)
    return out


def recalled(logits: Tensor, wanted: Tensor) -> float:
    """Share of wanted tokens that are among the likeliest as many."""
    hits, total = 0, 0
    for row, target in zip(logits, wanted, strict=True):
        tokens = target.nonzero()[:, 0]
        hits += int(torch.isin(row.topk(len(tokens)).indices, tokens).sum())
        total += len(tokens)
    return hits / max(1, total)


def taught() -> dict[str, Tensor]:
    """Weights of the encoder as far as it is taught."""
    return weights_of(NAME, "encoder")


def main() -> None:
    from recipes.pocket.base import config

    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=1e9)
    seconds = parser.parse_args().seconds
    torch.set_num_threads(1)
    torch.manual_seed(47)
    pipeline = build_pocket_pipeline(config(), seed=41)
    tokenizer, encoder = pipeline.tokenizer, pipeline.text_encoder
    encoder.requires_grad_(True).train()
    sayings = Sayings(tokenizer, PERSON_TAGS)
    readers = Readers(encoder.config.hidden_size, len(tokenizer))
    optimizer = torch.optim.AdamW([*encoder.parameters(), *readers.parameters()], lr=LEARNING_RATE, betas=(0.9, 0.99))
    run = Slice(NAME, {"encoder": encoder, "readers": readers}, optimizer, seconds)
    while run.step < NUM_STEPS and not run.over():
        rng = keyed(53, "words", run.step)
        said = [sayings.one(rng) for _ in range(BATCH)]
        heard = encoder(token_ids(tokenizer, [s.text for s in said]))[0]
        columns, whole = readers(heard)
        placed = [i for i, s in enumerate(said) if s.columns]
        of_columns = bags(tokenizer, [text for i in placed for text in said[i].columns], len(tokenizer))
        of_whole = bags(tokenizer, [s.text for s in said], len(tokenizer))
        asked = columns[placed].flatten(0, 1)
        loss = F.cross_entropy(asked, of_columns) + F.cross_entropy(whole, of_whole)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min(1.0, (run.step + 1) / 50, max(0.02, 2 * (1 - run.step / NUM_STEPS)))
        optimizer.step()
        optimizer.zero_grad()
        run.step += 1
        if run.step % 50 == 0 or run.step == NUM_STEPS:
            with torch.no_grad():
                figures = {"columns": recalled(asked, of_columns), "whole": recalled(whole, of_whole)}
            run.note(loss=round(float(loss.detach()), 4), **{k: round(v, 4) for k, v in figures.items()})
            run.save()
    run.save()


if __name__ == "__main__":
    main()

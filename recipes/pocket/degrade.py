"""What video, screens and image models do to a drawing before a network sees it."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image as PILImage
from PIL import ImageDraw, ImageFilter, ImageFont

WORDS = [
    "wait",
    "look",
    "there",
    "again",
    "tomorrow",
    "nobody",
    "knows",
    "the",
    "way",
    "home",
    "why",
    "are",
    "you",
    "here",
    "it",
    "is",
    "late",
    "let",
    "us",
    "go",
]


def degrade(rgb: np.ndarray, rng: np.random.Generator, strength: float = 1.0) -> np.ndarray:
    """JPEG blocks, blur, a smaller size and back, noise, gain: each now and then."""
    picture = PILImage.fromarray(rgb)
    if rng.random() < 0.3 * strength:
        share = rng.uniform(0.3, 0.8)
        small = picture.resize((max(8, round(picture.width * share)), max(8, round(picture.height * share))))
        picture = small.resize(picture.size, PILImage.Resampling.BICUBIC)
    if rng.random() < 0.15 * strength:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 1.4)))
    if rng.random() < 0.5 * strength:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=int(rng.integers(35, 90)))
        picture = PILImage.open(buffer).convert("RGB")
    out = np.asarray(picture)
    if rng.random() < 0.3 * strength:
        noisy = out + rng.normal(0, rng.uniform(1, 8), out.shape)
        out = np.clip(noisy, 0, 255).astype(np.uint8)
    if rng.random() < 0.3 * strength:
        gain = rng.uniform(0.85, 1.15, 3)
        out = np.clip(out * gain, 0, 255).astype(np.uint8)
    return out


def subtitle(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    picture = PILImage.fromarray(rgb)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=max(8, picture.height // 18))
    text = " ".join(rng.choice(WORDS, int(rng.integers(3, 8))))
    y = picture.height * rng.uniform(0.84, 0.93)
    draw.text((picture.width / 2, y), text, font=font, fill="white", stroke_width=2, stroke_fill="black", anchor="mm")
    return np.asarray(picture)

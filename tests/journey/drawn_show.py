"""A workspace with a small drawn show and small real networks of the right signatures: the journey without weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np

from fullcast.journey import Journey, new_workspace
from fullcast.models.stable_diffusion.build import build_pocket_pipeline
from fullcast.models.stable_diffusion.config import PocketModelConfig
from fullcast.models.stable_diffusion.folder import save_pipeline
from fullcast.store.pictures import write_png
from tests import onnx_graphs
from tests.recognition.drawn import COLOURS, HEAD, HEIGHT, STRANGER, WIDTH, picture, write_references

LEFT, MIDDLE, RIGHT = (108, 132), (252, 140), (396, 124)
"""Head centres; the detector's markers lie at 4 modulo 8."""

SHOTS: tuple[dict[tuple[int, int], tuple[int, int, int]], ...] = (
    {MIDDLE: COLOURS["aoi"]},
    {LEFT: COLOURS["mio"], RIGHT: COLOURS["aoi"]},
    {LEFT: COLOURS["rin"], MIDDLE: COLOURS["mio"], RIGHT: COLOURS["hairdown"]},
    {MIDDLE: STRANGER},
    {},
)
"""Who stands where, shot by shot; "hairdown" is aoi in her other look."""

TINY = PocketModelConfig(
    width=48,
    height=32,
    latent_channels=4,
    vae_block_out_channels=(8, 8, 8),
    vae_norm_num_groups=4,
    unet_block_out_channels=(8, 16),
    attention_levels=(0, 1),
    unet_norm_num_groups=4,
    attention_head_width=4,
    text_hidden_size=16,
    text_num_layers=1,
    text_num_heads=2,
    vocabulary_size=800,
)

RECIPE = """
seed = 3
threads = 1
device = "cpu"

[models]
detector = "models/detector.onnx"
judge_detector = "models/detector.onnx"
embedder = "models/embedder.onnx"
judge_embedder = "models/judge.onnx"
tagger = "models/tagger/model.onnx"
base = "models/base"

[mixture]
batch_size = 2
num_steps = 6
area_px = 1536

[training]
warmup_steps = 2
checkpoint_every = 3
sample_every = 6
probe_every = 3
probe_samples = 2
log_every = 1

[generation]
num_inference_steps = 2

[judging]
pictures_per_count = 2
max_people = 2
bootstrap_repeats = 100
"""


def make_workspace(root: Path) -> Path:
    """Episodes, fan art, regularization, references, networks and a recipe."""
    new_workspace(root, "Drawn show")
    write_models(root / "models")
    (root / "fullcast.toml").write_text(RECIPE)
    film(root / "episodes" / "1.mp4", SHOTS)
    looks = {name: colour for name, colour in COLOURS.items() if name != "hairdown"}
    write_references(root / "references", {**looks, "aoi/hairdown": COLOURS["hairdown"]})
    rng = np.random.default_rng(5)
    for index, name in enumerate(looks):
        art = picture({(156 + 96 * index, 148): looks[name]}) | _texture(rng)
        write_png(root / "fanart" / f"{name}-{index}.png", art)
        (root / "fanart" / f"{name}-{index}.txt").write_text(f"1girl, smile, {name}")
    for index in range(3):
        stranger = tuple(int(v) for v in rng.integers(60, 120, 3))
        write_png(root / "regularization" / f"{index}.png", picture({(204, 148): stranger}) | _texture(rng))
    return root


def write_models(folder: Path) -> None:
    metadata = {"threshold": "0.8", "crop_scale": "1.0"}
    onnx_graphs.marker_yolo(folder / "detector.onnx", HEIGHT, WIDTH, head=HEAD)
    onnx_graphs.colour_embedder(folder / "embedder.onnx", metadata=metadata)
    onnx_graphs.colour_embedder(folder / "judge.onnx", size=24, metadata=metadata)
    # sigmoid(2 * mean - 60): said of everything that is not nearly black
    onnx_graphs.mean_tagger(folder / "tagger" / "model.onnx", weights=np.eye(3) * 2, bias=np.full(3, -60.0))
    rows = ["tag_id,name,category,count", "0,park,0,1", "1,red_hair,0,1", "2,smile,0,1"]
    (folder / "tagger" / "selected_tags.csv").write_text("\n".join(rows) + "\n")
    save_pipeline(build_pocket_pipeline(TINY, seed=1), folder / "base")


def film(path: Path, shots: Sequence[dict], held: int = 16, seed: int = 0) -> None:
    """H.264: each shot a background of its own, its figures, and one drawing that moves its figures' feet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"crf": "16"}
        for figures in shots:
            ground = _texture(rng)
            for step in range(2):
                drawing = np.where(picture(figures) > 0, picture(figures), ground)
                for x, y in figures:
                    drawing[y + 100 : y + 130, x - 32 + 24 * step : x + 24 * step] = 200
                for _ in range(held // 2):
                    for packet in stream.encode(av.VideoFrame.from_ndarray(drawing, format="rgb24")):
                        container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def _texture(rng: np.random.Generator) -> np.ndarray:
    """(HEIGHT, WIDTH, 3): large dim blocks in greens, which no marker and no head looks like."""
    blocks = rng.integers(8, 48, (HEIGHT // 32, WIDTH // 32, 3)) * np.array([0.5, 1.0, 0.5])
    return np.kron(blocks, np.ones((32, 32, 1))).astype(np.uint8)


def open_journey(root: Path, **overrides: str) -> Journey:
    return Journey.open(root, {name.replace("__", "."): value for name, value in overrides.items()})

"""What other trainers read from a folder, written again from their documented rules and from nothing of ours.

Each function says what one epoch delivers: a Counter of (file stem, caption). Nothing here imports `fullcast`, so that
an export and its reader cannot share a mistake.
"""

from __future__ import annotations

import json
import random
import tarfile
import tomllib
from collections import Counter
from pathlib import Path

Visits = Counter[tuple[str, str]]

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".jfif")


def _everydream_caption(path: Path) -> str:
    for suffix in (".txt", ".caption"):
        if path.with_suffix(suffix).exists():
            return path.with_suffix(suffix).read_text(encoding="utf-8")
    return path.stem.split("_")[0]


def everydream1_epoch(root: Path) -> Visits:
    """A folder starts at 1 and is cut to a whole number; the path is appended so many times."""
    visits: Visits = Counter()

    def recurse(folder: Path) -> None:
        multiply = 1
        if (folder / "multiply.txt").exists():
            multiply = int(float((folder / "multiply.txt").read_text()))
        for path in sorted(folder.iterdir()):
            if path.is_dir():
                recurse(path)
            elif path.suffix in PICTURES:
                for _ in range(multiply):
                    visits[path.stem, _everydream_caption(path)] += 1

    recurse(root)
    return visits


def everydream2_list(root: Path, seed: int = 555) -> list[tuple[tuple[str, str], float]]:
    """((stem, caption), multiply) of every picture, shuffled once; 0 counts as 1, hidden folders are passed over."""
    images: list[tuple[tuple[str, str], float]] = []
    for folder in sorted({path.parent for path in root.rglob("*") if path.suffix in PICTURES}):
        if any(part.startswith(".") for part in folder.relative_to(root).parts):
            continue
        text = folder / "multiply.txt"
        multiply = float(text.read_text()) if text.exists() else 1.0
        pictures = sorted(path for path in folder.iterdir() if path.suffix in PICTURES)
        images += [((path.stem, _everydream_caption(path)), multiply or 1.0) for path in pictures]
    random.Random(seed).shuffle(images)
    return images


def everydream2_epoch(images: list[tuple[tuple[str, str], float]], epoch: int, seed: int = 555) -> Visits:
    """Whole copies; fractions drawn from the front of the list until floor(sum) pictures are there."""
    draw = random.Random(seed + epoch)
    total = int(sum(multiply for _, multiply in images) + 1e-9)
    picked = [picture for picture, multiply in images for _ in range(int(multiply))]
    rest = [(picture, multiply - int(multiply)) for picture, multiply in images if multiply > int(multiply)]
    while len(picked) < total and rest:
        left = []
        for picture, fraction in rest:
            if len(picked) < total and draw.random() < fraction:
                picked.append(picture)
            else:
                left.append((picture, fraction))
        rest = left
    return Counter(picked)


def _kohya_caption(path: Path, extension: str, class_tokens: str | None) -> str:
    """The first line of the file; it must have one. Else the face-crop name's file, else class tokens, else nothing."""
    base = str(path.with_suffix(""))
    parts = base.split("_")
    for stem in (base, "_".join(parts[:-4]) if len(parts) >= 5 else base):
        file = Path(stem + extension)
        if file.is_file():
            with file.open(encoding="utf-8") as opened:
                lines = opened.readlines()
            assert lines, f"caption file is empty: {file}"
            return lines[0].strip()
    return class_tokens or ""


def kohya_toml_epoch(toml: Path) -> Visits:
    config = tomllib.loads(toml.read_text(encoding="utf-8"))
    known = {
        "enable_bucket",
        "caption_extension",
        "shuffle_caption",
        "resolution",
        "image_dir",
        "num_repeats",
        "subsets",
    }
    visits: Visits = Counter()
    for dataset in config["datasets"]:
        for subset in dataset["subsets"]:
            values = {**config["general"], **dataset, **subset}
            assert set(values) <= known, "an unknown key is an error"
            assert isinstance(values["num_repeats"], int) and values["num_repeats"] >= 1
            for path in sorted((toml.parent / values["image_dir"]).iterdir()):
                if path.suffix in PICTURES:
                    caption = _kohya_caption(path, values["caption_extension"], values.get("class_tokens"))
                    visits[path.stem, caption] += values["num_repeats"]
    return visits


def kohya_folders_epoch(train_data_dir: Path, extension: str = ".txt") -> Visits:
    """Direct children whose name begins with a number and an underscore; the rest of the name is the class."""
    visits: Visits = Counter()
    for folder in sorted(path for path in train_data_dir.iterdir() if path.is_dir()):
        tokens = folder.name.split("_")
        try:
            repeats = int(tokens[0])
        except ValueError:
            continue
        for path in sorted(folder.iterdir()):
            if path.suffix in PICTURES:
                visits[path.stem, _kohya_caption(path, extension, "_".join(tokens[1:]))] += repeats
    return visits


def imagefolder_epoch(data_dir: Path) -> Visits:
    """Each row of a split's metadata.jsonl once."""
    rows = [json.loads(line) for line in (data_dir / "train/metadata.jsonl").read_text(encoding="utf-8").splitlines()]
    assert all((data_dir / "train" / row["file_name"]).is_file() for row in rows)
    return Counter((row["file_name"].removesuffix(".png"), row["text"]) for row in rows)


def webdataset_samples(folder: Path) -> dict[str, dict[str, bytes]]:
    """Consecutive members with one name up to the first dot are a sample."""
    samples: dict[str, dict[str, bytes]] = {}
    last = None
    for shard in sorted(folder.glob("*.tar")):
        with tarfile.open(shard) as tar:
            for member in tar.getmembers():
                key, _, extension = member.name.partition(".")
                assert key == last or key not in samples, "members of a sample lie together"
                file = tar.extractfile(member)
                assert file is not None
                samples.setdefault(key, {})[extension] = file.read()
                last = key
    return samples


def webdataset_epoch(folder: Path) -> Visits:
    return Counter((key, s.get("txt", b"").decode()) for key, s in webdataset_samples(folder).items() if "png" in s)


def seed_epoch(root: Path) -> dict[tuple[str, str], float]:
    """The seed's own: a folder's multiply, one picture's share of an epoch; captions are X.txt."""
    visits: dict[tuple[str, str], float] = {}
    for path in sorted(root.rglob("*.png")):
        multiply = float((path.parent / "multiply.txt").read_text())
        meta = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        names = sorted({name for name in meta["characters"] if name != "unknown"})
        if "regularization" not in path.relative_to(root).parts[0]:
            source, number, combination, heads = path.relative_to(root).parts[:4]
            assert source in ("screenshots", "fanart")
            assert number == {0: "0_characters", 1: "1_character"}.get(
                len(names), f"{len(names)}_characters" if len(names) < 6 else "6+_characters"
            )
            assert combination in ("+".join(names), "character_others")
            low, high = (int(v) / 100 for v in heads.removeprefix("face_height_ratio_").split("-"))
            assert low <= meta["fh_ratio"] <= high
        assert meta["n_faces"] == len(meta["facepos"]) <= len(meta["characters"])
        visits[path.stem, path.with_suffix(".txt").read_text(encoding="utf-8")] = multiply
    return visits

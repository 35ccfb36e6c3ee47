"""Line 5: datasets of the seed pipeline, both versions, imported as records with nothing lost; a pickle is refused."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from checks.framework import Context, Figure, Goal, passed
from checks.preparation import CHECK
from checks.shows import fullcast, must
from fullcast.formats.seed import export_seed
from fullcast.journey.importing import Origin
from fullcast.records import Image, Person
from fullcast.store.pictures import file_id
from fullcast.store.tables import read_records
from tests.formats.foreign_sets import (
    CAPTIONS,
    EMBEDDING,
    FIRST,
    MULTIPLIES,
    SECOND,
    write_first,
    write_pickled,
    write_second,
)
from tests.formats.gallery import make_items, weights_of


@CHECK.line(5, "datasets of the seed pipeline imported with nothing lost, a pickle refused")
def imports(context: Context) -> Iterator[Figure]:
    root = Path(tempfile.mkdtemp(prefix="fullcast-imports-"))
    try:
        must(fullcast("new", root / "work"), "new")
        write_first(root / "seed")
        write_second(root / "seed")
        must(fullcast("import", "seed", root / "seed", "-w", root / "work"), "import seed")
        yield from _nothing_lost(root)
        yield from _hundreds(root)
        yield from _refused(root)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _nothing_lost(root: Path) -> Iterator[Figure]:
    folder = root / "work/data/imports/seed"
    images = {image.id: image for image in read_records(folder / "images.parquet", Image)}
    people = read_records(folder / "people.parquet", Person)
    origins = {o.file.removesuffix(".png"): o for o in read_records(folder / "origins.parquet", Origin)}
    everything = {**FIRST, **SECOND}
    yield Figure("pictures lost", len(everything.keys() - origins.keys()), Goal("=", 0), n=len(everything))
    fields = lost = 0
    for name, meta in everything.items():
        facts = json.loads(origins[name].facts)
        fields += len(meta)
        lost += sum(facts.get(key) != value for key, value in meta.items())
    yield Figure("fields of the metadata that are not as they were", lost, Goal("=", 0), n=fields)
    stored = [root / "work" / images[o.image_id].path for o in origins.values()]
    given = [root / "seed" / o.file for o in origins.values()]
    changed = sum(file_id(a) != file_id(b) for a, b in zip(stored, given, strict=True))
    yield Figure("pictures whose bytes changed", changed, Goal("=", 0), n=len(stored))
    captions = {name: CAPTIONS.get(Path(name).name, SECOND.get(name, {}).get("caption")) for name in everything}
    wrong = sum((o.caption if o.has_caption else None) != captions[name] for name, o in origins.items())
    yield Figure("captions lost, changed or invented", wrong, Goal("=", 0), n=len(captions))
    wrong = sum(o.multiply != float(MULTIPLIES.get(str(Path(n).parent), 1)) for n, o in origins.items())
    yield Figure("multiplies lost", wrong, Goal("=", 0), n=len(origins))
    yield from _people(people, origins, images)
    vector = [p.embedding for p in people if p.embedding is not None]
    yield passed(
        "the embedding of the second version is kept", len(vector) == 1 and np.array_equal(vector[0], EMBEDDING)
    )
    others = {p.relative_to(folder / "others").as_posix() for p in (folder / "others").rglob("*") if p.is_file()}
    yield passed("files about the whole dataset are kept", others == {"concept_weights.csv", "training/core_tag.json"})


def _people(people: list[Person], origins: dict[str, Origin], images: dict[str, Image]) -> Iterator[Figure]:
    """Every face with its place and every name; pairs of both where the dataset has as many of one as of the other."""
    of_image: dict[str, list[Person]] = {}
    for person in people:
        of_image.setdefault(person.image_id, []).append(person)
    names = faces = wrong_names = wrong_faces = 0
    for name, meta in FIRST.items():
        image = images[origins[name].image_id]
        found = of_image.get(image.id, [])
        said = meta.get("characters", meta.get("character")) or []
        known = sorted(n for n in said if n != "unknown")
        names += len(known)
        wrong_names += sorted(p.name.replace("/", " ") for p in found if p.character not in ("", "unknown")) != known
        scale = (image.width, image.height) * 2
        heads = [p.head_xyxy for p in found if p.head_xyxy]
        faces += len(meta["facepos"])
        wanted = [tuple(v * s for v, s in zip(face, scale, strict=True)) for face in meta["facepos"]]
        wrong_faces += len(heads) != len(wanted) or not np.allclose(heads, wanted, atol=1e-6)
    for name, meta in SECOND.items():
        known = sorted(n.split("|")[0] for n in meta["characters"])
        names += len(known)
        found = of_image.get(origins[name].image_id, [])
        wrong_names += sorted(p.character for p in found if p.character != "unknown") != known
    yield Figure("pictures whose names are not those of the dataset", wrong_names, Goal("=", 0), n=names)
    yield Figure("pictures whose faces are not where the dataset has them", wrong_faces, Goal("=", 0), n=faces)


def _hundreds(root: Path) -> Iterator[Figure]:
    """Our own export in the seed's hierarchy, 300 pictures with their people, read again as records."""
    items = make_items(300, seed=5)
    exported = export_seed(items, [item.sample for item in items], weights_of(items), root / "out")
    must(fullcast("import", "seed", root / "out", "-w", root / "work"), "import of our own export")
    folder = root / "work/data/imports/out"
    origins = {Path(o.file).stem: o for o in read_records(folder / "origins.parquet", Origin)}
    people: dict[str, list[Person]] = {}
    for person in read_records(folder / "people.parquet", Person):
        people.setdefault(person.image_id, []).append(person)
    kept = [item for item in items if exported.visits[item.name]]
    wrong = sum(
        item.name not in origins
        or [(p.character, p.form, p.tags) for p in people.get(origins[item.name].image_id, [])]
        != [(p.character, p.form, p.tags) for p in item.sample.people]
        for item in kept
    )
    yield Figure("pictures of a larger set whose people changed", wrong, Goal("=", 0), n=len(kept))


def _refused(root: Path) -> Iterator[Figure]:
    """The trap writes a file when it is opened."""
    write_second(root / "trapped")
    write_pickled(root / "trapped", root / "witness")
    ran = fullcast("import", "seed", root / "trapped", "-w", root / "work")
    sentence = " ".join(ran.told.split())
    yield Figure("exit code of an import with a pickle in it", ran.code, Goal("=", 2))
    clear = "trap_1_meta.json" in sentence and "pickle" in sentence and "Traceback" not in sentence
    yield passed("it is refused with a sentence that names the file", clear, sentence[-240:])
    yield passed("nothing of it was imported", not (root / "work/data/imports/trapped").exists())
    ran = fullcast("import", "seed", root / "trapped", "--skip-pickles", "--json", "-w", root / "work")
    drops = json.loads(ran.out)["drops"] if ran.code == 0 else []
    yield passed("asked to, the rest is imported and the picture counted", [d["reason"] for d in drops] == ["pickle"])
    yield passed("the pickle was never opened", not (root / "witness").exists())

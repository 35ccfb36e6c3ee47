"""`fullcast export`, `import`, `pack` and `unpack`: what goes out to other tools and machines, and what comes in."""

from __future__ import annotations

from pathlib import Path

from fullcast.cli.verb import HERE, AsJson, Settings, Where, open_journey, tell


def export(
    what: str,
    out: Path,
    /,
    *,
    checkpoint: str = "",
    stage: str = "",
    max_repeats: float | None = None,
    half: bool = False,
    training_metadata: bool = False,
    workspace: Where = HERE,
    settings: Settings = (),
    json: AsJson = False,
) -> None:
    """Write what was made for other tools, and say what they will make of the weights: fullcast export dataset FOLDER

    Parameters
    ----------
    what
        dataset (Hugging Face imagefolder), webdataset (tar archives), everydream1 or everydream2 (folders with
        multiply.txt), kohya (folders with repeats, and a dataset TOML), seed (the seed pipeline's hierarchy),
        checkpoint (a diffusers folder), safetensors (the whole model in one file), lora or lora-peft (a LoRA alone, in
        kohya's layout or in PEFT's).
    out
        A folder that does not exist yet; for safetensors and LoRA a file that ends in .safetensors.
    checkpoint
        As in generate.
    stage
        Of the plan, whose mixture and captions are written; the first by default.
    max_repeats
        For kohya and everydream1, whose repeats are whole numbers: the mean of them may grow to this (20 by default).
        More comes nearer to the weights and makes a longer epoch.
    half
        Weights in float16.
    training_metadata
        Also write the ss_* keys into the file, which say how it was trained: settings, no paths and no captions.
    """
    answer = open_journey(workspace, settings, json).export(
        what,
        out,
        checkpoint=checkpoint,
        max_repeats=max_repeats,
        stage=stage,
        half=half,
        training_metadata=training_metadata,
    )
    tell(answer, json)


def pack(
    out: Path,
    /,
    *,
    results: bool = False,
    with_base: bool = False,
    workspace: Where = HERE,
    settings: Settings = (),
    json: AsJson = False,
) -> None:
    """Put the planned training into one file for a rented machine: latents, words and plan, no video and no picture.

    Parameters
    ----------
    out
        A file that ends in .tar.
    results
        Instead what the training has made: checkpoints, ledger, metrics, to be brought home.
    with_base
        Put the base model in too; else it goes by its hash.
    """
    tell(open_journey(workspace, settings, json).pack(out, results=results, with_base=with_base), json)


def unpack(archive: Path, /, *, base: Path | None = None, workspace: Where = HERE, json: AsJson = False) -> None:
    """Open what pack wrote: a training into a new workspace, or its results into the workspace at home.

    Parameters
    ----------
    archive
        The file that pack wrote.
    base
        The base model, where it is not in the archive; it must have the hash that the plan was packed with.
    """
    from fullcast.journey.packing import unpack as run

    tell(run(archive, workspace, base), json)


def import_(
    what: str,
    folder: Path,
    /,
    *,
    name: str = "",
    source: str = "fanart",
    skip_pickles: bool = False,
    workspace: Where = HERE,
    settings: Settings = (),
    json: AsJson = False,
) -> None:
    """Take in a dataset of another tool with its names, captions and tags: fullcast import seed FOLDER

    `prepare` then uses its pictures beside the others, and gives its people the names that the dataset gives them.
    Nothing in the dataset is run: a metadata file with a pickle in it is refused.

    Parameters
    ----------
    what
        seed (either version of the seed pipeline), kohya (its folders, TOML or metadata JSON), everydream1 or
        everydream2, dataset (Hugging Face imagefolder), webdataset.
    folder
        The dataset; for kohya also the path of its TOML.
    name
        Of the import; the folder's own by default. An import of the same name is replaced; by one of another folder
        only where this says so.
    source
        What its pictures are where the dataset does not say: screenshots, fanart or regularization.
    skip_pickles
        Leave out, and count, the pictures whose metadata holds a pickle, instead of refusing the dataset.
    """
    answer = open_journey(workspace, settings, json).import_dataset(
        what, folder, name=name, source=source, skip_pickles=skip_pickles
    )
    tell(answer, json)

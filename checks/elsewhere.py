"""Other people's programs, in environments that do not hold Fullcast: do they open what we write?"""

from __future__ import annotations

import os
import shutil
import sys
import venv
from pathlib import Path

from checks.framework import Context, Figure, passed, short
from checks.shows import command

HIDDEN = """
import importlib.abc, sys
class Hide(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "fullcast": raise ImportError("hidden by the check")
sys.meta_path.insert(0, Hide())
"""
"""Before every program: an import of Fullcast, which may be installed beside torch, fails."""

PLAIN_DIFFUSERS = """
import sys
import diffusers, torch, transformers
from diffusers import StableDiffusionPipeline
assert "fullcast" not in sys.modules
pipe = StableDiffusionPipeline.from_pretrained(sys.argv[1], safety_checker=None)
pipe.set_progress_bar_config(disable=True)
size = pipe.unet.config.sample_size
rows, columns = (size, size) if isinstance(size, int) else size
image = pipe("1 person", num_inference_steps=3, generator=torch.Generator().manual_seed(0)).images[0]
assert image.size == (columns * pipe.vae_scale_factor, rows * pipe.vae_scale_factor), image.size
assert "fullcast" not in sys.modules
print(f"diffusers {diffusers.__version__}, transformers {transformers.__version__}: {image.size}")
"""

IMAGEFOLDER = """
import sys
from datasets import load_dataset
data = load_dataset("imagefolder", data_dir=sys.argv[1], split="train")
row = data[0]
assert len(data) > 0 and row["image"].size[0] > 0 and isinstance(row["text"], str) and row["text"], row
print(len(data), "pictures;", ", ".join(data.column_names))
"""


def in_environment(context: Context, name: str, title: str, packages: list[str], code: str, argument: Path) -> Figure:
    """Runs code in a virtual environment that sees this one's packages (torch) and its own, newer first; isolated from
    this repository. Fullcast itself, if installed here, is hidden."""
    python = environment(context, title.replace(" ", "-"), packages)
    if isinstance(python, str):
        return short(name, python)
    return in_python(name, code, argument, python)


def in_python(name: str, code: str, argument: Path, python: str | Path = sys.executable) -> Figure:
    """Runs code in a Python, isolated from this repository; Fullcast, if installed there, is hidden."""
    ran = command([python, "-I", "-c", HIDDEN + code, argument], cwd=argument.parent)
    return passed(name, ran.code == 0, ran.out.strip() or ran.told)


def environment(context: Context, name: str, packages: list[str]) -> Path | str:
    """The environment's Python, made on first use; a sentence when it cannot be made."""
    folder = context.work_dir / "environments" / name
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not (folder / "ready").exists():
        context.say(f"making an environment with {', '.join(packages)}")
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        # A path file, not --system-site-packages: that would show the system's packages, not this environment's.
        here = next(p for p in sys.path if p.endswith("site-packages"))
        site = command([python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"]).out.strip()
        (Path(site) / "here.pth").write_text(here + "\n")
        # Torch is taken from here as it is; everything that the packages pull in comes new, in front of ours.
        ran = command([python, "-m", "pip", "install", "--quiet", *packages])
        if ran.code != 0:
            return f"pip install {' '.join(packages)} failed: {ran.told}"
        (folder / "ready").touch()
    return python

"""Tensors out of a `.ckpt` or `.pt` file without executing it.

torch's files are zip archives: a pickle that says which tensors there are, and each storage as a plain file. A pickle
is a program. This reader runs it with a few names that it knows, every one of them answered by a function in here that
builds a tensor, a dictionary or nothing; any other name ends the reading with a sentence. So nothing in the file can
call anything.
"""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from fullcast.store.errors import FullcastError

MAX_PROGRAM_BYTES = 64 << 20
"""Of the pickle itself. Stable Diffusion's is 0.3 MB; the weights lie beside it."""

STORAGES: Mapping[str, torch.dtype] = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}

NOT_NEEDED = {
    ("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint"),
    ("pytorch_lightning.callbacks", "ModelCheckpoint"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}
"""What the published SD 1.x files name in the state of their training. Answered by nothing at all: an `Unused`."""


class Unused:
    """Stands for an object that is of no use here; takes any state and keeps none."""

    def __setstate__(self, state: Any) -> None:
        pass


class _Known:
    """A name that the pickle may call. No type and no function of ours, so its program cannot change what it does."""

    __slots__ = ("_answer",)

    def __init__(self, answer: Callable[..., Any]) -> None:
        self._answer = answer

    def __call__(self, *arguments: Any) -> Any:
        return self._answer(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("sets the state of a function")


class _Dictionary(OrderedDict[Any, Any]):
    """torch hangs `_metadata` on its state dicts; it is left out."""

    def __setstate__(self, state: Any) -> None:
        pass


def read_torch_file(path: str | Path) -> Any:
    """What `torch.save` wrote: dictionaries, lists, numbers, tensors (on the CPU), `Unused` for the rest.

    Raises FullcastError when the file is none, is damaged, or names anything but tensors and plain values.
    """
    path = Path(path)
    if not zipfile.is_zipfile(path):
        raise FullcastError(
            f"{path} is no file that torch wrote since version 1.6 (a zip archive); save it anew as .safetensors"
        )
    with _said_in_one_sentence(path), zipfile.ZipFile(path) as archive:
        return _Reader(path, archive).read()


@contextmanager
def _said_in_one_sentence(path: Path) -> Iterator[None]:
    try:
        yield
    except FullcastError:
        raise
    except Exception as error:  # a damaged or forged program can fail anywhere
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise FullcastError(f"{path} cannot be read: {reason}") from error


class _Reader(pickle.Unpickler):
    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.path, self.archive = path, archive
        programs = [name for name in archive.namelist() if name.rsplit("/", 1)[-1] == "data.pkl"]
        if len(programs) != 1:
            raise FullcastError(f"{path} has {len(programs)} files called data.pkl, one is wanted: it holds no weights")
        if archive.getinfo(programs[0]).file_size > MAX_PROGRAM_BYTES:
            raise FullcastError(f"{path}: its pickle is larger than {MAX_PROGRAM_BYTES >> 20} MB, which no model's is")
        self.root = programs[0].removesuffix("data.pkl")
        if f"{self.root}byteorder" in archive.namelist() and archive.read(f"{self.root}byteorder") != b"little":
            raise FullcastError(f"{path} was written on a big-endian machine; save it anew as .safetensors")
        self.storages: dict[str, torch.Tensor] = {}
        super().__init__(archive.open(programs[0]))

    def read(self) -> Any:
        return self.load()

    def find_class(self, module: str, name: str) -> Any:
        """Only names that are known, and none of them the thing itself."""
        if (module, name) == ("collections", "OrderedDict"):
            return _Known(_Dictionary)
        if module in ("torch", "torch.storage") and name in STORAGES:
            return name
        if module == "torch._utils" and name in ("_rebuild_tensor_v2", "_rebuild_tensor"):
            return _Known(_tensor)
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return _Known(lambda tensor, *_: tensor)
        if (module, name) in NOT_NEEDED:
            return _Known(lambda *_: Unused())
        raise FullcastError(
            f"{self.path} is refused: its pickle asks for {module}.{name}, and a model needs nothing but tensors; "
            "get it as .safetensors from whoever made it"
        )

    def persistent_load(self, token: Any) -> torch.Tensor:
        """("storage", kind, file, device, numel) -> the whole storage as one flat tensor."""
        match token:
            case ("storage", str(kind), str(key), str(), int(numel)) if kind in STORAGES:
                return self.storages[key] if key in self.storages else self._storage(kind, key, numel)
        raise FullcastError(f"{self.path} is refused: its pickle names a storage in a way that torch does not")

    def _storage(self, kind: str, key: str, numel: int) -> torch.Tensor:
        info = self.archive.getinfo(f"{self.root}data/{key}")
        dtype = STORAGES[kind]
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != numel * dtype.itemsize:
            raise FullcastError(f"{self.path} is damaged: storage {key} has {info.file_size} bytes, not what it says")
        raw = bytearray(self.archive.read(info))
        self.storages[key] = torch.frombuffer(raw, dtype=dtype) if numel else torch.empty(0, dtype=dtype)
        return self.storages[key]


def _tensor(
    storage: torch.Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any
) -> torch.Tensor:
    """A view; torch refuses one that reaches beyond the storage."""
    return torch.as_strided(storage, size, stride, offset)


def tensors_in(content: Any) -> tuple[dict[str, torch.Tensor], dict[str, int]]:
    """(tensors by name, whole numbers such as global_step) of a checkpoint, wrapped in "state_dict" or bare."""
    if not isinstance(content, Mapping):
        return {}, {}
    inner = content.get("state_dict", content)
    if not isinstance(inner, Mapping):
        return {}, {}
    tensors = {str(name): value for name, value in inner.items() if isinstance(value, torch.Tensor)}
    numbers = {str(name): value for name, value in content.items() if type(value) is int}
    return tensors, numbers

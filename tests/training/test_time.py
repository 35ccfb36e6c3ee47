"""What a training says of its time: steps alone for speeds, everything from beginning to end for what it costs."""

import json
import time

import pytest

from fullcast.training.kept import read_state, state_path
from fullcast.training.loop import Beside, train
from tests.training.test_train import CONFIG, Captions, Pixels, Stream, asked_at, base  # noqa: F401

PICTURE_S, LOOK_S = 0.05, 0.4


class SlowPixels(Pixels):
    def pixels(self, sample_id, width, height):
        time.sleep(PICTURE_S)
        return super().pixels(sample_id, width, height)


def test_the_machine_is_paid_for_latents_looks_and_what_follows_the_last_save_over_all_calls(base, tmp_path):  # noqa: F811
    config = CONFIG.model_copy(update={"probe_every": 0, "sample_every": 4, "checkpoint_every": 100, "log_every": 1})
    told: list[float] = []
    beside = Beside(
        preview=lambda pipeline, step, folder: time.sleep(LOOK_S), tell=lambda s: told.append(s.wall_seconds) or ""
    )
    since = time.monotonic()
    stream = Stream(num_steps=4)
    first = train(base, stream, SlowPixels(), Captions(), config, tmp_path, stop=asked_at(stream, 1), beside=beside)
    slept = 8 * PICTURE_S  # four pictures in two sizes
    before = read_state(first.checkpoint)
    assert before.wall_seconds > before.seconds + slept and before.wall_seconds > told[-1] > slept
    last = train(base, stream, SlowPixels(), Captions(), config, tmp_path, beside=beside)
    after = read_state(last.checkpoint)
    assert last.finished and after.step == 4
    assert after.wall_seconds > after.seconds + slept + LOOK_S, "the pictures were drawn after the save"
    assert after.wall_seconds < time.monotonic() - since and told == sorted(told)
    assert last.seconds == after.seconds < after.wall_seconds - LOOK_S


def test_a_state_from_before_it_was_counted_begins_with_what_its_steps_took(base, tmp_path):  # noqa: F811
    config = CONFIG.model_copy(update={"probe_every": 0, "sample_every": 0})
    stream = Stream(num_steps=3)
    first = train(base, stream, Pixels(), Captions(), config, tmp_path, stop=asked_at(stream, 0))
    path = state_path(first.checkpoint)
    told = json.loads(path.read_text())
    del told["wall_seconds"]
    path.write_text(json.dumps(told | {"seconds": 100.0}))
    assert read_state(first.checkpoint).wall_seconds == 100.0
    last = read_state(train(base, stream, Pixels(), Captions(), config, tmp_path).checkpoint)
    assert last.step == 3 and last.wall_seconds > last.seconds > 100.0


def test_a_full_disk_at_the_very_end_costs_that_figure_alone(base, tmp_path, monkeypatch):  # noqa: F811
    def full(*given, **settings):
        raise OSError(28, "No space left on device")

    config = CONFIG.model_copy(update={"probe_every": 0, "sample_every": 1, "background_saves": False})
    beside = Beside(preview=lambda *given: monkeypatch.setattr("fullcast.training.checkpoint.write_json", full))
    done = train(base, Stream(num_steps=1), Pixels(), Captions(), config, tmp_path, beside=beside)
    assert done.finished and read_state(done.checkpoint).wall_seconds == pytest.approx(done.seconds, abs=60)

"""The training loop on a micro model: resuming is exact, ranks do not change what is trained, trouble is named."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from benchmarks.serving_server import free_port
from dysenvdm import progress
from dysenvdm.training import loop, run
from dysenvdm.training.autoencoder import AutoencoderPhase
from dysenvdm.training.checkpoint_files import find_checkpoints
from dysenvdm.training.ema import ExponentialMovingAverage
from planners.dsg import UserError

RECIPE = {
    "name": "micro-autoencoder",
    "phase": "autoencoder",
    "data": {"frames": 8, "size": 32, "validation_clips": 2, "workers": 0},
    "model": {"preset": "micro"},
    "train": {"steps": 4, "batch_size": 2, "lr": 1e-3, "warmup": 1, "ema": 0.9},
    "log": {"every": 1, "validate_every": 2, "sample_every": 4, "checkpoint_every": 2},
}

AT_A_TERMINAL = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
"""Where tests run behind a shell's `&`, SIGINT is ignored."""
JOINED = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
"""What a run in this process has set in its environment."""


def recipe_file(folder: Path, **changes: object) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump({**RECIPE, "run": str(folder / "run"), **changes}))
    return path


def weights(model: Path) -> dict[str, torch.Tensor]:
    return load_file(model / "diffusion_pytorch_model.safetensors")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(recipe_file(tmp_path_factory.mktemp("whole")), [])


def test_resumed_equals_uninterrupted(uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, prepare, calls = recipe_file(tmp_path), AutoencoderPhase.prepare, []

    def power_cut(self: AutoencoderPhase, samples: list) -> dict:
        calls.append(samples)
        if len(calls) == 4:  # the fourth step; the checkpoint is that of step 2
            raise KeyboardInterrupt
        return prepare(self, samples)

    with monkeypatch.context() as patch:
        patch.setattr(AutoencoderPhase, "prepare", power_cut)
        with pytest.raises(KeyboardInterrupt):
            run(recipe, [])
    assert not (tmp_path / "run" / "model").exists()
    resumed = weights(run(recipe, []))
    for name, value in weights(uninterrupted).items():
        assert torch.equal(value, resumed[name]), name


def test_a_log_file_is_told_how_far_the_run_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.0)
    run(recipe_file(tmp_path), [])
    written = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    losses = [line["loss"] for line in map(json.loads, written) if "loss" in line]
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("micro-autoencoder (")]
    assert [line.split(", 0:")[0] for line in said] == [
        f"micro-autoencoder ({25 * step}%), step {step}, loss {loss:.4f}" for step, loss in enumerate(losses, start=1)
    ]


@pytest.mark.parametrize(("told", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_told_to_stop_it_saves_the_step_in_hand(
    told: signal.Signals, code: int, uninterrupted: Path, tmp_path: Path
) -> None:
    """SIGINT to the whole group, as a terminal sends it, so that the loader's process hears it, too."""
    recipe = recipe_file(tmp_path, log={**RECIPE["log"], "checkpoint_every": 1000, "validate_every": 1000})
    command = [sys.executable, "-c", f"{AT_A_TERMINAL}; from dysenvdm.cli.main import main; main()", "train"]
    log = tmp_path / "run" / "log.jsonl"
    process = subprocess.Popen(
        [*command, str(recipe), "--set", "data.workers=1", "--set", "train.steps=1000000"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={name: value for name, value in os.environ.items() if name not in JOINED},
    )
    try:
        while process.poll() is None and not (log.exists() and log.stat().st_size):
            time.sleep(0.05)
        assert process.poll() is None, process.communicate()[1]
        (os.killpg if told == signal.SIGINT else os.kill)(process.pid, told)
        _, errors = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == code, errors
    checkpoints, _ = find_checkpoints(tmp_path / "run")
    steps = [json.loads(line)["step"] for line in log.read_text().splitlines()]
    assert [checkpoint.step for checkpoint in checkpoints] == [steps[-1]]
    assert f"told to stop: step {steps[-1]} is saved" in " ".join(errors.split())
    assert "Traceback" not in errors


def test_two_ranks_train_what_one_rank_trains(uninterrupted: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "deepspeed.launcher.runner",
        "--num_accelerators",
        "2",
        "--master_addr",
        "127.0.0.1",
    ]
    command += ["--module", "dysenvdm.training", str(recipe_file(tmp_path))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    ours = weights(tmp_path / "run" / "model")
    for name, value in weights(uninterrupted).items():
        # The same samples and noise; only the order of the sums over the batch differs, which Adam amplifies a little.
        assert torch.allclose(value, ours[name], atol=2e-3), name


def test_ranks_that_end_at_once_end_well() -> None:
    """Their signs of life go through torch's code without a pause here: ended there, a thread aborts its process."""
    code = "from dysenvdm.training import ranks; ranks.BEAT = 0; ranks.join_ranks('gloo', 1); ranks.dist.barrier()"
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, **shared, "RANK": rank, "LOCAL_RANK": rank},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in "01"
    ]
    for one in started:
        _, said = one.communicate(timeout=120)
        assert one.returncode == 0, said


def test_nobody_leaves_a_meeting_that_another_rank_still_looks_for() -> None:
    """The first rank has the ranks' store: the others look for it less and less often, and must find it."""
    code = (
        "import time; from dysenvdm.training import ranks; rank, *_ = ranks.join_ranks('gloo', 1); "
        "time.sleep(4 * (rank == 0)); print(ranks.meet(0, 'late' if rank == 0 else None)); ranks.leave(0)"
    )
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, **shared, "RANK": rank, "LOCAL_RANK": rank},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in "01"
    ]
    assert ["late" in one.communicate(timeout=60)[0] for one in started] == [True, True]
    assert [one.returncode for one in started] == [0, 0]


def test_a_run_leaves_logs_sheets_and_its_recipe(uninterrupted: Path) -> None:
    folder = uninterrupted.parent
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["kind"] == "train"] == [1, 2, 3, 4]
    assert [line["step"] for line in lines if line["kind"] == "validation"] == [2, 4]
    assert (folder / "samples" / "step-000004.png").is_file()
    assert list((folder / "tensorboard").glob("events.*"))
    assert yaml.safe_load((folder / "recipe.yaml").read_text())["train"]["warmup"] == 1
    assert sorted(path.name for path in (folder / "checkpoints").glob("step-*")) == ["step-0000002", "step-0000004"]


def test_a_folder_with_another_run_is_refused(uninterrupted: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"another 'seed'.*--set run="):
        run(recipe_file(tmp_path), [f"run={uninterrupted.parent}", "seed=5"])


def test_a_run_that_never_began_binds_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The advice of an error before the first step, a smaller batch, is followed in the same folder."""

    def too_much(*_: object, **__: object) -> None:
        raise UserError("lower it")

    with monkeypatch.context() as patch:
        patch.setattr(loop.Trainer, "train", too_much)
        with pytest.raises(UserError, match="lower it"):
            run(recipe_file(tmp_path), ["train.batch_size=4"])
    run(recipe_file(tmp_path), ["train.batch_size=2"])
    assert yaml.safe_load((tmp_path / "run/recipe.yaml").read_text())["train"]["batch_size"] == 2


def test_a_run_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file.*cannot be made.*--set run=FOLDER"):
        run(recipe_file(tmp_path), [f"run={tmp_path / 'file' / 'run'}"])


def test_a_loss_that_is_not_finite_stops_with_the_clips_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare = AutoencoderPhase.prepare

    def poisoned(self: AutoencoderPhase, samples: list) -> dict:
        inputs = prepare(self, samples)
        return {**inputs, "images": inputs["images"] * torch.inf}

    monkeypatch.setattr(AutoencoderPhase, "prepare", poisoned)
    with pytest.raises(UserError, match=r"step 0: .*not finite on clips \[\d+, \d+\]"):
        run(recipe_file(tmp_path), [])


@pytest.mark.parametrize(
    ("change", "message"), [("train.batch_size=3", "micro_batch: 2"), ("model.preset=huge", "preset")]
)
def test_bad_recipes_are_refused(tmp_path: Path, change: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        run(recipe_file(tmp_path), [change, "train.micro_batch=2"])


def test_gradient_accumulation_does_not_change_the_result(uninterrupted: Path, tmp_path: Path) -> None:
    ours = weights(run(recipe_file(tmp_path), ["train.micro_batch=1"]))
    for name, value in weights(uninterrupted).items():
        assert torch.allclose(value, ours[name], atol=2e-3), name


def test_the_average_is_what_is_exported(tmp_path: Path) -> None:
    """With a decay of 0 the average is the last step's weights, which differ from an average with memory."""
    plain = weights(run(recipe_file(tmp_path), ["train.ema=0.0"]))
    trainer_ema = weights(run(recipe_file(tmp_path), [f"run={tmp_path / 'b'}", "train.ema=0.99"]))
    assert any(not torch.equal(plain[name], trainer_ema[name]) for name in plain)
    assert loop.learning_rate_factor(4, loop.load_recipe(recipe_file(tmp_path), []).train) == 0


def test_a_run_ends_on_time_with_all_that_a_run_leaves(tmp_path: Path) -> None:
    model = run(recipe_file(tmp_path), ["train.minutes=1e-6"])
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [(line["step"], line["kind"]) for line in lines] == [(1, "train"), (1, "validation")]
    assert weights(model)


def test_the_rate_falls_by_time_as_by_steps(tmp_path: Path) -> None:
    train = loop.load_recipe(recipe_file(tmp_path), ["train.minutes=2", "train.steps=1000000", "train.warmup=0"]).train
    by_time = [loop.learning_rate_factor(0, train, seconds) for seconds in (0, 60, 105, 119.999, 120, 500)]
    assert by_time == pytest.approx([1, 1, 0.5, 0, 0, 0], abs=1e-4)


def test_an_average_may_be_brought_up_to_date_less_often() -> None:
    module = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(module.weight)
    often, seldom = ExponentialMovingAverage(module, 0.5), ExponentialMovingAverage(module, 0.5, every=2)
    torch.nn.init.ones_(module.weight)
    for average in (often, seldom):
        average.updates = 10**6  # far from the beginning, where the decay is smaller
        for _ in range(4):
            average.update(module)
    assert seldom.average["weight"].item() == pytest.approx(often.average["weight"].item())

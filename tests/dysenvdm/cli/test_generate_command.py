"""``dysenvdm generate`` and ``plan`` with a stand-in planner and pipeline: what they ask for, write and refuse."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from dysenvdm import models, pipeline
from dysenvdm.cli import making
from dysenvdm.generation.limits import TrainedRange
from dysenvdm.generation.windows import Windows
from dysenvdm.video import read_mp4, read_recipe
from planners import plugins
from planners.contracts import PlanResult
from planners.dsg import DynamicSceneGraph, Fact, UserError

PROMPT = "A girl walks to the box, then she jumps over it."


class FakeResult(PlanResult):
    """A plan with a known hash."""

    @property
    def transcript_sha256(self) -> str:
        return "ab" * 32


@dataclass
class FakePlanner:
    """Answers every prompt with one graph; the prompt "hopeless" with none, "silent" with an empty one, "vague" with a
    degraded one."""

    dsg: DynamicSceneGraph
    calls: list[dict[str, Any]] = field(default_factory=list)

    def plan(self, prompts: list[str], *, ticks: int, seed: int, on_progress: Any) -> list[Any]:
        self.calls.append({"prompts": prompts, "ticks": ticks, "seed": seed})
        on_progress("converted", 0.5)
        return [
            FakeResult(
                prompt=prompt,
                plan=None,
                stages={} if prompt == "hopeless" else {"polished": self._graph(prompt, ticks)},
                transcript=[],
                degraded="no events" if prompt in ("hopeless", "vague", "silent") else None,
            )
            for prompt in prompts
        ]

    def _graph(self, prompt: str, ticks: int) -> DynamicSceneGraph:
        return DynamicSceneGraph(prompt=prompt, ticks=ticks) if prompt == "silent" else self.dsg.replace(prompt=prompt)


class FakePipeline:
    """Draws each seed as a grey; checks frames as the real one does."""

    trained = TrainedRange(16, 8, 32, 32)
    unet = None
    scene_adapter = SimpleNamespace(untrained_labels=lambda dsg: [])
    calls: list[dict[str, Any]]

    def __init__(self) -> None:
        self.calls = []
        self.text_encoder = SimpleNamespace(encode=self._encode)

    def _encode(self, prompts: list[str]) -> None:
        if any("64 tokens" in prompt for prompt in prompts):
            raise UserError("prompt: too many tokens; shorten the prompt")

    def check_inputs(self, prompts: Any, dsgs: Any, seeds: Any, frames: int, steps: int, *size: Any) -> None:
        del prompts, dsgs, seeds, steps, size
        if frames % 4:
            raise UserError(f"frames: {frames} is not a multiple of 4")

    def windows(self, frames: int, window: int | None, overlap: int | None) -> Windows:
        return Windows.of(frames, window or 16, overlap, 4)

    def to(self, device: Any) -> None:
        assert str(device) == "cpu"

    def __call__(self, prompts: list[str], dsgs: Any, **options: Any) -> np.ndarray:
        self.calls.append({"prompts": prompts, "dsgs": dsgs, **options})
        for step in range(options["num_inference_steps"]):
            options["on_step"](step + 1, options["num_inference_steps"], None)
        return np.stack([np.full((options["num_frames"], 32, 32, 3), 10 + s, np.uint8) for s in options["seeds"]])


@pytest.fixture
def planner(monkeypatch: pytest.MonkeyPatch, dsg: DynamicSceneGraph) -> FakePlanner:
    fake = FakePlanner(dsg)
    monkeypatch.setattr(plugins, "planner_names", lambda: ["fake", plugins.DEFAULT_PLANNER])
    monkeypatch.setattr(plugins, "check_options", lambda name, options: dict(options))
    built = {"fake": fake, plugins.DEFAULT_PLANNER: fake}
    monkeypatch.setattr(plugins, "get_planner", lambda name, **options: built[name])
    return fake


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakePipeline:
    """A stand-in pipeline, and a model store with small files under the names of the real models."""
    monkeypatch.setenv("DYSENVDM_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(models, "CHECKPOINTS", tmp_path / "checkpoints")
    monkeypatch.setattr(models, "DEFAULT_MODEL", "mine")
    source = tmp_path / "source"
    source.mkdir()
    save_file({"w": np.zeros(2, np.float32)}, source / "model.safetensors")
    for name in ("mine", models.TEXT_MODEL, models.PLANNER_MODEL):
        models.import_model(name, source)
    fake = FakePipeline()
    monkeypatch.setattr(pipeline.DysenVDMPipeline, "from_pretrained", lambda _folder, dtype: fake)
    return fake


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    path = tmp_path / "outputs"
    path.mkdir()
    return path


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_prompt_gives_four_files_that_agree(run, planner, pipe, outputs: Path) -> None:
    done = run("generate", PROMPT, "-o", outputs / "out.mp4", "--seed", 5, "--steps", 3, "--planner", "fake")
    assert done.code == 0, done.err
    assert names(outputs) == {"out.mp4", "out.json", "out.png", "out.dsg.json"}
    recipe = json.loads((outputs / "out.json").read_text())
    assert recipe == read_recipe(outputs / "out.mp4")
    assert (recipe["prompt"], recipe["seed"], recipe["steps"], recipe["planner"]) == (PROMPT, 5, 3, "fake")
    assert recipe["dsg"] == DynamicSceneGraph.load(outputs / "out.dsg.json").to_dict()
    assert recipe["transcript_sha256"] == "ab" * 32
    assert recipe["weights"]["mine"] == models.verify(models.locate("mine"))
    assert set(recipe["versions"]) >= {"dysenvdm", "python", "torch", "diffusers"}
    assert str(outputs.parent) not in (outputs / "out.json").read_text()
    assert read_mp4(outputs / "out.mp4").shape == (16, 32, 32, 3)
    Image.open(outputs / "out.png").verify()
    assert planner.calls == [{"prompts": [PROMPT], "ticks": 8, "seed": 5}]
    assert pipe.calls[0]["seeds"] == [5]
    assert pipe.calls[0]["dsgs"][0].prompt == PROMPT


def test_the_recipe_names_the_planners_weights_only_where_they_were_used(run, planner, pipe, outputs: Path) -> None:
    for name, used in (("smollm2", True), ("fake", False)):
        run("generate", PROMPT, "-o", outputs / "out.mp4", "--steps", 1, "--planner", name)
        weights = json.loads((outputs / "out.json").read_text())["weights"]
        assert (models.PLANNER_MODEL in weights) is used


def test_the_recipe_names_the_planners_model_that_was_chosen(run, planner, pipe, outputs: Path, tmp_path: Path) -> None:
    chosen = ["--planner-option", f"model={tmp_path / 'source'}"]
    assert run("generate", PROMPT, "-o", outputs / "out.mp4", "--steps", 1, *chosen).code == 0
    weights = json.loads((outputs / "out.json").read_text())["weights"]
    assert "source" in weights
    assert models.PLANNER_MODEL not in weights


def test_options_reach_the_pipeline(run, planner, pipe, outputs: Path) -> None:
    options = {"--guidance": 2.5, "--scene-guidance": 3, "--negative": "rain", "--frames": 8, "--scheduler": "ddim"}
    options |= {"--scene-mode": "broadcast", "--imagined-weight": 0.5}
    flat = [part for pair in options.items() for part in pair]
    assert run("generate", PROMPT, "-o", outputs / "o.mp4", "--steps", 2, "--scale", 3, "--fps", 4, *flat).code == 0
    call = pipe.calls[0]
    assert (call["guidance_scale"], call["scene_guidance_scale"], call["negative_prompt"]) == (2.5, 3, "rain")
    assert (call["num_frames"], call["num_inference_steps"], call["scheduler"]) == (8, 2, "ddim")
    assert (call["scene_mode"], call["imagined_weight"]) == ("broadcast", 0.5)
    recipe = read_recipe(outputs / "o.mp4")
    assert (recipe["scene_mode"], recipe["imagined_weight"]) == ("broadcast", 0.5)
    assert read_mp4(outputs / "o.mp4").shape == (8, 96, 96, 3)


def test_a_given_graph_is_obeyed_and_nothing_is_planned(run, planner, pipe, outputs, dsg, dsg_file) -> None:
    edited = dsg.veto(["imagined"])
    edited.save(dsg_file)
    assert run("generate", "--dsg", dsg_file, "-o", outputs / "out.mp4", "--steps", 1).code == 0
    assert planner.calls == []
    assert pipe.calls[0]["dsgs"] == [edited]
    assert pipe.calls[0]["prompts"] == [dsg.prompt]
    recipe = read_recipe(outputs / "out.mp4")
    assert (recipe["dsg"], recipe["planner"], recipe["transcript_sha256"]) == (edited.to_dict(), None, None)


def test_no_plan_leaves_the_prompt_alone(run, planner, pipe, outputs: Path) -> None:
    (outputs / "out.dsg.json").write_text("of an older run")
    assert run("generate", PROMPT, "--no-plan", "-o", outputs / "out.mp4", "--steps", 1).code == 0
    assert planner.calls == []
    assert (pipe.calls[0]["prompts"], pipe.calls[0]["dsgs"]) == ([PROMPT], None)
    assert names(outputs) == {"out.mp4", "out.json", "out.png"}


def test_a_batch_is_planned_at_once_and_seeded_one_by_one(run, planner, pipe, outputs, tmp_path) -> None:
    prompts = [f"A dog runs {i} times." for i in range(6)]
    (tmp_path / "prompts.txt").write_text("\n\n".join(prompts))
    done = run("generate", "--batch", tmp_path / "prompts.txt", "-o", outputs / "all", "--seed", 10, "--steps", 1)
    assert done.code == 0, done.err
    assert planner.calls[0]["prompts"] == prompts
    assert [seed for call in pipe.calls for seed in call["seeds"]] == list(range(10, 16))
    assert max(len(call["prompts"]) for call in pipe.calls) == making.AT_ONCE
    assert names(outputs / "all") == {
        f"{i:04d}{s}" for i in range(1, 7) for s in (".mp4", ".json", ".png", ".dsg.json")
    }
    recipe = read_recipe(outputs / "all" / "0006.mp4")
    assert (recipe["prompt"], recipe["seed"]) == (prompts[5], 15)
    assert read_mp4(outputs / "all" / "0006.mp4")[0, 0, 0] == pytest.approx(10 + 15, abs=2)


def test_a_degraded_plan_is_named_and_recorded(run, planner, pipe, outputs: Path) -> None:
    done = run("generate", "vague", "-o", outputs / "out.mp4", "--steps", 1)
    assert done.code == 0
    assert "warning: degraded plan for 'vague': no events" in done.err
    assert read_recipe(outputs / "out.mp4")["degraded"] == "no events"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([""], "prompt: empty"),
        (["  \n"], "prompt: empty"),
        (["x" * 10_000], "10000 characters; shorten it to at most 2000"),
        ([], "prompt: missing"),
        (["64 tokens"], "too many tokens"),
        ([PROMPT, "--negative", "x" * 10_000], "--negative: 10000 characters"),
        ([PROMPT, "--negative", "64 tokens"], "too many tokens"),
        ([PROMPT, "--planner", "nothing"], "--planner 'nothing': no such planner; there are: fake"),
        ([PROMPT, "--scheduler", "nothing"], "--scheduler 'nothing': no such scheduler; there are: ddim"),
        ([PROMPT, "--model", "nothing"], "model 'nothing': no such folder"),
        ([PROMPT, "--model", "{tmp}/pickles"], "pickled weights only"),
        ([PROMPT, "--model", "spoiled"], "SHA-256"),
        ([PROMPT, "--frames", "15"], "15 is not a multiple of 4"),
        ([PROMPT, "--frames", "0"], "--frames"),
        ([PROMPT, "--steps", "0"], "--steps"),
        ([PROMPT, "--guidance", "nan"], "--guidance"),
        ([PROMPT, "--seed", "-1"], "--seed"),
        ([PROMPT, "--dsg", "{tmp}/none.json"], "cannot be read"),
        ([PROMPT, "--dsg", "{tmp}/broken.json"], "not valid JSON"),
        (["--dsg", "{tmp}/silent.json"], "silent.json prompt: empty"),
        ([PROMPT, "--dsg", "{tmp}/silent.json", "--planner", "fake"], "--dsg: the file is the plan"),
        ([PROMPT, "--dsg", "{tmp}/silent.json", "--no-plan"], "--no-plan: takes neither"),
        ([PROMPT, "--no-plan", "--planner", "fake"], "--no-plan: takes neither"),
        ([PROMPT, "-o", "{out}/no/out.mp4"], "does not exist; create it first"),
        ([PROMPT, "-o", "{out}/out.avi"], "an .mp4 file"),
        ([PROMPT, "--batch", "{tmp}/prompts.txt", "-o", "{out}/all"], "leave out the prompt"),
        (["--batch", "{tmp}/none.txt", "-o", "{out}/all"], "cannot be read as text"),
        (["--batch", "{tmp}/blank.txt", "-o", "{out}/all"], "no prompts; write one per line"),
        (["--batch", "{tmp}/long.txt", "-o", "{out}/all"], "long.txt line 2: 3000 characters"),
        (["--batch", "{tmp}/prompts.txt", "-o", "{out}/out.mp4"], "give a folder to -o"),
        (["--batch", "{tmp}/prompts.txt", "-o", "{out}/no/all"], "does not exist; create it first"),
        (["--batch", "{tmp}/prompts.txt", "-o", "{out}/all", "--frames", "15"], "15 is not a multiple of 4"),
        ([PROMPT, "--no-plan", "--transcript", "{out}/t.json"], "--transcript: is of one prompt that is planned"),
        (["--batch", "{tmp}/prompts.txt", "-o", "{out}/all", "--transcript", "{out}/t.json"], "--transcript: is of"),
        ([PROMPT, "--transcript", "{out}/out.json"], "--transcript {out}/out.json: would be overwritten by the recipe"),
        ([PROMPT, "--transcript", "{out}/no/t.json"], "does not exist; create it first"),
        ([PROMPT, "--no-plan", "--allow-empty"], "--allow-empty: nothing is planned"),
        (["hopeless"], "found no plan (no events); try another --seed or --planner"),
        (["silent"], "prompt 'silent': smollm2 found no plan (no events); try another --seed or --planner"),
    ],
)
def test_a_mistake_is_one_line_before_anything_slow_and_leaves_nothing(
    run, only_line, planner, pipe, outputs: Path, tmp_path: Path, arguments: list[str], words: str
) -> None:
    (tmp_path / "pickles").mkdir()
    (tmp_path / "pickles" / "pytorch_model.bin").write_bytes(b"")
    (models.import_model("spoiled", tmp_path / "source") / "model.safetensors").write_bytes(b"")
    DynamicSceneGraph(ticks=4).save(tmp_path / "silent.json")
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "prompts.txt").write_text(PROMPT)
    (tmp_path / "blank.txt").write_text("\n\n")
    (tmp_path / "long.txt").write_text(f"{PROMPT}\n{'x' * 3000}")
    filled = [text.format(tmp=tmp_path, out=outputs) for text in arguments]
    target = [] if "-o" in filled else ["-o", outputs / "out.mp4"]
    assert words.format(out=outputs) in only_line(run("generate", *filled, *target))
    assert names(outputs) == set()
    assert pipe.calls == []
    assert planner.calls == [] or arguments in (["hopeless"], ["silent"])


@pytest.mark.parametrize("prompt", ["hopeless", "silent"])
def test_an_empty_plan_is_taken_where_that_is_allowed(run, planner, pipe, outputs: Path, prompt: str) -> None:
    done = run("generate", prompt, "-o", outputs / "out.mp4", "--steps", 1, "--allow-empty")
    assert done.code == 0, done.err
    assert f"warning: degraded plan for '{prompt}': no events" in done.err
    assert pipe.calls[0]["dsgs"] == [DynamicSceneGraph(prompt=prompt, ticks=8)]
    assert run("plan", prompt, "-o", outputs / "plan.json", "--allow-empty").code == 0
    assert DynamicSceneGraph.load(outputs / "plan.json").facts == ()


def test_every_prompt_without_a_plan_is_named(run, planner, pipe, outputs: Path, tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("hopeless\nsilent\n")
    done = run("generate", "--batch", tmp_path / "prompts.txt", "-o", outputs / "all")
    assert done.code == 2
    assert [line.split(":")[1].strip() for line in done.err.splitlines()] == ["prompt 'hopeless'", "prompt 'silent'"]
    assert names(outputs) == set()


def test_prompts_without_a_plan_do_not_cost_the_others_their_videos(run, planner, pipe, outputs, tmp_path) -> None:
    (tmp_path / "prompts.txt").write_text("hopeless\nA dog runs.\nsilent\nA cat runs.\n")
    done = run("generate", "--batch", tmp_path / "prompts.txt", "-o", outputs / "all", "--seed", 5, "--steps", 1)
    assert done.code == 2
    for words in ("prompt 'hopeless': smollm2 found no plan", "prompt 'silent': smollm2 found no plan"):
        assert words in done.err
    assert done.err.splitlines()[-1].endswith("2 of 4 prompts have no plan and no video, for the reasons above")
    assert {Path(name).name.partition(".")[0] for name in names(outputs / "all")} == {"0002", "0004"}
    assert [seed for call in pipe.calls for seed in call["seeds"]] == [6, 8], "seeds are those of the lines"


def test_the_transcript_is_written_beside_the_video(run, planner, pipe, outputs: Path, monkeypatch) -> None:
    options = ["--steps", 1, "--ticks", 8, "--seed", 3, "--transcript", outputs / "t.json"]
    done = run("generate", PROMPT, "-o", outputs / "out.mp4", *options)
    assert done.code == 0, done.err
    transcript = json.loads((outputs / "t.json").read_text())
    assert (transcript["prompt"], transcript["planner"], transcript["seed"]) == (PROMPT, "smollm2", 3)
    assert transcript["sha256"] == read_recipe(outputs / "out.mp4")["transcript_sha256"]


def test_a_plan_that_contradicts_itself_is_named_in_one_line(run, planner, outputs: Path) -> None:
    more = [Fact(subject="girl", attribute=look, start=6, end=8, source="imagined") for look in ("wet", "dry", "sad")]
    planner.dsg = planner.dsg.extended(more)
    done = run("plan", PROMPT, "-o", outputs / "p.json")
    assert done.code == 0
    [line] = [line for line in done.err.splitlines() if line.startswith("warning")]
    numbers = {fact.label: i for i, fact in enumerate(planner.dsg.facts, 1)}
    for a, b in (("happy", "sad"), ("dry", "wet")):
        i, j = sorted((numbers[a], numbers[b]))
        assert f"facts {i} and {j} (" in line
    checked = run("dsg", "validate", outputs / "p.json")
    assert checked.code == 0
    assert f"p.json: contradicts itself: {line.split('itself: ')[1]}" in checked.err


def test_a_failure_while_writing_leaves_no_part_of_a_video(run, planner, pipe, outputs, monkeypatch) -> None:
    def broken(*_: object) -> None:
        raise UserError("sheet: broken")

    monkeypatch.setattr("dysenvdm.video.contact_sheet", broken)
    assert run("generate", PROMPT, "-o", outputs / "out.mp4", "--steps", 1).code == 2
    assert names(outputs) == set()


def test_plan_writes_the_graph_and_on_request_the_transcript(run, planner, outputs: Path) -> None:
    done = run("plan", PROMPT, "-o", outputs / "p.json", "--transcript", outputs / "t.json", "--ticks", 12, "--seed", 3)
    assert done.code == 0, done.err
    assert DynamicSceneGraph.load(outputs / "p.json").prompt == PROMPT
    transcript = json.loads((outputs / "t.json").read_text())
    assert transcript["format"] == "dysenvdm.transcript/1"
    assert (transcript["prompt"], transcript["ticks"], transcript["seed"]) == (PROMPT, 12, 3)
    assert (transcript["planner"], transcript["imagine"], transcript["calls"]) == ("smollm2", True, [])
    assert planner.calls == [{"prompts": [PROMPT], "ticks": 12, "seed": 3}]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["", "-o", "{out}/p.json"], "prompt: empty"),
        (["x" * 10_000, "-o", "{out}/p.json"], "10000 characters"),
        ([PROMPT, "-o", "{out}/no/p.json"], "does not exist; create it first"),
        ([PROMPT, "-o", "{out}/p.json", "--planner", "nothing"], "no such planner"),
        (["hopeless", "-o", "{out}/p.json", "--transcript", "{out}/t.json"], "found no plan"),
    ],
)
def test_plan_mistakes_leave_nothing(run, only_line, planner, outputs, arguments: list[str], words: str) -> None:
    assert words in only_line(run("plan", *(text.format(out=outputs) for text in arguments)))
    assert names(outputs) == set()


def test_planners_lists_the_default_marked_and_names_broken_plugins(run, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run("planners")
    assert (done.code, done.err) == (0, "")
    [line] = [line for line in done.out.splitlines() if "(default)" in line]
    assert line.startswith(plugins.DEFAULT_PLANNER)
    monkeypatch.setattr(plugins, "broken_plugins", lambda: {"odd": "ImportError: no module"})
    done = run("planners")
    assert done.code == 1
    assert done.err.strip() == "warning: plugin 'odd' could not be used: ImportError: no module"


def test_train_mistakes_are_one_line(run, only_line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no such recipe file" in only_line(run("train", tmp_path / "none.yaml"))
    (tmp_path / "recipe.yaml").write_text("{}")
    monkeypatch.setattr("dysenvdm.cli.train.find_spec", lambda _name: None)
    assert "training needs deepspeed; run: " in only_line(run("train", tmp_path / "recipe.yaml"))

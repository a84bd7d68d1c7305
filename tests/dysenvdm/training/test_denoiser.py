"""The denoiser phase: what it drops, what its loss weighs, and that what it exports generates."""

from dataclasses import fields, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from dysenvdm.backbones import build_vae
from dysenvdm.data.corpora import open_corpus
from dysenvdm.data.distractors import MOST, distracted
from dysenvdm.data.stage import foreground_cells, load_sample
from dysenvdm.data.steps import Curriculum, Steps
from dysenvdm.pipeline import EMPTY_SCENE, DysenVDMPipeline
from dysenvdm.stage import sample
from dysenvdm.training import run
from dysenvdm.training.denoiser import DenoiserPhase, without_imagined
from dysenvdm.training.networks import build_scheduler
from dysenvdm.training.recipe import load_recipe
from planners.dsg import UserError

PLAYED = partial(load_sample, frames=8, size=32, ticks=8, render=False)


@pytest.fixture(autouse=True)
def _store(store: Path) -> None: ...


def recipe_file(folder: Path) -> Path:
    build_vae("micro").save_pretrained(folder / "vae")
    path = folder / "recipe.yaml"
    content = {
        "name": "micro-denoiser",
        "phase": "denoiser",
        "run": str(folder / "run"),
        "data": {"frames": 8, "size": 64, "clips": 4, "cache": True, "validation_clips": 1, "workers": 0},
        # The stand-in for MiniLM spells most words letter by letter and needs more tokens.
        "model": {"preset": "micro", "vae": str(folder / "vae"), "gate": 0.0, "max_tokens": 256},
        "loss": {"foreground": 3.0},
        "train": {"steps": 2, "batch_size": 2, "lr": 1e-3},
        "log": {"every": 1, "validate_every": 2, "sample_every": 2, "checkpoint_every": 2, "sample_steps": 2},
    }
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture
def phase(tmp_path: Path) -> DenoiserPhase:
    torch.manual_seed(0)
    return DenoiserPhase(load_recipe(recipe_file(tmp_path), []), torch.device("cpu"))


def samples(phase: DenoiserPhase, *, render: bool) -> list:
    data = phase.recipe.data
    fresh = partial(load_sample, frames=data.frames, size=data.size, ticks=data.ticks, render=True)
    read = fresh if render else phase.read
    return Steps(Curriculum(batch=4), seed=0, rank=0, world=1, clips=4, frames=data.frames, read=read)[0]


def test_the_exported_folder_generates(tmp_path: Path) -> None:
    folder = run(recipe_file(tmp_path), [])
    assert (tmp_path / "run" / "samples" / "step-000002.png").is_file()
    assert (tmp_path / "run" / "curves.png").is_file()
    for path in folder.rglob("*.json"):
        assert str(tmp_path) not in path.read_text(), "what is exported says nothing of the machine"
    pipeline = DysenVDMPipeline.from_pretrained(folder)
    video = pipeline(["a girl walks"], None, num_frames=8, num_inference_steps=1, seeds=[0])[0]
    assert video.shape == (8, 64, 64, 3)


def test_the_cached_corpus_is_what_is_played_and_encoded_on_the_fly(phase: DenoiserPhase) -> None:
    cached, fresh = (phase.collate(samples(phase, render=render)) for render in (False, True))
    latents, encoded = phase._latents(cached), phase._latents(fresh)
    assert torch.allclose(latents, encoded, atol=2e-2 * encoded.abs().max().item())
    for name in ("captions", "clips", "noise", "timesteps", "foreground", "shown"):
        assert torch.equal(cached[name], fresh[name]) if name != "captions" else cached[name] == fresh[name]
    (texts, scene), (other_texts, other) = cached["scene"], fresh["scene"]
    assert texts == other_texts
    assert all(torch.equal(getattr(scene, field.name), getattr(other, field.name)) for field in fields(scene))


def test_a_corpus_read_back_is_the_one_that_was_made(phase: DenoiserPhase) -> None:
    again = DenoiserPhase(phase.recipe, torch.device("cpu"))
    for clip in range(4):
        made, read = (p.read(clip, 7, np.random.default_rng(3)) for p in (phase, again))
        assert np.array_equal(made.foreground, read.foreground)
        assert replace(made, foreground=None) == replace(read, foreground=None)


def test_the_first_weights_are_those_of_the_seed_whether_or_not_a_cache_was_made_first(phase: DenoiserPhase) -> None:
    torch.manual_seed(0)
    torch.rand(7)  # what making a cache may draw
    again = DenoiserPhase(phase.recipe, phase.device)
    for ours, theirs in zip(phase.module.parameters(), again.module.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    other = DenoiserPhase(phase.recipe.model_copy(update={"seed": 1}), phase.device)
    assert not torch.equal(next(phase.module.parameters()), next(other.module.parameters()))


def test_the_process_ends_in_noise_and_begins_with_the_clip() -> None:
    alphas = build_scheduler().alphas_cumprod
    assert alphas[-1] == 0
    assert alphas[0] > 0.99


def test_dropouts_have_the_recipes_frequencies(phase: DenoiserPhase) -> None:
    given = samples(phase, render=False)[0]
    drawn = [phase._dropped(given, np.random.default_rng(i)) for i in range(2000)]
    kinds = [(caption == "", dsg == EMPTY_SCENE) for caption, dsg in drawn]
    for kind in ((True, True), (True, False), (False, True)):
        assert kinds.count(kind) / len(kinds) == pytest.approx(0.1, abs=0.03)
    kept = [dsg for _, dsg in drawn if dsg != EMPTY_SCENE]
    assert {dsg == without_imagined(given.dsg) for dsg in kept} == {True, False}
    assert {any(fact not in given.dsg.facts for fact in dsg.facts) for dsg in kept} == {True, False}


def test_distractions_are_imagined_facts_about_what_is_there() -> None:
    dsg = sample(1, frames=8).dsg
    for seed in range(50):
        more = distracted(dsg, np.random.default_rng(seed))
        added = [fact for fact in more.facts if fact not in dsg.facts]
        assert 1 <= len(added) <= 2 * MOST  # a fact said twice with a gap between is two
        assert {fact.source for fact in added} == {"imagined"}
        assert more.objects == dsg.objects
        assert without_imagined(more) == without_imagined(dsg)


def test_the_loss_of_a_sample_is_its_own(phase: DenoiserPhase) -> None:
    """A sample's loss does not depend on its neighbours in the batch."""
    given = samples(phase, render=False)
    phase.module.eval()
    with torch.no_grad():
        whole, _ = phase.module(**phase.prepare(phase.collate(given)))
        halves = [phase.module(**phase.prepare(phase.collate(half)))[0] for half in (given[:2], given[2:])]
    assert whole.item() == pytest.approx((halves[0] + halves[1]).item() / 2, rel=1e-4)


def test_gradients_reach_the_scene_adapter_and_not_the_frozen_parts(phase: DenoiserPhase) -> None:
    torch.nn.init.normal_(phase.scene_adapter.sites[0].output.weight)
    loss, _ = phase.module(**phase.prepare(phase.collate(samples(phase, render=False))))
    loss.backward()
    assert phase.scene_adapter.graph.label.weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in phase.vae.parameters())


def test_foreground_is_where_the_actors_are() -> None:
    clip = sample(1, frames=8)
    mask = foreground_cells(clip)
    assert mask.shape == (8, 16, 16)
    for box in clip.boxes.values():
        x, y = ((box[:, 0] + box[:, 2]) / 2 * 16).astype(int), ((box[:, 1] + box[:, 3]) / 2 * 16).astype(int)
        assert mask[np.arange(8), y.clip(0, 15), x.clip(0, 15)].all()
    assert 0 < mask.mean() < 0.5


def test_a_step_sees_the_same_clips_on_any_number_of_ranks() -> None:
    shape = {"frames": 8, "clips": 10, "seed": 3, "read": PLAYED}
    curriculum = Curriculum(batch=4, stills=8, stills_until=2, coarse_until=4)
    for step in (1, 3, 7):
        whole = Steps(curriculum, rank=0, world=1, **shape)[step]
        shares = [Steps(curriculum, rank=rank, world=2, **shape)[step] for rank in (0, 1)]
        assert sorted(s.draw for share in shares for s in share) == [s.draw for s in whole]
        seen = [{(s.clip, s.caption, s.shown) for s in part} for part in (whole, [s for sh in shares for s in sh])]
        assert seen[0] == seen[1]


def test_an_epoch_shows_every_clip_once() -> None:
    steps = Steps(Curriculum(batch=5), rank=0, world=1, clips=10, seed=3, frames=8, read=PLAYED)
    for epoch in (0, 1):
        assert sorted(steps.clip_of(draw) for draw in range(10 * epoch, 10 * epoch + 10)) == list(range(10))
    assert [steps.clip_of(d) for d in range(10)] != [steps.clip_of(d) for d in range(10, 20)]


def test_stills_of_many_clips_come_first_then_every_second_frame_then_all() -> None:
    curriculum = Curriculum(batch=2, stills=6, stills_until=2, coarse_until=3)
    assert [list(curriculum.draws(step)) for step in range(4)] == [[*range(6)], [*range(6, 12)], [12, 13], [14, 15]]
    rng = np.random.default_rng(0)
    assert {curriculum.shown(1, 8, rng) for _ in range(200)} == {(i,) for i in range(8)}
    assert curriculum.shown(2, 8, rng) == (0, 2, 4, 6)
    assert curriculum.shown(3, 8, rng) == tuple(range(8))


@pytest.mark.parametrize("shown", [(0, 2, 4, 6), (5,)])
def test_a_step_that_sees_some_frames_sees_them_at_their_time(phase: DenoiserPhase, shown: tuple[int, ...]) -> None:
    given = samples(phase, render=False)
    some = [replace(sample, shown=shown) for sample in given]
    whole, part = (phase.prepare(phase.collate(seen, timestep=500)) for seen in (given, some))
    assert torch.equal(part["latents"], whole["latents"][:, :, shown])
    assert torch.equal(part["foreground"], whole["foreground"][:, shown])
    encoded = [phase.scene_adapter.encode(p["scene"], p["num_frames"], shown=p["shown"]) for p in (whole, part)]
    assert torch.allclose(encoded[1].tokens, encoded[0].tokens[:, shown], atol=1e-6)
    assert torch.equal(encoded[1].mask, encoded[0].mask[:, shown])


def test_validation_tells_how_much_the_scene_is_heard(phase: DenoiserPhase) -> None:
    """A new adapter adds nothing, whatever the scene; one that does shows it in both differences."""
    data = phase.recipe.data
    phase.held_out = open_corpus(data.model_copy(update={"validation_clips": 2})).held_out()
    with torch.no_grad():
        deaf = phase.validate()
        assert deaf["other_scene"] == deaf["no_scene"] == 0
        for site in phase.scene_adapter.sites:
            torch.nn.init.normal_(site.output.weight)
        heard = phase.validate()
    assert heard["other_scene"] != 0 != heard["no_scene"]


@pytest.mark.parametrize(
    ("change", "message"),
    [("model.gate=30", r"\d+\.\d dB .* below the gate of 30 dB"), ("model.vae=absent", "no autoencoder")],
)
def test_nothing_is_trained_behind_a_bad_autoencoder(tmp_path: Path, change: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        run(recipe_file(tmp_path), [change])


def test_a_run_can_start_from_exported_weights(tmp_path: Path) -> None:
    """Steps that learn nothing leave what the run started from, to 16 bits."""
    path = recipe_file(tmp_path)
    first = run(path, [])
    again = run(path, [f"run={tmp_path / 'again'}", f"model.init={first}", "train.lr=1e-12", "train.weight_decay=0"])
    for part in ("unet", "scene_adapter"):
        ours, theirs = (load_file(f / part / "diffusion_pytorch_model.safetensors") for f in (again, first))
        assert all(torch.equal(ours[name], value) for name, value in theirs.items())
    with pytest.raises(UserError, match=r"model\.init: no "):
        run(path, [f"run={tmp_path / 'b'}", f"model.init={tmp_path}"])
    with pytest.raises(UserError, match=r"not of preset 'nano'.*missing \(.*of another shape \("):
        run(path, [f"run={tmp_path / 'c'}", f"model.init={first}", "model.preset=nano"])


def test_the_text_only_twin_is_trained_and_used_without_scenes(tmp_path: Path) -> None:
    switches = ["scene.mode=none", "scene.laplacian=2", "scene.weisfeiler_lehman=1", "scene.phases=false"]
    folder = run(recipe_file(tmp_path), switches)
    pipeline = DysenVDMPipeline.from_pretrained(folder)
    config = pipeline.scene_adapter.config
    assert (config["mode"], config["laplacian"], config["weisfeiler_lehman"]) == ("none", 2, 1)
    dsgs = [sample(i, frames=8).dsg for i in range(2)]
    assert not pipeline.scene_adapter.untrained_labels(dsgs[0]), "it was trained on clips 0 to 3"
    said = {"num_frames": 8, "num_inference_steps": 1, "seeds": [0]}
    first, second = (pipeline(["a girl walks"], [dsg], **said) for dsg in dsgs)
    assert np.array_equal(first, second)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["scene.encoder=gnn"], "scene.encoder"),
        (["scene.phase=false"], "did you mean phases"),
        (["scene.heads=3"], "128 cannot be shared by 3 heads"),
        (["phase=autoencoder", "scene.laplacian=2"], "only the denoiser phase"),
    ],
)
def test_a_scene_section_that_makes_no_sense_is_refused(tmp_path: Path, overrides: list[str], words: str) -> None:
    with pytest.raises(UserError, match=words):
        load_recipe(recipe_file(tmp_path), overrides)


def test_offset_noise_is_the_same_in_a_whole_clip_and_leaves_all_else(phase: DenoiserPhase) -> None:
    given = samples(phase, render=False)
    without = phase.collate(given)
    offsets = []
    for i in range(25):
        drawn = [replace(sample, draw=4 * i + n) for n, sample in enumerate(given)]
        phase.recipe.loss.offset_noise = 0.3
        noisy = phase.collate(drawn)
        phase.recipe.loss.offset_noise = 0.0
        offsets.append(noisy["noise"] - phase.collate(drawn)["noise"])
    phase.recipe.loss.offset_noise = 0.3
    again, offset = phase.collate(given), torch.cat(offsets)
    assert again["captions"] == without["captions"]
    assert torch.equal(again["timesteps"], without["timesteps"])
    assert torch.allclose(offset, offset[:, :, :1, :1, :1].expand_as(offset), atol=1e-6)
    assert offset[:, :, 0, 0, 0].std().item() == pytest.approx(0.3, abs=0.05)
    validated = phase.collate(given, 500)["noise"]
    assert torch.equal(validated, without["noise"])


def test_the_recipes_prompts_are_drawn_below_the_held_out_clips(tmp_path: Path) -> None:
    path, scene = recipe_file(tmp_path), sample(1, frames=8).dsg
    (tmp_path / "scene.json").write_text(scene.to_json())
    lines = tmp_path / "prompts.txt"
    lines.write_text(f"a red dog\n\n{tmp_path / 'scene.json'}\n")
    plain, prompted = (
        DenoiserPhase(load_recipe(path, more), torch.device("cpu")) for more in ([], [f"log.prompts={lines}"])
    )
    assert prompted.prompts == [("a red dog", EMPTY_SCENE.replace(prompt="a red dog")), (scene.prompt, scene)]
    with torch.no_grad():
        assert prompted.sheet().height > 2 * plain.sheet().height
    with pytest.raises(UserError, match=r"log\.prompts: .*absent.* cannot be read"):
        DenoiserPhase(load_recipe(path, [f"log.prompts={tmp_path / 'absent.txt'}"]), torch.device("cpu"))


@pytest.mark.parametrize("scenes", ["none", "one", "all"])
def test_every_weight_has_a_gradient_whatever_scenes_a_batch_has(scenes: str, phase: DenoiserPhase) -> None:
    """Ranks see other scenes, and under ZeRO must agree on which gradients there are."""
    for site in phase.scene_adapter.sites:
        torch.nn.init.normal_(site.output.weight)
    given = samples(phase, render=False)
    kept = {"none": 0, "one": 1, "all": 4}[scenes]
    given = [sample if i < kept else replace(sample, dsg=EMPTY_SCENE) for i, sample in enumerate(given)]
    loss, _ = phase.module(**phase.prepare(phase.collate(given, 500)))
    loss.backward()
    assert [name for name, p in phase.module.named_parameters() if p.grad is None] == []


def test_under_zero_3_a_scene_longer_than_said_is_refused(phase: DenoiserPhase) -> None:
    """Its rank would call RGTrm's layers more often than the others do."""
    given = [replace(sample, dsg=sample.dsg.replace(ticks=9)) for sample in samples(phase, render=False)]
    phase.prepare(phase.collate(given, 500))
    phase.recipe.deepspeed["zero_optimization"] = {"stage": 3}
    with pytest.raises(UserError, match=r"data\.ticks: a scene graph has 9"):
        phase.prepare(phase.collate(given, 500))

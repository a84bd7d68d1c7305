"""LoRA tuning on a tiny random model: it learns, goes on after a kill, and its adapter fits its own model only."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from planners.builtin import smollm2
from planners.demonstrations import demonstrations
from planners.dsg import UserError
from planners.dysen import DysenPlanner
from planners.engines import Message, Request
from planners.engines.adapter_files import CARD
from planners.engines.lora import fingerprint, merge, save_merged
from planners.engines.transformers import TransformersEngine
from planners.finetune import Encoded, LoraSettings, TuneLog, Tuner, TuneSettings, batches, encode, tune
from planners.gold_answers import Answered

LORA = LoraSettings(rank=4, alpha=16)
EXAMPLES = [
    Answered("act", (Message(role="user", content=asked),), f'"{answer}"')
    for asked, answer in (("a dog runs", "a dog [runs]"), ("a cat sits", "a cat [sits]"), ("in a park", "in a park"))
]


def tuner(folder: Path, **settings: float) -> Tuner:
    defaults = {"steps": 60, "batch_tokens": 256, "lr": 0.02, "warmup": 2}
    return Tuner(folder, LORA, TuneSettings.model_validate(defaults | settings), seed=0, device="cpu")


def trained(mine: Tuner, folder: Path, stop: int | None = None) -> list[tuple[int, str, dict[str, float]]]:
    """Run to the end, or until a "kill" at a step; the log."""
    log: list[tuple[int, str, dict[str, float]]] = []

    def on_step(now: Tuner, _: float) -> None:
        if now.step == stop:
            raise KeyboardInterrupt

    examples = encode(mine.tokenizer, EXAMPLES)
    every = TuneLog(every=1, validate_every=20, checkpoint_every=5)
    try:
        tune(
            mine,
            examples,
            {"seen": examples},
            every,
            checkpoint=folder / "checkpoint.pt",
            log=lambda *line: log.append(line),
            on_step=on_step,
        )
    except KeyboardInterrupt:
        assert stop is not None
    return log


def asked(text: str) -> Request:
    schema = {"enum": [text, f"{text.rsplit(' ', 1)[0]} [{text.split()[-1]}]"]}
    return Request(messages=(Message(role="user", content=text),), json_schema=schema, max_tokens=40)


@pytest.fixture(scope="module")
def adapter(micro_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, float]]:
    """An adapter that knows the three examples by heart, and its last validation."""
    folder = tmp_path_factory.mktemp("run")
    mine = tuner(micro_model)
    log = trained(mine, folder)
    mine.export(folder / "adapter", "read me")
    return folder / "adapter", log[-1][2]


def test_it_learns_the_replies_by_heart(adapter: tuple[Path, dict[str, float]]) -> None:
    _, last = adapter
    assert last["exact_seen"] == last["exact_act"] == 1
    assert last["loss"] < 0.1


def test_the_adapter_changes_the_engines_replies_as_it_was_taught(
    micro_model: Path, adapter: tuple[Path, dict[str, float]]
) -> None:
    texts = ["a dog runs", "a cat sits", "in a park"]
    plain = TransformersEngine(micro_model, device="cpu").generate([asked(text) for text in texts])
    tuned = TransformersEngine(micro_model, device="cpu", lora=adapter[0]).generate([asked(text) for text in texts])
    wanted = [example.answer for example in EXAMPLES]
    assert [reply.text for reply in tuned] == wanted
    assert [reply.text for reply in plain] != wanted


def test_merged_weights_are_those_of_peft(micro_model: Path, adapter: tuple[Path, dict[str, float]]) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    mine = AutoModelForCausalLM.from_pretrained(micro_model, dtype=torch.float32)
    merge(mine, adapter[0])
    base = AutoModelForCausalLM.from_pretrained(micro_model, dtype=torch.float32)
    before = fingerprint(base)
    theirs = PeftModel.from_pretrained(base, str(adapter[0])).merge_and_unload()
    for name, weight in theirs.state_dict().items():
        torch.testing.assert_close(mine.state_dict()[name], weight, atol=1e-5, rtol=1e-4)
    assert json.loads((adapter[0] / CARD).read_text())["base_fingerprint"] == before


def test_a_merged_folder_answers_like_the_model_with_its_adapter(
    micro_model: Path, adapter: tuple[Path, dict[str, float]], tmp_path: Path
) -> None:
    save_merged(micro_model, adapter[0], tmp_path)
    asks = [asked(text) for text in ("a dog runs", "a cat sits", "in a park")]
    replies = TransformersEngine(tmp_path, device="cpu").generate(asks)
    assert [reply.text for reply in replies] == [example.answer for example in EXAMPLES]


def test_an_adapter_of_another_model_is_not_merged_but_one_without_a_card_is(
    micro_model: Path, adapter: tuple[Path, dict[str, float]], tmp_path: Path
) -> None:
    lora, merged = tmp_path / "lora", tmp_path / "merged"
    shutil.copytree(adapter[0], lora)
    merged.mkdir()
    card = json.loads((lora / CARD).read_text())
    (lora / CARD).write_text(json.dumps({**card, "base_fingerprint": "0" * 64}))
    with pytest.raises(UserError, match="tuned on another model"):
        save_merged(micro_model, lora, merged)
    assert not list(merged.iterdir())
    (lora / CARD).unlink()
    save_merged(micro_model, lora, merged)
    assert (merged / "model.safetensors").read_bytes() != (micro_model / "model.safetensors").read_bytes()


def test_a_killed_run_goes_on_as_if_nothing_had_happened(micro_model: Path, tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    whole = tuner(micro_model, steps=12)
    expected = trained(whole, tmp_path / "whole")
    (tmp_path / "killed").mkdir()
    trained(tuner(micro_model, steps=12), tmp_path / "killed", stop=7)
    again = tuner(micro_model, steps=12)
    log = trained(again, tmp_path / "killed")
    assert all(torch.equal(a, b) for a, b in zip(again.weights, whole.weights, strict=True))
    first = [values["loss"] for step, kind, values in log if kind == "train"]
    assert first == [values["loss"] for step, kind, values in expected if kind == "train" and step > 5]


def test_time_ends_the_schedule(micro_model: Path, tmp_path: Path) -> None:
    mine = tuner(micro_model, steps=1_000_000, minutes=1e-3)
    trained(mine, tmp_path)
    assert 0 < mine.step < 1_000_000
    assert mine.rate() == pytest.approx(0)


def test_an_adapter_of_another_model_is_refused(
    micro_model: Path, adapter: tuple[Path, dict[str, float]], tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    other = AutoModelForCausalLM.from_pretrained(micro_model)
    with torch.no_grad():
        other.model.norm.weight += 0.5
    other.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(micro_model).save_pretrained(tmp_path)
    with pytest.raises(UserError, match="tuned on another model"):
        TransformersEngine(tmp_path, device="cpu", lora=adapter[0])


@pytest.mark.parametrize("broken", [CARD, "adapter_config.json", "adapter_model.safetensors"])
def test_a_broken_adapter_is_one_line(
    micro_model: Path, adapter: tuple[Path, dict[str, float]], tmp_path: Path, broken: str
) -> None:
    for file in adapter[0].iterdir():
        (tmp_path / file.name).write_bytes(b"?" if file.name == broken else file.read_bytes())
    with pytest.raises(UserError) as caught:
        TransformersEngine(micro_model, device="cpu", lora=tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_planner_asks_a_tuned_model_without_examples(
    micro_model: Path, adapter: tuple[Path, dict[str, float]]
) -> None:
    tuned = smollm2(micro_model, device="cpu", lora=adapter[0])
    plain = smollm2(micro_model, device="cpu", lora="none")
    assert isinstance(tuned, DysenPlanner)
    assert isinstance(plain, DysenPlanner)
    assert tuned.pool == ()
    assert plain.pool == demonstrations()


def test_batches_hold_every_example_once_and_keep_to_their_size() -> None:
    from random import Random

    examples = [Encoded("act", tuple(range(5 + i % 17)), 2) for i in range(300)]
    found = batches(examples, 100, Random(1))
    assert sorted(i for batch in found for i in batch) == list(range(300))
    assert all(len(batch) * max(len(examples[i].tokens) for i in batch) <= 100 for batch in found)


def test_tuning_goes_on_from_an_adapter_of_the_same_shape_only(micro_model: Path, tmp_path: Path) -> None:
    first = tuner(micro_model, steps=30)
    trained(first, tmp_path)
    first.export(tmp_path / "adapter", "")
    examples = encode(first.tokenizer, EXAMPLES)
    began = Tuner(micro_model, LoraSettings(rank=4, alpha=16), first.settings, seed=1, device="cpu")
    settings = LoraSettings(rank=4, alpha=16, start=tmp_path / "adapter")
    goes_on = Tuner(micro_model, settings, first.settings, seed=1, device="cpu")
    learnt, fresh, now = (one.validate({"seen": examples})["loss"] for one in (first, began, goes_on))
    assert now == pytest.approx(learnt, rel=0.05)  # the file has bf16 weights
    assert now < fresh / 2
    with pytest.raises(UserError, match=r"lora\.start: .* of another shape .*rank\?"):
        Tuner(micro_model, settings.model_copy(update={"rank": 2}), first.settings, seed=1, device="cpu")
    with pytest.raises(UserError, match=r"lora\.start: .* is no adapter"):
        Tuner(micro_model, settings.model_copy(update={"start": tmp_path}), first.settings, seed=1, device="cpu")


def test_bf16_is_a_choice_on_cpus(micro_model: Path) -> None:
    assert not tuner(micro_model).bf16
    mine = Tuner(micro_model, LORA, TuneSettings(steps=2, precision="bf16"), seed=0, device="cpu")
    examples = encode(mine.tokenizer, EXAMPLES)
    exact, rounded = (one.loss(examples)[0].item() for one in (tuner(micro_model), mine))
    assert rounded != exact
    assert rounded == pytest.approx(exact, rel=0.02)

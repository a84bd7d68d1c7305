"""LoRA tuning of a planner's language model on its own questions (:mod:`planners.gold_answers`).

Peft brings the adapter, transformers the model; the loop is ours because it must stop on time, go on after a kill as if
nothing had happened, and count a reply as right only if every token is. The loss is on the replies' tokens alone.

Letters: ``b`` examples, ``t`` tokens, ``n`` reply tokens of a batch, ``v`` vocabulary.
"""

from __future__ import annotations

import math
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch.nn import functional as F

from planners.dsg import UserError
from planners.engines import Message
from planners.engines.adapter_files import CARD, SHIPPED, AdapterCard
from planners.engines.lora import fingerprint
from planners.gold_answers import Answered

IGNORED = -100
HOLE = "\N{OBJECT REPLACEMENT CHARACTER}"
"""Stands for a question while the chat template is applied."""
LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
Log = Callable[[int, str, dict[str, float]], None]
"""Called with the step, "train" or "validation", and values by name."""


class LoraSettings(BaseModel):
    """The adapter: ``rank`` and ``alpha`` as in arXiv 2106.09685; ``targets`` are the linear layers' names.

    ``start`` is the folder of an adapter of the same shape whose weights the new one begins with, or ``shipped``: the
    adapter that comes with the package.
    """

    model_config = ConfigDict(extra="forbid")

    rank: int = Field(12, ge=1)
    alpha: float = Field(24, gt=0)
    dropout: float = Field(0.0, ge=0, lt=1)
    targets: tuple[str, ...] = LINEAR
    start: Path | None = None


class TuneSettings(BaseModel):
    """The optimisation. The learning rate warms up over ``warmup`` steps and falls as a cosine to zero at ``steps``, or
    when ``minutes`` of training are over, whichever comes first. ``batch_tokens`` bounds a batch, padding included.
    ``precision`` is that of the activations: bf16 on GPUs and fp32 on CPUs, unless told."""

    model_config = ConfigDict(extra="forbid")

    steps: int = Field(ge=1)
    minutes: float | None = Field(None, gt=0)
    batch_tokens: int = Field(16384, ge=64)
    lr: float = Field(6e-4, gt=0)
    warmup: int = Field(40, ge=0)
    weight_decay: float = Field(0.0, ge=0)
    clip: float = Field(1.0, gt=0)
    precision: Literal["auto", "fp32", "bf16"] = "auto"


class TuneLog(BaseModel):
    """How often, in steps."""

    model_config = ConfigDict(extra="forbid")

    every: int = Field(10, ge=1)
    validate_every: int = Field(250, ge=1)
    checkpoint_every: int = Field(250, ge=1)


@dataclass(frozen=True)
class Encoded:
    """An example as tokens; the last ``reply`` of them, the end token included, are to be learnt."""

    step: str
    tokens: tuple[int, ...]
    reply: int


def encode(tokenizer: Any, examples: Sequence[Answered]) -> list[Encoded]:
    """Examples as the engine will ask them: the chat template's prompt, the reply, the end token."""
    prompts = _Prompts(tokenizer)
    if not examples:
        raise UserError("the planner's corpus has no examples")
    asked = tokenizer([prompts.text(example) for example in examples], add_special_tokens=False).input_ids
    replies = tokenizer([example.answer for example in examples], add_special_tokens=False).input_ids
    return [
        Encoded(example.step, (*prompt, *reply, tokenizer.eos_token_id), len(reply) + 1)
        for example, prompt, reply in zip(examples, asked, replies, strict=True)
    ]


class _Prompts:
    """Chats as text. Hundreds of thousands have one frame, so the template is applied once for each of those."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._frames: dict[tuple[Message, ...], tuple[str, str]] = {}

    def text(self, example: Answered) -> str:
        *before, last = example.messages
        frame = tuple(before)
        if frame not in self._frames:
            begin, end = self._apply([*before, Message(role=last.role, content=HOLE)]).split(HOLE)
            assert begin + last.content + end == self._apply(example.messages), "the chat template changes contents"
            self._frames[frame] = begin, end
        begin, end = self._frames[frame]
        return begin + last.content + end

    def _apply(self, messages: Sequence[Message]) -> str:
        chat = [message.model_dump() for message in messages]
        text: str = self._tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        return text


def batches(examples: Sequence[Encoded], batch_tokens: int, rng: Random) -> list[list[int]]:
    """One epoch: shuffled indices of examples of like length, each batch at most ``batch_tokens`` with its padding."""
    order = rng.sample(range(len(examples)), len(examples))
    found: list[list[int]] = []
    for first in range(0, len(order), 8192):
        batch: list[int] = []
        for i in sorted(order[first : first + 8192], key=lambda i: len(examples[i].tokens)):
            if batch and (len(batch) + 1) * len(examples[i].tokens) > batch_tokens:
                found.append(batch)
                batch = []
            batch.append(i)
        found.append(batch)
    rng.shuffle(found)
    return found


def padded(examples: Sequence[Encoded], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """(tokens, labels), both (b, t), padded on the right: causal attention never looks there, so no mask is needed."""
    length = max(len(example.tokens) for example in examples)
    tokens = torch.zeros((len(examples), length), dtype=torch.long)
    labels = torch.full((len(examples), length), IGNORED)
    for i, example in enumerate(examples):
        end = len(example.tokens)
        tokens[i, :end] = torch.tensor(example.tokens)
        labels[i, end - example.reply : end] = tokens[i, end - example.reply : end]
    return tokens.to(device), labels.to(device)


class Tuner:
    """A model with its adapter, optimizer and place in the run; everything random follows from ``seed``."""

    def __init__(self, folder: Path, lora: LoraSettings, settings: TuneSettings, *, seed: int, device: str) -> None:
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        from peft import LoraConfig, get_peft_model
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.settings, self.seed, self.folder = settings, seed, folder
        self.device = torch.device(device)
        self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        base = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, local_files_only=True, use_safetensors=True
        )
        self.base_fingerprint = fingerprint(base)
        torch.manual_seed(seed)
        config = LoraConfig(
            task_type="CAUSAL_LM",
            r=lora.rank,
            lora_alpha=lora.alpha,  # type: ignore[arg-type]
            lora_dropout=lora.dropout,
            target_modules=list(lora.targets),
        )
        self.model = get_peft_model(base, config)
        if lora.start:
            start_from(self.model, lora.start)
        self.model.to(self.device)
        self.bf16 = settings.precision == "bf16" or (settings.precision == "auto" and device == "cuda")
        self.weights = [weight for weight in self.model.parameters() if weight.requires_grad]
        self.optimizer = torch.optim.AdamW(self.weights, lr=settings.lr, weight_decay=settings.weight_decay)
        self.step = 0
        self.seconds = 0.0
        """Time spent training, over all resumed parts."""

    def loss(self, examples: Sequence[Encoded]) -> tuple[torch.Tensor, torch.Tensor]:
        """(mean loss of the replies' tokens, whether each token is the likeliest (b, t); True where none is due)."""
        tokens, labels = padded(examples, self.device)
        due = labels[:, 1:] != IGNORED
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            inner: Any = self.model.get_base_model()
            hidden = inner.model(input_ids=tokens, use_cache=False).last_hidden_state[:, :-1]
            logits = inner.lm_head(hidden[due]).float()  # (n, v): of replies only
        wanted = labels[:, 1:][due]
        right = torch.ones_like(due)
        right[due] = logits.detach().argmax(dim=-1) == wanted
        return F.cross_entropy(logits, wanted), right

    def train_step(self, examples: Sequence[Encoded], rate: float) -> dict[str, float]:
        """One optimizer step; returns the values to log."""
        self.model.train()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss, right = self.loss(examples)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.weights, self.settings.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        value = float(loss.detach())
        if not math.isfinite(value):
            raise UserError(f"step {self.step}: the loss is not finite; lower train.lr and start again")
        exact = float(right.all(dim=1).float().mean())
        return {"loss": value, "exact": exact, "lr": rate, "gradient_norm": float(norm)}

    def rate(self) -> float:
        """The learning rate of the next step: warm-up, then a cosine over what is left of steps or of time."""
        warm = min(1.0, (self.step + 1) / (self.settings.warmup + 1))
        return self.settings.lr * warm * 0.5 * (1 + math.cos(math.pi * self.done))

    @property
    def done(self) -> float:
        """How much of the schedule is over, in [0, 1]."""
        minutes = self.settings.minutes
        return min(1.0, max(self.step / self.settings.steps, self.seconds / (60 * minutes) if minutes else 0.0))

    @torch.no_grad()
    def validate(self, groups: Mapping[str, Sequence[Encoded]]) -> dict[str, float]:
        """Mean loss, and how many replies are right in every token (teacher-forced, so unconstrained greedy decoding
        would give them) by group of examples and by step."""
        self.model.eval()
        exact: defaultdict[str, list[float]] = defaultdict(list)
        losses = []
        for name, examples in groups.items():
            for batch in batches(examples, self.settings.batch_tokens, Random(0)):
                chosen = [examples[i] for i in batch]
                loss, right = self.loss(chosen)
                losses += [float(loss)] * len(batch)
                for example, whole in zip(chosen, right.all(dim=1).tolist(), strict=True):
                    exact[f"exact_{name}"].append(whole)
                    exact[f"exact_{example.step}"].append(whole)
        return {"loss": sum(losses) / len(losses), **{name: sum(v) / len(v) for name, v in sorted(exact.items())}}

    # -- checkpoints -----------------------------------------------------------------------------------------------

    def save(self, path: Path) -> None:
        """All of the run's state, written beside and then renamed: a killed run has the old file or the new one."""
        state = {
            "step": self.step,
            "seconds": self.seconds,
            "weights": [weight.detach().cpu() for weight in self.weights],
            "optimizer": self.optimizer.state_dict(),
            "random": torch.get_rng_state(),
        }
        partial = path.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(path)

    def load(self, path: Path) -> None:
        """Go on where :meth:`save` was."""
        state = torch.load(path, map_location="cpu", weights_only=True)
        self.step, self.seconds = state["step"], state["seconds"]
        with torch.no_grad():
            for weight, saved in zip(self.weights, state["weights"], strict=True):
                weight.copy_(saved)
        self.optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["random"])

    def export(self, folder: Path, readme: str) -> None:
        """Write the adapter as peft and vLLM read it (in bfloat16), with its card ``planner.json`` and a README."""
        from safetensors.torch import load_file, save_file

        self.model.peft_config[
            "default"
        ].base_model_name_or_path = self.folder.name  # where it lay is nobody's business
        self.model.save_pretrained(str(folder), save_embedding_layers=False)
        path = folder / "adapter_model.safetensors"
        save_file({name: weight.to(torch.bfloat16) for name, weight in load_file(path).items()}, path, {"format": "pt"})
        card = AdapterCard(base=self.folder.name, base_fingerprint=self.base_fingerprint)
        (folder / CARD).write_text(card.model_dump_json(indent=1) + "\n", encoding="utf-8")
        (folder / "README.md").write_text(readme, encoding="utf-8")


def start_from(model: Any, folder: Path) -> None:
    """Copy an adapter's weights into a new one; :class:`UserError` where names or shapes differ."""
    from peft import get_peft_model_state_dict, set_peft_model_state_dict
    from safetensors.torch import load_file

    if folder == Path("shipped"):
        folder = SHIPPED
    path = folder / "adapter_model.safetensors"
    if not path.is_file():
        raise UserError(f"lora.start: {folder} is no adapter, it has no {path.name}")
    saved, wanted = load_file(path), get_peft_model_state_dict(model)
    odd = [
        name for name in sorted({*saved, *wanted})
        if name not in saved or name not in wanted or saved[name].shape != wanted[name].shape
    ]  # fmt: skip
    if odd:
        raise UserError(f"lora.start: {folder} is of another shape ({odd[0]}, {len(odd)} weights in all); its rank?")
    set_peft_model_state_dict(model, {name: weight.float() for name, weight in saved.items()})


def tune(
    tuner: Tuner,
    examples: Sequence[Encoded],
    groups: Mapping[str, Sequence[Encoded]],
    every: TuneLog,
    *,
    checkpoint: Path,
    log: Log,
    on_step: Callable[[Tuner, float], None] = lambda _tuner, _loss: None,
) -> None:
    """Train to the end of the schedule, going on from ``checkpoint`` where there is one."""
    if checkpoint.exists():
        tuner.load(checkpoint)
    else:
        log(0, "validation", tuner.validate(groups))
    for batch in _from(tuner.step, examples, tuner):
        if tuner.done == 1:
            break
        began = time.perf_counter()
        values = tuner.train_step([examples[i] for i in batch], tuner.rate())
        spent = time.perf_counter() - began
        tuner.seconds += spent
        if tuner.step % every.every == 0:
            log(tuner.step, "train", {**values, "seconds_per_step": spent, "examples": len(batch)})
        on_step(tuner, values["loss"])
        if tuner.done == 1 or tuner.step % every.validate_every == 0:
            log(tuner.step, "validation", tuner.validate(groups))
        if tuner.done == 1 or tuner.step % every.checkpoint_every == 0:
            tuner.save(checkpoint)


def _from(step: int, examples: Sequence[Encoded], tuner: Tuner) -> Iterator[list[int]]:
    """The batches from a step on, epoch after epoch; the same whether or not the run was interrupted."""
    epoch = 0
    while True:
        found = batches(examples, tuner.settings.batch_tokens, Random(f"{tuner.seed}:{epoch}"))
        yield from found[step:]
        step = max(0, step - len(found))
        epoch += 1

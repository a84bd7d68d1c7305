"""A language model in this process, run by transformers and constrained by Outlines (llguidance).

Each request of a batch has its own schema, temperature and seed. The tokens that all requests share from the start (the
instructions, usually) are computed once and their keys and values kept for later calls; what differs is left-padded.

Letters: ``b`` requests, ``p`` shared prefix tokens, ``s`` suffix tokens, ``v`` vocabulary.
"""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from planners.dsg import UserError
from planners.engines import Capabilities, Reply, Request, split_thinking
from planners.engines.canary import canary
from planners.engines.local import check_model_folder, compact, prompt_tokens
from planners.engines.lora import merge

DEFAULT_MODEL = "smollm2-135m-instruct"
KEPT_PREFIXES = 8
"""How many shared prefixes keep their keys and values between calls (about 46 kB a token with SmolLM2 in float32)."""

THOUGHT = "</think>"
"""Where a thinking model's thought ends, and its answer begins."""
TAIL = 16
"""So many tokens hold a whole :data:`THOUGHT`, however a tokenizer cuts it."""

Cache = list[tuple[torch.Tensor, torch.Tensor]]
"""Keys and values of every layer, each of shape (1, heads, tokens, width)."""


def store_model(name: str) -> Path:
    """The folder of a model in the store; raises :class:`UserError` where it was not imported yet."""
    home = Path(os.environ.get("DYSENVDM_HOME") or Path.home() / ".local" / "share" / "dysenvdm")
    folder = home / "models" / name
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder}: the planner's model is not there; run: dysenvdm models import {name}")
    return folder


def default_model() -> Path:
    """The folder of the default model; raises :class:`UserError` where it was not imported yet."""
    return store_model(DEFAULT_MODEL)


class TransformersEngine:
    """An :class:`planners.engines.Engine` on a local folder with a causal language model and its tokenizer.

    ``device`` is "auto" (a GPU where there is one), "cpu" or "cuda". Weights are held in float32, so that a plan
    depends neither on what else is in the batch nor on the machine's 16-bit kernels. ``lora`` is the folder of an
    adapter (:mod:`planners.engines.lora`) that is added to them. ``thinking_tokens`` above 0 lets a thinking model
    think so much before its answer: the schema then binds from ``</think>`` on, else from the first token. Raises
    :class:`UserError` where a folder holds no usable model, an adapter of another one, or a model that leaves its
    schema.
    """

    capabilities = Capabilities(constrained=True, batched=True, seeded=True, local=True)

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        *,
        device: str = "auto",
        max_batch: int = 32,
        lora: str | os.PathLike[str] | None = None,
        thinking_tokens: int = 0,
    ) -> None:
        folder = default_model() if model is None else Path(model)
        check_model_folder(folder)
        if device not in ("auto", "cpu", "cuda") or (device == "cuda" and not torch.cuda.is_available()):
            raise UserError(f"device: {device!r} is not there; give auto, cpu, or cuda on a machine with a GPU")
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if max_batch < 1:
            raise UserError(f"max_batch: {max_batch}; give 1 or more")
        if thinking_tokens < 0:
            raise UserError(f"thinking_tokens: {thinking_tokens}; give 0 or more")
        adapter = None if lora is None else Path(lora)
        self.name = f"{folder.name}{f' + {adapter.name}' if adapter else ''} (transformers, {device})"
        self.max_batch, self.thinking_tokens = max_batch, thinking_tokens
        self._model, self._tokenizer = _load(folder, device, adapter)
        self._grammars = _Grammars(self._model, self._tokenizer)
        self._prefixes: deque[tuple[list[int], Cache]] = deque(maxlen=KEPT_PREFIXES)
        self._device = self._model.device
        canary(self)
        self._prefixes.clear()  # nothing else begins as the canary does

    def sleep(self) -> None:
        """Move the weights to main memory and drop all keys and values, so that something else can use the GPU."""
        self._prefixes.clear()
        self._model.to("cpu")
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def wake(self) -> None:
        """Undo :meth:`sleep`; other users of the GPU must have made room before."""
        self._model.to(self._device)

    def generate(self, requests: Sequence[Request]) -> list[Reply]:
        """Answer all requests, at most ``max_batch`` at a time; raises :class:`TooLongError`."""
        prompts = [self._tokens(request) for request in requests]
        replies: list[Reply] = []
        for i in range(0, len(requests), self.max_batch):
            replies += self._generate_batch(requests[i : i + self.max_batch], prompts[i : i + self.max_batch])
        return replies

    def _tokens(self, request: Request) -> list[int]:
        limit = self._model.config.max_position_embeddings
        return prompt_tokens(self._tokenizer, request, limit=limit, name=self.name, thinking=self.thinking_tokens)

    @torch.inference_mode()
    def _generate_batch(self, requests: Sequence[Request], prompts: list[list[int]]) -> list[Reply]:
        began = time.perf_counter()
        rows = [
            _Row(request, self._grammars.start(request.json_schema), self._end, self.thinking_tokens, self._decoded)
            for request in requests
        ]
        cache, mask, logits = self._prefill(prompts)
        while True:
            tokens = [row.step(logits[i]) for i, row in enumerate(rows)]
            if all(row.finish_reason for row in rows):
                break
            mask = torch.cat((mask, mask.new_ones(len(rows), 1)), dim=1)
            logits = self._forward(torch.tensor(tokens).unsqueeze(1), mask, cache)
        seconds = time.perf_counter() - began
        return [
            Reply(
                text=self._tokenizer.decode(row.tokens, skip_special_tokens=True),
                finish_reason="length" if row.finish_reason == "length" else "stop",
                prompt_tokens=len(prompt),
                completion_tokens=len(row.thoughts) + len(row.tokens),
                seconds=seconds,
                thinking=split_thinking(self._decoded(row.thoughts) + THOUGHT)[0] if row.thoughts else "",
            )
            for row, prompt in zip(rows, prompts, strict=True)
        ]

    def _decoded(self, tokens: list[int]) -> str:
        """Tokens as text, the marks around thoughts too, which may be special ones."""
        return str(self._tokenizer.decode(tokens))

    @property
    def _end(self) -> int:
        return int(self._tokenizer.eos_token_id)

    def _prefill(self, prompts: list[list[int]]) -> tuple[Any, torch.Tensor, torch.Tensor]:
        """Run the prompts: (cache, attention mask (b, p + s), next logits (b, v))."""
        from transformers import DynamicCache

        prefix, kept = self._shared_prefix(prompts)
        b, p, s = len(prompts), len(prefix), max(map(len, prompts)) - len(prefix)
        tokens = torch.full((b, s), self._end)
        mask = torch.zeros((b, p + s), dtype=torch.long)
        mask[:, :p] = 1
        for i, prompt in enumerate(prompts):
            suffix = prompt[p:]
            tokens[i, s - len(suffix) :] = torch.tensor(suffix)
            mask[i, p + s - len(suffix) :] = 1
        cache = (
            DynamicCache([(k.expand(b, -1, -1, -1), v.expand(b, -1, -1, -1)) for k, v in kept]) if p else DynamicCache()
        )
        mask = mask.to(self._model.device)
        return cache, mask, self._forward(tokens, mask, cache)

    def _forward(self, tokens: torch.Tensor, mask: torch.Tensor, cache: Any) -> torch.Tensor:
        """Logits (b, v) of the last position, on the CPU in float32; the cache grows by ``tokens`` (b, s)."""
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)[:, -tokens.shape[1] :]
        out = self._model(
            input_ids=tokens.to(self._model.device),
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            logits_to_keep=1,
        )
        return out.logits[:, -1].float().cpu()

    def _shared_prefix(self, prompts: list[list[int]]) -> tuple[list[int], Cache]:
        """The tokens that all prompts begin with (each keeps at least one of its own), and their keys and values."""
        from transformers import DynamicCache

        shared = _common(prompts)[: min(map(len, prompts)) - 1]
        known, best = max(
            ((_common([shared, tokens]), cache) for tokens, cache in self._prefixes),
            key=lambda pair: len(pair[0]),
            default=([], []),
        )
        kept = [(k[:, :, : len(known)], v[:, :, : len(known)]) for k, v in best] if known else []
        if len(known) < len(shared):
            cache = DynamicCache(kept) if kept else DynamicCache()
            mask = torch.ones((1, len(shared)), dtype=torch.long, device=self._model.device)
            self._forward(torch.tensor([shared[len(known) :]]), mask, cache)
            kept = [(layer.keys, layer.values) for layer in cache.layers]
            self._prefixes.append((shared, kept))
        return shared, kept


class _Row:
    """One request while it is decoded: its grammar, its random generator, its thoughts and its answer so far.

    ``room`` is how many tokens it may think, and ``decoded`` makes text of tokens."""

    def __init__(
        self, request: Request, grammar: Any, end: int, room: int = 0, decoded: Callable[[list[int]], str] = str
    ) -> None:
        self.request, self.grammar, self.end, self.room, self.decoded = request, grammar, end, room, decoded
        self.thinks = room > 0
        self.thoughts: list[int] = []
        self.tokens: list[int] = []
        self.finish_reason: str | None = None
        self.generator = torch.Generator().manual_seed(request.seed)

    def step(self, logits: torch.Tensor) -> int:
        """Choose the next token by ``logits`` (v,); a finished row repeats the end token, which nobody reads."""
        if self.finish_reason:
            return self.end
        if self.thinks:
            return self._think(self._choose(logits))
        before = np.array([self.tokens or [self.end]])
        token = self._choose(torch.from_numpy(self.grammar(before, logits.unsqueeze(0).numpy())).squeeze(0))
        if token == self.end:
            self.finish_reason = "stop"
            return token
        self.tokens.append(token)
        if len(self.tokens) == self.request.max_tokens:
            self.finish_reason = "length"
        return token

    def _think(self, token: int) -> int:
        """Free of the schema until the thought is closed; one that is never closed has no answer."""
        self.thoughts.append(token)
        if THOUGHT in self.decoded(self.thoughts[-TAIL:]):
            self.thinks = False
        elif token == self.end or len(self.thoughts) == self.room:
            self.finish_reason = "length"
        return token

    def _choose(self, allowed: torch.Tensor) -> int:
        if self.request.temperature == 0:
            return int(allowed.argmax())
        weights = torch.softmax(allowed / self.request.temperature, dim=-1)
        return int(torch.multinomial(weights, 1, generator=self.generator))


class _Grammars:
    """Outlines' llguidance backend, with the tokenizer converted once."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        import outlines
        from outlines.backends.llguidance import LLGuidanceBackend

        self._backend = LLGuidanceBackend(outlines.from_transformers(model, tokenizer))
        # The torch masks of llguidance go through torch.compile: five seconds and a C++ compiler for one comparison.
        self._backend.tensor_library_name = "numpy"

    def start(self, schema: dict[str, Any]) -> Any:
        """A logits processor for one row."""
        return self._backend.get_json_schema_logits_processor(json.dumps(compact(schema)))


def _load(folder: Path, device: str, adapter: Path | None) -> tuple[Any, Any]:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, local_files_only=True, use_safetensors=True
        )
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{folder}: not a usable language model ({reason}); import it again or name another folder"
        ) from None
    if not tokenizer.chat_template or tokenizer.eos_token_id is None:
        raise UserError(
            f"{folder}: its tokenizer knows no chats; a planner's model is an instruction-tuned language model"
        )
    if adapter is not None:
        merge(model, adapter)
    return model.to(device).eval(), tokenizer


def _common(sequences: Sequence[list[int]]) -> list[int]:
    """The longest common beginning."""
    return [column[0] for column in takewhile(lambda column: len(set(column)) == 1, zip(*sequences, strict=False))]

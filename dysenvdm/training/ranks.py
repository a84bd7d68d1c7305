"""Ranks: the processes of a run, started by DeepSpeed's launcher, by SLURM's ``srun``, or a single one.

A rank that ends takes the others with it: DeepSpeed's launcher ends those of its node within seconds, and those of
other nodes find the connection closed, or wait for ``train.timeout``. What a run says about it is one line.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import signal
import socket
import sys
import threading
import time
import warnings
from contextlib import suppress
from datetime import timedelta
from typing import Any, Literal

import torch
import torch.distributed as dist

from planners.dsg import UserError

Backend = Literal["auto", "nccl", "gloo"]
BEAT = 0.5
"""Seconds between two signs of life of a rank."""
LAST_BEAT = 2.0
"""Seconds that a sign of life may take when the process ends."""
PATIENCE = 30.0
"""Seconds that a rank leaves its node's first one to report what stops both before they have met."""
_TROUBLE = ("gloo", "NCCL", "Connection closed", "Connection reset", "Broken pipe", "recvVal", "sendBytes")
_SLURM = {"RANK": "SLURM_PROCID", "WORLD_SIZE": "SLURM_NTASKS", "LOCAL_RANK": "SLURM_LOCALID"}


def join_ranks(backend: Backend = "auto", timeout: float = 30.0) -> tuple[int, int, torch.device]:
    """Join the launcher's process group, or make one of a single rank; returns (rank, world size, device).

    ``auto`` is NCCL on GPUs and gloo elsewhere; ``timeout`` in minutes bounds every wait of one rank for another.
    Raises :class:`UserError` where the ranks do not find each other.
    """
    for calls in ("torch.jit.script_method", "torch.distributed.*"):  # DeepSpeed's, which no user can mend
        warnings.filterwarnings("ignore", f"`{calls}` is deprecated")
    import deepspeed

    _environment()
    on_gpu = torch.cuda.is_available()
    if backend == "nccl" and not on_gpu:
        raise UserError("train.backend: nccl needs GPUs; use auto or gloo")
    if not on_gpu:
        # DeepSpeed would compile a shared-memory all-reduce for CPU ranks: half a minute and a compiler; gloo will do.
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    local = int(os.environ["LOCAL_RANK"])
    if on_gpu:
        if local >= torch.cuda.device_count():
            raise UserError(f"{_who()}: {torch.cuda.device_count()} GPUs on this node; start so many ranks here")
        torch.cuda.set_device(local)
    if not dist.is_initialized():
        chosen = ("nccl" if on_gpu else "gloo") if backend == "auto" else backend
        try:
            deepspeed.init_distributed(dist_backend=chosen, timeout=timedelta(minutes=timeout), verbose=False)
        except (dist.DistError, TimeoutError, RuntimeError) as error:
            where = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
            raise UserError(
                f"no rendezvous at {where} within {timeout:g} minutes (train.timeout): {_first_line(error)}; are all "
                f"{os.environ['WORLD_SIZE']} ranks started, and is that address reachable from every node?"
            ) from None
        if dist.get_world_size() > 1:
            _beat_until_the_end(_store().clone())
    return dist.get_rank(), dist.get_world_size(), torch.device("cuda", local) if on_gpu else torch.device("cpu")


def _environment() -> None:
    """``RANK`` and its like where no launcher set them: from a SLURM step, or for a single rank."""
    if "RANK" in os.environ:
        return
    if "SLURM_STEP_ID" in os.environ and int(os.environ.get("SLURM_NTASKS", "1")) > 1:
        missing = [name for name in ("MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
        if missing:
            raise UserError(f"{missing[0]} is not set; set it before srun, as recipes/slurm.sbatch does")
        os.environ.update({ours: os.environ[theirs] for ours, theirs in _SLURM.items()})
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    os.environ.update(RANK="0", WORLD_SIZE="1", LOCAL_RANK="0", MASTER_ADDR="127.0.0.1", MASTER_PORT=port)


class Ended(BaseException):
    """The launcher asked this rank to end, since another one has."""


def end_when_told() -> None:
    """Let the launcher's SIGTERM raise :class:`Ended`, once."""

    def ended(*_: Any) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Ended

    signal.signal(signal.SIGTERM, ended)


def is_lost_connection(error: BaseException) -> bool:
    """Whether another rank's end is what this error says."""
    return isinstance(error, dist.DistError) or (
        isinstance(error, RuntimeError) and any(word in str(error) for word in _TROUBLE)
    )


def say(error: str) -> None:
    """Print one line to stderr, once for all ranks that say the same, and let the others know that it was said."""
    store, rank = _store(), int(os.environ.get("RANK", "0"))
    several = int(os.environ.get("WORLD_SIZE", "1")) > 1
    first = True
    if several and store is not None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # this ends by itself, and soon
        first = rank == 1  # where the store is gone with rank 0
        with suppress(RuntimeError):
            first = store.add(f"said/{hashlib.sha256(error.encode()).hexdigest()}", 1) == 1
            store.add("explained", 1)
    elif several and os.environ.get("LOCAL_RANK", "0") != "0":
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        time.sleep(PATIENCE)  # the node's first rank says the same, and the launcher ends this one
    if first:
        print(f"error: {_who() + ': ' if several else ''}{error}", file=sys.stderr, flush=True)
    if store is not None and several and rank == 0 and dist.get_backend() == "gloo":
        dist.destroy_process_group()  # which tells the others; the store is this process's: it waits for them to look
        time.sleep(6 * BEAT)


def say_who_is_lost() -> None:
    """After a lost connection: which ranks have ended without saying why. Silent where one has said why."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the launcher's; this ends by itself, and soon
    world = int(os.environ["WORLD_SIZE"])
    lost = [0]  # whose process is the store
    with suppress(RuntimeError):
        store = _store()
        before = [store.add(f"beat/{rank}", 0) for rank in range(world)]
        time.sleep(4 * BEAT)
        if store.add("explained", 0):
            return
        lost = [rank for rank in range(world) if store.add(f"beat/{rank}", 0) == before[rank]]
    if not lost:
        say("asked to end; the same command resumes at the last checkpoint")
        return
    say(
        f"rank{'s' if len(lost) > 1 else ''} {', '.join(map(str, lost))} died without a word (killed, or out of "
        f"memory?), which ends the run; the same command resumes at the last checkpoint"
    )


def _beat_until_the_end(store: Any) -> None:
    """Give signs of life for as long as this process and the store are there, beside all else."""
    ending = threading.Event()

    def beat() -> None:
        with suppress(RuntimeError):
            while not ending.is_set():
                store.add(f"beat/{os.environ['RANK']}", 1)
                ending.wait(BEAT)

    def end() -> None:
        # A thread that is in torch's code when the interpreter goes is ended there, and that aborts the process.
        ending.set()
        thread.join(LAST_BEAT)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    atexit.register(end)


def _store() -> Any:
    """Where the ranks can leave each other notes, if they have met."""
    return dist.distributed_c10d._get_default_store() if dist.is_initialized() else None


def _who() -> str:
    return f"rank {os.environ.get('RANK', '0')} of {os.environ.get('WORLD_SIZE', '1')}"


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__

"""Ranks: the processes of a run, started by DeepSpeed's launcher, by SLURM's ``srun``, or a single one.

A rank that ends takes the others with it: DeepSpeed's launcher ends those of its node within seconds, and those of
other nodes find the connection closed, or wait for ``train.timeout``. What a run says about it is one line.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, Literal, TypeVar

import psutil
import torch
import torch.distributed as dist

from planners.dsg import UserError

T = TypeVar("T")
Backend = Literal["auto", "nccl", "gloo"]
BEAT = 0.5
"""Seconds between two signs of life of a rank."""
LAST_BEAT = 2.0
"""Seconds that a sign of life may take when the process ends."""
REACH = 10.0
"""Seconds that the ranks' store may take for an answer before it counts as gone."""
SILENCE = 120.0
"""Seconds without a sign of life after which a rank is not waited for any more."""
WATCH = 1.0
"""Seconds between two looks at the launcher."""
PATIENCE = 30.0
"""Seconds that a rank leaves its node's first one to report what stops both before they have met."""
_TROUBLE = ("gloo", "NCCL", "Connection closed", "Connection reset", "Broken pipe", "recvVal", "sendBytes")
LAUNCHERS = ("WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
"""Environment variables that a launcher sets beside ``RANK``."""
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
        if chosen == "gloo" and "GLOO_SOCKET_IFNAME" not in os.environ and (device := _way_to_the_first_rank()):
            os.environ["GLOO_SOCKET_IFNAME"] = device
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


def launched() -> bool:
    """Whether a launcher, DeepSpeed's or SLURM's, started this process as one of several."""
    return "RANK" in os.environ or _in_slurm_step()


def _in_slurm_step() -> bool:
    return "SLURM_STEP_ID" in os.environ and int(os.environ.get("SLURM_NTASKS", "1")) > 1


def _environment() -> None:
    """``RANK`` and its like where no launcher set them: from a SLURM step, or for a single rank."""
    if "RANK" in os.environ:
        missing = [name for name in LAUNCHERS if name not in os.environ]
        if missing:
            raise UserError(f"RANK is set and {', '.join(missing)} not; unset RANK, or start ranks by a launcher")
        return
    if _in_slurm_step():
        missing = [name for name in ("MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
        if missing:
            raise UserError(f"{missing[0]} is not set; set it before srun, as recipes/slurm.sbatch does")
        os.environ.update({ours: os.environ[theirs] for ours, theirs in _SLURM.items()})
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    os.environ.update(RANK="0", WORLD_SIZE="1", LOCAL_RANK="0", MASTER_ADDR="127.0.0.1", MASTER_PORT=port)


def _way_to_the_first_rank() -> str | None:
    """The network device that leads to MASTER_ADDR, None where that cannot be told.

    gloo asks for the address of the node's own name, which /etc/hosts often gives as one that no other node can reach.
    """
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])))  # chooses a route, and sends nothing
        own = probe.getsockname()[0]
        for device, addresses in psutil.net_if_addrs().items():
            if any(address.address == own for address in addresses):
                return device
    return None


def meet(number: int, word: str | None) -> str | None:
    """Wait until every rank has come to this meeting; returns the first word that one of them brings.

    They wait for as long as it takes, since one may have hours of work before it, while all give signs of life. Raises
    torch's DistError where one does not for :data:`SILENCE`.
    """
    own, world = dist.get_rank(), dist.get_world_size()
    places, read = [f"meeting/{number}/{rank}" for rank in range(world)], f"meeting/{number}/read"
    _asked(lambda store: store.set(places[own], json.dumps(word)), None)
    _wait_until(lambda store: store.check(places))
    nothing: list[str | None] = []
    words = _asked(lambda store: [json.loads(store.get(place)) for place in places], nothing)
    if not words:
        raise dist.DistError("the first rank is gone")
    _asked(lambda store: store.add(read, 1), 0)
    if own == 0:  # whose process is the store, and may end after this
        _wait_until(lambda store: store.add(read, 0) == world)
    return next((said for said in words if said is not None), None)


def _wait_until(true: Callable[[Any], bool]) -> None:
    """Wait for the ranks' store to say so, while all ranks give signs of life; raises torch's DistError."""
    ranks = range(dist.get_world_size())

    def look(store: Any) -> tuple[bool, list[int]]:
        return true(store), [store.add(f"beat/{rank}", 0) for rank in ranks]

    alive = dict.fromkeys(ranks, time.monotonic())
    counted, pause = [-1 for _ in ranks], 0.01
    while True:
        there, counts = _asked(look, (False, counted))
        if there:
            return
        now = time.monotonic()
        alive |= {rank: now for rank in ranks if counts[rank] != counted[rank]}
        counted = counts
        if now - min(alive.values()) > SILENCE:
            raise dist.DistError("a rank gives no sign of life")
        time.sleep(pause)
        pause = min(2 * pause, 2.0)


class Ended(BaseException):
    """The launcher asked this rank to end, since another one has."""


def end_when_told() -> None:
    """Let the launcher's SIGTERM raise :class:`Ended`, once."""

    def ended(*_: Any) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Ended

    signal.signal(signal.SIGTERM, ended)


def end_with_launcher() -> None:
    """Be told to end (SIGTERM) when a process of DeepSpeed's launcher ends before this one, however it does.

    Its first process waits for its second, which waits for the ranks; killed, it takes neither with it. Shells and
    scripts above it may end whenever they like.
    """
    launchers: list[psutil.Process] = []
    with suppress(psutil.Error):
        for parent in psutil.Process().parents():
            if not is_launcher(parent.cmdline()):
                break
            launchers.append(parent)
    if not launchers:
        return

    def running(process: psutil.Process) -> bool:
        with suppress(psutil.NoSuchProcess):
            return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
        return False

    def watch() -> None:
        while all(map(running, launchers)):
            time.sleep(WATCH)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def is_launcher(command: Sequence[str]) -> bool:
    """Whether a process's command line is DeepSpeed's launcher: Python with its script or one of its modules."""
    python, *words = command or [""]
    return os.path.basename(python).startswith("python") and any(
        word.startswith("deepspeed.launcher.") or os.path.basename(word) == "deepspeed" for word in words[:3]
    )


def is_lost_connection(error: BaseException) -> bool:
    """Whether another rank's end is what this error says."""
    return isinstance(error, dist.DistError) or (
        isinstance(error, RuntimeError) and any(word in str(error) for word in _TROUBLE)
    )


def say(error: str) -> None:
    """Print one line to stderr, once for all ranks that say the same, and let the others know that it was said."""
    met, rank = dist.is_initialized(), int(os.environ.get("RANK", "0"))
    several, local = int(os.environ.get("WORLD_SIZE", "1")) > 1, int(os.environ.get("LOCAL_RANK", "0"))
    first = True
    if several and met:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # this ends by itself, and soon

        def note(store: Any) -> bool:
            alone = store.add(f"said/{hashlib.sha256(error.encode()).hexdigest()}", 1) == 1
            store.add("explained", 1)
            return alone

        first = _asked(note, rank == 1 or local == 0)  # where the store is gone with rank 0
    elif several and local:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        time.sleep(PATIENCE)  # the node's first rank says the same, and the launcher ends this one
    if first:
        print(f"error: {_who() + ': ' if several else ''}{error}", file=sys.stderr, flush=True)
    if met and several and rank == 0 and dist.get_backend() == "gloo":
        dist.destroy_process_group()  # which tells the others; the store is this process's: it waits for them to look
        time.sleep(6 * BEAT)


def say_who_is_lost() -> None:
    """After a lost connection: which ranks have ended without saying why. Silent where one has said why."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the launcher's; this ends by itself, and soon
    world = int(os.environ["WORLD_SIZE"])

    def silent(store: Any) -> list[int] | None:
        """The ranks without a sign of life; None where one has said why."""
        before = [store.add(f"beat/{rank}", 0) for rank in range(world)]
        time.sleep(4 * BEAT)
        if store.add("explained", 0):
            return None
        return [rank for rank in range(world) if store.add(f"beat/{rank}", 0) == before[rank]]

    first: list[int] | None = [0]  # whose process is the store
    lost = _asked(silent, first)
    if lost is None:
        return
    if not lost:
        say("asked to end; the same command resumes at the last checkpoint")
        return
    say(
        f"rank{'s' if len(lost) > 1 else ''} {', '.join(map(str, lost))} died without a word (killed, out of memory, "
        f"or cut off?), which ends the run; the same command resumes at the last checkpoint"
    )


def leave(code: int) -> None:
    """End at once: the libraries' own ends wait for ranks that are gone."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


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
    """Where ranks that have met can leave each other notes."""
    return dist.distributed_c10d._get_default_store()


def _asked(question: Callable[[Any], T], otherwise: T) -> T:
    """What the ranks' store says; ``otherwise`` where it is gone.

    Where a network swallows what is sent, the store's own calls never come back, nor does the thread that waits for
    them; it ends with the process.
    """
    answers: list[T] = []

    def ask() -> None:
        with suppress(RuntimeError):
            answers.append(question(_store()))

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(REACH)
    return answers[0] if answers else otherwise


def _who() -> str:
    return f"rank {os.environ.get('RANK', '0')} of {os.environ.get('WORLD_SIZE', '1')}"


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__

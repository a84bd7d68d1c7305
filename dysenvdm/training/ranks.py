"""Ranks: the processes of a run, started by DeepSpeed's launcher, or a single one."""

from __future__ import annotations

import os
import socket

import torch
import torch.distributed as dist


def join_ranks() -> tuple[int, int, torch.device]:
    """Join the launcher's process group, or make one of a single rank; returns (rank, world size, device)."""
    import deepspeed

    if "RANK" not in os.environ:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = str(probe.getsockname()[1])
        os.environ.update(RANK="0", WORLD_SIZE="1", LOCAL_RANK="0", MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
    on_gpu = torch.cuda.is_available()
    if not on_gpu:
        # DeepSpeed would compile a shared-memory all-reduce for CPU ranks: half a minute and a compiler; gloo will do.
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    if not dist.is_initialized():
        deepspeed.init_distributed(dist_backend="nccl" if on_gpu else "gloo", verbose=False)
    local = int(os.environ["LOCAL_RANK"])
    if on_gpu:
        torch.cuda.set_device(local)
    return dist.get_rank(), dist.get_world_size(), torch.device("cuda", local) if on_gpu else torch.device("cpu")

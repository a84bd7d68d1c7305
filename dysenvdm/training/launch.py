"""Training by several ranks on this machine: ``python -m dysenvdm.training.launch RANKS RECIPE [--set KEY=VALUE ...]``.

By torch's launcher, which heeds ``CUDA_VISIBLE_DEVICES``; DeepSpeed's passes over it where it is told a number. A rank
says itself what went wrong, so nothing is added to it here.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Run the ranks to their end; returns 0, or the exit status of the one that failed first."""
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    ranks, *given = arguments
    logging.disable()  # a traceback and thirty lines of its own for every rank that ends with an error
    if not os.environ.get("OMP_NUM_THREADS"):
        os.environ["OMP_NUM_THREADS"] = "1"  # on CPUs each rank would take all cores, and all would wait
    with socket.socket() as probe:  # the usual port may be another run's
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=int(ranks),
        rdzv_backend="static",
        rdzv_endpoint=f"127.0.0.1:{port}",
        rdzv_configs={"rank": 0},
        max_restarts=0,
    )
    try:
        elastic_launch(config, sys.executable)("-m", "dysenvdm.training", *given)
    except ChildFailedError as error:
        _, failure = error.get_first_failure()
        return failure.exitcode if failure.exitcode > 0 else 128 - failure.exitcode
    except SignalException as error:
        return 128 + error.sigval
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

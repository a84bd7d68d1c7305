"""What of DeepSpeed's ZeRO a loop has to know: its settings, and how to look at weights that are shared out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def without_hooks(engine: Any) -> Iterator[None]:
    """Within this block ZeRO 3 leaves the module alone.

    It neither gathers weights before a layer runs, which all ranks would have to do together, nor drops those that
    were gathered.
    """
    offload = getattr(engine.optimizer, "parameter_offload", None)
    if offload is None:
        yield
        return
    for parameter in engine.module.parameters():
        parameter.ds_active_sub_modules.clear()
    offload._remove_module_hooks()
    offload.forward_hooks, offload.backward_hooks = [], []
    try:
        yield
    finally:
        offload.setup_zero_stage3_hooks()

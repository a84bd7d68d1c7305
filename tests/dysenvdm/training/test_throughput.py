"""FLOPs of a step are those of forward and backward pass, once, however the gradients were come by."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from dysenvdm.recurrent_gnn import EDGE_KINDS, MessagePassing
from dysenvdm.training.activations import checkpoint_activations
from dysenvdm.training.throughput import Throughput


@pytest.mark.parametrize("checkpointed", [False, True])
def test_recomputation_is_no_progress(checkpointed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    speed = Throughput(torch.device("cpu"), torch.float32)
    speed.peak = 1e9  # as on a GPU
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _device: 2_000_000_000)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda _device: None)
    layer = MessagePassing(4)
    with FlopCounterMode(display=False) as counter:
        layer(torch.randn(2, 3, 4, requires_grad=True), torch.rand(2, 3, 3, EDGE_KINDS)).sum().backward()
    if checkpointed:
        assert checkpoint_activations(layer) == 1
    for _ in range(3):
        with speed.counting("2 x 3"):
            layer(torch.randn(2, 3, 4, requires_grad=True), torch.rand(2, 3, 3, EDGE_KINDS)).sum().backward()
        speed.stepped(samples=4, seconds=0.5)
    assert speed.known == {"2 x 3": counter.get_total_flops()}
    figures = speed.figures()
    assert figures["mfu"] == pytest.approx(3 * counter.get_total_flops() / 1.5 / 1e9)
    assert figures["samples_per_second"] == pytest.approx(12 / 1.5)
    assert figures["seconds_per_step"] == pytest.approx(0.5)
    assert figures["memory_gb"] == 2


def test_on_cpus_only_speed_is_told() -> None:
    speed = Throughput(torch.device("cpu"), torch.float32)
    with speed.counting("any"):
        pass
    speed.stepped(2, 1.0)
    assert set(speed.figures()) == {"seconds_per_step", "samples_per_second"}
    assert not speed.known

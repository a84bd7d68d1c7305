"""The average shared out among ranks is the whole average, bit for bit, for any number of them."""

import pytest
import torch
from torch import nn

from dysenvdm.training.ema import ExponentialMovingAverage, merged, owners


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(7, 5), nn.Linear(5, 30), nn.Linear(30, 2, bias=False))


def trained(module: nn.Module, averages: list[ExponentialMovingAverage], steps: int = 5) -> None:
    torch.manual_seed(1)
    for _ in range(steps):
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.add_(torch.randn_like(parameter))
        for average in averages:
            average.update(module)


@pytest.mark.parametrize("world", [1, 2, 3, 8])
def test_the_union_of_the_shares_is_the_whole_average(world: int) -> None:
    module = network()
    whole = ExponentialMovingAverage(module, 0.9)
    shares = [ExponentialMovingAverage(module, 0.9, rank=rank, world=world) for rank in range(world)]
    trained(module, [whole, *shares])
    union = merged([share.state_dict() for share in shares])
    assert union.keys() == whole.average.keys()
    assert all(torch.equal(union[name], value) for name, value in whole.average.items())
    assert sum(p.numel() for share in shares for p in share.average.values()) == sum(
        p.numel() for p in module.parameters()
    )


def test_another_number_of_ranks_goes_on_with_the_same_average() -> None:
    module = network()
    whole = ExponentialMovingAverage(module, 0.9)
    two = [ExponentialMovingAverage(module, 0.9, rank=rank, world=2) for rank in range(2)]
    trained(module, [whole, *two])
    states = [average.state_dict() for average in two]
    three = [ExponentialMovingAverage(network(), 0.9, rank=rank, world=3) for rank in range(3)]
    for average in three:
        average.load_state_dict(states)
    trained(module, [whole, *three])
    union = merged([average.state_dict() for average in three])
    assert all(torch.equal(union[name], value) for name, value in whole.average.items())


def test_shares_are_of_like_size_and_the_same_on_all_ranks() -> None:
    sizes = {f"layer{i}": size for i, size in enumerate([900, 500, 400, 300, 300, 100, 100, 1])}
    found = owners(sizes, 3)
    loads = [sum(sizes[name] for name, rank in found.items() if rank == r) for r in range(3)]
    assert found.keys() == sizes.keys()
    assert max(loads) - min(loads) <= 100
    assert owners(dict(reversed(sizes.items())), 3) == found


def test_applied_for_a_while_only() -> None:
    module = network()
    average = ExponentialMovingAverage(module, 0.9)
    trained(module, [average])
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    with average.applied(module):
        assert all(torch.equal(p, average.average[name]) for name, p in module.named_parameters())
        module[0].weight.add_(1)  # what is done to the weights there
    assert all(torch.equal(p, before[name]) for name, p in module.named_parameters())
    assert not torch.equal(before["0.weight"], average.average["0.weight"])
    trained(module, [average], steps=1)  # and it goes on

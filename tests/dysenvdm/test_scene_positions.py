"""Positional encodings: the same for isomorphic graphs, whatever signs and bases eigenvectors come with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from dysenvdm.scene_positions import Positions, _encoded, laplacian_lengths, wl_colours
from dysenvdm.scene_tensors import SceneTensors
from planners.dsg import DynamicSceneGraph, Fact, SceneObject

POSITIONS = Positions(laplacian=4, weisfeiler_lehman=2)


def dsg(objects: str, facts: Sequence[tuple[str, str, int, int]], ticks: int = 4) -> DynamicSceneGraph:
    """Objects of one letter each; facts (subject, object, start, end)."""
    return DynamicSceneGraph(
        ticks=ticks,
        objects=tuple(SceneObject(id=letter, label=letter) for letter in objects),
        facts=tuple(
            Fact(subject=subject, predicate="to", object=target, start=start, end=end, source="plan")
            for subject, target, start, end in facts
        ),
    )


def numbered(*dsgs: DynamicSceneGraph) -> SceneTensors:
    return SceneTensors.numbered(dsgs, POSITIONS)[1]


def graph(size: int, *links: tuple[int, int]) -> NDArray[np.bool_]:
    adjacency = np.zeros((size, size), bool)
    for i, j in links:
        adjacency[i, j] = adjacency[j, i] = True
    return adjacency


def test_lengths_of_a_path_are_the_absolute_eigenvectors() -> None:
    """Of a path of three nodes, known by hand: eigenvalues 0, 1 and 2."""
    half, root = 0.5, 0.5**0.5
    expected = [[half, root, half, 0, 1, 2], [root, 0, root, 0, 1, 2], [half, root, half, 0, 1, 2]]
    np.testing.assert_allclose(laplacian_lengths(graph(3, (0, 1), (1, 2)), 3), expected, atol=1e-6)


def test_coinciding_eigenvalues_count_once() -> None:
    """A star of four rays has eigenvalues 0, 1 (three times) and 2; its rays cannot be told apart."""
    star = laplacian_lengths(graph(5, *((0, i) for i in range(1, 5))), 4)
    np.testing.assert_allclose(star[0], [0.5**0.5, 0, 0.5**0.5, 0, 0, 1, 2, 0], atol=1e-6)
    np.testing.assert_allclose(star[1:], np.tile(star[1], (4, 1)), atol=1e-6)
    np.testing.assert_allclose((star[:, :3] ** 2).sum(1), 1, atol=1e-5)  # eigenvectors are a basis


@pytest.mark.parametrize("seed", range(5))
def test_signs_and_bases_of_eigenvectors_do_not_matter(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(seed)
    adjacency = graph(9, *((0, i) for i in range(1, 5)), (4, 5), (6, 7))  # with a star, a pair and a lonely node
    expected = laplacian_lengths(adjacency, 6)
    solve = np.linalg.eigh

    def otherwise(matrix: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The same eigenspaces, each in a random basis (of a single vector: a random sign)."""
        values, vectors = solve(matrix)
        for value in set(values.round(6)):
            of_it = np.flatnonzero(np.abs(values - value) < 1e-5)
            basis, _ = np.linalg.qr(rng.standard_normal((len(of_it), len(of_it))))
            vectors[:, of_it] = vectors[:, of_it] @ basis
        return values, vectors

    monkeypatch.setattr(np.linalg, "eigh", otherwise)
    np.testing.assert_allclose(laplacian_lengths(adjacency, 6), expected, atol=2e-6)


@pytest.mark.parametrize("seed", range(5))
def test_a_renumbered_graph_has_the_same_encodings_renumbered(seed: int) -> None:
    rng = np.random.default_rng(seed)
    links = np.triu((rng.random((8, 8)) < 0.3) * rng.integers(1, 3, (8, 8)), 1).astype(np.int8)
    links += 2 * links.T * (links.T > 0)  # another kind of edge in the other direction
    kind, order = rng.integers(0, 3, 8).astype(np.int8), rng.permutation(8)
    lengths, colours = _encoded(kind.tobytes(), links.tobytes(), 4, 3)
    there = np.ascontiguousarray(links[np.ix_(order, order)])
    other_lengths, other_colours = _encoded(kind[order].tobytes(), there.tobytes(), 4, 3)
    np.testing.assert_allclose(other_lengths, lengths[order], atol=2e-6)
    np.testing.assert_array_equal(other_colours, colours[order])


def test_colours_tell_roles_apart_round_by_round() -> None:
    """In a chain 0 - 1 - 2 - 3 - 4 of one kind: ends after one round, next to ends after two."""
    chain = graph(5, (0, 1), (1, 2), (2, 3), (3, 4)).astype(np.int8)
    once, twice = wl_colours(np.zeros(5, np.int8), chain, 2).T.tolist()
    assert once[0] == once[4] != once[1] == once[2] == once[3]
    assert twice[1] == twice[3] != twice[2]


def test_colours_see_kinds_of_nodes_and_of_edges() -> None:
    kinds, pair = np.zeros(2, np.int8), np.array([[0, 1], [2, 0]], np.int8)
    (first, second) = wl_colours(kinds, pair, 1)
    assert first != second
    assert (wl_colours(np.array([0, 1], np.int8), pair, 1) != wl_colours(kinds, pair, 1)).any()


def test_colours_are_the_same_in_every_process() -> None:
    assert wl_colours(np.zeros(2, np.int8), np.array([[0, 1], [2, 0]], np.int8), 1).tolist() == [
        [5315221120662776800],
        [624817695468396926],
    ]


def test_isomorphic_scene_graphs_are_encoded_alike_whatever_the_labels() -> None:
    one = numbered(dsg("abc", [("a", "b", 0, 4), ("b", "c", 0, 4)]))
    two = numbered(dsg("zyx", [("y", "z", 0, 4), ("z", "x", 0, 4)]))  # objects in another order, other names
    order = torch.tensor([1, 0, 2, 3, 4])
    for name in ("laplacian", "weisfeiler_lehman"):
        assert torch.allclose(getattr(two, name), getattr(one, name)[:, :, order], atol=2e-6), name


def test_every_tick_is_encoded_by_its_own_graph() -> None:
    """What comes later changes nothing before, and what is not there has no place."""
    scene = numbered(dsg("ab", [("a", "b", 0, 2)]))
    more = numbered(dsg("ab", [("a", "b", 0, 2), ("b", "a", 2, 4)]))
    for name in ("laplacian", "weisfeiler_lehman"):
        now, later = getattr(scene, name), getattr(more, name)
        assert torch.equal(now[:, :2], later[:, :2, :3]), name
        assert not torch.equal(now[:, 2:], later[:, 2:, :3]), name
        assert (now[~scene.active] == 0).all()
        assert (later[~more.active] == 0).all()


def test_neighbours_in_the_batch_do_not_matter() -> None:
    small, large = dsg("a", []), dsg("abc", [("a", "b", 0, 4), ("b", "c", 1, 4)], ticks=6)
    alone, together = numbered(small), numbered(large, small, DynamicSceneGraph(ticks=2))
    for name in ("laplacian", "weisfeiler_lehman"):
        got = getattr(together, name)
        assert torch.equal(got[1, :4, :1], getattr(alone, name)[0])
        assert (got[1, 4:] == 0).all()
        assert (got[1, :, 1:] == 0).all()
        assert (got[2] == 0).all()


def test_what_is_not_asked_for_is_not_there() -> None:
    _, scene = SceneTensors.numbered([dsg("ab", [("a", "b", 0, 2)])])
    assert scene.laplacian.shape == scene.weisfeiler_lehman.shape == (1, 4, 3, 0)
    with_both = replace(numbered(dsg("ab", [("a", "b", 0, 2)])), laplacian=scene.laplacian)
    assert with_both.weisfeiler_lehman.shape == (1, 4, 3, 2)

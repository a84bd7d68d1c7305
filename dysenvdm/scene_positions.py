"""Positional encodings: where in a tick's scene graph a node stands, whatever the nodes are called and in any order.

*Laplacian* (Dwivedi & Bresson 2021): from the eigenvectors of the normalised Laplacian ``I - D^-1/2 A D^-1/2`` of the
graph's links. An eigenvector is known up to its sign only, and where eigenvalues coincide, as in every star (a girl
with three attributes), up to the choice of a basis. Random signs in training, the usual remedy, teach a network to
overlook the one and not the other. Here nothing has to be overlooked: per *distinct* eigenvalue a node gets the length
of its projection on the eigenspace, which for a simple eigenvalue is the absolute value of the eigenvector's entry.
Every even function of the entry is a function of it, so this is what SignNet (Lim et al. 2023) could learn of single
entries, and it holds for eigenspaces too. It is the same in training and in use.

*Weisfeiler-Lehman* (Zhang et al. 2020, Graph-BERT; Dwivedi & Bresson 2021): the colours of the WL test. Nodes begin
with their kind and are recoloured, in rounds, by their own and their neighbours' colours and the kinds of the edges to
these. Isomorphic graphs get the same colours. Colours are hashes, the same in every process.

Both are of one tick's graph, so they are causal; computed on the host (in a loader's processes), each graph once.

Letters: ``t`` tick, ``n`` node, ``k`` eigenvalue, ``r`` round.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

WL_COLOURS = 512
"""Colours are hashed into so many; two roles rarely share one."""
_SAME = 1e-6
"""Eigenvalues nearer than this are one."""
_REMEMBERED = 2**16

Encoded = tuple[NDArray[np.float32], NDArray[np.int64]]
"""Of n nodes: Laplacian lengths and eigenvalues (n 2k), WL colours (n r)."""


@dataclass(frozen=True)
class Positions:
    """Which encodings a scene adapter reads: so many eigenvalues, so many rounds; 0 is none."""

    laplacian: int = 0
    weisfeiler_lehman: int = 0

    def of(self, kind: Tensor, edges: Tensor, active: Tensor) -> tuple[Tensor, Tensor]:
        """Of one video's nodes: kinds (n), edges (n n; 0: none), activity (t n) -> (t n 2k) float and (t n r) long.

        The first k of 2k are lengths of projections, for the smallest distinct eigenvalues, zero included; the others
        are these eigenvalues. Zeros where a node is not active or a graph has fewer eigenvalues.
        """
        laplacian = torch.zeros(*active.shape, 2 * self.laplacian)
        colours = torch.zeros(*active.shape, self.weisfeiler_lehman, dtype=torch.long)
        if not (self.laplacian or self.weisfeiler_lehman):
            return laplacian, colours
        kinds, links = kind.numpy().astype(np.int8), edges.numpy().astype(np.int8)
        for tick, there in enumerate(active.numpy()):
            (nodes,) = there.nonzero()
            if nodes.size:
                graph = (kinds[nodes].tobytes(), links[np.ix_(nodes, nodes)].tobytes())
                lengths, codes = _encoded(*graph, self.laplacian, self.weisfeiler_lehman)
                laplacian[tick, nodes], colours[tick, nodes] = torch.from_numpy(lengths), torch.from_numpy(codes)
        return laplacian, colours


@lru_cache(_REMEMBERED)
def _encoded(kinds: bytes, edges: bytes, eigenvalues: int, rounds: int) -> Encoded:
    kind = np.frombuffer(kinds, np.int8)
    links = np.frombuffer(edges, np.int8).reshape(len(kind), -1) * ~np.eye(len(kind), dtype=bool)
    return laplacian_lengths(links != 0, eigenvalues), wl_colours(kind, links, rounds) % WL_COLOURS


def laplacian_lengths(adjacency: NDArray[np.bool_], eigenvalues: int) -> NDArray[np.float32]:
    """A graph's adjacency (n n), symmetric and without loops -> (n 2k): see :meth:`Positions.of`."""
    degree = adjacency.sum(0)
    scale = np.where(degree > 0, np.maximum(degree, 1), np.inf) ** -0.5  # of lonely nodes: zero
    values, vectors = np.linalg.eigh(np.diag((degree > 0).astype(float)) - scale[:, None] * adjacency * scale)
    first = np.flatnonzero(np.diff(values, prepend=-np.inf) > _SAME)  # of each eigenspace
    lengths = np.sqrt(np.add.reduceat(vectors**2, first, axis=1))[:, :eigenvalues]
    encoded = np.zeros((len(degree), 2, eigenvalues), np.float32)
    encoded[:, 0, : lengths.shape[1]] = lengths.round(6)  # what is beyond is rounding, not the graph
    encoded[:, 1, : lengths.shape[1]] = values[first][:eigenvalues].round(6)
    return encoded.reshape(len(degree), -1)


def wl_colours(kind: NDArray[np.int8], links: NDArray[np.int8], rounds: int) -> NDArray[np.int64]:
    """Kinds of nodes (n) and of the edges between them (n n; 0: none) -> colours after each round (n r), 63 bits."""
    neighbours = [row.nonzero()[0].tolist() for row in links]
    colours: list[int] = kind.tolist()
    after = np.zeros((len(kind), rounds), np.int64)
    for i in range(rounds):
        said = [
            (colours[node], sorted((int(links[node, other]), colours[other]) for other in near))
            for node, near in enumerate(neighbours)
        ]
        digests = (hashlib.blake2b(repr(words).encode(), digest_size=8).digest() for words in said)
        colours = [int.from_bytes(digest, "big") >> 1 for digest in digests]
        after[:, i] = colours
    return after

"""Two nodes on one machine: two network namespaces with names of their own, and a cable between them.

    unshare -r -n -m python two_nodes.py COMMAND [FILE]

runs a shell command on both, with NODE, 0 or 1, and MASTER_ADDR, the first node's address, in its environment; when
there is such a file (of a pattern), the cable is pulled. What each says goes to node0.txt and node1.txt here. The exit
status is the larger one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

ADDRESSES = ("10.77.0.1", "10.77.0.2")


def boot(number: int) -> subprocess.Popen[bytes]:
    """A process that keeps a node's namespaces."""
    return subprocess.Popen(["unshare", "-n", "-u", "sh", "-c", f"hostname node{number} && exec sleep 86400"])


def on(node: subprocess.Popen[bytes], *command: str) -> list[str]:
    return ["nsenter", "-t", str(node.pid), "-n", "-u", *command]


def main(command: str, file: str | None = None) -> int:
    nodes = [boot(number) for number in range(2)]
    running: list[subprocess.Popen[bytes]] = []
    try:
        for number, node in enumerate(nodes):
            while subprocess.run(on(node, "hostname"), capture_output=True, check=True).stdout != b"node%d\n" % number:
                time.sleep(0.05)
        pids = [str(node.pid) for node in nodes]
        cable = ["ip", "link", "add", "eth0", "netns", pids[0], "type", "veth", "peer", "eth0", "netns", pids[1]]
        subprocess.run(cable, check=True)
        for node, address in zip(nodes, ADDRESSES, strict=True):
            up = f"ip link set lo up && ip address add {address}/24 dev eth0 && ip link set eth0 up"
            subprocess.run(on(node, "sh", "-c", up), check=True)
        for number, node in enumerate(nodes):
            environment = {**os.environ, "NODE": str(number), "MASTER_ADDR": ADDRESSES[0]}
            with Path(f"node{number}.txt").open("w") as said:
                running.append(
                    subprocess.Popen(on(node, "sh", "-c", command), env=environment, stdout=said, stderr=said)
                )
        if file:
            while not list(Path().glob(file)) and all(one.poll() is None for one in running):
                time.sleep(0.05)
            subprocess.run(on(nodes[1], "ip", "link", "set", "eth0", "down"), check=True)
        return max(one.wait() for one in running)
    finally:
        for process in (*running, *nodes):
            process.kill()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

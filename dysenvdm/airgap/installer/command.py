"""``python install.py``: verify and install the bundle that the script lies in. Needs Python and pip, nothing else."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dysenvdm.airgap.installer.layout import BundleError
from dysenvdm.airgap.installer.prefix import install, use
from dysenvdm.airgap.installer.verify import problems, verify


def main(root: Path, arguments: list[str] | None = None) -> int:
    """Run the script on the bundle in ``root``; 0 done, 1 the bundle is not right, 2 it could not be installed."""
    parser = argparse.ArgumentParser(
        prog="install.py", description="Verify this bundle and install it, without a network."
    )
    parser.add_argument("--prefix", type=Path, help="the folder that gets (another version of) the installation")
    parser.add_argument("--key", type=Path, help="the public key (PEM) that the bundle must be signed with")
    parser.add_argument("--verify", action="store_true", help="only verify")
    parser.add_argument("--use", metavar="NAME", help="only make an installed version of --prefix current")
    given = parser.parse_args(arguments)
    if not given.verify and given.prefix is None:
        parser.error("give --prefix FOLDER (or --verify)")
    try:
        if given.use:
            use(given.prefix, given.use)
            return 0
        if given.verify:
            rows = verify(root, given.key)
            for row in rows:
                print(f"{row.level:<6} {row.what:<10} {row.found}")
            return 1 if problems(rows) else 0
        if given.key is None:
            print("note: the signature is not checked (no --key)", file=sys.stderr)
        version = install(root, given.prefix, given.key, lambda line: print(line, file=sys.stderr))
    except BundleError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    print(f"installed: {version}")
    print(f"run it: {given.prefix.expanduser().absolute() / 'current' / 'bin' / 'dysenvdm'}")
    return 0

"""Verify and install this bundle: python3.11 install.py --prefix /opt/dysenvdm [--key lab.pub]. See docs/airgap.md."""

import sys

if __name__ == "__main__":
    sys.dont_write_bytecode = True  # the bundle must stay as it was signed
    if not sys.flags.safe_path:
        del sys.path[0]  # no file beside this one may stand in for a module of Python
    from pathlib import Path

    here = Path(__file__).resolve().parent
    sys.path.insert(0, str(here / "installer"))
    from dysenvdm.airgap.installer.command import main

    sys.exit(main(here))

"""Verify and install this bundle: python3.11 install.py --prefix /opt/dysenvdm [--key key.pub]. See docs/airgap.md."""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.dont_write_bytecode = True  # the bundle must stay as it was signed
    here = Path(__file__).resolve().parent
    sys.path.insert(0, str(here / "installer"))
    from dysenvdm.airgap.installer.command import main

    sys.exit(main(here))

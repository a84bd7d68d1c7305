"""What test_ranks.py starts on each of two ranks: recipe files, one after the other, in one process group."""

import sys

from dysenvdm.training import run

if __name__ == "__main__":
    for recipe in sys.argv[1:]:
        run(recipe, [])

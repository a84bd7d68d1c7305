"""Data sets that annotate who does what in which frames, read in their official files and told as our scene graphs."""

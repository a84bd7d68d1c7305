"""Experiments that need planner and generator together. Like the command line they may import everything."""

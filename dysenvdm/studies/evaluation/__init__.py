"""Evaluating a model on a benchmark: its cases, plans and videos, each made once, then its metrics."""

"""Verifies and installs bundles with the standard library alone; the same files lie in every bundle."""

"""Loaders of training data: one module per corpus, and caches of what the frozen parts of the model make of it."""

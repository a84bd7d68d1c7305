"""Caches: what training reads of a corpus, made once and kept in sharded safetensors under a key of its content."""

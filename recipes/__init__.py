"""Training recipes: YAML files and DeepSpeed settings, one folder each; no logic."""

"""The pretrained networks that metrics look through, with the parameter names of the public checkpoints."""

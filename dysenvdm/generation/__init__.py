"""What a call of the pipeline is made of, one thing per module; none of them imports the pipeline."""

"""The environment that keeps the libraries off the network; `dysenvdm` sets it before it loads any of them."""

SWITCHES = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "DO_NOT_TRACK": "1", "VLLM_NO_USAGE_STATS": "1"}

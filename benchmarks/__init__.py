"""Speed and memory, measured with n and spread: ``make bench``."""

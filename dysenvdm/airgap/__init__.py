"""Working without a network: bundles (create, verify, install, compare) and the preflight that `doctor` prints."""

"""How quick and how small sevrouter is, as ratios to peers that are measured in the same run. See `--help`."""

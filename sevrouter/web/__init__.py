"""What is asked of a running sevrouter by probes, by Prometheus and by who operates it."""

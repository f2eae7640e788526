"""Real processes for tests: Prometheus, Alertmanager and sevrouter itself, started, watched and stopped."""

"""sevrouter: routes Prometheus Alertmanager alerts by how bad they are."""

__version__ = "0.1.0"

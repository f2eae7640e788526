"""What is asked for more than an alert says: Prometheus, Alertmanager."""

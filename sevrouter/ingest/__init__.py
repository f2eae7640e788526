"""The way in: reads webhooks and checks who sends them. The only room that knows Alertmanager's JSON."""

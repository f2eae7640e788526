"""The configuration: read, checked whole, turned into what the daemon runs on, and replaced while it runs.

Knows YAML, files and the domain's words. Must not know how an integration is spoken to, where incidents are
stored or what a webhook looks like: it hands settings over and the composition root builds from them.
"""

from sevrouter.config.configuration import (
    AlertmanagerSettings,
    CallSettings,
    Configuration,
    ConsoleSettings,
    Expected,
    HeartbeatOutSettings,
    IntegrationSettings,
    JiraSettings,
    PagerDutySettings,
    PostgresSettings,
    PrometheusSettings,
    ReconcileSettings,
    SlackSettings,
    SqliteSettings,
    StoreSettings,
    TlsSettings,
    TwilioSettings,
    WebhookSettings,
)
from sevrouter.config.load import load
from sevrouter.config.problem import ConfigurationError, Level, Problem
from sevrouter.config.reload import ConfigurationKeeper, log_loaded
from sevrouter.config.schedules import CalendarSettings, ScheduleSettings
from sevrouter.config.secret import SecretError, SecretFile

__all__ = [
    "AlertmanagerSettings",
    "CalendarSettings",
    "Configuration",
    "ConfigurationError",
    "ConfigurationKeeper",
    "ConsoleSettings",
    "Expected",
    "HeartbeatOutSettings",
    "IntegrationSettings",
    "JiraSettings",
    "Level",
    "PagerDutySettings",
    "PostgresSettings",
    "Problem",
    "PrometheusSettings",
    "ReconcileSettings",
    "ScheduleSettings",
    "SecretError",
    "SecretFile",
    "SlackSettings",
    "SqliteSettings",
    "StoreSettings",
    "TlsSettings",
    "WebhookSettings",
    "load",
    "log_loaded",
]

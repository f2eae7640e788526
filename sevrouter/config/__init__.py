"""The configuration: read, checked whole, turned into what the daemon runs on, and replaced while it runs.

Knows YAML, files and the domain's words. Must not know how an integration is spoken to, where incidents are
stored or what a webhook looks like: it hands settings over and the composition root builds from them.
"""

from sevrouter.config.call_settings import (
    AppriseSettings,
    CallSettings,
    ConsoleSettings,
    PagerDutySettings,
    PagerTreeSettings,
    PagerTreeWebhookSettings,
    SipSettings,
    TwilioSettings,
    WebhookOutSettings,
)
from sevrouter.config.configuration import (
    AlertmanagerSettings,
    AuthSettings,
    Configuration,
    Expected,
    HeartbeatOutSettings,
    IntegrationSettings,
    JiraSettings,
    PostgresSettings,
    PrometheusSettings,
    ReconcileSettings,
    SlackSettings,
    SqliteSettings,
    StoreSettings,
    TlsSettings,
    TransitionSettings,
    WebhookSettings,
)
from sevrouter.config.load import load
from sevrouter.config.problem import ConfigurationError, Level, Problem
from sevrouter.config.reload import ConfigurationKeeper, log_loaded
from sevrouter.config.schedules import CalendarSettings, ScheduleSettings
from sevrouter.config.secret import SecretError, SecretFile

__all__ = [
    "AlertmanagerSettings",
    "AppriseSettings",
    "AuthSettings",
    "CalendarSettings",
    "CallSettings",
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
    "PagerTreeSettings",
    "PagerTreeWebhookSettings",
    "PostgresSettings",
    "Problem",
    "PrometheusSettings",
    "ReconcileSettings",
    "ScheduleSettings",
    "SecretError",
    "SecretFile",
    "SipSettings",
    "SlackSettings",
    "SqliteSettings",
    "StoreSettings",
    "TlsSettings",
    "TransitionSettings",
    "TwilioSettings",
    "WebhookOutSettings",
    "WebhookSettings",
    "load",
    "log_loaded",
]

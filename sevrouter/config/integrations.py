"""What a configuration says about integrations: Slack and Jira, and the choice of what each of them is.

Each field's description holds its unit, its default and why. Must not know how an integration is spoken to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue

from sevrouter.config.fields import (
    NOT_EMPTY,
    InlineSecretText,
    JiraProject,
    OneWord,
    Section,
    SevName,
    Text,
    Url,
)
from sevrouter.config.problem import FieldError
from sevrouter.config.providers import Providers

if TYPE_CHECKING:
    from collections.abc import Callable


class Console(Section):
    """Prints instead of telling anybody: for a demo and for trying out."""

    type: Literal["console"] = Field(description="`console`. Required.")


class Slack(Section):
    """Tells a channel on Slack, one thread an incident."""

    type: Literal["slack"] = Field(description="`slack`, which is the default, or `console`.")
    url: Url = Field("https://slack.com/api/", description="An address. Default: https://slack.com/api/.")
    token_file: Text | None = Field(
        None, description="A file that holds the bot token (xoxb-…). Required; read again when it changes."
    )
    token: InlineSecretText | None = Field(
        None, description="The token itself. Default: none. Only with `allow_inline_secrets`."
    )
    signing_secret_file: Text | None = Field(
        None,
        description="A file that holds the signing secret of the app, to hear of its buttons at "
        "public_url/callbacks/slack. Default: none; read again when it changes.",
    )
    signing_secret: InlineSecretText | None = Field(
        None, description="The secret itself. Default: none. Only with `allow_inline_secrets`."
    )
    app_token_file: Text | None = Field(
        None,
        description="A file that holds an app-level token (xapp-…), to hear of its buttons by Socket Mode, where "
        "nobody can reach us. Default: none; read again when it changes.",
    )
    app_token: InlineSecretText | None = Field(
        None, description="The token itself. Default: none. Only with `allow_inline_secrets`."
    )
    channel: OneWord | None = Field(
        None,
        description="The id or name of the channel for teams without one, and for those whose own is archived or "
        "closed to the app. Default: none; then every owner needs one.",
    )


class JiraTransition(Section):
    """A transition of Jira's workflow. Its name is in the language of whoever looks, so it is not chosen by that."""

    id: Text | None = Field(None, description="The id of the transition. Required, or `category`.")
    category: Literal["to-do", "in-progress", "done"] | None = Field(
        None,
        description="The category of the status that it leads to: to-do, in-progress or done; the first that is open "
        "to us is taken. Required, or `id`.",
    )
    fields: dict[Text, JsonValue] = Field(
        {}, description="What its screen demands, as Jira's API takes it. Default: none."
    )


def _one_way(transition: JiraTransition) -> JiraTransition:
    if (transition.id is None) is (transition.category is None):
        raise FieldError("needs either an id or a category", "{category: done}, or {id: '31'}")
    return transition


Transition = Annotated[JiraTransition, AfterValidator(_one_way)]


class Jira(Section):
    """Files tickets in Jira Cloud or in Jira Data Center."""

    type: Literal["jira"] = Field(description="`jira`, which is the default, or `console`.")
    url: Url = Field(description="The address of the site, https://example.atlassian.net. Required.")
    deployment: Literal["auto", "cloud", "data-center"] = Field(
        "auto",
        description="What answers there: cloud or data-center. Default: auto, by the address or by what it says of "
        "itself.",
    )
    email: Text | None = Field(
        None,
        description="The account that the API token belongs to; in Data Center the user whose password it is. Default: "
        "none; then the token is sent as a Bearer, as a personal access token and a token of OAuth 2.0 are.",
    )
    token_file: Text | None = Field(
        None, description="A file that holds the token. Required; read again when it changes."
    )
    token: InlineSecretText | None = Field(
        None, description="The token itself. Default: none. Only with `allow_inline_secrets`."
    )
    project: JiraProject | None = Field(
        None,
        description="The key of the project for teams without one. Default: none; then every owner needs one.",
    )
    issue_type: Text = Field("Bug", description="The name of an issue type of the project. Default: Bug.")
    labels: tuple[OneWord, ...] = Field((), description="Labels of every ticket. Default: none beside our own.")
    components: tuple[Text, ...] = Field(
        (), description="The names of components of the project, whose default assignee Jira may take. Default: none."
    )
    priority: dict[SevName, Text] = Field(
        {}, description="The name of Jira's priority for a SEV. Default: what Jira gives a new issue."
    )
    on_resolve: Transition | None = Field(
        None,
        description="What becomes of a ticket when its incident is over, unless people have closed it. Default: a "
        "comment alone.",
    )
    on_reopen: Transition | None = Field(
        None,
        description="What becomes of a ticket that is closed when its incident comes back. Default: a comment alone.",
    )
    wont_fix: tuple[Text, ...] = Field(
        ("Won't Do", "Won't Fix"),
        description="The names of resolutions. A ticket that people closed with one stays closed, and nothing more is "
        "said on it. Default: Won't Do and Won't Fix.",
    )
    update: tuple[Literal["priority"], ...] = Field(
        (),
        description="What is written again when the SEV rises: priority, by `priority`. Default: none; what people "
        "see to once a ticket is filed is theirs.",
    )


def _typed(default: str) -> Callable[[object], object]:
    def with_type(written: object) -> object:
        return {"type": default, **written} if isinstance(written, dict) else written

    return with_type


CallChoice = Annotated[Providers, NOT_EMPTY]
SlackChoice = Annotated[
    Annotated[Slack | Console, Field(discriminator="type")],
    BeforeValidator(_typed("slack")),
]
JiraChoice = Annotated[
    Annotated[Jira | Console, Field(discriminator="type")],
    BeforeValidator(_typed("jira")),
]


class Integrations(Section):
    """What is told of incidents. At least one; any of them may be `{type: console}`."""

    call: CallChoice | None = Field(
        None,
        description="Calls people: pagerduty, twilio, pagertree, webhook, apprise or console; or a list of these, of "
        "which the next one calls where one cannot. Default: none.",
    )
    slack: SlackChoice | None = Field(None, description="Tells a channel: slack or console. Default: none.")
    jira: JiraChoice | None = Field(None, description="Files tickets: jira or console. Default: none.")

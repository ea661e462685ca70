"""Recipients of notifications: messages sent by Apprise, and pings to services that detect missing runs."""

from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from tasks.inventory.secrets import SecretReference, Strict

Action = Literal["backup", "verify", "prune", "check", "report"]


def _one_way() -> dict[str, Any]:
    return {"oneOf": [{"required": ["url"]}, {"required": ["ping"]}]}


class Notification(Strict):
    """One address. It holds tokens, so it is a secret as passphrases are."""

    model_config = ConfigDict(json_schema_extra=_one_way())

    url: SecretReference | None = Field(
        None, description="where messages go, as Apprise writes it: mailtos://, ntfys://"
    )
    ping: SecretReference | None = Field(
        None, description="an address such as https://hc-ping.com/<uuid>; /start and /fail are put behind it"
    )
    on: Literal["failure", "always"] | None = Field(
        None, description="when to tell: a message on failure unless given, a ping always"
    )
    after: tuple[Action, ...] | None = Field(
        None,
        min_length=1,
        description="after which tasks; unless given a message after all of them, a ping after backup",
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.url is None) == (self.ping is None):
            raise ValueError("needs `url` for messages or `ping` for pings, and not both")
        return self

    @property
    def always(self) -> bool:
        """Whether successes are notified too."""
        return self.on == "always" if self.on else self.ping is not None

    def follows(self, action: str) -> bool:
        """Return whether it is for that task."""
        return action in self.after if self.after else self.url is not None or action == "backup"

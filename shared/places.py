"""Places outside that the service fetches from, as settings describe them: stations, AUXIP services, credentials."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator


class AuthSettings(BaseModel):
    """Credentials of an OData service."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Annotated[Literal["none", "basic", "oauth2"], Field(description="How requests are authorised")] = "none"
    user: Annotated[str, Field(description="Basic, and OAuth2 by password")] = ""
    password: Annotated[SecretStr, Field(description="Basic, and OAuth2 by password")] = SecretStr("")
    grant: Annotated[Literal["password", "client_credentials"], Field(description="OAuth2: how a token is got")] = (
        "password"
    )
    token_url: Annotated[str, Field(pattern=r"^(https?://.*)?$", description="OAuth2: where tokens are got")] = ""
    client_id: Annotated[str, Field(description="OAuth2")] = ""
    client_secret: Annotated[SecretStr, Field(description="OAuth2; empty for a public client")] = SecretStr("")
    client_auth: Annotated[
        Literal["body", "basic"], Field(description="OAuth2: how the client's id and secret go to token_url")
    ] = "body"
    scope: Annotated[str, Field(description="OAuth2; empty for none")] = ""
    token_header: Annotated[
        Literal["Authorization", "OAUTH2-ACCESS-TOKEN"], Field(description="OAuth2: the header that carries the token")
    ] = "Authorization"  # noqa: S105 - the name of a header
    redirect_credentials: Annotated[
        bool, Field(description="A redirect on the same origin (scheme, host, port) keeps the credentials")
    ] = True
    redirect_hosts: Annotated[
        tuple[str, ...], Field(description="Other hosts that get the credentials when a request is redirected to them")
    ] = ()

    @model_validator(mode="after")
    def _complete(self) -> Self:
        needed = {
            "none": {},
            "basic": {"user": self.user},
            "oauth2": {"token_url": self.token_url, "client_id": self.client_id}
            | ({"user": self.user} if self.grant == "password" else {}),
        }[self.kind]
        for name, value in needed.items():
            if not value:
                raise ValueError(f"{name}: expected a value, as kind is {self.kind}")
        return self


class AuxipSettings(BaseModel):
    """One delivery point of auxiliary data."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}$", description="Its name here, e.g. adgs")]
    url: Annotated[str, Field(pattern=r"^https?://", description="Root of the OData service: what Products follows")]
    auth: Annotated[AuthSettings, Field(description="Its credentials")] = AuthSettings()
    ca_file: Annotated[
        Path | None, Field(description="PEM bundle of the authority that signed the service's certificate")
    ] = None
    timeout_s: Annotated[float, Field(gt=0, description="Seconds to wait for a connection or for the next bytes")] = (
        20.0
    )
    page: Annotated[int, Field(ge=1, le=5000, description="Products asked for at a time ($top)")] = 500
    name_prefix: Annotated[
        str, Field(pattern=r"^[A-Za-z0-9_]{0,32}$", description="Begin of the names asked for; empty: all are listed")
    ] = "S2"
    classes: Annotated[tuple[Literal["OPER", "TEST"], ...], Field(description="File classes taken")] = ("OPER",)
    excluded: Annotated[tuple[str, ...], Field(description="Types that are not taken, e.g. to keep a baseline")] = ()
    overlap_s: Annotated[
        float, Field(ge=0, description="Each listing begins this long before the newest publication date seen")
    ] = 3600.0
    lookback_s: Annotated[
        float, Field(ge=0, description="And this long before it every lookback_every_s: for what becomes visible late")
    ] = 172800.0
    lookback_every_s: Annotated[float, Field(gt=0, description="Seconds between the long listings")] = 3600.0
    first_days: Annotated[float, Field(ge=0, description="The first listing begins so many days ago")] = 30.0


class StationSettings(BaseModel):
    """One pick-up point."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[A-Z0-9_]{3,4}$", description="Station id, e.g. SGS_")]
    url: Annotated[
        str,
        Field(
            pattern=r"^https?://",
            description="XBIP: base of the NOMINAL and RETRANSFER trees; CADIP: root of the OData service",
        ),
    ]
    protocol: Annotated[Literal["xbip", "cadip"], Field(description="XBIP: WebDAV; CADIP: OData")] = "xbip"
    user: Annotated[str, Field(description="Basic authentication; empty for none")] = ""
    password: Annotated[SecretStr, Field(description="Basic authentication")] = SecretStr("")
    preemptive: Annotated[bool, Field(description="XBIP: send credentials before they are asked for")] = True
    auth: Annotated[
        AuthSettings | None,
        Field(description="CADIP: credentials other than user and password by basic authentication"),
    ] = None
    satellites: Annotated[
        tuple[Literal["S2A", "S2B", "S2C", "S2D"], ...],
        Field(min_length=1, description="CADIP: satellites whose sessions are asked for, by one request each"),
    ] = ("S2A", "S2B", "S2C", "S2D")
    page: Annotated[int, Field(ge=1, le=5000, description="CADIP: sessions or files asked for at a time ($top)")] = 500
    overlap_s: Annotated[
        float, Field(ge=0, description="CADIP: a listing begins this long before the newest publication date seen")
    ] = 3600.0
    relist_s: Annotated[
        float, Field(ge=0, description="CADIP: and every so many seconds it is whole, whatever the dates say")
    ] = 120.0
    quality: Annotated[
        bool, Field(description="CADIP: hold a channel against the station's own number of chunks and bytes")
    ] = True
    ca_file: Annotated[
        Path | None, Field(description="PEM bundle of the authority that signed the station's certificate")
    ] = None
    timeout_s: Annotated[float, Field(gt=0, description="Seconds to wait for a connection or for the next bytes")] = (
        20.0
    )
    parallel: Annotated[int, Field(ge=1, le=64, description="Transfers at a time from this station")] = 4

    @model_validator(mode="after")
    def _one_kind_of_credentials(self) -> Self:
        if self.auth is not None and self.protocol != "cadip":
            raise ValueError("auth: expected none, as the protocol is xbip: user and password are")
        if self.auth is not None and self.user:
            raise ValueError("auth: expected none beside user, or user within auth")
        return self

    @property
    def access(self) -> AuthSettings:
        """Credentials of an OData service."""
        if self.auth is not None or not self.user:
            return self.auth or AuthSettings()
        return AuthSettings(kind="basic", user=self.user, password=self.password)


def in_clear(value: Any) -> Any:
    """Settings as JSON would hold them, secrets in clear: to be handed to a process of ours, never to be shown."""
    match value:
        case SecretStr():
            return value.get_secret_value()
        case BaseModel():
            return {name: in_clear(getattr(value, name)) for name in type(value).model_fields}
        case list() | tuple():
            return [in_clear(each) for each in value]
        case Path():
            return str(value)
        case _:
            return value

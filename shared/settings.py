"""Every setting, from environment variables with the prefix ``S2PS_``; a wrong one is refused at start-up.

The same settings serve the local runtime and Knative (ConfigMap and Secret). Lists and objects are JSON.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError

from shared.errors import ConfigurationError


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


def _from_json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def _each_once(sources: tuple[AuxipSettings, ...]) -> tuple[AuxipSettings, ...]:
    if len({each.name for each in sources}) != len(sources):
        raise ValueError("name: expected each once")
    return sources


class Settings(BaseSettings):
    """Settings of every function and Job."""

    model_config = SettingsConfigDict(env_prefix="S2PS_", extra="ignore", frozen=True)

    store_endpoint: Annotated[str, Field(description="URL of the S3 store; empty for AWS")] = ""
    store_region: Annotated[str, Field(description="Region name that requests are signed for")] = "us-east-1"
    store_access_key: Annotated[SecretStr, Field(description="Empty: the default credential chain")] = SecretStr("")
    store_secret_key: Annotated[SecretStr, Field(description="Empty: the default credential chain")] = SecretStr("")
    store_kind: Annotated[
        Literal["auto", "aws", "ceph", "minio", "seaweedfs"], Field(description="auto: as the store says of itself")
    ] = "auto"
    bucket_sessions: Annotated[str, Field(description="Raw session files")] = "s2-sessions"
    bucket_auxiliary: Annotated[str, Field(description="Auxiliary files and GIPPs")] = "s2-auxiliary"
    bucket_work: Annotated[str, Field(description="Intermediate products, one prefix per attempt")] = "s2-work"
    bucket_products: Annotated[str, Field(description="Published products")] = "s2-products"
    bucket_ledger: Annotated[str, Field(description="Control records")] = "s2-ledger"

    stations: Annotated[
        tuple[StationSettings, ...], BeforeValidator(_from_json), Field(description="Pick-up points, as a JSON list")
    ] = ()
    auxip: Annotated[
        tuple[AuxipSettings, ...],
        BeforeValidator(_from_json),
        AfterValidator(_each_once),
        Field(description="Delivery points of auxiliary data, as a JSON list"),
    ] = ()
    aux_largest_mb: Annotated[int, Field(ge=1, description="An auxiliary file may be so large as delivered, MiB")] = (
        4096
    )
    aux_unpacked_mb: Annotated[int, Field(ge=1, description="And so large unpacked, MiB")] = 8192
    aux_most_files: Annotated[int, Field(ge=1, description="And hold so many files")] = 1000
    aux_budget_s: Annotated[
        float, Field(gt=0, description="A poll takes in no further auxiliary file after this long")
    ] = 45.0
    transfer_part_mb: Annotated[int, Field(ge=5, le=512, description="Size of one part of a transfer, MiB")] = 8
    transfer_budget_s: Annotated[
        float, Field(gt=0, description="A transfer request stops after this long and is resumed by the next")
    ] = 240.0
    session_wait_s: Annotated[
        float, Field(gt=0, description="Wait for a session's missing files, from the last one seen")
    ] = 1800.0
    session_partial: Annotated[
        Literal["proceed", "park"],
        Field(description="When that wait is over: process what is there, or park the session"),
    ] = "proceed"

    processor_set: Annotated[
        str, Field(description="Processor set bound to the graph: a file of shared/workflow/processors, or a path")
    ] = "open"
    launcher: Annotated[Literal["local", "kubernetes"], Field(description="Where Jobs run")] = "local"
    jobs_dir: Annotated[Path, Field(description="Local launcher: the spool of Jobs")] = Path("runs/jobs")
    scratch_dir: Annotated[Path, Field(description="Local Jobs: scratch space, one folder per attempt")] = Path(
        "runs/scratch"
    )
    max_attempts: Annotated[int, Field(ge=1, le=20, description="Attempts at one work item before it is parked")] = 3
    retry_delay_s: Annotated[
        float, Field(ge=0, description="Delay before the second attempt; doubles with each further one")
    ] = 30.0

    # Kubernetes launcher
    kube_namespace: Annotated[
        str, Field(description="Namespace of Jobs; empty: that of the service account this runs under")
    ] = ""
    images: Annotated[
        dict[str, str],
        BeforeValidator(_from_json),
        Field(description="Images by the names that processor sets use, as JSON; a name not listed is an image itself"),
    ] = {}
    runner_image: Annotated[str, Field(description="Image of stage-in and stage-out: the function image")] = (
        "s2ps-functions"
    )
    image_pull_policy: Annotated[Literal["IfNotPresent", "Always", "Never"], Field(description="Of all Jobs")] = (
        "IfNotPresent"
    )
    job_service_account: Annotated[str, Field(description="Service account of Jobs: no rights, no token")] = "s2ps-jobs"
    job_config_map: Annotated[str, Field(description="ConfigMap with the settings of Jobs")] = "s2ps-settings"
    job_secret: Annotated[str, Field(description="Secret with the credentials of Jobs")] = "s2ps-secrets"  # noqa: S105 - the name of an object, not what it holds
    job_processors_map: Annotated[
        str, Field(description="ConfigMap with processor sets of the operator's, mounted at /etc/s2ps/processors")
    ] = "s2ps-processors"
    job_scratch: Annotated[Path, Field(description="Where a Job's containers see their scratch volume")] = Path(
        "/scratch"
    )
    job_scratch_class: Annotated[
        str, Field(description="Storage class of scratch volumes; empty: the node's own disk (emptyDir)")
    ] = ""
    job_user: Annotated[int, Field(ge=1, description="User and group of a Job's containers")] = 10001
    job_wait_s: Annotated[
        int, Field(ge=60, description="A Job may wait this long for a place, beyond the time that it runs")
    ] = 21600
    job_memory_limit_mb: Annotated[
        int,
        Field(ge=512, description="What a Job's memory may grow to after running out of it, MiB: a node's, less some"),
    ] = 65536
    job_ttl_s: Annotated[int, Field(ge=300, description="A finished Job is kept this long")] = 3600
    job_queue: Annotated[
        str,
        Field(pattern=r"^([a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?)?$", description="Kueue LocalQueue of Jobs; empty: none"),
    ] = ""
    job_priorities: Annotated[
        tuple[tuple[float, str], ...],
        BeforeValidator(_from_json),
        Field(
            description="Priority classes by slack, as JSON: [[30, urgent], [75, soon]] means urgent under 30 minutes "
            "to the deadline, soon under 75; more slack, or an empty list: no class"
        ),
    ] = ()

    # Ticks wake these two rarely, so that a quiet cluster sleeps; while sessions are open they stay awake.
    poll_interval_s: Annotated[float, Field(gt=0, description="Seconds between polls while a session comes in")] = 10.0
    poll_stay_s: Annotated[
        float, Field(ge=0, description="A tick's request goes on polling this long, while a session comes in")
    ] = 0.0
    sweep_interval_s: Annotated[float, Field(gt=0, description="Seconds between sweeps while sessions are open")] = 20.0
    sweep_stay_s: Annotated[
        float, Field(ge=0, description="A tick's request goes on sweeping this long, while sessions are open")
    ] = 0.0
    sweep_grace_s: Annotated[
        float,
        Field(ge=0, description="A sweep leaves alone what was written less than this ago: its event may be under way"),
    ] = 20.0
    trace_dir: Annotated[
        Path | None, Field(description="Where spans go as OTLP JSON lines when no collector is set")
    ] = None
    notification_url: Annotated[
        str,
        Field(description="Where the store sends its notifications: object-events, as the store sees it"),
    ] = ""
    notification_token: Annotated[
        SecretStr, Field(description="Bearer token that store notifications must carry; empty for none")
    ] = SecretStr("")


def wrong_settings(error: ValidationError) -> ConfigurationError:
    """An error that names each wrong variable and what was expected of it, and shows no value: it may be a secret."""
    return ConfigurationError(
        "; ".join(
            f"S2PS_{'.'.join(str(part) for part in item['loc']).upper()}: {item['msg']}"
            for item in error.errors(include_url=False, include_input=False)
        )
    )


@cache
def load_settings() -> Settings:
    """The settings of this process. ConfigurationError names each wrong variable and what was expected."""
    try:
        return Settings()
    except ValidationError as error:
        raise wrong_settings(error) from None
    except SettingsError as error:
        raise ConfigurationError(f"{_variable(error)}: {error.__cause__ or 'expected JSON'}") from None


def _variable(error: SettingsError) -> str:
    """The variable whose JSON cannot be read: pydantic-settings names the field in its sentence alone."""
    named = re.search(r'field "(\w+)"', str(error))
    return f"S2PS_{named[1].upper()}" if named else "S2PS_ settings"

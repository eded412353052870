"""Every setting, from environment variables with the prefix ``S2PS_``; a wrong one is refused at start-up.

The same settings serve the local runtime and Knative (ConfigMap and Secret). Lists and objects are JSON.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
)
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError

from shared.errors import ConfigurationError
from shared.places import AuxipSettings, StationSettings


def _from_json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def _each_once(sources: tuple[AuxipSettings, ...]) -> tuple[AuxipSettings, ...]:
    if len({each.name for each in sources}) != len(sources):
        raise ValueError("name: expected each once")
    return sources


Bucket = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$")]
"""The name of a bucket, as far as all stores agree."""


class Settings(BaseSettings):
    """Settings of every function and Job."""

    model_config = SettingsConfigDict(env_prefix="S2PS_", extra="ignore", frozen=True)

    store_endpoint: Annotated[
        str, Field(pattern=r"^(https?://[^\s/?#]+\S*)?$", description="URL of the S3 store; empty for AWS")
    ] = ""
    store_region: Annotated[str, Field(description="Region name that requests are signed for")] = "us-east-1"
    store_access_key: Annotated[SecretStr, Field(description="Empty: the default credential chain")] = SecretStr("")
    store_secret_key: Annotated[SecretStr, Field(description="Empty: the default credential chain")] = SecretStr("")
    store_kind: Annotated[
        Literal["auto", "aws", "ceph", "minio", "seaweedfs"], Field(description="auto: as the store says of itself")
    ] = "auto"
    bucket_sessions: Annotated[Bucket, Field(description="Raw session files")] = "s2-sessions"
    bucket_auxiliary: Annotated[Bucket, Field(description="Auxiliary files and GIPPs")] = "s2-auxiliary"
    bucket_work: Annotated[Bucket, Field(description="Intermediate products, one prefix per attempt")] = "s2-work"
    bucket_products: Annotated[Bucket, Field(description="Published products")] = "s2-products"
    bucket_ledger: Annotated[Bucket, Field(description="Control records")] = "s2-ledger"

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
    drop_box: Annotated[
        str,
        Field(
            pattern=r"^(s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9 ._+=@,()~/-]{0,500})?)?$",
            description="Where products of elsewhere are dropped to be processed, s3://bucket/ or s3://bucket/prefix/;"
            " empty: nowhere",
        ),
    ] = ""
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
    shared_dir: Annotated[
        Path, Field(description="Local Jobs: what stands for the volumes that the steps of a datastrip share")
    ] = Path("runs/shared")
    shared_keep_s: Annotated[
        float,
        Field(ge=0, description="What is on a shared volume of a datastrip is kept this long after all of it ended"),
    ] = 43200.0
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
    pass_wait_s: Annotated[
        float, Field(gt=0, description="A planned pass that was not seen so long after its end is missing")
    ] = 3600.0
    sla_priors: Annotated[
        dict[str, tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]]],
        BeforeValidator(_from_json),
        Field(
            description="What is believed of a step before it was seen often, as JSON: step to median and 95th "
            "percentile from order to outcome, s; beside those that come with the service"
        ),
    ] = {}
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

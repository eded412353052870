"""Notifications of the Ceph object gateway: a topic with a persistent queue that pushes to the receiver.

Sources: Ceph documentation, "Bucket Notifications"; what 16.2 was seen to do. The gateway speaks the SNS API at its own
endpoint. An event keeps, from the moment it is queued, the address and the token that the topic had then: so a topic is
never altered, a new one takes its place. Order matters: a notification whose topic is gone makes every write to its
bucket fail, so a notification goes before its topic does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

from shared.adapters.s3_client import CONNECT_TIMEOUT_S, READ_TIMEOUT_S, status_of, store_errors, trusted
from shared.adapters.store_setup import notifications as config
from shared.adapters.store_setup.names import topic_of
from shared.adapters.store_setup.notifications import RefusedError
from shared.adapters.store_setup.report import Report, Target
from shared.errors import S2psError, StoreUnavailableError
from shared.settings import Settings

SECTION: Final = "TopicConfigurations"
RETRIES: Final = {"time_to_live": "3600", "max_retries": "0", "retry_sleep_duration": "5"}
"""An event is tried every 5 s for an hour, however often that is; then the sweep has found it long since.

Versions that know these three keep to them; 16.2 takes them and tries without a pause and without an end.
"""
_REPORTED: Final = {
    "time_to_live": "TimeToLive",
    "max_retries": "MaxRetries",
    "retry_sleep_duration": "RetrySleepDuration",
}


def set_up_ceph(client: Any, sns: Any, settings: Settings, target: Target, report: Report, *, renew: bool) -> None:
    """A topic of ours that is as it should be, the bucket's notification to it, and nothing of ours beside them."""
    configuration = config.read_configuration(client, target.bucket)
    found = [(str(entry.get("Id")), str(entry.get("TopicArn"))) for entry in config.ours(configuration, SECTION)]
    topics = {arn: _attributes(sns, arn) for _, arn in found}
    good = [(ident, arn) for ident, arn in found if not renew and _fits(topics[arn], target)]
    if good and len(found) == 1:
        report.add("topic", _name(good[0][1]), "unchanged")
        report.add("notification", target.bucket, "unchanged")
        return
    keep = good[:1]
    name = _name(keep[0][1]) if keep else next_name(topic_of(target.bucket), _taken(sns, found))
    if not keep:
        _check_others(sns, configuration, target.bucket)
    if not keep and report.applied:
        _create(client, sns, configuration, name, target)
    for ident, arn in found:
        if (ident, arn) not in keep and report.applied:
            _delete_notification(settings, target.bucket, ident)
            _delete_topic(sns, arn)
    report.add("topic", name, "unchanged" if keep else ("changed" if found else "created"), _replaced(found, keep))
    report.add("notification", target.bucket, "changed" if found else "created")


def _replaced(found: list[tuple[str, str]], keep: list[tuple[str, str]]) -> str:
    gone = ", ".join(_name(arn) for ident, arn in found if (ident, arn) not in keep)
    return f"in place of {gone}; what waited there is left to the sweep" if gone else ""


def _attributes(sns: Any, arn: str) -> Mapping[str, str] | None:
    """A topic's attributes, None where it is gone."""
    with config.refusals(f"topic {_name(arn)}"):
        try:
            found: Mapping[str, str] = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
        except ClientError as error:
            if status_of(error) != 404:
                raise
            return None
    return found


def _fits(attributes: Mapping[str, str] | None, target: Target) -> bool:
    """Does a topic push where it should, with the token that it should, and keep its events while nobody listens?"""
    if attributes is None:
        return False
    endpoint = _endpoint(attributes)
    if endpoint.get("EndpointAddress") != target.url or str(endpoint.get("Persistent")).lower() != "true":
        return False
    if attributes.get("OpaqueData", "") != target.token:
        return False
    arguments = f"&{endpoint.get('EndpointArgs', '')}&"
    for name, value in RETRIES.items():
        told = endpoint.get(_REPORTED[name])  # newer versions tell it so, older ones repeat what they were given
        if str(told) != value and f"&{name}={value}&" not in arguments:
            return False
    return True


def _check_others(sns: Any, configuration: Mapping[str, Any], bucket: str) -> None:
    """RefusedError where another notification's topic is gone: the gateway then refuses this bucket's every write."""
    mine = {entry.get("Id") for entry in config.ours(configuration, SECTION)}
    for entry in configuration.get(SECTION, []):
        if entry.get("Id") not in mine and _attributes(sns, str(entry.get("TopicArn"))) is None:
            raise RefusedError(
                f"notification {entry.get('Id')} of {bucket}: its topic {_name(str(entry.get('TopicArn')))} is gone "
                "and writes to the bucket fail until whoever made it removes it (DELETE /bucket?notification=<id>)"
            )


def _endpoint(attributes: Mapping[str, str]) -> Mapping[str, Any]:
    try:
        found = json.loads(attributes.get("EndPoint") or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _taken(sns: Any, found: list[tuple[str, str]]) -> set[str]:
    """Names of topics that there are, ours and others'."""
    names = {_name(arn) for _, arn in found}
    with config.refusals("topics"):
        ask: dict[str, str] = {}
        while True:
            page = sns.list_topics(**ask)
            names.update(_name(topic["TopicArn"]) for topic in page.get("Topics") or [])
            if not page.get("NextToken"):
                return names
            ask = {"NextToken": page["NextToken"]}


def next_name(base: str, taken: set[str]) -> str:
    """``base``, then ``base-2``, ``base-3``...: one that no topic has, so that no queue is taken up again."""
    numbers = [1 if name == base else int(name.removeprefix(f"{base}-")) for name in taken if _of(base, name)]
    number = max(numbers, default=0) + 1
    return base if number == 1 else f"{base}-{number}"


def _of(base: str, name: str) -> bool:
    return name == base or re.fullmatch(rf"{re.escape(base)}-[0-9]{{1,9}}", name) is not None


def _create(client: Any, sns: Any, configuration: Mapping[str, Any], name: str, target: Target) -> None:
    attributes = {"push-endpoint": target.url, "persistent": "true", "OpaqueData": target.token, **RETRIES}
    with config.refusals(f"topic {name}"):
        made = sns.create_topic(Name=name, Attributes={key: value for key, value in attributes.items() if value})
    arn = str(made["TopicArn"])
    entry = {"Id": name, "TopicArn": arn, "Events": config.EVENTS}
    try:
        config.write_configuration(client, target.bucket, config.with_entry(configuration, SECTION, entry))
    except S2psError as error:
        if isinstance(error.__cause__, ClientError) and not _refers(client, target.bucket, arn):
            _delete_topic(sns, arn)  # the next attempt makes its own
        # Where no answer came the notification may be there all the same, or yet to come: then its topic has to stay.
        raise


def _refers(client: Any, bucket: str, arn: str) -> bool:
    """Whether a notification of the bucket goes to the topic, or may."""
    try:
        found = config.read_configuration(client, bucket).get(SECTION, [])
    except S2psError:
        return True
    return any(entry.get("TopicArn") == arn for entry in found)


def _delete_topic(sns: Any, arn: str) -> None:
    with config.refusals(f"topic {_name(arn)}"):
        sns.delete_topic(TopicArn=arn)


def _delete_notification(settings: Settings, bucket: str, ident: str) -> None:
    """``DELETE /bucket?notification=<id>``, which is the gateway's own: writing a configuration leaves others there."""
    what = f"notification {ident} of {bucket}"
    request = AWSRequest("DELETE", f"{settings.store_endpoint.rstrip('/')}/{bucket}", params={"notification": ident})
    keys = Credentials(settings.store_access_key.get_secret_value(), settings.store_secret_key.get_secret_value())
    S3SigV4Auth(keys, "s3", settings.store_region).add_auth(request)
    with store_errors(what):
        session = URLLib3Session(
            verify=trusted(),
            proxies=get_environ_proxies(settings.store_endpoint),
            timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
        )
        answer = session.send(request.prepare())
    if answer.status_code >= 500:
        raise StoreUnavailableError(f"{what}: the store answered {answer.status_code} to its deletion")
    if answer.status_code not in {200, 204, 404}:
        raise RefusedError(f"{what}: the store answered {answer.status_code} to its deletion")


def _name(arn: str) -> str:
    return arn.rpartition(":")[2]

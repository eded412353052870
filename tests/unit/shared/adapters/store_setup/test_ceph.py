"""Set-up on Ceph, where its answer is lost; all else is tried on a real one, ``tests/integration/test_ceph.py``."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError
from pydantic import SecretStr

from shared.adapters.store_setup.ceph import set_up_ceph
from shared.adapters.store_setup.report import Report, Target
from shared.errors import S2psError
from shared.settings import Settings

SETTINGS = Settings(
    store_endpoint="http://127.0.0.1:9", store_access_key=SecretStr("a"), store_secret_key=SecretStr("b")
)
TARGET = Target("http://object-events.s2ps.svc/", "token", "s2-ledger")


class Gateway:
    """As much of one as a first set-up asks for. ``answer``: what comes of a notification's configuration,
    which is ``done`` or not.
    """

    def __init__(self, answer: Exception, *, done: bool = False) -> None:
        self.answer, self.done, self.topics = answer, done, set[str]()
        self.configuration: dict[str, Any] = {}

    def get_bucket_notification_configuration(self, **_: str) -> dict[str, Any]:
        return self.configuration

    def put_bucket_notification_configuration(self, **asked: Any) -> None:
        if self.done:
            self.configuration = asked["NotificationConfiguration"]
        raise self.answer

    def list_topics(self) -> dict[str, Any]:
        return {"Topics": [{"TopicArn": arn} for arn in self.topics]}

    def create_topic(self, *, Name: str, Attributes: dict[str, str]) -> dict[str, str]:  # noqa: N803 - botocore's names
        assert Attributes["OpaqueData"] == TARGET.token
        self.topics.add(f"arn:aws:sns:default::{Name}")
        return {"TopicArn": f"arn:aws:sns:default::{Name}"}

    def delete_topic(self, *, TopicArn: str) -> None:  # noqa: N803 - botocore's name
        self.topics.remove(TopicArn)


def set_up(gateway: Gateway) -> None:
    with pytest.raises(S2psError):
        set_up_ceph(gateway, gateway, SETTINGS, TARGET, Report("ceph", applied=True), renew=False)


def test_a_topic_stays_where_its_notification_may_be_there_all_the_same() -> None:
    """A notification whose topic is gone makes every write to the ledger fail."""
    gateway = Gateway(ConnectionClosedError(endpoint_url=SETTINGS.store_endpoint), done=True)
    set_up(gateway)
    (entry,) = gateway.configuration["TopicConfigurations"]
    assert entry["TopicArn"] in gateway.topics


@pytest.mark.parametrize("status", [400, 403, 500])
def test_a_topic_goes_where_its_notification_was_refused(status: int) -> None:
    answer: Any = {"Error": {"Code": "Any"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    gateway = Gateway(ClientError(answer, "PutBucketNotificationConfiguration"))
    set_up(gateway)
    assert gateway.topics == set()


def test_a_topic_stays_where_a_refused_notification_is_there_all_the_same() -> None:
    answer: Any = {"Error": {"Code": "InternalError"}, "ResponseMetadata": {"HTTPStatusCode": 500}}
    gateway = Gateway(ClientError(answer, "PutBucketNotificationConfiguration"), done=True)
    set_up(gateway)
    assert len(gateway.topics) == 1

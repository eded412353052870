"""S3 and SNS of AWS in memory, behind botocore's own clients: what they are asked is checked by botocore's models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import botocore.session
from botocore.exceptions import ClientError, ReadTimeoutError

ACCOUNT = "123456789012"
_SESSION = botocore.session.Session()  # it keeps the models that it has read


class Aws:
    """One account in one region. ``calls`` are the operations that change something, in order.

    The request of number ``fails_at`` is refused as ``fails_by`` says; None: it is done, and its answer lost.
    """

    def __init__(self) -> None:
        self._asked: dict[str, Any] = {}
        self._clients: dict[str, Any] = {}
        self.empty()

    def empty(self) -> None:
        """Make a new account of it, behind the same clients."""
        self.buckets: dict[str, dict[str, Any]] = {}
        self.topics: dict[str, dict[str, str]] = {}
        self.subscriptions: dict[str, dict[str, Any]] = {}
        self.passwords: list[str] = []
        self.calls: list[str] = []
        self.refused: dict[str, tuple[int, str]] = {}
        self.asked = 0
        self.fails_at = 0
        self.fails_by: tuple[int, str] | None = None

    def client(self, service: str) -> Any:
        """A real client of botocore that is answered from here."""
        if service in self._clients:
            return self._clients[service]
        made = _SESSION.create_client(
            service, region_name="eu-central-1", aws_access_key_id="a", aws_secret_access_key="b"
        )
        made.meta.events.register_first(f"provide-client-params.{service}", self._keep)
        made.meta.events.register_first(f"before-call.{service}", self._answer)
        self._clients[service] = made
        return made

    def _keep(self, params: Mapping[str, Any], **_: Any) -> None:
        self._asked = dict(params)

    def _answer(self, model: Any, **_: Any) -> Any:
        status, answer = 200, {}
        self.asked += 1
        fails = self.asked == self.fails_at
        refusal = self.fails_by if fails else self.refused.get(model.name)
        if refusal is not None:
            status, code = refusal
            answer = {"Error": {"Code": code, "Message": code}}
        else:
            try:
                answer = getattr(self, f"_{model.name}")(**self._asked) or {}
            except ClientError as error:
                status, answer = error.response["ResponseMetadata"]["HTTPStatusCode"], dict(error.response)
        if not model.name.startswith(("Get", "List", "Head")):
            self.calls.append(model.name)
        if fails and refusal is None:
            raise ReadTimeoutError(endpoint_url="https://any")
        headers = {"server": "AmazonS3"}
        found = {**answer, "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": headers, "RetryAttempts": 0}}
        return type("Answered", (), {"status_code": status, "headers": headers})(), found

    def confirm(self) -> None:
        """The endpoint has confirmed its subscriptions."""
        for number, each in enumerate(self.subscriptions.values()):
            each["SubscriptionArn"] = f"{each['TopicArn']}:{number}"

    # S3

    def _HeadBucket(self, Bucket: str) -> None:  # noqa: N802, N803 - the operation and its parameter
        if Bucket not in self.buckets:
            raise absent("404")

    def _CreateBucket(self, Bucket: str, **_: Any) -> None:  # noqa: N802, N803
        self.buckets[Bucket] = {}

    def _GetBucketLifecycleConfiguration(self, Bucket: str) -> Any:  # noqa: N802, N803
        if "rules" not in self._bucket(Bucket):
            raise absent("NoSuchLifecycleConfiguration")
        return self._bucket(Bucket)["rules"]

    def _PutBucketLifecycleConfiguration(self, Bucket: str, LifecycleConfiguration: Any, **more: Any) -> None:  # noqa: N802, N803
        self._bucket(Bucket)["rules"] = {**LifecycleConfiguration, **more}

    def _GetBucketNotificationConfiguration(self, Bucket: str) -> Any:  # noqa: N802, N803
        return self._bucket(Bucket).get("notifications", {})

    def _PutBucketNotificationConfiguration(self, Bucket: str, NotificationConfiguration: Any) -> None:  # noqa: N802, N803
        self._bucket(Bucket)["notifications"] = NotificationConfiguration

    def _bucket(self, name: str) -> dict[str, Any]:
        if name not in self.buckets:
            raise absent("NoSuchBucket")
        return self.buckets[name]

    # SNS

    def _ListTopics(self, NextToken: str = "") -> Any:  # noqa: N802, N803
        """A page holds one topic."""
        arns = sorted(self.topics)
        start = int(NextToken or 0)
        more = {"NextToken": str(start + 1)} if start + 1 < len(arns) else {}
        return {"Topics": [{"TopicArn": arn} for arn in arns[start : start + 1]], **more}

    def _CreateTopic(self, Name: str) -> Any:  # noqa: N802, N803
        arn = f"arn:aws:sns:eu-central-1:{ACCOUNT}:{Name}"
        policy = '{"Version": "2008-10-17", "Statement": [{"Sid": "__default_statement_ID"}]}'
        self.topics.setdefault(arn, {"TopicArn": arn, "Policy": policy})
        return {"TopicArn": arn}

    def _GetTopicAttributes(self, TopicArn: str) -> Any:  # noqa: N802, N803
        return {"Attributes": self.topics[TopicArn]}

    def _SetTopicAttributes(self, TopicArn: str, AttributeName: str, AttributeValue: str) -> None:  # noqa: N802, N803
        self.topics[TopicArn][AttributeName] = AttributeValue

    def _ListSubscriptionsByTopic(self, TopicArn: str) -> Any:  # noqa: N802, N803
        listed = [each for each in self.subscriptions.values() if each["TopicArn"] == TopicArn]
        names = ("SubscriptionArn", "Endpoint", "Protocol", "TopicArn")
        return {"Subscriptions": [{name: each[name] for name in names} for each in listed]}

    def _Subscribe(self, TopicArn: str, Protocol: str, Endpoint: str, Attributes: Any) -> Any:  # noqa: N802, N803
        scheme, _, rest = Endpoint.partition("://")
        credentials, _, place = rest.rpartition("@")
        self.passwords.append(credentials.partition(":")[2])
        shown = f"{scheme}://{credentials.partition(':')[0]}:****@{place}"
        self.subscriptions[shown] = {
            "TopicArn": TopicArn, "Protocol": Protocol, "Endpoint": shown, "Attributes": dict(Attributes),
            "SubscriptionArn": "PendingConfirmation",
        }  # fmt: skip
        return {"SubscriptionArn": "pending confirmation"}

    def _Unsubscribe(self, SubscriptionArn: str) -> None:  # noqa: N802, N803
        self.subscriptions = {k: v for k, v in self.subscriptions.items() if v["SubscriptionArn"] != SubscriptionArn}

    def _GetSubscriptionAttributes(self, SubscriptionArn: str) -> Any:  # noqa: N802, N803
        return {"Attributes": self._subscription(SubscriptionArn)["Attributes"]}

    def _SetSubscriptionAttributes(self, SubscriptionArn: str, AttributeName: str, AttributeValue: str) -> None:  # noqa: N802, N803
        self._subscription(SubscriptionArn)["Attributes"][AttributeName] = AttributeValue

    def _subscription(self, arn: str) -> dict[str, Any]:
        return next(each for each in self.subscriptions.values() if each["SubscriptionArn"] == arn)


def absent(code: str) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": 404}}
    return ClientError(response, "any")

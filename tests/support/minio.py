"""A MinIO as far as its set-up goes: buckets, their notifications, the admin interface; strict in what it takes.

Made after the server's sources: a configuration is sent encrypted with the caller's secret key; a webhook's receiver
must be there before its address is taken; targets come into force with a restart; tokens are not shown.
"""

from __future__ import annotations

import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree as ET

from defusedxml.ElementTree import fromstring
from minio.crypto import decrypt, encrypt
from urllib3 import HTTPResponse

ACCESS, SECRET = "minio-root", "minio-secret"
_S3 = "{http://s3.amazonaws.com/doc/2006-03-01/}"


class Minio:
    """One server on loopback. ``region`` is part of its ARNs; ``admin``: the credentials are an administrator's."""

    def __init__(self, *, region: str = "", shows_token: bool = False) -> None:
        self.region, self.shows_token, self.admin = region, shows_token, True
        self.buckets: dict[str, dict[str, bytes]] = {}
        self.stored: dict[str, dict[str, str]] = {}
        self.environment = ""
        self.active: set[str] = set()
        self.restarts = 0
        self.receiver_is_there = True
        self.changes: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _do(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                status, body = server._answer(self.command, self.path, self.rfile.read(length), self.headers)
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _do  # noqa: N815 - as the base class calls them

            def version_string(self) -> str:
                return "MinIO"

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def arn(self, name: str) -> str:
        return f"arn:minio:sqs:{self.region}:{name}:webhook"

    def _answer(self, method: str, target: str, body: bytes, headers: Any) -> tuple[int, bytes]:
        assert f"Credential={ACCESS}/" in headers["authorization"]
        parts = urlsplit(target)
        query = parse_qs(parts.query, keep_blank_values=True)
        if parts.path.startswith("/minio/admin/v3/"):
            if not self.admin:
                return 403, b'{"Code": "AccessDenied", "Message": "Access Denied."}'
            return self._admin(method, parts.path.rpartition("/")[2], query, body)
        if method in {"PUT", "POST", "DELETE"}:
            self.changes.append(f"{method} {target}")
        return self._s3(method, parts.path.strip("/"), query, body)

    # The admin interface

    def _admin(self, method: str, command: str, query: dict[str, list[str]], body: bytes) -> tuple[int, bytes]:
        if (method, command) == ("GET", "info"):
            return 200, json.dumps({"mode": "online", "sqsARN": [self.arn(name) for name in self.active]}).encode()
        if (method, command) == ("GET", "get-config-kv"):
            assert query["key"] == ["notify_webhook"]
            return 200, encrypt(self._shown().encode(), SECRET)
        if (method, command) == ("PUT", "set-config-kv"):
            self.changes.append(command)
            return self._set(decrypt(HTTPResponse(io.BytesIO(body), preload_content=False), SECRET).decode())
        assert (method, command, query) == ("POST", "service", {"action": ["restart"]})
        self.restarts += 1
        self.active = {name for name, pairs in self.stored.items() if pairs["enable"] == "on"}
        return 200, b""

    def _shown(self) -> str:
        lines = [self.environment] if self.environment else []
        lines.append(
            "notify_webhook enable=off endpoint= auth_token= queue_limit=0 queue_dir= client_cert= client_key="
        )
        for name, pairs in self.stored.items():
            shown = {**pairs, "auth_token": pairs["auth_token"] if self.shows_token else "*redacted*"}
            lines.append(
                f"notify_webhook:{name} " + " ".join(f"{key}={_quoted(value)}" for key, value in shown.items())
            )
        return "\n".join(lines) + "\n"

    def _set(self, text: str) -> tuple[int, bytes]:
        head, _, rest = text.partition(" ")
        subsystem, _, name = head.partition(":")
        assert subsystem == "notify_webhook"
        pairs = dict(_pairs(rest))
        assert set(pairs) <= {"enable", "endpoint", "auth_token", "queue_dir", "queue_limit"}, pairs
        if not self.receiver_is_there:
            said = f"error ({name}:webhook): not connected to target server/service"
            return 400, json.dumps({"Code": "XMinioAdminConfigBadJSON", "Message": said}).encode()
        self.stored[name] = {"auth_token": "", **pairs}
        return 200, b""

    # The S3 interface

    def _s3(self, method: str, bucket: str, query: dict[str, list[str]], body: bytes) -> tuple[int, bytes]:
        if method == "PUT" and not query:
            self.buckets[bucket] = {}
            return 200, b""
        if bucket not in self.buckets:
            return 404, _error("NoSuchBucket")
        (part,) = query or {"": []}
        held = self.buckets[bucket]
        if part == "":
            return 200, b""
        if method == "PUT":
            refusal = self._lifecycle(body) if part == "lifecycle" else self._notification(body)
            if refusal:
                return 400, _error(refusal)
            held[part] = body
            return 200, b""
        if part == "lifecycle" and part not in held:
            return 404, _error("NoSuchLifecycleConfiguration")
        return 200, held.get(part, b"<NotificationConfiguration/>")

    @staticmethod
    def _lifecycle(body: bytes) -> str:
        rules = fromstring(body).findall(f"{_S3}Rule")
        actions = ("Expiration", "Transition", "NoncurrentVersionExpiration", "NoncurrentVersionTransition")
        known = all(any(rule.find(f"{_S3}{action}") is not None for action in actions) for rule in rules)
        return "" if rules and known else "MalformedXML"

    def _notification(self, body: bytes) -> str:
        queues = fromstring(body).findall(f"{_S3}QueueConfiguration")
        arns = [queue.findtext(f"{_S3}Queue") for queue in queues]
        return "" if all(arn in {self.arn(name) for name in self.active} for arn in arns) else "InvalidArgument"


def _quoted(value: str) -> str:
    return f'"{value}"' if " " in value else value


def _pairs(text: str) -> list[tuple[str, str]]:
    """``key=value`` pairs as the server splits them: a value runs to the next key, quotes around it go."""
    found: list[tuple[str, str]] = []
    for word in text.split():
        key, sign, value = word.partition("=")
        if sign and key.isidentifier() and not (found and found[-1][1].count('"') == 1):
            found.append((key, value))
        else:
            found[-1] = (found[-1][0], f"{found[-1][1]} {word}")
    return [(key, value.strip('"')) for key, value in found]


def _error(code: str) -> bytes:
    root = ET.Element("Error")
    ET.SubElement(root, "Code").text = code
    ET.SubElement(root, "Message").text = code
    return ET.tostring(root)

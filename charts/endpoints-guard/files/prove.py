# ruff: noqa: T201, S310 - its output is the log of a Pod, and its URL is always https
"""Proves that the API server asks the webhook: by a write, as a dry run, that it must refuse.

Runs in the image by `python3 -c`, needs nothing but the standard library, and stores nothing. With
ACTIVATE it then turns failurePolicy of that ValidatingWebhookConfiguration to Fail.
"""

import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

IDENTITY = Path(os.environ["SERVICE_ACCOUNT"])
NAMESPACE = os.environ["RELEASE_NAMESPACE"]
WEBHOOK = os.environ["WEBHOOK"]
HOST, PORT = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
SERVER = f"https://[{HOST}]:{PORT}" if ":" in HOST else f"https://{HOST}:{PORT}"
ENDPOINTS = f"/api/v1/namespaces/{NAMESPACE}/endpoints?dryRun=All"
CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
SOMEBODY_ELSE = {
    "kind": "Pod",
    "name": "nobody",
    "namespace": "default" if NAMESPACE == "kube-system" else "kube-system",
}
BAD = [{"addresses": [{"ip": "198.51.100.1", "targetRef": SOMEBODY_ELSE}], "ports": [{"port": 80}]}]


def call(method, path, body, content_type="application/json"):
    """Send it as this Pod's service account: status, body, warnings. OSError: no answer."""
    token = (IDENTITY / "token").read_text(encoding="utf-8").strip()
    request = urllib.request.Request(
        SERVER + path,
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": content_type},
        method=method,
    )
    context = ssl.create_default_context(cafile=str(IDENTITY / "ca.crt"))
    # No proxy: the API server is next door.
    handlers = urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    try:
        response = urllib.request.build_opener(*handlers).open(request, timeout=35)
    except urllib.error.HTTPError as refusal:
        response = refusal
    with response:
        return response.status, json.load(response), response.headers.get_all("Warning") or []


def write(subsets):
    """A write of Endpoints that is never stored: status, message, warnings."""
    metadata = {"name": "endpoints-guard-proof", "namespace": NAMESPACE}
    body = {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": subsets}
    status, answer, warnings = call("POST", ENDPOINTS, body)
    return status, answer.get("message", ""), warnings


def complaint():
    """Why this is no proof yet; None when it is one."""
    try:
        status, message, warnings = write(BAD)
        # A policy may only warn; then the warning shows who was asked.
        if not (f'"{WEBHOOK}" denied' in message or any("endpoints-guard:" in w for w in warnings)):
            return f"the API server does not ask the webhook: {status} {message or 'stored'}"
        status, message, _ = write([])
    except OSError as error:
        return f"no answer from the API server: {error}"
    return None if status == 201 else f"a good write is refused: {status} {message}"


def activate(configuration):
    """Turn failurePolicy to Fail, and own nothing afterwards.

    The second step gives the field back, so that a later `helm upgrade` with another value meets no
    conflict of owners. The API server's own default for it is Fail.
    """
    path = f"{CONFIGURATIONS}/{configuration}?fieldManager=endpoints-guard-activation&force=true"
    for webhooks in ([{"name": WEBHOOK, "failurePolicy": "Fail"}], []):
        body = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": configuration},
            "webhooks": webhooks,
        }
        status, answer, _ = call("PATCH", path, body, "application/apply-patch+yaml")
        if status != 200:
            sys.exit(f"cannot activate {configuration}: {status} {answer.get('message')}")
    print(f"{configuration}: failurePolicy is Fail")


def main():
    """Try until it is proved, or patience ends."""
    deadline = time.monotonic() + float(os.environ["PATIENCE_SECONDS"])
    while problem := complaint():
        print(problem, flush=True)
        if time.monotonic() > deadline:
            sys.exit("giving up")
        time.sleep(1)
    print(f"{WEBHOOK} refuses what is wrong and lets pass what is right")
    if configuration := os.environ.get("ACTIVATE"):
        activate(configuration)


main()

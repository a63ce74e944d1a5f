# SPDX-License-Identifier: BSD-3-Clause
"""Reads the metrics endpoint."""

import socket

from prometheus_client.openmetrics.parser import text_string_to_metric_families

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def http_get(path, target="/metrics", accept=OPENMETRICS, timeout=20):
    """Sends a GET over a unix socket; returns (status, head, body)."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(timeout)
        client.connect(str(path))
        client.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\n\r\n".encode())
        answer = b""
        while data := client.recv(65536):
            answer += data
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), head.decode(), body.decode()


def scrape(path):
    """Returns {(name, frozenset of labels): value} of all samples; fails if the OpenMetrics parser
    does."""
    status, head, body = http_get(path)
    assert status == 200 and "application/openmetrics-text" in head, head
    return {(sample.name.removeprefix("virtio_forwarder_"), frozenset(sample.labels.items())):
            sample.value
            for family in text_string_to_metric_families(body) for sample in family.samples}


def value(samples, name, **labels):
    return samples[name, frozenset((key, str(text)) for key, text in labels.items())]

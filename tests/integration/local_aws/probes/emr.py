"""Probes of the patches of emr."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from urllib.parse import urlparse

from moto.emr.responses import ElasticMapReduceResponse


def region_of_the_signature() -> Any:
    response = ElasticMapReduceResponse()
    url = "http://127.0.0.1:5000/"
    response.parsed_url = urlparse(url)
    signed = "AWS4-HMAC-SHA256 Credential=AK/20260101/us-west-2/elasticmapreduce/aws4_request, SignedHeaders=host"
    return response.get_region_from_url(SimpleNamespace(headers={"Authorization": signed}), url)

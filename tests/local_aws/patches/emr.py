"""Patches of moto's EMR."""

from __future__ import annotations

from typing import Any

from moto.core.responses import BaseResponse
from moto.emr.responses import ElasticMapReduceResponse


def region_of_the_signature() -> None:
    """moto takes the Region of a call from the host's name alone, and us-east-1 from a host of another name. AWS knows
    the Region that a call was signed for."""
    original = ElasticMapReduceResponse.get_region_from_url

    def region(response: Any, request: Any, full_url: str) -> str:
        by_name = "amazonaws" in response.parsed_url.netloc
        return (original if by_name else BaseResponse.get_region_from_url)(response, request, full_url)

    ElasticMapReduceResponse.get_region_from_url = region  # type: ignore[method-assign]


PATCHES = [region_of_the_signature]

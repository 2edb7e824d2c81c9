"""The answers of Cinder that are made of all pods', as data.

Truth: cinder/api/v3/{volumes,views/volumes,resource_filters}.py of Cinder 29.
"""

from __future__ import annotations

from tricircle.core.joining import How, Joint, Rule
from tricircle.core.table import Aggregate

SUMMARY = Aggregate(
    Joint((
        Rule("volume-summary.total_count", How.SUM),
        Rule("volume-summary.total_size", How.SUM),
        Rule("volume-summary.metadata", How.UNION),
    )),
    zone_filter="availability_zone",
)  # fmt: skip
"""GET /volumes/summary; the metadata from microversion 3.36 on."""

RESOURCE_FILTERS = Aggregate(
    Joint((
        Rule("resource_filters", How.COMMON, key="resource"),
        Rule("resource_filters[].filters", How.COMMON),
    ))
)  # fmt: skip
"""GET /resource_filters: what can be asked of all pods."""

EXTENSIONS = Aggregate(Joint((Rule("extensions", How.COMMON, key="alias"),)))
"""GET /extensions: what all pods have."""

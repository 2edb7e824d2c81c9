"""What an exported record of a backup says of where it comes from.

Truth: ``encode_record`` and ``decode_record`` of cinder/objects/backup.py: JSON in base64,
with the backup's own id, and the host of the backup service that made it.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

import msgspec


@dataclass(frozen=True, slots=True)
class BackupRecord:
    """The id that an imported backup will have, and its host, '' where the record has none.

    ``size_gib`` is 0 where the record does not tell it.
    """

    backup_id: str
    host: str
    size_gib: int = 0


def read_backup_record(url: object) -> BackupRecord | None:
    """Return what a record says; None for what is none, which a pod refuses."""
    if not isinstance(url, str):
        return None
    try:
        record = msgspec.json.decode(base64.b64decode(url.encode("utf-8", "surrogatepass")))
    except (msgspec.DecodeError, binascii.Error, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(record, dict) or not isinstance(record.get("id"), str):
        return None
    host, size = record.get("host"), record.get("size")
    return BackupRecord(
        record["id"],
        host if isinstance(host, str) else "",
        size if isinstance(size, int) and size > 0 else 0,
    )

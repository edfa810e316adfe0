"""What a host says of itself to `status`."""

from datetime import UTC, datetime

NOW = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)


def said(**more: str) -> dict[str, str]:
    names = ("clock", "units", "health", "addresses", "files", "certificates", "users", "servers", "etcd", "upstreams")
    return {**dict.fromkeys(names, ""), "clock": f"{int(NOW.timestamp())}\n", **more}

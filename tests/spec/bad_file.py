"""What a case of a bad cluster file is, and the pieces that cases are made of."""

from dataclasses import dataclass
from pathlib import Path

HOSTS = """\
name: demo
hosts:
  - {name: a, address: 192.168.1.1, roles: [control-plane, etcd]}
  - {name: b, address: 192.168.1.2, roles: [worker]}
"""
BALANCED = """\
name: demo
hosts:
  - {name: a, address: 192.168.1.1, roles: [control-plane, etcd]}
  - {name: b, address: 192.168.1.2, roles: [worker]}
  - {name: c, address: 192.168.1.3, roles: [load-balancer]}
"""


A = "name: a, address: 192.168.1.1, roles: [control-plane, etcd]"
B = "name: b, address: 192.168.1.2, roles: [worker]"


def hosts(*lines: str) -> str:
    return "name: demo\nhosts:\n" + "".join(f"  - {{{line}}}\n" for line in lines)


@dataclass(frozen=True)
class Bad:
    """A file, and what must be said of it."""

    text: str | bytes
    line: int
    field: str
    words: str
    files: tuple[tuple[str, bytes], ...] = ()
    """What lies beside it, by name."""

    def __str__(self) -> str:
        return f"{self.field}: {self.words}"

    def write(self, folder: Path) -> Path:
        """Write it and its files; returns the cluster file."""
        for name, content in (*self.files, ("cluster.yaml", self.content)):
            (folder / name).write_bytes(content)
            (folder / name).chmod(0o644 if name == "cluster.yaml" else 0o600)
        return folder / "cluster.yaml"

    @property
    def content(self) -> bytes:
        """The cluster file's bytes."""
        return self.text.encode() if isinstance(self.text, str) else self.text

"""What to probe: where an API is, how to come in, and how often to ask."""

import json
import os
import ssl
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    # Not at run time: the probe's own process starts in a tenth of the time.
    from quorate.spec.cluster import Cluster
    from quorate.spec.secrets import Secrets


@dataclass(frozen=True)
class Target:
    """An API endpoint, and a client certificate that may do everything there.

    `host` should be an address: with a name, the time to resolve it is measured too. `server_name` is what the
    server's certificate must be for, if that is not `host`.
    """

    host: str
    port: int
    ca_pem: bytes = field(repr=False)
    cert_pem: bytes = field(repr=False)
    key_pem: bytes = field(repr=False)
    server_name: str = ""

    @classmethod
    def of(cls, cluster: "Cluster", secrets: "Secrets") -> Self:
        """A cluster's endpoint, as its administrator. Raises KeyError when the secrets lack a key."""
        pair = secrets.cert("admin"), secrets.key("admin")
        return cls(cluster.front, cluster.server_port, secrets.cert("ca"), *pair, server_name=cluster.server)

    @property
    def authority(self) -> str:
        """Host and port as in a URL."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def context(self, protocol: str) -> ssl.SSLContext:
        """TLS settings: the CA and the name are verified, a protocol is offered by its name in ALPN.

        Raises ssl.SSLError for a PEM that can't be used. No session is kept, so every connection is a whole
        handshake, as that of a client which has just started.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols([protocol])
        context.load_verify_locations(cadata=self.ca_pem.decode("ascii"))
        # OpenSSL reads keys from files alone. The folder is closed to others and gone at once.
        with tempfile.TemporaryDirectory(prefix="quorate-") as folder:
            path = Path(folder) / "client.pem"
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(self.cert_pem.rstrip() + b"\n" + self.key_pem)
            # The empty password: without it a key with a passphrase would ask the terminal.
            context.load_cert_chain(path, password="")
        return context


@dataclass(frozen=True)
class Pace:
    """How often to try, in seconds.

    A handshake costs 2 to 4 ms of a core, a request on a connection of HTTP/2 0.3 ms: a probe needs a fifth of a core
    as set here, of which two thirds are for `new`.
    """

    new: float = 0.02
    kept: float = 0.02
    writes: float = 0.05
    watch: float = 0.05
    """Pause before a watch that broke is opened again."""
    timeout: float = 0.5
    """After which a try is given up: a connection whose peer is silent costs `kept` and `writes` this long."""
    patience: float = 30.0
    """For the API to answer at the start, and at the end to read back what was written."""

    def __post_init__(self) -> None:
        if min(asdict(self).values()) <= 0:
            raise ValueError("seconds above 0 are needed")


@dataclass(frozen=True)
class ProbeConfig:
    """All that the probe's own process is told. As text it holds a private key: only for that process's stdin."""

    target: Target
    pace: Pace = Pace()
    namespace: str = "quorate-probe"
    path: str = "/api"
    keep: bool = False

    def text(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self), default=lambda pem: pem.decode("ascii"))

    @classmethod
    def read(cls, text: str) -> Self:
        """The order in a text that `text` made."""
        read = json.loads(text)
        target = {
            key: value.encode("ascii") if key.endswith("_pem") else value for key, value in read["target"].items()
        }
        return cls(**{**read, "target": Target(**target), "pace": Pace(**read["pace"])})

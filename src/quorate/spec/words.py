"""The shapes of short texts in the cluster file: pattern, rule in plain English, and a good example each.

The patterns are the first gate against injection: nothing that a shell, systemd, nginx or YAML reads as
syntax passes one of the narrow ones. `$` is the end of the text, never the place before a last newline (so in
Rust's regex, which pydantic uses).
"""

from dataclasses import dataclass

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_PREFIX = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
"""A part of a label's prefix: Kubernetes sets a limit to the whole alone."""
_KEY = r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_NAME = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"


@dataclass(frozen=True)
class Word:
    """One shape of text."""

    name: str
    pattern: str
    rule: str
    fix: str


DNS_LABEL = Word(
    "host name",
    rf"^{_LABEL}$",
    "must be a host name after RFC 1123: 1 to 63 of a-z, 0-9 and '-', not at the ends, no capitals",
    "write a name such as 'master01'",
)
DNS_NAME = Word(
    "DNS name or IPv4 address",
    rf"^{_LABEL}(\.{_LABEL})*$",
    "must be a DNS name or an IPv4 address: labels of a-z, 0-9 and '-', joined by dots, no capitals",
    "write a name such as 'api.example.org' or an address such as '192.168.109.200'",
)
VERSION = Word(
    "version",
    r"^(0|[1-9][0-9]{0,3})(\.(0|[1-9][0-9]{0,3})){2}$",
    "must be a full version: three numbers joined by dots, without 'v' and leading zeros",
    "write a version such as '1.20.2'",
)
INTERFACE = Word(
    "interface name",
    r"^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$",
    "must be the name of a network interface: 1 to 15 of letters, digits, '.', '_' and '-'",
    "write the name that `ip link` shows, such as 'ens33', or leave the field out",
)
USER_NAME = Word(
    "login name",
    r"^[A-Za-z0-9_]([A-Za-z0-9._@\\-]{0,62}[A-Za-z0-9_$])?$",
    "must be a login name: 1 to 64 of letters, digits, '.', '_', '-', '@' and '\\'",
    "write a name such as 'root'",
)
FLAG_NAME = Word(
    "flag name",
    r"^[a-z0-9]+(-[a-z0-9]+)*$",
    "must be the name of a flag without its leading dashes: words of a-z and 0-9 joined by '-'",
    "write `max-requests-inflight: '800'` for --max-requests-inflight=800",
)
TEXT = Word(
    "text",
    "^[^\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\ufeff]*$",
    "must be one line without control characters",
    "remove the control character or line break",
)
PATH = Word(
    "path",
    "^[^\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\ufeff]+$",
    "must be a path: one line, not empty, without control characters",
    "write a path; a relative one starts at the folder of this file",
)
LABEL_KEY = Word(
    "label key",
    rf"^({_PREFIX}(\.{_PREFIX})*/)?{_KEY}$",
    "must be a label key: letters, digits, '-', '_' and '.', up to 63, with an optional DNS prefix and '/'",
    "write a key such as 'example.org/disk'",
)
LABEL_VALUE = Word(
    "label value",
    rf"^({_KEY})?$",
    "must be a label value: up to 63 letters, digits, '-', '_', '.', the ends a letter or digit",
    "write a value such as 'ssd'",
)
URL = Word(
    "URL",
    r"^https?://[A-Za-z0-9]([A-Za-z0-9._:-]*[A-Za-z0-9])?(/[A-Za-z0-9._~%+@=:/-]*)?$",
    "must be an http(s) URL without user, query, spaces or quotes",
    "write a URL such as 'https://mirror.example.org/kubernetes'",
)
PROXY = Word(
    "URL of a proxy",
    rf"^https?://{_NAME}(\.{_NAME})*(:[0-9]{{1,5}})?/?$",
    "must be an http(s) URL of a host with its port, without login and path",
    "write a URL such as 'http://10.77.1.5:3128', and put a login into a file of mode 0600 that `login_file` names",
)
DIRECT = Word(
    "name, address or network",
    rf"^((\*?\.)?{_NAME}(\.{_NAME})*(:[0-9]{{1,5}})?|[0-9]{{1,3}}(\.[0-9]{{1,3}}){{3}}/[0-9]{{1,2}})$",
    "must be a host name, a domain, an address or a network that is asked without the proxy",
    "write a name such as 'registry.example.org', a domain such as '.example.org', or a network such as '10.0.0.0/8'",
)
REGISTRY = Word(
    "registry",
    rf"^{_NAME}(\.{_NAME})*(:[0-9]{{1,5}})?$",
    "must be a registry: a host name or address with an optional port",
    "write a registry such as 'docker.io' or '192.168.109.10:5000'",
)
IMAGE = Word(
    "image",
    r"^[A-Za-z0-9]([A-Za-z0-9._:/-]{0,253}[A-Za-z0-9])?(@sha256:[0-9a-f]{64})?$",
    "must be an image reference: registry/repository:tag, with an optional @sha256 digest",
    "write a reference such as 'registry.k8s.io/pause:3.2'",
)
SIZE = Word(
    "size",
    r"^[1-9][0-9]{0,8}[kKmMgG]i?$",
    "must be a size: a number and k, M or G, with an optional i",
    "write a size such as '50Mi'",
)
PORT_RANGE = Word(
    "port range",
    r"^[1-9][0-9]{0,4}-[1-9][0-9]{0,4}$",
    "must be two ports joined by '-'",
    "write a range such as '30000-32767'",
)
DATA_DIR = Word(
    "absolute path",
    r"^(/[A-Za-z0-9_-][A-Za-z0-9._-]*){2,}$",
    "must be an absolute folder at least two deep, of letters, digits, '.', '_' and '-'",
    "write a folder such as '/data/cluster'",
)
SYSCTL = Word(
    "sysctl name",
    r"^[a-z0-9_]+([./][A-Za-z0-9_-]+)+$",
    "must be the name of a kernel setting",
    "write a name such as 'net.core.somaxconn'",
)
PROGRAM = Word(
    "absolute path of a program",
    r"^(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+$",
    "must be the absolute path of a program on the hosts, of letters, digits, '.', '_' and '-'",
    "write a path such as '/usr/local/sbin/out-of-rotation'",
)
SHARE = Word(
    "number or percentage",
    r"^([1-9][0-9]{0,3}|([1-9][0-9]?|100)%)$",
    "must be a number of hosts from 1 to 9999, or a percentage from '1%' to '100%'",
    "write a number such as 3, or a percentage such as '5%'",
)
RECIPIENT = Word(
    "age or SSH public key",
    r"^(age1[02-9ac-hj-np-z]{58}|ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI[A-Za-z0-9+/]{43}( [ -~]{1,200})?)$",
    "must be a public key for age: age1 and 58 characters, or an ssh-ed25519 line",
    "write what `age-keygen -y` or ~/.ssh/id_ed25519.pub shows; a private key never belongs here",
)
CALENDAR = Word(
    "systemd calendar time",
    r"^([A-Za-z0-9*][A-Za-z0-9*.,:/~ -]{0,199})?$",
    "must be a calendar time as systemd's OnCalendar takes it, or empty",
    "write 'daily', or '*-*-* 02:30:00 UTC'; `systemd-analyze calendar` shows when that is",
)
BUCKET = Word(
    "bucket",
    r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
    "must be the name of a bucket: 3 to 63 of a-z, 0-9, '.' and '-', not at the ends",
    "write a name such as 'cluster-backups'",
)
PREFIX = Word(
    "prefix of names",
    r"^([A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*)?$",
    "must be names joined by '/', of letters, digits, '.', '_' and '-', without '/' at the ends",
    "write a prefix such as 'clusters/prod'",
)
REGION = Word(
    "region",
    r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$",
    "must be the name of a region: up to 40 of a-z, 0-9 and '-', not at the ends",
    "write a name such as 'us-east-1'",
)

WORDS = (
    DNS_LABEL,
    DNS_NAME,
    VERSION,
    INTERFACE,
    USER_NAME,
    FLAG_NAME,
    TEXT,
    PATH,
    LABEL_KEY,
    LABEL_VALUE,
    URL,
    PROXY,
    DIRECT,
    REGISTRY,
    IMAGE,
    SIZE,
    PORT_RANGE,
    DATA_DIR,
    SYSCTL,
    PROGRAM,
    SHARE,
    RECIPIENT,
    CALENDAR,
    BUCKET,
    PREFIX,
    REGION,
)
BY_PATTERN = {word.pattern: word for word in WORDS}

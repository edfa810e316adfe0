"""Kinds of single values in the cluster file: short texts, ports, paths, roles; the base of all models."""

import re
from enum import StrEnum
from ipaddress import IPv4Network
from pathlib import Path
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
)
from pydantic_core import PydanticCustomError

from quorate.spec import words


class Role(StrEnum):
    """What a host does in the cluster; one host can have several."""

    CONTROL_PLANE = "control-plane"
    ETCD = "etcd"
    WORKER = "worker"
    LOAD_BALANCER = "load-balancer"


def _absolute(path: str, info: ValidationInfo) -> str:
    """The path as seen from the folder of the cluster file, when there is one; `env:NAME` and URLs stay."""
    folder = (info.context or {}).get("folder")
    if folder is None or path.startswith("env:") or "://" in path:
        return path
    try:
        return str(folder / Path(path).expanduser())
    except RuntimeError:  # ~name of somebody unknown
        return str(folder / path)


def _file(path: object, info: ValidationInfo) -> object:
    if not isinstance(path, str):
        return path
    if not re.fullmatch(words.PATH.pattern, path):
        raise PydanticCustomError("string_pattern_mismatch", "bad path", {"pattern": words.PATH.pattern})
    return _absolute(path, info)


def _network(text: object) -> object:
    """A network with its length: an address alone would be read as a network of one."""
    if isinstance(text, str) and "/" not in text:
        raise ValueError
    return text


def _role(role: object) -> object:
    return Role.CONTROL_PLANE.value if role == "master" else role


DnsLabel = Annotated[str, StringConstraints(pattern=words.DNS_LABEL.pattern)]
DnsName = Annotated[str, StringConstraints(pattern=words.DNS_NAME.pattern, max_length=253)]
Version = Annotated[str, StringConstraints(pattern=words.VERSION.pattern)]
Interface = Annotated[str, StringConstraints(pattern=words.INTERFACE.pattern)]
UserName = Annotated[str, StringConstraints(pattern=words.USER_NAME.pattern)]
FlagName = Annotated[str, StringConstraints(pattern=words.FLAG_NAME.pattern, max_length=100)]
Text = Annotated[str, StringConstraints(pattern=words.TEXT.pattern, max_length=4096)]
Url = Annotated[str, StringConstraints(pattern=words.URL.pattern, max_length=2048)]
ProxyUrl = Annotated[str, StringConstraints(pattern=words.PROXY.pattern, max_length=300)]
Direct = Annotated[str, StringConstraints(pattern=words.DIRECT.pattern, max_length=253)]
Registry = Annotated[str, StringConstraints(pattern=words.REGISTRY.pattern, max_length=253)]
Image = Annotated[str, StringConstraints(pattern=words.IMAGE.pattern)]
Location = Annotated[str, StringConstraints(pattern=words.PATH.pattern, max_length=4096), AfterValidator(_absolute)]
"""A path, or a URL where that is allowed; the loader makes paths absolute."""
File = Annotated[Path, BeforeValidator(_file)]
Port = Annotated[int, Field(ge=1, le=65535)]
LabelKey = Annotated[str, StringConstraints(pattern=words.LABEL_KEY.pattern)]
LabelValue = Annotated[str, StringConstraints(pattern=words.LABEL_VALUE.pattern)]
RoleName = Annotated[Role, BeforeValidator(_role)]
"""A role; `master` is read as control-plane."""
Cidr = Annotated[IPv4Network, BeforeValidator(_network)]
Data = Annotated[str, StringConstraints(pattern=words.DATA_DIR.pattern, max_length=1024)]
Size = Annotated[str, StringConstraints(pattern=words.SIZE.pattern)]
PortRange = Annotated[str, StringConstraints(pattern=words.PORT_RANGE.pattern)]
Sysctl = Annotated[str, StringConstraints(pattern=words.SYSCTL.pattern, max_length=255)]
Program = Annotated[str, StringConstraints(pattern=words.PROGRAM.pattern, max_length=1024)]
Share = Annotated[str, StringConstraints(pattern=words.SHARE.pattern)]
Recipient = Annotated[str, StringConstraints(pattern=words.RECIPIENT.pattern)]
Calendar = Annotated[str, StringConstraints(pattern=words.CALENDAR.pattern)]
Bucket = Annotated[str, StringConstraints(pattern=words.BUCKET.pattern)]
Prefix = Annotated[str, StringConstraints(pattern=words.PREFIX.pattern, max_length=512)]
Region = Annotated[str, StringConstraints(pattern=words.REGION.pattern)]
Labels = dict[LabelKey, LabelValue]
Flags = dict[FlagName, Text]


class Model(BaseModel):
    """Frozen and strict: an unknown field is an error, a string is never guessed from another type."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

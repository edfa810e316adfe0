"""Operations: what takes several desired states, one after the other. Each is a pure function that names its stages."""

from collections.abc import Mapping

from quorate.operation import change, restore, runtimes, upgrade
from quorate.operation.stage import Operation

OPERATIONS: Mapping[str, Operation] = {
    change.NAME: change,
    restore.NAME: restore,
    runtimes.NAME: runtimes,
    upgrade.NAME: upgrade,
}
"""By name, as a record names them."""

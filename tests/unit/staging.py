"""Stages of the change of a cluster, compiled whole."""

from quorate.component.context import Context
from quorate.core import Key
from quorate.operation import change
from quorate.plan.compile import Compiled, compile_stage


def compile_cluster(context: Context) -> Compiled:
    """The first stage: the file's cluster, which serves on what former ones did."""
    return compile_stage(change.stages(context)[0])


def named(context: Context, name: str) -> Compiled:
    """The stage of that name."""
    return compile_stage(next(stage for stage in change.stages(context) if stage.name == name))


def stage_of(context: Context, key: Key) -> str:
    """The only stage that has a thing."""
    (name,) = (stage.name for stage in change.stages(context) if key in compile_stage(stage).component_of)
    return name


def names(context: Context) -> list[str]:
    """The names of all stages."""
    return [stage.name for stage in change.stages(context)]

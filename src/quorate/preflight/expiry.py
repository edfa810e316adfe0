"""Judge of certificates that would end while versions move."""

from datetime import UTC, datetime, timedelta

from quorate.execute import survey
from quorate.preflight.check import Question, World
from quorate.preflight.running import some
from quorate.report.findings import Verdict, failed, passed, unchecked
from quorate.spec.cluster import Host

WINDOW = timedelta(days=1)
"""As long as an upgrade, and who has to repair one, may take."""


def _ask_files(world: World, host: Host) -> str:
    asked = survey.questions(world.cluster, host)
    return f"{asked['clock']}\n{asked['certificates']}" if world.upgrades else ""


def _ask_users(world: World, host: Host) -> str:
    return survey.questions(world.cluster, host)["users"] if world.upgrades else ""


FILES = Question("certificates", _ask_files)
USERS = Question("kubeconfigs", _ask_users)


def outlast(world: World, host: Host) -> Verdict | None:
    """Each certificate on the host is valid for another day, by the host's clock."""
    if not world.upgrades:
        return None
    clock, _, pems = world.answer(host, FILES.name).partition("\n")
    if not clock.isdigit():
        return unchecked()
    found = survey.certificates(pems, world.answer(host, USERS.name))
    if not found:
        return None
    end = datetime.fromtimestamp(int(clock), UTC) + WINDOW
    short = {each.path: each.info.not_after for each in found if each.info.not_after < end}
    if short:
        return failed(some([f"{path} ends {at:%Y-%m-%d %H:%M} UTC" for path, at in short.items()]))
    return passed(f"the first of {len(found)} ends {min(each.info.not_after for each in found):%Y-%m-%d}")

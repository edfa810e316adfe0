"""The question whether a program would start with new settings, asked before they take the place of the old ones.

No program of Kubernetes has a dry run, nor has etcd. But each reads and checks all that it was told before it opens one
certain file: there it is given a path that can't be opened, and says so. One that says anything else has a reason not
to start. It runs in a network of its own, where its ports are free and nobody hears it. kube-proxy, which can write its
configuration, ends with that.
"""

from quorate.render.sh import quote

NOWHERE = "/dev/null/quorate"
"""What no program can open: its folder is none."""
WITHIN = 20
"""Seconds, of which a program takes a half. One that is slower has refused nothing, and is let through."""


def script(unit: str, program: str, command: str) -> str:
    """The body of a trial (see `resource.file`): asks a program, unless its service does not run.

    `command` is sh that starts it on settings of which one is `NOWHERE`; "$1" in it is the new file.
    """
    return f"""\
systemctl is-active --quiet -- {quote(unit)} || return 0
q_alone= q_only=
if unshare -n true 2>/dev/null; then q_alone='unshare -n'; else q_only=--version; fi
q_rc=0; q_said=$(timeout {WITHIN} $q_alone {command} $q_only 2>&1) || q_rc=$?
case $q_rc:$q_said in 0:* | 124:* | *{quote(f"{NOWHERE}: not a directory")}*) return 0;; esac
{{
  echo {quote(f"{program} would not start with these settings, and goes on with those that it has:")}
  printf '%s\\n' "$q_said" | cut -c1-400 | sed -n '1,2p; $p' | uniq
}} >&2
return 1"""

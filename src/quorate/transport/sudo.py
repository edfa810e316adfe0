"""sudo: the password for it, and why a script did not even start, in our words."""

from quorate.spec.ssh import ResolvedSsh
from quorate.transport.output import text
from quorate.transport.password import Prompt, stored


async def password(ssh: ResolvedSsh, prompt: Prompt) -> str | None:
    """The password for sudo; None for root, and where sudo is not to ask. Raises LocalError."""
    if ssh.user == "root":
        return None
    if ssh.sudo_password_file is not None:
        return stored(ssh.sudo_password_file, "ssh.sudo_password_file")
    if ssh.ask_sudo_password:
        return await prompt.ask(f"sudo password of {ssh.user}")
    return None


def wrong(ssh: ResolvedSsh) -> tuple[str, str]:
    """The word and the fix for a sudo password that was refused."""
    source = f"in {ssh.sudo_password_file}" if ssh.sudo_password_file else "that you gave"
    return (
        f"wrong sudo password for {ssh.user}",
        f"Correct the one {source}; it is not tried again in this run.",
    )


def why(ssh: ResolvedSsh, noise: bytes, stderr: str) -> tuple[str, str]:
    """The word and the fix, from what came instead of the bootstrap's first word."""
    said = (text(noise) + stderr).strip()
    low = said.lower()
    rights = f"Let {ssh.user} run /bin/sh as root in sudoers, or log in as root."

    def has(*parts: str) -> bool:
        return any(part in low for part in parts)

    if ssh.user != "root":
        if has("must have a tty"):
            fix = f"Put `Defaults:{ssh.user} !requiretty` in its sudoers."
            return "sudo there wants a terminal (requiretty)", fix
        if has("not in the sudoers", "not allowed to execute", "may not run sudo", "i'm afraid i can't"):
            return f"{ssh.user} may not use sudo for /bin/sh", rights
        if has("incorrect password", "try again", "authentication failed"):
            return wrong(ssh)
        if has("password is required", "authentication is required", "no password was provided", "no tty present"):
            return "sudo there asks for a password", (
                "Set ssh.sudo_password_file or ssh.ask_sudo_password, or allow NOPASSWD."
            )
        if has("sudo: not found", "sudo: command not found", "sudo’: no such file", "'sudo': no such file"):
            return "there is no sudo", "Install sudo there, or log in as root."
    last = said.splitlines()[-1:] or ["it said nothing"]
    return f"no POSIX shell for {ssh.user}: {last[0]}", (
        f"`ssh {ssh.user}@{ssh.address} /bin/sh -c :` must work: login shell, ForceCommand, expired account?"
    )

"""Bad cluster files: backups that nobody could open, or that have no place."""

from bad_file import HOSTS, Bad

_KEY = "age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg"
_SSH = "{host: b, path: /srv/backups, key: /nonexistent/key, known_hosts: /nonexistent/hosts}"


def _places(*each: str) -> str:
    return HOSTS + "backup:\n  places:\n" + "".join(f"    - {one}\n" for one in each)


BACKUP_RULES = (
    Bad(HOSTS + "backup: {schedule: '; reboot'}\n", 5, "backup.schedule", "OnCalendar"),
    Bad(HOSTS + 'backup: {schedule: "daily\\nx"}\n', 5, "backup.schedule", "OnCalendar"),
    Bad(HOSTS + "backup: {folder: /backups}\n", 5, "backup.folder", "two deep"),
    Bad(HOSTS + "backup: {folder: /var/lib/etcd/backups}\n", 5, "backup.folder", "one within the other"),
    Bad(HOSTS + "backup: {folder: /var/lib/quorate/x}\n", 5, "backup.folder", "somebody else's"),
    Bad(HOSTS + "backup: {keep: {count: 0}}\n", 5, "backup.keep.count", "1"),
    Bad(HOSTS + "backup: {keep: {count: many}}\n", 5, "backup.keep.count", "number"),
    Bad(HOSTS + "backup: {overdue_hours: 0}\n", 5, "backup.overdue_hours", "1"),
    Bad(HOSTS + f"backup: {{recipients: [{_KEY}, {_KEY}]}}\n", 5, "backup.recipients[1]", "twice"),
    Bad(HOSTS + f"backup: {{recipients: [{_KEY[:-1]}q]}}\n", 5, "backup.recipients[0]", "no public key"),
    Bad(_places("{}"), 7, "backup.places[0]", "none of folder, ssh and s3"),
    Bad(_places(f"{{folder: /srv/x, ssh: {_SSH}}}"), 7, "backup.places[0]", "names folder and ssh"),
    Bad(_places("{folder: /srv/x}", "{folder: /srv/x}"), 8, "backup.places[1]", "twice"),
    Bad(_places("{ssh: {host: b, path: x, key: k, known_hosts: h}}"), 7, "backup.places[0].ssh.path", "two deep"),
    Bad(_places("{ssh: {host: b, path: /srv/x, known_hosts: h}}"), 7, "backup.places[0].ssh.key", "missing"),
    Bad(_places("{s3: {endpoint: x, bucket: abc, login_file: l}}"), 7, "backup.places[0].s3.endpoint", "URL"),
    Bad(_places("{s3: {endpoint: 'https://s', bucket: A_, login_file: l}}"), 7, "backup.places[0].s3.bucket", "bucket"),
    Bad(_places("{s3: {endpoint: 'https://s', bucket: abc}}"), 7, "backup.places[0].s3.login_file", "missing"),
    Bad(_places(f"{{ssh: {_SSH}}}"), 7, "backup.places[0].ssh.key", "can't be used"),
    Bad(
        _places("{s3: {endpoint: 'https://s', bucket: abc, login_file: /nonexistent/l}}"),
        7,
        "backup.places[0].s3.login_file",
        "can't be used",
    ),
    Bad(
        _places("{s3: {endpoint: 'https://s', bucket: abc, login_file: l, prefix: /x}}"),
        7,
        "backup.places[0].s3.prefix",
        "joined by '/'",
    ),
)

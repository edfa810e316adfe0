"""Bad things beside the cluster file: the files that it names, and its state folder."""

from bad_file import HOSTS, A, B, Bad, hosts

KEY = b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n"


def named(field: str, text: str, words: str, **files: bytes) -> Bad:
    """A case whose files lie beside the cluster file, mode 0600; `_` in a name stands for a dot."""
    line = 5
    return Bad(HOSTS + text + "\n", line, field, words, tuple((name.replace("_", "."), f) for name, f in files.items()))


def access(field: str) -> str:
    return f"runtime.registry_access.r.{field}"


POLICY = b"apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: []\n"

BESIDE = (
    named("ssh.key", "ssh: {key: id}", "No such file"),
    named("ssh.key", "ssh: {key: .}", "is no file"),
    named("ssh.key", "ssh: {key: cluster.yaml}", "chmod 600"),
    named("ssh.key", "ssh: {key: id}", "is empty", id=b""),
    named("ssh.key", "ssh: {key: id_pub}".replace("_", "."), "without .pub", id_pub=b"ssh-ed25519 AAAA me\n"),
    named("ssh.key", "ssh: {key: id}", "puttygen", id=b"PuTTY-User-Key-File-3: ssh-ed25519\n"),
    named("ssh.key", "ssh: {key: id}", "no private key", id=b"hello\n"),
    named("ssh.key", "ssh: {key: 'env:KEY'}", "can't come from a variable"),
    named("ssh.key", f'ssh: {{key: "{KEY.decode()[:35]}\\nabc"}}', "a private key: not shown"),
    named("ssh.password_file", "ssh: {password_file: word}", "No such file"),
    named("ssh.password_file", "ssh: {password_file: cluster.yaml}", "others can read"),
    named("ssh.password_file", "ssh: {password_file: word}", "is empty", word=b""),
    named("ssh.password_file", "ssh: {password_file: 'env:'}", "names no variable"),
    named("ssh.password_file", "ssh: {password_file: 'env:A B'}", "names no variable"),
    named("ssh.sudo_password_file", "ssh: {sudo_password_file: .}", "is no file"),
    named("ssh.password", "ssh: {password: hunter2}", "never write a secret here"),
    named("ssh.known_hosts", "ssh: {known_hosts: .}", "is no file"),
    Bad(hosts(A, B + ", ssh: {key: id}"), 4, "hosts[1].ssh.key", "No such file"),
    named("apiserver.audit_policy", "apiserver: {audit_policy: p}", "No such file"),
    named("apiserver.audit_policy", "apiserver: {audit_policy: p}", "not UTF-8", p=b"\xff\xfe"),
    named(
        "apiserver.audit_policy", "apiserver: {audit_policy: p}", "has no `rules:`", p=POLICY.replace(b"rules", b"x")
    ),
    named("apiserver.audit_policy", "apiserver: {audit_policy: p}", "has no `apiVersion:`", p=b""),
    named("network.manifest", "network: {cni: manifest, manifest: m}", "No such file"),
    named("network.manifest", "network: {cni: manifest, manifest: m}", "not UTF-8", m=b"\x1f\x8b\x08\xff"),
    named("network.manifest", "network: {cni: manifest, manifest: m}", "has no `apiVersion:`", m=b"<html>\n"),
    named("network.manifest", "network: {cni: manifest, manifest: .}", "is no file"),
    named("network.manifest", "network: {cni: manifest, manifest: 'http://x/y'}", "https"),
    named(access("ca_file"), "runtime: {registry_access: {r: {ca_file: c}}}", "No such file"),
    named(access("ca_file"), "runtime: {registry_access: {r: {ca_file: .}}}", "is no file"),
    named(access("ca_file"), "runtime: {registry_access: {r: {ca_file: c}}}", "no certificate in PEM", c=b"0\x82"),
    named(access("login_file"), "runtime: {registry_access: {r: {login_file: l}}}", "No such file"),
    named(access("login_file"), "runtime: {registry_access: {r: {login_file: cluster.yaml}}}", "others can read"),
    named(access("login_file"), "runtime: {registry_access: {r: {login_file: l}}}", "is empty", l=b""),
    named(access("login_file"), "runtime: {registry_access: {r: {login_file: l}}}", "USER:PASSWORD", l=b"hunter2\n"),
    named(access("login_file"), "runtime: {registry_access: {r: {login_file: l}}}", "is no login", l=b"\nme:x\n"),
    named(access("login_file"), "runtime: {registry_access: {r: {login_file: 'env:'}}}", "names no variable"),
    named(access("password"), "runtime: {registry_access: {r: {password: hunter2}}}", "name that in `login_file`"),
    named("artifacts.directory", "artifacts: {source: directory}", "is missing"),
    named("artifacts.directory", "artifacts: {source: directory, directory: none}", "No such file"),
    named("artifacts.directory", "artifacts: {directory: cluster.yaml}", "is no folder"),
    named("artifacts.directory", "artifacts: {directory: .}", "SHA256SUMS"),
    named("artifacts.images[0]", "artifacts: {images: [x.tar]}", "No such file"),
    named("artifacts.images[0]", "artifacts: {images: [.]}", "is no file"),
)
"""One file named wrongly, or that is not what it is named as."""

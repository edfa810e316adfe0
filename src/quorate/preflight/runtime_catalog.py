"""The checks of a change of runtime, besides those of an upgrade: none of them counts less once it has begun."""

from quorate.preflight import exchanged
from quorate.preflight.check import Check

CHECKS: tuple[Check, ...] = (
    Check(
        "docker", "change of runtime: nothing goes with Docker that is not Kubernetes'",
        "Docker goes with its containers and volumes, whoever made them.",
        "write `runtime: {keep_docker: true}`, and Docker stays as it is; or take them away: `docker rm`, "
        "`docker volume rm`",
        exchanged.own, (exchanged.OWN,),
    ),
    Check(
        "registries", "change of runtime: containerd has the images of pods, or can pull them",
        "Docker's archives have no image that has no name but its digest: pods of a drained node would wait for it.",
        "let the host reach the registry, or name a mirror in runtime.registry_mirrors; or load the image by hand: "
        "`ctr -n k8s.io images import FILE`, and waive it",
        exchanged.registries, (exchanged.REGISTRIES,),
    ),
)  # fmt: skip

"""Jobs of the workflow as jobs of Kubernetes: what ``profiles/kubernetes`` calls.

``python -m bitswitch.cli.kubernetes submit | status | cancel``. Snakemake's own executor for
Kubernetes passes files through a store and knows outputs alone; a run that goes on needs its
checkpoint too. So pods share a volume with the Snakemake that submits them, and are asked for here.
"""

import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from bitswitch.errors import BitswitchError, PluginError, SpecError
from bitswitch.spec.yaml_files import read_yaml

GPU = "nvidia.com/gpu"
NAMESPACE = "default"
UNKNOWN = 404
"""Status of an answer about what is not there."""

app = typer.Typer(add_completion=False)


def filled(template: Path, name: str, script: Path, resources: Mapping[str, int]) -> dict[str, Any]:
    """Return the manifest in ``template`` for one job.

    Args:
        template: A manifest of a job with one container.
        name: Of the job.
        script: What it runs, in the working directory of this process.
        resources: ``cpus``, ``memory_mb`` and ``gpus``.

    Raises:
        SpecError: it is no such manifest.
    """
    job: dict[str, Any] = read_yaml(template)
    try:
        (container,) = job["spec"]["template"]["spec"]["containers"]
        job.setdefault("metadata", {})["name"] = name
        container["command"], container["args"] = ["/bin/sh"], [str(script)]
    except (AttributeError, KeyError, TypeError, ValueError):
        raise SpecError(
            f"{template} is no manifest of a job with one container: it needs "
            f"spec.template.spec.containers, a list of one.\n"
            f"  The one that comes with bitswitch: profiles/kubernetes/job.yaml"
        ) from None
    memory = {"memory": f"{resources['memory_mb']}M"}
    gpus = {GPU: str(resources["gpus"])} if resources["gpus"] else {}
    container["workingDir"] = str(Path.cwd())
    container["resources"] = {
        "requests": {"cpu": str(resources["cpus"]), **memory, **gpus},
        "limits": {**memory, **gpus},
    }
    return job


@app.command()
def submit(
    template: Annotated[Path, typer.Option()],
    cpus: Annotated[int, typer.Option(min=1)],
    memory_mb: Annotated[int, typer.Option(min=1)],
    gpus: Annotated[int, typer.Option(min=0)],
    script: Path,
) -> None:
    """Start a job, and print its namespace and name."""
    resources = {"cpus": cpus, "memory_mb": memory_mb, "gpus": gpus}
    job = filled(template, f"bitswitch-{uuid.uuid4().hex[:12]}", script.absolute(), resources)
    about = job["metadata"]
    namespace = about.get("namespace", NAMESPACE)
    _jobs().create_namespaced_job(namespace, job)
    typer.echo(f"{namespace}/{about['name']}")


@app.command()
def status(job: str) -> None:
    """Print whether a job is ``running``, or ended in ``success`` or ``failed``."""
    namespace, name = job.split("/")
    api = _jobs()
    try:
        found = api.read_namespaced_job_status(name, namespace).status
    except Exception as error:
        if getattr(error, "status", None) == UNKNOWN:  # deleted by somebody
            typer.echo("failed")
            return
        # The cluster does not answer now; its jobs run all the same.
        typer.echo(f"{job}: {error}", err=True)
        typer.echo("running")
        return
    typer.echo("success" if found.succeeded else "failed" if found.failed else "running")


@app.command()
def cancel(jobs: list[str]) -> None:
    """End jobs, pods included, which have time to save their state."""
    api = _jobs()
    for namespace, name in (job.split("/") for job in jobs):
        try:
            api.delete_namespaced_job(name, namespace, propagation_policy="Background")
        except Exception as error:
            typer.echo(f"{namespace}/{name} cannot be ended: {error}", err=True)


def _jobs() -> Any:
    """Return the part of the cluster's API that runs jobs.

    Raises:
        PluginError: its client is not installed, or nothing says where the cluster is.
    """
    try:
        import kubernetes
    except ImportError:
        raise PluginError(
            "Jobs of Kubernetes need its client: pip install 'bitswitch[kubernetes]'"
        ) from None
    try:
        kubernetes.config.load_config()
    except kubernetes.config.ConfigException as error:
        raise PluginError(
            f"No cluster is known here: {error}\n"
            f"  In a pod, give it a service account that may make jobs; elsewhere, set KUBECONFIG."
        ) from None
    return kubernetes.client.BatchV1Api()


def main() -> None:
    """Run the command line; errors are one message."""
    try:
        app()
    except BitswitchError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()

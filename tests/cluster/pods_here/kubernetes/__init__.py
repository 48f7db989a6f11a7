"""In place of the client of Kubernetes: a cluster whose pods are processes of this machine."""

import json
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace


class ConfigException(Exception):  # noqa: N818  (as the client has it)
    """Nothing says where the cluster is."""


class ApiException(Exception):  # noqa: N818
    """An answer that is an error."""

    def __init__(self, status):
        super().__init__(f"({status})")
        self.status = status


class BatchV1Api:
    """What the client has under this name, as far as it is used."""

    def __init__(self):
        self.folder = Path(os.environ["PODS_HERE"])

    def create_namespaced_job(self, namespace, job):
        """Keep the manifest, and start its container."""
        name = job["metadata"]["name"]
        (self.folder / f"{name}.json").write_text(json.dumps(job))
        (container,) = job["spec"]["template"]["spec"]["containers"]
        code = self.folder / f"{name}.code"
        command = [*container["command"], *container["args"]]
        subprocess.Popen(
            ["/bin/sh", "-c", '"$@"; echo $? > "$0.draft"; mv "$0.draft" "$0"', code, *command],
            cwd=container["workingDir"],
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / f"{name}.log").open("w"),
            start_new_session=True,
        )

    def read_namespaced_job_status(self, name, namespace):
        """Return the status of a job."""
        if os.environ.get("PODS_SILENT"):
            raise TimeoutError("no answer")
        if not (self.folder / f"{name}.json").exists():
            raise ApiException(404)
        code = self.folder / f"{name}.code"
        ended = code.read_text().strip() if code.exists() else ""
        status = SimpleNamespace(
            succeeded=ended == "0" or None, failed=ended not in ("", "0") or None
        )
        return SimpleNamespace(status=status)

    def delete_namespaced_job(self, name, namespace, propagation_policy):
        """Forget a job."""
        (self.folder / f"{name}.json").unlink()


def load_config():
    """Find the cluster, or say that there is none."""
    if "PODS_HERE" not in os.environ:
        raise ConfigException("Service host/port is not set.")


client = SimpleNamespace(BatchV1Api=BatchV1Api)
config = SimpleNamespace(load_config=load_config, ConfigException=ConfigException)

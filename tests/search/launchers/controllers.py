"""A real SLURM of one node for tests: munged, slurmctld and slurmd of Debian's packages, on loopback, in a folder of
its own.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

TOOLS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel")
CONFIGURATION = """
ClusterName=tiny
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={daemon}
AuthType=auth/munge
AuthInfo=socket={place}/munge.socket
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={place}/state
SlurmdSpoolDir={place}/spool
SlurmctldPidFile={place}/slurmctld.pid
SlurmdPidFile={place}/slurmd.pid
SlurmctldLogFile={place}/slurmctld.log
SlurmdLogFile={place}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
SchedulerParameters=batch_sched_delay=0,sched_interval=1
KillWait=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


MARK = "TEST_SLURM"
"""A variable of the daemons: the folder of their cluster."""


def of_cluster(place: Path) -> Iterator[psutil.Process]:
    """Every process of the daemons of a cluster, and of its jobs."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if _belongs(process, place):
                yield process
                yield from process.children(recursive=True)


def _belongs(process: psutil.Process, place: Path) -> bool:
    """A step's daemon writes its title over its variables, but stands where slurmd stood; a job has variables of its
    own.
    """
    variables = process.environ()
    job = "SLURM_JOB_ID" in variables and variables.get("SLURM_CONF") == str(place / "slurm.conf")
    return job or variables.get(MARK) == str(place) or process.cwd() == str(place)


def end(place: Path) -> None:
    """Kill the cluster in `place`, again until nothing of it is found: a step daemon may start while slurmd ends."""
    limit = time.monotonic() + 30
    while found := [process for process in of_cluster(place) if process.status() != psutil.STATUS_ZOMBIE]:
        assert time.monotonic() < limit, found
        for process in found:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        time.sleep(0.1)


@contextmanager
def slurm(cpus: int) -> Iterator[Path]:
    """The slurm.conf of a cluster that takes jobs, named by SLURM_CONF. Skips the test where the packages are missing
    or this is not root.
    """
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        pytest.skip(
            "SLURM is not installed (apt-get install slurmctld slurmd slurm-client munge); missing: "
            f"{', '.join(missing)}"
        )
    if os.geteuid() != 0:
        pytest.skip("slurmd starts as root only")
    place = Path(tempfile.mkdtemp(prefix="pld-slurm-"))
    place.chmod(0o755)
    (place / "key").write_bytes(secrets.token_bytes(1024))
    (place / "key").chmod(0o600)
    for name in ("state", "spool"):
        (place / name).mkdir()
    file = place / "slurm.conf"
    file.write_text(
        CONFIGURATION.format(
            host=socket.gethostname().split(".")[0], place=place, controller=free_port(), daemon=free_port(), cpus=cpus
        )
    )
    own = ["--key-file", "--socket", "--pid-file", "--log-file", "--seed-file"]
    paths = [place / name for name in ("key", "munge.socket", "munge.pid", "munge.log", "munge.seed")]
    before = os.environ.get("SLURM_CONF")
    os.environ["SLURM_CONF"] = str(file)
    try:
        quiet = {
            "stdout": subprocess.DEVNULL,
            "stderr": subprocess.DEVNULL,
            "check": True,
            "timeout": 60,
            "env": {**os.environ, MARK: str(place)},
        }
        subprocess.run(
            ["munged", "--force", *(f"{name}={path}" for name, path in zip(own, paths, strict=True))], **quiet
        )  # type: ignore[call-overload]
        subprocess.run(["slurmctld", "-f", str(file)], **quiet)  # type: ignore[call-overload]
        subprocess.run(["slurmd", "-f", str(file)], **quiet)  # type: ignore[call-overload]
        limit = time.monotonic() + 30
        while (
            "idle"
            not in subprocess.run(
                ["sinfo", "--noheader", "--format=%T"], capture_output=True, text=True, check=False
            ).stdout
        ):
            if time.monotonic() > limit:
                pytest.skip("SLURM's daemons do not start here: " + (place / "slurmctld.log").read_text()[-300:])
            time.sleep(0.1)
        yield file
    finally:
        end(place)
        os.environ.pop("SLURM_CONF") if before is None else os.environ.__setitem__("SLURM_CONF", before)
        shutil.rmtree(place, ignore_errors=True)

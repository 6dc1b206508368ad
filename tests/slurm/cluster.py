"""A real two-node Slurm cluster on this machine: slurmctld, two slurmd, munge, all as packaged.

The controller, which is also the login node, and the nodes n1 and n2 are machines of `tests.slurm.machines`:
what runs on one has its own host name, address, mounts and processes, and the disks are shared. A node has
8 CPUs and 2 pretend GPUs, whatever there is. What Slurm waits for is cut short: a requeued job may start
again after 5 s, not 120.

    cluster = Cluster(tmp_path)
    cluster.start()
    job = cluster.submit("--nodes=2", "--wrap", "srun hostname", cwd=tmp_path)
    cluster.wait(job)
    cluster.stop()
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import stat
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from subprocess import CompletedProcess

from tests.slurm.machines import Machine, Machines

PROGRAMS = ("munged", "slurmctld", "slurmd")
CONTROLLER = "ctl"
NODES = ("n1", "n2")
FINAL = {
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "TIMEOUT",
}  # fmt: skip
POLL_SECONDS = 0.3
_TAIL = 6000

_CONF = """
ClusterName=test
SlurmctldHost={controller}({address})
SlurmUser=root
AuthType=auth/munge
# cred_expire: a requeued job may not start again before it (default 120 s)
AuthInfo=socket={folder}/munge/socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
MailProg=/bin/true
# follows parents, which works without cgroups; the death of a whole node loses nobody
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
# the nodes may claim more CPUs and memory than this machine has
SlurmdParameters=config_overrides
GresTypes=gpu
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/finished.txt
ReturnToService=2
SlurmdTimeout=10
KillWait=5
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SchedulerParameters=sched_interval=2,bf_interval=5,batch_sched_delay=1
"""


def _fields(line: str) -> dict[str, str]:
    """`A=1 B=two words C=x=y` as a dictionary; a value ends where the next ` Key=` begins."""
    return dict(re.findall(r"([\w:/]+)=(.*?)(?=\s+[\w:/]+=|\s*$)", line))


class Cluster:
    """Two nodes, a controller and their state under one folder.

    Every process of the cluster is on one of its machines, so that nothing outlives `stop`, nor this process
    however it ends. To be started from the main thread: the machines end with the thread that started them.

    Args:
        folder: for configuration, state and logs, which stay there for reading. It must be on a disk that
            takes device files, and its path short enough for a socket (about 90 characters).
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._machines = Machines(self.folder, [CONTROLLER, *NODES])
        self._logs: dict[str, str] = {}
        atexit.register(self.stop)

    # ---- starting and stopping

    def start(self) -> None:
        """Start everything, in about a second, and return when both nodes take jobs.

        Raises:
            RuntimeError: it did not come up; the text holds the daemons' last words.
        """
        try:
            self._write_configuration()
            self._machines.start()
            controller = self._machines[CONTROLLER]
            key, munge = self.folder / "munge/key", self.folder / "munge"
            # --force: the folders above may be closed to other users, who have no business here.
            words = [f"--key-file={key}", f"--socket={munge}/socket", f"--pid-file={munge}/pid", "--force"]
            controller.run(["munged", *words, f"--log-file={munge}/log", f"--seed-file={munge}/seed"])
            controller.run(["slurmctld"], env=self._environment())
            self._until(lambda: " UP" in self.run(["scontrol", "ping"], check=False).stdout, "the controller")
            for node in NODES:
                self._start_slurmd(node)
            for node in NODES:
                self._until(lambda node=node: self._is_up(node), node)  # type: ignore[misc]
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it all, jobs included; only the folder with its logs stays. Harmless when nothing runs."""
        self._machines.stop()

    def _write_configuration(self) -> None:
        """A fresh state, the daemons' configuration, and device files that pass for GPUs."""
        for name in ("munge", "state", *(f"spool-{node}" for node in NODES)):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        for name in ("munge", "state"):
            (self.folder / name).mkdir(parents=True)
            (self.folder / name).chmod(0o755)  # munged wants folders that only their owner writes to
        key = self.folder / "munge/key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        addresses = self._machines.addresses
        text = _CONF.format(controller=CONTROLLER, address=addresses[CONTROLLER], folder=self.folder)
        for node in NODES:
            text += f"NodeName={node} NodeAddr={addresses[node]} CPUs=8 RealMemory=32000 Gres=gpu:2\n"
        # Jobs of the second partition push those of the first aside, which get some time to save.
        text += "PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP GraceTime=30\n"
        text += "PartitionName=urgent Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=10\n"
        (self.folder / "slurm.conf").write_text(text)
        # Named outright, it keeps slurmd from looking at /sys/fs/cgroup at all.
        (self.folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
        for number in (0, 1):
            device = self.folder / f"gpu{number}"
            if not device.exists():
                os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        (self.folder / "gres.conf").write_text(f"Name=gpu File={self.folder}/gpu[0-1]\n")

    def _start_slurmd(self, node: str) -> None:
        self._machines[node].run(["slurmd"], env=self._environment())

    def _node(self, node: str) -> dict[str, str]:
        return _fields(self.run(["scontrol", "-o", "show", "node", node]).stdout)

    def _is_up(self, node: str, *, not_since: str = "") -> bool:
        """Whether a node takes jobs, with a slurmd that started at another time than `not_since`."""
        shown = self._node(node)
        usable = re.fullmatch(r"IDLE|MIXED|ALLOCATED", shown["State"].replace("+COMPLETING", ""))
        return bool(usable) and shown.get("SlurmdStartTime", "None") not in ("None", not_since)

    def _until(self, condition: Callable[[], bool], what: str, *, timeout: float = 30) -> None:
        """Wait until something is up."""
        end = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > end:
                logs = [f"{path}:\n{path.read_text()[-1500:]}" for path in self.folder.glob("*.log")]
                raise RuntimeError("\n".join([f"{what} did not come up", *logs]))
            time.sleep(0.1)

    def _environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        own = {
            name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "SBATCH_"))
        }
        own["PATH"] = own.get("PATH", "") + ":/usr/sbin:/sbin"
        return own | {"SLURM_CONF": str(self.folder / "slurm.conf")} | dict(more or {})

    # ---- running commands

    def run(
        self,
        command: Sequence[str],
        *,
        check: bool = True,
        timeout: float = 60,
        cwd: str | Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> CompletedProcess[str]:
        """Run a command on the login node: sbatch, scontrol, srun and the like.

        Args:
            command: its words.
            check: fail if it fails, with what it printed.
            timeout: seconds.
            cwd: the folder to run it in; this process's if None.
            env: what is added to this process's environment.
        """
        return self.on(CONTROLLER, command, check=check, timeout=timeout, cwd=cwd, env=env)

    def on(
        self,
        node: str,
        command: Sequence[str],
        *,
        check: bool = True,
        timeout: float = 60,
        cwd: str | Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> CompletedProcess[str]:
        """Run a command as node n1 or n2, as `run` does on the login node.

        Only that node's jobs see what it mounts by `cluster.on("n2", ["mount", "-t", "tmpfs", "x", path])`,
        until that is unmounted or the node is killed.
        """
        where = Path.cwd() if cwd is None else cwd
        return self._machines[node].run(
            list(command), check=check, timeout=timeout, cwd=where, env=self._environment(env)
        )

    # ---- jobs

    def submit(
        self, *arguments: str | Path, cwd: str | Path | None = None, env: Mapping[str, str] | None = None
    ) -> str:
        """Submit a job from the folder `cwd`, and return its id."""
        done = self.run(["sbatch", "--parsable", *map(str, arguments)], cwd=cwd, env=env)
        return done.stdout.strip().split(";")[0]

    def state(self, job: str) -> dict[str, str]:
        """What Slurm says about a job, or about a task of an array ("12_1"); at least its JobState.

        A job that the controller has forgotten is looked up among the finished ones, which say less.
        """
        done = self.run(["scontrol", "-o", "show", "job", job], check=False)
        if done.returncode == 0:
            shown = _fields(done.stdout.splitlines()[0])
            if "StdOut" in shown:
                self._logs[job] = shown["StdOut"]
            return shown
        finished = self.folder / "finished.txt"
        for line in reversed(finished.read_text().splitlines() if finished.exists() else []):
            shown = _fields(line)
            task = f"{shown.get('ArrayJobId')}_{shown.get('ArrayTaskId')}"
            if job in (shown.get("JobId"), task):
                return shown
        raise AssertionError(f"no job {job}: {done.stderr}")

    def log(self, job: str) -> str:
        """What a job has printed so far."""
        if job not in self._logs:
            self.state(job)
        path = Path(self._logs.get(job, "/nonexistent"))
        return path.read_text(errors="replace") if path.exists() else ""

    def wait(self, job: str, state: str = "COMPLETED", *, timeout: float = 120) -> dict[str, str]:
        """Wait until a job is in a state, and return what `state` says of it then.

        Fails, with the end of the job's log, when it ends in another state or after `timeout` seconds.
        """
        end = time.monotonic() + timeout
        while True:
            shown = self.state(job)
            if shown["JobState"] == state:
                return shown
            late = time.monotonic() > end
            if shown["JobState"] in FINAL or late:
                what = f"job {job} is {shown['JobState']}, not {state}, {shown.get('Reason', '')}"
                raise AssertionError(f"{what}{' (out of time)' * late}\n{self.log(job)[-_TAIL:]}")
            time.sleep(POLL_SECONDS)

    def clear(self) -> None:
        """Cancel every job and bring both nodes back: as after `start`, but for the job numbers."""
        self.run(["scancel", "--user=root"], check=False)
        for node in NODES:
            if not self._machines.running(node):
                self.start_node(node)
            elif not self._is_up(node):
                self.resume(node)
        self._until(lambda: not self.run(["squeue", "--noheader"]).stdout, "an empty queue", timeout=60)

    # ---- nodes

    def kill(self, node: str) -> None:
        """Power loss: the node's slurmd, its jobs and its mounts are gone, and nobody is told.

        The controller finds out after 25-40 s; `mark_down` tells it.
        """
        self._machines.kill(node)

    def mark_down(self, node: str) -> None:
        """Tell the controller that a node is gone, so that it requeues the node's jobs at once."""
        self.run(["scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=test"])

    def start_node(self, node: str) -> None:
        """Start a killed node again, and return when it takes jobs."""
        before = self._node(node).get("SlurmdStartTime", "")
        self._machines.start_machine(node)
        self._start_slurmd(node)
        self._until(lambda: self._is_up(node, not_since=before), node)

    def resume(self, node: str) -> None:
        """Have a running node that was marked down or drained take jobs again."""
        self.run(["scontrol", "update", f"NodeName={node}", "State=RESUME"], check=False)
        self._until(lambda: self._is_up(node), node)

    def machine(self, node: str) -> Machine:
        """The machine of a node, or of the controller; its `pid` is that of its first process."""
        return self._machines[node]

"""Machines that share one kernel: each has its own host name, network, mounts and processes.

A machine is a set of namespaces that a first process holds open. They have neither names nor files, so that
two sets of machines cannot meet, and killing the first process is a power loss: the system kills whatever
else runs there and drops the mounts. The machines share the disks. They reach each other over a switch
(a bridge in a namespace of its own) and nothing outside it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

# It mounts nothing unless it is in namespaces of its own. The number it prints is seen from outside, since
# /proc is not yet this machine's when it reads it. /dev/shm is a machine's own, as its memory is. Orphans are
# reaped by the shell while it waits for a child that never ends.
_FIRST_PROCESS = """
set -e
read -r pid _ < /proc/self/stat
for kind in mnt net pid uts; do
    [ -e "/proc/$2/ns/$kind" ]
    [ ! "/proc/$pid/ns/$kind" -ef "/proc/$2/ns/$kind" ]
done
mount -t proc proc /proc
mount -t tmpfs shm /dev/shm
hostname "$0"
mount --bind "$1" /etc/hosts
echo "$pid"
exec >&-
sleep infinity & wait
"""
_NAMESPACES = ("--pid", "--net", "--uts", "--mount")
_DIES_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL")
_PROGRAMS = ("ip", "mount", "nsenter", "setpriv", "unshare")


def why_not(programs: Sequence[str] = ()) -> str | None:
    """Why there can be no machines here, in words for a skipped test; None if there can.

    Args:
        programs: what is needed beside the programs that make namespaces.
    """
    if sys.platform != "linux":
        return "needs Linux"
    if os.geteuid() != 0:
        return "needs root"
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    if missing := [program for program in (*_PROGRAMS, *programs) if not shutil.which(program, path=path)]:
        return f"needs {', '.join(missing)}"
    try:
        Machine("probe", Path("/etc/hosts")).kill()
    except RuntimeError as error:
        return f"needs namespaces and mounts: {error}"
    return None


class Machine:
    """One machine, running from the moment it is made.

    Args:
        name: its host name.
        hosts: the file that is its /etc/hosts.
    """

    def __init__(self, name: str, hosts: Path) -> None:
        self.name = name
        # Should this process be killed, the system kills the first process, and so the machine. A session of
        # its own keeps a Ctrl-C away, which `stop` is there to answer.
        words = [*_DIES_WITH_PARENT, "unshare", "--fork", "--kill-child", *_NAMESPACES]
        self._holder = subprocess.Popen(
            [*words, "bash", "-c", _FIRST_PROCESS, name, str(hosts), str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._holder.stdout and self._holder.stderr
        line = self._holder.stdout.readline()
        if not line.strip().isdigit():
            self._holder.kill()
            raise RuntimeError(f"machine {name} did not start: {self._holder.stderr.read()}")
        self.pid = int(line)
        """Of its first process, as seen from outside."""

    def prefix(self, cwd: str | Path) -> list[str]:
        """The words before a command that have it run on this machine, in the folder `cwd`."""
        enter = ["nsenter", "--target", str(self.pid), *_NAMESPACES]
        # A mount namespace is entered at its root. A command that is given up ends, and not only nsenter.
        return [*enter, *_DIES_WITH_PARENT, "sh", "-c", 'cd "$0" && exec "$@"', str(cwd)]

    def run(
        self,
        command: Sequence[str],
        *,
        check: bool = True,
        timeout: float = 60,
        cwd: str | Path = "/",
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command here and return what it printed; with `check`, fail with that if it failed."""
        done = subprocess.run(
            [*self.prefix(cwd), *command], env=env, capture_output=True, text=True, timeout=timeout
        )
        text = f"on {self.name}: {' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}"
        assert not check or done.returncode == 0, text
        return done

    def kill(self) -> None:
        """Power loss: nothing of it is left when this returns."""
        # Named by its parent, which has not reaped it: the number cannot be another process's by now.
        if self._holder.poll() is None:
            os.kill(self.pid, 9)
        self._holder.wait(timeout=30)
        for pipe in (self._holder.stdout, self._holder.stderr):
            if pipe:
                pipe.close()


class Machines:
    """Several machines on one switch, with addresses that all of them resolve by name.

    The switch reaches nothing outside, so every set of machines has the same addresses.

    Args:
        folder: for the hosts file.
        names: host names.
    """

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self.addresses = {name: f"10.231.77.{10 + i}" for i, name in enumerate(names)}
        self._hosts = folder / "hosts"
        self._machines: dict[str, Machine] = {}
        self._switch: Machine | None = None

    def __getitem__(self, name: str) -> Machine:
        return self._machines[name]

    def running(self, name: str) -> bool:
        """Whether a machine has been started and not killed since."""
        return name in self._machines

    def start(self) -> None:
        """Start the switch and all machines."""
        lines = ["127.0.0.1 localhost", *(f"{address} {name}" for name, address in self.addresses.items())]
        self._hosts.write_text("\n".join(lines) + "\n")
        self._switch = Machine("switch", self._hosts)
        self._switch.run(["ip", "link", "add", "bridge", "type", "bridge"])
        self._switch.run(["ip", "link", "set", "bridge", "up"])
        for name in self.addresses:
            self.start_machine(name)

    def start_machine(self, name: str) -> None:
        """Start one that does not run, and plug it in as its eth0."""
        assert self._switch and name not in self._machines
        machine = self._machines[name] = Machine(name, self._hosts)
        port = f"port-{name}"[:15]
        for line in (
            f"link add {port} type veth peer name eth0 netns {machine.pid}",
            f"link set {port} master bridge up",
        ):
            # The switch does not see the machine's number: it enters the network only.
            subprocess.run(
                ["nsenter", "--target", str(self._switch.pid), "--net", "ip", *line.split()], check=True
            )
        for line in (
            "link set lo up",
            f"address add {self.addresses[name]}/24 dev eth0",
            "link set eth0 up",
        ):
            machine.run(["ip", *line.split()])

    def kill(self, name: str) -> None:
        """Power loss: the others wait for its answers; nobody tells them that its connections are gone."""
        machine = self._machines.pop(name)
        if self._switch:
            self._switch.run(["ip", "link", "delete", f"port-{name}"[:15]], check=False)
        machine.kill()

    def stop(self) -> None:
        """End all machines and the switch; harmless when nothing runs."""
        for machine in self._machines.values():
            machine.kill()
        self._machines.clear()
        if self._switch:
            self._switch.kill()
            self._switch = None

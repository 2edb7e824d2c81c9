"""Who listens on an address: what the lab checks before it starts anything."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from lab.processes import MARK, environment_of, read_process
from lab.settings import Address, LabError

LISTENING = "0A"


def find_port_holder(address: Address) -> int | None:
    """The id of the process that listens on the address; None when nobody does.

    Returns 0 when the socket is there and its process may not be looked at.
    """
    inodes = set(listening_sockets(address))
    if not inodes:
        return None
    return find_socket_owner(inodes) or 0


def listening_sockets(address: Address) -> Iterator[str]:
    """The kernel's names of the sockets that listen there, or on all addresses."""
    octets = [int(part) for part in address.host.split(".")]
    own = "".join(f"{octet:02X}" for octet in reversed(octets))
    for table, hosts in (("tcp", {own, "0" * 8}), ("tcp6", {"0" * 32})):
        try:
            lines = Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            columns = line.split()
            host, port = columns[1].split(":")
            if columns[3] == LISTENING and host in hosts and int(port, 16) == address.port:
                yield f"socket:[{columns[9]}]"


def find_socket_owner(inodes: set[str]) -> int | None:
    """The first process that has one of the sockets open."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            for descriptor in (entry / "fd").iterdir():
                if os.readlink(descriptor) in inodes:
                    return int(entry.name)
        except OSError:
            continue
    return None


def require_free(addresses: Iterable[tuple[str, Address]]) -> None:
    """Raise LabError when an address that is needed is taken, naming who holds it."""
    problems = []
    for name, address in addresses:
        holder = find_port_holder(address)
        if holder is not None:
            problems.append(f"  {address} (for {name}): {describe_holder(holder)}")
    if problems:
        listed = "\n".join(problems)
        raise LabError(
            f"these addresses are taken:\n{listed}\n"
            "End those processes, or choose another net, for example LAB_NET=127.78.0."
        )


def describe_holder(pid: int) -> str:
    """Who holds a port, in words; says so when it is a process of a lab."""
    running = read_process(pid) if pid else None
    if running is None:
        return "held by a process that may not be looked at"
    folder = environment_of(pid).get(MARK)
    whose = f", left over from the lab in {folder}; 'make lab-down' there ends it" if folder else ""
    return f"held by process {pid} ({running.command[:80]}){whose}"

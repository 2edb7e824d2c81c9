"""Every option of Tricircle, declared once, read once at start into frozen values.

Whoever needs an option receives its value; nothing reads the configuration
later. Keystone's options ([keystone_authtoken], [service_credential]) belong to
keystonemiddleware and keystoneauth, which read them from ``Settings.source``.
``docs/reference/configuration.md`` is generated from here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from oslo_config import cfg
from oslo_log import log as oslo_log

PROJECT = "tricircle"
KEYSTONE_GROUP = "keystone_authtoken"
SERVICE_CREDENTIAL_GROUP = "service_credential"

_CORE_OPTS = [
    cfg.StrOpt(
        "state_path",
        default="/var/lib/tricircle",
        help="Folder for state that a program keeps on its own host: the SQLite database, when "
        "no other is configured. Change it where that folder is not writable.",
    ),
    cfg.StrOpt(
        "transport_url",
        secret=True,
        help="URL of the message bus, rabbit://user:password@host:5672/vhost; several hosts are "
        "separated by commas, as user:password@host:5672 each. Default: no bus, job workers find "
        "new jobs when they look for them. Set it so that they are told at once.",
    ),
]

_DATABASE_OPTS = [
    cfg.StrOpt(
        "connection",
        secret=True,
        help="SQLAlchemy URL of the database, e.g. mysql://user:password@host/tricircle or "
        "postgresql://…; the driver is chosen for you. Default: SQLite in state_path, which is "
        "right for one host only. Set it as soon as programs run on several hosts.",
    ),
    cfg.IntOpt(
        "max_pool_size",
        default=5,
        min=1,
        max=1000,
        help="Connections a worker keeps open. Raise it when the log shows waits for a connection; "
        "lower it when the server runs out of connections (workers x this number).",
    ),
    cfg.IntOpt(
        "max_overflow",
        default=10,
        min=0,
        max=1000,
        help="Connections a worker may open beyond max_pool_size in a burst.",
    ),
    cfg.FloatOpt(
        "pool_timeout_s",
        default=10.0,
        min=0.1,
        max=300,
        help="Seconds a request waits for a free connection before it is answered 503.",
    ),
    cfg.FloatOpt(
        "connection_recycle_s",
        default=1800.0,
        min=1,
        help="Seconds after which a connection is replaced. Must be less than the time after which "
        "the server (wait_timeout) or a firewall drops idle connections.",
    ),
]

_TOP_OPTS = [
    cfg.StrOpt(
        "region_name",
        default="RegionOne",
        help="Region of the top in Keystone's catalogue: what clients point at. It can never be "
        "the region of a pod.",
    ),
]


def _listen_opts(port: int, what: str) -> list[cfg.Opt]:
    return [
        cfg.HostAddressOpt(
            "bind_host",
            default="127.0.0.1",
            help=f"Address {what} listens on. Use 0.0.0.0 or :: to be reached from other hosts; "
            "put a load balancer that ends TLS in front.",
        ),
        cfg.PortOpt("bind_port", default=port, help=f"TCP port {what} listens on."),
        cfg.IntOpt(
            "workers",
            default=1,
            min=1,
            max=1024,
            help="Processes. One uses at most one core; start with the number of cores.",
        ),
        cfg.URIOpt(
            "public_url",
            schemes=["http", "https"],
            help="What links in answers begin with, e.g. https://cloud.example.org:8774. "
            "Default: the Host of each request. Set it behind a load balancer that "
            "ends TLS or changes the host or path.",
        ),
    ]


_GATEWAY_TIME_OPTS = [
    cfg.FloatOpt(
        "list_timeout_s",
        default=60.0,
        min=1,
        max=3600,
        help="Seconds a list waits for a pod that lives but is slow. Lower it when users prefer a "
        "list without the slow pod to a late one.",
    ),
    cfg.FloatOpt(
        "request_timeout_s",
        default=60.0,
        min=1,
        max=3600,
        help="Seconds a pod may take until its answer begins, and again until it is complete. "
        "After it the client gets 504.",
    ),
    cfg.FloatOpt(
        "create_timeout_s",
        default=180.0,
        min=1,
        max=3600,
        help="Like request_timeout_s, for requests that create something. Too low a value leaves "
        "the outcome unknown to the client although the pod completes it.",
    ),
    cfg.FloatOpt(
        "connect_timeout_s",
        default=2.0,
        min=0.05,
        max=60,
        help="Seconds until a TCP or TLS connection to a pod must stand. Raise it for pods far "
        "away with lossy links.",
    ),
    cfg.FloatOpt(
        "probe_deadline_s",
        default=2.0,
        min=0.1,
        max=60,
        help="Seconds within which a pod that died is noticed while requests wait for it, and "
        "what they lose at most. A pod that does not answer a request for its version document "
        "in this time is dead. Raise it when pods are declared dead although they are only busy.",
    ),
    cfg.FloatOpt(
        "probe_interval_s",
        default=5.0,
        min=0.1,
        max=600,
        help="Seconds between probes of a pod nobody is using, and of a dead one (varied by a "
        "fifth at random). Raise it with thousands of pods; a dead pod is used again "
        "this much later.",
    ),
]

_GATEWAY_LIMIT_OPTS = [
    cfg.BoolOpt(
        "partial_lists",
        default=True,
        help="Answer a list without the pods that do not answer, and say which are missing "
        "(X-Tricircle-Missing-Pods). Set to false to answer 503 instead.",
    ),
    cfg.IntOpt(
        "connections_per_pod",
        default=64,
        min=1,
        max=10000,
        help="Connections a worker opens to one service of a pod; further requests wait. Keep "
        "workers x this number below what the pod's API servers can take.",
    ),
    cfg.IntOpt(
        "max_body_bytes",
        default=16 * 1024 * 1024,
        min=64 * 1024,
        help="Largest request body that is accepted (413 above it). Lists and other answers of "
        "pods that must be read whole are limited by max_answer_bytes.",
    ),
    cfg.IntOpt(
        "max_answer_bytes",
        default=64 * 1024 * 1024,
        min=64 * 1024,
        help="Largest answer of a pod that is held in memory; above it the client gets 502. A "
        "detailed list of 1,000 servers is about 2 MiB.",
    ),
    cfg.IntOpt(
        "max_headers",
        default=128,
        min=16,
        max=4096,
        help="Header lines that are accepted in a request or in an answer of a pod.",
    ),
    cfg.IntOpt(
        "max_header_bytes",
        default=32768,
        min=8192,
        max=1024 * 1024,
        help="Longest head, all header lines together, that is accepted in an answer of a pod. "
        "Raise it when pods send very long Link or Location headers.",
    ),
]

_GATEWAY_CACHE_OPTS = [
    cfg.FloatOpt(
        "token_cache_s",
        default=60.0,
        min=0,
        max=3600,
        help="Seconds a worker remembers that Keystone accepted a token: how long a revoked token "
        "still passes the gateway (the pods check it again on their own terms). Never beyond "
        "the token's expiry, nor beyond [keystone_authtoken] token_cache_time. 0 asks each time.",
    ),
    cfg.FloatOpt(
        "bad_token_cache_s",
        default=5.0,
        min=0,
        max=300,
        help="Seconds a worker remembers that Keystone refused a token.",
    ),
    cfg.IntOpt(
        "token_cache_size",
        default=20000,
        min=1,
        max=10000000,
        help="Tokens a worker remembers, about 2 KiB each.",
    ),
    cfg.IntOpt(
        "token_check_threads",
        default=8,
        min=1,
        max=256,
        help="Tokens a worker checks with Keystone at the same time. Raise it when Keystone is "
        "slow and many new tokens arrive.",
    ),
    cfg.FloatOpt(
        "token_check_timeout_s",
        default=30.0,
        min=1,
        max=600,
        help="Seconds a request waits for Keystone before it is answered 503.",
    ),
    cfg.FloatOpt(
        "directory_refresh_s",
        default=5.0,
        min=0.1,
        max=3600,
        help="Seconds between reads of pods and zones from the database: how late a worker learns "
        "of a pod that was added or disabled.",
    ),
    cfg.IntOpt(
        "route_cache_size",
        default=200000,
        min=0,
        max=100000000,
        help="Routings a worker remembers, about 160 bytes each. Raise it when the resources in "
        "daily use are more; 0 reads the database each time.",
    ),
]

_GATEWAY_TLS_OPTS = [
    cfg.StrOpt(
        "pod_ca_file",
        help="PEM file with the authorities that signed the pods' certificates. Default: those "
        "the system trusts.",
    ),
    cfg.DictOpt(
        "pod_ca_files",
        default={},
        help="PEM files for single pods, by region: RegionTwo:/etc/tricircle/two.pem,… They "
        "replace pod_ca_file for that pod.",
    ),
]

_GATEWAY_OPTS = [
    *_GATEWAY_TIME_OPTS,
    *_GATEWAY_LIMIT_OPTS,
    *_GATEWAY_CACHE_OPTS,
    *_GATEWAY_TLS_OPTS,
]

_XJOB_OPTS = [
    cfg.HostAddressOpt(
        "bind_host",
        default="127.0.0.1",
        help="Address on which a job worker answers /metrics and /healthcheck. Whoever reaches "
        "it can read how many jobs there are; it takes no requests.",
    ),
    cfg.PortOpt("bind_port", default=19996, help="TCP port of the same."),
    cfg.IntOpt(
        "workers",
        default=1,
        min=1,
        max=1024,
        help="Processes. One uses at most one core; add some when jobs wait although pods have "
        "room, here or on other hosts.",
    ),
    cfg.IntOpt(
        "concurrency",
        default=64,
        min=1,
        max=10000,
        help="Jobs that a process carries out at the same time.",
    ),
    cfg.IntOpt(
        "concurrency_per_pod",
        default=16,
        min=1,
        max=10000,
        help="Jobs of one pod that a process carries out at the same time, so that a slow pod "
        "leaves room for others. Lower it when jobs are a burden for pods.",
    ),
    cfg.FloatOpt(
        "poll_interval_s",
        default=1.0,
        min=0.05,
        max=600,
        help="Seconds between looks for work in the database, when no message told of any. "
        "Without transport_url a job begins this late at most.",
    ),
    cfg.FloatOpt(
        "lease_s",
        default=60.0,
        min=1,
        max=3600,
        help="Seconds after which the jobs of a worker that died go to another one. A worker "
        "renews its leases three times as often. Raise it when the log shows lost leases.",
    ),
    cfg.FloatOpt(
        "job_timeout_s",
        default=300.0,
        min=1,
        max=86400,
        help="Seconds a run of a job may take; then it is ended and tried again.",
    ),
    cfg.IntOpt(
        "max_attempts",
        default=10,
        min=1,
        max=1000,
        help="Failed runs after which a job waits for an operator. Waiting for a pod that does "
        "not answer is no failure.",
    ),
    cfg.FloatOpt(
        "longest_pause_s",
        default=300.0,
        min=1,
        max=86400,
        help="Longest pause before a job that failed is tried again. The first one is a second, "
        "and each is twice the one before.",
    ),
    cfg.FloatOpt(
        "longest_pod_pause_s",
        default=30.0,
        min=1,
        max=3600,
        help="Longest pause before it is tried whether a pod that did not answer does so again. "
        "All jobs of that pod wait meanwhile.",
    ),
    cfg.FloatOpt(
        "keep_ended_s",
        default=604800.0,
        min=60,
        help="Seconds for which jobs that are done or cancelled are kept, and the history of all.",
    ),
    cfg.FloatOpt(
        "measure_interval_s",
        default=60.0,
        min=1,
        max=86400,
        help="Seconds between measurements of what each pod holds and how much of it is used.",
    ),
    cfg.FloatOpt(
        "probe_interval_s",
        default=60.0,
        min=1,
        max=86400,
        help="Seconds between reads of the version ranges of each pod: how late an upgrade of a "
        "pod is noticed.",
    ),
    cfg.FloatOpt(
        "sweep_interval_s",
        default=900.0,
        min=1,
        max=86400,
        help="Seconds between searches for what is not as it should be: ports without server, "
        "flavors that a pod lacks.",
    ),
    cfg.IntOpt(
        "spare_ports",
        default=2,
        min=0,
        max=100,
        help="Ports that are kept ready in a pod for the next servers of a project on a network of "
        "its own, once it has made a server there: the pod is then asked for the server at once. "
        "Each counts in the project's quota of ports in the pod. Raise it where projects make "
        "many servers one after the other; 0 keeps none.",
    ),
    cfg.FloatOpt(
        "spare_port_for_s",
        default=3600.0,
        min=60,
        max=31536000,
        help="Seconds after which a port that was kept ready is removed when no server has taken "
        "it; sweep_interval_s later at most. Lower it when such ports fill pods.",
    ),
]

_QUOTA_OPTS = [
    cfg.IntOpt(
        "instances",
        default=10,
        min=-1,
        help="Servers that a project may have in all pods together, where no administrator has set "
        "another limit; -1 is unlimited. Change it to have other defaults than Nova's.",
    ),
    cfg.IntOpt(
        "cores",
        default=20,
        min=-1,
        help="Virtual CPUs that the servers of a project may have, likewise.",
    ),
    cfg.IntOpt(
        "ram",
        default=50 * 1024,
        min=-1,
        help="MiB of memory that the servers of a project may have, likewise.",
    ),
]

_VOLUME_QUOTA_OPTS = [
    cfg.IntOpt(
        "volumes",
        default=10,
        min=-1,
        help="Volumes that a project may have in all pods together, where no administrator has set "
        "another limit; -1 is unlimited. Change it to have other defaults than Cinder's.",
    ),
    cfg.IntOpt(
        "gigabytes",
        default=1000,
        min=-1,
        help="GiB that the volumes and snapshots of a project may have, likewise.",
    ),
    cfg.IntOpt(
        "snapshots",
        default=10,
        min=-1,
        help="Snapshots of volumes that a project may have, likewise.",
    ),
    cfg.IntOpt(
        "backups",
        default=10,
        min=-1,
        help="Backups that a project may have, likewise.",
    ),
    cfg.IntOpt(
        "backup_gigabytes",
        default=1000,
        min=-1,
        help="GiB that the backups of a project may have, likewise.",
    ),
    cfg.IntOpt(
        "groups",
        default=10,
        min=-1,
        help="Groups of volumes that a project may have, likewise.",
    ),
    cfg.BoolOpt(
        "no_snapshot_gb_quota",
        default=False,
        help="Whether the GiB of snapshots count for nothing. Set it as the option of this name is "
        "set in the Cinders of all pods.",
    ),
]

_OPTS: Mapping[str, Sequence[cfg.Opt]] = MappingProxyType(
    {
        "DEFAULT": _CORE_OPTS,
        "database": _DATABASE_OPTS,
        "top": _TOP_OPTS,
        "api": _listen_opts(19999, "the Admin API"),
        "compute": _listen_opts(8774, "the Nova gateway"),
        "volume": _listen_opts(8776, "the Cinder gateway"),
        "gateway": _GATEWAY_OPTS,
        "xjob": _XJOB_OPTS,
        "quota": _QUOTA_OPTS,
        "volume_quota": _VOLUME_QUOTA_OPTS,
    }
)


class ConfigError(Exception):
    """The configuration cannot be used; the message names the option and what to do."""


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """[database]; ``connection`` is the URL as the operator wrote it."""

    connection: str = field(repr=False)
    max_pool_size: int
    max_overflow: int
    pool_timeout_s: float
    connection_recycle_s: float


@dataclass(frozen=True, slots=True)
class TopSettings:
    """[top]."""

    region_name: str


@dataclass(frozen=True, slots=True)
class ListenSettings:
    """[api], [compute] and [volume]; ``public_url`` has no trailing slash."""

    bind_host: str
    bind_port: int
    workers: int
    public_url: str | None


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """[gateway]."""

    list_timeout_s: float
    request_timeout_s: float
    create_timeout_s: float
    connect_timeout_s: float
    probe_deadline_s: float
    probe_interval_s: float
    partial_lists: bool
    connections_per_pod: int
    max_body_bytes: int
    max_answer_bytes: int
    max_headers: int
    max_header_bytes: int
    token_cache_s: float
    bad_token_cache_s: float
    token_cache_size: int
    token_check_threads: int
    token_check_timeout_s: float
    directory_refresh_s: float
    route_cache_size: int
    pod_ca_file: str | None
    pod_ca_files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class XjobSettings:
    """[xjob]."""

    bind_host: str
    bind_port: int
    workers: int
    concurrency: int
    concurrency_per_pod: int
    poll_interval_s: float
    lease_s: float
    job_timeout_s: float
    max_attempts: int
    longest_pause_s: float
    longest_pod_pause_s: float
    keep_ended_s: float
    measure_interval_s: float
    probe_interval_s: float
    sweep_interval_s: float
    spare_ports: int
    spare_port_for_s: float

    @property
    def listen(self) -> ListenSettings:
        """Where it answers; nothing there has links."""
        return ListenSettings(self.bind_host, self.bind_port, self.workers, None)


@dataclass(frozen=True, slots=True)
class QuotaSettings:
    """[quota]; -1 is unlimited."""

    instances: int
    cores: int
    ram: int


@dataclass(frozen=True, slots=True)
class VolumeQuotaSettings:
    """[volume_quota]; a limit of -1 is unlimited."""

    limits: Mapping[str, int]
    no_snapshot_gb_quota: bool


@dataclass(frozen=True, slots=True)
class Settings:
    """All options of one program. ``source`` is for the libraries that bring their own."""

    state_path: Path
    transport_url: str | None = field(repr=False)
    database: DatabaseSettings
    top: TopSettings
    api: ListenSettings
    compute: ListenSettings
    volume: ListenSettings
    gateway: GatewaySettings
    xjob: XjobSettings
    quota: QuotaSettings
    volume_quota: VolumeQuotaSettings
    source: cfg.ConfigOpts = field(repr=False, compare=False)


def load_settings(
    program: str, arguments: Sequence[str] = (), *, files: Sequence[str] | None = None
) -> Settings:
    """Return the settings of ``program``, e.g. ``tricircle-compute``.

    Read from the files given with --config-file in ``arguments``, or ``files``, or
    else from tricircle.conf and <program>.conf in the usual places. Raises
    ConfigError; --help and --version print and exit.
    """
    source = cfg.ConfigOpts()
    for group, options in _OPTS.items():
        source.register_opts(options, group=None if group == "DEFAULT" else group)
    oslo_log.register_options(source)
    try:
        source(
            list(arguments),
            project=PROJECT,
            prog=program,
            default_config_files=None if files is None else list(files),
        )
    except cfg.ConfigFilesNotFoundError as error:
        missing = ", ".join(error.config_files)
        raise ConfigError(f"cannot read configuration file {missing}; does it exist?") from error
    except cfg.ConfigFileParseError as error:
        # Up to the line number only: the rest quotes the line, which may hold a secret.
        place = str(error.msg).partition(",")[0].removeprefix("at ")
        raise ConfigError(f"no 'option = value' or '[group]' in {place}; correct it") from None
    return _read(source)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """Return our options by group, for oslo-config-generator."""
    return [(group, list(options)) for group, options in _OPTS.items()]


def _read(source: cfg.ConfigOpts) -> Settings:
    values = {group: _read_group(source, group) for group in _OPTS}
    state_path = Path(values["DEFAULT"]["state_path"])
    database = values["database"]
    database["connection"] = database["connection"] or f"sqlite:///{state_path}/tricircle.sqlite"
    return Settings(
        state_path=state_path,
        transport_url=values["DEFAULT"]["transport_url"] or None,
        database=DatabaseSettings(**database),
        top=TopSettings(**values["top"]),
        api=_make_listen(values["api"]),
        compute=_make_listen(values["compute"]),
        volume=_make_listen(values["volume"]),
        gateway=_make_gateway(values["gateway"]),
        xjob=XjobSettings(**values["xjob"]),
        quota=QuotaSettings(**values["quota"]),
        volume_quota=_make_volume_quota(values["volume_quota"]),
        source=source,
    )


def _read_group(source: cfg.ConfigOpts, group: str) -> dict[str, Any]:
    """Return the values of a group by option. Raises ConfigError naming the first bad one."""
    values = {}
    for option in _OPTS[group]:
        try:
            values[option.dest] = (source if group == "DEFAULT" else source[group])[option.dest]
        except cfg.ConfigFileValueError as error:
            reason = str(error).split(" is not valid: ", 1)[-1]
            raise ConfigError(
                f"option {option.name} in group [{group}]: {reason}; correct it, "
                "docs/reference/configuration.md says what is allowed"
            ) from error
    return values


def _make_listen(values: dict[str, Any]) -> ListenSettings:
    public_url = values["public_url"]
    return ListenSettings(**{**values, "public_url": public_url and public_url.rstrip("/")})


def _make_volume_quota(values: dict[str, Any]) -> VolumeQuotaSettings:
    counts_none = values.pop("no_snapshot_gb_quota")
    return VolumeQuotaSettings(MappingProxyType(values), counts_none)


def _make_gateway(values: dict[str, Any]) -> GatewaySettings:
    files = {"pod_ca_file": values["pod_ca_file"]}
    files |= {f"pod_ca_files ({pod})": file for pod, file in values["pod_ca_files"].items()}
    for option, file in files.items():
        if file and not Path(file).is_file():
            raise ConfigError(
                f"option {option} in group [gateway]: there is no file '{file}'; "
                "give the path of a PEM file this program may read"
            )
    if values["probe_interval_s"] * 10 < values["probe_deadline_s"]:
        raise ConfigError(
            "option probe_interval_s in group [gateway] is less than a tenth of "
            "probe_deadline_s, probes would pile up; raise the former or lower the latter"
        )
    return GatewaySettings(
        **{**values, "pod_ca_files": MappingProxyType(dict(values["pod_ca_files"]))}
    )

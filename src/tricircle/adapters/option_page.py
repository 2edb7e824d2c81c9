"""The page docs/reference/configuration.md, made from the options themselves.

``python -m tricircle.adapters.option_page FILE`` writes it; without FILE it is printed.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from oslo_config import cfg

from tricircle.adapters.config import list_opts

_INTRODUCTION = """\
# Configuration

Every option of Tricircle's programs. This page is written by
`python -m tricircle.adapters.option_page` from `src/tricircle/adapters/config.py`; the tests
fail when it is not current. A file with everything in it, to start from, is
`etc/tricircle.conf.sample`.

Each program reads `tricircle.conf` and then `<program>.conf` (`tricircle-compute.conf`, …) from
`~/.tricircle`, `~`, `/etc/tricircle` and `/etc`, or only the files given with `--config-file`. An
option can also come from the environment: `OS_GATEWAY__LIST_TIMEOUT_S=30`. All are read once,
when the program starts; a value that cannot be used ends it with a message that names the
option, its group and what to do.

A name that ends in `_s` is in seconds, one in `_bytes` in bytes.

## Groups of libraries

Five groups belong to libraries and mean here what they mean in Nova, Cinder and Neutron.

`[DEFAULT]` also holds the
[options of oslo.log](https://docs.openstack.org/oslo.log/latest/configuration/index.html): `debug`,
`log_file`, `log_dir`, `use_json`, `default_log_levels` and more.

`[keystone_authtoken]` says how tokens are checked, with the
[options of keystonemiddleware](https://docs.openstack.org/keystonemiddleware/latest/middlewarearchitecture.html).
Required: `auth_type` and the credential of a service user, and `www_authenticate_uri`, which
clients are shown. Recommended: `memcached_servers`, shared by all programs. `service_type` is set
by each program itself. What the options mean for caching is told in
[authentication](../explanation/authentication.md).

`[service_credential]` is what Tricircle itself acts with in the pods, with the
[options of keystoneauth](https://docs.openstack.org/keystoneauth/latest/plugin-options.html). Its
user needs the roles `admin` and `service` in its project. It is never used for what a user's
own token can do.

`[oslo_messaging_rabbit]` tunes the message bus, if `transport_url` is set, with the
[options of oslo.messaging](https://docs.openstack.org/oslo.messaging/latest/configuration/opts.html):
TLS, heartbeats, pauses between attempts. Only `rabbit_quorum_queue` has another default here, true.

`[oslo_policy]` says who may use the Admin API, with the
[options of oslo.policy](https://docs.openstack.org/oslo.policy/latest/configuration/index.html).

    [keystone_authtoken]
    www_authenticate_uri = https://identity.example.org/v3
    memcached_servers = 192.0.2.10:11211
    auth_type = password
    auth_url = https://identity.example.org/v3
    username = tricircle
    password = …
    project_name = service
    user_domain_name = Default
    project_domain_name = Default

    [service_credential]
    auth_type = password
    auth_url = https://identity.example.org/v3
    username = tricircle
    password = …
    project_name = service
    user_domain_name = Default
    project_domain_name = Default
"""


def write_page() -> str:
    """Return the page in Markdown."""
    return _INTRODUCTION + "".join(_write_group(group, options) for group, options in list_opts())


def _write_group(group: str, options: Sequence[cfg.Opt]) -> str:
    lines = [f"\n## [{group}]\n"]
    for option in options:
        text = textwrap.fill(option.help or "", 100, break_long_words=False, break_on_hyphens=False)
        lines.append(f"\n**`{option.name}`** ({', '.join(_describe(option))})<br>\n{text}\n")
    return "".join(lines)


def _describe(option: cfg.Opt) -> Iterator[str]:
    """Yield what may be written: the type, its bounds, the default."""
    yield _KINDS.get(type(option), "text")
    low, high = getattr(option.type, "min", None), getattr(option.type, "max", None)
    if low is not None and not isinstance(option, cfg.PortOpt):
        yield f"at least {low:g}" if high is None else f"{low:g} to {high:g}"
    yield "no default" if option.default in (None, {}) else f"default `{_show(option.default)}`"


def _show(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


_KINDS: dict[type[cfg.Opt], str] = {
    cfg.BoolOpt: "true or false",
    cfg.DictOpt: "pairs",
    cfg.FloatOpt: "number",
    cfg.HostAddressOpt: "address",
    cfg.IntOpt: "whole number",
    cfg.PortOpt: "port",
    cfg.URIOpt: "URL",
}


def main(arguments: Sequence[str]) -> None:
    """Write the page to the file named, or print it."""
    if arguments:
        Path(arguments[0]).write_text(write_page())
        return
    sys.stdout.write(write_page())


if __name__ == "__main__":
    main(sys.argv[1:])

"""Prints what Nova or Cinder, as they are installed, check their API with, as JSON.

Runs inside a pod's own virtualenv, see docs/howto/write-an-api-test.md. The tests read what it
printed, from tests/data/schemas, so they need no Nova and no Cinder.
"""

import inspect
import json
import re
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.metadata import version
from pkgutil import iter_modules
from typing import Any

Json = dict[str, Any]
Method = Callable[..., Any]


class Schemas:
    """The schemas of a service that its operations name, each under its name in its module."""

    def __init__(self, package: str) -> None:
        self.named: Json = {}
        self._names: dict[int, str] = {}
        for module in iter_modules(import_module(package).__path__):
            for name, value in vars(import_module(f"{package}.{module.name}")).items():
                if isinstance(value, dict):
                    self._names.setdefault(id(value), f"{module.name}.{name}")

    def ranged(self, schema: Json, first: Any, last: Any) -> Json:
        """Return the name of a schema and the microversions that it is for, None for no bound."""
        name = self._names.get(id(schema)) or f"unnamed.{len(self.named)}"
        self.named[name] = schema
        return {"schema": name, "from": _text(first), "to": _text(last)}


def _text(bound: Any) -> str | None:
    if isinstance(bound, str | None):
        return bound
    return None if bound.is_null() else str(bound.get_string())


def read_nova() -> tuple[Schemas, list[Json]]:
    """Return Nova's schemas, and its operations with what each checks and answers."""
    schemas = Schemas("nova.api.openstack.compute.schemas")
    operations = []
    for path, methods in import_module("nova.api.openstack.compute.routes").ROUTE_LIST:
        if isinstance(methods, str):
            continue
        for method, (factory, name) in methods.items():
            controllers = (factory.args[0], *factory.args[1])
            for action, function in _nova_methods(controllers, name):
                named = {"method": method, "path": path, "action": action}
                operations.append(named | _nova_checks(schemas, function))
    return schemas, operations


def _nova_methods(controllers: tuple[type, ...], name: str) -> Iterator[tuple[str | None, Method]]:
    if name != "action":
        yield None, getattr(controllers[0], name)
        return
    for controller in controllers:
        for action, method in controller.wsgi_actions.items():  # type: ignore[attr-defined]
            yield action, getattr(controller, method)


def _nova_checks(schemas: Schemas, function: Method) -> Json:
    def kept_by(decorator: str) -> list[Json]:
        kept = getattr(function, decorator, None)
        return [schemas.ranged(*one) for one in kept._schemas] if kept else []

    codes = getattr(function, "wsgi_codes", None)
    return {
        "request": kept_by("request_body_schemas"),
        "query": kept_by("request_query_schemas"),
        "response": kept_by("response_body_schemas"),
        "statuses": [
            {"status": status, "from": first, "to": last}
            for status, first, last in (codes._codes if codes else [])
        ],
    }


def read_cinder(configuration: str) -> tuple[Schemas, list[Json]]:
    """Return Cinder's schemas, which it has of requests alone, and its operations.

    Its routes are known when its controllers are made, which want a database to be there.
    """
    import_module("cinder.objects").register_all()
    config = import_module("oslo_config.cfg").CONF
    router = import_module("cinder.api.v3.router").APIRouter
    import_module("cinder.common.config")
    config(["--config-file", configuration], project="cinder")
    import_module("cinder.rpc").init(config)
    schemas = Schemas("cinder.api.schemas")
    operations = []
    for route in router().map.matchlist:
        path = _cinder_path(route.routepath)
        if path is None or not route.conditions:
            continue
        for method in route.conditions["method"]:
            for action, functions in _cinder_methods(route.defaults):
                ranged = [one for each in functions for one in _cinder_checks(schemas, each)]
                named = {"method": method, "path": path, "action": action}
                operations.append(named | {"request": ranged})
    return schemas, operations


def _cinder_path(path: str) -> str | None:
    """Return the path of a route as its documents write it; None for one with project or format."""
    if path.startswith("/{project_id") or "format" in path:
        return None
    return re.sub(r":\(?(\w+)\)?", r"{\1}", path)


def _cinder_methods(defaults: Json) -> Iterator[tuple[str | None, list[Method]]]:
    resource, name = defaults["controller"], defaults["action"]
    if name == "action" and resource.wsgi_actions:
        for action, method in resource.wsgi_actions.items():
            yield action, _versions_of(method)
    elif method := getattr(resource.controller, name, resource.wsgi_actions.get(name)):
        yield None, _versions_of(method)


def _versions_of(method: Method) -> list[Method]:
    """Return the methods of which one is chosen by the microversion of the request."""
    if method.__name__ != "version_select":
        return [method.__func__]  # type: ignore[attr-defined]
    chosen_from = inspect.getclosurevars(method).nonlocals
    return [each.func for each in chosen_from["self"].versioned_methods[chosen_from["key"]]]


def _cinder_checks(schemas: Schemas, function: Method) -> Iterator[Json]:
    """Yield what the decorators of a method check, which they have in their closures alone."""
    inner: Method | None = function
    while inner is not None:
        kept = inspect.getclosurevars(inner).nonlocals
        if "request_body_schema" in kept:
            yield schemas.ranged(
                kept["request_body_schema"], kept["min_version"], kept["max_version"]
            )
        inner = getattr(inner, "__wrapped__", None)


def main(service: str, *arguments: str) -> None:
    """Print source, licence, schemas and operations of a service, one a line."""
    readers: dict[str, Callable[..., tuple[Schemas, list[Json]]]] = {
        "nova": read_nova,
        "cinder": read_cinder,
    }
    schemas, operations = readers[service](*arguments)
    kept = [{key: value for key, value in one.items() if value} for one in operations]
    print(f'{{"source": "{service} {version(service)}", "license": "Apache-2.0",')
    print('"operations": [', ",\n".join(map(_line, kept)), '], "schemas": {', sep="\n")
    lines = (f"{_line(name)}: {_line(value)}" for name, value in sorted(schemas.named.items()))
    print(",\n".join(lines), "}}", sep="\n")


def _line(value: object) -> str:
    return json.dumps(_ordered(value), sort_keys=True, separators=(",", ":"))


def _ordered(value: Any) -> Any:
    """Return a schema with the values of each ``enum`` in order; Nova has some of them in sets."""
    if isinstance(value, dict):
        return {
            key: sorted(inner, key=repr) if key == "enum" else _ordered(inner)
            for key, inner in value.items()
        }
    return [_ordered(inner) for inner in value] if isinstance(value, list) else value


if __name__ == "__main__":
    main(*sys.argv[1:])

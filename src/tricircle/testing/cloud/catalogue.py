"""The service catalogue: regions, services and endpoints.

URLs are templates: `{root}` is the address the asking client used, so that a
catalogue is right on whatever port the simulation is served, and
`$(project_id)s` is the project of the token, as in Keystone.
"""

from dataclasses import dataclass

from tricircle.testing.cloud.http import Document
from tricircle.testing.cloud.sources import Ids

SERVICE_NAMES = {
    "identity": "keystone",
    "compute": "nova",
    "volumev3": "cinderv3",
    "network": "neutron",
    "image": "glance",
    "placement": "placement",
}


@dataclass(slots=True)
class Endpoint:
    """One URL of a service in a region."""

    id: str
    service_type: str
    region: str
    interface: str
    url: str

    def url_for(self, root: str, project_id: str | None) -> str:
        """Return the URL with its templates filled in."""
        url = self.url.replace("{root}", root)
        return url.replace("$(project_id)s", project_id or "")


class Catalogue:
    """Regions and endpoints, as an administrator entered them."""

    def __init__(self, ids: Ids, interfaces: tuple[str, ...]) -> None:
        self._ids = ids
        self._interfaces = interfaces
        self._cache: dict[tuple[str, str | None], list[Document]] = {}
        self.endpoints: dict[tuple[str, str, str], Endpoint] = {}
        self.regions: list[str] = []
        self.service_ids: dict[str, str] = {}

    def set_endpoint(self, region: str, service_type: str, url: str) -> None:
        """Give a service of a region this URL, for all interfaces."""
        if region not in self.regions:
            self.regions.append(region)
        if service_type not in self.service_ids:
            self.service_ids[service_type] = self._ids().replace("-", "")
        for interface in self._interfaces:
            key = (region, service_type, interface)
            known = self.endpoints.get(key)
            endpoint_id = known.id if known else self._ids().replace("-", "")
            self.endpoints[key] = Endpoint(endpoint_id, service_type, region, interface, url)
        self._cache.clear()

    def remove_endpoint(self, region: str, service_type: str) -> None:
        """Remove a service from a region."""
        for interface in self._interfaces:
            self.endpoints.pop((region, service_type, interface), None)
        self._cache.clear()

    def remove_region(self, region: str) -> None:
        """Remove a region with all its endpoints."""
        for key in [key for key in self.endpoints if key[0] == region]:
            del self.endpoints[key]
        if region in self.regions:
            self.regions.remove(region)
        self._cache.clear()

    def find_url(self, region: str, service_type: str, root: str) -> str | None:
        """Return the public URL of a service without a project."""
        found = self.endpoints.get((region, service_type, "public"))
        return found.url_for(root, None).rstrip("/") if found else None

    def view(self, root: str, project_id: str | None) -> list[Document]:
        """Return the catalogue as it stands in a token."""
        key = (root, project_id)
        if key not in self._cache:
            if len(self._cache) > 100:
                self._cache.clear()
            self._cache[key] = self._build(root, project_id)
        return self._cache[key]

    def _build(self, root: str, project_id: str | None) -> list[Document]:
        services: dict[str, Document] = {
            kind: {
                "endpoints": [],
                "id": service_id,
                "type": kind,
                "name": SERVICE_NAMES.get(kind, kind),
            }
            for kind, service_id in self.service_ids.items()
        }
        for endpoint in self.endpoints.values():
            services[endpoint.service_type]["endpoints"].append(
                {
                    "id": endpoint.id,
                    "interface": endpoint.interface,
                    "region_id": endpoint.region,
                    "url": endpoint.url_for(root, project_id),
                    "region": endpoint.region,
                }
            )
        return list(services.values())

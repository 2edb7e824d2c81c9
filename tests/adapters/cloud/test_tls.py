"""A pod with TLS is talked to only when its certificate is one we trust."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tricircle.adapters.cloud.health import Rhythm
from tricircle.adapters.cloud.http import HttpCloud, PodTrust
from tricircle.core.errors import PodDead
from tricircle.core.model import Endpoint, Pod, Service
from tricircle.interfaces.cloud import PodRequest
from tricircle.testing.raw_pod import OK, POD


@dataclass(frozen=True)
class Certificate:
    """A certificate that signed itself, and its key, as files."""

    certificate: Path
    key: Path


def make_certificate(folder: Path, name: str, address: str = "127.0.0.1") -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), False
        )
        .sign(key, hashes.SHA256())
    )
    files = Certificate(folder / f"{name}.pem", folder / f"{name}.key")
    files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files


@asynccontextmanager
async def open_pod(certificate: Certificate) -> AsyncIterator[Pod]:
    """Serve a pod with this certificate."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await writer.drain()
        writer.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        endpoint = Endpoint(Service.COMPUTE, f"https://127.0.0.1:{port}/v2.1")
        yield Pod(POD, "west", "RegionWest", endpoints={Service.COMPUTE: endpoint})


async def ask(pod: Pod, trust: PodTrust) -> bytes:
    cloud = HttpCloud(Service.COMPUTE, Rhythm(), trust=trust)
    cloud.update_pods([pod])
    try:
        request = PodRequest("GET", "/", headers=[(b"x-auth-token", b"secret")])
        async with cloud.send(pod.id, pod.endpoints[Service.COMPUTE], request, 5) as answer:
            return await answer.read()
    finally:
        await cloud.close()


async def test_a_pod_signed_by_the_configured_authority_is_trusted(tmp_path: Path) -> None:
    ours = make_certificate(tmp_path, "ours")
    async with open_pod(ours) as pod:
        assert await ask(pod, PodTrust(str(ours.certificate))) == b"ok"


async def test_the_file_for_a_region_replaces_the_one_for_all(tmp_path: Path) -> None:
    ours, others = make_certificate(tmp_path, "ours"), make_certificate(tmp_path, "others")
    only_west = {"RegionWest": str(ours.certificate)}
    only_east = {"RegionEast": str(ours.certificate)}
    async with open_pod(ours) as pod:
        assert await ask(pod, PodTrust(str(others.certificate), only_west)) == b"ok"
        with pytest.raises(PodDead):
            await ask(pod, PodTrust(str(others.certificate), only_east))


@pytest.mark.parametrize("known", [True, False])
async def test_a_pod_nobody_vouches_for_gets_no_request(tmp_path: Path, known: bool) -> None:
    theirs, ours = make_certificate(tmp_path, "theirs"), make_certificate(tmp_path, "ours")
    trust = PodTrust(str(ours.certificate)) if known else PodTrust()
    async with open_pod(theirs) as pod:
        with pytest.raises(PodDead, match="certificate"):
            await ask(pod, trust)


async def test_a_certificate_for_another_host_is_not_enough(tmp_path: Path) -> None:
    theirs = make_certificate(tmp_path, "theirs", "127.0.0.9")
    async with open_pod(theirs) as pod:
        with pytest.raises(PodDead, match="certificate"):
            await ask(pod, PodTrust(str(theirs.certificate)))

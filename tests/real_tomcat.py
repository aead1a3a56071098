"""A real Tomcat on loopback: Debian's tomcat10 with a CATALINA_BASE of its own, every access-log valve at once.

All requests are worked on by one thread, one after the other, so that each log has them in the order they were sent.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import socket
import subprocess
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import quoteattr

import pytest

HOME = Path("/usr/share/tomcat10")
MANAGER = Path("/usr/share/tomcat10-admin/manager")
USER, PASSWORD = "operator", "s3cret"

CUSTOM = (
    '%{remote}a %h %l %u %t "%r" "%m" "%U" "%q" "%H" %s %b %B %D %F %I %p %{remote}p %S %T %X '
    '"%{X-Forwarded-For}i" "%{Forwarded}i" "%{X-Real-IP}i" "%{org.apache.catalina.AccessLog.RemoteAddr}r" '
    '"%{User-Agent}i" "%{Referer}i" "%{Content-Type}o" "%{JSESSIONID}c" "%{yyyy-MM-dd HH:mm:ss.SSS Z}t" %{c}L'
)
FIELDS = (
    "date time time-taken-us c-ip s-ip s-dns cs-method cs-uri-stem cs-uri-query sc-status bytes x-threadname "
    "x-H(remoteUser) x-H(protocol) x-H(authType) x-H(secure) x-H(connectionId) cs(User-Agent) cs(Referer) "
    "cs(X-Forwarded-For) sc(Content-Type) x-C(JSESSIONID) x-O(Set-Cookie) x-R(org.apache.catalina.AccessLog.RemoteAddr) "
    "x-S(none) sr-x cached"
)
VALVES = {
    "common": ("AccessLogValve", "common"),
    "combined": ("AccessLogValve", "combined"),
    "custom": ("AccessLogValve", CUSTOM),
    "extended": ("ExtendedAccessLogValve", FIELDS),
    "json": ("JsonAccessLogValve", CUSTOM),
}
"""Prefix of each log, the valve that writes it, and its pattern."""

_SERVER = """<Server port="-1"><Service name="Catalina">
<Executor name="one" maxThreads="1" minSpareThreads="1"/>
{connectors}
<Engine name="Catalina" defaultHost="localhost">
<Realm className="org.apache.catalina.realm.MemoryRealm" pathname="conf/tomcat-users.xml"/>
<Host name="localhost" appBase="webapps" autoDeploy="false">
<Valve className="org.apache.catalina.valves.RemoteIpValve"/>
{valves}
</Host></Engine></Service></Server>
"""
_CONNECTOR = """<Connector executor="one" port="{port}" address="{address}" connectionTimeout="5000"
 relaxedQueryChars='"\\^|{{}}'/>"""


_WEB = """<web-app xmlns="https://jakarta.ee/xml/ns/jakartaee" version="6.0">
<servlet><servlet-name>default</servlet-name>
<servlet-class>org.apache.catalina.servlets.DefaultServlet</servlet-class></servlet>
<servlet-mapping><servlet-name>default</servlet-name><url-pattern>/</url-pattern></servlet-mapping>
<welcome-file-list><welcome-file>index.html</welcome-file></welcome-file-list>
</web-app>
"""


def missing() -> str:
    """Return what is not here that a real Tomcat needs; nothing if all is."""
    if shutil.which("java") is None:
        return "there is no java"
    return "" if (HOME / "bin" / "bootstrap.jar").is_file() and MANAGER.is_dir() else "Debian's tomcat10 is not here"


@dataclass(frozen=True)
class Answer:
    """What came back: the status that the answer names and the bytes of its body; None for both if nothing came."""

    status: int | None
    size: int | None
    body: bytes


@dataclass(frozen=True)
class Tomcat:
    """A running server: where it listens by address, and where its logs will be complete once it has stopped."""

    ports: dict[str, int]
    logs: Path

    def send(self, raw: bytes, address: str = "127.0.0.1") -> Answer:
        """Send bytes over a connection of their own, read to the end."""
        with socket.create_connection((address, self.ports[address]), timeout=20) as connection:
            connection.sendall(raw)
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
            received = b""
            with contextlib.suppress(ConnectionResetError):
                while more := connection.recv(1 << 16):
                    received += more
        head, blank, body = received.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 "):
            # HTTP/0.9 has a body and nothing else.
            return Answer(None, len(received) or None, received)
        return Answer(int(head[9:12]), len(body) if blank else None, body)

    def log(self, prefix: str) -> Path:
        """Return the one log of that prefix."""
        (path,) = self.logs.glob(f"{prefix}.*")
        return path


def war() -> bytes:
    """Return a web application of one page."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("index.html", "<p>synthetic</p>")
        archive.writestr("WEB-INF/web.xml", '<web-app xmlns="https://jakarta.ee/xml/ns/jakartaee" version="6.0"/>')
    return packed.getvalue()


@contextlib.contextmanager
def running(base: Path) -> Iterator[Tomcat]:
    """Run a Tomcat while the block runs; its logs are flushed and closed when it is left."""
    ports = {address: _free_port(address) for address in ("127.0.0.1", "::1") if _has(address)}
    _write_base(base, ports)
    classes = f"{HOME}/bin/bootstrap.jar:{HOME}/bin/tomcat-juli.jar"
    command = ["java", "-XX:TieredStopAtLevel=1", "-Xmx128m", "-cp", classes, f"-Dcatalina.home={HOME}"]
    command += [
        f"-Dcatalina.base={base}",
        f"-Djava.io.tmpdir={base}/temp",
        "org.apache.catalina.startup.Bootstrap",
        "start",
    ]
    with (base / "out.txt").open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
        try:
            for address, port in ports.items():
                _wait(process, address, port, base / "out.txt")
            yield Tomcat(ports, base / "logs")
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def _write_base(base: Path, ports: dict[str, int]) -> None:
    for name in ("conf", "logs", "temp", "webapps", "work"):
        (base / name).mkdir(parents=True)
    (base / "webapps" / "ROOT").mkdir()
    (base / "webapps" / "ROOT" / "index.html").write_text("<p>synthetic root</p>")
    places = base / "conf" / "Catalina" / "localhost"
    places.mkdir(parents=True)
    (places / "manager.xml").write_text(f'<Context docBase="{MANAGER}" privileged="true"/>')
    (base / "conf" / "web.xml").write_text(_WEB)
    users = f'<tomcat-users><role rolename="manager-script"/><user username="{USER}" password="{PASSWORD}" roles="manager-script"/></tomcat-users>'
    (base / "conf" / "tomcat-users.xml").write_text(users)
    valves = "\n".join(
        f'<Valve className="org.apache.catalina.valves.{kind}" directory="logs" prefix="{name}" suffix=".log" '
        f"pattern={quoteattr(pattern)}/>"
        for name, (kind, pattern) in VALVES.items()
    )
    connectors = "\n".join(_CONNECTOR.format(port=port, address=address) for address, port in ports.items())
    (base / "conf" / "server.xml").write_text(_SERVER.format(connectors=connectors, valves=valves))


def _has(address: str) -> bool:
    try:
        _free_port(address)
    except OSError:
        return False
    return True


def _free_port(address: str) -> int:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def _wait(process: subprocess.Popen[bytes], address: str, port: int, out: Path) -> None:
    """Wait until a connector answers; a Tomcat that cannot start is a failure that shows what it said."""
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection((address, port), timeout=1):
            return
        time.sleep(0.05)
    pytest.fail(f"Tomcat did not start: {out.read_text('utf-8', 'replace')[-2000:]}")

"""A real schema registry (Apicurio, with Confluent's API) on loopback, schemas in memory."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from processor.local import downloads
from processor.local.java import Java, find_java
from processor.local.ports import LOOPBACK, free_port
from processor.local.process import Process
from processor.local.server import Server

API = "/apis/ccompat/v7"
RUNNER = f"apicurio-registry-app-{downloads.REGISTRY_VERSION}-runner.jar"


@dataclass(frozen=True, slots=True)
class RegistryFiles:
    """What a registry is started from.

    Attributes:
        archive: class archive, `None` without one.
    """

    java: Java
    runner: Path
    archive: Path | None


def install(
    cache: Path | None = None,
    progress: downloads.Progress = downloads.silent,
    environ: Mapping[str, str] = os.environ,
) -> RegistryFiles:
    """The registry's files in the cache, fetched and prepared at first use.

    Raises:
        Misconfigured: Java or Maven is missing, or Maven could not fetch it.
    """
    cache = cache or downloads.cache_directory(environ)
    java = find_java(environ)
    runner = downloads.registry_jars(cache, progress, environ) / RUNNER

    def train(directory: Path) -> None:
        progress("Preparing the schema registry to start faster (once).")
        registry = Registry(RegistryFiles(java, runner, None), directory / "run")
        registry.java_options += (f"-XX:ArchiveClassesAtExit={directory / 'classes.jsa'}",)
        with registry:
            registry.stop()

    trained = downloads.once(cache, java.archive_name("apicurio-classes", str(runner)), train)
    archive = trained / "classes.jsa"
    return RegistryFiles(java, runner, archive if archive.is_file() else None)


class Registry(Server):
    """A registry that forgets its schemas when its process ends.

    Attributes:
        url: base of Confluent's API, as clients want it.
        java_options: flags of the Java runtime, changeable before a start.
    """

    name = "The schema registry"

    def __init__(self, files: RegistryFiles, directory: Path, *, heap_mb: int = 256) -> None:
        """Choose a port; nothing runs before :meth:`start`.

        Args:
            files: as :func:`install` gives them.
            directory: holds the log; made when missing.
            heap_mb: size of the Java heap in MiB.
        """
        self.port = free_port()
        self.log = directory / "registry.log"
        self.java_options: tuple[str, ...] = (
            f"-Xmx{heap_mb}m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
        )
        self._files = files
        directory.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        """Base of Confluent's API."""
        return f"http://{LOOPBACK}:{self.port}{API}"

    def _launch(self) -> Process:
        options = list(self.java_options)
        if self._files.archive is not None:
            options += [f"-XX:SharedArchiveFile={self._files.archive}", "-Xlog:cds=off"]
        command = [
            str(self._files.java.program),
            *options,
            f"-Dquarkus.http.port={self.port}",
            f"-Dquarkus.http.host={LOOPBACK}",
            "-jar",
            str(self._files.runner),
        ]
        return Process(self.name, command, log=self.log)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/subjects", timeout=2.0, trust_env=False).is_success
        except httpx.TransportError:
            return False

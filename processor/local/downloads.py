"""Fetches the broker and the schema registry with Maven, once, into a cache that many may share."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from processor.errors import Misconfigured
from processor.local.java import INSTALL, find_program

KAFKA_VERSION = "4.1.0"
SLF4J_VERSION = "1.7.36"
REGISTRY_VERSION = "2.6.13.Final"
REGISTRY_SHA256 = "3cda1b34aa020fb4ac4dd6a66018d757e81e437f97e20a1f92d366b70091c6ba"
"""Of the registry's archive, computed from the download of November 2026."""
DEPENDENCY_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"
MAVEN_TIMEOUT_S = 900

Progress = Callable[[str], None]
"""Takes one sentence about what goes on."""

POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>processor.local</groupId>
  <artifactId>broker</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>{kafka}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka-tools</artifactId>
      <version>{kafka}</version>
      <exclusions>
        <exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion>
      </exclusions>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId>
      <artifactId>slf4j-reload4j</artifactId>
      <version>{slf4j}</version>
    </dependency>
  </dependencies>
</project>
"""


def silent(_: str) -> None:
    """Progress that nobody reads."""


def cache_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """``PROCESSOR_CACHE``, else ``.cache`` in a checkout, else a directory in the user's cache."""
    if given := environ.get("PROCESSOR_CACHE"):
        return Path(given).absolute()
    checkout = Path(__file__).parents[2]
    if (checkout / "pyproject.toml").is_file():
        return checkout / ".cache"
    user = environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(user) / "capillary-aep-processor"


def kafka_jars(
    cache: Path, progress: Progress = silent, environ: Mapping[str, str] = os.environ
) -> Path:
    """The jars of the broker and of Kafka's command-line tools, fetched at first use.

    Raises:
        Misconfigured: Maven is not installed, or could not fetch them.
    """

    def fetch(directory: Path) -> None:
        progress(f"Fetching Apache Kafka {KAFKA_VERSION} with Maven (43 MB, once).")
        pom = POM.format(kafka=KAFKA_VERSION, slf4j=SLF4J_VERSION)
        copy_dependencies(pom, directory, environ)

    return once(cache, f"kafka-{KAFKA_VERSION}-with-tools", fetch) / "libs"


def registry_jars(
    cache: Path, progress: Progress = silent, environ: Mapping[str, str] = os.environ
) -> Path:
    """The directory of the unpacked schema registry, fetched at first use.

    Raises:
        Misconfigured: Maven is not installed, could not fetch it, or fetched something else.
    """

    def fetch(directory: Path) -> None:
        progress(f"Fetching Apicurio Registry {REGISTRY_VERSION} with Maven (142 MB, once).")
        coordinates = f"io.apicurio:apicurio-registry-app:{REGISTRY_VERSION}:tar.gz:all"
        goal = f"{DEPENDENCY_PLUGIN}:copy"
        target = f"-DoutputDirectory={directory}"
        _maven([goal, f"-Dartifact={coordinates}", target], directory=directory, environ=environ)
        archive = directory / f"apicurio-registry-app-{REGISTRY_VERSION}-all.tar.gz"
        with archive.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        if digest != REGISTRY_SHA256:
            raise Misconfigured(
                f"The download of Apicurio Registry {REGISTRY_VERSION} has the SHA-256 {digest}, "
                f"not {REGISTRY_SHA256}, so it is not used.",
                mend="Find out which repository Maven fetched it from.",
            )
        _unpack(archive, directory / "app")
        archive.unlink()

    return once(cache, f"apicurio-{REGISTRY_VERSION}", fetch) / "app"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file, waiting while another process holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def once(cache: Path, name: str, fill: Callable[[Path], None]) -> Path:
    """The cache's directory of this name, filled by `fill` unless it was before.

    A directory appears whole, by a rename, so a download that was cut short leaves nothing that a
    later run would believe in.
    """
    complete = cache / name
    if complete.is_dir():
        return complete
    with locked(cache / f"{name}.lock"):
        if not complete.is_dir():
            partial = cache / f"{name}.partial"
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            fill(partial)
            partial.rename(complete)
    return complete


def copy_dependencies(pom: str, directory: Path, environ: Mapping[str, str] = os.environ) -> None:
    """Fetch what a POM needs at run time into the directory's folder ``libs``.

    Raises:
        Misconfigured: Maven is not installed, or could not fetch it.
    """
    (directory / "pom.xml").write_text(pom)
    goal = f"{DEPENDENCY_PLUGIN}:copy-dependencies"
    libs = f"-DoutputDirectory={directory / 'libs'}"
    _maven([goal, "-DincludeScope=runtime", libs], directory=directory, environ=environ)


def _maven(arguments: Sequence[str], *, directory: Path, environ: Mapping[str, str]) -> None:
    program = find_program("mvn", environ, home="MAVEN_HOME")
    if program is None:
        raise Misconfigured("Maven is not installed.", mend=INSTALL)
    # -C: a download whose checksum does not match fails instead of warning.
    command = [str(program), "-B", "-q", "-C", "-ntp", *arguments]
    try:
        answer = subprocess.run(
            command,
            cwd=directory,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=MAVEN_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired as error:
        raise Misconfigured(
            f"Maven did not finish within {MAVEN_TIMEOUT_S} s.",
            mend="Check that its repository can be reached.",
        ) from error
    if answer.returncode != 0:
        tail = "\n".join(answer.stdout.strip().splitlines()[-12:])
        raise Misconfigured(
            f"Maven ended with status {answer.returncode}:\n{tail}\n",
            mend="Check that its repository can be reached.",
        )


def _unpack(archive: Path, directory: Path) -> None:
    with tarfile.open(archive) as content:
        # Python 3.11.0 to 3.11.3 have no filters; the digest was checked before.
        if hasattr(tarfile, "data_filter"):
            content.extraction_filter = tarfile.data_filter
        content.extractall(directory)  # noqa: S202 - see above

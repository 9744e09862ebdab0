"""Finds a Java runtime, and names the class archives that halve the start of its programs."""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from processor.errors import Misconfigured

JAVA_MINIMUM = 17
"""Kafka 4's brokers need it."""
INSTALL = "Install a Java 17 runtime and Maven (Debian and Ubuntu: openjdk-17-jre-headless, maven)."
VERSION_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class Java:
    """A Java runtime.

    Attributes:
        program: the ``java`` command.
        build: what it says of its own version; changes with every build.
    """

    program: Path
    build: str

    def archive_name(self, program: str, classpath: str) -> str:
        """The name of a class archive, which serves one build and one class path only."""
        digest = hashlib.sha256(f"{self.build}\n{classpath}".encode()).hexdigest()
        return f"{program}-{digest[:12]}"


def find_java(environ: Mapping[str, str] = os.environ) -> Java:
    """The runtime of ``JAVA_HOME``, else the ``java`` of the path.

    Raises:
        Misconfigured: there is none, or it is too old.
    """
    program = find_program("java", environ, home="JAVA_HOME")
    if program is None:
        raise Misconfigured("Java is not installed.", mend=INSTALL)
    answer = subprocess.run(
        [program, "-version"],
        capture_output=True,
        text=True,
        check=False,
        timeout=VERSION_TIMEOUT_S,
    )
    build = answer.stderr.strip()
    found = re.search(r'version "(\d+)', build)
    if found is None or int(found[1]) < JAVA_MINIMUM:
        said = build.splitlines()[0] if build else f"exit status {answer.returncode}"
        raise Misconfigured(f"{program} is no Java {JAVA_MINIMUM} or later ({said}).", mend=INSTALL)
    return Java(program, build)


def find_program(name: str, environ: Mapping[str, str], *, home: str) -> Path | None:
    """A program in ``bin`` of the directory that the variable `home` names, else on the path."""
    if directory := environ.get(home):
        candidate = Path(directory) / "bin" / name
        if os.access(candidate, os.X_OK):
            return candidate
    found = shutil.which(name, path=environ.get("PATH", os.defpath))
    return Path(found) if found else None

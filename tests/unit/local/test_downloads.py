import threading
from pathlib import Path

import pytest

from processor.errors import Misconfigured
from processor.local import downloads
from processor.local.java import find_java


def program(directory: Path, name: str, script: str) -> dict[str, str]:
    """An environment whose path holds just this program."""
    directory.mkdir(exist_ok=True)
    path = directory / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return {"PATH": str(directory)}


def test_the_cache_stands_where_the_variable_says(tmp_path: Path) -> None:
    assert downloads.cache_directory({"PROCESSOR_CACHE": str(tmp_path)}) == tmp_path


def test_a_checkout_has_its_own_cache() -> None:
    assert downloads.cache_directory({}).name == ".cache"


def test_without_java_one_sentence_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"Java is not installed\. Install a Java 17"):
        find_java({"PATH": str(tmp_path)})


def test_a_java_that_is_too_old_is_named(tmp_path: Path) -> None:
    environ = program(tmp_path, "java", """echo 'openjdk version "11.0.2" 2019-01-15' >&2""")

    with pytest.raises(Misconfigured, match=r"no Java 17 or later .*11\.0\.2"):
        find_java(environ)


def test_java_home_comes_before_the_path(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    program(tmp_path / "home" / "bin", "java", """echo 'openjdk version "21.0.1"' >&2""")
    environ = program(tmp_path / "path", "java", "exit 9")

    java = find_java({**environ, "JAVA_HOME": str(tmp_path / "home")})

    assert java.program == tmp_path / "home" / "bin" / "java"
    assert "21.0.1" in java.build


def test_without_maven_one_sentence_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"Maven is not installed\. Install a Java 17"):
        downloads.kafka_jars(tmp_path / "cache", environ={"PATH": str(tmp_path)})


def test_a_failed_download_leaves_nothing_to_believe_in(tmp_path: Path) -> None:
    environ = program(tmp_path / "bin", "mvn", "echo no route to the repository; exit 1")

    with pytest.raises(Misconfigured, match="no route to the repository"):
        downloads.kafka_jars(tmp_path / "cache", environ=environ)

    left = [path.name for path in (tmp_path / "cache").iterdir() if path.is_dir()]
    assert all(name.endswith(".partial") for name in left)


def test_a_registry_with_another_digest_is_not_used(tmp_path: Path) -> None:
    archive = f"apicurio-registry-app-{downloads.REGISTRY_VERSION}-all.tar.gz"
    environ = program(tmp_path / "bin", "mvn", f"echo tampered > {archive}")

    with pytest.raises(Misconfigured, match="SHA-256"):
        downloads.registry_jars(tmp_path / "cache", environ=environ)


def test_many_at_once_fill_a_directory_once(tmp_path: Path) -> None:
    filled: list[Path] = []
    begin = threading.Barrier(4)

    def ask() -> None:
        begin.wait()
        downloads.once(tmp_path, "part", filled.append)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(filled) == 1
    assert (tmp_path / "part").is_dir()


def test_a_fill_that_was_cut_short_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "part.partial").mkdir()
    (tmp_path / "part.partial" / "half").touch()

    directory = downloads.once(tmp_path, "part", lambda partial: (partial / "whole").touch())

    assert [path.name for path in directory.iterdir()] == ["whole"]

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from processor.errors import Misconfigured
from processor.settings import Settings, load

GOOD = """
[kafka]
bootstrap_servers = "localhost:9092"
topics = ["capillary.events"]

[ims]
client_id = "the-client"
client_secret = "the-secret-canary"

[experience_platform]
org_id = "0A7D42FC5DB9D3360A495FD3@AdobeOrg"
tenant = "acme"

[experience_platform.targets.event]
inlet_id = "inlet"
dataset_id = "dataset"
schema_id = "https://ns.adobe.com/acme/schemas/1"
"""

Load = Callable[..., Settings]
Complaint = Callable[..., str]


@pytest.fixture
def good() -> str:
    """A settings file with nothing wrong and nothing more than needed."""
    return GOOD


@pytest.fixture
def load_text(tmp_path: Path) -> Load:
    """Loads settings from a text, with an environment over it."""

    def load_it(text: str = GOOD, environ: Mapping[str, str] | None = None) -> Settings:
        file = tmp_path / "processor.toml"
        file.write_text(text)
        return load(file, environ or {})

    return load_it


@pytest.fixture
def complaint(load_text: Load) -> Complaint:
    """What is said about settings that are wrong."""

    def of(text: str = GOOD, environ: Mapping[str, str] | None = None) -> str:
        with pytest.raises(Misconfigured) as caught:
            load_text(text, environ)
        return str(caught.value)

    return of

"""Other targets for one run: whole tables in place of the configured ones, checked like these."""

from pathlib import Path

import pytest

from processor.errors import Misconfigured
from processor.settings import Settings, load

SANDBOX = """
[experience_platform]
org_id = "0A7D42FC5DB9D3360A495FD3@AdobeOrg"
tenant = "acme"
sandbox_name = "trial"

[experience_platform.targets.loyalty]
inlet_id = "other"
dataset_id = "other"
schema_id = "https://ns.adobe.com/acme/schemas/2"
"""
ENVIRON = {
    "PROCESSOR_EXPERIENCE_PLATFORM__SANDBOX_NAME": "prod",
    "PROCESSOR_EXPERIENCE_PLATFORM__TARGETS__EVENT__FLOW_ID": "flow",
    "PROCESSOR_NAME": "loyal",
}


def overridden(tmp_path: Path, good: str, text: str) -> Settings:
    config, override = tmp_path / "processor.toml", tmp_path / "sandbox.toml"
    config.write_text(good)
    override.write_text(text)
    return load(config, ENVIRON, override=override)


def test_the_table_stands_whole_in_place_of_that_of_file_and_environment(
    tmp_path: Path, good: str
) -> None:
    settings = overridden(tmp_path, good, SANDBOX)

    assert settings.experience_platform.sandbox_name == "trial"
    assert set(settings.experience_platform.targets) == {"loyalty"}
    assert (settings.ims.client_id, settings.name) == ("the-client", "loyal")


def test_credentials_can_be_others_too(tmp_path: Path, good: str) -> None:
    secret = tmp_path / "secret"
    ims = f'[ims]\nclient_id = "trial-client"\nclient_secret_file = "{secret}"\n'

    settings = overridden(tmp_path, good, SANDBOX + ims)

    assert settings.ims.client_id == "trial-client"
    assert settings.ims.client_secret is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SANDBOX + '[kafka]\ntopics = ["x"]\n', "holds kafka"),
        (SANDBOX + '[ims]\nclient_id = "c"\n', "ims.client_secret_file: no secret"),
        (SANDBOX.replace("sandbox_name", "sandbox_nane"), "experience_platform.sandbox_nane"),
        ("[ims]\n", "no table [experience_platform]"),
        ("not toml", "is not TOML"),
        (
            '[experience_platform]\norg_id = "0A7D42FC5DB9D3360A495FD3@AdobeOrg"\ntenant = "a"\n',
            "experience_platform.targets: none is given",
        ),
    ],
)
def test_what_is_wrong_with_it_is_said(tmp_path: Path, good: str, text: str, said: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        overridden(tmp_path, good, text)

    assert said in str(caught.value)
    assert "sandbox.toml" in str(caught.value)
    assert "PROCESSOR_EXPERIENCE" not in str(caught.value)


def test_a_file_that_is_not_there_is_named_with_its_option(tmp_path: Path, good: str) -> None:
    config = tmp_path / "processor.toml"
    config.write_text(good)

    with pytest.raises(Misconfigured, match=r"no override file .* Correct --target-override"):
        load(config, {}, override=tmp_path / "gone.toml")

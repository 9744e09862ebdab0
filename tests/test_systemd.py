"""The systemd unit, by what the processor needs and promises."""

import configparser
from pathlib import Path

from processor.connector.supervisor import STOP_MARGIN_S
from processor.settings import DeliverySettings

UNIT = Path(__file__).parents[1] / "deploy" / "systemd" / "capillary-aep-processor.service"


def service() -> dict[str, str]:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # systemd's names have capitals
    parser.read(UNIT)
    return dict(parser["Service"])


def test_a_drain_has_time_to_end_before_systemd_kills() -> None:
    assert int(service()["TimeoutStopSec"]) > DeliverySettings().drain_timeout_s + STOP_MARGIN_S
    assert service()["KillMode"] == "mixed"  # tasks drain when the supervisor tells them


def test_wrong_settings_are_not_tried_again_and_again() -> None:
    assert service()["Restart"] == "on-failure"
    assert service()["RestartPreventExitStatus"] == "2"


def test_it_can_write_nowhere_and_has_no_rights_of_root() -> None:
    unit = service()

    assert unit["ProtectSystem"] == "strict"
    assert unit["NoNewPrivileges"] == unit["PrivateTmp"] == unit["ProtectHome"] == "yes"
    assert unit["CapabilityBoundingSet"] == unit["AmbientCapabilities"] == ""
    assert unit["User"] == "capillary-aep"
    assert "ReadWritePaths" not in unit
    assert unit["LimitCORE"] == "0"


def test_no_variable_holds_a_secret() -> None:
    assert service()["Environment"] == "PROCESSOR_CONFIG=/etc/capillary-aep/processor.toml"

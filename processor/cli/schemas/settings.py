"""Settings for commands that work without any."""

import os
from pathlib import Path

from processor.cli.app import open_settings
from processor.settings import Settings


def settings_if_any(config: Path | None) -> Settings | None:
    """The settings that ``--config`` or ``PROCESSOR_CONFIG`` names; `None` when neither does."""
    if config is None and not os.environ.get("PROCESSOR_CONFIG"):
        return None
    return open_settings(config)

"""
What dlt is told, and nothing besides: no variable of the environment and no file of its own changes what a load does.

Its search through them takes longer than a small load.
"""

from typing import Any

from dlt.common.configuration.container import Container
from dlt.common.configuration.providers.provider import ConfigProvider
from dlt.common.configuration.specs.config_providers_context import ConfigProvidersContainer
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext
from dlt.common.configuration.utils import get_resolved_traces

_SETTINGS: dict[str, Any] = {
    "dlthub_telemetry": False,
    # The tables' shape stands in this project; nothing is to be restored from the warehouse.
    "restore_from_destination": False,
    "delete_completed_jobs": True,
    # Nobody reads it; it holds the last hundred steps, and is written anew after each.
    "enable_runtime_trace": False,
    # One connection holds a load's transaction; files are as many as tables.
    "workers": 1,
    # One table after the other, so that the rows of one are in memory at a time.
    "next_item_mode": "fifo",
}


class _OurSettings(ConfigProvider):
    """Gives the settings above by the name of their field, wherever dlt asks for them."""

    # dlt's signature.
    def get_value(self, key: str, hint: type[Any], pipeline_name: str | None, *sections: str) -> tuple[Any, str]:  # noqa: ARG002
        return _SETTINGS.get(key), key

    @property
    def supports_secrets(self) -> bool:
        return True

    @property
    def supports_sections(self) -> bool:
        return False

    @property
    def name(self) -> str:
        return "hookmart"


def apply_dlt_settings() -> None:
    """Give dlt our settings, in this process from now on."""
    context = Container()[PluggableRunContext]
    if [provider.name for provider in context.providers.providers] != ["hookmart"]:
        context.providers = ConfigProvidersContainer([_OurSettings()])
    # Of where each setting came from; without a trace of the run it grows for ever.
    get_resolved_traces().logging_enabled = False

"""Which of the configured sources a command is about."""

from ingest.errors import SettingsError
from ingest.settings import Settings


def chosen_source(settings: Settings, name: str | None) -> str:
    """
    Return *name*, or the only source there is where it is None.

    Raises:
        SettingsError: It is not configured, or several are.
    """
    if name is None and len(settings.sources) == 1:
        return next(iter(settings.sources))
    if name not in settings.sources:
        raise SettingsError(
            f"Say --source with one of those in {settings.path}: {', '.join(settings.sources) or 'none'}."
        )
    return name

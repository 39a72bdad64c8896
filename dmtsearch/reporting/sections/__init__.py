"""The sections of a report, from its summary."""

"""The version of cloudbackup: shown by `--version`, on the report's page, in metrics, and kept in each record."""

VERSION = "0.1.0"

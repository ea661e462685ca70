"""The version of cloudbackup: in `--version`, on the report's page, in metrics and in each record."""

VERSION = "0.1.0"

"""Programs that run on hosts, sent there."""

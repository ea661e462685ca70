"""What stands in for a file system with a quota: one rule, applied by the SFTP server and inside `borg serve`."""

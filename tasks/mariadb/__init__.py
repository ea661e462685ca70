"""Backup and restore of MariaDB servers. `sources` has the two sources of an app's server, `mariadb` and `binlog`.

    Access (how to reach a server) -> server.ask -> dump (a Stream) ... a Stream -> unpack -> restore (into place)

`host` has the programs that are sent to the host, such as `host.align` and `host.swap_datadir`. `tasks.fleet` has the
tasks `mariadb.*`.
"""

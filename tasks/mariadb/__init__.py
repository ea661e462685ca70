"""MariaDB servers: asked, streamed into an archive, brought back. Knows nothing of borg.

    Access (how to reach a server) -> server.ask -> dump (a Stream) ... a Stream -> unpack -> restore (into place)

`align` and `swap` are programs of their own that travel to the host. `tasks.fleet` holds the tasks `mariadb.*`.
"""

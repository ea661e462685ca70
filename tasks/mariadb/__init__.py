"""MariaDB servers: asked, streamed into an archive, brought back. `sources` has the two sources of an app's server.

    Access (how to reach a server) -> server.ask -> dump (a Stream) ... a Stream -> unpack -> restore (into place)

`align` and `swap` are programs of their own that travel to the host. `tasks.fleet` holds the tasks `mariadb.*`.
"""

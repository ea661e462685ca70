"""Hosts and the scripts that run on them. The only room that knows Fabric, and the only one that reveals a secret.

    words -> quote, pipe -> Script (bash, environment with secrets) -> Host.run -> Output

It knows nothing of apps, borg or MariaDB.
"""

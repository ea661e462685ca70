"""Hosts and the scripts that run on them. The only room that uses Fabric, and the only one that reveals secrets.

    words -> quote, pipe -> Script (bash, environment with secrets) -> Host.run -> Output

It has no knowledge of apps, borg or MariaDB.
"""

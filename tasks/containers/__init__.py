"""Containers on an app's host, by what Docker, Podman or nerdctl says of them: their volumes, and who saves them."""

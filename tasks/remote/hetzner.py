"""Hetzner's API, used with the operator's token, and its errors in plain words."""

from collections.abc import Iterator
from contextlib import contextmanager

import requests
from hcloud import APIException, Client, HCloudException
from hcloud.actions import ActionFailedException, ActionTimeoutException

from tasks.errors import AppError
from tasks.remote.new_secret import generate
from tasks.remote.secret import Secret

CONSOLE, CLOUD = "https://api.hetzner.com/v1", "https://api.hetzner.cloud/v1"
TIMEOUT = 30.0  # seconds for one answer
REMEDIES = {
    "unauthorized": "`token` must be an API token of the box's project, made in the Console with read and write access",
    "forbidden": "the token may only read: make one with read and write access",
    "token_readonly": "the token may only read: make one with read and write access",
    "not_found": "correct `box`, the box's number in the Console's address, or leave it out",
    "protected": "it is protected: take the protection away in the Console first",
    "resource_limit_exceeded": "the box allows no more of these: delete some first, or take a larger one",
    "rate_limit_exceeded": "too many requests: wait some minutes",
    "locked": "the box is busy with something else: wait until that is done",
}


def client(token: Secret, endpoint: str) -> Client:
    """Return the hcloud client for the API at `endpoint`: CONSOLE, or a test server.

    hcloud 2.27 polls actions at the cloud's address, whichever API started them, so that address is set too.
    """
    cloud = CLOUD if endpoint == CONSOLE else endpoint
    return Client(token.reveal(), cloud, api_endpoint_hetzner=endpoint, application_name="cloudbackup", timeout=TIMEOUT)


def unknown_password() -> str:
    """Return a random password, which the API requires and nobody keeps: logins use keys; the Console can reset it."""
    return generate().reveal()


@contextmanager
def explained(where: str) -> Iterator[None]:
    """Turn what hcloud raises in the block into an AppError with a remedy. `where` names the storage."""
    try:
        yield
    except APIException as error:
        code = str(error.code)
        what = f"{where}: Hetzner's API says: {error.message}"
        raise AppError(what, REMEDIES.get(code, f"its code for that is {code}")) from error
    except ActionFailedException as error:
        raise AppError(f"{where}: Hetzner's API began it, and it failed: {error}") from error
    except ActionTimeoutException as error:
        raise AppError(f"{where}: Hetzner's API is still at work on it", "look in the Console how it ends") from error
    except requests.RequestException as error:
        reason = type(error).__name__ if "Max retries" in str(error) else str(error)
        raise AppError(f"{where}: Hetzner's API cannot be reached: {reason}", "look at the network") from error
    except HCloudException as error:
        raise AppError(f"{where}: Hetzner's API: {error}") from error
    except (TypeError, KeyError, ValueError, AttributeError) as error:  # hcloud does not validate what it receives
        what = f"{where}: Hetzner's API gave an answer of an unknown form: {type(error).__name__}"
        raise AppError(what, "try again later; when it stays so, a newer version of cloudbackup may know it") from error

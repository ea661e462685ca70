"""The permission to run a database's tools in its own pod, by `kubectl exec`: for that pod alone."""

from collections.abc import Sequence

from tasks.app.pods import Plan, Values
from tasks.errors import UsageError
from tasks.inventory.models import App

VALUED = ("-n", "--namespace", "-c", "--container", "--context", "--kubeconfig", "-s", "--server")  # kubectl's options
NAMESPACE = ("-n", "--namespace")


def database_pods(app: App) -> tuple[str, ...]:
    """Return the pods that the app's `exec` enter with kubectl, none without kubectl.

    Raises UsageError if one names no pod.
    """
    return tuple(dict.fromkeys(_pod(app.name, words) for words in _entered(app)))


def pods_namespace(app: App) -> str:
    """Return the namespace that the app's `exec` name; empty if they name none."""
    for words in _entered(app):
        for word, value in zip(words, (*words[1:], ""), strict=True):
            if word in NAMESPACE:
                return value
            if word.startswith("--namespace="):
                return word.partition("=")[2]
    return ""


def _entered(app: App) -> list[Sequence[str]]:
    if not app.is_local:
        return []
    each: list[Sequence[str]] = [app.mariadb.exec] if app.mariadb else []
    each += [dump.product.exec for dump in app.dumps.values()]
    return [words for words in each if tuple(words[:1]) == ("kubectl",)]


def _pod(app: str, exec_: Sequence[str]) -> str:
    words = iter(exec_[1:])
    plain = []
    for word in words:
        if word in VALUED:
            next(words, None)
        elif not word.startswith("-"):
            plain.append(word)
    if plain[:1] == ["exec"] and plain[1:] and "/" not in plain[1]:
        return plain[1]
    raise UsageError(f"{app}: `exec` must name a pod, such as mariadb-0 of a StatefulSet", "rights go by that name")


def rights(plan: Plan, pods: Sequence[str]) -> list[Values]:
    """Return the permission to exec into these pods, if there are any."""
    if not pods:
        return []
    group, metadata = "rbac.authorization.k8s.io", plan.metadata(plan.name)
    rules = [
        {"apiGroups": [""], "resources": ["pods"], "resourceNames": list(pods), "verbs": ["get"]},
        # kubectl 1.30 and later uses WebSocket, a GET; before that, and from Kubernetes 1.35 on, it is create.
        {"apiGroups": [""], "resources": ["pods/exec"], "resourceNames": list(pods), "verbs": ["create", "get"]},
    ]
    return [
        {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": metadata, "rules": rules},
        {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": group, "kind": "Role", "name": plan.name},
            "subjects": [{"kind": "ServiceAccount", "name": plan.name}],
        },
    ]

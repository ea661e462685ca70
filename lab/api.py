"""Hetzner's API for Storage Boxes as far as an emulated box needs it: one box, its sub-accounts, snapshots, switches.

It answers on 127.0.0.1 inside the box's server process, so that what it switches holds for the box at once. Paths,
bodies and errors are those that the library hcloud (2.23 and 2.27) sends and reads; a form that is not known from
there is left out. An action is `running` in the answer that begins it and has ended when it is asked for.
"""

import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from lab.estate import Estate
from lab.refusal import Refusal, Values

ROOT, BOXES, TYPES = "/v1", "/storage_boxes", "/storage_box_types"
SUBACCOUNT, SNAPSHOT = r"/subaccounts/(?P<id>\d+)", r"/snapshots/(?P<id>\d+)"


@dataclass(frozen=True)
class Request:
    """One request: the query's and the body's values, and the id in its path."""

    query: Mapping[str, str]
    body: Values
    id: int = 0


Route = tuple[str, str, Callable[[Request], Values]]  # method, pattern of the path, answer


class Api:
    """The answers. `estate` is the box; `busy()` tells whether to put the client off as too many requests do."""

    def __init__(self, estate: Estate, token: str, busy: Callable[[], bool]) -> None:
        self._estate = estate
        self._token = token
        self._busy = busy
        self._lock = threading.Lock()
        self._actions: list[str] = []
        box = f"{BOXES}/{estate.id}"
        snapshots, subaccounts = estate.snapshots, estate.subaccounts
        self._routes: list[Route] = [
            ("GET", TYPES, lambda request: _page("storage_box_types", [estate.type()], request)),
            ("GET", f"{TYPES}/{estate.type()['id']}", lambda _: {"storage_box_type": estate.type()}),
            ("GET", BOXES, self._list_boxes),
            ("GET", box, lambda _: {"storage_box": estate.box()}),
            ("PUT", box, lambda it: {"storage_box": estate.update(it.body)}),
            ("DELETE", box, self._protected),
            ("GET", f"{box}/folders", lambda request: {"folders": estate.folders(request.query.get("path", ""))}),
            ("GET", rf"(?:{BOXES})?/actions/(?P<id>\d+)", lambda it: {"action": self._action(it.id, "success")}),
            *self._actions_on_the_box(f"{box}/actions"),
            ("GET", f"{box}/snapshots", self._lists("snapshots", snapshots.every, ("name", "is_automatic"))),
            ("POST", f"{box}/snapshots", self._makes("snapshot", snapshots.make)),
            ("GET", box + SNAPSHOT, lambda it: {"snapshot": self._of_box(snapshots.one(it.id))}),
            ("PUT", box + SNAPSHOT, lambda it: {"snapshot": self._of_box(snapshots.update(it.id, it.body))}),
            ("DELETE", box + SNAPSHOT, self._drops("delete_snapshot", snapshots.drop)),
            ("GET", f"{box}/subaccounts", self._lists("subaccounts", subaccounts.every, ("name", "username"))),
            ("POST", f"{box}/subaccounts", self._makes("subaccount", subaccounts.make)),
            ("GET", box + SUBACCOUNT, lambda it: {"subaccount": self._of_box(subaccounts.one(it.id))}),
            (
                "PUT",
                box + SUBACCOUNT,
                lambda it: {"subaccount": self._of_box(subaccounts.update(it.id, it.body))},
            ),
            ("DELETE", box + SUBACCOUNT, self._drops("delete_subaccount", subaccounts.drop)),
            *self._actions_on_subaccounts(f"{box}{SUBACCOUNT}/actions"),
        ]

    def _actions_on_the_box(self, path: str) -> list[Route]:
        estate = self._estate
        verbs: dict[str, Callable[[Values], None]] = {
            "update_access_settings": estate.switch,
            "reset_password": estate.reset_password,
            "enable_snapshot_plan": estate.snapshots.begin_plan,
            "disable_snapshot_plan": estate.snapshots.end_plan,
            "rollback_snapshot": estate.snapshots.roll_back,
        }
        return [("POST", f"{path}/{verb}", self._does(verb, _without_id(act))) for verb, act in verbs.items()]

    def _actions_on_subaccounts(self, path: str) -> list[Route]:
        subaccounts = self._estate.subaccounts
        verbs = {
            "change_home_directory": subaccounts.move,
            "reset_subaccount_password": subaccounts.reset_password,
            "update_access_settings": subaccounts.switch,
        }
        return [("POST", f"{path}/{verb}", self._does(verb, act)) for verb, act in verbs.items()]

    def answer(self, method: str, target: str, token: str, body: Values) -> tuple[int, Values]:
        """Return the status and the JSON of one request."""
        try:
            self._admit(token)
            with self._lock:
                return (200 if method == "GET" else 201), self._found(method, target, body)
        except Refusal as refusal:
            error = {"code": refusal.code, "message": str(refusal), "details": refusal.details}
            return refusal.status, {"error": error}

    def _admit(self, token: str) -> None:
        if self._busy():
            raise Refusal(429, "rate_limit_exceeded", "rate limit exceeded")
        if token != f"Bearer {self._token}":
            raise Refusal(401, "unauthorized", "unable to authenticate")

    def _found(self, method: str, target: str, body: Values) -> Values:
        address = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        for known, path, act in self._routes:
            match = re.fullmatch(ROOT + path, address.path)
            if match and known == method:
                return act(Request(query, body, int(match.groupdict().get("id", 0))))
        raise Refusal(404, "not_found", "resource not found")

    def _begun(self, command: str) -> Values:
        self._actions.append(command)
        return self._action(len(self._actions), "running")

    def _action(self, number: int, status: str) -> Values:
        if not 0 < number <= len(self._actions):
            raise Refusal(404, "not_found", "action not found")
        now = datetime.now(UTC).isoformat()
        done = status == "success"
        return {
            "id": number,
            "command": self._actions[number - 1],
            "status": status,
            "progress": 100 if done else 0,
            "started": now,
            "finished": now if done else None,
            "resources": [{"id": self._estate.id, "type": "storage_box"}],
            "error": None,
        }

    def _of_box(self, values: Values) -> Values:
        return {**values, "storage_box": self._estate.id}

    def _does(self, command: str, act: Callable[[int, Values], None]) -> Callable[[Request], Values]:
        def run(request: Request) -> Values:
            act(request.id, request.body)
            return {"action": self._begun(command)}

        return run

    def _makes(self, kind: str, make: Callable[[Values], Values]) -> Callable[[Request], Values]:
        """Answer with a part of what was made, as the real one does: the client asks for the whole."""

        def run(request: Request) -> Values:
            made = make(request.body)
            return {kind: self._of_box({"id": made["id"]}), "action": self._begun(f"create_{kind}")}

        return run

    def _drops(self, command: str, drop: Callable[[int], None]) -> Callable[[Request], Values]:
        def run(request: Request) -> Values:
            drop(request.id)
            return {"action": self._begun(command)}

        return run

    def _lists(
        self, name: str, every: Callable[[], list[Values]], filters: tuple[str, ...]
    ) -> Callable[[Request], Values]:
        def run(request: Request) -> Values:
            asked = {key: request.query[key].lower() for key in filters if key in request.query}
            found = [each for each in every() if all(str(each[key]).lower() == asked[key] for key in asked)]
            return {name: [self._of_box(each) for each in found]}  # these come without pages

        return run

    def _list_boxes(self, request: Request) -> Values:
        box = self._estate.box()
        matches = request.query.get("name", box["name"]) == box["name"]
        return _page("storage_boxes", [box] if matches else [], request)

    def _protected(self, _: Request) -> Values:
        raise Refusal(423, "protected", "Storage Box deletion is protected")


def _without_id(act: Callable[[Values], None]) -> Callable[[int, Values], None]:
    return lambda _, values: act(values)


def _page(name: str, every: list[Values], request: Request) -> Values:
    page, size = int(request.query.get("page", 1)), int(request.query.get("per_page", 25))
    last = max(1, -(-len(every) // size))
    numbers = {
        "page": page,
        "per_page": size,
        "previous_page": page - 1 if page > 1 else None,
        "next_page": page + 1 if page < last else None,
        "last_page": last,
        "total_entries": len(every),
    }
    return {name: every[(page - 1) * size : page * size], "meta": {"pagination": numbers}}


def serve(api: Api, port: int) -> ThreadingHTTPServer:
    """Answer on 127.0.0.1 in threads of this process until `shutdown`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = json.loads(raw) if raw else {}
            status, values = api.answer(self.command, self.path, self.headers.get("Authorization", ""), body)
            data = json.dumps(values).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815  # the names that http.server looks for

        def log_message(self, format: str, *words: object) -> None:  # noqa: A002
            """Say nothing: requests are no news."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="api", daemon=True).start()
    return server

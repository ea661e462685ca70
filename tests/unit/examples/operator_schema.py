"""What the Prometheus operator takes, of its kinds that the examples use: monitoring.coreos.com/v1, operator 0.85 and later.

After the published types (npm's @kubernetes-models/prometheus-operator 6.0.0, by whose own validators both examples passed),
with unknown keys refused, as `kubectl apply` does with the operator's own definitions. Kubernetes' packages of schemas hold
no custom kinds.
"""

from typing import Any

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
BOOLEAN: Schema = {"type": "boolean"}
TEXTS: Schema = {"type": "object", "additionalProperties": TEXT}
DURATION: Schema = {
    "type": "string",
    "pattern": r"^(0|([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?)$",
}


def _object(required: tuple[str, ...] = (), **properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _list(of: Schema) -> Schema:
    return {"type": "array", "items": of, "minItems": 1}


def _kind(kind: str, spec: Schema) -> Schema:
    metadata = _object(("name",), name=TEXT, namespace=TEXT, labels=TEXTS, annotations=TEXTS)
    version = {"const": "monitoring.coreos.com/v1"}
    return _object(
        ("apiVersion", "kind", "metadata", "spec"),
        apiVersion=version,
        kind={"const": kind},
        metadata=metadata,
        spec=spec,
    )


def _each(of: Schema, *names: str) -> dict[str, Schema]:
    return dict.fromkeys(names, of)


_RELABELING = _object(
    (), sourceLabels=_list(TEXT), **_each(TEXT, "action", "regex", "replacement", "separator", "targetLabel")
)
_ENDPOINT = _object(
    (),
    **_each(TEXT, "port", "path", "scheme"),
    **_each(DURATION, "interval", "scrapeTimeout"),
    **_each(BOOLEAN, "honorLabels", "honorTimestamps"),
    **_each(_list(_RELABELING), "relabelings", "metricRelabelings"),
)
_RULE = _object(
    ("expr",),
    **_each(TEXT, "alert", "record", "expr"),
    **_each(TEXTS, "annotations", "labels"),
    **_each(DURATION, "for", "keep_firing_for"),
)
SCHEMAS = {
    "ServiceMonitor": _kind(
        "ServiceMonitor",
        _object(
            ("selector", "endpoints"),
            selector=_object(matchLabels=TEXTS),
            endpoints=_list(_ENDPOINT),
            jobLabel=TEXT,
            targetLabels=_list(TEXT),
            namespaceSelector=_object(any=BOOLEAN, matchNames=_list(TEXT)),
        ),
    ),
    "PrometheusRule": _kind(
        "PrometheusRule",
        _object(groups=_list(_object(("name",), name=TEXT, interval=DURATION, labels=TEXTS, rules=_list(_RULE)))),
    ),
}

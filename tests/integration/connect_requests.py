"""The requests that are sent to Kafka's own Connect and to ours, and where they may differ."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

UNKNOWN, ANY = "nobody", "any"
JSON = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class Step:
    """One request to both.

    Attributes:
        path: ``{plugin}`` is each one's own, ``{logger}`` too.
        body: JSON; a text is sent as it is.
        state: wait before the next step until both connectors are so.
        tasks: and until their tasks are; empty: until there are none.
    """

    method: str
    path: str
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    state: str = ""
    tasks: str = ""

    @property
    def name(self) -> str:
        body = "" if self.body is None else f" {self.body}"
        kind = f" as {self.headers['content-type']}" if self.headers else ""
        return f"{self.method} {self.path}{body}{kind}"


@dataclass(frozen=True, slots=True)
class Difference:
    """What ours answers otherwise on purpose.

    Attributes:
        ours: its status.
        theirs: Connect's.
        because: the reason.
    """

    ours: int
    theirs: int
    because: str


def offset(
    partition: Any = 0, value: Any = 1, topic: Any = "{topic}", **more: Any
) -> dict[str, Any]:
    """The body of a change of one offset."""
    place = {"kafka_topic": topic, "kafka_partition": partition}
    return {"offsets": [{"partition": place, "offset": {"kafka_offset": value}}], **more}


OURS, OFFSETS = "/connectors/ours", "/connectors/ours/offsets"
VALIDATE = "/connector-plugins/{plugin}/config/validate"

NEW = {"name": "ours", "config": {"connector.class": "{plugin}", "topics": "{topic}"}}

STEPS = [
    Step("GET", "/"),
    Step("GET", "/health"),
    Step("GET", "/connectors"),
    Step("GET", "/connectors/"),
    Step("HEAD", "/connectors"),
    Step("GET", "/connectors?expand=status"),
    Step("GET", "/connectors?expand=info"),
    Step("GET", "/connectors?expand=status&expand=info"),
    Step("GET", "/connectors?expand=nonsense"),
    *(
        Step("GET", f"/connectors/{name}{path}")
        for name in ("ours", UNKNOWN)
        for path in ("", "/config", "/status", "/tasks", "/tasks/0/status", "/topics", "/offsets")
    ),
    Step("GET", f"{OURS}/tasks/9/status"),
    Step("GET", f"{OURS}/tasks/x/status"),
    Step("GET", f"{OURS}/nothing"),
    Step("PUT", "/nothing"),
    Step("PUT", OURS),
    Step("POST", f"{OURS}/pause"),
    Step("DELETE", "/connectors"),
    Step("OPTIONS", "/connectors"),
    Step("GET", "/connector-plugins"),
    Step("GET", "/connector-plugins?connectorsOnly=false"),
    Step("GET", "/connector-plugins/{plugin}/config"),
    Step("GET", "/connector-plugins/Nobody/config"),
    Step("PUT", VALIDATE, {"connector.class": "{plugin}", "name": "new", "tasks.max": "x"}),
    Step("PUT", VALIDATE, {"connector.class": "Other"}),
    Step("PUT", VALIDATE, {}),
    Step("PUT", VALIDATE, [1]),
    Step("PUT", VALIDATE, "{bad"),
    Step("PUT", VALIDATE, "{}", {"content-type": "text/plain"}),
    Step("PUT", "/connector-plugins/Nobody/config/validate", {"connector.class": "Nobody"}),
    Step("GET", "/admin/loggers"),
    Step("GET", "/admin/loggers/root"),
    Step("GET", "/admin/loggers/no.such.logger"),
    Step("PUT", "/admin/loggers/{logger}", {"level": "DEBUG"}),
    Step("GET", "/admin/loggers/{logger}"),
    Step("PUT", "/admin/loggers/{logger}?scope=worker", {"level": "info"}),
    Step("PUT", "/admin/loggers/{logger}?scope=cluster", {"level": "INFO"}),
    Step("PUT", "/admin/loggers/root", {"level": "NOPE"}),
    Step("PUT", "/admin/loggers/root", {}),
    Step("PUT", "/admin/loggers/root", "x"),
    Step("PUT", "/admin/loggers/no.such.logger", {"level": "INFO"}),
    *(
        Step(method, f"/connectors/{UNKNOWN}/{order}")
        for method, order in (
            ("PUT", "pause"),
            ("PUT", "resume"),
            ("PUT", "stop"),
            ("POST", "restart"),
            ("POST", "restart?includeTasks=true"),
            ("POST", "tasks/0/restart"),
            ("PUT", "topics/reset"),
            ("DELETE", "offsets"),
        )
    ),
    Step("PATCH", f"/connectors/{UNKNOWN}/offsets", offset()),
    Step("PATCH", OFFSETS, offset()),
    Step("DELETE", OFFSETS),
    Step("PUT", f"{OURS}/topics/reset"),
    Step("GET", f"{OURS}/topics"),
    Step("PUT", f"{OURS}/pause", state="PAUSED", tasks="PAUSED"),
    Step("GET", f"{OURS}/status"),
    Step("DELETE", OFFSETS),
    Step("PUT", f"{OURS}/pause"),
    Step("PUT", f"{OURS}/resume", state="RUNNING", tasks="RUNNING"),
    Step("GET", f"{OURS}/status"),
    Step("POST", f"{OURS}/restart"),
    Step("POST", f"{OURS}/restart?onlyFailed=true"),
    Step("POST", f"{OURS}/restart?onlyFailed=nonsense"),
    Step("POST", f"{OURS}/restart?includeTasks=true&onlyFailed=true"),
    Step("POST", f"{OURS}/restart?includeTasks=true", state="RUNNING", tasks="RUNNING"),
    Step("POST", f"{OURS}/tasks/9/restart"),
    Step("POST", f"{OURS}/tasks/0/restart", state="RUNNING", tasks="RUNNING"),
    Step("PUT", f"{OURS}/stop", state="STOPPED"),
    Step("GET", f"{OURS}/status"),
    Step("GET", OURS),
    Step("GET", f"{OURS}/tasks"),
    Step("GET", f"{OURS}/tasks/0/status"),
    Step("POST", f"{OURS}/restart"),
    Step("GET", OFFSETS),
    Step("PATCH", OFFSETS, offset()),
    Step("PATCH", OFFSETS, offset("1", "2")),
    Step("GET", OFFSETS),
    Step(
        "PATCH",
        OFFSETS,
        {"offsets": [{"partition": offset()["offsets"][0]["partition"], "offset": None}]},
    ),
    Step("GET", OFFSETS),
    Step("PATCH", OFFSETS, {}),
    Step("PATCH", OFFSETS, {"offsets": []}),
    Step("PATCH", OFFSETS, {"offsets": None}),
    Step("PATCH", OFFSETS, "x"),
    Step("PATCH", OFFSETS, {"other": 1}),
    Step("PATCH", OFFSETS, {"offsets": [{"offset": {"kafka_offset": 1}}]}),
    Step("PATCH", OFFSETS, {"offsets": [{"partition": {"kafka_topic": "{topic}"}}]}),
    Step("PATCH", OFFSETS, offset("x")),
    Step("PATCH", OFFSETS, offset(value="x")),
    Step(
        "PATCH",
        OFFSETS,
        {"offsets": [{**offset()["offsets"][0], "offset": {"other": 1}}]},
    ),
    Step("PATCH", OFFSETS, offset(value=-3)),
    Step("PATCH", OFFSETS, offset(99)),
    Step("PATCH", OFFSETS, offset(topic="nope")),
    Step("DELETE", OFFSETS),
    Step("GET", OFFSETS),
    Step("PUT", f"{OURS}/pause", state="PAUSED", tasks=ANY),
    Step("PUT", f"{OURS}/resume", state="RUNNING", tasks="RUNNING"),
    Step("POST", "/connectors", NEW),
    Step("PATCH", f"{OURS}/config", {"name": "other"}),
    Step("PUT", f"{OURS}/config", {"name": "other"}),
    Step("DELETE", OURS),
]

CLIENT = "Connect answers 500 to what the client did wrong, and clients repeat a 500"
FILE = "the settings file rules: nothing is created, changed or deleted over HTTP"

DIFFERENCES = {
    "OPTIONS /connectors": Difference(
        405, 200, "nothing but CORS needs it, and no other site may ask"
    ),
    f"PUT {VALIDATE} {{}}": Difference(400, 500, CLIENT),
    f"PUT {VALIDATE} [1]": Difference(400, 500, CLIENT),
    f"PUT {VALIDATE} {{bad": Difference(400, 500, CLIENT),
    "PUT /connector-plugins/Nobody/config/validate {'connector.class': 'Nobody'}": Difference(
        404, 500, CLIENT
    ),
    "PUT /admin/loggers/root x": Difference(400, 500, CLIENT),
    "PUT /admin/loggers/no.such.logger {'level': 'INFO'}": Difference(
        400, 200, "what libraries write below their level holds headers and addresses"
    ),
    f"GET /connectors/{UNKNOWN}/topics": Difference(
        404, 200, "there is one connector; Connect does not look"
    ),
    f"PUT /connectors/{UNKNOWN}/topics/reset": Difference(
        404, 202, "there is one connector; Connect does not look"
    ),
    f"PATCH {OFFSETS} x": Difference(400, 500, CLIENT),
    f"PATCH {OFFSETS} {{'other': 1}}": Difference(400, 500, CLIENT),
    f"PATCH {OFFSETS} {offset(value=-3)}": Difference(400, 500, CLIENT),
    f"PATCH {OFFSETS} {offset(99)}": Difference(400, 500, CLIENT),
    f"PATCH {OFFSETS} {offset(topic='nope')}": Difference(400, 500, CLIENT),
    f"POST /connectors {NEW}": Difference(405, 409, FILE),
    f"PATCH {OURS}/config {{'name': 'other'}}": Difference(405, 200, FILE),
    f"PUT {OURS}/config {{'name': 'other'}}": Difference(405, 400, FILE),
    f"DELETE {OURS}": Difference(405, 204, FILE),
}
"""By the step's name; every other step is answered alike."""

OTHER_WORDS = {f"PUT {VALIDATE} {{'connector.class': 'Other'}}"}
"""Answered with the same status and another sentence, because it names each one's own plugin."""

"""Every kind of mistake, with the sentence that is said about it."""

from collections.abc import Callable

import pytest

Complaint = Callable[..., str]

PROPERTIES = "[kafka.properties]\n"
TARGET = "[experience_platform.targets.{}]\n"
IDS = 'inlet_id = "i"\ndataset_id = "d"\nschema_id = "s"\n'
REGISTRY = '[schema_registry]\nurl = "https://registry"\n'

ADDED: dict[str, tuple[str, str]] = {
    "a misspelt table": (
        "[delivry]\nlinger_ms = 1\n",
        "delivry: no such setting; did you mean delivery?",
    ),
    "a misspelt key": (
        "[delivery]\nlinger = 1\n",
        "delivery.linger: no such setting; did you mean delivery.linger_ms?",
    ),
    "a key in the wrong table": (
        '[admin]\nsandbox_name = "x"\n',
        "admin.sandbox_name: no such setting; did you mean experience_platform.sandbox_name?",
    ),
    "a key like no other": (
        '[gate]\nzzzzqqq = "x"\n',
        "gate.zzzzqqq: no such setting; [gate] knows on_profile_limit.",
    ),
    "a misspelt key of a target": (
        TARGET.format("tier") + IDS + 'dataset = "x"\n',
        (
            "experience_platform.targets.tier.dataset: no such setting; "
            "did you mean experience_platform.targets.tier.dataset_id?"
        ),
    ),
    "a number with a fraction": (
        "[delivery]\nmax_in_flight = 1.5\n",
        "delivery.max_in_flight: give a whole number above 0.",
    ),
    "a number out of bounds": (
        "[delivery]\nbatch_max_bytes = 2000000\n",
        "delivery.batch_max_bytes: give a whole number from 10000 and up to 1000000.",
    ),
    "a port out of bounds": (
        "[admin]\nport = 70000\n",
        "admin.port: give a whole number from 0 and up to 65535.",
    ),
    "a share above one": (
        "[errors]\nsystemic_ratio = 2\n",
        "errors.systemic_ratio: give a number above 0 and up to 1.",
    ),
    "a text for a number": (
        '[delivery]\nrequest_timeout_s = "soon"\n',
        "delivery.request_timeout_s: give a number above 0.",
    ),
    "a text for a choice": (
        '[mapping]\nmode = "loose"\n',
        "mapping.mode: give one of strict, lenient.",
    ),
    "a text for true or false": (
        '[schemas]\nbuiltin = "perhaps"\n',
        "schemas.builtin: give true or false.",
    ),
    "a number for a path": (
        "[schemas]\ndirectory = 4\n",
        "schemas.directory: give the path of a file.",
    ),
    "a text in a list of numbers": (
        '[capillary]\norg_ids = ["one"]\n',
        "capillary.org_ids: give a list of numbers; in the environment, separated by commas.",
    ),
    "a value for a table": (
        "[experience_platform.targets]\ntier = 3\n",
        "experience_platform.targets.tier: give a table, [experience_platform.targets.tier].",
    ),
    "a name that no target may have": (
        TARGET.format('"To Tier"') + IDS,
        "experience_platform.targets.To Tier: 'To Tier' is no name for a target",
    ),
    "an incomplete target": (
        TARGET.format("tier") + 'inlet_id = "i"\ndataset_id = "d"\n',
        (
            "experience_platform.targets.tier.schema_id: missing; "
            "give text: https://ns.adobe.com/{TENANT}/schemas/{ID}."
        ),
    ),
    "an inlet's URL for its id": (
        TARGET.format("tier") + IDS.replace('"i"', '"https://dcs.adobedc.net/collection/i"'),
        "experience_platform.targets.tier.inlet_id: give text: the inlet's id alone, the last part",
    ),
    "merge without the identities' dataset": (
        TARGET.format("tier") + IDS + 'operation = "merge"\n',
        'experience_platform.targets.tier.identity_dataset_id: operation = "merge" needs it',
    ),
    "a header in a flow id": (
        TARGET.format("tier") + IDS + 'flow_id = "a\\r\\nx: y"\n',
        "experience_platform.targets.tier.flow_id: give text: the id of a dataflow.",
    ),
    "a property that is ours": (
        PROPERTIES + '"enable.auto.commit" = true\n',
        "kafka.properties.enable.auto.commit: belongs to the connector; leave it out",
    ),
    "a property with a setting of its own": (
        '[kafka.consumer]\n"group.id" = "g"\n',
        "kafka.consumer.group.id: belongs to the connector; set kafka.group_id instead.",
    ),
    "a property that is ours, from a file": (
        PROPERTIES + '"bootstrap.servers_file" = "/x"\n',
        (
            "kafka.properties.bootstrap.servers_file: belongs to the connector; "
            "set kafka.bootstrap_servers instead."
        ),
    ),
    "a property given twice": (
        PROPERTIES + '"sasl.password" = "canary"\n"sasl.password_file" = "/x"\n',
        "kafka.properties.sasl.password_file: is given beside sasl.password; keep one of them.",
    ),
    "a property that is a list": (
        PROPERTIES + '"sasl.password" = ["canary"]\n',
        "kafka.properties: sasl.password takes text, a number, true or false.",
    ),
    "talkative debugging": (
        PROPERTIES + 'debug = "broker,security"\n',
        "kafka.properties.debug: leave out all, msg, protocol, security",
    ),
    "a registry's password without a user": (
        REGISTRY + 'password = "canary"\n',
        "schema_registry.username: username and password go together.",
    ),
    "a registry's password twice": (
        REGISTRY + 'username = "u"\npassword = "canary"\npassword_file = "/x"\n',
        "schema_registry.password_file: is given beside schema_registry.password; keep one",
    ),
    "a registry's password over http": (
        REGISTRY.replace("https", "http") + 'username = "u"\npassword = "canary"\n',
        (
            "schema_registry.url: http:// would send secrets readable by others; use https://, or "
            "set schema_registry.allow_http = true."
        ),
    ),
    "a password in a URL": (
        REGISTRY.replace("//", "//user:canary@"),
        "schema_registry.url: holds a user or password; they have settings of their own.",
    ),
    "a registry without scheme": (
        REGISTRY.replace("https://", ""),
        "schema_registry.url: give an address such as https://host",
    ),
    "a port that is no number": (
        REGISTRY.replace("//registry", "//registry:port"),
        "schema_registry.url: give an address such as https://host",
    ),
    "a CA file that is not there": (
        REGISTRY + 'ca_file = "/no/such/ca.pem"\n',
        "schema_registry.ca_file: there is no file /no/such/ca.pem; give the CA's PEM file.",
    ),
    "an unknown time zone": (
        '[mapping]\ntime_zone = "Mars/Base"\n',
        "mapping.time_zone: there is no such time zone; give a name such as Asia/Kolkata.",
    ),
    "a time zone that climbs out": (
        '[mapping]\ntime_zone = "../../etc/passwd"\n',
        "mapping.time_zone: there is no such time zone",
    ),
    "an unknown field in a template": (
        '[errors]\ndeadletterqueue_topic_name = "{topic}.{target}"\n',
        "errors.deadletterqueue_topic_name: only {name} and {topic} may stand in braces.",
    ),
    "an attribute in a template": (
        '[errors]\ndeadletterqueue_topic_name = "{topic.__class__}"\n',
        "errors.deadletterqueue_topic_name: only {name} and {topic} may stand in braces.",
    ),
    "an open brace in a template": (
        '[state]\ntopic = "{name"\n',
        "state.topic: only {name} may stand in braces.",
    ),
    "the source as its own dead-letter topic": (
        '[errors]\ndeadletterqueue_topic_name = "{topic}"\n',
        "errors.deadletterqueue_topic_name: is the source topic itself; add a suffix",
    ),
    "a template that gives no topic's name": (
        '[errors]\ndeadletterqueue_topic_name = "{topic} dead"\n',
        "errors.deadletterqueue_topic_name: give letters, digits, dots, _ and -, with {name} and",
    ),
    "state among the dead letters": (
        '[state]\ntopic = "{name}.dlq"\n',
        "state.topic: is also a dead-letter topic; give another name.",
    ),
    "a drain longer than Kafka waits": (
        "[delivery]\ndrain_timeout_s = 300\n",
        "delivery.drain_timeout_s: must be below 300, Kafka's max.poll.interval.ms",
    ),
    "a drain longer than Kafka is told to wait": (
        '[kafka.consumer]\n"max.poll.interval.ms" = 20000\n',
        "delivery.drain_timeout_s: must be below 20, Kafka's max.poll.interval.ms",
    ),
    "an end before the beginning": (
        "[errors]\nretry_timeout_s = -5\n",
        "errors.retry_timeout_s: give seconds from 0, or -1 for ever.",
    ),
    "a minimum above the window": (
        "[errors]\nsystemic_min = 2000\n",
        "errors.systemic_min: must not be above errors.systemic_window.",
    ),
    "an open door without a lock": (
        '[admin]\nhost = "0.0.0.0"\n',
        "admin.token_file: admin.host lets other machines in; give the file of an admin token",
    ),
}

REPLACED: dict[str, tuple[str, str, str]] = {
    "no topics": (
        'topics = ["capillary.events"]',
        "",
        'kafka.topics: no source; give topics = ["…"] or topics_regex.',
    ),
    "topics and a pattern": (
        "[kafka]",
        "[kafka]\ntopics_regex = '^a'",
        "kafka.topics_regex: is given beside kafka.topics; keep one of them.",
    ),
    "a pattern that is none": (
        'topics = ["capillary.events"]',
        "topics_regex = '^(a'",
        "kafka.topics_regex: is no regular expression",
    ),
    "a text for a list": (
        '["capillary.events"]',
        '"capillary.events"',
        "kafka.topics: give a list of text; in the environment, separated by commas.",
    ),
    "a topic no broker takes": (
        "capillary.events",
        "capillary events",
        "kafka.topics: 'capillary events' is no name of a topic",
    ),
    "our own dead letters as a source": (
        '"capillary.events"',
        '"capillary.events", "capillary.events.dlq"',
        "kafka.topics: capillary.events.dlq is our own dead-letter or state topic; take it out",
    ),
    "our own state as a source": (
        "capillary.events",
        "capillary-aep.state",
        "kafka.topics: capillary-aep.state is our own dead-letter or state topic; take it out",
    ),
    "servers with a scheme": (
        "localhost:9092",
        "http://localhost:9092",
        "kafka.bootstrap_servers: give host:port, several separated by commas, without a scheme",
    ),
    "blank servers": (
        "localhost:9092",
        "",
        "kafka.bootstrap_servers: give text: host:port, several separated by commas.",
    ),
    "no client id": (
        'client_id = "the-client"',
        "",
        "ims.client_id: missing; give text: the client id of the OAuth credential.",
    ),
    "a header in the client id": (
        '"the-client"',
        '"a\\r\\nx: y"',
        "ims.client_id: give text: the client id of the OAuth credential.",
    ),
    "no secret": (
        'client_secret = "the-secret-canary"',
        "",
        "ims.client_secret_file: no secret; give the path of the file that holds it",
    ),
    "a secret and its file": (
        "[ims]",
        '[ims]\nclient_secret_file = "/x"',
        "ims.client_secret_file: is given beside ims.client_secret; keep one of them.",
    ),
    "the next secret and its file": (
        "[ims]",
        '[ims]\nclient_secret_next = "canary"\nclient_secret_next_file = "/x"',
        "ims.client_secret_next_file: is given beside ims.client_secret_next; keep one of them.",
    ),
    "a secret that is a number": (
        '"the-secret-canary"',
        "4711",
        "ims.client_secret: give text (better: the file that holds it, with _file behind the key).",
    ),
    "IMS over http": (
        "[ims]",
        '[ims]\ntoken_url = "http://ims.example.com/ims/token"',
        (
            "ims.token_url: http:// would send secrets readable by others; use https://, or set "
            "ims.allow_http = true."
        ),
    ),
    "the platform over http": (
        "[experience_platform]",
        '[experience_platform]\nendpoint = "http://dcs.example.com"',
        "experience_platform.endpoint: http:// would send secrets readable by others",
    ),
    "the Schema Registry API over http": (
        "[experience_platform]",
        '[experience_platform]\nplatform_endpoint = "http://platform.example.com"',
        "experience_platform.platform_endpoint: http:// would send secrets readable by others",
    ),
    "the metadata service as IMS": (
        "[ims]",
        '[ims]\nallow_http = true\ntoken_url = "http://169.254.169.254/latest"',
        "ims.token_url: points to a link-local or metadata address; give the real host.",
    ),
    "a query in the token URL": (
        "[ims]",
        '[ims]\ntoken_url = "https://ims.example.com/token?client_secret=canary"',
        "ims.token_url: holds a query (?) or a fragment (#); take it out.",
    ),
    "a proxy without a scheme": (
        "[ims]",
        '[ims]\nproxy = "proxy.example.com:3128"',
        "ims.proxy: give http://host:port, or http://user:password@host:port.",
    ),
    "an organisation without its suffix": (
        "@AdobeOrg",
        "",
        "experience_platform.org_id: give text: 24 letters and digits followed by @AdobeOrg.",
    ),
    "a tenant with its underscore": (
        '"acme"',
        '"_acme"',
        "experience_platform.tenant: give text: the tenant's name without a leading _, such as",
    ),
    "a sandbox that could end a header": (
        "[experience_platform]",
        '[experience_platform]\nsandbox_name = "prod\\n"',
        "experience_platform.sandbox_name: give text: a sandbox's name: lower-case letters",
    ),
    "a name that no topic could have": (
        "[kafka]",
        'name = "my connector"\n[kafka]',
        "name: give text: up to 100 letters, digits, dots, _ and -",
    ),
    "a table that is a value": (
        "[kafka]",
        "kafka = 3\n[other]",
        "kafka: give a table.",
    ),
    "no targets": (
        "[experience_platform.targets.event]",
        "[other]",
        (
            "experience_platform.targets: none is given; add a table such as "
            "[experience_platform.targets.event]."
        ),
    ),
}

VARIABLES: dict[str, tuple[str, str, str]] = {
    "a misspelt variable": (
        "PROCESSOR_KAFKA__TOPCS",
        "a",
        (
            "PROCESSOR_KAFKA__TOPCS: no setting has this variable; did you mean "
            "PROCESSOR_KAFKA__TOPICS?"
        ),
    ),
    "a variable misspelt so that it fits another table better": (
        "PROCESSOR_KAFKA__TOPIC",
        "a",
        (
            "PROCESSOR_KAFKA__TOPIC: no setting has this variable; did you mean "
            "PROCESSOR_KAFKA__TOPICS?"
        ),
    ),
    "a variable with one underscore": (
        "PROCESSOR_KAFKA_TOPICS",
        "a",
        (
            "PROCESSOR_KAFKA_TOPICS: no setting has this variable; did you mean "
            "PROCESSOR_KAFKA__TOPICS?"
        ),
    ),
    "a variable without its table": (
        "PROCESSOR_OGR_ID",
        "a",
        (
            "PROCESSOR_OGR_ID: no setting has this variable; did you mean "
            "PROCESSOR_EXPERIENCE_PLATFORM__ORG_ID?"
        ),
    ),
    "a variable like no other": (
        "PROCESSOR_ZZZZQQQ",
        "a",
        "PROCESSOR_ZZZZQQQ: no setting has this variable; the settings file shows what is.",
    ),
    "a variable for a table": (
        "PROCESSOR_KAFKA",
        '{"topics": ["a"]}',
        "PROCESSOR_KAFKA: names a table; set its keys, such as PROCESSOR_KAFKA__BOOTSTRAP_SERVERS.",
    ),
    "a variable for a table of free names": (
        "PROCESSOR_KAFKA__PROPERTIES",
        "{}",
        (
            "PROCESSOR_KAFKA__PROPERTIES: names a table; set its keys, such as "
            "PROCESSOR_KAFKA__PROPERTIES__<NAME>."
        ),
    ),
    "a variable for a property without a name": (
        "PROCESSOR_KAFKA__PROPERTIES__",
        "a",
        "PROCESSOR_KAFKA__PROPERTIES__: no setting has this variable",
    ),
    "a key below a value": (
        "PROCESSOR_TASKS_MAX__X",
        "1",
        "PROCESSOR_TASKS_MAX__X: no setting has this variable",
    ),
    "a wrong value in a variable": (
        "PROCESSOR_TASKS_MAX",
        "many",
        "tasks_max (from PROCESSOR_TASKS_MAX): give a whole number above 0.",
    ),
    "an empty list in a variable": (
        "PROCESSOR_KAFKA__TOPICS",
        "",
        'kafka.topics: no source; give topics = ["…"] or topics_regex.',
    ),
    "a file beside the secret of the file": (
        "PROCESSOR_IMS__CLIENT_SECRET_FILE",
        "/x",
        "ims.client_secret_file: is given beside ims.client_secret; keep one of them.",
    ),
}


@pytest.mark.parametrize(("added", "sentence"), ADDED.values(), ids=ADDED)
def test_an_addition_that_is_wrong(
    complaint: Complaint, good: str, added: str, sentence: str
) -> None:
    text = complaint(good + added)

    assert f"\n  {sentence}" in text
    assert "canary" not in text


@pytest.mark.parametrize(("old", "new", "sentence"), REPLACED.values(), ids=REPLACED)
def test_a_change_that_is_wrong(
    complaint: Complaint, good: str, old: str, new: str, sentence: str
) -> None:
    assert old in good

    text = complaint(good.replace(old, new, 1))

    assert f"\n  {sentence}" in text
    assert "canary" not in text


@pytest.mark.parametrize(("variable", "value", "sentence"), VARIABLES.values(), ids=VARIABLES)
def test_a_variable_that_is_wrong(
    complaint: Complaint, variable: str, value: str, sentence: str
) -> None:
    text = complaint(environ={variable: value})

    assert f"\n  {sentence}" in text
    assert "canary" not in text


def test_a_name_cannot_write_to_the_terminal(complaint: Complaint, good: str) -> None:
    text = complaint(good + '[gate]\n"\\u001b[2J" = 1\n', {"PROCESSOR_\x1b[2J": "1"})

    assert "\x1b" not in text
    assert r"\x1b[2J" in text

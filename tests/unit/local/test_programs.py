import tomllib

from processor.local.programs import clean_environment, read_metrics, toml


def test_a_settings_file_reads_back_as_it_was_given() -> None:
    tables = {
        "name": 'quo"te\nüñ',
        "kafka": {"topics": ["a", "b"], "properties": {"sasl.password": "p=#"}},
        "experience_platform": {"targets": {"event": {"messages_per_second": 0.5}}},
        "gzip": True,
    }

    assert tomllib.loads(toml(tables)) == tables


def test_keys_of_a_table_stand_before_the_tables_inside_it() -> None:
    tables = {"inner": {"deep": {"one": 1}, "two": 2}, "three": 3}

    assert tomllib.loads(toml(tables)) == tables


def test_metrics_are_found_by_name_and_labels() -> None:
    text = '# HELP a b\na_total{topic="x",partition="0"} 3.0\nb 1.5e+01\nc{le="+Inf"} 2\n'

    samples = read_metrics(text)

    assert samples["a_total", frozenset({("topic", "x"), ("partition", "0")})] == 3
    assert samples["b", frozenset()] == 15
    assert samples["c", frozenset({("le", "+Inf")})] == 2


def test_a_child_does_not_inherit_settings() -> None:
    given = {"PROCESSOR_KAFKA__TOPICS": "a", "PATH": "/bin"}

    assert clean_environment(given) == {"PATH": "/bin"}

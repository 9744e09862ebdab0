"""The sample expressions of Adobe's page of functions, with what the page says they give.

Source: Data Prep mapping functions (help/data-prep/functions.md of Adobe's documentation), the
version with all tables, and the later rows for arrays and maps. A sample that is wrong, or cannot
be read as it is written, says so: then `gives` is what we give, and `why` the reason.
"""

from dataclasses import dataclass
from typing import Any

NOTHING = object()
BOOK = '{"author": "George R. R. Martin", "price": 17.99, "ISBN": "ISBN-978-0553801477"}'
OTHER = (
    '{"author": "Neil Gaiman", "price": 17.99, "ISBN": "ISBN-0-380-97365-0", '
    '"publisher": "William Morrow"}'
)
ADDRESSES = '[{"line1": "345 park ave", "type": "home"}, {"line1": "1 high st", "type": "work"}]'
BY_TYPE = {
    "home": {"line1": "345 park ave", "type": "home"},
    "work": {"line1": "1 high st", "type": "work"},
}
IPHONE = (
    '"Mozilla/5.0 (iPhone; CPU iPhone OS 5_1_1 like Mac OS X) AppleWebKit/534.46 '
    '(KHTML, like Gecko) Version/5.1 Mobile/9B206 Safari/7534.48.3"'
)
FERRET = '"foo://example.com:8042/over/there?name=ferret#nose"'
PARIS_MS = 1_635_255_839_000
"""2021-10-26T13:43:59Z, which is 15:43:59 in Paris: the page's moment."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample.

    Attributes:
        expression: as it runs here.
        says: what the page says it gives.
        gives: what we give, where that is something else.
        why: the reason; also where the page's expression itself cannot be read.
        written: as the page has it, where that is something else.
        timestamp_ms: of the record, where the sample asks the time.
        data: of the event.
    """

    expression: str
    says: Any
    gives: Any = NOTHING
    why: str = ""
    written: str = ""
    timestamp_ms: int | None = None
    data: dict[str, Any] | None = None

    @property
    def expected(self) -> Any:
        return self.says if self.gives is NOTHING else self.gives


SAMPLES = (
    Sample('concat("Hi, ", "there", "!")', "Hi, there!"),
    Sample(
        'explode("Hi, there!", " ")',
        ["Hi,", "there"],
        gives=["Hi,", "there!"],
        why="the page loses the exclamation mark",
    ),
    Sample('instr("adobe.com", "com")', 6),
    Sample(
        'replacestr("This is a string re test", "re", "replace")', "This is a string replace test"
    ),
    Sample('substr("This is a substring test", 7, 8)', " a subst"),
    Sample('lower("HeLLo")', "hello"),
    Sample('lcase("HeLLo")', "hello"),
    Sample('upper("HeLLo")', "HELLO"),
    Sample('ucase("HeLLo")', "HELLO"),
    Sample('split("Hello world", " ")', ["Hello", "world"]),
    Sample('join(" ", to_array(true, "Hello", "world"))', "Hello world"),
    Sample('lpad("bat", 8, "yz")', "yzyzybat"),
    Sample('rpad("bat", 8, "yz")', "batyzyzy"),
    Sample('left("abcde", 2)', "ab"),
    Sample('right("abcde", 2)', "de"),
    Sample('ltrim(" hello")', "hello"),
    Sample('rtrim("hello ")', "hello"),
    Sample('trim(" hello ")', "hello"),
    Sample('"string1".equals("STRING1")', says=False),
    Sample(
        '"string1".equalsIgnoreCase("STRING1")',
        says=True,
        why="a quote is missing on the page",
        written='"string1".equalsIgnoreCase("STRING1)',
    ),
    Sample(
        'extract_regex("E259,E259B_009,1_1", "([^,]+),[^,]*,([^,]+)")',
        ["E259,E259B_009,1_1", "E259", "1_1"],
    ),
    Sample('matches_regex("E259,E259B_009,1_1", "([^,]+),[^,]*,([^,]+)")', says=True),
    Sample('sha1("my text", "UTF-8")', "c3599c11e47719df18a2448690840c5dfcce3c80"),
    Sample(
        'sha256("my text", "UTF-8")',
        "7330d2b39ca35eaf4cb95fc846c21ee6a39af698154a83a586ee270a0d372104",
    ),
    Sample(
        'sha512("my text", "UTF-8")',
        "a3d7e45a0d9be5fd4e4b9a3b8c9c2163c21ef708bf11b4232bb21d2a8704ada2"
        "cdcd7b367dd0788a89a5c908cfe377aceb1072a7b386b7d4fd2ff68a8fd24d16",
    ),
    Sample('md5("my text", "UTF-8")', "d3b96ce8c9fb4e9bd0198d03ba6852c7"),
    Sample('crc32("my text", "UTF-8")', "8df92e80"),
    Sample("now()", "2021-10-26T10:10:24Z", timestamp_ms=1_635_243_024_000),
    Sample("timestamp()", 1_571_850_624_571, timestamp_ms=1_571_850_624_571),
    Sample(
        'format(date("2019-10-23T11:24:00+00:00"), "yyyy-MM-dd HH:mm:ss")',
        "2019-10-23 11:24:35",
        gives="2019-10-23 11:24:00",
        why="a date is not written without quotes, and the page's seconds are not its input's",
        written='format(2019-10-23T11:24:00+00:00, "yyyy-MM-dd HH:mm:ss")',
    ),
    Sample("dformat(1571829875000, \"yyyy-MM-dd'T'HH:mm:ss.SSSX\")", "2019-10-23T11:24:35.000Z"),
    Sample(
        'date("2019-10-23 11:24", "yyyy-MM-dd HH:mm", now())',
        "2019-10-23T11:24:00Z",
        timestamp_ms=0,
    ),
    Sample('date("2019-10-23 11:24", "yyyy-MM-dd HH:mm")', "2019-10-23T11:24:00Z"),
    Sample('date("2019-10-23 11:24")', "2019-10-23T11:24:00Z"),
    Sample('date_part("MM", date("2019-10-17 11:55:12"))', 10),
    Sample(
        'set_date_part("m", 4, date("2016-11-09T11:44:44.797"))',
        "2016-04-09T11:44:44Z",
        gives="2016-04-09T11:44:44.797Z",
        why="a bracket is missing, and the page loses the milliseconds",
        written='set_date_part("m", 4, date("2016-11-09T11:44:44.797")',
    ),
    *(
        Sample(
            f'{name}(2019, 10, 17, 11, 55, 12, 999, "America/Los_Angeles")',
            "2019-10-17T11:55:12Z",
            gives="2019-10-17T11:55:12-07:00",
            why="the page shows the hour of Los Angeles as if it were UTC's",
        )
        for name in ("make_date_time", "make_timestamp")
    ),
    Sample(
        'zone_date_to_utc(date("2019-10-17 11:55:12-0800", "yyyy-MM-dd HH:mm:ssZ"))',
        "2019-10-17T19:55:12Z",
        why="a date is not written without quotes, and a bracket is missing",
        written="zone_date_to_utc(2019-10-17T11:55:12 PST",
    ),
    Sample(
        'zone_date_to_zone(now(), "Europe/Paris")',
        "2021-10-26T15:43:59Z",
        gives="2021-10-26T15:43:59+02:00",
        why="the page names the other function, and shows the hour of Paris as if it were UTC's",
        written='zone_date_to_utc(now(), "Europe/Paris")',
        timestamp_ms=PARIS_MS,
    ),
    Sample("size_of([1, 2, 3, 4])", 4),
    Sample("is_empty([1, 2, 3])", says=False),
    Sample("is_empty([1, null, 2, 3])", says=False),
    Sample(
        "arrays_to_objects('sku', explode(\"id1|id2\", '\\\\|'), 'price', [22.5,14.35])",
        [{"sku": "id1", "price": 22.5}, {"sku": "id2", "price": 14.35}],
        why="its row is named arrays_to_object; both names run",
        written="arrays_to_object(...)",
    ),
    Sample(
        'to_object("firstName", "John", "lastName", "Doe")',
        {"firstName": "John", "lastName": "Doe"},
    ),
    Sample(
        'str_to_object("firstName=John,lastName=Doe,phone=123 456 7890", "=", ",")',
        {"firstName": "John", "lastName": "Doe", "phone": "123 456 7890"},
    ),
    Sample(
        'str_to_object("firstName - John ; lastName - ; - 123 345 7890", "-", ";")',
        {"firstName": "John", "lastName": "Doe", "phone": "123 456 7890"},
        gives={"firstName": "John", "lastName": "", "": "123 345 7890"},
        why="the page gives names and digits that its text does not hold",
    ),
    Sample(
        'str_to_object("firstName - John ; lastName - ; phone - 123 456 7890", "-", ";")'
        '.get("firstName")',
        "John",
    ),
    Sample(
        'contains_key("data.text")',
        says=True,
        data={"text": "x"},
        written='contains_key("evars.evar.field1")',
    ),
    Sample("nullify()", None),
    Sample(
        'get_keys({"book1": "Pride and Prejudice", "book2": "1984"})',
        ["book1", "book2"],
    ),
    Sample(
        'get_values("firstName - John , lastName - Cena , phone - 555 420 8692", '
        '"firstName", "-", ",")',
        "John",
    ),
    Sample(
        f'map_get_values({BOOK}, "author")',
        {"author": "George R. R. Martin"},
        gives="George R. R. Martin",
        why="the page's text says that one key gives its value, its sample shows an object",
        written='map_get_values(book_details,"author")',
    ),
    Sample(
        f'map_has_keys({BOOK}, "author")', says=True, written='map_has_keys(book_details,"author")'
    ),
    Sample(
        f"add_to_map({BOOK}, {OTHER})",
        {
            "author": "George R. R. Martin",
            "price": 17.99,
            "ISBN": "ISBN-978-0553801477",
            "publisher": "William Morrow",
        },
        written="add_to_map(book_details, book_details2)",
    ),
    Sample(
        'object_to_map("firstName", "John", "lastName", "Doe")',
        {"firstName": "John", "lastName": "Doe"},
    ),
    Sample(
        'object_to_map({"line1": "345 park ave", "City": "san jose"})',
        {"line1": "345 park ave", "City": "san jose"},
        written="object_to_map(address)",
    ),
    Sample(
        f'object_to_map({ADDRESSES}, "type")',
        BY_TYPE,
        why="the key is a name without quotes on the page, which is a field here",
        written="object_to_map(addresses,type)",
    ),
    Sample(
        f'array_to_map({ADDRESSES}, "type")', BY_TYPE, written='array_to_map(addresses, "type")'
    ),
    Sample(
        'to_map("firstName", "John", "lastName", "Doe")',
        {"firstName": "John", "lastName": "Doe"},
    ),
    Sample('coalesce(null, null, null, "first", null, "second")', "first"),
    Sample('first("1", "2", "3")', "1"),
    Sample('last("1", "2", "3")', "3"),
    Sample("add_to_array(['a', 'b'], 'c', 'd')", ["a", "b", "c", "d"]),
    Sample("join_arrays(['a', 'b'], ['c'], ['d', 'e'])", ["a", "b", "c", "d", "e"]),
    Sample("to_array(false, 1, null, 2, 3)", [1, 2, 3]),
    Sample("upsert_array_append([123, 456])", [123, 456]),
    Sample("upsert_array_replace([123, 456], 1)", [123, 456]),
    *(
        Sample(
            'decode(data.text, "ca", "California", "pa", "Pennsylvania", "N/A")',
            name,
            data={"text": code},
            written='decode(stateCode, "ca", "California", "pa", "Pennsylvania", "N/A")',
        )
        for code, name in (("ca", "California"), ("pa", "Pennsylvania"), ("tx", "N/A"))
    ),
    Sample('iif("s".equalsIgnoreCase("S"), "True", "False")', "True"),
    Sample("min(3, 1, 4)", 1),
    Sample("max(3, 1, 4)", 4),
    Sample('to_bigint("1000000.34")', 1000000.34),
    Sample('to_decimal("20.5")', 20.5),
    Sample(
        'to_float("12.3456")', 12.34566, gives=12.3456, why="the page has a digit that no float has"
    ),
    Sample('to_integer("12")', 12),
    Sample(
        'json_to_object("{\\"info\\": {\\"firstName\\": \\"John\\", \\"lastName\\": \\"Doe\\"}}")',
        {"info": {"firstName": "John", "lastName": "Doe"}},
        why="JSON is a text, which has quotes",
        written='json_to_object({"info":{"firstName":"John","lastName": "Doe"}})',
    ),
    *(
        Sample(
            f"{name}()",
            random,
            gives=ours,
            why="the page's are random; ours come again when the event does",
        )
        for name, random, ours in (
            (
                "uuid",
                "7c0267d2-bb74-4e1a-9275-3bf4fccda5f4",
                "2084e2d1-22c7-55e9-9953-b5ff07d57fb6",
            ),
            (
                "guid",
                "c7016dc7-3163-43f7-afc7-2e1c9c206333",
                "2084e2d1-22c7-55e9-9953-b5ff07d57fb6",
            ),
        )
    ),
)

REFUSED = (
    'get_url_protocol("https://platform.adobe.com/home")',
    'get_url_host("https://platform.adobe.com/home")',
    'get_url_port("sftp://example.com//home/joe/employee.csv")',
    'get_url_path("sftp://example.com//home/joe/employee.csv")',
    *(f'get_url_query_str({FERRET}, "{anchor}")' for anchor in ("retain", "remove", "append")),
    *(
        f"{name}({IPHONE})"
        for name in (
            "ua_os_name",
            "ua_os_version_majors",
            "ua_os_version",
            "ua_os_name_version",
            "ua_agent_version",
            "ua_agent_version_major",
            "ua_agent_name",
            "ua_device_class",
        )
    ),
    'fpid_to_ecid("4ed70bee-b654-420a-a3fd-b58b6b65e991")',
    'array_to_string(";", ["Hello", "world"])',
    "flattenArray([['a', 'b'], ['c', 'd']], [['e'], ['f']])",
    'aa_get_event_id("event101=5:123456,scOpen", "event101")',
)
"""The samples of the functions that are not run."""

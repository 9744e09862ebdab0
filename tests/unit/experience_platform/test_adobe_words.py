import pytest

from processor.experience_platform import adobe_words


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        (
            "extraneous key [workEmail] is not permitted",
            "extraneous key [workEmail] is not permitted",
        ),
        ("#: required key [timestamp] not found", "required key [timestamp] not found"),
        ("#/_id: expected type: String, found: Long", "expected type: String, found: Long"),
        ("expected minLength: 2, actual: 1", "expected minLength: 2, actual: 1"),
        ("2 schema violations found", "2 schema violations found"),
        ("[canary] is not a valid date-time. Expected [yyyy]", "not a valid date-time"),
        ("#/state: canary is not a valid enum value", "not a valid enum value"),
        ("string [canary] does not match pattern ^canary$", "does not match the pattern"),
        ("4111111111111111 is not less or equal to 9", "is not less or equal to the limit"),
        (
            "inletId: [9b] imsOrgId: [canary] Message has unknown xdm format",
            "Message has unknown xdm format",
        ),
        (
            "Message has an absent or wrong ims org in the header",
            "Message has an absent or wrong ims org in the header",
        ),
        (
            "The 'header' field is mandatory. Provide a valid 'header' value and try again.",
            "The 'header' field is mandatory",
        ),
        ("DCVS-1104-400: canary", "DCVS-1104-400"),
        ("[id] Ims service token is empty", "Ims service token is empty"),
        ("extraneous key [canary@example.com] is not permitted", ""),
        ("canary extraneous key [a] is not permitted", ""),
        ("canary", ""),
        ("", ""),
        (None, ""),
        (["canary"], ""),
        ("x" * 100_000, ""),
    ],
)
def test_a_sentence_is_kept_only_as_far_as_it_quotes_nothing(
    sentence: object, expected: str
) -> None:
    assert adobe_words.without_values(sentence) == expected


@pytest.mark.parametrize(
    ("pointer", "expected"),
    [
        ("#/loyalty/points/0/value", "#/loyalty/points/0/value"),
        ("/loyalty", "#/loyalty"),
        ("#", "#"),
        ("", "#"),
        ("canary", "#"),
        (None, "#"),
        ("#/identityMap/canary@example.com", "#/identityMap/*"),
        ("#/a\r\nb", "#/*"),
        ("#" + "/a" * 100, "#" + "/a" * 32),
    ],
)
def test_a_pointer_keeps_names_of_fields_and_positions_only(pointer: object, expected: str) -> None:
    assert adobe_words.safe_pointer(pointer) == expected


@pytest.mark.parametrize(
    ("pointer", "expected"),
    [("#/a/0/b", "/a/*/b"), ("#/a/17", "/a/*"), ("#", ""), ("#/_id", "/_id"), ("#/a1", "/a1")],
)
def test_a_fingerprints_pointer_has_no_array_positions(pointer: str, expected: str) -> None:
    assert adobe_words.generalised(pointer) == expected

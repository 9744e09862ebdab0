"""The functions that expressions may call: a closed list, each as Adobe documents it.

A null argument makes the result null, unless a function says that it looks at nulls itself.

Source: Data Prep mapping functions. What Adobe leaves open is said at the function.
"""

import difflib
from collections.abc import Mapping
from types import MappingProxyType

from processor.mapping import functions_of_dates, functions_of_structures, functions_of_values
from processor.mapping.signature import Function

FUNCTIONS: Mapping[str, Function] = MappingProxyType(
    {
        function.name: function
        for module in (functions_of_values, functions_of_dates, functions_of_structures)
        for function in module.TABLE
    }
)
"""Every function by name."""

_URL = "no event of Capillary holds a URL to take apart; extract_regex() takes parts of a text"
_AGENT = "it needs a list of devices that changes weekly; send the user agent as it is"
_ANALYTICS = "Data Prep has it for Adobe Analytics only"
_DESTINATIONS = "Data Prep has it for destinations only"

NOT_RUN: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                "get_url_protocol",
                "get_url_host",
                "get_url_port",
                "get_url_path",
                "get_url_query_str",
            ),
            _URL,
        ),
        **dict.fromkeys(
            (
                "ua_os_name",
                "ua_os_version_major",
                "ua_os_version",
                "ua_os_name_version",
                "ua_agent_version",
                "ua_agent_version_major",
                "ua_agent_name",
                "ua_device_class",
            ),
            _AGENT,
        ),
        **dict.fromkeys(
            (
                "aa_get_event_id",
                "aa_get_event_value",
                "aa_get_product_categories",
                "aa_get_product_names",
                "aa_get_product_quantity",
                "aa_get_product_price",
                "aa_get_product_event_values",
                "aa_get_product_evars",
            ),
            _ANALYTICS,
        ),
        **dict.fromkeys(
            ("array_to_string", "filterArray", "transformArray", "flattenArray"), _DESTINATIONS
        ),
        "fpid_to_ecid": "Adobe does not say how it is computed; send the FPID as an identity",
    }
)
"""What Data Prep documents and this product does not run, each with the reason and a way out."""


def unknown(name: str) -> str:
    """Say why there is no such function, and which one may have been meant."""
    reason = NOT_RUN.get(name) or (_AGENT if name.startswith("ua_") else None)
    if reason is not None:
        return f"{name}() is a Data Prep function that is not run here: {reason}"
    near = difflib.get_close_matches(name, FUNCTIONS, n=1, cutoff=0.5)
    meant = f"; did you mean {near[0]}?" if near else ""
    return f"there is no function {name}(){meant}"

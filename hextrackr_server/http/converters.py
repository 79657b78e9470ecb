"""The path parameter that names an import.

The text is of limited length: Python raises an error for integers of thousands of digits.
"""

from __future__ import annotations

from starlette.convertors import StringConvertor, register_url_convertor

#: Name of the converter of a number or a text such as a UUID: `{key:import_id}`.
IMPORT_ID = "import_id"


class _ImportId(StringConvertor):
    regex = "[A-Za-z0-9._:-]{1,128}"


register_url_convertor(IMPORT_ID, _ImportId())

"""Path parameters of limited length: numbers, and IDs of imports.

Python raises an error for integers of thousands of digits. A path with such a number gets 404.
"""

from __future__ import annotations

from starlette.convertors import IntegerConvertor, StringConvertor, register_url_convertor

#: Name of the converter: `{import_id:number}`.
NUMBER = "number"


#: Name of the converter of a number or a text such as a UUID: `{key:import_id}`.
IMPORT_ID = "import_id"


class _Number(IntegerConvertor):
    regex = "[0-9]{1,18}"


class _ImportId(StringConvertor):
    regex = "[A-Za-z0-9._:-]{1,128}"


register_url_convertor(NUMBER, _Number())
register_url_convertor(IMPORT_ID, _ImportId())

"""Path parameter of limited length for numbers.

Python raises an error for integers of thousands of digits. A path with such a number gets 404.
"""

from __future__ import annotations

from starlette.convertors import IntegerConvertor, register_url_convertor

#: Name of the converter: `{import_id:number}`.
NUMBER = "number"


class _Number(IntegerConvertor):
    regex = "[0-9]{1,18}"


register_url_convertor(NUMBER, _Number())

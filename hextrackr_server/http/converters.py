"""Numbers in paths.

Knows: how long a number may be.  Does not know: which paths there are.
Python refuses to read a number of thousands of digits; such a path names nothing, and is answered
so before anything reads it.
"""

from __future__ import annotations

from starlette.convertors import IntegerConvertor, register_url_convertor

#: The kind of a path's parameter: `{import_id:number}`.
NUMBER = "number"


class _Number(IntegerConvertor):
    regex = "[0-9]{1,18}"


register_url_convertor(NUMBER, _Number())

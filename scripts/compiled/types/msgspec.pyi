from typing import dataclass_transform

@dataclass_transform()
class StructMeta(type): ...

class Struct(metaclass=StructMeta):
    def __init_subclass__(cls, *, eq: bool = ...) -> None: ...

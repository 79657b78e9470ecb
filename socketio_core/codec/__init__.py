"""Wire formats of Socket.IO: packet types, the JSON and MessagePack parsers, attachments."""

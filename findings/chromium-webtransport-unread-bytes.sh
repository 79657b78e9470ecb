#!/usr/bin/env bash
# Chromium: the end of a WebTransport session discards acknowledged bytes that the page has not read.
#
# A server writes its last messages to a stream, ends the stream, waits until QUIC reports that the client has
# acknowledged everything, and closes the session. Over TCP and WebSocket, a page that is busy meanwhile still receives
# these messages, because they are in front of the end. Chromium acknowledges the bytes when it receives them; if the
# session closes before the page reads them, `read()` fails, and the bytes are lost. A page that reads in time gets them.
# A server therefore must not close a session because everything was acknowledged: only an answer of the page itself
# shows that it has read the last message.
#
# Affected: protocols that send a last message and close, such as a refusal, a disconnect notice, or events before
# `socket.disconnect(true)` of Socket.IO over WebTransport. engine.io 6.6 waits for no answer before it closes.
# Seen with Chromium 156 and aioquic 1.7.2.
# Source: W3C WebTransport, "cleanup" of a session: all of its streams are errored; WHATWG Streams,
# ReadableStreamDefaultControllerError: an error empties the queue.
# Needs: chromium, node, npm, python3.
set -euo pipefail
work=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check aioquic==1.7.2 cryptography==50.0.2
npm install --silent --no-audit --no-fund --prefix "$work" playwright-core@1.60.0 >/dev/null

# A WebTransport server. For each stream of a client it sends 8 messages of 1,000 bytes and the end of the stream, and
# half a second after the client has acknowledged them it closes the session.
cat > server.py <<'PYTHON'
import asyncio
import datetime
import json

from aioquic.asyncio import QuicConnectionProtocol, serve
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import HeadersReceived, WebTransportStreamDataReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ProtocolNegotiated
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

CLOSE_SESSION = bytes.fromhex("6843 04 00000000")  # a capsule: type 0x2843, 4 bytes, code 0


class Protocol(QuicConnectionProtocol):
    http = None
    session = None
    closing = None

    def quic_event_received(self, event):
        if isinstance(event, ProtocolNegotiated):
            self.http = H3Connection(self._quic, enable_webtransport=True)
        for each in self.http.handle_event(event) if self.http else ():
            if isinstance(each, HeadersReceived):
                self.session = each.stream_id
                head = [(b":status", b"200"), (b"sec-webtransport-http3-draft", b"draft02")]
                self.http.send_headers(self.session, head)
            elif isinstance(each, WebTransportStreamDataReceived) and self.closing is None:
                self.closing = asyncio.ensure_future(self.answer(each.stream_id))
        self.transmit()

    async def answer(self, stream):
        for number in range(8):
            self._quic.send_stream_data(stream, b"%d" % number * 1000, end_stream=number == 7)
        self.transmit()
        await self.ping()  # acknowledged behind the messages
        await asyncio.sleep(0.5)
        self.http.send_data(self.session, CLOSE_SESSION, end_stream=True)
        self.transmit()


async def main():
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(days=9))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False).sign(key, hashes.SHA256())
    )
    configuration = QuicConfiguration(is_client=False, alpn_protocols=H3_ALPN, max_datagram_frame_size=65536)
    configuration.certificate, configuration.private_key = certificate, key
    server = await serve("127.0.0.1", 0, configuration=configuration, create_protocol=Protocol)
    port = server._transport.get_extra_info("sockname")[1]
    print(json.dumps({"port": port, "hash": list(certificate.fingerprint(hashes.SHA256()))}), flush=True)
    await asyncio.sleep(120)


asyncio.run(main())
PYTHON

cat > program.js <<'NODE'
const { createServer } = require("node:http");
const { chromium } = require("playwright-core");
const { port, hash } = JSON.parse(process.argv[3]);

// In the page: begin to read after some milliseconds; return the bytes and the error.
async function read({ port, hash, delay }) {
  const options = { serverCertificateHashes: [{ algorithm: "sha-256", value: new Uint8Array(hash) }] };
  const session = new WebTransport(`https://127.0.0.1:${port}/`, options);
  session.closed.catch(() => {});
  await session.ready;
  const stream = await session.createBidirectionalStream();
  const writer = stream.writable.getWriter();
  await writer.write(new TextEncoder().encode("begin"));
  await new Promise((done) => setTimeout(done, delay));
  const reader = stream.readable.getReader();
  let bytes = 0, error = "none";
  try {
    for (let part; !(part = await reader.read()).done; ) bytes += part.value.length;
  } catch (caught) {
    error = caught.name;
  }
  return { bytes, error };
}

async function main() {
  const site = createServer((request, response) => response.end("<p>page"));
  await new Promise((done) => site.listen(0, "127.0.0.1", done));
  const args = process.getuid() === 0 ? ["--no-sandbox"] : [];
  const browser = await chromium.launch({ executablePath: process.argv[2], args });
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${site.address().port}/`); // a secure context
  console.log("Chromium", browser.version());
  console.log("expected: 8000 bytes in both cases; the client acknowledged them before the session was closed");
  const early = await page.evaluate(read, { port, hash, delay: 0 });
  const late = await page.evaluate(read, { port, hash, delay: 3000 });
  console.log(`the page reads at once:               ${early.bytes} bytes, error ${early.error}`);
  console.log(`the page reads after the session end: ${late.bytes} bytes, error ${late.error}`);
  await browser.close();
  process.exit(early.bytes === 8000 && late.bytes < 8000 ? 0 : 1);
}
main();
setTimeout(() => process.exit(2), 60_000);
NODE
coproc SERVER { exec venv/bin/python server.py; }
server=$SERVER_PID
read -r -u "${SERVER[0]}" line
node program.js "$chromium" "$line"

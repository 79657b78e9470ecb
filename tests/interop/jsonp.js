"use strict";
// node jsonp.js PACKAGE URL
// Connect with forced JSONP in a document of scripts and forms, and print one report.
const http = require("node:http");
const vm = require("node:vm");
const { report } = require("./harness");

const [name, url] = process.argv.slice(2);

/** The part of a browser's document that the client uses. */
class Element {
  constructor(tag) {
    this.tag = tag;
    this.style = {};
    this.children = [];
  }

  setAttribute() {}

  appendChild(child) {
    child.parentNode = this;
    this.children.push(child);
    if (child.tag === "script") load(child);
  }

  insertBefore(child) {
    this.appendChild(child);
  }

  removeChild(child) {
    this.children = this.children.filter((each) => each !== child);
  }

  /** Post the text area, with the line breaks of a browser, and load the answer into the iframe. */
  submit() {
    const [area] = this.children;
    const value = area.value.replace(/\r?\n/g, "\r\n");
    const body = new URLSearchParams([[area.name, value]]).toString();
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    const iframe = this.children.find((each) => each.tag.includes("iframe"));
    request(this.action, { method: this.method, headers }, body, ({ type }) => {
      seen.posts.add(type);
      iframe.onload();
    });
  }
}

const seen = { scripts: new Set(), posts: new Set() };

function request(target, options, body, done) {
  const sent = http.request(target, options, (response) => {
    let text = "";
    response.setEncoding("utf8");
    response.on("data", (chunk) => (text += chunk));
    response.on("end", () => done({ text, status: response.statusCode, type: response.headers["content-type"] }));
  });
  sent.on("error", () => done({ text: "", status: 0 }));
  sent.end(body);
}

/** Load a script and evaluate it. */
function load(script) {
  request(script.src, {}, undefined, ({ text, status, type }) => {
    if (status !== 200) return script.onerror(new Error(`status ${status}`));
    seen.scripts.add(type);
    try {
      vm.runInThisContext(text);
    } catch (error) {
      finish({ error: String(error) });
    }
  });
}

const body = new Element("body");
globalThis.document = {
  body,
  createElement: (tag) => new Element(tag),
  getElementsByTagName: () => body.children.filter((each) => each.tag === "script"),
};

const library = require(name);
const io = library.io ?? library;
const socket = io(url, { transports: ["polling"], forceJSONP: true, upgrade: false, reconnection: false });
const finish = (data) => {
  report(data);
  process.exit(0);
};
setTimeout(() => finish({ error: "the case did not end within 270 s" }), 270_000);

const texts = ["a\nb", "a\\nb", "a\\\nb\r\n", 'quote " and \\', "</script>", "\u2028\u2029", "\u00fc\u20ac\u{1f600}", "&d=x+y%20z"];
socket.on("connect", () => {
  const answers = [];
  for (const text of texts) socket.emit("echo", text, (answer) => answers.push(answer));
  socket.emit("echo", Buffer.from([0, 1, 254, 255]), (binary) => {
    socket.on("disconnect", (reason) =>
      finish({
        different: texts.filter((text, index) => answers[index] !== text).map(escape),
        binary: [...new Uint8Array(binary)],
        reason,
        scripts: [...seen.scripts],
        posts: [...seen.posts],
      }),
    );
    socket.emit("leave");
  });
});
socket.on("connect_error", (error) => finish({ error: String(error) }));

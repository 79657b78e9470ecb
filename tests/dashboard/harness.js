"use strict";
// The pages of one case: opened with limits for a busy machine, and checked for errors at the end.
const assert = require("node:assert/strict");
const { mkdirSync, readFileSync } = require("node:fs");
const { createServer } = require("node:http");
const { expectNoViolations } = require("./axe");

// A limit ends a case that hangs; every wait ends as soon as its condition holds.
const LIMIT = 180_000;
const LOCAL = /^(127\.0\.0\.1|localhost|.*\.hextrackr\.test)$/;

class CaseContext {
  /** `given` are the arguments of the case; `call(name, ...values)` calls the Python test. */
  constructor(browser, given, call) {
    this.browser = browser;
    this.given = given;
    this.call = call;
    this.pages = [];
    this.contexts = [];
    this.servers = [];
    /** Errors that pages reported, and the patterns of those that the case expects. */
    this.errors = [];
    this.expected = [];
  }

  /** Open a browser context: a user with separate cookies and storage. */
  async newContext(options = {}) {
    const context = await this.browser.newContext({
      viewport: { width: 1280, height: 800 },
      reducedMotion: "reduce",
      ...options,
    });
    context.setDefaultTimeout(LIMIT);
    this.contexts.push(context);
    await context.exposeFunction("reportViolation", (text) => this.errors.push(`CSP: ${text}`));
    await context.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (event) => {
        window.reportViolation(`${event.effectiveDirective} blocked ${event.blockedURI} ${event.sample}`);
      });
    });
    return context;
  }

  /** Open a page, in a new context unless `context` is given. */
  async newPage({ context, ...options } = {}) {
    const page = await (context ?? (await this.newContext(options))).newPage();
    this.watch(page);
    return page;
  }

  /** Collect the errors of a page. */
  watch(page) {
    this.pages.push(page);
    page.on("console", (message) => {
      if (message.type() === "error") {
        this.errors.push(`console: ${message.text()} (${message.location().url})`);
      }
    });
    page.on("pageerror", (error) => this.errors.push(`page error: ${error.stack ?? error}`));
    // The pages work without internet access.
    page.on("request", (request) => {
      const { protocol, hostname } = new URL(request.url());
      if (/^(http|ws)s?:$/.test(protocol) && !LOCAL.test(hostname)) {
        this.errors.push(`request to another machine: ${request.url()}`);
      }
    });
    page.on("crash", () => this.errors.push("the page crashed"));
    // The browser reports file dialogs only after the first listener is registered.
    page.on("filechooser", () => {});
    // A dialog means that a script of a file or of an address ran; nothing in the pages opens dialogs.
    page.on("dialog", (dialog) => {
      this.errors.push(`dialog: ${dialog.message()}`);
      dialog.dismiss().catch(() => {});
    });
  }

  /** Allow errors that match a pattern, such as requests while the server is stopped. */
  expectErrors(...patterns) {
    this.expected.push(...patterns);
  }

  /** Serve a page of another origin, until the end of the case; return its address. */
  async serve(html) {
    const server = createServer((_, response) => {
      response.setHeader("content-type", "text/html");
      response.end(html);
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    this.servers.push(server);
    return `http://127.0.0.1:${server.address().port}/`;
  }

  unexpected() {
    return this.errors.filter((error) => !this.expected.some((pattern) => pattern.test(error)));
  }

  /** Fail if a page reported an error that the case does not expect. */
  async check() {
    assert.deepEqual(this.unexpected(), []);
  }

  /** Return the errors of all pages and the paths of their screenshots. */
  async explain(prefix) {
    const notes = this.unexpected().map((error) => `  ${error}`);
    mkdirSync(prefix.replace(/\/[^/]*$/, ""), { recursive: true });
    for (const [index, page] of this.pages.entries()) {
      const path = `${prefix}-${index}.png`.replaceAll(" ", "-");
      try {
        await page.screenshot({ path, timeout: 10_000 });
        notes.push(`  ${page.url()}: screenshot ${path}`);
      } catch (error) {
        notes.push(`  ${page.url()}: no screenshot (${error.message.split("\n")[0]})`);
      }
    }
    return notes.join("\n");
  }

  async close() {
    await Promise.all(this.contexts.map((context) => context.close().catch(() => {})));
    for (const server of this.servers) {
      server.close();
      server.closeAllConnections();
    }
  }
}

/** Wait until a function returns a true value, and return the value. */
const waitUntil = async (condition, what) => {
  const end = Date.now() + LIMIT;
  for (;;) {
    const value = await condition();
    if (value) return value;
    assert.ok(Date.now() < end, `not within ${LIMIT} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
};

/** Wait until the text of an element matches a pattern, and return the text. */
const waitForText = async (locator, pattern) => {
  let text = null;
  try {
    return await waitUntil(async () => {
      text = await locator.textContent();
      return pattern.test(text) && text;
    }, `text ${pattern}`);
  } catch (error) {
    throw new Error(`${error.message}, but ${JSON.stringify(text)}`, { cause: error });
  }
};

module.exports = { CaseContext, LIMIT, assert, expectNoViolations, readFileSync, waitForText, waitUntil };

"use strict";
// node runner.js CHROMIUM SCREENSHOTS
// Run cases in one Chromium. Each line of the standard input is JSON: {script, name, given} runs a case, whose
// result is a line {data} or {error}; a case calls the caller with a line {call, values} and reads {result}.
// Chromium ends with the standard input.
const { createInterface } = require("node:readline");
const { chromium } = require("playwright-core");
const { CaseContext } = require("./harness");

const [executablePath, screenshots] = process.argv.slice(2);
// Names of this machine, for several hosts of one site.
const args = ["--host-resolver-rules=MAP *.hextrackr.test 127.0.0.1"];
// The sandbox of Chromium does not work for root.
if (process.getuid() === 0) args.push("--no-sandbox");
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

const write = (line) => process.stdout.write(JSON.stringify(line) + "\n");
const read = async () => {
  const { done, value } = await lines.next();
  if (done) throw new Error("the caller has ended");
  return JSON.parse(value);
};

/** Call a function of the caller, one at a time. */
let pending = Promise.resolve();
const call = (name, ...values) => {
  const answered = pending.then(async () => {
    write({ call: name, values });
    const { result, error } = await read();
    if (error !== undefined) throw new Error(error);
    return result;
  });
  pending = answered.catch(() => {});
  return answered;
};

const runCase = async (browser, { script, name, given }) => {
  const context = new CaseContext(browser, given, call);
  try {
    const run = require(`./${script}`)[name];
    if (run === undefined) throw new Error(`${script} does not declare the case ${name}`);
    const data = await run(context);
    await context.check();
    write({ data: data ?? null });
  } catch (error) {
    const notes = await context.explain(`${screenshots}/${script.replace(".js", "")}-${name}`);
    write({ error: `${error.stack}\n${notes}` });
  } finally {
    await context.close();
  }
};

const main = async () => {
  const browser = await chromium.launch({ executablePath, args, timeout: 120_000 });
  write({ data: browser.version() });
  for (;;) {
    const { done, value } = await lines.next();
    if (done) break;
    await runCase(browser, JSON.parse(value));
  }
  await browser.close();
};

main().then(
  () => process.exit(0),
  (error) => {
    process.stderr.write(`${error.stack}\n`);
    process.exit(1);
  },
);

// The playground: loads the official client from the server and connects the forms with it.
import { Client } from "./client.js";
import { byId, FieldError, isObject, readJson, withErrors } from "./fields.js";
import { Log } from "./log.js";
import { formatValues } from "./packets.js";
import { setUpExamples } from "./saved.js";

const serverPath = document.querySelector('meta[name="server-path"]').content;
const bundle = `${serverPath}/socket.io.esm.min.js`;
const log = new Log();
const announce = (text) => {
  byId("answer").textContent = text;
};

byId("path").value = serverPath;
setUpExamples(announce);
loadClient().then(start, showMissingClient);

async function loadClient() {
  return (await import(bundle)).Manager;
}

/** Explain why the client is missing: the server's own response names the remedy. */
async function showMissingClient(error) {
  const lines = [`The client is not available at ${bundle}.`];
  try {
    const response = await fetch(bundle);
    lines.push(response.ok ? error.message : (await response.text()).slice(0, 500));
  } catch (failure) {
    lines.push(failure.message);
  }
  byId("problem").textContent = lines.join("\n");
  byId("problem").hidden = false;
  byId("status").textContent = "Not ready";
}

function start(Manager) {
  const client = new Client(Manager, (...entry) => log.add(...entry), showState);
  listen("connection", () => client.connect(readConnection()));
  listen("event", () => emit(client));
  const setAnswer = () => {
    client.answer = byId("answers").checked ? readArguments("answer-arguments") : null;
  };
  listen("answering", setAnswer);
  byId("answering").addEventListener("change", () => withErrors(byId("answering"), setAnswer));
  byId("disconnect").addEventListener("click", () => client.disconnect());
  byId("break").addEventListener("click", () => client.breakTransport());
  byId("connect").disabled = false;
  showState({ name: "disconnected", detail: "" });

  function showState({ name, detail, transport = "-", upgrade = "-", id = "-", recovered = "-" }) {
    const status = byId("status");
    status.dataset.state = name;
    const text = { connected: "Connected", connecting: "Connecting", disconnected: "Not connected" }[name];
    setText(status, detail ? `${text}: ${detail}` : text);
    for (const [fact, value] of Object.entries({ transport, upgrade, id, recovered })) {
      byId(`fact-${fact}`).textContent = value;
    }
    byId("connect").textContent = client?.isOpen ? "Connect again" : "Connect";
    byId("disconnect").disabled = !client?.isOpen;
    byId("break").disabled = name !== "connected";
    byId("emit").disabled = !client?.isOpen;
  }
}

/** Run `action` when a form is submitted. */
function listen(id, action) {
  byId(id).addEventListener("submit", (submit) => {
    submit.preventDefault();
    withErrors(byId(id), action);
  });
}

// A live region with an equal text would be announced again.
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function readConnection() {
  const [namespace, path] = [byId("namespace").value.trim(), byId("path").value.trim()];
  if (!namespace.startsWith("/")) throw new FieldError("namespace", "A namespace begins with a slash");
  if (!path.startsWith("/")) throw new FieldError("path", "A path begins with a slash");
  return {
    namespace,
    path,
    auth: readJson("auth", isObject, "auth must be a JSON object", {}),
    query: Object.fromEntries(new URLSearchParams(byId("query").value.trim())),
    transports: byId("transports").value.split(","),
    // Without it, the client gives up when its first transport fails.
    tryAllTransports: true,
    reconnection: byId("reconnection").checked,
  };
}

const readArguments = (id) =>
  readJson(id, Array.isArray, "The arguments must be a JSON array, such as [1, \"two\"]", []);

function emit(client) {
  const name = byId("event-name").value;
  if (name === "") throw new FieldError("event-name", "An event requires a name");
  const values = readArguments("arguments");
  const requestsAck = byId("ack").checked;
  const timeout = byId("timeout").valueAsNumber;
  if (requestsAck && !(timeout >= 1)) {
    throw new FieldError("timeout", "The time must be a number of milliseconds from 1");
  }
  const options = { timeout: requestsAck ? timeout : null, volatile: byId("volatile").checked };
  try {
    const answer = client.emit(name, values, options);
    announce(answer === null ? `Emitted ${name}` : `Emitted ${name}, waiting for the acknowledgement`);
    answer?.then(
      ({ values: answers, milliseconds }) =>
        announce(`Acknowledged in ${milliseconds.toFixed(1)} ms: ${formatValues(answers) || "no arguments"}`),
      (error) => announce(error.message),
    );
  } catch (error) {
    throw new FieldError("event-name", error.message);
  }
}

// Named examples in sessionStorage: the values of all fields, until the tab closes.
import { byId, FieldError, withErrors } from "./fields.js";

const KEY = "socketio-playground";
const MAX_EXAMPLES = 50;
const FIELDS = [
  "namespace", "path", "auth", "query", "transports", "reconnection", "event-name", "arguments", "ack",
  "timeout", "volatile", "answers", "answer-arguments",
];

/** Show the examples, and save and load them; `announce(text)` receives the result. */
export function setUpExamples(announce) {
  byId("saved").addEventListener("submit", (submit) => {
    submit.preventDefault();
    withErrors(byId("saved"), () => save(announce));
  });
  render(announce);
}

function save(announce) {
  const field = byId("saved-name");
  const name = field.value.trim() || byId("event-name").value.trim();
  if (name === "") throw new FieldError(field.id, "An example requires a name");
  const examples = read().filter((each) => each.name !== name);
  if (examples.length >= MAX_EXAMPLES) {
    throw new FieldError(field.id, `There are at most ${MAX_EXAMPLES} examples: delete one first`);
  }
  const values = Object.fromEntries(FIELDS.map((id) => [id, valueOf(byId(id))]));
  write([...examples, { name, values }]);
  field.value = "";
  render(announce);
  announce(`Saved the example ${name}`);
}

function load({ name, values }, announce) {
  for (const id of FIELDS) {
    const [field, value] = [byId(id), values[id]];
    if (typeof value === "boolean") field.checked = value;
    else if (typeof value === "string") field.value = value;
  }
  announce(`Loaded the example ${name}`);
}

function remove({ name }, announce) {
  write(read().filter((each) => each.name !== name));
  render(announce);
  byId("saved-name").focus();
  announce(`Deleted the example ${name}`);
}

const valueOf = (field) => (field.type === "checkbox" ? field.checked : field.value);

function read() {
  try {
    const examples = JSON.parse(sessionStorage.getItem(KEY) ?? "[]");
    return examples.filter((each) => typeof each?.name === "string" && each.values);
  } catch {
    return []; // storage is disabled, or has another content
  }
}

function write(examples) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(examples));
  } catch (error) {
    throw new FieldError("saved-name", `The browser does not store the example: ${error.message}`);
  }
}

function render(announce) {
  byId("saved-list").replaceChildren(
    ...read().map((example) => {
      const item = document.createElement("li");
      const label = document.createElement("span");
      label.textContent = example.name;
      item.append(
        label,
        button("Load", example, () => load(example, announce)),
        button("Delete", example, () => remove(example, announce)),
      );
      return item;
    }),
  );
}

function button(action, { name }, onClick) {
  const element = document.createElement("button");
  element.type = "button";
  element.textContent = action;
  element.setAttribute("aria-label", `${action} ${name}`);
  element.addEventListener("click", onClick);
  return element;
}

// Form fields: reads and validates their values, and shows an error next to a field.

export const byId = (id) => document.getElementById(id);

/** An invalid value of a field. */
export class FieldError extends Error {
  constructor(id, message) {
    super(message);
    this.id = id;
  }
}

/** Return the JSON value of a field, or `empty` for an empty field; FieldError otherwise. */
export function readJson(id, isValid, rule, empty) {
  const text = byId(id).value.trim();
  if (text === "" && empty !== undefined) return empty;
  let value;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new FieldError(id, `${rule}: ${error.message}`);
  }
  if (!isValid(value)) throw new FieldError(id, rule);
  return value;
}

export const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

/** Run `action`, and show a FieldError at its field; return whether the action succeeded. */
export function withErrors(form, action) {
  for (const field of form.querySelectorAll("[aria-invalid]")) showError(field.id, "");
  try {
    action();
    return true;
  } catch (error) {
    if (!(error instanceof FieldError)) throw error;
    showError(error.id, error.message);
    byId(error.id).focus();
    return false;
  }
}

function showError(id, message) {
  const [field, error] = [byId(id), byId(`${id}-error`)];
  error.textContent = message;
  error.hidden = message === "";
  if (message === "") {
    field.removeAttribute("aria-invalid");
    field.removeAttribute("aria-describedby");
  } else {
    field.setAttribute("aria-invalid", "true");
    field.setAttribute("aria-describedby", error.id);
  }
}

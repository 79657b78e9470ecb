// Validate AsyncAPI documents, one file per argument, with the official JSON Schema of version 3.0.0.
// Prints one line for each problem, and "valid" for each document without problems.
const fs = require("fs");
const Ajv = require("ajv");
const schema = require("@asyncapi/specs/schemas/3.0.0-without-$id.json");

const validate = new Ajv({ strict: false, allErrors: true, validateFormats: false }).compile(schema);

function* references(value, path = "") {
  if (value === null || typeof value !== "object") return;
  for (const [key, each] of Object.entries(value)) {
    if (key === "$ref" && typeof each === "string") yield [path, each];
    else yield* references(each, `${path}/${key}`);
  }
}

function resolve(document, reference) {
  return reference.slice(2).split("/").reduce((place, key) => place?.[key], document);
}

for (const file of process.argv.slice(2)) {
  const document = JSON.parse(fs.readFileSync(file, "utf8"));
  const problems = validate(document) ? [] : validate.errors.map((e) => `${e.instancePath}: ${e.message}`);
  for (const [path, reference] of references(document)) {
    if (resolve(document, reference) === undefined) problems.push(`${path}: ${reference} leads nowhere`);
  }
  for (const operation of Object.values(document.operations ?? {})) {
    const channel = resolve(document, operation.channel.$ref);
    for (const { $ref } of [...operation.messages, ...(operation.reply?.messages ?? [])]) {
      if (!channel.messages[$ref.split("/").pop()]) problems.push(`${$ref} is not in its channel`);
    }
  }
  console.log(problems.length ? problems.join("\n") : "valid");
}

"use strict";
// The error switch of docs/clients.md; arguments: its code, URL, auth as JSON, whether it imports.
// It prints the first call of the page's functions.
const { io } = require("socket.io-client");

const [code, url, auth, imports] = process.argv.slice(2);
const socket = io(url, { auth: JSON.parse(auth), reconnection: false, transports: ["polling", "websocket"] });
const names = ["showNotification", "redirectToLogin", "showImportError", "showValidationErrors", "showGenericError"];
const report = (name) => (...args) => {
  process.stdout.write(JSON.stringify([name, ...args]) + "\n");
  process.exit(0);
};
new Function("socket", ...names, code)(socket, ...names.map(report));
if (imports) {
  socket.on("connect", () => {
    const csv = "Location,Devices\n1,2\n";
    socket.emit("start-import", imports === "bad" ? { source: "nothing" } : { source: "inline", filename: "x.csv", csv });
  });
}

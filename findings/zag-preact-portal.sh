#!/usr/bin/env bash
# @zag-js/preact: its component Portal fails with "React is not defined".
#
# The package is built from JSX without the settings of Preact: dist/portal.mjs calls React.createElement, but
# imports only preact/compat. Every use fails, on the server and in browsers, unless the page has a global
# React; useMachine and normalizeProps of the same package work.
#
# Affected: dialogs, menus and tooltips that are rendered in a Portal, as the documentation of Zag shows.
# Instead, use createPortal of preact/compat, or render in place.
# Source: @zag-js/preact 1.44.0, dist/portal.mjs.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-audit --no-fund --prefix "$work" @zag-js/preact@1.44.0 preact@10.29.0 preact-render-to-string@6.6.5 >/dev/null
cat > program.mjs <<'NODE'
import { h } from "preact";
import { renderToString } from "preact-render-to-string";
import { Portal } from "@zag-js/preact";
console.log("expected: the text of the portal");
try {
  console.log(renderToString(h(Portal, { disabled: true }, h("p", null, "text"))));
  process.exit(1);
} catch (error) {
  console.log(`${error.name}: ${error.message}`);
}
NODE
node program.mjs

"use strict";
// Cases of the playground on servers with other options.
const { assert, waitForText } = require("./harness");

module.exports = {
  async "a missing bundle is explained"(t) {
    t.expectErrors(/404/);
    const page = await t.newPage();
    await page.goto(`${t.given.url}/playground/`);
    await waitForText(page.getByRole("alert"), /socket\.io\.esm\.min\.js[^]*npm install socket\.io-client/);
    assert.equal(await page.getByRole("button", { name: "Connect", exact: true }).isDisabled(), true);
  },
};

"use strict";
// Cases of the chat of docs/tutorial-library.md. `given.url` is its address.
const { assert, waitUntil } = require("./harness");

/** Open the chat in a new window, and return the page and a function that waits for a line. */
const open = async (t, token) => {
  t.expectErrors(/favicon\.ico/); // the chat has none
  const page = await t.newPage();
  await page.goto(`${t.given.url}/${token ? `#token=${token}` : ""}`);
  const lines = () => page.locator("li").allTextContents();
  const shows = (pattern) => waitUntil(async () => (await lines()).some((line) => pattern.test(line)), `${pattern}`);
  const send = async (text) => {
    await page.getByRole("textbox").fill(text);
    await page.getByRole("button", { name: "Send" }).click();
  };
  return { page, lines, shows, send };
};

module.exports = {
  async "two windows chat without a login"(t) {
    const first = await open(t);
    await first.shows(/^members: .{4}$/);
    const second = await open(t);
    await second.shows(/^members: .{4},.{4}$/);
    await second.send("hello");
    await first.shows(/^.{4}: hello$/);
    await second.shows(/^.{4}: hello$/);
  },

  async "two users chat"(t) {
    const ada = await open(t, "secret-of-ada");
    await ada.shows(/^members: Ada$/);
    const bob = await open(t, "secret-of-bob");
    await bob.shows(/^members: Ada,Bob$/);
    await ada.shows(/^Bob joined$/);
    await bob.send("hello");
    await ada.shows(/^Bob: hello$/);
    // The client closes the connection after the refusal: a poll may arrive after its close packet.
    t.expectErrors(/status of 400 .*transport=polling.*sid=/);
    const stranger = await open(t, "guessed");
    await stranger.shows(/^Log in first$/);
    assert.deepEqual(await stranger.lines(), ["Log in first"]);
  },
};

"use strict";
// Screenshots in light and dark and on a phone. `given` has the address of a server and the folder of the files.
const { waitForText } = require("./harness");

const LOOKS = {
  light: { colorScheme: "light" },
  dark: { colorScheme: "dark" },
  phone: { colorScheme: "light", viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true },
};

module.exports = {
  async "playground"(t) {
    for (const [look, options] of Object.entries(LOOKS)) {
      const page = await t.newPage(options);
      await page.goto(`${t.given.url}/playground/`);
      await waitForText(page.locator("#status"), /Not connected/);
      await page.getByRole("button", { name: "Connect", exact: true }).click();
      await waitForText(page.locator("#fact-transport"), /websocket/);
      await page.getByLabel("Event", { exact: true }).fill("echo");
      await page.getByLabel("Arguments (a JSON array)").fill('["hello", {"room": "lobby"}]');
      await page.getByRole("button", { name: "Emit", exact: true }).click();
      await waitForText(page.locator("#answer"), /Acknowledged/);
      await page.evaluate(() => {
        document.activeElement.blur();
        window.scrollTo(0, 0);
      });
      await page.screenshot({ path: `${t.given.folder}/playground-${look}.png` });
    }
  },
};

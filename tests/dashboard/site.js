"use strict";
// Cases of the documentation site, opened from its folder. `given.site` is the address of the folder,
// `given.url` that of an HTTP server with the same files, `given.pages` are the paths of
// all pages, `given.diagrams` of those with diagrams.
const { assert, expectNoViolations, waitUntil } = require("./harness");

/** Open a page and return the requests to other places than the folder. */
const open = async (t, options) => {
  const page = await t.newPage(options);
  const others = [];
  page.on("request", (request) => {
    const url = request.url();
    if (!/^(data|blob):/.test(url) && !url.startsWith(t.given.site)) others.push(url);
  });
  return { page, others };
};

module.exports = {
  async "no page requests a file outside of the site"(t) {
    const { page, others } = await open(t);
    for (const path of t.given.pages) {
      await page.goto(`${t.given.site}/${path}`, { waitUntil: "load" });
      assert.ok(await page.title(), path);
    }
    assert.deepEqual(others, []);
  },

  async "no page is wider than a phone"(t) {
    const { page } = await open(t, { viewport: { width: 390, height: 800 } });
    const wide = [];
    for (const path of t.given.pages) {
      await page.goto(`${t.given.site}/${path}`, { waitUntil: "load" });
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      if (width > 390) wide.push(`${path}: ${width}`);
    }
    assert.deepEqual(wide, []);
  },

  async "the search finds a page without a server"(t) {
    const { page, others } = await open(t);
    await page.goto(`${t.given.site}/index.html`);
    await page.getByRole("textbox", { name: "Search" }).fill("slow consumer");
    const results = page.locator(".md-search-result__link");
    await waitUntil(async () => (await results.count()) > 0, "a result of the search");
    const targets = await results.evaluateAll((links) => links.map((link) => link.getAttribute("href")));
    assert.ok(targets.some((target) => target.includes("rooms.html")), targets.join(" "));
    assert.deepEqual(others, []);
  },

  async "diagrams are drawn by a script of the site"(t) {
    const { page, others } = await open(t);
    for (const path of t.given.diagrams) {
      await page.goto(`${t.given.site}/${path}`);
      // The theme replaces the text of a diagram by an element with a closed shadow root. Invalid text is an
      // error of the page.
      const drawn = () =>
        page.evaluate(() => {
          const diagrams = [...document.querySelectorAll("div.mermaid")];
          return !document.querySelector("pre.mermaid") && diagrams.every((each) => each.clientHeight > 40);
        });
      await waitUntil(drawn, `the diagrams of ${path}`);
    }
    assert.deepEqual(others, []);
  },

  async "pages are accessible in light and dark colors"(t) {
    for (const colorScheme of ["light", "dark"]) {
      const { page } = await open(t, { colorScheme });
      for (const path of ["index.html", "rooms.html", "settings.html"]) {
        await page.goto(`${t.given.url}/${path}`); // axe reads the styles, which needs HTTP
        await expectNoViolations(page, `${path} in ${colorScheme} colors`);
      }
    }
  },
};

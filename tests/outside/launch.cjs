"use strict";
// Starts the system's Chromium with a profile of its own; it downloads nothing and talks to nobody but the tests.

const { chromium } = require("playwright-core");

exports.launch = (executablePath, profile) =>
  chromium.launchPersistentContext(profile, {
    executablePath,
    headless: true,
    args: [
      "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
      "--disable-sync", "--no-first-run",
    ],
  });

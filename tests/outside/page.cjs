"use strict";
// Opens the gateway's own page: says when it is live, when five events are shown, when it has dropped the connection,
// and at last what it shows once ten have come.

const { launch } = require("./launch.cjs");

const [executable, profile, url] = process.argv.slice(2);

async function main() {
  const browser = await launch(executable, profile);
  const page = await browser.newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("console", (message) => { if (message.type() === "error") problems.push(message.text()); });
  await page.goto(url);
  await page.waitForFunction(() => document.getElementById("state").textContent === "live");
  console.log("live");
  const total = (wanted) => page.waitForFunction((n) => document.getElementById("total").textContent === n, wanted);
  await total("5");
  console.log("shown 5");
  await page.click("#drop");
  console.log("dropped");
  await total("10");
  const result = await page.evaluate(() => {
    const text = (id) => document.getElementById(id).textContent;
    const figures = Object.fromEntries(["total", "missing", "repeats", "connections"].map((id) => [id, text(id)]));
    return { figures, rows: document.querySelectorAll("#events details").length, log: text("log") };
  });
  console.log(JSON.stringify({ ...result, problems }));
  await browser.close();
}

main().catch((error) => { console.error(error); process.exit(1); });

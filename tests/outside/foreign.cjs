"use strict";
// Serves a page of another origin and says what its script could see of the gateway: by WebSocket with the key in the
// subprotocol, and by fetch with the key in a header.

const http = require("node:http");
const { launch } = require("./launch.cjs");

const [executable, profile, port, gateway, key] = process.argv.slice(2);

/** Runs in the page. */
async function look({ gateway, key }) {
  const token = btoa(key).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  const socket = await new Promise((resolve) => {
    const seen = { opened: false, messages: 0 };
    const protocols = ["headgate.v1", `base64url.bearer.authorization.k8s.io.${token}`];
    const stream = new WebSocket(`ws://${gateway}/orders?from=earliest`, protocols);
    stream.onopen = () => { seen.opened = true; seen.protocol = stream.protocol; };
    stream.onmessage = ({ data }) => {
      if (JSON.parse(data).type !== "cursor") seen.messages += 1;
      if (seen.messages === 2) resolve(seen);
    };
    stream.onclose = ({ code }) => resolve({ ...seen, code });
  });
  const abort = new AbortController();
  const headers = { accept: "text/event-stream", authorization: `Bearer ${key}` };
  const fetched = await fetch(`http://${gateway}/orders`, { headers, signal: abort.signal }).then(
    (answer) => `${answer.status} ${answer.headers.get("content-type")}`,
    () => "refused by the browser",
  );
  abort.abort();
  return { socket, fetch: fetched };
}

async function main() {
  const server = http.createServer((_, answer) => answer.setHeader("content-type", "text/html").end("<!doctype html>"));
  await new Promise((listening) => server.listen(Number(port), "127.0.0.1", listening));
  const browser = await launch(executable, profile);
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${port}/`);
  console.log(JSON.stringify(await page.evaluate(look, { gateway, key })));
  await browser.close();
  server.close();
  server.closeAllConnections();
}

main().catch((error) => { console.error(error); process.exit(1); });

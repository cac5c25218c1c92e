"use strict";
// Serves a page of another origin and says what its script could see of the gateway: by WebSocket with the credential in
// the subprotocol, by fetch with the credential in a header, and by WebSocket with a ticket that it fetched.

const http = require("node:http");
const { launch } = require("./launch.cjs");

const [executable, profile, port, gateway, credential] = process.argv.slice(2);

/** Runs in the page. */
async function look({ gateway, credential }) {
  const listen = (query, protocols) => new Promise((resolve) => {
    const seen = { opened: false, messages: 0 };
    const stream = new WebSocket(`ws://${gateway}/orders?from=earliest${query}`, protocols);
    stream.onopen = () => { seen.opened = true; seen.protocol = stream.protocol; };
    stream.onmessage = ({ data }) => {
      if (JSON.parse(data).type !== "cursor") seen.messages += 1;
      if (seen.messages === 2) resolve(seen);
    };
    stream.onclose = ({ code }) => resolve({ ...seen, code });
  });
  const encoded = btoa(credential).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  const socket = await listen("", ["headgate.v1", `base64url.bearer.authorization.k8s.io.${encoded}`]);
  const abort = new AbortController();
  const headers = { accept: "text/event-stream", authorization: `Bearer ${credential}` };
  const fetched = await fetch(`http://${gateway}/orders`, { headers, signal: abort.signal }).then(
    (answer) => `${answer.status} ${answer.headers.get("content-type")}`,
    () => "refused by the browser",
  );
  abort.abort();
  const asked = { method: "POST", headers: { authorization: headers.authorization } };
  const ticket = await fetch(`http://${gateway}/orders/tickets`, asked).then(
    async (answer) => listen(`&ticket=${(await answer.json()).ticket}`, ["headgate.v1"]),
    () => "refused by the browser",
  );
  return { socket, fetch: fetched, ticket };
}

async function main() {
  const server = http.createServer((_, answer) => answer.setHeader("content-type", "text/html").end("<!doctype html>"));
  await new Promise((listening) => server.listen(Number(port), "127.0.0.1", listening));
  const browser = await launch(executable, profile);
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${port}/`);
  console.log(JSON.stringify(await page.evaluate(look, { gateway, credential })));
  await browser.close();
  server.close();
  server.closeAllConnections();
}

main().catch((error) => { console.error(error); process.exit(1); });

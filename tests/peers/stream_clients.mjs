// stream_clients.mjs MODULES asyncapi FILE: print the errors that the official parser finds in a description.
// stream_clients.mjs MODULES read URL TOKEN: print the ids and types of a stream, read as a browser does until the server ends it with 204.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [modules, command, target, token] = process.argv.slice(2);
const require = createRequire(pathToFileURL(`${modules}/`));

async function errorsOf(file) {
  const { Parser } = require("@asyncapi/parser");
  const { document, diagnostics } = await new Parser().parse(readFileSync(file, "utf8"));
  const errors = diagnostics.filter((each) => each.severity === 0).map((each) => each.message);
  return document ? errors : [...errors, "no document"];
}

function read(url) {
  const { EventSource } = require("eventsource");
  const withToken = (input, init) => fetch(input, { ...init, headers: { ...init.headers, Authorization: `Bearer ${token}` } });
  const source = new EventSource(url, { fetch: withToken });
  const events = [];
  let connections = 0;
  const types = ["submitted", "started", "message", "log", "diff", "attempt", "succeeded", "failed"].map((name) => `task.${name}`);
  for (const type of types) {
    source.addEventListener(type, (event) => events.push([event.lastEventId, event.type, JSON.parse(event.data).text]));
  }
  source.onopen = () => (connections += 1);
  return new Promise((resolve) => {
    source.onerror = () => source.readyState === source.CLOSED && resolve({ events, connections });
  });
}

console.log(JSON.stringify(command === "asyncapi" ? await errorsOf(target) : await read(target)));

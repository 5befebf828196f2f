// Google's own client streams every session of a list until each has completed; prints what it was told, and how late.
// node watching.mjs NODE_MODULES BASE_URL API_KEY ORIGIN SCALE < ids
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [modules, baseUrl, apiKey, origin, scale] = process.argv.slice(2);
const sdk = await import(pathToFileURL(`${modules}/@google/jules-sdk/dist/index.mjs`));
const [started, times] = [Number(origin), Number(scale)];
// Its own interval, in the time that the sessions live in; its cache in memory, which saves it files and no request.
const client = sdk.jules.with({
  baseUrl,
  apiKey,
  config: { pollingIntervalMs: 5000 / times },
  storageFactory: { activity: () => new sdk.MemoryStorage(), session: () => new sdk.MemorySessionStorage() },
});
const now = () => started + (Date.now() / 1000 - started) * times;

let events = 0;
let late = 0;
const watch = async (id) => {
  for await (const activity of client.session(id).stream()) {
    events += 1;
    late += now() - Date.parse(activity.createTime) / 1000;
    if (activity.type === "sessionCompleted") break;
  }
};
await Promise.all(JSON.parse(readFileSync(0, "utf8")).map(watch));
console.log(JSON.stringify({ events, late: late / events }));
process.exit(0);

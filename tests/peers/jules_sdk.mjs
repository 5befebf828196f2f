// Google's own client through the whole life of a session; one JSON line per step.
// node jules_sdk.mjs NODE_MODULES BASE_URL API_KEY
import { pathToFileURL } from "node:url";

const [modules, baseUrl, apiKey] = process.argv.slice(2);
const entry = pathToFileURL(`${modules}/@google/jules-sdk/dist/index.mjs`);
const { jules } = await import(entry);
const client = jules.with({ baseUrl, apiKey, config: { pollingIntervalMs: 20 } });
const tell = (step, value) => console.log(JSON.stringify({ step, ...value }));

const session = await client.session({
  prompt: "Say hello",
  source: { github: "owner/repo", baseBranch: "main" },
});
await session.waitFor("awaitingPlanApproval");
tell("waits", { id: session.id, state: (await session.info()).state });
await session.approve();
for await (const activity of session.stream()) {
  tell("activity", { type: activity.type, artifacts: activity.artifacts.map((artifact) => artifact.type) });
  if (activity.type === "sessionCompleted") break;
}
const outcome = await session.result();
tell("result", {
  state: outcome.state,
  pullRequest: outcome.pullRequest?.url,
  files: [...outcome.generatedFiles().all()].map((file) => file.path),
  diff: outcome.changeSet()?.gitPatch.unidiffPatch,
});
process.exit(0);

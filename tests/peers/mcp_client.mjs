// The client of the TypeScript SDK: mcp_client.mjs COMMAND ARGUMENT... submits a task, waits for it, and prints its diff.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";

const [command, ...args] = process.argv.slice(2);
const client = new Client({ name: "peers", version: "1" });
await client.connect(new StdioClientTransport({ command, args, env: process.env }));
const tools = await client.listTools();
const call = async (name, given, onprogress) =>
  (await client.callTool({ name, arguments: given }, undefined, { onprogress })).structuredContent;
const { ref } = await call("submit_task", { prompt: "Say hello to the world" });
let reports = 0;
const { state } = await call("wait_for_task", { ref }, () => (reports += 1));
const { text } = await call("get_result", { ref, what: "diff" });
console.log(JSON.stringify({ tools: tools.tools.map((each) => each.name), state, reports, text }));
await client.close();

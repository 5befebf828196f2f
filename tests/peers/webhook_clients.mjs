// webhook_clients.mjs MODULES verify|sign|github: read one message as JSON, and print what each JavaScript library does with it.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [modules, command] = process.argv.slice(2);
const require = createRequire(pathToFileURL(`${modules}/`));
const { headers, body, secret } = JSON.parse(readFileSync(0, "utf8"));
const libraries = { standardwebhooks: require("standardwebhooks").Webhook, svix: require("svix").Webhook };

function accepts(Webhook) {
  try {
    new Webhook(secret).verify(body, headers);
    return true;
  } catch (error) {
    console.error(String(error));
    return false;
  }
}

if (command === "verify") {
  console.log(JSON.stringify(Object.keys(libraries).filter((name) => accepts(libraries[name]))));
} else if (command === "sign") {
  const at = new Date(Number(headers["webhook-timestamp"]) * 1000);
  console.log(JSON.stringify(new libraries.standardwebhooks(secret).sign(headers["webhook-id"], at, body)));
} else {
  const { sign } = await import(pathToFileURL(`${modules}/@octokit/webhooks-methods/dist-node/index.js`));
  console.log(JSON.stringify(await sign(secret, body)));
}
